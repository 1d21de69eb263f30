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
from simreal.randomization.world import World
from simreal.tasks import Motion, Task


class Beginnings:
    """The first moments of at most `capacity` episodes.

    Attributes:
        observation: (n, size) the first observations of those that are ready.
        command: (n, commands) what is asked first.
        privileged: (n, size) what a critic sees besides.
        world: its first n rows stand at their starts.
        pipeline: its first n rows remember their first observations.
        to_command: its first n rows remember what the actuators were told before.
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
        self.to_command = ActionPipeline(contract, (world.physics.count,))
        self._commands, self._privileged = commands, privileged
        self.command = np.zeros((0, commands.size))
        self.privileged = np.zeros((0, 0), dtype=np.float32)
        self.observation = np.zeros((0, self.pipeline.size), dtype=np.float32)

    @property
    def capacity(self) -> int:
        """How many can be ready at a time."""
        return self.world.physics.count

    def prepare(self, seeds: SeedArray, draws: NDArray[np.float64]) -> None:
        """Make episodes ready, in place of those that were.

        Args:
            seeds: (n,) of the episodes.
            draws: (n, columns) their parameters.
        """
        random, ids = EpisodeRandom(seeds), np.arange(len(seeds))
        self._randomizer.apply(ids, draws)
        start = self._start(random)
        self.to_command.begin(start.joint_position, ids)
        self.world.reset(ids, start, self.to_command.target[ids], random)
        self.command = self._commands.draw(random, np.zeros(len(ids), dtype=np.int64))
        state = self.world.read(np.zeros(self.capacity)).rows(ids)
        self.to_command.begin(state.joint_position, ids)
        told = self.to_command.target[ids]
        self.observation = self.pipeline.begin(state, self._action[ids], ids, self.command, told)
        self.privileged = self._look(draws)

    def _look(self, draws: NDArray[np.float64]) -> Float32Array:
        """(n, size) what a critic sees; the physics shows all `capacity` rows at once."""
        physics, unused = self.world.physics, ((0, self.capacity - len(draws)), (0, 0))
        joints = physics.joint_position, physics.joint_velocity
        actions, command = (self._action, self._action), np.pad(self.command, unused)
        motion = Motion(*joints, *actions, command, physics, self.world.terrain)
        return self._privileged.see(motion, np.pad(draws, unused))[: len(draws)]

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
