"""Plays a recorded course of commands to a robot, so that the log tells what the robot is.

The loop takes it for a policy that looks at nothing: so the robot rises, is supervised, limited and
recorded as under any other.
"""

from pathlib import Path

import numpy as np

from simreal.contract import ActionMapping, Contract, ObservationTerm, Provenance, RobotDescription
from simreal.deploy.policy import GoldenMismatch
from simreal.errors import UserError
from simreal.excitation_file import Excitation, read_excitation
from simreal.files import digest
from simreal.images import NO_IMAGES, Images
from simreal.observation import Float32Array
from simreal.robots import load_robot

SMALLEST = 1e-6
"""Half of a course's width that an actuator's action must span at least."""


class PlayedExcitation:
    """What the loop runs, a `Runnable`: the excitation's rows as actions, whatever is observed.

    Attributes:
        contract: its robot, rate and commands.
        digest: SHA-256 of its file, in hexadecimal digits.
        duration: s.
    """

    def __init__(self, excitation: Excitation, digest: str, source: str) -> None:
        """Hold an excitation against the robot that it is for.

        Raises:
            UserError: another joint, another unit, or beyond the limits of the robot.
        """
        robot = load_robot(excitation.robot).description
        try:
            excitation.refuse_unfit(robot)
            _refuse_too_fast(excitation, robot)
        except UserError as error:
            raise UserError(f"{source}: {error}") from None
        targets = excitation.commands
        low, high = targets.min(axis=0), targets.max(axis=0)
        offset, scale = 0.5 * (low + high), np.maximum(0.5 * (high - low), SMALLEST)
        self._actions = ((targets - offset) / scale).astype(np.float32)
        self.duration, self.digest = excitation.duration, digest
        self.contract = Contract(
            robot=robot,
            control_rate=excitation.rate,
            observation=(ObservationTerm(source="joint_position"),),
            action=ActionMapping(scale=tuple(scale.tolist()), offset=tuple(offset.tolist())),
            provenance=Provenance(
                task="excitation", agent="none", seed=0, training_steps=0, versions={}
            ),
        )

    def golden_mismatch(self) -> GoldenMismatch | None:
        """None: there is no graph that could compute otherwise here."""
        return None

    def warmed_up(self) -> "Player":
        """What gives row after row."""
        return Player(self._actions)


class Player:
    """Gives the rows of an excitation one by one, and the last one when they are over."""

    def __init__(self, actions: Float32Array) -> None:
        self._actions, self._row = actions, 0

    def begin(self) -> None:
        """From the first row."""
        self._row = 0

    def __call__(self, observation: Float32Array, images: Images = NO_IMAGES) -> Float32Array:
        """(actuators,) the next row."""
        row: Float32Array = self._actions[min(self._row, len(self._actions) - 1)]
        self._row += 1
        return row


def _refuse_too_fast(excitation: Excitation, robot: RobotDescription) -> None:
    joints = dict(zip(robot.joint_names, robot.joints, strict=True))
    speeds = np.abs(np.diff(excitation.commands, axis=0)).max(axis=0) * excitation.rate
    for actuator, speed in zip(robot.actuators, speeds, strict=True):
        joint = joints[actuator.joint]
        limit = np.inf if joint.velocity_limit is None else joint.velocity_limit
        if actuator.command == "position" and speed > limit:
            raise UserError(
                f"joint {joint.name} would move at {speed:.3g} {joint.unit}/s, faster than its {limit:g}"
            )


def load_excitation(path: Path) -> PlayedExcitation:
    """Read an excitation file, as `simreal design` writes it, for the robot that it names.

    Raises:
        UserError: no such file, or a fault in it, with file and line.
    """
    return PlayedExcitation(read_excitation(path), digest(path) if path.is_file() else "", str(path))
