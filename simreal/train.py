"""Training: agent and environment brought together, with progress, checkpoints and resume."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from simreal.agents.build import add_residual_policy, build_agent
from simreal.agents.checkpoint import Progress, load_checkpoint, save_checkpoint
from simreal.agents.config import AgentConfig, OffPolicyConfig, PPOConfig, RMAConfig
from simreal.agents.exported import find_normalizer
from simreal.agents.images import begin_as
from simreal.agents.imitation import ImitationPPO, Teach
from simreal.agents.residual_policy import ResidualPolicy
from simreal.contract_differences import refuse_differences
from simreal.env import BatchEnv
from simreal.episodes import Environment, Episode
from simreal.errors import UserError
from simreal.experiment import BaseExperiment, ExperimentConfig
from simreal.files import NO_ROOM
from simreal.make_environment import make_environment
from simreal.randomization.schedule_interface import HistoryRow
from simreal.robots.loader import load_robot
from simreal.run import EPISODE_COLUMNS, Run, Table, episode_row, last_episodes
from simreal.run_facts import LARGEST_SEED, Adapted
from simreal.signals import Interrupt, interrupt_flag
from simreal.spaces import STATE
from simreal.vec_env import SimrealVecEnv

RECENT_EPISODES = 200
PACED_AFTER = 2.0
"""s, in which a pace shows."""
LARGEST_WEIGHT = 1e6
METRIC_COLUMNS = ["wall_time_s", "return", "success", "goal_share", "steps_per_second"]


@dataclass(frozen=True, slots=True)
class TrainingStatus:
    """What a progress bar shows: of a policy that explores, from the training's starts.

    Attributes:
        steps: environment steps so far, of `total`.
        total: steps to train for.
        mean_return: over recent episodes; nan before the first has ended.
        success: share of recent episodes.
        steps_per_second: since the first update, whose rollout warms everything up; those of single
            intervals jump with every update. nan before it has lasted for a while.
    """

    steps: int
    total: int
    mean_return: float
    success: float
    steps_per_second: float


FindTeacher = Callable[[str, BatchEnv], Teach]
"""The teacher of a name in an environment; here, since a policy file is read by what deploys it."""
StatusListener = Callable[[TrainingStatus], None]


def start_run(
    experiment: BaseExperiment,
    seed: int,
    path: Path | None = None,
    adapted: Adapted | None = None,
    total_steps: int | None = None,
) -> Run:
    """Check an experiment by building it, then make its run folder; see `Run.create`.

    Raises:
        UserError: what is wrong with it, with the seed, or with the folder.
    """
    if seed > LARGEST_SEED:
        raise UserError(f"seed {seed}: at most {LARGEST_SEED}")
    env = make_environment(experiment, 1, seed, threads=1)
    run = Run.create(path, experiment, seed, adapted, total_steps)
    digest = load_robot(experiment.robot).sha256 if isinstance(experiment, ExperimentConfig) else ""
    made = {"versions": run.facts().versions, "robot_sha256": digest}
    provenance = env.contract.provenance.model_copy(update=made)
    run.write_contract(env.contract.model_copy(update={"provenance": provenance}))
    return run


def planned_steps(run: Run, total_steps: int | None = None) -> int:
    """Environment steps that a run has when its training has come to its end.

    Agents collect whole rollouts, so these are the total number, rounded up.

    Args:
        run: new, or with checkpoints from which it would go on.
        total_steps: in place of the run's own number.
    """
    config, kept = run.experiment().agent_config, run.steps_kept()
    rollout = config.simulations * (config.rollout_steps if isinstance(config, PPOConfig) else 1)
    return kept + rollout * math.ceil(max(0, (total_steps or run.total_steps) - kept) / rollout)


def train(
    run: Run,
    resume: bool = False,
    total_steps: int | None = None,
    listen: StatusListener | None = None,
    stop_early: Callable[[BaseAlgorithm], bool] | None = None,
    begin: Callable[[BaseAlgorithm], None] | None = None,
    find_teacher: FindTeacher | None = None,
    beside: BaseCallback | None = None,
) -> bool:
    """Train in a run folder until its steps are done, or until it is interrupted.

    Ctrl-C (SIGINT) and SIGTERM end it at the next step, with a checkpoint.

    Args:
        run: made by `start_run`.
        resume: go on from the latest checkpoint; from the start, if a training was stopped before
            there was one.
        total_steps: in place of the configured number.
        listen: called with the status, some times a second.
        stop_early: asked after each update whether to stop; for benchmarks.
        begin: is given the fresh agent of a new training, such as to go on from another's networks.
        find_teacher: for an experiment with one.
        beside: what else is done while it learns, such as an alignment.

    Returns:
        Whether the training came to its end; a checkpoint stands in the folder either way.

    Raises:
        UserError: a run that cannot be trained, or, without a checkpoint, not go on.
    """
    with run.lock():
        experiment = run.experiment()
        new = not resume
        resume = resume and _goes_on(run)
        refuse_residual_policy(run)
        agent_config = experiment.agent_config
        with run.taken_away_on_failure(lambda: not new or run.has_checkpoint):
            env, agent = _learner(run, experiment, find_teacher)
            if begin is not None and not resume:
                begin(agent)
            elif not resume:
                take_encoders(agent, agent_config)
        if isinstance(agent_config, OffPolicyConfig):
            # Its many small updates lose more to handing work over than they gain (1.2 times slower).
            torch.set_num_threads(1)
        progress = Progress(0, 0, 0.0, {})
        if resume:
            progress = load_checkpoint(run.latest_checkpoint(), agent)
            env.batch.episodes_begun = progress.episodes_begun
            env.batch.randomizer.schedule.restore(progress.schedule)
        total = total_steps or run.total_steps
        with run.changing_facts() as facts:
            facts.total_steps, facts.finished = total, False
        recorder = _Recorder(run, experiment, env, progress, total, resume, listen, stop_early)
        with interrupt_flag() as recorder.interrupt, _lost_only_since_the_last_checkpoint(run, agent):
            agent.learn(
                max(0, total - progress.steps),
                callback=recorder if beside is None else [recorder, beside],
                reset_num_timesteps=not resume,
                tb_log_name=experiment.agent,
            )
            recorder.finish()
        finished = agent.num_timesteps >= total or not recorder.interrupt.requested
        with run.changing_facts() as facts:
            facts.steps, facts.finished = agent.num_timesteps, finished
        return finished


def _learner(
    run: Run, experiment: BaseExperiment, find_teacher: FindTeacher | None
) -> tuple[SimrealVecEnv, BaseAlgorithm]:
    """The simulations of a run, and an agent that has not learned yet."""
    config, teacher = experiment.agent_config, experiment.taught_by
    env = SimrealVecEnv(make_environment(experiment, config.simulations, run.seed))
    refuse_differences(run.contract(), env.batch.contract, str(run.path))
    board = run.path / "tensorboard"
    agent = build_agent(config, env, run.seed, board, adaptation_of(experiment), teacher)
    if isinstance(agent, ImitationPPO):
        assert teacher is not None and find_teacher is not None and isinstance(env.batch, BatchEnv)
        agent.teach = find_teacher(teacher.policy, env.batch)
    return env, agent


@contextmanager
def _lost_only_since_the_last_checkpoint(run: Run, agent: BaseAlgorithm) -> Iterator[None]:
    """Say where a training can go on that a full disk ends, or numbers that ran off.

    Raises:
        UserError: either is the case.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise UserError(
            f"{run.path}: {error.strerror}, after {agent.num_timesteps:,} steps; with room again, "
            f"{run.command_to_go_on} goes on after {run.steps_kept():,}"
        ) from None
    except ValueError as error:  # as torch says it, where numbers are drawn by what is none
        if not _has_run_off(agent):
            raise
        raise _ran_off(run, agent) from error


