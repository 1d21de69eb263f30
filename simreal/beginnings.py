"""Where the next episodes of an environment are made ready, many at a time.

To draw parameters, write them into a model, recompute its constants and observe costs nearly the same
for one episode as for many. So this is done in a small world of its own; a simulation whose episode
has ended takes over a row of it.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simreal.action import ActionPipeline
from simreal.commands import Commands
from simreal.contract import Contract
from simreal.episode_random import EpisodeRandom, SeedArray
from simreal.observation import Float32Array, ObservationPipeline
from simreal.physics.interface import Start, join_starts
from simreal.privileged import Privileged
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.schedule_interface import untagged
from simreal.randomization.world import World
from simreal.tasks import Motion, Task


class Beginnings:
    """The first moments of at most `capacity` episodes.

    Attributes:
        seeds: (n,) of the episodes that are ready.
        draws: (n, columns) their parameters.
        tags: (n,) what the schedule of the randomization wants to hear of them.
        observation: (n, size) their first observations.
        command: (n, commands) what is asked first.
        privileged: (n, size) what a critic sees besides.
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
        commands: Commands,
        privileged: Privileged,
    ) -> None:
        """Prepare to begin episodes.

        Args:
            world: of its own; the number of its simulations is the capacity.
            randomizer: which acts on it.
            contract: of the policy.
            task: draws the initial states.
            initial_states: name to share of the episodes.
            commands: what is asked of the policy.
            privileged: what a critic sees.
        """
        self.world = world
        self.pipeline = ObservationPipeline(contract, (world.physics.count,))
        self._randomizer = randomizer
        self._states = [task.initial_states[name] for name in initial_states]
        shares = np.cumsum(list(initial_states.values()))
        self._edges = shares / shares[-1]
        self._action = np.zeros((world.physics.count, len(contract.robot.actuators)))
        self._target = ActionPipeline(contract)(self._action).target
        self._commands, self._privileged = commands, privileged
        self.command = np.zeros((0, commands.size))
        self.privileged = np.zeros((0, 0), dtype=np.float32)
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
        self._randomizer.apply(ids, self.draws)
        self.world.reset(ids, self._start(random), self._target[ids], random)
        self.command = self._commands.draw(random, np.zeros(len(ids), dtype=np.int64))
        state = self.world.read(np.zeros(self.capacity)).rows(ids)
        self.observation = self.pipeline.begin(state, self._action[ids], ids, self.command)
        self.privileged = self._look()

    def _look(self) -> Float32Array:
        """(n, size) what a critic sees."""
        physics, rows = self.world.physics, slice(len(self.seeds))
        command = np.zeros((self.capacity, self._commands.size))
        draws = np.zeros((self.capacity, self.draws.shape[1]))
        command[rows], draws[rows] = self.command, self.draws
        joints = physics.joint_position, physics.joint_velocity
        actions = self._action, self._action
        motion = Motion(*joints, *actions, command, physics, self.world.terrain)
        return self._privileged.see(motion, draws)[rows]

    def _start(self, random: EpisodeRandom) -> Start:
        """Draw which initial state each episode has, and the state."""
        which = np.searchsorted(self._edges, random.uniform("initial_state", 1)[:, 0], "right")
        order = [np.flatnonzero(which == place) for place in range(len(self._states))]
        drawn = [
            draw(EpisodeRandom(random.seeds[rows]))
            for draw, rows in zip(self._states, order, strict=True)
            if rows.size
        ]
        return join_starts(drawn).rows(np.argsort(np.concatenate(order)))
