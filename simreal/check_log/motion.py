"""Smooth motion of all joints, and the efforts that a model needs for it."""

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.signal import savgol_filter

from simreal.check_log.subject import Rows, Subject
from simreal.logs.robot_log import Channel
from simreal.robots.loader import Robot
from simreal.state import FloatArray

INPUTS = ("applied_voltage", "applied_effort", "commanded_voltage", "commanded_effort")
"""Of a model that is moved by effort or voltage, the best first."""

SMOOTHED = 0.06
"""s, within which positions are taken for a cubic: its second derivative is the acceleration."""
NEAR_STOP = 0.1
"""rad, within which a joint may touch its end stop."""
FEWEST_SAMPLES = 100
"""That a model is asked about."""
MOST_SAMPLES = 1300
"""Samples at which a model is asked; of longer logs, an even choice."""

SLOW = 0.05
"""Share of its largest speed below which a joint does not count as moving."""
LEAST_MOVING = 1.0
"""s that a joint must move in all before anything is said of its sign, unit or order."""


def moving_time(time: FloatArray, position: FloatArray) -> float:
    """How long, in s, a joint moves: (n,) positions at (n,) times."""
    steps = np.diff(time)
    speed = np.abs(np.diff(position)) / np.maximum(steps, 1e-9)
    return float(steps[speed > SLOW * speed.max(initial=0.0)].sum())


def correlation(one: FloatArray, other: FloatArray) -> float:
    """Of two (n,) series; not a number if one of them is constant, or as good as that to a float."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.corrcoef(one, other)[0, 1])


@dataclass(frozen=True, slots=True)
class Motion:
    """Positions and their derivatives, from positions alone.

    Attributes:
        time: (n,) s.
        position: (n, joints) rad.
        velocity: (n, joints) rad/s.
        acceleration: (n, joints) rad/s².
        names: of the joints.
    """

    time: FloatArray
    position: FloatArray
    velocity: FloatArray
    acceleration: FloatArray
    names: tuple[str, ...]

    def rows(self, keep: Rows) -> "Motion":
        """Some of its samples."""
        moved = self.position[keep], self.velocity[keep], self.acceleration[keep]
        return Motion(self.time[keep], *moved, self.names)


def smooth_motion(subject: Subject) -> Motion | None:
    """The motion of a log, or None if it has no positions or is too short."""
    if "joint_position" not in subject.log or len(subject.log["joint_position"]) < 20:
        return None
    time, position = subject.evenly("joint_position")
    step = float(time[1] - time[0])
    window = max(5, 2 * round(SMOOTHED / step / 2) + 1)
    if len(time) < 3 * window or not np.isfinite(position).all():
        return None
    smooth, velocity, acceleration = (
        savgol_filter(position, window, 3, deriv=n, delta=step, axis=0) for n in range(3)
    )
    inside = slice(window, -window, -(-len(time) // MOST_SAMPLES))
    names = subject.log["joint_position"].names
    return Motion(time[inside], smooth[inside], velocity[inside], acceleration[inside], names)


class InverseModel:
    """Efforts of a fixed robot's model along a motion."""

    def __init__(
        self, model: mujoco.MjModel, joints: tuple[str, ...], actuators: tuple[str, ...]
    ) -> None:
        """Find the joints and actuators of a log in the model."""
        self.model, self._data = model, mujoco.MjData(model)
        self._places = [int(model.joint(name).qposadr[0]) for name in joints]
        self._moments = [int(model.joint(name).dofadr[0]) for name in joints]
        self._actuators = [int(model.actuator(name).id) for name in actuators]

    def lacking(self, motion: Motion, command: FloatArray) -> FloatArray:
        """(n, joints) N·m that are needed beyond what actuators, friction and gravity give."""
        lacking, data = np.empty_like(motion.position), self._data
        for row in self._along(motion):
            data.ctrl[self._actuators] = command[row]
            mujoco.mj_inverse(self.model, data)
            mujoco.mj_fwdActuation(self.model, data)
            lacking[row] = (data.qfrc_inverse - data.qfrc_actuator)[self._moments]
        return lacking

    def needed(self, motion: Motion) -> FloatArray:
        """(n, joints) N·m that motors must give, friction and gravity included."""
        needed, data = np.empty_like(motion.position), self._data
        for row in self._along(motion):
            mujoco.mj_inverse(self.model, data)
            needed[row] = data.qfrc_inverse[self._moments]
        return needed

    def _along(self, motion: Motion) -> Iterator[int]:
        """Each row of a motion, in which the model moves so."""
        data = self._data
        rows = zip(motion.position, motion.velocity, motion.acceleration, strict=True)
        for row, (position, velocity, acceleration) in enumerate(rows):
            data.qpos[self._places] = position
            data.qvel[self._moments] = velocity
            data.qacc[self._moments] = acceleration
            yield row

    def scale(self, motion: Motion) -> FloatArray:
        """(joints,) N·m, root mean square, that inertia takes plus that gravity and rotation take."""
        parts = np.empty((2, *motion.position.shape))
        data, product = self._data, np.zeros(self.model.nv)
        for row in self._along(motion):
            mujoco.mj_fwdPosition(self.model, data)
            mujoco.mj_fwdVelocity(self.model, data)
            mujoco.mj_mulM(self.model, data, product, data.qacc)
            parts[:, row] = product[self._moments], data.qfrc_bias[self._moments]
        return np.asarray(np.sqrt(np.mean(parts**2, axis=1)).sum(axis=0))


