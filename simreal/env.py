"""The batched environment: physics, sensing, task, randomization and observation in one step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simreal.action import ActionPipeline, refuse_no_numbers
from simreal.beginnings import Beginnings
from simreal.commands import Commands
from simreal.episode_random import EpisodeRandom, SeedArray, episode_seed
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig
from simreal.experiment_contract import make_contract
from simreal.observation import Float32Array, ObservationPipeline
from simreal.physics.interface import Ids
from simreal.privileged import Privileged
from simreal.randomization.build import build_world
from simreal.randomization.followed import refuse_not_followed
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.world import World
from simreal.robots import load_robot
from simreal.state import RobotState
from simreal.tasks import Motion, find_task

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


class BatchEnv:
    """`count` simulations of an experiment, each in an episode of its own.

    An episode that ends is followed at once by the next, whose seed follows from the run's seed and
    its number. Nothing random is left outside of the episode's seed.

    Attributes:
        contract: what a policy trained here believes.
        diverged_episodes: how many episodes have ended since the physics left the finite numbers.
        privileged: (count, size) what a critic sees now beside the observation.
        command: (count, commands) what is asked now.
    """

    def __init__(
        self,
        experiment: ExperimentConfig,
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
            threads: of the physics; 0 for every processor.

        Raises:
            UserError: names or ranges of the experiment that fit neither robot nor task, or that its
                engine cannot follow.
        """
        robot = load_robot(experiment.robot)
        pins = experiment.pins | dict(pins or {})
        self.experiment = experiment
        self.count = count
        self.seed = seed
        self.task = find_task(experiment.task, experiment.robot)

        def build(simulations: int) -> World:
            specification, rate = experiment.randomization, experiment.control_rate
            scene, engine = experiment.scene, experiment.engine
            return build_world(robot, simulations, specification, pins, rate, threads, scene, engine)

        self._world = build(count)
        self.physics = self._world.physics
        ahead = build(MADE_READY)
        self.randomizer = Randomizer(experiment.randomization, ahead, pins, experiment.schedule)
        if experiment.engine != "mujoco":
            refuse_not_followed(self.randomizer, experiment.engine)
        self._redrawing: Randomizer | None = None
        if self.randomizer.changes_within_episodes:
            self._redrawing = Randomizer(experiment.randomization, self._world, pins)
        self._commands = Commands(experiment, self.task)
        self._critic = Privileged(experiment.critic, self.task, self.randomizer)
        self._refuse_other_objects(ahead.objects)
        ranges = self.randomizer.trained_ranges()
        self.contract = make_contract(experiment, robot.description, self.task, ranges, seed)
        starts = experiment.initial_states or {self.task.start: 1.0}
        self._beginnings = Beginnings(
            ahead, self.randomizer, self.contract, self.task, starts, self._commands, self._critic
        )
        self._pipeline = ObservationPipeline(self.contract, (count,))
        self._to_command = ActionPipeline(self.contract)
        self._rewards = [(w, self.task.rewards[name]) for name, w in experiment.rewards.items()]
        self._limit = experiment.episode_steps
        self.episodes_begun = 0
        self.diverged_episodes = 0
        self._ready = range(0)
        self._random = EpisodeRandom(np.zeros(count, dtype=np.uint64))
        self._draws = np.zeros((count, len(self.randomizer.columns)))
        self._tags = np.zeros(count, dtype=np.int64)
        self._action = np.zeros((count, self.action_size))
        self._elapsed = np.zeros(count, dtype=np.int64)
        self._return = np.zeros(count)
        self._goal_steps = np.zeros(count, dtype=np.int64)
        self.command = np.zeros((count, self._commands.size))
        self._metrics = list(self.task.metrics.values())
        self._metric_sums = np.zeros((count, len(self._metrics)))
        self._observation = np.zeros((count, self.observation_size), dtype=np.float32)
        self.privileged = self._critic.see(self._motion(self._action), self._draws)

    def _refuse_other_objects(self, tracked: tuple[str, ...]) -> None:
        if tracked != self.task.objects:
            raise UserError(
                f"task {self.task.name}: objects {self.task.objects}, and its scene has {tracked}: a "
                "loose body is one with sensors NAME_position and NAME_orientation of its frame"
            )

    @property
    def observation_size(self) -> int:
        """Length of an observation."""
        return self._pipeline.size

    @property
    def action_size(self) -> int:
        """Length of an action."""
        return self._to_command.size

    @cached_property
    def _all(self) -> Ids:
        return np.arange(self.count)

    def reset(self, seed: int | None = None) -> Float32Array:
        """Begin new episodes everywhere; with a seed, number them from zero again."""
        if seed is not None:
            self.seed, self.episodes_begun = seed, 0
            self.forget_ready()
        self._begin_next(self._all)
        return self._observation

    def forget_ready(self) -> None:
        """Draw the next episodes anew: the schedule of the randomization has moved."""
        self._ready = range(0)

    def _begin_next(self, ids: Ids) -> None:
        """Begin the run's next episodes in some simulations."""
        while ids.size:
            if self.episodes_begun not in self._ready:
                first = self.episodes_begun
                self._ready = range(first, first + MADE_READY)
                self._beginnings.prepare(episode_seed(self.seed, np.array(self._ready)))
            begun = self.episodes_begun - self._ready.start
            rows = np.arange(begun, min(begun + ids.size, MADE_READY))
            self._take(ids[: rows.size], rows)
            self.episodes_begun += rows.size
            ids = ids[rows.size :]

    def begin(
        self, ids: Ids, seeds: SeedArray, draws: NDArray[np.float64] | None = None
    ) -> Float32Array:
        """Begin particular episodes in some simulations.

        Args:
            ids: which simulations.
            seeds: (len(ids),) of the episodes.
            draws: (len(ids), columns) parameters to use; drawn from the seeds if absent.

        Returns:
            (count, size) observations of all simulations.
        """
        self.forget_ready()
        for first in range(0, len(ids), MADE_READY):
            part = slice(first, first + MADE_READY)
            self._beginnings.prepare(seeds[part], None if draws is None else draws[part])
            self._take(ids[part], np.arange(len(ids[part])))
        return self._observation

    def _take(self, ids: Ids, rows: Ids) -> None:
        """Let simulations go on from beginnings that are ready."""
        ready = self._beginnings
        self._world.take(ids, ready.world, rows)
        self._pipeline.take(ids, ready.pipeline, rows)
        self._random.seeds[ids] = ready.seeds[rows]
        self._draws[ids], self._tags[ids] = ready.draws[rows], ready.tags[rows]
        self.command[ids] = ready.command[rows]
        totals = (self._elapsed, self._return, self._goal_steps, self._metric_sums)
        for counted in (self._action, *totals):
            counted[ids] = 0
        self._observation, self.privileged = self._observation.copy(), self.privileged.copy()
        self._observation[ids] = ready.observation[rows]
        self.privileged[ids] = ready.privileged[rows]

    def measured_state(self) -> RobotState:
        """What the controllers know now: (count, joints) arrays, time in s since the episode began."""
        return self._world.read(self._elapsed / self.experiment.control_rate)

    def step(self, action: NDArray[np.floating]) -> Step:
        """Take (count, actuators) actions in [-1, 1]; larger ones are clipped.

        Raises:
            UserError: the policy gives what is no finite number.
        """
        refuse_no_numbers(action, self.contract.robot.actuator_names)
        previous, self._action = (
            self._action,
            np.minimum(np.maximum(action, -1.0), 1.0).astype(np.float64),
        )
        self._elapsed += 1
        if self._redrawing is not None:
            self._change_parameters(self._redrawing)
        self._world.advance(self._to_command(self._action).target, self._random, self._elapsed)
        motion = self._motion(previous)
        diverged = self.physics.diverged
        reward = np.zeros(self.count)
        for weight, function in self._rewards:
            reward += weight * function(motion)
        second_half = self._elapsed > self._limit // 2
        self._goal_steps += second_half & self.task.goal(motion) & ~diverged
        for place, function in enumerate(self._metrics):
            self._metric_sums[:, place] += np.where(diverged, 0.0, function(motion))
        self._change_commands(motion)
        observation = self._pipeline(self.measured_state(), self._action, self.command)
        privileged = self._critic.see(motion, self._draws)
        if diverged.any():
            # The last sane observation stands in for one of a simulation that has blown up.
            observation[diverged] = self._observation[diverged]
            privileged[diverged] = self.privileged[diverged]
            reward[diverged] = 0.0
        self._observation, self.privileged = observation, privileged
        ended_by = self._terminations(motion, diverged)
        terminated = ended_by >= 0
        self._return += reward
        truncated = (self._elapsed >= self._limit) & ~terminated
        return self._conclude(reward, terminated, truncated, ended_by)

    def _motion(self, previous_action: NDArray[np.float64]) -> Motion:
        physics = self.physics
        joints = physics.joint_position, physics.joint_velocity
        actions = self._action, previous_action
        return Motion(*joints, *actions, self.command, physics, self._world.terrain)

    def _change_commands(self, motion: Motion) -> None:
        """Ask something else where the time for it has come; the motion is then judged by that."""
        ids = self._commands.changing(self._elapsed)
        if ids.size:
            random, number = EpisodeRandom(self._random.seeds[ids]), self._commands.number(self._elapsed)
            self.command = self.command.copy()
            self.command[ids] = self._commands.draw(random, number[ids])
            motion.command = self.command

    def _change_parameters(self, randomizer: Randomizer) -> None:
        """Draw anew what changes within an episode, where the time for it has come."""
        ids, numbers = self._world.events.changing(self._random, self._elapsed)
        if ids.size:
            random = EpisodeRandom(self._random.seeds[ids])
            randomizer.apply(ids, randomizer.redraw(random, self._draws[ids], numbers))

    def _terminations(self, motion: Motion, diverged: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(count,) index into the causes of an end for good, or -1."""
        cause = np.full(self.count, -1)
        for index, function in enumerate(self.task.terminations.values()):
            cause[function(motion)] = index
        cause[diverged] = len(self.task.terminations)
        return cause

    def _conclude(
        self,
        reward: NDArray[np.float64],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        ended_by: NDArray[np.int64],
    ) -> Step:
        """Close the episodes that have ended and begin the next ones in their place."""
        ended = np.flatnonzero(terminated | truncated)
        final, final_privileged = self._observation[ended], self.privileged[ended]
        causes = [*self.task.terminations, DIVERGED, TIME_LIMIT]
        episodes = [self._episode(row, causes[ended_by[row]]) for row in ended.tolist()]
        self.diverged_episodes += sum(episode.ended_by == DIVERGED for episode in episodes)
        if ended.size:
            self._begin_next(ended)
        seen = self._observation, self.privileged
        return Step(seen[0], reward, terminated, truncated, final, seen[1], final_privileged, episodes)

    def _episode(self, row: int, ended_by: str) -> Episode:
        second_half = self._limit - self._limit // 2
        share = float(self._goal_steps[row] / second_half)
        return Episode(
            seed=int(self._random.seeds[row]),
            draw=self.randomizer.named(self._draws[row]),
            tag=int(self._tags[row]),
            episode_return=float(self._return[row]),
            length=int(self._elapsed[row]),
            goal_share=share,
            success=share >= self.task.success_share,
            ended_by=ended_by,
            metrics=self._mean_metrics(row),
        )

    def _mean_metrics(self, row: int) -> dict[str, float]:
        means = self._metric_sums[row] / max(1, int(self._elapsed[row]))
        return dict(zip(self.task.metrics, means.tolist(), strict=True))
