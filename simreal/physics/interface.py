"""What an engine must give: many simulations of one robot, stepped together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.errors import UserError
from simreal.state import Ids


def as_rows(ids: Ids) -> Ids | slice:
    """The same places, as a slice where they follow on each other, which NumPy copies faster."""
    if not ids.size:
        return ids
    first = int(ids[0])
    consecutive = range(first, first + ids.size)
    return slice(consecutive.start, consecutive.stop) if ids.tolist() == list(consecutive) else ids


@dataclass(slots=True)
class Start:
    """Where simulations start.

    Attributes:
        joint_position: (n, joints) rad or m, in contract order.
        joint_velocity: (n, joints) rad/s or m/s.
        free_position: (n, free bodies, 7) place in m, and orientation w, x, y, z; as the model has
            it if absent.
        free_velocity: (n, free bodies, 6) velocity in m/s along the world's axes, and angular
            velocity in rad/s along the body's; at rest if absent.
    """

    joint_position: NDArray[np.float64]
    joint_velocity: NDArray[np.float64]
    free_position: NDArray[np.float64] | None = None
    free_velocity: NDArray[np.float64] | None = None

    def rows(self, ids: Ids) -> "Start":
        """Some of them."""
        place, speed = self.free_position, self.free_velocity
        return Start(
            self.joint_position[ids],
            self.joint_velocity[ids],
            None if place is None else place[ids],
            None if speed is None else speed[ids],
        )


def join_starts(starts: Sequence[Start]) -> Start:
    """One after the other; either all of them or none say where the free bodies are."""

    def joined(name: str) -> NDArray[np.float64] | None:
        parts = [part for start in starts if (part := getattr(start, name)) is not None]
        return np.concatenate(parts) if parts else None

    return Start(
        np.concatenate([start.joint_position for start in starts]),
        np.concatenate([start.joint_velocity for start in starts]),
        joined("free_position"),
        joined("free_velocity"),
    )


class NotFollowedError(UserError):
    """A value of a model field that an engine cannot follow."""


class StepLaw(Protocol):
    """What acts within a control step, at each physics step."""

    def __call__(self) -> None:
        """Write fields before a physics step: for an engine that cannot do the other."""
        ...

    def compiled(self, stepper: int) -> tuple[int, int]:
        """A compiled function that takes all physics steps of a control step of a simulation.

        Args:
            stepper: address of a `simreal.physics.compiled.STEPPER`, by which it takes them.

        Returns:
            Addresses of a C function of (const mjModel*, mjData*, int simulation, void*), and of what
            it is given last.
        """
        ...


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
        free_bodies: names of the bodies that hang on nothing, such as a walking robot's trunk.
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
    free_bodies: tuple[str, ...]
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
    def free_position(self) -> NDArray[np.float64]:
        """(count, free bodies, 7) places in m, and orientations w, x, y, z."""
        ...

    @property
    def free_velocity(self) -> NDArray[np.float64]:
        """(count, free bodies, 6) m/s along the world's axes, and rad/s along the body's."""
        ...

    @property
    def actuator_force(self) -> NDArray[np.float64]:
        """(count, actuators) N·m or N in the last physics step, in contract order."""
        ...

    def sensor(self, name: str) -> NDArray[np.float64]:
        """(count, dimension) values of a sensor of the model, as the last physics step began.

        After a reset, those of the start.

        Raises:
            UserError: the model has no such sensor.
        """
        ...

    def sensor_trace(self, name: str) -> NDArray[np.float64]:
        """(count, substeps, dimension) values of a sensor in each physics step of the last `step`."""
        ...

    @property
    def expanded_fields(self) -> list[str]:
        """Names of the model fields that have values per simulation."""
        ...

    def field(self, name: str) -> NDArray[Any]:
        """Per-simulation values of a model field, (count, ...), live and writable."""
        ...

    def commit(self, ids: Ids) -> None:
        """Recompute what depends on the fields written for these simulations.

        Raises:
            NotFollowedError: a value that this engine does nothing with.
        """
        ...

    def reset(self, ids: Ids, start: Start, target: NDArray[np.float64]) -> None:
        """Start some simulations afresh.

        Args:
            ids: which.
            start: of each of them.
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

    def step(self, target: NDArray[np.float64], law: StepLaw | None = None) -> None:
        """Advance each simulation by one control step.

        Args:
            target: (count, actuators) commands, or (substeps, count, actuators) where each physics step
                has its own.
            law: acts before each physics step.
        """
        ...
