"""Guides a person through the calibration of an arm of servos, and writes what was found into a file.

The person's hands move the arm; what to do next is said, and waited for, by a function that is given: no
call here reads a keyboard.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from simreal.contract import Joint, RobotDescription
from simreal.deploy.drivers.driver import DriverError
from simreal.deploy.drivers.servo import dynamixel_table
from simreal.deploy.drivers.servo.bus import ServoBus
from simreal.deploy.drivers.servo.calibration import (
    COUNTS,
    LAST_ID,
    STEP,
    Calibration,
    JointCalibration,
    refuse_endless,
    refuse_other_drives,
)
from simreal.deploy.drivers.servo.driver import ServoDriver
from simreal.deploy.drivers.servo.feetech_table import MULTI_TURN
from simreal.errors import UserError

Ask = Callable[[str], None]
"""Tells a person what to do, and returns when it is done."""
MIDDLE = COUNTS // 2
STILL = 40
"""Counts by which a joint that is held may move between two looks."""
SETTLING = 0.05
"""s, in which a servo measures anew."""
LEAST_SHARE, MOST_SHARE = 0.6, 1.25
"""Of the range that the robot's description gives: what was found beyond is a mistake."""
NOT_MOVED = 0.1
"""rad from end to end."""
PATIENCE = 3
"""So many times a person is asked for the ends of a joint."""
GRIPPER_TORQUE = 0.5
"""Of the full duty, as lerobot has it."""


def calibrate(kind: type[ServoDriver], robot: RobotDescription, bus: ServoBus, ask: Ask) -> Calibration:
    """Home all servos, find their ranges, and let them keep both.

    Joints are numbered from 1, as their servos' ids must be. A joint whose ends cannot be right is
    asked for again, and what was found of others stays.

    Args:
        kind: the driver that will use it.
        robot: what is calibrated.
        bus: on which the servos are.
        ask: says what to do.

    Raises:
        DriverError: a servo does not answer, or does not take what is written.
        UserError: a servo is of an unknown kind, a joint of the robot slides or has no range, or the
            ranges that are found cannot be.
    """
    refuse_other_drives(robot)
    refuse_endless(robot)
    home = {"feetech": _home_feetech, "dynamixel": _home_dynamixel}[kind.protocol]
    helper = _Servos(kind, bus)
    ids = {joint.name: number for number, joint in enumerate(robot.joints, 1)}
    helper.refuse_missing(ids)
    models = {name: helper.model(name, servo) for name, servo in ids.items()}
    for name, servo in ids.items():
        helper.set(name, servo, "torque_enable", 0)
    ask("Hold the arm. Move every joint to about the middle of its range")
    offsets = {name: home(helper, name, servo) for name, servo in ids.items()}
    joints = {}
    for joint in robot.joints:
        servo = ids[joint.name]
        identity = {"id": servo, "model": models[joint.name]}
        ends = _likely_ends(helper, joint, servo, ask)
        joints[joint.name] = _calibrated(kind, joint, ends, identity, offsets[joint.name])
        helper.keep_range(joint.name, servo, joints[joint.name])
    found = {
        name: entry.model_copy(update={"firmware": helper.firmware(name, ids[name])})
        for name, entry in joints.items()
    }
    return Calibration(robot=robot.name, protocol=kind.protocol, joints=found)


