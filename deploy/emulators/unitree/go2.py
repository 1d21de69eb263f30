"""`simreal emulate go2`: a Unitree Go2 on DDS."""

import time

import click

from simreal.cli_types import errors
from simreal.deploy.emulators.body import Body
from simreal.deploy.emulators.fault_control import FaultControl
from simreal.deploy.emulators.faults import Faults
from simreal.deploy.emulators.options import Emulated, emulator_options
from simreal.deploy.emulators.unitree.codec import GoCodec
from simreal.deploy.emulators.unitree.dds import UnitreeServer
from simreal.deploy.emulators.unitree.robot import UnitreeRobot
from simreal.deploy.unitree.link import LARGEST_DOMAIN, refuse_interface
from simreal.deploy.unitree.messages import MESSAGES
from simreal.errors import UserError, nearest
from simreal.robots import load_robot
from simreal.signals import interrupt_flag

ROBOT, TASK = "go2", "go2_velocity"
RATE = 500.0
"""Hz, of its states and of the physics."""
NOMINAL_VOLTAGE = 28.8
"""V, of eight lithium cells."""


def make_go2(emulated: Emulated, controller: str = "") -> UnitreeRobot:
    """The robot; what happens to it is printed, with s of this machine's monotonic clock.

    Raises:
        UserError: no such task or parameter, or faults of drives that there are not.
    """
    task = emulated.task or TASK
    body = Body(ROBOT, emulated.parameters, emulated.seed, task, NOMINAL_VOLTAGE, RATE)
    config = load_robot(ROBOT).config
    robot = UnitreeRobot(
        body, GoCodec(), config.motor_index, config.safety.watchdog_ms, controller, tell
    )
    for fault in emulated.faults:
        if fault.device is not None and fault.device not in robot.names:
            near = nearest(fault.device, robot.names)
            raise UserError(f"--fault {fault.kind}:{fault.device}: no drive of that name: {near}")
    return robot


def tell(text: str) -> None:
    """Print what happens, with s of this machine's monotonic clock."""
    errors.print(f"{time.monotonic():.3f} {text}", soft_wrap=True, highlight=False)


@click.command("go2")
@click.option("--interface", default="lo", show_default=True, help="Network interface.")
@click.option(
    "--domain", type=click.IntRange(0, LARGEST_DOMAIN), default=0, show_default=True, help="Of DDS."
)
@click.option(
    "--controller",
    default="",
    metavar="NAME",
    help="A controller of the robot's own that is active at first, such as normal. Without one the "
    "robot stands until its first command.",
)
@emulator_options
def emulate(emulated: Emulated, interface: str, domain: int, controller: str) -> None:
    """A Unitree Go2: LowCmd and LowState on DDS, on the loopback interface by default.

    Then: simreal deploy go2_velocity --driver unitree:interface=lo
    """
    refuse_interface(interface, "emulate go2")
    robot = make_go2(emulated, controller)
    faults = Faults(emulated.faults, emulated.seed)
    with interrupt_flag() as interrupt:
        server = UnitreeServer(robot, MESSAGES["go"], interface, domain, faults)
        control = FaultControl(emulated.control, faults, robot.names) if emulated.control else None
        tell(f"an emulated go2 is on interface {interface}, domain {domain}; Ctrl-C ends it")
        try:
            server.serve(interrupt, control)
        finally:
            if control is not None:
                control.close()
            server.close()
    ignored = sum(robot.ignored.values())
    tell(f"{robot.obeyed} commands obeyed, {ignored} not {robot.ignored or ''}")
