"""How large a joint and its drive are: what bounds for a joint of some N·m are made for."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from simreal.contract import RobotDescription
from simreal.randomization.world import World

Scale = Literal["one", "travel", "torque", "stiffness", "inertia"]
"""What a number of a joint grows with: with nothing, the way it goes, the torque or force of its drive,
that by rad or m (a spring's, a damper's), or the inertia that it moves."""
TORQUE = 10.0
"""N·m of the drive that default bounds are made for."""
INERTIA = 0.01
"""kg·m² of a joint whose rotor is looked for up to ten times that."""
FREE_TRAVEL = 0.5
"""m of a slide without ends."""


@dataclass(frozen=True)
class JointSize:
    """A joint's size beside that of the one that default bounds are made for, which turns.

    Attributes:
        world: of the robot.
        joint: its name.
    """

    world: World
    joint: str

    def of(self, scale: Scale) -> float:
        """By what a number that grows with that is larger, in the units of the joint."""
        match scale:
            case "travel":
                return self.travel
            case "torque":
                return self.torque
            case "stiffness":
                return self.torque / self.travel
            case "inertia":
                # A rotor behind a gear may weigh far more than the link that it turns.
                return max(self.torque / self.travel, self._inertia / INERTIA)
        return 1.0

    @cached_property
    def travel(self) -> float:
        """What stands for a radian; of a slide, in m, the share of its way that one is of a turn."""
        return _travel(self.world, self.joint)

    @cached_property
    def torque(self) -> float:
        """Largest torque or force of its own actuator, in units of 10 N·m or N.

        Of a joint that none drives: what does as much work as the robot's weakest does.
        """
        own, works = 0.0, []
        for each, largest in zip(
            self.world.robot.actuators, self.world.actuation.stall_torque, strict=True
        ):
            works.append(float(largest) * _travel(self.world, each.joint))
            own += float(largest) if each.joint == self.joint else 0.0
        return (own or min(works) / self.travel) / TORQUE

    @cached_property
    def _inertia(self) -> float:
        """kg·m² or kg in the model's zero posture, without its rotor's."""
        model = self.world.physics.model
        place = int(model.joint(self.joint).dofadr[0])
        return float(model.dof_M0[place] - model.dof_armature[place])


def joint_of(robot: RobotDescription, part: str) -> str:
    """The joint that a part is, or drives."""
    driven = (each.joint for each in robot.actuators if each.name == part)
    return part if part in robot.joint_names else next(driven)


def _travel(world: World, joint: str) -> float:
    found = next(each for each in world.robot.joints if each.name == joint)
    if found.unit == "rad":
        return 1.0
    way = FREE_TRAVEL
    if found.lower is not None and found.upper is not None:
        way = found.upper - found.lower
    return way / (2.0 * np.pi)
