"""A filter that lets a command through unless it would lead a joint out of its limits.

A control barrier function (Ames et al., "Control Barrier Functions: Theory and Applications", ECC 2019)
on a model of the robot, whose accelerations are affine in the command, ``a + B u``. A joint is safe that
moves no faster than it can still be stopped before its bound by a share of what its actuators can brake,
``b``: at most by ``sqrt(2 b (way - b / 2 c²))``, and where ``way < b / c²`` by ``c way``, where it
brakes ever less and what the model does not know has room. It must be so when the command has acted for
a control period ``T``, too: at speed ``w = v + T q''``, after the way ``T (v + w) / 2`` and what it is
moved before the command acts (barriers under sampled control: Agrawal and Sreenath, RSS 2017). A speed,
likewise, must be within its limit then. So nothing is asked of a joint that a later brake would still
stop, wherever it is and however it is driven.
Of the commands that obey, the one nearest to what was asked is sent: a quadratic program of as many
unknowns as actuators, and for each limit a slack that is dear, so that there is always an answer, and a
limit that no command keeps gives up none of the others.

Servos that follow a position are refused: their force is no sum of a command's shares, but stiff and cut
off at its ends, and moves within a control period by more than can be told at its beginning. They are
sent no target beyond their joint's range in any case.

It is as good as its model, and where that is not trusted it must not be used alone: the supervisor's
limits and the recovery of a fault stand behind it. What the model may be wrong by is left to the share.
"""

from dataclasses import dataclass
from typing import Annotated, Protocol

import mujoco
import numpy as np
from pydantic import Field

from simreal.config import Config
from simreal.contract import RobotDescription
from simreal.errors import UserError, missing_extra
from simreal.physics.layout import Layout
from simreal.physics.model import compile_model
from simreal.robots import Robot
from simreal.state import FloatArray

DEAR = 1e4
"""Weight of a slack against the command's distance, both in shares of their ranges."""
SMALLEST_BRAKE = 1e-3
"""rad/s² or m/s², of joints that actuators cannot stop: they may hardly move towards a bound."""


