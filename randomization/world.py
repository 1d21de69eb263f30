"""A batch of simulated robots as randomization sees it: physics, and what stands around it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.contract import RobotDescription
from simreal.episode_random import EpisodeRandom
from simreal.physics.interface import Ids, Physics
from simreal.randomization.actuation import Actuation
from simreal.randomization.camera_effects import CameraEffects
from simreal.randomization.events import Events
from simreal.randomization.inertia import Inertia
from simreal.randomization.quantities import Quantities
from simreal.randomization.sensing import Sensing
from simreal.state import RobotState

Values = NDArray[np.float64]


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

    def reset(
        self, ids: Ids, position: Values, velocity: Values, target: Values, random: EpisodeRandom
    ) -> None:
        """Begin episodes in some simulations.

        Args:
            ids: which.
            position: (len(ids), joints) rad or m.
            velocity: (len(ids), joints) rad/s or m/s.
            target: (len(ids), actuators) commands that were given before.
            random: of these episodes.
        """
        self.physics.reset(ids, position, velocity, target)
        self.actuation.reset(ids, velocity, target, random)
        self.sensing.reset(ids, position, velocity, random)
        self.events.reset(ids, random)

    def advance(
        self,
        target: Values,
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
        self.actuation.advance(target, random, step if command_step is None else command_step)
        physics = self.physics
        self.sensing.advance(physics.position_trace, physics.velocity_trace, random, step)

    def read(self, time: Values) -> RobotState:
        """What the controllers know at their next tick, which may come early: (count,) time in s."""
        return self.sensing.read(time, self.actuation.early)