def _has_run_off(agent: BaseAlgorithm) -> bool:
    """Whether its networks have numbers of which nothing can be made."""
    return not all(bool((each.abs() < LARGEST_WEIGHT).all()) for each in agent.policy.parameters())


def _ran_off(run: Run, agent: BaseAlgorithm) -> UserError:
    return UserError(
        f"{run.path}: the networks' numbers ran off after {agent.num_timesteps:,} steps: "
        f"a smaller learning_rate; its policy after {run.steps_kept():,} steps is whole"
    )


def take_encoders(agent: BaseAlgorithm, config: AgentConfig) -> None:
    """Let a fresh agent see as the policy of another run does, if its configuration names one."""
    if config.image_encoder is not None:
        begin_as(agent.policy, load_agent(Run.open(config.image_encoder))[0].policy)


def _goes_on(run: Run) -> bool:
    """Whether there is something to go on from; if not, the run begins anew."""
    if run.has_checkpoint:
        return True
    if run.facts().adapted is not None:
        # It begins from another policy, which only its own command knows.
        raise UserError(
            f"{run.path}: no checkpoint in it yet, and it is to begin from another run's policy: "
            "delete the folder, and give the command that made it again"
        )
    return False


def adaptation_of(experiment: BaseExperiment) -> RMAConfig | None:
    """How a policy of an experiment adapts while it runs, if it does."""
    if isinstance(experiment, ExperimentConfig) and experiment.adaptation is not None:
        return experiment.rma
    return None


