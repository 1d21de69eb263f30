"""Logs as lessons for a residual model: what the networks see, and the torque that the model lacked."""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.adapt.residual_simulator import ResidualSimulator, sent_commands
from simreal.errors import UserError
from simreal.identification.recording import Recording
from simreal.identification.simulator import Setup
from simreal.identification.unknowns import Asked
from simreal.identification.windows import Windows
from simreal.randomization.drives import make_drives
from simreal.randomization.residual import ResidualModel
from simreal.state import FloatArray

SMOOTHING = 0.03
"""s to either side of a moment, through whose positions a cubic is laid."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """Moments of some recordings.

    Attributes:
        features: (n, features) what the networks see.
        torque: (n, outputs) N·m or N, that the model lacked.
        source: (n,) index of the recording.
    """

    features: FloatArray
    torque: FloatArray
    source: NDArray[np.int64]

    def of(self, sources: Sequence[int]) -> "Lessons":
        """Those of some recordings."""
        keep = np.isin(self.source, sources)
        return Lessons(self.features[keep], self.torque[keep], self.source[keep])


@dataclass(frozen=True, slots=True)
class Motion:
    """A recording on a grid of control steps: smooth motion, and what was sent.

    Attributes:
        time: (n,) s.
        position: (n, joints).
        velocity: (n, joints).
        command: (n, actuators) in force where each control step begins.
    """

    time: FloatArray
    position: FloatArray
    velocity: FloatArray
    command: FloatArray


def smooth_motion(recording: Recording, period: float) -> Motion:
    """Lay a cubic through the positions around each control step.

    Raises:
        UserError: a recording that is too short or too slow for that.
    """
    reach = max(2, round(SMOOTHING / recording.period))
    if recording.time[-1] - recording.time[0] < 4 * SMOOTHING or recording.period > SMOOTHING:
        raise UserError(
            f"{recording.name}: too short, or too few measurements, to tell accelerations: at least "
            f"{1.0 / SMOOTHING:.0f} Hz are needed"
        )
    time = np.arange(recording.time[reach], recording.time[-1 - reach], period)
    nearest = np.searchsorted(recording.time, time)
    rows = np.clip(nearest, reach, len(recording.time) - 1 - reach)[:, None] + np.arange(
        -reach, reach + 1
    )
    since = (recording.time[rows] - time[:, None]) / SMOOTHING
    basis = since[..., None] ** np.arange(4)
    coefficients = np.linalg.pinv(basis) @ recording.position[rows]
    command = sent_commands(recording, time)
    return Motion(
        time,
        coefficients[:, 0],
        coefficients[:, 1] / SMOOTHING,
        command,
    )


def blank_model(setup: Setup, period: float, history: int, all_joints: bool) -> ResidualModel:
    """A residual model of a robot, but for its networks."""
    world = setup.world(1, {})
    drives, model, robot = make_drives(world.robot, world.physics), world.physics.model, world.robot
    driven = np.arange(len(robot.joints))[drives.joints]
    limited = [bool(model.jnt_limited[model.joint(name).id]) for name in robot.joint_names]
    hinge = int(mujoco.mjtJoint.mjJNT_HINGE)
    hinges = [int(model.jnt_type[model.joint(name).id]) == hinge for name in robot.joint_names]
    turns = np.array([each and not within for each, within in zip(hinges, limited, strict=True)])
    outputs = np.arange(len(robot.joints)) if all_joints else np.unique(driven)
    nothing = np.zeros(0)
    return ResidualModel(
        robot.name, robot.joint_names, outputs, drives.servo, driven, turns, period, history,
        nothing, nothing, (), nothing, nothing,
    )  # fmt: skip


def lessons(
    setup: Setup,
    recordings: Sequence[Recording],
    asked: Sequence[Asked],
    values: FloatArray,
    model: ResidualModel,
) -> Lessons:
    """Compare each control step's change of velocity with that of a simulation from the same state.

    Not over a physics step alone: there, friction stops a simulated joint that noise lets creep, at
    enormous accelerations, and the residual would learn to push whatever moves.

    Args:
        setup: of the robot.
        recordings: of it.
        asked: parameters that were identified.
        values: (unknowns,) theirs.
        model: whose features and joints count; its networks do not.
    """
    parts = []
    for source, recording in enumerate(recordings):
        motion = smooth_motion(recording, model.period)
        lacked = _lacked_torque(setup, recording, motion, asked, values, model.period)
        # The first moments have no whole past, the last no next one.
        whole = slice(model.history, -1)
        torque = lacked[whole, model.outputs]
        rows = np.full(len(torque), source)
        parts.append(Lessons(_features(model, motion)[whole], torque, rows))
    found = Lessons(*(np.concatenate([getattr(each, name) for each in parts]) for name in FIELDS))
    finite = np.isfinite(found.torque).all(axis=1)
    return Lessons(found.features[finite], found.torque[finite], found.source[finite])


FIELDS = ("features", "torque", "source")


def _features(model: ResidualModel, motion: Motion) -> FloatArray:
    signal = model.signal(motion.command, motion.position)
    past = np.arange(len(motion.time))[:, None] - np.arange(model.history)
    past = np.maximum(past, 0)
    return model.features(motion.position, motion.velocity[past], signal[past])


def _lacked_torque(
    setup: Setup,
    recording: Recording,
    motion: Motion,
    asked: Sequence[Asked],
    values: FloatArray,
    period: float,
) -> FloatArray:
    """(n, joints) mass matrix times what the simulated acceleration lacks of the measured one.

    Of the last moment, it is not known.
    """
    joints = motion.position.shape[1]
    count = len(motion.time)
    state = np.stack((motion.position, motion.velocity), axis=1)
    # One window of one control step for each moment, which starts at the smooth state.
    stamps = np.tile([0.0, period], (count, 1))
    windows = Windows(
        (recording,),
        np.zeros(count, dtype=np.int64),
        motion.time,
        period,
        stamps,
        np.repeat(motion.position[:, None], 2, axis=1),
        None,
        np.ones((count, 2), dtype=bool),
        state,
        np.ones_like(state),
        None,
    )
    simulator = ResidualSimulator(setup, windows, asked)
    acceleration, model, data = simulator.accelerations(values, state)
    measured = np.full_like(motion.velocity, np.nan)
    measured[:-1] = np.diff(motion.velocity, axis=0) / period
    missing = measured - acceleration
    dofs = np.array([model.joint(name).dofadr[0] for name in setup.robot.description.joint_names])
    places = np.array([model.joint(name).qposadr[0] for name in setup.robot.description.joint_names])
    torque, mass = np.zeros((count, joints)), np.zeros((model.nv, model.nv))
    for row in range(count):
        data.qpos[places] = motion.position[row]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_makeM(model, data)
        mujoco.mj_fullM(model, data, mass)
        torque[row] = mass[np.ix_(dofs, dofs)] @ missing[row]
    return torque
