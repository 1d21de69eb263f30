"""`simreal calibrate`: what makes counts of servos angles of joints, found with a person's help."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from simreal.cli_types import PATH, console
from simreal.errors import UserError, missing_extra

if TYPE_CHECKING:
    from simreal.deploy.drivers.servo.driver import ServoDriver
    from simreal.deploy.drivers.servo.port import SerialPort

KINDS = ("feetech", "dynamixel")


@click.command("calibrate")
@click.argument("robot")
@click.option("--port", required=True, help="Of the serial bus, such as /dev/ttyACM0.")
@click.option("--servos", type=click.Choice(KINDS), default=KINDS[0], show_default=True)
@click.option("-o", "--output", type=PATH, help="File to write; ROBOT.yaml if absent.")
@click.option("--baud", type=click.IntRange(min=9600), default=1_000_000, show_default=True)
@click.option("--assign-ids", is_flag=True, help="First number servos that are new, one by one.")
@click.option(
    "--lerobot",
    type=PATH,
    metavar="JSON",
    help="Take lerobot's calibration of this arm over instead; nothing moves, nothing is written to it.",
)
def calibrate(
    robot: str,
    port: str,
    servos: str,
    output: Path | None,
    baud: int,
    assign_ids: bool,
    lerobot: Path | None,
) -> None:
    """Calibrate the servos of ROBOT, such as so101, and write a file for its driver.

    You move the arm by hand; the motors have no power.
    """
    from simreal.deploy.drivers.servo import calibrate as steps
    from simreal.deploy.drivers.servo.bus import ServoBus
    from simreal.deploy.drivers.servo.calibration import write_calibration
    from simreal.robots import load_robot

    path = output or Path(f"{robot}.yaml")
    if path.exists():
        raise UserError(f"{path} is there already: choose another with -o")
    description = load_robot(robot).description
    kind, serial_port = _open(servos, port, baud)
    try:
        bus = ServoBus(kind.open_protocol(serial_port))
        if assign_ids:
            steps.assign_ids(kind, description, bus, ask)
        found = (
            steps.calibrate(kind, description, bus, ask)
            if lerobot is None
            else steps.from_lerobot(lerobot, kind, description, bus)
        )
    finally:
        serial_port.close()
    write_calibration(path, found)
    console.print(
        f"written: {path}\nnext: simreal deploy POLICY --driver {servos}:port={port},calibration={path}",
        soft_wrap=True,
    )


def ask(text: str) -> None:
    """Tell a person what to do, and wait for Enter.

    Raises:
        UserError: nobody can press it.
    """
    try:
        input(f"{text}, then press Enter ")
    except (EOFError, OSError, RuntimeError, ValueError):  # ended, unreadable, absent, closed
        raise UserError(
            "nobody answers on standard input: a person must do that at a terminal; no file was written"
        ) from None


def _open(servos: str, port: str, baud: int) -> "tuple[type[ServoDriver], SerialPort]":
    try:
        from simreal.deploy.drivers.servo import port as ports
        from simreal.deploy.drivers.servo.dynamixel import DynamixelDriver
        from simreal.deploy.drivers.servo.feetech import FeetechDriver
    except ModuleNotFoundError as error:
        raise missing_extra(str(error.name), "serial") from None
    kinds: dict[str, type[ServoDriver]] = {"feetech": FeetechDriver, "dynamixel": DynamixelDriver}
    return kinds[servos], ports.SerialPort(port, baud)