class _Servos:
    """Reads and writes that name the joint when they fail."""

    def __init__(self, kind: type[ServoDriver], bus: ServoBus) -> None:
        self._kind, self._bus = kind, bus
        self._registers = kind.registers

    def get(self, joint: str, servo: int, name: str) -> int:
        number = self._bus.read(servo, self._registers[name])
        if number is None:
            raise DriverError(f"joint {joint}: no answer from id {servo}")
        return number

    def refuse_missing(self, ids: Mapping[str, int]) -> None:
        """All of them, by joint, before a person is asked for anything."""
        silent = {name: servo for name, servo in ids.items() if not self._bus.ping(servo)}
        if silent:
            found = {name: servo for name, servo in ids.items() if name not in silent}
            raise DriverError(
                f"no answer from {_listed(silent)}"
                + (
                    f"; found {_listed(found)}: is it another robot, or are ids to be given first "
                    "(--assign-ids)?"
                    if found
                    else ": do the servos have power, and is this their bus?"
                )
            )

    def set(self, joint: str, servo: int, name: str, number: int) -> None:
        if not self._bus.write(servo, self._registers[name], number):
            raise DriverError(f"joint {joint} (id {servo}): {name} cannot be set to {number}")

    def position(self, joint: str, servo: int) -> int:
        """Where it is, measured after all that was written into it."""
        self._bus.protocol.port.wait(SETTLING)
        return self.get(joint, servo, "present_position")

    def refuse_off_middle(self, joint: str, servo: int) -> None:
        count = self.position(joint, servo)
        if abs(count - MIDDLE) > STILL:
            raise DriverError(
                f"joint {joint} (id {servo}): homed, it reads {count}, not about {MIDDLE}: was it moved?"
            )

    def model(self, joint: str, servo: int) -> int:
        number = self.get(joint, servo, "model_number")
        if number not in self._kind.models:
            known = ", ".join(f"{each.name} ({each.number})" for each in self._kind.models.values())
            raise UserError(f"joint {joint} (id {servo}): model {number} is not known here: {known}")
        return number

    def firmware(self, joint: str, servo: int) -> str:
        version = self._kind.read_firmware(self._bus, servo)
        if version is None:
            raise DriverError(f"joint {joint}: no answer from id {servo}")
        return version

    def number(self, joint: str, servo: int, wanted: int) -> None:
        """Give a servo another id."""
        self.set(joint, servo, "torque_enable", 0)
        if "lock" in self._registers:
            self.set(joint, servo, "lock", 0)
        if servo != wanted:
            # It answers as one or as the other: asked for by its new id, it tells that it has it.
            register = self._registers["id"]
            self._bus.protocol.write(servo, register.address, register.encode(wanted))
            self._bus.protocol.receive()
        if self.get(joint, wanted, "id") != wanted:
            raise DriverError(f"joint {joint}: id {servo} does not become {wanted}")
        if "lock" in self._registers:
            self.set(joint, wanted, "lock", 1)

    def keep_range(self, joint: str, servo: int, entry: JointCalibration) -> None:
        unlocked = "lock" in self._registers
        if unlocked:
            self.set(joint, servo, "lock", 0)
        self.set(joint, servo, "lowest_position", entry.lowest)
        self.set(joint, servo, "highest_position", entry.highest)
        if unlocked:
            self.set(joint, servo, "lock", 1)


def _home_feetech(servos: _Servos, joint: str, servo: int) -> int:
    """Position mode, one turn, and the offset that makes here the middle; present = actual - offset."""
    servos.set(joint, servo, "lock", 0)
    phase = servos.get(joint, servo, "phase")
    for name, number in (
        ("mode", 0),
        ("phase", phase & ~MULTI_TURN),
        ("homing_offset", 0),
        ("lowest_position", 0),
        ("highest_position", COUNTS - 1),
    ):
        servos.set(joint, servo, name, number)
    offset = max(1 - MIDDLE, servos.position(joint, servo) - MIDDLE)
    servos.set(joint, servo, "homing_offset", offset)
    servos.set(joint, servo, "lock", 1)
    servos.refuse_off_middle(joint, servo)
    return offset


def _home_dynamixel(servos: _Servos, joint: str, servo: int) -> int:
    """The same; present = actual + offset, and nothing is locked while power is off."""
    for name, number in (
        ("drive_mode", 0),
        ("mode", dynamixel_table.POSITION_MODE),
        ("homing_offset", 0),
        ("lowest_position", 0),
        ("highest_position", COUNTS - 1),
    ):
        servos.set(joint, servo, name, number)
    offset = MIDDLE - servos.position(joint, servo)
    servos.set(joint, servo, "homing_offset", offset)
    servos.refuse_off_middle(joint, servo)
    return offset


def _listed(ids: Mapping[str, int]) -> str:
    return ", ".join(f"{name} (id {servo})" for name, servo in ids.items())


def _likely_ends(servos: _Servos, joint: Joint, servo: int, ask: Ask) -> tuple[int, int]:
    """Counts at the two ends, asked for until they can be right, or for the last time."""
    ends = _ask_ends(servos, joint, servo, ask, "")
    for _ in range(PATIENCE - 1):
        wrong = _objection(joint, ends)
        if wrong is None:
            break
        ends = _ask_ends(servos, joint, servo, ask, f"{joint.name}: {wrong}. Once more: ")
    return ends


def _objection(joint: Joint, ends: tuple[int, int]) -> str | None:
    """Why the counts at two ends cannot be those of a joint."""
    assert joint.lower is not None and joint.upper is not None
    found, expected = abs(ends[1] - ends[0]) * STEP, joint.upper - joint.lower
    if found < NOT_MOVED:
        return f"it was not moved: {found:.2f} rad from end to end, {expected:.2f} were expected"
    if not LEAST_SHARE * expected < found < MOST_SHARE * expected:
        return f"it moved by {found:.2f} rad from end to end, {expected:.2f} were expected"
    return None


