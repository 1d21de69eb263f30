"""A common factor on all that is torque at a joint, which free motion cannot tell from a wrong mass."""

from dataclasses import dataclass

import numpy as np

from simreal.column_names import parameter_of, split_column
from simreal.identification.identify import Identification
from simreal.identification.joint_size import joint_of
from simreal.identification.unknowns import Unknown

DRIVES = ("motor_strength", "kp")
PASSIVE = ("joint_damping", "joint_frictionloss", "joint_armature", "joint_stiffness", "kd")
MASSES = ("mass", "payload_mass")
FEWEST = 2
"""Of the others, those that share the drive's factor, from which on it is no chance."""
ALIKE = 0.05
"""Share by which factors differ that count as one, and by which one differs from 1 that counts as 1."""
VAGUE = 0.1
"""Deviation of a factor, as a share of it, beyond which it agrees with anything."""


@dataclass(frozen=True, slots=True)
class TorqueScale:
    """Factors of one joint that are one.

    Attributes:
        joint: its name.
        names: of the unknowns.
        factor: of the drive, which the others share.
    """

    joint: str
    names: tuple[str, ...]
    factor: float

    def describe(self) -> str:
        """For people."""
        return (
            f"{self.joint}: {', '.join(self.names)} are all about {self.factor:.2g} times nominal: free "
            f"motion cannot tell such a common factor from a mass that is {1.0 / self.factor:.2g} times "
            "the model's. Is a mass wrong, by a payload perhaps? try --parameters mass"
        )


def torque_scales(found: Identification) -> list[TorqueScale]:
    """Of each joint whose drive, friction and rotor moved by one factor, while no mass was sought."""
    unknowns = found.best.fitted.simulator.unknowns
    if any(parameter_of(each.name) in MASSES for each in unknowns):
        return []
    robot = found.setup.robot.description
    by_joint: dict[str, list[int]] = {}
    for place, each in enumerate(unknowns):
        if parameter_of(each.name) in (*DRIVES, *PASSIVE) and each.operation == "scale":
            for column in each.columns:
                by_joint.setdefault(joint_of(robot, split_column(column)[1]), []).append(place)
    values, deviations = found.best.fitted.fit.values, found.deviations
    scales = (
        _common(joint, [(unknowns[i], float(values[i]), float(deviations[i])) for i in places])
        for joint, places in by_joint.items()
    )
    return [each for each in scales if each is not None]


def _common(joint: str, told: list[tuple[Unknown, float, float]]) -> TorqueScale | None:
    """The factor that the drive shares with enough of the others, if it is one that matters."""
    sure = [each for each in told if each[2] <= VAGUE * each[1]]
    drive = next((each for each in sure if parameter_of(each[0].name) in DRIVES), None)
    if drive is None or abs(drive[1] - 1.0) <= max(ALIKE, 2.0 * drive[2]):
        return None
    _, factor, deviation = drive
    alike = [
        unknown.name
        for unknown, value, own in sure
        if abs(value - factor) <= max(ALIKE * factor, 2.0 * np.hypot(own, deviation))
    ]
    return TorqueScale(joint, tuple(alike), factor) if len(alike) > FEWEST else None
