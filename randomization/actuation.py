"""What stands between a command and the force of an actuator: latency."""

import numpy as np
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom
from simreal.physics.interface import Ids, Physics
from simreal.randomization.quantities import Quantities

DELAY_MARGIN = 1e-6
"""s, taken off each action latency. One of exactly n physics steps would act as n or as n + 1, as the
simulated clock rounds, and change over within an episode."""


class Actuation:
    """The actuators of `count` simulated robots.

    Attributes:
        quantities: per simulation, written by randomization at each reset:
            ``latency`` (count, 1) s, from a command to its force.
    """

    def __init__(self, physics: Physics) -> None:
        """Act on a robot's physics."""
        self._physics = physics
        latency = physics.model.actuator_delay[:1].astype(np.float64)
        self.quantities = Quantities(physics.count, {"latency": latency})

    def settle(self, ids: Ids) -> None:
        """Write into the model what follows from the quantities of some simulations."""
        latency = self.quantities.get("latency")
        if latency is not None:
            self._physics.field("actuator_delay")[ids] = np.maximum(latency[ids] - DELAY_MARGIN, 0.0)

    def take(self, ids: Ids, source: "Actuation", rows: Ids) -> None:
        """Go on in some simulations as others, of the same robot, would."""
        self.quantities.take(ids, source.quantities, rows)

    def advance(
        self, target: NDArray[np.float64], random: EpisodeRandom, step: NDArray[np.integer]
    ) -> None:
        """Let the robots move for one control step.

        Args:
            target: (count, actuators) commands, in the actuators' units.
            random: of the episodes.
            step: (count,) commands since each episode began, from 1.
        """
        self._physics.step(target)