def _ask_ends(servos: _Servos, joint: Joint, servo: int, ask: Ask, before: str) -> tuple[int, int]:
    """Counts at the lower and the upper end."""
    ends = []
    for word, angle in (("lower", joint.lower), ("upper", joint.upper)):
        first = before if word == "lower" else ""
        there = f"to its {word} end, where it is at {angle:+.2f} rad, and hold it there"
        ask(f"{first}Move {joint.name} {there}")
        ends.append(servos.position(joint.name, servo))
    return ends[0], ends[1]


def _calibrated(
    kind: type[ServoDriver],
    joint: Joint,
    ends: tuple[int, int],
    identity: Mapping[str, int],
    offset: int,
) -> JointCalibration:
    """The middle of the range that was found is that of the range that the description gives."""
    assert joint.lower is not None and joint.upper is not None
    wrong = _objection(joint, ends)
    if wrong is not None:
        moved = abs(ends[1] - ends[0]) * STEP >= NOT_MOVED
        seam = ": did it cross the seam of its encoder? Begin again, with every joint in the middle"
        raise UserError(f"joint {joint.name}: {wrong}{seam * moved}")
    direction = 1 if ends[1] > ends[0] else -1
    zero = 0.5 * (ends[0] + ends[1]) - direction * 0.5 * (joint.lower + joint.upper) / STEP
    return JointCalibration.model_validate(
        {
            **identity,
            "firmware": "",
            "homing_offset": offset,
            "lowest": min(ends),
            "highest": max(ends),
            "zero": zero,
            "direction": direction,
            "torque": GRIPPER_TORQUE if joint.name == "gripper" else 1.0,
        }
    )


def assign_ids(kind: type[ServoDriver], robot: RobotDescription, bus: ServoBus, ask: Ask) -> None:
    """Number servos that are all new, and so all have the same id, one after the other.

    Raises:
        DriverError: not exactly one servo answers, or it does not take its id.
    """
    servos = _Servos(kind, bus)
    for number, joint in reversed(list(enumerate(robot.joints, 1))):
        ask(f"Connect the servo of {joint.name} and no other one")
        found = [servo for servo in range(LAST_ID + 1) if bus.ping(servo, tries=1)]
        if len(found) != 1:
            raise DriverError(f"joint {joint.name}: one servo was expected, {len(found)} answer")
        servos.number(joint.name, found[0], number)


def from_lerobot(
    path: Path, kind: type[ServoDriver], robot: RobotDescription, bus: ServoBus
) -> Calibration:
    """Take over a calibration that lerobot has made and written into the servos.

    Args:
        path: its JSON file: joint to id, drive_mode, homing_offset, range_min and range_max.
        kind: the driver that will use it.
        robot: what it is of.
        bus: on which the servos are; only read.

    Raises:
        DriverError: a servo does not answer.
        UserError: the file is none, or is not of the servos on the bus, or a joint of the robot slides.
    """
    refuse_other_drives(robot)
    helper, joints = _Servos(kind, bus), {}
    content = _read_lerobot(path, robot)
    for joint in robot.joints:
        entry = content[joint.name]
        servo, low, high = entry["id"], entry["range_min"], entry["range_max"]
        if high - low >= COUNTS - 1:  # a joint that turns all round: lerobot's wrist_roll
            assert joint.lower is not None and joint.upper is not None
            low, high = (round(MIDDLE - 1 + end / STEP) for end in (joint.lower, joint.upper))
        ends = (high, low) if entry["drive_mode"] else (low, high)
        identity = {"id": servo, "model": helper.model(joint.name, servo)}
        calibrated = _calibrated(kind, joint, ends, identity, entry["homing_offset"])
        kept = {
            name: helper.get(joint.name, servo, register)
            for name, register in (
                ("homing_offset", "homing_offset"),
                ("lowest", "lowest_position"),
                ("highest", "highest_position"),
            )
        }
        if kept["homing_offset"] != entry["homing_offset"]:
            raise UserError(
                f"{path}: joint {joint.name}: the servo's homing offset is {kept['homing_offset']}, not "
                f"{entry['homing_offset']}: the file is of another arm, or older than it"
            )
        joints[joint.name] = calibrated.model_copy(
            update=kept | {"firmware": helper.firmware(joint.name, servo)}
        )
    return Calibration(robot=robot.name, protocol=kind.protocol, joints=joints)


LEROBOT_KEYS = ("id", "drive_mode", "homing_offset", "range_min", "range_max")


def _read_lerobot(path: Path, robot: RobotDescription) -> dict[str, dict[str, int]]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected joints by their names")
    for name in robot.joint_names:
        entry = content.get(name)
        numbers = [entry.get(key) for key in LEROBOT_KEYS] if isinstance(entry, dict) else [None]
        if not all(isinstance(number, int) for number in numbers):
            raise UserError(f"{path}: joint {name}: expected {', '.join(LEROBOT_KEYS)}")
    return content
