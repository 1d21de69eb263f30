"""Joint order and signs: somebody moves one joint after the other, and the right reading must follow.

Joints drag each other along: a limp arm's sag, a pendulum kicks its arm. So distances are compared in
shares of what counts as moved; where two joints moved together nobody is accused, the person is asked
again, to hold the other one still; and an accusation stands only if a second turn says the same.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from simreal.callbacks import Tell
from simreal.contract import RobotDescription
from simreal.deploy.drivers import Driver
from simreal.deploy.preflight.verdict import Finding
from simreal.state import FloatArray

MOVED = {"rad": 0.12, "m": 0.01}
"""How far a joint must go: more than what noise, play and a knock do."""
ALONG = 3.0
"""Times as far as that, another joint may go along before the turn is over."""
ALONE = 0.5
"""Of the share of the joint that moved most: below it, another one counts as at rest."""
TURNS = 3
"""Of one joint, until it is given up."""
STILL_SPEED = {"rad": 0.1, "m": 0.01}
"""Below it in s⁻¹, a joint counts as at rest."""
STILL_TIME = 0.3
"""s for which all joints must be at rest before one is moved."""
PERIOD = 0.01
"""s between two looks; motors are told to be passive as often."""


class Hand(Protocol):
    """Whoever moves the joints: a person who is told to, or an emulated push."""

    def move(self, joint: int, still: int | None) -> None:
        """Begin to move a joint in its positive direction.

        Args:
            joint: to move.
            still: to hold still meanwhile: it moved together with the other one before.
        """
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
        moved: which one moved most, by its share, or None if none did.
        distance: rad or m by which that one did, with its sign.
        along: another that moved with it, so far that one cannot tell who moved whom; or None.
        confirmed: whether another turn has shown the same.
    """

    joint: int
    moved: int | None
    distance: float
    along: int | None = None
    confirmed: bool = False

    @property
    def right(self) -> bool:
        """Whether the right joint moved most, and in the right direction."""
        return self.moved == self.joint and self.distance > 0

    @property
    def accuses(self) -> bool:
        """Whether another joint moved, alone, or the right one the wrong way."""
        return self.moved is not None and not self.right and self.along is None

    def says_the_same(self, other: "Wiggle") -> bool:
        """Whether both accuse, of the same motion."""
        same = self.moved == other.moved and self.distance * other.distance > 0
        return same and self.accuses and other.accuses

    def describe(self, robot: RobotDescription) -> str:
        """What is wrong, or that nothing is."""
        name = robot.joint_names[self.joint]
        if self.moved is None:
            return f"{name}: no joint moved; is it at the end of its travel?"
        other, unit = robot.joint_names[self.moved], robot.joints[self.moved].unit
        distance = f"{self.distance:+.2f} {unit}"
        if self.right:
            return f"{name}: {distance}"
        if self.along is not None:
            beside = robot.joint_names[self.along]
            return (
                f"{name}: {other} moved most, by {distance}, and {beside} with it: "
                "who moved whom cannot be told"
            )
        if self.moved != self.joint:
            return f"{name}: {other} moved instead, by {distance}: wrong joint order"
        return f"{name}: moved by {distance}: wrong sign"


def judge(moved: FloatArray, joint: int, robot: RobotDescription, late: bool = False) -> Wiggle | None:
    """What a turn shows, once that is plain.

    Args:
        moved: (joints,) distance from where each was at rest.
        joint: that was to be moved.
        robot: for the units of the joints.
        late: whether the turn is over: that another joint has moved most, if not far, is then told, and
            accuses nobody.
    """
    shares = np.nan_to_num(np.abs(moved) / [MOVED[each.unit] for each in robot.joints])
    first = int(np.argmax(shares))
    if shares[first] < (1.0 if first == joint or late else ALONG):
        return None
    distance = float(moved[first])
    if first == joint and distance > 0:
        return Wiggle(joint, first, distance)
    if first != joint:
        is_alone = shares[first] >= ALONG and shares[joint] < ALONE * shares[first]
        return Wiggle(joint, first, distance, None if is_alone else joint)
    others = np.where(np.arange(len(shares)) == joint, 0.0, shares)
    second = int(np.argmax(others))
    return Wiggle(joint, joint, distance, second if others[second] >= ALONE * shares[joint] else None)


def wiggle_joints(
    driver: Driver, robot: RobotDescription, hand: Hand, patience: float, tell: Tell
) -> Iterator[Wiggle]:
    """Let each joint be moved in turn, motors passive, again where a turn tells nothing for sure.

    Args:
        driver: connected.
        robot: what the policy takes it for.
        hand: moves the joints.
        patience: s for each turn.
        tell: hears why a joint is asked for again.

    Raises:
        DriverError: the robot is lost.
    """
    for joint in range(len(robot.joints)):
        before: Wiggle | None = None
        for turn in range(TURNS):
            found = _turn(driver, robot, hand, joint, before, patience)
            if found.right or found.moved is None:
                break
            if before is not None and found.says_the_same(before):
                found = replace(found, confirmed=True)
                break
            before = found
            if turn + 1 < TURNS:
                tell(f"{found.describe(robot)}; once more")
        yield found


def _turn(
    driver: Driver,
    robot: RobotDescription,
    hand: Hand,
    joint: int,
    before: Wiggle | None,
    patience: float,
) -> Wiggle:
    start = _at_rest(driver, robot, patience)
    still = None if before is None else before.moved if before.moved != joint else before.along
    hand.move(joint, still)
    moved = np.zeros(len(robot.joints))
    try:
        for position in _readings(driver, patience):
            moved = position - start
            if not hand.look(joint, position, moved):
                return Wiggle(joint, None, 0.0)
            found = judge(moved, joint, robot)
            if found is not None:
                return found
        return judge(moved, joint, robot, late=True) or Wiggle(joint, None, 0.0)
    finally:
        hand.rest()


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
    tell: Tell,
) -> Finding:
    """The check: every joint by hand; without one, nothing is known."""
    check = "joint order and signs"
    if hand is None:
        return Finding(check, "not checked", "nobody was there to move the joints")
    found = []
    for wiggle in wiggle_joints(driver, robot, hand, patience, tell):
        tell(wiggle.describe(robot))
        found.append(wiggle)
    wrong = [wiggle.describe(robot) for wiggle in found if not wiggle.right]
    numbers = {robot.joint_names[each.joint]: each.distance for each in found if each.right}
    if any(each.confirmed for each in found):
        return Finding(check, "fail", "; ".join(wrong), numbers)
    if wrong:
        return Finding(check, "not checked", "; ".join(wrong), numbers)
    return Finding(check, "pass", f"each of {len(found)} joints by hand", numbers)
