"""Where something pushed a robot that is not in its log: it gained energy that its motors did not give.

A robot on a fixed base, away from its end stops, has its energy from its motors alone; friction only
takes some. So over any short time its energy grows by no more than their work, whatever its friction is.
Masses and motors that differ from the model's, efforts that are reported wrongly and commands that
arrive late are allowed for; what is left was a hand, or another thing that touched it. A push that takes
energy looks like friction, and cannot be found in this way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from simreal.contract import RobotDescription
from simreal.identification.recording import Recording
from simreal.state import FloatArray

SMOOTHED = 0.06
"""s, within which positions are taken for a cubic: its derivative is the velocity."""
PERIOD = 0.004
"""s between the moments at which the model is asked, at least."""
SPAN = 0.3
"""s over which energy and work are held against each other."""
LEEWAY = 2.0
"""Factor by which masses and motors may differ from the model's."""
UNSEEN_EFFORT = 0.1
"""Share of the actuators' largest efforts by which the reported ones may be wrong."""
LATEST = 0.04
"""s, by which commands may arrive late."""
FLOOR = 0.02
"""Share of the largest change of energy within a log that velocities of encoder steps may pretend."""
GAP = 3.0
"""Median steps between measurements, beyond which nobody knows what happened."""
NEAR_STOP = 0.1
"""rad or m, within which a joint may touch its end stop, which gives back what it took."""
MOST_PUSHED = 0.25
"""Share of a log: beyond it, nobody pushed all the time; the log does not fit the model, or drifts."""


@dataclass(frozen=True, slots=True)
class Push:
    """A time in which a robot gained too much energy.

    Attributes:
        begin: s.
        end: s.
        energy: J, by which it gained more than motors can have given, at least.
    """

    begin: float
    end: float
    energy: float

    def describe(self) -> str:
        """For people: ``15.8 to 16.4 s``."""
        return f"{self.begin:.1f} to {self.end:.1f} s"


@dataclass(frozen=True, slots=True)
class Driven:
    """A motion of a robot and what drove it.

    Attributes:
        joints: names.
        time: (n,) s, growing.
        position: (n, joints) rad or m.
        actuators: names.
        command_time: (m,) s.
        command: (m, actuators) in their units; each holds until the next.
    """

    joints: Sequence[str]
    time: FloatArray
    position: FloatArray
    actuators: Sequence[str]
    command_time: FloatArray
    command: FloatArray


def find_pushes(model: mujoco.MjModel, driven: Driven) -> list[Push]:
    """Times in which a robot of that model gained energy that no motor gave it.

    Args:
        model: of a robot on a fixed base whose actuators are driven by effort or voltage.
        driven: what it did.

    Returns:
        None of them if they are too many to be pushes: energy that does not fit all along is another
        fault, of the model or of the log.
    """
    step = max(float(np.median(np.diff(driven.time))), 1e-6)
    window = max(5, 2 * round(0.5 * SMOOTHED / step) + 1)
    time = driven.time[0] + step * np.arange(int(np.ptp(driven.time) / step) + 1)
    thin = max(1, round(PERIOD / step))
    reach = max(1, round(SPAN / (thin * step)))
    if len(time) < 3 * window or len(time) // thin <= reach:
        return []
    even = np.stack([np.interp(time, driven.time, each) for each in driven.position.T], axis=1)
    position, velocity = (
        savgol_filter(even, window, 3, deriv=order, delta=step, axis=0)[window:-window:thin]
        for order in range(2)
    )
    time = time[window:-window:thin]
    balance = _Balance(model, driven, time, position, velocity)
    excess = balance.excess(reach)
    floor = FLOOR * float(np.ptp(balance.energy)) / LEEWAY
    found = _merged(time, excess, reach, floor)
    pushed = sum(each.end - each.begin for each in found)
    return found if pushed <= MOST_PUSHED * float(np.ptp(driven.time)) else []


def mark_pushes(recording: Recording, robot: RobotDescription, model: mujoco.MjModel) -> Recording:
    """The recording with the times at which something pushed.

    Args:
        recording: of that robot.
        robot: its description.
        model: compiled, as it stood. Of a free base, or of servos, whose torque nobody reports, nothing
            is found.
    """
    if not can_tell(robot, model):
        return recording
    driven = Driven(
        robot.joint_names,
        recording.time,
        recording.position,
        robot.actuator_names,
        recording.command_time,
        recording.command,
    )
    pushes = find_pushes(model, driven)
    return replace(recording, pushed=tuple((each.begin, each.end) for each in pushes))


def can_tell(robot: RobotDescription, model: mujoco.MjModel) -> bool:
    """Whether a robot's energy comes from its motors alone, and their efforts follow from commands."""
    free = bool((model.jnt_type == mujoco.mjtJoint.mjJNT_FREE).any())
    return not free and all(each.command in ("effort", "voltage") for each in robot.actuators)


