"""Where the next episodes of an environment are made ready, many at a time.

To draw parameters, write them into a model, recompute its constants and observe costs nearly the same
for one episode as for many. So this is done in a small world of its own; a simulation whose episode
has ended takes over a row of it.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simreal.action import ActionPipeline
from simreal.contract import Contract
from simreal.episode_random import EpisodeRandom, SeedArray
from simreal.observation import ObservationPipeline
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.schedule_interface import untagged
from simreal.randomization.world import World
from simreal.state import FloatArray
from simreal.tasks import Task


class Beginnings:
    """The first moments of at most `capacity` episodes.

    Attributes:
        seeds: (n,) of the episodes that are ready.
        draws: (n, columns) their parameters.
        tags: (n,) what the schedule of the randomization wants to hear of them.
        observation: (n, size) their first observations.
        world: its first n rows stand at their starts.
        pipeline: its first n rows remember their first observations.
    """

    def __init__(
        self,
        world: World,
        randomizer: Randomizer,
        contract: Contract,
        task: Task,
        initial_states: Mapping[str, float],
    ) -> None:
        """Prepare to begin episodes.

        Args:
            world: of its own; the number of its simulations is the capacity.
            randomizer: which acts on it.
            contract: of the policy.
            task: draws the initial states.
            initial_states: name to share of the episodes.
        """
        self.world = world
        self.pipeline = ObservationPipeline(contract, (world.physics.count,))
        self._randomizer = randomizer
        self._states = [task.initial_states[name] for name in initial_states]
        shares = np.cumsum(list(initial_states.values()))
        self._edges = shares / shares[-1]
        self._joints = len(contract.robot.joints)
        self._action = np.zeros((world.physics.count, len(contract.robot.actuators)))
        self._target = ActionPipeline(contract)(self._action).target
        self.seeds = np.zeros(0, dtype=np.uint64)
        self.draws, self.tags = untagged(np.zeros((0, len(randomizer.columns))))
        self.observation = np.zeros((0, self.pipeline.size), dtype=np.float32)

    @property
    def capacity(self) -> int:
        """How many can be ready at a time."""
        return self.world.physics.count

    def prepare(self, seeds: SeedArray, draws: NDArray[np.float64] | None = None) -> None:
        """Make episodes ready, in place of those that were.

        Args:
            seeds: (n,) of the episodes.
            draws: (n, columns) parameters to use; drawn from the seeds if absent.
        """
        random, ids = EpisodeRandom(seeds), np.arange(len(seeds))
        self.seeds = seeds
        drawn = untagged(draws) if draws is not None else self._randomizer.draw(random)
        self.draws, self.tags = drawn
        position, velocity = self._initial_state(random)
        self._randomizer.apply(ids, self.draws)
        self.world.reset(ids, position, velocity, self._target[ids], random)
        state = self.world.read(np.zeros(self.capacity)).rows(ids)
        self.observation = self.pipeline.begin(state, self._action[ids], ids)

    def _initial_state(self, random: EpisodeRandom) -> tuple[FloatArray, FloatArray]:
        """Draw which initial state each episode has, and the state."""
        which = np.searchsorted(self._edges, random.uniform("initial_state", 1)[:, 0], "right")
        position = np.empty((len(which), self._joints))
        velocity = np.empty_like(position)
        for place, draw in enumerate(self._states):
            rows = np.flatnonzero(which == place)
            if rows.size:
                position[rows], velocity[rows] = draw(EpisodeRandom(random.seeds[rows]))
        return position, velocity
