"""Makes an arm of emulated servos of what was said on the command line, and serves it."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
import numpy as np

from simreal.cli_types import PATH, errors
from simreal.deploy.drivers.servo.calibration import (
    Calibration,
    refuse_endless,
    refuse_other_drives,
    write_calibration,
)
from simreal.deploy.emulators.body import Body
from simreal.deploy.emulators.fault_control import FaultControl
from simreal.deploy.emulators.faults import Faults
from simreal.deploy.emulators.options import Emulated
from simreal.deploy.emulators.servo.arm import NOMINAL_VOLTAGE, Emulator, Line, PseudoTerminal, ServoArm
from simreal.deploy.emulators.servo.servo import EmulatedServo, Shaft
from simreal.errors import UserError, nearest
from simreal.robots import load_robot
from simreal.signals import interrupt_flag

Servo = TypeVar("Servo", bound=EmulatedServo)
ProtocolName = Literal["feetech", "dynamixel"]


def servo_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options of emulators on a serial port to a command."""
    port = click.option(
        "--port", type=PATH, required=True, help="Where to link the pseudo-terminal, such as /tmp/so101."
    )
    calibration = click.option(
        "--write-calibration", type=PATH, metavar="FILE", help="Write the calibration of this arm."
    )
    robot = click.option(
        "--robot", default="so101", show_default=True, help="Any of position servos, one for each joint."
    )
    return robot(port(calibration(function)))


def make_arm(
    robot: str, emulated: Emulated, make: Callable[[str, int, Shaft, float], Servo]
) -> tuple[ServoArm, list[Servo]]:
    """A robot with servos of a kind, numbered in the order of its joints and mounted as chance has it.

    Raises:
        UserError: no such robot, task or parameter, or a robot that such servos do not drive.
    """
    description = load_robot(robot).description
    refuse_other_drives(description)
    refuse_endless(description)
    body = Body(robot, emulated.parameters, emulated.seed, emulated.task, NOMINAL_VOLTAGE)
    zeros = np.random.default_rng(emulated.seed).integers(1, 4096, len(body.joints))
    servos = [
        make(name, number, Shaft(int(zero), 1), NOMINAL_VOLTAGE)
        for number, (name, zero) in enumerate(zip(description.joint_names, zeros, strict=True), 1)
    ]
    return ServoArm(body, servos), servos


def fit(arm: ServoArm, protocol: ProtocolName) -> Calibration:
    """Calibrate the servos of an arm, as its owner did."""
    entries: dict[str, Any] = {}
    for servo, joint in zip(arm.servos, arm.body.description.joints, strict=True):
        assert joint.lower is not None and joint.upper is not None
        entries[servo.name] = servo.fit(joint.lower, joint.upper)
    robot = arm.body.description.name
    return Calibration.model_validate({"robot": robot, "protocol": protocol, "joints": entries})


def run(
    arm: ServoArm,
    line: Line,
    emulated: Emulated,
    port: Path,
    calibration: tuple[Path | None, Calibration],
) -> None:
    """Serve an arm until SIGINT or SIGTERM."""
    faults = Faults(emulated.faults, emulated.seed)
    refuse_unknown_devices(emulated, arm.names)
    path, content = calibration
    if path is not None:
        write_calibration(path, content)
    with ExitStack() as stack:
        interrupt = stack.enter_context(interrupt_flag())
        terminal = stack.enter_context(PseudoTerminal(port))
        control = None
        if emulated.control is not None:
            control = stack.enter_context(FaultControl(emulated.control, faults, arm.names))
        name = arm.body.description.name
        errors.print(f"an emulated {name} is at {port}; Ctrl-C ends it", soft_wrap=True)
        Emulator(arm, line, faults).serve(terminal, control, interrupt)


def refuse_unknown_devices(emulated: Emulated, names: Sequence[str]) -> None:
    """Refuse faults of joints that there are not.

    Raises:
        UserError: one is.
    """
    for fault in emulated.faults:
        if fault.device is not None and fault.device not in names:
            near = nearest(fault.device, names)
            raise UserError(f"--fault {fault.kind}:{fault.device}: no joint of that name: {near}")
