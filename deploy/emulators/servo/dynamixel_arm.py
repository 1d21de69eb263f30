"""`simreal emulate dynamixel-arm`: an SO-101, or another robot, with XM430-W350 on a pseudo-terminal."""

from pathlib import Path

import click

from simreal.deploy.emulators.options import Emulated, emulator_options
from simreal.deploy.emulators.servo.command import fit, make_arm, run, servo_options
from simreal.deploy.emulators.servo.dynamixel_servo import DynamixelLine, DynamixelServo


@click.command("dynamixel-arm")
@servo_options
@emulator_options
def emulate(emulated: Emulated, robot: str, port: Path, write_calibration: Path | None) -> None:
    """An SO-101 arm, or a robot of yours, with Dynamixel X servos: protocol 2.0, a bus watchdog.

    Their motors are as strong as those of the SO-101; registers, protections and watchdog are
    Dynamixel's. Then: simreal deploy POLICY --driver dynamixel:port=PORT,calibration=FILE
    """
    arm, servos = make_arm(robot, emulated, DynamixelServo)
    run(arm, DynamixelLine(servos), emulated, port, (write_calibration, fit(arm, "dynamixel")))
