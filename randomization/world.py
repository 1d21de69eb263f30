"""A batch of simulated robots as randomization sees it: physics, and what stands around it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.contract import RobotDescription
from simreal.episode_random import EpisodeRandom
from simreal.physics.interface import Physics, Start
from simreal.randomization.actuation import Actuation
from simreal.randomization.camera_effects import CameraEffects
from simreal.randomization.events import Events
from simreal.randomization.ground import Ground
from simreal.randomization.inertia import Inertia
from simreal.randomization.quantities import Quantities
from simreal.randomization.residual import Residual
from simreal.randomization.sensing import IMU, TRACKER, Sensing
from simreal.randomization.terrain import TerrainMap
from simreal.robots.loader import ImuConfig
from simreal.state import FloatArray, Ids, RobotState


@dataclass(slots=True)
class World:
    """Simulated robots: what randomization acts on, and what an environment steps."""

    robot: RobotDescription
    physics: Physics
    inertia: Inertia
    actuation: Actuation
    sensing: Sensing
    events: Events
    camera: CameraEffects
    imu: ImuConfig | None = None
    objects: tuple[str, ...] = ()
    ground: Ground | None = None
    residual: Residual | None = None

    @property
    def terrain(self) -> TerrainMap | None:
        """The map on which the robots walk, if there is one."""
        return None if self.ground is None else self.ground.terrain

    def _quantities(self, place: str) -> Quantities | None:
        match place:
            case "inertia":
                return self.inertia.quantities
            case "actuation":
                return self.actuation.quantities
            case "sensing":
                return self.sensing.quantities
            case "events":
                return self.events.quantities
            case "camera":
                return self.camera.quantities
            case "ground" if self.ground is not None:
                return self.ground.quantities
            case "residual" if self.residual is not None:
                return self.residual.quantities
        return None

    def array(self, field: str) -> NDArray[Any]:
        """Live (count, ...) values of a model field, or of a quantity, such as ``sensing.noise``."""
        place, _, name = field.partition(".")
        quantities = self._quantities(place)
        values = self.physics.field(field) if quantities is None else quantities[name]
        return values[:, None] if values.ndim == 1 else values

    def default(self, field: str) -> NDArray[Any]:
        """The (...) values of the same on which nothing is randomized."""
        place, _, name = field.partition(".")
        quantities = self._quantities(place)
        if quantities is not None:
            return quantities.defaults[name]
        options = self.physics.model.opt
        value = getattr(options, name) if place == "opt" else getattr(self.physics.model, field)
        return np.atleast_1d(value)

    def commit(self, ids: Ids) -> None:
        """Recompute what depends on the values that were written for some simulations."""
        self.inertia.settle(ids)
        self.actuation.settle(ids)
        self.physics.commit(ids)

    def take(self, ids: Ids, source: "World", rows: Ids) -> None:
        """Go on in some simulations where others stand, with all that was randomized there."""
        self.physics.take(ids, source.physics, rows)
        self.actuation.take(ids, source.actuation, rows)
        self.sensing.take(ids, source.sensing, rows)
        self.events.take(ids, source.events, rows)
        self.camera.take(ids, source.camera, rows)
        if self.ground is not None and source.ground is not None:
            self.ground.quantities.take(ids, source.ground.quantities, rows)
        if self.residual is not None and source.residual is not None:
            self.residual.take(ids, source.residual, rows)

    def reset(self, ids: Ids, start: Start, target: FloatArray, random: EpisodeRandom) -> None:
        """Begin episodes in some simulations.

        Args:
            ids: which.
            start: of each.
            target: (len(ids), actuators) commands that were given before.
            random: of these episodes.
        """
        if self.ground is not None:
            start = self.ground.place(ids, start, random)
        position, velocity = start.joint_position, start.joint_velocity
        self.physics.reset(ids, start, target)
        self.actuation.reset(ids, velocity, target, random)
        beside = {name: trace[ids, -1] for name, trace in self._traces_beside().items()}
        self.sensing.reset(ids, position, velocity, random, beside)
        self.events.reset(ids, random)
        if self.residual is not None:
            self.residual.reset(ids)

    def _traces_beside(self) -> dict[str, FloatArray]:
        """(count, substeps, ...) true readings in the last control step, of what is no encoder."""
        traces, trace = {}, self.physics.sensor_trace
        if self.imu is not None:
            names = (self.imu.orientation, self.imu.angular_velocity, self.imu.linear_acceleration)
            traces[IMU] = np.concatenate([trace(name) for name in names], axis=-1)
        if self.objects:
            parts = [(trace(f"{name}_position"), trace(f"{name}_orientation")) for name in self.objects]
            traces[TRACKER] = np.stack([np.concatenate(part, axis=-1) for part in parts], axis=2)
        return traces

    def advance(
        self,
        target: FloatArray,
        random: EpisodeRandom,
        step: NDArray[np.integer],
        command_step: NDArray[np.integer] | None = None,
    ) -> None:
        """Let a control step pass.

        Args:
            target: (count, actuators) commands, in the actuators' units.
            random: of the episodes.
            step: (count,) steps since each episode began, from 1.
            command_step: (count,) commands since then, if they come at another rate.
        """
        self.events.advance(random, step)
        if self.residual is not None:
            self.residual.advance(target)
        self.actuation.advance(target, random, step if command_step is None else command_step)
        physics = self.physics
        traces = physics.position_trace, physics.velocity_trace
        self.sensing.advance(*traces, random, step, self._traces_beside())

    def read(self, time: FloatArray) -> RobotState:
        """What the controllers know at their next tick, which may come early: (count,) time in s."""
        return self.sensing.read(time, self.actuation.early)
