"""Joint order and signs: somebody moves one joint after the other, and the right reading must follow."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from simreal.contract import RobotDescription
from simreal.deploy.drivers import Driver
from simreal.deploy.preflight.verdict import Finding
from simreal.state import FloatArray

MOVED = {"rad": 0.12, "m": 0.01}
"""How far a joint must go: more than what noise, play and a knock do."""
ALONG = 3.0
"""Times as far as that, another joint may go along."""
STILL_SPEED = {"rad": 0.1, "m": 0.01}
"""Below it in s⁻¹, a joint counts as at rest."""
STILL_TIME = 0.3
"""s for which all joints must be at rest before one is moved."""
PERIOD = 0.01
"""s between two looks; motors are told to be passive as often."""


class Hand(Protocol):
    """Whoever moves the joints: a person who is told to, or an emulated push."""

    def move(self, joint: int) -> None:
        """Begin to move a joint in its positive direction."""
        ...

    def look(self, joint: int, position: FloatArray, moved: FloatArray) -> bool:
        """See (joints,) readings, and how far each is from where it was; whether to go on."""
        ...

    def rest(self) -> None:
        """Leave the joint alone."""
        ...


@dataclass(frozen=True, slots=True)
class Wiggle:
    """What a joint's turn showed.

    Attributes:
        joint: that was to be moved.
        moved: which one moved, or None if none did.
        distance: rad or m by which that one did, with its sign.
    """

    joint: int
    moved: int | None
    distance: float

    @property
    def right(self) -> bool:
        """Whether the right joint moved in the right direction."""
        return self.moved == self.joint and self.distance > 0

    def describe(self, robot: RobotDescription) -> str:
        """What is wrong, or that nothing is."""
        name = robot.joint_names[self.joint]
        if self.moved is None:
            return f"{name}: no joint moved"
        unit = robot.joints[self.moved].unit
        if self.moved != self.joint:
            other = robot.joint_names[self.moved]
            return f"{name}: {other} moved instead, by {self.distance:+.2f} {unit}: wrong joint order"
        if self.distance < 0:
            return f"{name}: moved by {self.distance:+.2f} {unit}: wrong sign"
        return f"{name}: {self.distance:+.2f} {unit}"


def mover(moved: FloatArray, joint: int, robot: RobotDescription) -> int | None:
    """Which joint is being moved, once that is plain.

    A limp arm's other joints sag while one is moved: they count only if they go far, and the one that
    was to be moved does not.

    Args:
        moved: (joints,) distance from where each was at rest.
        joint: that was to be moved.
        robot: for the units of the joints.
    """
    share = np.nan_to_num(np.abs(moved) / [MOVED[each.unit] for each in robot.joints])
    farthest = int(np.argmax(share))
    if share[joint] >= 1.0 and share[joint] >= share[farthest] / ALONG:
        return joint
    return farthest if share[farthest] >= ALONG and share[joint] < 0.5 else None


def wiggle_joints(
    driver: Driver, robot: RobotDescription, hand: Hand, patience: float
) -> Iterator[Wiggle]:
    """Let each joint be moved in turn, motors passive.

    Args:
        driver: connected.
        robot: what the policy takes it for.
        hand: moves the joints.
        patience: s for each joint.

    Raises:
        DriverError: the robot is lost.
    """
    for joint in range(len(robot.joints)):
        start = _at_rest(driver, robot, patience)
        hand.move(joint)
        try:
            yield _turn(driver, robot, hand, joint, start, patience)
        finally:
            hand.rest()


def _turn(
    driver: Driver, robot: RobotDescription, hand: Hand, joint: int, start: FloatArray, patience: float
) -> Wiggle:
    for position in _readings(driver, patience):
        moved = position - start
        if not hand.look(joint, position, moved):
            break
        found = mover(moved, joint, robot)
        if found is not None:
            return Wiggle(joint, found, float(moved[found]))
    return Wiggle(joint, None, 0.0)


def _at_rest(driver: Driver, robot: RobotDescription, patience: float) -> FloatArray:
    """Wait until all joints are still, or give up waiting; (joints,) where they are then."""
    slow = STILL_TIME * np.array([STILL_SPEED[joint.unit] for joint in robot.joints])
    before, since = None, time.monotonic()
    for position in _readings(driver, patience):
        if before is None or np.any(np.abs(position - before) > slow):
            before, since = position, time.monotonic()
        elif time.monotonic() - since > STILL_TIME:
            return position
    return driver.read().joint_position.copy()


def _readings(driver: Driver, seconds: float) -> Iterator[FloatArray]:
    """(joints,) positions, looked at each `PERIOD`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        driver.off()
        time.sleep(PERIOD)
        yield driver.read().joint_position.copy()


def order_and_signs(
    driver: Driver,
    robot: RobotDescription,
    hand: Hand | None,
    patience: float,
    tell: Callable[[str], object],
) -> Finding:
    """The check: every joint by hand; without one, nothing is known."""
    check = "joint order and signs"
    if hand is None:
        return Finding(check, "not checked", "nobody was there to move the joints")
    found = []
    for wiggle in wiggle_joints(driver, robot, hand, patience):
        tell(wiggle.describe(robot))
        found.append(wiggle)
    wrong = [wiggle.describe(robot) for wiggle in found if not wiggle.right]
    numbers = {robot.joint_names[each.joint]: each.distance for each in found if each.right}
    if any(each.moved is not None and not each.right for each in found):
        return Finding(check, "fail", "; ".join(wrong), numbers)
    if wrong:
        return Finding(check, "not checked", "; ".join(wrong), numbers)
    return Finding(check, "pass", f"each of {len(found)} joints by hand", numbers)
