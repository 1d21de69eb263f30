"""`simreal emulate so101`: an SO-101, or another robot, with STS3215 on a pseudo-terminal."""

from pathlib import Path

import click

from simreal.deploy.emulators.options import Emulated, emulator_options
from simreal.deploy.emulators.servo.command import fit, make_arm, run, servo_options
from simreal.deploy.emulators.servo.feetech_servo import StsLine, StsServo


@click.command("so101")
@servo_options
@emulator_options
def emulate(emulated: Emulated, robot: str, port: Path, write_calibration: Path | None) -> None:
    """An SO-101 arm, or a robot of yours: Feetech STS3215 servos on a serial bus.

    Motors are STS3215 at 7.4 V whatever the robot: its model needs their stiffness and damping.

    Then: simreal deploy POLICY --driver feetech:port=PORT,calibration=FILE
    """
    arm, servos = make_arm(robot, emulated, StsServo)
    run(arm, StsLine(servos), emulated, port, (write_calibration, fit(arm, "feetech")))