def refuse_residual_policy(run: Run) -> None:
    """Raise a `UserError` if a run's policy has learned on a robot, where alone it can go on."""
    experiment = run.experiment()
    if isinstance(experiment, ExperimentConfig) and experiment.residual_policy is not None:
        raise UserError(
            f"{run.path}: its policy was changed on a robot, and goes on there alone: "
            "simreal finetune-online; what it began from is in its folder base/"
        )


def load_agent(run: Run, count: int | None = None) -> tuple[BaseAlgorithm, Environment]:
    """The trained agent of a run, and an environment of its experiment.

    Args:
        run: with a checkpoint in it.
        count: simulations of the environment; few if absent.
    """
    experiment = run.experiment()
    # stable-baselines3 refuses to build PPO for a rollout of a single step of a single simulation.
    env = SimrealVecEnv(make_environment(experiment, count or 2, run.seed))
    refuse_differences(run.contract(), env.batch.contract, str(run.path))
    adapts, teacher = adaptation_of(experiment), experiment.taught_by
    agent = build_agent(experiment.agent_config, env, run.seed, rma=adapts, teacher=teacher)
    if isinstance(experiment, ExperimentConfig) and experiment.residual_policy is not None:
        size, actuators = env.batch.observation_size, env.batch.action_size
        add_residual_policy(agent, ResidualPolicy(size, actuators, experiment.residual_policy))
    progress = load_checkpoint(run.latest_checkpoint(), agent, with_replay=False)
    env.batch.randomizer.schedule.restore(progress.schedule)
    return agent, env.batch