class _Balance:
    """Energy of a motion, and the most that motors can have given."""

    def __init__(
        self,
        model: mujoco.MjModel,
        driven: Driven,
        time: FloatArray,
        position: FloatArray,
        velocity: FloatArray,
    ) -> None:
        self._model, self._data = model, mujoco.MjData(model)
        self._places = [int(model.joint(name).qposadr[0]) for name in driven.joints]
        self._dofs = [int(model.joint(name).dofadr[0]) for name in driven.joints]
        self._actuators = [int(model.actuator(name).id) for name in driven.actuators]
        self._velocity, step = velocity, float(time[1] - time[0])
        late = [_held(driven, time - lag) for lag in (0.0, 0.5 * LATEST, LATEST)]
        self.energy, power = self._walk(position, velocity, late)
        self._work = step * np.concatenate((np.zeros((1, len(late))), np.cumsum(power[:-1], axis=0)))
        largest = np.abs(driven.command).max(axis=0)
        reported = np.abs(velocity) @ (UNSEEN_EFFORT * self._strength(largest))
        self._unseen = step * np.concatenate(([0.0], np.cumsum(reported[:-1])))
        unknown = self._near_stops(driven.joints, position) | _in_gaps(driven.time, time)
        self._unknown = np.concatenate(([0], np.cumsum(unknown)))

    def _walk(
        self, position: FloatArray, velocity: FloatArray, late: list[FloatArray]
    ) -> tuple[FloatArray, FloatArray]:
        """(n,) J of kinetic, potential and springs' energy, and (n, lags) W of the motors."""
        model, data = self._model, self._data
        energy, power = np.empty(len(position)), np.empty((len(position), len(late)))
        for row in range(len(position)):
            data.qpos[self._places], data.qvel[self._dofs] = position[row], velocity[row]
            mujoco.mj_fwdPosition(model, data)
            mujoco.mj_fwdVelocity(model, data)
            mujoco.mj_energyPos(model, data)
            mujoco.mj_energyVel(model, data)
            energy[row] = data.energy.sum()
            for lag, command in enumerate(late):
                data.ctrl[self._actuators] = command[row]
                mujoco.mj_fwdActuation(model, data)
                power[row, lag] = data.qfrc_actuator @ data.qvel
        return energy, power

    def _strength(self, largest: FloatArray) -> FloatArray:
        """(joints,) N·m or N, the largest that actuators give at rest.

        Args:
            largest: (actuators,) commands, which stand for the limits of a model that has none.
        """
        model, data = self._model, mujoco.MjData(self._model)
        mujoco.mj_forward(model, data)
        reached = np.zeros(model.nu)
        reached[self._actuators] = largest
        known = model.actuator_ctrllimited.astype(bool)[:, None]
        limits = np.where(known, model.actuator_ctrlrange, np.stack((-reached, reached), axis=1))
        most = np.zeros(model.nv)
        for end in limits.T:
            data.ctrl[:] = end
            mujoco.mj_fwdActuation(model, data)
            most = np.maximum(most, np.abs(data.qfrc_actuator))
        result: FloatArray = most[self._dofs]
        return result

    def _near_stops(self, joints: Sequence[str], position: FloatArray) -> NDArray[np.bool_]:
        near = np.zeros(len(position), dtype=bool)
        for name, at in zip(joints, position.T, strict=True):
            joint = int(self._model.joint(name).id)
            if self._model.jnt_limited[joint]:
                low, high = self._model.jnt_range[joint]
                near |= (at < low + NEAR_STOP) | (at > high - NEAR_STOP)
        return near

    def excess(self, reach: int) -> FloatArray:
        """(n - reach,) J gained within so many steps beyond what motors can have given."""
        gained = self.energy[reach:] - self.energy[:-reach]
        work = (self._work[reach:] - self._work[:-reach]).max(axis=1)
        most = np.where(work > 0.0, LEEWAY * work, work / LEEWAY)
        unseen = self._unseen[reach:] - self._unseen[:-reach]
        excess: FloatArray = gained / LEEWAY - most - unseen
        unknown = self._unknown[reach + 1 :] - self._unknown[: -reach - 1]
        return np.where(unknown > 0, -np.inf, excess)


def _in_gaps(measured: FloatArray, time: FloatArray) -> NDArray[np.bool_]:
    """(n,) times that are smoothed over measurements too far apart."""
    steps = np.diff(measured)
    wide = np.flatnonzero(steps > GAP * np.median(steps))
    inside = np.zeros(len(time), dtype=bool)
    for row in wide:
        inside |= (time > measured[row] - SMOOTHED) & (time < measured[row + 1] + SMOOTHED)
    return inside


def _held(driven: Driven, time: FloatArray) -> FloatArray:
    """(n, actuators) command that held at each time."""
    rows = np.searchsorted(driven.command_time, time, side="right") - 1
    command: FloatArray = driven.command[np.clip(rows, 0, len(driven.command) - 1)]
    return command


def _merged(time: FloatArray, excess: FloatArray, reach: int, floor: float) -> list[Push]:
    """Spans that overlap are one push."""
    found: list[Push] = []
    for row in np.flatnonzero(excess > floor):
        begin, end, energy = float(time[row]), float(time[row + reach]), float(excess[row])
        if found and begin <= found[-1].end:
            found[-1] = Push(found[-1].begin, end, max(found[-1].energy, energy))
        else:
            found.append(Push(begin, end, energy))
    return found
