"""`simreal emulate so101`: an SO-101 with six STS3215 on a pseudo-terminal."""

from pathlib import Path

import click

from simreal.deploy.emulators.options import Emulated, emulator_options
from simreal.deploy.emulators.servo.command import fit, make_arm, run, servo_options
from simreal.deploy.emulators.servo.sts_servo import StsLine, StsServo


@click.command("so101")
@servo_options
@emulator_options
def emulate(emulated: Emulated, port: Path, write_calibration: Path | None) -> None:
    """An SO-101 arm: six Feetech STS3215 servos on a serial bus.

    Then: simreal deploy POLICY --driver feetech:port=PORT,calibration=FILE
    """
    arm, servos = make_arm(emulated, StsServo)
    run(arm, StsLine(servos), emulated, port, (write_calibration, fit(arm, "feetech")))
