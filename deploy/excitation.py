"""Plays a recorded course of commands to a robot, so that the log tells what the robot is.

The loop takes it for a policy that looks at nothing: so the robot rises, is supervised, limited and
recorded as under any other.
"""

import hashlib
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from simreal.config import Config, parse, read_document
from simreal.contract import ActionMapping, Contract, ObservationTerm, Provenance, RobotDescription
from simreal.deploy.inference import Inference
from simreal.deploy.policy import GoldenMismatch, Policy
from simreal.errors import UserError, nearest
from simreal.observation import Float32Array
from simreal.robots import load_robot
from simreal.state import FloatArray

SMALLEST = 1e-6
"""Half of a course's width that an actuator's action must span at least."""


class Excitation(Config):
    """The file: where joints, or what their motors, shall go, row by row."""

    robot: str
    """Its name."""
    joints: tuple[str, ...] = Field(min_length=1)
    """Names, in the order of each row; the others stay in their default posture, or without command."""
    unit: str
    """Of the numbers: that of these joints' actuators, such as rad, V or N·m."""
    period: float = Field(gt=0.001, le=0.1)
    """s from one row to the next."""
    targets: tuple[tuple[float, ...], ...] = Field(min_length=2)
    """Rows of one number for each joint."""

    @model_validator(mode="after")
    def _rectangular(self) -> Self:
        if len(set(self.joints)) != len(self.joints):
            raise ValueError("joints: a name stands twice")
        for number, row in enumerate(self.targets):
            if len(row) != len(self.joints):
                raise ValueError(
                    f"targets: row {number} has {len(row)} numbers for {len(self.joints)} joints"
                )
        return self

    @property
    def duration(self) -> float:
        """Its length in s."""
        return self.period * len(self.targets)


class ExcitationPolicy(Policy):
    """What the loop runs: the excitation's rows as actions, whatever is observed.

    Attributes:
        duration: s.
    """

    def __init__(self, excitation: Excitation, digest: str, source: str) -> None:
        """Hold an excitation against the robot that it is for.

        Raises:
            UserError: another joint, another unit, or beyond the limits of the robot.
        """
        robot = load_robot(excitation.robot).description
        targets = full_targets(excitation, robot, source)
        _refuse_too_fast(excitation, robot, source)
        low, high = targets.min(axis=0), targets.max(axis=0)
        offset, scale = 0.5 * (low + high), np.maximum(0.5 * (high - low), SMALLEST)
        self._actions = ((targets - offset) / scale).astype(np.float32)
        self.duration, self.digest, self.experiment = excitation.duration, digest, None
        self.contract = Contract(
            robot=robot,
            control_rate=1.0 / excitation.period,
            observation=(ObservationTerm(source="joint_position"),),
            action=ActionMapping(scale=tuple(scale.tolist()), offset=tuple(offset.tolist())),
            provenance=Provenance(
                task="excitation", agent="none", seed=0, training_steps=0, versions={}
            ),
        )

    def golden_mismatch(self) -> GoldenMismatch | None:
        """None: there is no graph that could compute otherwise here."""
        return None

    def warmed_up(self) -> Inference:
        """What gives row after row."""
        return Player(self._actions)


class Player(Inference):
    """Gives the rows of an excitation one by one, and the last one when they are over."""

    def __init__(self, actions: Float32Array) -> None:
        self._actions, self._row = actions, 0

    def begin(self) -> None:
        """From the first row."""
        self._row = 0

    def __call__(self, observation: Float32Array) -> Float32Array:
        """(actuators,) the next row."""
        row: Float32Array = self._actions[min(self._row, len(self._actions) - 1)]
        self._row += 1
        return row


def full_targets(excitation: Excitation, robot: RobotDescription, source: str) -> FloatArray:
    """(rows, actuators) what every actuator of the robot is told.

    Raises:
        UserError: no actuator drives a joint, its unit is another one, or a target is out of its range.
    """
    driven = {actuator.joint: place for place, actuator in enumerate(robot.actuators)}
    default = dict(zip(robot.joint_names, robot.default_position, strict=True))
    rest = [default[a.joint] if a.command == "position" else 0.0 for a in robot.actuators]
    targets = np.tile(np.array(rest), (len(excitation.targets), 1))
    for column, joint in enumerate(excitation.joints):
        if joint not in driven:
            raise UserError(f"{source}: no actuator drives {joint!r}: {nearest(joint, driven)}")
        actuator = robot.actuators[driven[joint]]
        if actuator.unit != excitation.unit:
            raise UserError(
                f"{source}: joint {joint} takes {actuator.unit}, the excitation is in {excitation.unit}"
            )
        values = np.array([row[column] for row in excitation.targets])
        beyond = (values < actuator.lower) | (values > actuator.upper)
        if beyond.any():
            row = int(np.argmax(beyond))
            raise UserError(
                f"{source}: joint {joint} goes to {values[row]:g} {actuator.unit} in row {row}, outside "
                f"{actuator.lower:g} to {actuator.upper:g}"
            )
        targets[:, driven[joint]] = values
    return targets


def _refuse_too_fast(excitation: Excitation, robot: RobotDescription, source: str) -> None:
    joints = dict(zip(robot.joint_names, robot.joints, strict=True))
    positions = {each.joint for each in robot.actuators if each.command == "position"}
    speeds = np.abs(np.diff(np.array(excitation.targets), axis=0)).max(axis=0) / excitation.period
    for joint, speed in zip(excitation.joints, speeds, strict=True):
        limit = joints[joint].velocity_limit
        if joint in positions and limit is not None and speed > limit:
            raise UserError(
                f"{source}: joint {joint} would move at {speed:.3g} {joints[joint].unit}/s, faster than "
                f"its {limit:g}"
            )


def load_excitation(path: Path) -> ExcitationPolicy:
    """Read an excitation file, YAML, for the robot that it names.

    Raises:
        UserError: no such file, or a fault in it, with file and line.
    """
    document = read_document(path)
    excitation = parse(Excitation, document.data, document)
    return ExcitationPolicy(excitation, hashlib.sha256(path.read_bytes()).hexdigest(), str(path))
