"""What happens to a robot within an episode: pushes, torque pulses, dying motors, changing parameters.

How often and how hard are quantities of an episode like all others. The moment, direction and sign of
each single event follow from the episode's seed and the event's number.
"""

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom
from simreal.physics.interface import Physics
from simreal.randomization.actuation import Actuation
from simreal.randomization.occurrences import ROUNDING, Occurrences
from simreal.randomization.quantities import Quantities
from simreal.state import FloatArray, Ids

Steps = NDArray[np.integer]

DEFAULT_DURATION = 0.1
"""s, of a push's force and of a torque pulse."""
QUARTER_TURN = np.array([0.0, 0.5 * math.pi])
"""rad, by which a sine lags behind its cosine."""


class Events:
    """The events of `count` simulated robots. Each begins with a control step.

    A force or torque that ends within a control step acts through that step with its mean, so that its
    impulse is exact.

    Attributes:
        quantities: per simulation, written by randomization at each reset; bodies and dofs are the
            model's, actuators in the order of the robot's description:
            ``push_interval`` (count, 1) s, mean time from push to push; infinite for none.
            ``push_velocity`` (count, bodies) m/s, by which a push changes a free body's velocity, in a
            random horizontal direction.
            ``push_impulse`` (count, bodies) N·s, that a push gives to a body at its centre of mass, in
            the same direction.
            ``push_duration`` (count, 1) s, for which that force acts, at least a control step.
            ``joint_kick`` (count, dofs) rad/s or m/s, by which a push changes a joint's velocity, with
            random sign.
            ``pulse_interval`` (count, 1) s, mean time from torque pulse to torque pulse.
            ``torque_pulse`` (count, dofs) N·m or N, on a joint, with random sign.
            ``pulse_duration`` (count, 1) s, for which it acts.
            ``failure_time`` (count, actuators) s, from which on an actuator has failed.
            ``failed_strength`` (count, actuators), the share of its force that remains then. A dead
            motor is an open circuit: no torque and no back-EMF, but the friction of its bearings.
            ``change_time`` (count, 1) s, when parameters are drawn anew; infinite for never.
            ``change_interval`` (count, 1) s, mean time between further changes; infinite for one alone.
    """

    def __init__(self, physics: Physics, actuation: Actuation) -> None:
        """Let nothing happen to these robots, until quantities say otherwise."""
        model, count, actuators = physics.model, physics.count, actuation.servos.size
        never, default = np.full(1, math.inf), np.full(1, DEFAULT_DURATION)
        self._physics = physics
        self._actuation = actuation
        self._period = physics.substeps * physics.timestep
        self.quantities = Quantities(
            count,
            {
                "push_interval": never,
                "push_velocity": np.zeros(model.nbody),
                "push_impulse": np.zeros(model.nbody),
                "push_duration": default,
                "joint_kick": np.zeros(model.nv),
                "pulse_interval": never,
                "torque_pulse": np.zeros(model.nv),
                "pulse_duration": default,
                "failure_time": np.full(actuators, math.inf),
                "failed_strength": np.zeros(actuators),
                "change_time": never,
                "change_interval": never,
            },
        )
        self._pushes = Occurrences("push", count, 1 + model.nv)
        self._pulses = Occurrences("pulse", count, model.nv)
        self._changes = Occurrences("change", count)
        self._failing = np.full((count, actuators), math.inf)
        self._free_bodies, self._free_dofs = free_bodies(model)
        self._dofs = np.arange(model.nv)

    def _has(self, name: str) -> bool:
        return self.quantities.get(name) is not None

    def _steps(self, name: str, ids: Ids) -> FloatArray:
        """A time in control steps, (len(ids),) or (1,)."""
        return self.quantities.of(name, ids)[:, 0] / self._period

    def reset(self, ids: Ids, random: EpisodeRandom) -> None:
        """Begin episodes in some simulations, (len(ids),) random; their quantities are written."""
        if self._has("push_interval"):
            self._pushes.reset(ids, self._steps("push_interval", ids), random)
        if self._has("pulse_interval"):
            self._pulses.reset(ids, self._steps("pulse_interval", ids), random)
        if self._has("change_time"):
            self._changes.reset_at(ids, self._steps("change_time", ids))
        self._await_failures(ids)

    def _await_failures(self, ids: Ids) -> None:
        """Set the control steps before each failure; infinite once it has happened."""
        if self._has("failure_time"):
            time = self.quantities["failure_time"][ids]
            self._failing[ids] = np.ceil(time / self._period - ROUNDING)

    def take(self, ids: Ids, source: "Events", rows: Ids) -> None:
        """Go on in some simulations as others, of the same robot, would."""
        self.quantities.take(ids, source.quantities, rows)
        if self._has("push_interval"):
            self._pushes.take(ids, source._pushes, rows)
        if self._has("pulse_interval"):
            self._pulses.take(ids, source._pulses, rows)
        if self._has("change_time"):
            self._changes.take(ids, source._changes, rows)
        if self._has("failure_time"):
            self._failing[ids] = source._failing[rows]

    def changing(self, random: EpisodeRandom, step: Steps) -> tuple[Ids, NDArray[np.int64]]:
        """Where parameters are to be drawn anew before a control step; asked once in each.

        Whoever asks applies the new values over the compiled defaults. That mends failed motors, which
        therefore fail once more in the `advance` that follows.

        Args:
            random: of all episodes.
            step: (count,) control steps since each episode began, from 1.

        Returns:
            (n,) simulations, and the numbers of these changes in their episodes, from 1.
        """
        if not self._has("change_time"):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        ids, _ = self._changes.begun(step)
        numbers = self._changes.number[ids]
        if ids.size:
            self._changes.move_on(ids, self._steps("change_interval", ids), step, random)
            self._await_failures(ids)
        return ids, numbers

    def advance(self, random: EpisodeRandom, step: Steps) -> None:
        """Let happen what a control step begins with.

        Args:
            random: of all episodes.
            step: (count,) control steps since each episode began, from 1.
        """
        if self._has("push_interval"):
            self._push(random, step)
        if self._has("pulse_interval"):
            self._pulse(random, step)
        if self._has("failure_time"):
            self._fail(step)

    def _push(self, random: EpisodeRandom, step: Steps) -> None:
        ids, age = self._pushes.begun(step)
        if not ids.size:
            return
        direction = _horizontal(self._pushes.luck[ids, 0])
        duration = np.maximum(self._steps("push_duration", ids), 1.0)
        if self._has("push_impulse"):
            force = direction * (_overlap(age, duration) / (duration * self._period))[:, None]
            impulse = self.quantities.of("push_impulse", ids)
            self._physics.body_force[ids, :, :2] = impulse[:, :, None] * force[:, None, :]
        struck = age == 0
        if struck.any():
            self._kick(ids[struck], direction[struck])
        over = age >= duration
        if over.any():
            gone = ids[over]
            self._pushes.move_on(gone, self._steps("push_interval", gone), step, random)

    def _kick(self, ids: Ids, direction: FloatArray) -> None:
        """Change velocities: of free bodies in (len(ids), 2) directions, and of joints."""
        if self._has("push_velocity"):
            speed = self.quantities.of("push_velocity", ids)[:, self._free_bodies]
            change = speed[:, :, None] * direction[:, None, :]
            self._physics.kick(ids, self._free_dofs, change.reshape(len(ids), -1))
        if self._has("joint_kick"):
            change = _either_way(self.quantities.of("joint_kick", ids), self._pushes.luck[ids, 1:])
            self._physics.kick(ids, self._dofs, change)

    def _pulse(self, random: EpisodeRandom, step: Steps) -> None:
        ids, age = self._pulses.begun(step)
        if not ids.size:
            return
        duration = self._steps("pulse_duration", ids)
        torque = _either_way(self.quantities.of("torque_pulse", ids), self._pulses.luck[ids])
        self._physics.dof_force[ids] = torque * _overlap(age, duration)[:, None]
        over = age >= duration
        if over.any():
            gone = ids[over]
            self._pulses.move_on(gone, self._steps("pulse_interval", gone), step, random)

    def _fail(self, step: Steps) -> None:
        """Weaken what fails now, once; the next episode begins with whole motors."""
        due = self._failing < step[:, None]
        if not due.any():
            return
        rows, actuators = due.nonzero()
        remains = self.quantities.defaults["failed_strength"][actuators]
        if self._has("failed_strength"):
            remains = self.quantities["failed_strength"][rows, actuators]
        self._actuation.weaken(rows, actuators, remains)
        self._failing[due] = math.inf


def free_bodies(model: mujoco.MjModel) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bodies with a free joint.

    Returns:
        (n,) ids, and (2 n,) the dofs of their horizontal velocities, along x and y of the world.
    """
    joints = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
    dofs = model.jnt_dofadr[joints].astype(np.int64)
    return model.jnt_bodyid[joints].astype(np.int64), (dofs[:, None] + np.arange(2)).ravel()


def _overlap(age: FloatArray, duration: FloatArray) -> FloatArray:
    """Share of the control step after `age` others in which something of a duration (steps) acts."""
    return np.minimum(np.maximum(duration - age, 0.0), 1.0)


def _horizontal(luck: FloatArray) -> FloatArray:
    """(n, 2) unit vectors, all directions as likely, from (n,) numbers in [0, 1)."""
    direction: FloatArray = np.cos(2.0 * math.pi * luck[:, None] - QUARTER_TURN)
    return direction


def _either_way(size: FloatArray, luck: FloatArray) -> FloatArray:
    """Give (n, dofs) sizes random signs."""
    return np.where(luck < 0.5, size, -size)
