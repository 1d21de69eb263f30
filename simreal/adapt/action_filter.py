"""A filter that lets a command through unless it would lead a joint out of its limits.

Control barrier functions (Ames et al., "Control Barrier Functions: Theory and Applications", ECC 2019)
on a model of the robot: with accelerations affine in the command, ``a + B u``, a joint's way to its
bound, ``h``, may shrink no faster than ``d²h/dt² + 2 c dh/dt + c² h >= 0`` (an exponential barrier of
relative degree two: Nguyen and Sreenath, ACC 2016), and its speed's way to its own bound no faster than
``dh/dt + c h >= 0``. Of the commands that obey, the one nearest to what was asked is sent: a quadratic
program of as many unknowns as actuators, and a slack that is dear, so that there is always an answer.

It is as good as its model, and where that is not trusted it must not be used alone: the supervisor's
limits and the recovery of a fault stand behind it. The margin is what the accelerations may be wrong by.
"""

from dataclasses import dataclass
from typing import Annotated, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from simreal.config import Config
from simreal.contract import RobotDescription
from simreal.errors import UserError, missing_extra
from simreal.physics.layout import Layout
from simreal.physics.model import compile_model
from simreal.robots import Robot
from simreal.state import FloatArray

Values = NDArray[np.float64]
DEAR = 1e4
"""Weight of the slack against the command's distance, both in shares of their ranges."""
TOLERANCE = 1e-6


class FilterConfig(Config):
    """How a filter brakes."""

    position_rate: Annotated[float, Field(gt=0)] = 8.0
    """1/s, of both barriers of a position. Braking takes up to this times the speed: so weak actuators
    need a lower one."""
    velocity_rate: Annotated[float, Field(gt=0)] = 20.0
    """1/s, of the barrier of a velocity."""
    inset: Annotated[float, Field(ge=0)] = 0.02
    """Share of a joint's range by which the filter's bounds lie within the limits."""
    margin: Annotated[float, Field(ge=0)] = 0.0
    """rad/s² or m/s², by which the model's accelerations may be wrong."""


class Dynamics(Protocol):
    """Accelerations of the joints, affine in the command."""

    def __call__(self, position: FloatArray, velocity: FloatArray) -> tuple[Values, Values]:
        """(joints,) without a command, and (joints, actuators) for each unit of it."""
        ...


class MujocoDynamics:
    """Those of a robot's model, which stands on a fixed base.

    The command acts through the actuators as they are compiled, without what is randomized around them.
    """

    def __init__(self, robot: Robot) -> None:
        """Compile the model.

        Raises:
            UserError: its base is free: what its joints do depends on what it stands on.
        """
        self._model = compile_model(robot)
        self._model.jnt_limited[:] = 0  # a stop brakes, too, but is what is to be kept away from
        if self._model.nv and (self._model.jnt_type == mujoco.mjtJoint.mjJNT_FREE).any():
            raise UserError(f"robot {robot.name}: a filter needs a robot with a fixed base")
        self._data = mujoco.MjData(self._model)
        self._layout = Layout(self._model, robot)

    def __call__(self, position: FloatArray, velocity: FloatArray) -> tuple[Values, Values]:
        """See `Dynamics`."""
        model, data = self._model, self._data
        data.qpos[self._layout.position_columns] = position
        data.qvel[self._layout.velocity_columns] = velocity
        rest = self._acceleration(np.zeros(model.nu))
        columns = [self._acceleration(unit) - rest for unit in np.eye(model.nu)]
        return rest, np.stack(columns, axis=1)

    def _acceleration(self, command: Values) -> Values:
        self._data.ctrl[:] = command
        mujoco.mj_forward(self._model, self._data)
        found: Values = self._data.qacc[self._layout.velocity_columns].copy()
        return found


@dataclass(frozen=True, slots=True)
class Filtered:
    """What a filter made of a command.

    Attributes:
        command: to send.
        changed: whether it is another than what was asked.
        slack: (constraints,)'s largest violation that no command could avoid, rad/s² or m/s²; 0 mostly.
    """

    command: FloatArray
    changed: bool
    slack: float


