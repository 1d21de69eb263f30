"""A task of dm_control as a batched environment: what training and evaluation ask of `BatchEnv`."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from simreal.action import refuse_no_numbers
from simreal.contract import (
    ActionMapping,
    Actuator,
    Contract,
    ObservationTerm,
    Provenance,
    RobotDescription,
)
from simreal.env import DIVERGED, TIME_LIMIT, Episode, Step
from simreal.episode_random import EpisodeRandom, SeedArray, episode_seed
from simreal.experiment import SuiteExperiment
from simreal.observation import Float32Array
from simreal.physics.interface import Ids
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.schedule_interface import untagged
from simreal.suite import simulation
from simreal.suite.batched import BatchedSimulations, disagreement
from simreal.suite.drawn_models import DrawnModels
from simreal.suite.model_fields import Changes
from simreal.suite.one_by_one import OneByOne, Processes
from simreal.suite.simulation import Simulation
from simreal.suite.stepped import Stepped

Values = NDArray[np.float64]

DRAWN_TOGETHER = 64
"""Episodes whose parameters are drawn together."""
CHECKED = 4
"""Drawn episodes on which a batch must agree with dm_control before it is used."""
GOAL_REWARD = 0.9
"""Reward from which on a task counts as done: most of dm_control's rewards reach 1 there and never more.
dm_control itself defines no success."""
SUCCESS_SHARE = 0.9
"""An episode is a success if the goal holds in this share of its second half, as for robots."""
TERMINATED = "terminated"


class SuiteEnv:
    """`count` simulations of a task of dm_control, each in an episode of its own.

    An action in [-1, 1] covers the task's own bounds. An observation is the task's own, in one row. The
    physics of all simulations is one batch, and the task's reward and observation run on all of them at
    once, where both give what dm_control gives; it is asked when the environment is made. Otherwise
    dm_control steps the simulations one by one, in processes if there are several.

    Attributes:
        contract: what a policy trained here believes. It names the task's joints and actuators, but an
            observation that no robot measures: such a policy cannot be deployed.
        diverged_episodes: how many episodes have ended since the physics left the finite numbers.
        privileged: (count, 0): no critic sees more.
        not_batched: why the simulations are stepped one by one; None where they are not.
    """

    def __init__(
        self,
        experiment: SuiteExperiment,
        count: int,
        seed: int = 0,
        pins: Mapping[str, float] | None = None,
        threads: int = 0,
    ) -> None:
        """Build the simulations; `reset` begins the first episodes.

        Args:
            experiment: what to simulate.
            count: number of simulations.
            seed: of the run.
            pins: randomized parameters to hold at a value.
            threads: of the batch's physics; 0 for every processor.

        Raises:
            UserError: dm_control lacks the task, or a randomization that does not fit it.
        """
        self.experiment, self.count, self.seed = experiment, count, seed
        apart = Simulation(experiment.task)
        apart.begin(0, {})
        pins = experiment.pins | dict(pins or {})
        self._drawn = DrawnModels(
            experiment.task,
            apart.model,
            DRAWN_TOGETHER,
            experiment.randomization,
            pins,
            experiment.schedule,
        )
        self._middle = 0.5 * (apart.upper + apart.lower)
        self._reach = 0.5 * (apart.upper - apart.lower)
        self._limit = apart.step_limit or round(apart.environment._time_limit * apart.control_rate)
        self.contract = self._make_contract(apart)
        self.not_batched: str | None = None
        self._stepped = self._make_stepped(apart, threads)
        self.observation_size = apart.begin(0, {}).size
        self.episodes_begun = self.diverged_episodes = 0
        self.privileged: Float32Array = np.zeros((count, 0), dtype=np.float32)
        self._ready = range(0)
        self._ready_draws, self._ready_tags = untagged(np.zeros((0, len(self.randomizer.columns))))
        self._ready_changes: list[Changes] = []
        self._seeds = np.zeros(count, dtype=np.uint64)
        self._draws = np.zeros((count, len(self.randomizer.columns)))
        self._tags = np.zeros(count, dtype=np.int64)
        self._elapsed = np.zeros(count, dtype=np.int64)
        self._return = np.zeros(count)
        self._goal_steps = np.zeros(count, dtype=np.int64)
        self._observation = np.zeros((count, self.observation_size), dtype=np.float32)

    @property
    def randomizer(self) -> Randomizer:
        """Of the task's model."""
        return self._drawn.randomizer

    @property
    def action_size(self) -> int:
        """Length of an action."""
        return int(self._reach.size)

    @property
    def is_batched(self) -> bool:
        """Whether the physics of all simulations is one batch."""
        return self._stepped.is_batched

    def _make_stepped(self, apart: Simulation, threads: int) -> Stepped:
        """Simulations on a batch if that gives what dm_control gives, else one by one."""
        draws, _ = self.randomizer.draw(EpisodeRandom(np.arange(CHECKED, dtype=np.uint64)))
        changes = self._drawn.changes(draws)
        try:
            checked = BatchedSimulations(apart, CHECKED, set(self._drawn.fields), threads=1)
            different = disagreement(checked, Simulation(self.experiment.task), list(enumerate(changes)))
            if different is None:
                return BatchedSimulations(apart, self.count, set(self._drawn.fields), threads)
            self.not_batched = f"{different} on a batch is another"
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            # Whatever code for one simulation raises when it is given many.
            self.not_batched = str(error)
        name = self.experiment.task
        return OneByOne(name, self.count) if self.count == 1 else Processes(name, self.count)

    def _make_contract(self, apart: Simulation) -> Contract:
        experiment, robot = self.experiment, self._drawn.robot
        scale, offset = self._reach.tolist(), self._middle.tolist()
        provenance = Provenance(
            task=experiment.task,
            agent=experiment.agent,
            seed=self.seed,
            training_steps=0,
            versions={},
        )
        return Contract(
            robot=robot if len(robot.actuators) == len(scale) else _with_actions(robot, apart),
            control_rate=apart.control_rate,
            observation=(ObservationTerm(source="task"),),
            action=ActionMapping(scale=tuple(scale), offset=tuple(offset)),
            trained_ranges=self.randomizer.trained_ranges(),
            provenance=provenance,
        )

    def reset(self, seed: int | None = None) -> Float32Array:
        """Begin new episodes everywhere; with a seed, number them from zero again."""
        if seed is not None:
            self.seed, self.episodes_begun = seed, 0
            self.forget_ready()
        self._begin_next(np.arange(self.count))
        return self._observation

    def forget_ready(self) -> None:
        """Draw the next episodes anew: the schedule of the randomization has moved."""
        self._ready = range(0)

    def _begin_next(self, ids: Ids) -> None:
        """Begin the run's next episodes in some simulations."""
        while ids.size:
            if self.episodes_begun not in self._ready:
                self._ready = range(self.episodes_begun, self.episodes_begun + DRAWN_TOGETHER)
                self._draw(episode_seed(self.seed, np.array(self._ready)))
            first = self.episodes_begun - self._ready.start
            rows = range(first, min(first + ids.size, DRAWN_TOGETHER))
            seeds = episode_seed(self.seed, np.array(rows) + self._ready.start)
            self._take(ids[: len(rows)], seeds, rows)
            self.episodes_begun += len(rows)
            ids = ids[len(rows) :]

    def _draw(self, seeds: SeedArray, draws: Values | None = None) -> None:
        """Draw the models of at most `DRAWN_TOGETHER` episodes."""
        drawn = untagged(draws) if draws is not None else self.randomizer.draw(EpisodeRandom(seeds))
        self._ready_draws, self._ready_tags = drawn
        self._ready_changes = self._drawn.changes(self._ready_draws)

    def begin(self, ids: Ids, seeds: SeedArray, draws: Values | None = None) -> Float32Array:
        """Begin particular episodes in some simulations.

        Args:
            ids: which simulations, sorted.
            seeds: (len(ids),) of the episodes.
            draws: (len(ids), columns) parameters to use; drawn from the seeds if absent.

        Returns:
            (count, size) observations of all simulations.
        """
        self.forget_ready()
        for first in range(0, len(ids), DRAWN_TOGETHER):
            part = slice(first, first + DRAWN_TOGETHER)
            self._draw(seeds[part], None if draws is None else draws[part])
            self._take(ids[part], seeds[part], range(len(ids[part])))
        return self._observation

    def _take(self, ids: Ids, seeds: SeedArray, rows: range) -> None:
        """Begin episodes with the draws that are ready in these rows."""
        changes = self._ready_changes[rows.start : rows.stop]
        first = self._stepped.begin(ids, [int(seed) for seed in seeds], changes)
        self._observation = self._observation.copy()
        self._observation[ids] = first
        self._seeds[ids] = seeds
        self._draws[ids], self._tags[ids] = self._ready_draws[rows], self._ready_tags[rows]
        for counted in (self._elapsed, self._return, self._goal_steps):
            counted[ids] = 0

    def step(self, action: NDArray[np.floating]) -> Step:
        """Take (count, actions) in [-1, 1]; larger ones are clipped.

        Raises:
            UserError: an action is no finite number.
        """
        refuse_no_numbers(action, self.contract.robot.actuator_names)
        clipped = np.minimum(np.maximum(action, -1.0), 1.0).astype(np.float64)
        observation, reward, status = self._stepped.step(self._middle + self._reach * clipped)
        self._observation = observation
        self._elapsed += 1
        self._return += reward
        second_half = self._elapsed > self._limit // 2
        self._goal_steps += second_half & (reward >= GOAL_REWARD)
        truncated = status == simulation.TRUNCATED
        terminated = (status == simulation.TERMINATED) | (status == simulation.DIVERGED)
        return self._conclude(reward, terminated, truncated, status)

    def _conclude(
        self,
        reward: Values,
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        status: NDArray[np.int64],
    ) -> Step:
        """Close the episodes that have ended and begin the next ones in their place."""
        ended = np.flatnonzero(terminated | truncated)
        final = self._observation[ended]
        episodes = [self._episode(row, int(status[row])) for row in ended.tolist()]
        self.diverged_episodes += sum(episode.ended_by == DIVERGED for episode in episodes)
        if ended.size:
            self._begin_next(ended)
        seen, nothing = self._observation, self.privileged
        return Step(seen, reward, terminated, truncated, final, nothing, nothing[ended], episodes)

    def _episode(self, row: int, status: int) -> Episode:
        causes = {
            simulation.TERMINATED: TERMINATED,
            simulation.TRUNCATED: TIME_LIMIT,
            simulation.DIVERGED: DIVERGED,
        }
        share = float(self._goal_steps[row] / (self._limit - self._limit // 2))
        return Episode(
            seed=int(self._seeds[row]),
            draw=self.randomizer.named(self._draws[row]),
            tag=int(self._tags[row]),
            episode_return=float(self._return[row]),
            length=int(self._elapsed[row]),
            goal_share=share,
            success=share >= SUCCESS_SHARE,
            ended_by=causes[status],
        )

    def close(self) -> None:
        """End the processes, if there are any."""
        self._stepped.close()


def _with_actions(robot: RobotDescription, apart: Simulation) -> RobotDescription:
    """A robot whose actuators are the numbers of a task's action, which are not those of its model."""
    ranges: Sequence[tuple[float, float]] = list(zip(apart.lower, apart.upper, strict=True))
    joint = robot.joints[0].name
    actuators = tuple(
        Actuator(
            name=f"action{i}",
            joint=joint,
            command="effort",
            unit="N·m",
            lower=float(low),
            upper=float(high),
        )
        for i, (low, high) in enumerate(ranges)
    )
    return robot.model_copy(update={"actuators": actuators})