def inverse_model(subject: Subject) -> tuple[InverseModel, Motion, FloatArray] | None:
    """Model, motion, and (n, actuators) command at its times, of a fixed robot.

    None if it is not moved by effort or voltage, or if the log does not hold all joints and actuators
    of such a robot, if the position of one reads the same all along, or if the robot is not known.
    """
    log, channel, asked = subject.log, subject.log.first(INPUTS), moved_model(subject)
    if asked is None or subject.robot is None or channel is None or subject.stuck:
        return None
    _, motion = asked
    if set(log[channel].names) != set(subject.robot.description.actuator_names) or not len(log[channel]):
        return None
    command = within_limits(subject.robot, log[channel], log.at(channel, motion.time, hold=True))
    return InverseModel(asked[0].model, motion.names, log[channel].names), motion, command


def moved_model(subject: Subject) -> tuple[InverseModel, Motion] | None:
    """Model and motion of a fixed robot of which the log holds all joints, away from its end stops."""
    model = subject.model
    if model is None or subject.robot is None or (model.jnt_type == mujoco.mjtJoint.mjJNT_FREE).any():
        return None
    dead = set(subject.stuck) - subject.unasked  # one that is told to rest may well do so
    motion = None if dead else smooth_motion(subject)
    if motion is None or set(motion.names) != set(subject.robot.description.joint_names):
        return None
    motion = motion.rows(_off_stops(motion, model))
    if len(motion.time) < FEWEST_SAMPLES:
        return None
    return InverseModel(model, motion.names, ()), motion


def within_limits(robot: Robot, table: Channel, command: FloatArray) -> FloatArray:
    """(n, actuators) commands of a table, as far as the robot's actuators can follow them."""
    limits = {each.name: (each.lower, each.upper) for each in robot.description.actuators}
    low, high = np.array([limits[name] for name in table.names]).T
    return np.clip(command, low, high)


def _off_stops(motion: Motion, model: mujoco.MjModel) -> Rows:
    """Rows in which no joint is near an end stop, whose force no command explains."""
    free = np.ones(len(motion.time), dtype=bool)
    for column, name in enumerate(motion.names):
        joint = int(model.joint(name).id)
        if model.jnt_limited[joint]:
            low, high = model.jnt_range[joint]
            at = motion.position[:, column]
            free &= (at > low + NEAR_STOP) & (at < high - NEAR_STOP)
    return np.flatnonzero(free)