class ActionFilter:
    """Changes commands as little as keeps joints within their limits, by a model."""

    def __init__(
        self, robot: RobotDescription, dynamics: Dynamics, config: FilterConfig | None = None
    ) -> None:
        """Take limits from a robot's description.

        Args:
            robot: whose joints have `lower`, `upper` and `velocity_limit`, or not.
            dynamics: of it.
            config: how to brake.

        Raises:
            UserError: no joint has a limit, or qpsolvers is not installed.
        """
        try:
            import qpsolvers
        except ModuleNotFoundError as error:
            raise missing_extra(str(error.name), "adapt") from None
        self._solve = qpsolvers.solve_qp
        self._dynamics, self._config = dynamics, config or FilterConfig()
        self._lower, self._upper = (
            np.array([getattr(each, side) for each in robot.actuators], dtype=float)
            for side in ("lower", "upper")
        )
        self._bounds = _bounds(robot, self._config.inset)
        if not self._bounds:
            raise UserError(f"robot {robot.name}: no joint has a limit that a filter could keep")
        self.changes = 0
        self.calls = 0

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
        """
        self.calls += 1
        within = np.minimum(np.maximum(asked, self._lower), self._upper)
        matrix, least = self._constraints(position, velocity)
        if trusted is not None:
            least = np.minimum(least, matrix @ np.minimum(np.maximum(trusted, self._lower), self._upper))
        if np.all(matrix @ within >= least):
            return Filtered(within, bool((within != asked).any()), 0.0)
        command = self._nearest(within, matrix, least)
        slack = float(max(0.0, (least - matrix @ command).max()))
        self.changes += 1
        return Filtered(command, True, slack if slack > TOLERANCE * (1.0 + np.abs(least).max()) else 0.0)

    def _constraints(self, position: FloatArray, velocity: FloatArray) -> tuple[Values, Values]:
        """(n, actuators) and (n,): what a command's product must not fall below."""
        rest, gain = self._dynamics(position, velocity)
        rows, least = [], []
        for bound in self._bounds:
            joint, side = bound.joint, bound.side
            speed = side * velocity[joint]  # at which the way to the bound fades
            if bound.is_velocity:
                room = self._config.velocity_rate * (bound.value - speed)
            else:
                rate, way = self._config.position_rate, side * (bound.value - position[joint])
                room = rate**2 * way - 2.0 * rate * speed
            rows.append(-side * gain[joint])
            least.append(side * rest[joint] - room + self._config.margin)
        return np.array(rows), np.array(least)

    def _nearest(self, asked: FloatArray, matrix: Values, least: Values) -> FloatArray:
        """The allowed command nearest to what is asked; if there is none, that which fails least."""
        span = self._upper - self._lower
        reach = np.maximum(np.abs(matrix) @ span, 1e-9)  # rows in shares of what commands can do
        scaled, bound = matrix * span / reach[:, None], least / reach
        low, high, wish = self._lower / span, self._upper / span, asked / span
        found = self._program(np.ones(len(asked)), wish, scaled, bound, low, high)
        if found is None:  # what no command can do may be missed, by as little as can be
            weights = np.append(np.ones(len(asked)), DEAR)
            slack = np.ones((len(bound), 1))
            low, high = np.append(low, 0.0), np.append(high, np.inf)
            found = self._program(
                weights, np.append(wish, 0.0), np.hstack((scaled, slack)), bound, low, high
            )
        if found is None:
            raise UserError("the filter's quadratic program has no answer: the model gives no numbers")
        command: Values = np.minimum(np.maximum(found[: len(asked)] * span, self._lower), self._upper)
        return command

    def _program(
        self, weights: Values, wish: Values, matrix: Values, least: Values, low: Values, high: Values
    ) -> Values | None:
        """What is nearest to a wish between bounds, with ``matrix x >= least``; None if nothing is.

        The solver is an active-set method: exact, and quick on problems as small as these.
        """
        found: Values | None = self._solve(
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
