"""Episodes of many simulations: how they are numbered, made ready, counted, closed and followed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.contract import Contract
from simreal.episode_random import EpisodeRandom, SeedArray, episode_seed
from simreal.errors import UserError
from simreal.images import Images
from simreal.observation import Float32Array
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.schedule_interface import untagged
from simreal.state import FloatArray, Ids
from simreal.symmetry import Symmetry

DIVERGED = "diverged"
TIME_LIMIT = "time_limit"
MADE_READY = 64
"""Episodes that are made ready together."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A finished episode and what makes it again: the same seed, draw and actions replay it exactly.

    Attributes:
        seed: of everything random in it.
        draw: parameter column to drawn value.
        tag: what the schedule of the randomization wants to hear of it.
        episode_return: sum of the rewards.
        length: control steps.
        goal_share: share of its second half in which the goal held; steps after an early end count
            as failed.
        success: whether that share suffices.
        ended_by: the termination's name, "diverged" or "time_limit".
        metrics: name to mean over the episode, of the task's metrics.
    """

    seed: int
    draw: dict[str, float]
    tag: int
    episode_return: float
    length: int
    goal_share: float
    success: bool
    ended_by: str
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Step:
    """What one step of the batch gives.

    Attributes:
        observation: (count, size) float32; of a new episode where one has just ended.
        reward: (count,).
        terminated: (count,) episodes that ended for good.
        truncated: (count,) episodes that ended by the time limit alone.
        final_observation: (ended, size), the last observation of each ended episode.
        privileged: (count, size) what a critic sees beside the observation, likewise.
        final_privileged: (ended, size).
        final_images: name of a camera to (ended, channels, height, width) last images, likewise.
        episodes: what ended, in the order of the simulations, of the same length.
    """

    observation: Float32Array
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    final_observation: Float32Array
    privileged: Float32Array
    final_privileged: Float32Array
    episodes: list[Episode] = field(default_factory=list)
    final_images: Images = field(default_factory=dict)


class Environment(ABC):
    """`count` simulations, each in an episode of its own; what training and evaluation step.

    An episode that ends is followed at once by the next, whose seed follows from the run's seed and
    its number.

    Attributes:
        count: number of simulations.
        seed: of the run.
        contract: what a policy trained here believes.
        randomizer: draws the parameters of episodes.
        steps_of_episode: control steps of a full episode.
        episodes_begun: how many, counted from the seed.
        diverged_episodes: how many episodes have ended since the physics left the finite numbers.
        privileged: (count, size) what a critic sees now beside the observation.
        told_columns: which columns of `privileged` a teacher tells.
        images: name of a camera to (count, channels, height, width) what it shows now; live, the next
            step changes it.
    """

    def __init__(
        self,
        contract: Contract,
        randomizer: Randomizer,
        count: int,
        seed: int,
        steps: int,
        observation_size: int,
        success_share: float,
        metrics: Sequence[str] = (),
    ) -> None:
        """Count nothing yet.

        Args:
            contract: what a policy trained here believes.
            randomizer: draws the parameters of episodes.
            count: number of simulations.
            seed: of the run.
            steps: control steps of a full episode.
            observation_size: length of an observation.
            success_share: of the second half, in which the goal must hold for a success.
            metrics: names of what is averaged over an episode.
        """
        self.contract, self.randomizer = contract, randomizer
        self.count, self.seed = count, seed
        self.episodes_begun = self.diverged_episodes = 0
        self.steps_of_episode, self._success_share, self._metrics = steps, success_share, tuple(metrics)
        self._ready = range(0)
        self._ready_seeds: SeedArray = np.zeros(0, dtype=np.uint64)
        self._ready_drawn = untagged(np.zeros((0, len(randomizer.columns))))
        self._random = EpisodeRandom(np.zeros(count, dtype=np.uint64))
        self._draws = np.zeros((count, len(randomizer.columns)))
        self._tags = np.zeros(count, dtype=np.int64)
        self._elapsed = np.zeros(count, dtype=np.int64)
        self._return = np.zeros(count)
        self._goal_steps = np.zeros(count, dtype=np.int64)
        self._metric_sums = np.zeros((count, len(self._metrics)))
        self._observation: Float32Array = np.zeros((count, observation_size), dtype=np.float32)
        self.privileged: Float32Array = np.zeros((count, 0), dtype=np.float32)
        self.told_columns: list[int] = []
        self.images: Images = {}

    @abstractmethod
    def step(self, action: NDArray[np.floating]) -> Step:
        """Take (count, actions) in [-1, 1]; larger ones are clipped.

        Raises:
            UserError: an action is no finite number.
        """

    @abstractmethod
    def _prepare(self, seeds: SeedArray, draws: FloatArray) -> None:
        """Make at most `MADE_READY` episodes ready, with (n, columns) parameters."""

    @abstractmethod
    def _start(self, ids: Ids, rows: Ids) -> tuple[Float32Array, Float32Array]:
        """Let simulations go on from episodes that are ready.

        Returns:
            (len(ids), size) first observations, and what a critic sees beside them.
        """

    @property
    def observation_size(self) -> int:
        """Length of an observation."""
        return int(self._observation.shape[1])

    @property
    def action_size(self) -> int:
        """Length of an action."""
        return len(self.contract.robot.actuators)

    def symmetry(self) -> Symmetry:
        """The mirror images of what a policy sees and does here.

        Raises:
            UserError: nothing here has a mirror image.
        """
        raise UserError(
            f"{self.contract.provenance.task}: this task has no mirror image: symmetric: false"
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
                self._ready = range(self.episodes_begun, self.episodes_begun + MADE_READY)
                self._make_ready(episode_seed(self.seed, np.array(self._ready)))
            first = self.episodes_begun - self._ready.start
            rows = np.arange(first, min(first + ids.size, MADE_READY))
            self._take(ids[: rows.size], rows)
            self.episodes_begun += rows.size
            ids = ids[rows.size :]

    def begin(self, ids: Ids, seeds: SeedArray, draws: FloatArray | None = None) -> Float32Array:
        """Begin particular episodes in some simulations.

        Args:
            ids: which simulations, sorted.
            seeds: (len(ids),) of the episodes.
            draws: (len(ids), columns) parameters to use; drawn from the seeds if absent.

        Returns:
            (count, size) observations of all simulations.
        """
        self.forget_ready()
        for first in range(0, len(ids), MADE_READY):
            part = slice(first, first + MADE_READY)
            self._make_ready(seeds[part], None if draws is None else draws[part])
            self._take(ids[part], np.arange(len(ids[part])))
        return self._observation

    def _make_ready(self, seeds: SeedArray, draws: FloatArray | None = None) -> None:
        drawn = untagged(draws) if draws is not None else self.randomizer.draw(EpisodeRandom(seeds))
        self._ready_seeds, self._ready_drawn = seeds, drawn
        self._prepare(seeds, drawn.values)

    def _take(self, ids: Ids, rows: Ids) -> None:
        """Begin episodes that are ready, with nothing counted in them."""
        observation, privileged = self._start(ids, rows)
        self._observation, self.privileged = self._observation.copy(), self.privileged.copy()
        self._observation[ids], self.privileged[ids] = observation, privileged
        self._random.seeds[ids] = self._ready_seeds[rows]
        self._draws[ids] = self._ready_drawn.values[rows]
        self._tags[ids] = self._ready_drawn.tags[rows]
        for counted in (self._elapsed, self._return, self._goal_steps, self._metric_sums):
            counted[ids] = 0

    def _count(self, reward: FloatArray, goal: NDArray[np.bool_]) -> None:
        """Count (count,) rewards of a step, and where the goal held in a second half."""
        self._return += reward
        self._goal_steps += (self._elapsed > self.steps_of_episode // 2) & goal

    def _conclude(
        self,
        reward: FloatArray,
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        cause: Callable[[int], str],
    ) -> Step:
        """Close the episodes that have ended and begin the next ones in their place.

        Args:
            reward: (count,).
            terminated: (count,) episodes that ended for good.
            truncated: (count,) episodes that ended by the time limit alone.
            cause: what ended the episode of a simulation that has ended.
        """
        ended = np.flatnonzero(terminated | truncated)
        final, final_privileged = self._observation[ended], self.privileged[ended]
        last_seen = {name: images[ended] for name, images in self.images.items()}
        episodes = [self._episode(row, cause(row)) for row in ended.tolist()]
        self.diverged_episodes += sum(episode.ended_by == DIVERGED for episode in episodes)
        if ended.size:
            self._begin_next(ended)
        seen, privileged = self._observation, self.privileged
        return Step(
            seen,
            reward,
            terminated,
            truncated,
            final,
            privileged,
            final_privileged,
            episodes,
            last_seen,
        )

    def _episode(self, row: int, ended_by: str) -> Episode:
        share = float(self._goal_steps[row] / (self.steps_of_episode - self.steps_of_episode // 2))
        means = self._metric_sums[row] / max(1, int(self._elapsed[row]))
        return Episode(
            seed=int(self._random.seeds[row]),
            draw=self.randomizer.named(self._draws[row]),
            tag=int(self._tags[row]),
            episode_return=float(self._return[row]),
            length=int(self._elapsed[row]),
            goal_share=share,
            success=share >= self._success_share,
            ended_by=ended_by,
            metrics=dict(zip(self._metrics, means.tolist(), strict=True)),
        )


def begin_episodes(act: Callable[..., Any], rows: NDArray[np.integer[Any]] | None = None) -> None:
    """Episodes begin in some rows of a batch, or in all: what acts on it forgets what was before.

    In all rows, there may then be another number of them. Policies that carry nothing do not mind.
    """
    begin = getattr(act, "begin", None)
    if begin is not None:
        begin(rows)
