"""What an engine must give: many simulations of one robot, stepped together."""

from collections.abc import Callable
from typing import Any, Protocol, Self

import mujoco
import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.integer[Any]]


class Physics(Protocol):
    """`count` simulations of one model. Arrays lead with the simulation axis.

    Ids are sorted and unique. The joint arrays and traces may be views of what the next step changes:
    who keeps them copies them.

    Model fields are named as in `mujoco.MjModel`, whatever the engine, so that a randomization acts on
    each engine alike.

    Attributes:
        count: number of simulations.
        model: the compiled model with its defaults; never changed.
        timestep: s, of one physics step.
        substeps: physics steps per control step.
        diverged: (count,) whether a `step` has left the finite numbers since the last reset; the
            motion of such a simulation means nothing until it is reset.
        body_force: (count, bodies, 6) force in N and torque in N·m on each body at its centre of mass,
            along the world's axes; live, writable, held until changed, zero after a reset.
        dof_force: (count, dofs) force in N or torque in N·m from outside on each degree of freedom,
            likewise.
    """

    count: int
    model: mujoco.MjModel
    timestep: float
    substeps: int
    diverged: NDArray[np.bool_]
    body_force: NDArray[np.float64]
    dof_force: NDArray[np.float64]

    @property
    def joint_position(self) -> NDArray[np.float64]:
        """(count, joints) true positions, in contract order."""
        ...

    @property
    def joint_velocity(self) -> NDArray[np.float64]:
        """(count, joints) true velocities."""
        ...

    @property
    def position_trace(self) -> NDArray[np.float64]:
        """(count, substeps, joints) positions after each physics step of the last `step`."""
        ...

    @property
    def velocity_trace(self) -> NDArray[np.float64]:
        """(count, substeps, joints) velocities after each physics step of the last `step`."""
        ...

    @property
    def expanded_fields(self) -> list[str]:
        """Names of the model fields that have values per simulation."""
        ...

    def field(self, name: str) -> NDArray[Any]:
        """Per-simulation values of a model field, (count, ...), live and writable."""
        ...

    def commit(self, ids: Ids) -> None:
        """Recompute what depends on the fields written for these simulations."""
        ...

    def reset(
        self,
        ids: Ids,
        joint_position: NDArray[np.float64],
        joint_velocity: NDArray[np.float64],
        target: NDArray[np.float64],
    ) -> None:
        """Start some simulations afresh.

        Args:
            ids: which.
            joint_position: (len(ids), joints) rad or m.
            joint_velocity: (len(ids), joints) rad/s or m/s.
            target: (len(ids), actuators) commands that were given before; they fill the delay.
        """
        ...

    def kick(self, ids: Ids, dofs: NDArray[np.integer[Any]], change: NDArray[np.float64]) -> None:
        """Change velocities at once.

        Args:
            ids: simulations.
            dofs: (n,) degrees of freedom of the model.
            change: (len(ids), n) rad/s or m/s, added.
        """
        ...

    def take(self, ids: Ids, source: Self, rows: Ids) -> None:
        """Go on in some simulations from the state and with the fields of others, of the same model.

        Args:
            ids: simulations here.
            source: another batch.
            rows: (len(ids),) its simulations.
        """
        ...

    def step(self, target: NDArray[np.float64], before_each: Callable[[], None] | None = None) -> None:
        """Advance each simulation by one control step.

        Args:
            target: (count, actuators) commands.
            before_each: called before each physics step; it may write fields. Slower.
        """
        ...