class _Recorder(BaseCallback):
    """Normaliser statistics, checkpoints, tables and progress, at the places where they belong."""

    def __init__(
        self,
        run: Run,
        experiment: BaseExperiment,
        env: SimrealVecEnv,
        progress: Progress,
        total: int,
        resume: bool,
        listen: StatusListener | None,
        stop_early: Callable[[BaseAlgorithm], bool] | None,
    ) -> None:
        super().__init__()
        self.interrupt = Interrupt()
        self._run, self._train, self._env = run, experiment.train, env
        self._start, self._total = progress, total
        self._listen, self._stop_early = listen, stop_early
        self._began = time.monotonic()
        self._saved_at = progress.steps
        self._status_at, self._status_steps = self._began, progress.steps
        self._paced: tuple[float, int] | None = None
        self._observations: list[NDArray[np.float32]] = []
        self._recent: deque[Episode] = deque(maxlen=RECENT_EPISODES)
        self._ended: list[Episode] = []
        after = progress.steps if resume else None
        columns = [*EPISODE_COLUMNS, *env.batch.randomizer.columns]
        self._episodes = Table(run.episodes, columns, after)
        if resume:
            self._recent.extend(last_episodes(run.episodes, RECENT_EPISODES))
        self._metrics = Table(run.metrics, METRIC_COLUMNS, after)
        self._schedule = Table(run.schedule, list(HistoryRow._fields[1:]), after)
        self._scheduled = resume and self._schedule.kept_until == progress.steps
        self._stopped = False

    def _on_training_start(self) -> None:
        """A run that is killed before its first update can be resumed, too."""
        if self.num_timesteps == 0:
            self._save()

    def _pace(self, now: float) -> float:
        """Steps per s since the first update."""
        if self._paced is None or now - self._paced[0] < PACED_AFTER:
            return math.nan
        return (self.num_timesteps - self._paced[1]) / (now - self._paced[0])

    def _on_rollout_start(self) -> None:
        """Between updates: nothing that a gradient depends on may change anywhere else."""
        if _has_run_off(self.model):
            raise _ran_off(self._run, self.model)
        self._update_normalizer()
        self._update_schedule()
        warm = max(self._start.steps + 1, getattr(self.model, "learning_starts", 0))
        if self._paced is None and self.num_timesteps >= warm:
            self._paced = time.monotonic(), self.num_timesteps
        if self.num_timesteps - self._saved_at >= self._train.checkpoint_every:
            self._save()
        if self._stop_early is not None and self._stop_early(self.model):
            self._stopped = True

    def _update_schedule(self) -> None:
        """Tell it how episodes went, and let it move what the next ones draw."""
        schedule = self._env.batch.randomizer.schedule
        if self._ended:
            schedule.record(
                np.array([episode.tag for episode in self._ended]),
                np.array([list(episode.draw.values()) for episode in self._ended]),
                np.array([episode.success for episode in self._ended]),
            )
            self._ended.clear()
        if schedule.update(self.num_timesteps) or not self._scheduled:
            self._scheduled = True
            self._env.batch.forget_ready()
            for row in schedule.history(self.num_timesteps):
                self._schedule.add(row.step, row[1:])
            self._schedule.flush()

    def _update_normalizer(self) -> None:
        if self._observations:
            normalizer, seen = find_normalizer(self.model), np.concatenate(self._observations)
            normalizer.update(seen[:, : len(normalizer.mean)])  # an agent may have put more behind
            self._observations.clear()

    def _on_step(self) -> bool:
        seen = self.locals["new_obs"]
        self._observations.append(seen[STATE] if isinstance(seen, dict) else seen)
        for episode in self._env.take_finished():
            self._recent.append(episode)
            self._ended.append(episode)
            self._episodes.add(self.num_timesteps, episode_row(episode))
        if time.monotonic() - self._status_at > 0.5:
            self._report()
        return not (self.interrupt.requested or self._stopped)

    def _report(self) -> None:
        now = time.monotonic()
        speed = (self.num_timesteps - self._status_steps) / max(now - self._status_at, 1e-9)
        self._status_at, self._status_steps = now, self.num_timesteps
        status = TrainingStatus(
            self.num_timesteps,
            self._total,
            self._mean("episode_return"),
            self._mean("success"),
            self._pace(now),
        )
        self._metrics.add(
            self.num_timesteps,
            [
                f"{self._wall_time():.2f}",
                status.mean_return,
                status.success,
                self._mean("goal_share"),
                f"{speed:.0f}",
            ],
        )
        self._metrics.flush()
        self._episodes.flush()
        self.logger.record("rollout/success", status.success)
        self.logger.record("rollout/goal_share", self._mean("goal_share"))
        self.logger.record("rollout/randomization", self._env.batch.randomizer.schedule.entropy)
        self.logger.record("rollout/diverged_episodes", self._env.batch.diverged_episodes)
        if self._listen is not None:
            self._listen(status)

    def _mean(self, attribute: str) -> float:
        values = [getattr(episode, attribute) for episode in self._recent]
        return float(np.mean(values)) if values else float("nan")

    def _wall_time(self) -> float:
        return self._start.wall_time + time.monotonic() - self._began

    def _save(self) -> None:
        self._saved_at = self.num_timesteps
        self._episodes.flush()
        batch = self._env.batch
        progress = Progress(
            self.num_timesteps,
            batch.episodes_begun,
            self._wall_time(),
            batch.randomizer.schedule.state(),
        )
        save_checkpoint(self._run.checkpoint_path(self.num_timesteps), self.model, progress)
        self._run.prune_checkpoints(self._train.keep_checkpoints)

    def finish(self) -> None:
        """Save what there is and close the tables."""
        self._update_normalizer()
        self._save()
        if self.num_timesteps > self._start.steps:
            self._report()
        self._episodes.close()
        self._metrics.close()
        self._schedule.close()