class FilterConfig(Config):
    """How a filter brakes."""

    brake_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Of what its actuators can brake a joint by, as the model says, that is counted on: the rest is for
    what the model is wrong by. Less brakes earlier."""
    approach_rate: Annotated[float, Field(gt=0)] = 5.0
    """1/s, by which a joint near its bound may at most close what is left of its way. Beyond a third of
    one over the delay it swings there."""
    inset: Annotated[float, Field(ge=0)] = 0.02
    """Share of a joint's range by which the filter's bounds lie within the limits."""


class Dynamics(Protocol):
    """What commands do to the joints."""

    def __call__(self, position: FloatArray, velocity: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Accelerations: (joints,) without a command, and (joints, actuators) for each unit of it."""
        ...

    def at_rest(self, position: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The same of joints at rest, each with the others held: what acts on it for long.

        What others do to a joint in passing, such as a pendulum that swings, is not in it.
        """
        ...


class MujocoDynamics:
    """Those of a robot's model, which stands on a fixed base and is driven by forces or voltages.

    The command acts through the actuators as they are compiled, without what is randomized around them.
    Between the ends of its range it is taken to act evenly, also where a force is cut off before.
    """

    def __init__(self, robot: Robot) -> None:
        """Compile the model.

        Raises:
            UserError: its base is free: what its joints do depends on what it stands on; or an actuator
                follows a position, by a law that is not affine in its command.
        """
        self._model = compile_model(robot)
        self._model.jnt_limited[:] = 0  # a stop brakes, too, but is what is to be kept away from
        if self._model.nv and (self._model.jnt_type == mujoco.mjtJoint.mjJNT_FREE).any():
            raise UserError(f"robot {robot.name}: a filter needs a robot with a fixed base")
        servos = [each.name for each in robot.description.actuators if each.command == "position"]
        if servos:
            raise UserError(
                f"robot {robot.name}: a filter needs actuators that take an effort or a voltage; "
                f"position servos: {', '.join(servos)}"
            )
        self._data = mujoco.MjData(self._model)
        self._layout = Layout(self._model, robot)

    def __call__(self, position: FloatArray, velocity: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `Dynamics`."""
        data = self._data
        data.qpos[self._layout.position_columns] = position
        data.qvel[self._layout.velocity_columns] = velocity
        return self._affine("qacc")

    def at_rest(self, position: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `Dynamics`."""
        model, data, columns = self._model, self._data, self._layout.velocity_columns
        data.qpos[self._layout.position_columns] = position
        data.qvel[:] = 0.0
        rest, gain = self._affine("qfrc_smooth")
        inertia = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, data, inertia)
        own = np.diag(inertia)[columns]
        return rest / own, gain / own[:, None]

    def _affine(self, name: str) -> tuple[FloatArray, FloatArray]:
        """A quantity of the joints without a command, and for each unit of it."""

        def of(command: FloatArray) -> FloatArray:
            self._data.ctrl[:] = command
            mujoco.mj_forward(self._model, self._data)
            found: FloatArray = getattr(self._data, name)[self._layout.velocity_columns].copy()
            return found

        low, high = self._model.actuator_ctrlrange.T
        lowest = of(low)
        raised = [of(np.where(one, high, low)) - lowest for one in np.eye(self._model.nu, dtype=bool)]
        gain = np.stack(raised, axis=1) / (high - low)
        return lowest - gain @ low, gain


@dataclass(frozen=True, slots=True)
class Filtered:
    """What a filter made of a command.

    Attributes:
        command: to send.
        changed: whether it is another than what was asked.
    """

    command: FloatArray
    changed: bool


class ActionFilter:
    """Changes commands as little as keeps joints within their limits, by a model."""

    def __init__(
        self,
        robot: RobotDescription,
        dynamics: Dynamics,
        period_s: float,
        delay_s: float = 0.0,
        config: FilterConfig | None = None,
    ) -> None:
        """Take limits from a robot's description.

        Args:
            robot: whose joints have `lower`, `upper` and `velocity_limit`, or not.
            dynamics: of it.
            period_s: s for which a command acts.
            delay_s: s from a motion until a command acts that knows of it.
            config: how to brake.

        Raises:
            UserError: no joint has a limit, or qpsolvers is not installed.
        """
        try:
            import qpsolvers
        except ModuleNotFoundError as error:
            raise missing_extra(str(error.name), "adapt") from None
        self._solve = qpsolvers.solve_qp
        self._dynamics, self._period, self._delay = dynamics, period_s, delay_s
        self._config = config or FilterConfig()
        self._lower, self._upper = (
            np.array([getattr(each, side) for each in robot.actuators], dtype=float)
            for side in ("lower", "upper")
        )
        self._bounds = _bounds(robot, self._config.inset)
        if not self._bounds:
            raise UserError(f"robot {robot.name}: no joint has a limit that a filter could keep")
        self.changes = 0

    def __call__(
        self,
        position: FloatArray,
        velocity: FloatArray,
        asked: FloatArray,
        trusted: FloatArray | None = None,
    ) -> Filtered:
        """Filter one command.

        Args:
            position: (joints,) measured.
            velocity: (joints,) measured.
            asked: (actuators,) the command that is wanted, in the actuators' units.
            trusted: (actuators,) a command that is known to do no harm, such as a proven policy's: a
                bound that it does not keep is moved to where it does.

        Raises:
            UserError: something of it is no finite number, of which no command follows that is safe.
        """
        given = {
            "position": position,
            "velocity": velocity,
            "command": asked,
            "trusted command": trusted,
        }
        for name, values in given.items():
            if values is not None and not np.isfinite(values).all():
                raise UserError(f"the filter was given a {name} that is no finite number: {values}")
        within = np.minimum(np.maximum(asked, self._lower), self._upper)
        matrix, least = self._constraints(position, velocity)
        if trusted is not None:
            least = np.minimum(least, matrix @ np.minimum(np.maximum(trusted, self._lower), self._upper))
        if np.all(matrix @ within >= least):
            return Filtered(within, bool((within != asked).any()))
        command = self._nearest(within, matrix, least)
        self.changes += 1
        return Filtered(command, True)

    def _constraints(self, position: FloatArray, velocity: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(n, actuators) and (n,): what a command's product must not fall below."""
        rest, gain = self._dynamics(position, velocity)
        alone = self._dynamics.at_rest(position)
        rows, least = [], []
        for bound in self._bounds:
            joint, side = bound.joint, bound.side
            speed = side * velocity[joint]  # at which the way to the bound fades
            fastest = bound.value
            if not bound.is_velocity:
                way = side * (bound.value - position[joint])
                fastest = self._fastest(way, speed, self._brake(*alone, joint, side))
            rows.append(-side * gain[joint])
            least.append(side * rest[joint] - (fastest - speed) / self._period)
        return np.array(rows), np.array(least)

    def _brake(self, rest: FloatArray, gain: FloatArray, joint: int, side: float) -> float:
        """Deceleration that is counted on of a joint that moves to a side, rad/s² or m/s²."""
        ends = -side * gain[joint] * np.array((self._lower, self._upper))
        most = float(ends.max(axis=0).sum() - side * rest[joint])
        return self._config.brake_share * max(most, SMALLEST_BRAKE)

    def _fastest(self, way: float, speed: float, brake: float) -> float:
        """Speed after a period at which a joint can still be stopped within its way."""
        half, rate = 0.5 * self._period, self._config.approach_rate
        left = way - (self._delay + half) * speed
        near = rate * left / (1.0 + rate * half)
        if near <= brake / rate:
            return near
        left -= 0.5 * brake / rate**2
        return float(brake * (np.sqrt(half**2 + 2.0 * left / brake) - half))

    def _nearest(self, asked: FloatArray, matrix: FloatArray, least: FloatArray) -> FloatArray:
        """The allowed command nearest to what is asked; if there is none, that which fails least."""
        span = self._upper - self._lower
        low, high, wish = self._lower / span, self._upper / span, asked / span
        scaled, reach = matrix * span, np.abs(matrix) @ span
        acts = reach > 1e-9  # no command does anything about the others
        scaled = scaled[acts] / reach[acts, None]  # in shares of what commands can do
        most = np.maximum(scaled * low, scaled * high).sum(axis=1)
        bound = np.minimum(least[acts] / reach[acts], most)
        found = self._program(np.ones(len(asked)), wish, scaled, bound, low, high)
        if found is None:  # what no command can do for all may be missed, by as little as can be
            rows = len(bound)
            weights = np.append(np.ones(len(asked)), np.full(rows, DEAR))
            low, high = np.append(low, np.zeros(rows)), np.append(high, np.full(rows, np.inf))
            scaled = np.hstack((scaled, np.eye(rows)))
            found = self._program(weights, np.append(wish, np.zeros(rows)), scaled, bound, low, high)
        if found is None:
            raise UserError("the filter's quadratic program has no answer: the model gives no numbers")
        command: FloatArray = np.minimum(
            np.maximum(found[: len(asked)] * span, self._lower), self._upper
        )
        return command

    def _program(
        self,
        weights: FloatArray,
        wish: FloatArray,
        matrix: FloatArray,
        least: FloatArray,
        low: FloatArray,
        high: FloatArray,
    ) -> FloatArray | None:
        """What is nearest to a wish between bounds, with ``matrix x >= least``; None if nothing is.

        The solver is an active-set method: exact, and quick on problems as small as these.
        """
        found: FloatArray | None = self._solve(
            np.diag(weights), -weights * wish, -matrix, -least, lb=low, ub=high, solver="daqp"
        )
        return found


@dataclass(frozen=True, slots=True)
class _Bound:
    """One limit of one joint; side is 1 for the upper and -1 for the lower."""

    joint: int
    side: float
    value: float
    is_velocity: bool


def _bounds(robot: RobotDescription, inset: float) -> list[_Bound]:
    """All limits; a bound's value is in the direction of its side for velocities, a place else."""
    found = []
    for place, joint in enumerate(robot.joints):
        if joint.lower is not None and joint.upper is not None:
            margin = inset * (joint.upper - joint.lower)
            found.append(_Bound(place, 1.0, joint.upper - margin, False))
            found.append(_Bound(place, -1.0, joint.lower + margin, False))
        if joint.velocity_limit is not None:
            found += [
                _Bound(place, side, (1.0 - inset) * joint.velocity_limit, True) for side in (1.0, -1.0)
            ]
    return found
