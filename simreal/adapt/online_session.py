"""A session of learning on a robot: it flies, learns and keeps books in turns, until it is over."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from stable_baselines3.common.base_class import BaseAlgorithm

from simreal.adapt.action_bounds import ActionBounds, BoundsConfig, BoundsState
from simreal.adapt.action_filter import FilterConfig
from simreal.adapt.explorer import CommandFilter, Explorer, Noise
from simreal.adapt.limit_monitor import MonitoredDriver
from simreal.adapt.online_learner import Experience, FrozenPolicy, OnlineLearner
from simreal.adapt.robot_budget import (
    Budget,
    FlownEpisode,
    Ledger,
    cut_short_in_a_row,
    not_come_back,
)
from simreal.adapt.robot_episode import Flown, draw_commands, fly, transitions_of
from simreal.adapt.robot_trial import Trial, next_in_trial, trial_of
from simreal.adapt.transitions import Transitions, mean_reward
from simreal.agents.build import add_residual_policy
from simreal.agents.checkpoint import Progress, load_checkpoint, save_checkpoint
from simreal.agents.config import ResidualPolicyConfig
from simreal.agents.residual_policy import ResidualPolicy
from simreal.config import Config
from simreal.contract import Contract
from simreal.deploy.drivers import Driver
from simreal.deploy.loop_options import USUAL, LoopOptions
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig
from simreal.files import digest
from simreal.observation import ObservationPipeline
from simreal.robots import load_robot
from simreal.run import Run
from simreal.run_facts import Adapted, RobotFacts
from simreal.signals import Interrupt
from simreal.statistics import bootstrap_interval

FOLDER, LEDGER, LEARNER = "robot", "ledger.json", "learner.pt"
"""What a run keeps of the robot, in its folder."""
SHORTEST = 1.0
"""s of an episode that is worth to be flown."""
CUT_SHORT_IN_A_ROW = 4
"""Episodes, one after the other, that ended before their time: then something is wrong."""
LIMITED_SHARE = 0.5
"""Of an episode's cycles in which the supervisor changed commands: beyond, it is what flies."""
COMPARED = 4
"""Episodes of the base policy, and as many of the latest others, before they are compared."""
WORSE_MARGIN = 0.3
"""Of the base's mean reward, by which a mean reward on the robot may be lower, exploration and all."""
COST_MARGIN = 0.1
"""Of the base's mean reward, that an episode with exploration may cost."""
EPISODE_LOG, EPISODE_LOGS = "episode_{:05d}.mcap", "episode_*.mcap"
"""Name of an episode's log by its number, and the pattern of all of them."""
Put = Callable[[], bool]


class OnlineConfig(Config):
    """How to learn on a robot."""

    updates_per_s: Annotated[float, Field(gt=0, le=10_000)] = 5.0
    """Updates of the critics for each s of exploration; as many once more before the trial, in which the
    policy learns, too."""
    returns_s: Annotated[float, Field(ge=0)] = 0.1
    """s of rewards that are counted before what critics think of the rest; one control step at least."""
    critic_width: Annotated[int, Field(ge=1)] = 64
    """Of their hidden layers."""
    batch_size: Annotated[int, Field(ge=2)] = 128
    """Half of it from logs, half from the robot."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Of critics and residual."""
    hidden_layers: tuple[int, ...] = (64, 64)
    """Of the residual."""
    noise: Annotated[float, Field(ge=0)] = 0.5
    """Standard deviation of the exploration, in shares of the bounds' width."""
    noise_s: Annotated[float, Field(ge=0)] = 0.05
    """s that it lasts: it falls to 37 % in that time."""
    base_every: Annotated[int, Field(ge=2)] = 5
    """Every so many episodes, and in the first, the base policy acts alone, to be compared with."""
    trial_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Of the budget, at its end, in which what was learned and the base policy fly in pairs."""
    recover_beyond: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Share of half a joint's range beyond which the base policy acts alone."""
    bounds: BoundsConfig = BoundsConfig()
    """How far the residual may go, and how that widens."""
    filter: FilterConfig | None = FilterConfig()
    """Of what the residual adds, by the robot's model, if it has a fixed base; `null` for none."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a progress bar shows.

    Attributes:
        doing: "flying" or "learning".
        ledger: so far.
        share: of what is being done, for learning.
    """

    doing: str
    ledger: Ledger
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class OnRobot:
    """A robot to learn on.

    Attributes:
        driver: of it.
        name: of the driver, as the user wrote it.
        starts_anew: whether each connection finds it at its start, as a simulated one; that is a reset.
        put_back: has it put back after a fall; False if that cannot be. None if it finds back by itself.
        options: of the loop.
    """

    driver: Driver
    name: str
    starts_anew: bool = False
    put_back: Put | None = None
    options: LoopOptions = USUAL


class Session:
    """One session, from what stands in the folder."""

    def __init__(
        self,
        run: Run,
        base: Run,
        agent: BaseAlgorithm,
        policy: FrozenPolicy,
        robot: OnRobot,
        config: OnlineConfig,
        seed: int,
        experiment: ExperimentConfig,
        interrupt: Interrupt,
        warn: Callable[[str], object],
    ) -> None:
        self._run, self._agent, self._policy, self._robot = run, agent, policy, robot
        self._config, self._seed, self._experiment = config, seed, experiment
        self._interrupt, self._contract = interrupt, run.contract()
        self._progress = load_checkpoint(base.latest_checkpoint(), agent, with_replay=False)
        self._base_digest = digest(base.latest_checkpoint())
        self._folder = run.path / FOLDER
        self._folder.mkdir(exist_ok=True)
        self.listen: Callable[[Status], None] = lambda status: None
        self.warn = warn
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        self._residual = _new_residual(self._contract, config)
        self._deployed = _new_residual(self._contract, config)
        add_residual_policy(agent, self._deployed)
        self._learner = OnlineLearner(
            self._residual,
            *_sizes(self._contract),
            experiment.agent_config.discount,
            config.learning_rate,
            seed,
            config.critic_width,
        )
        self.ledger = self._restore()
        self._flown_before = len(self.ledger.episodes)
        self._bounds = ActionBounds(config.bounds, self.ledger.bounds)
        self._residual.width.fill_(self._bounds.state.width)
        self.prior = self._experience(_nothing(self._contract))
        self._robots = self._read_episodes()
        self._keeps, self.no_filter = _filter(self._contract, config)
        self._save()

    def _restore(self) -> Ledger:
        """What was done before; an episode that nobody came back from counts.

        Raises:
            UserError: ledger or learner are damaged, or missing where something was flown: a new ledger
                would grant the robot's seconds and falls once more.
        """
        path, learner = self._folder / LEDGER, self._folder / LEARNER
        told = (self._run.facts().adapted or Adapted()).robot
        was_flown = any(self._folder.glob(EPISODE_LOGS)) or (told is not None and told.episodes > 0)
        if not path.is_file() and not was_flown:
            return Ledger(BoundsState(self._config.bounds.first))
        ledger = Ledger.read(path)
        if learner.is_file() or was_flown:
            self._learner.load(learner)
        ledger.close_killed()
        return ledger

    def _read_episodes(self) -> Experience:
        """All that was flown before, from the logs."""
        found = self._experience(_nothing(self._contract))
        for path in sorted(self._folder.glob(EPISODE_LOGS)):
            try:
                data = transitions_of(path, self._experiment, self._contract)
            except UserError as error:  # as a power cut leaves it; the ledger counts the episode
                self.warn(f"nothing is learned from this episode: {error}")
                continue
            found = found if data is None else found.then(self._experience(data))
        return found

    def _experience(self, data: Transitions) -> Experience:
        """As the learner sees them."""
        steps = max(1, round(self._config.returns_s * self._contract.control_rate))
        return Experience.of(data, self._policy, self._experiment.agent_config.discount, steps)

    def learn_from(self, logs: Transitions) -> None:
        """Take half of each batch from these."""
        self.prior = self._experience(logs)

    def until_stopped(self, budget: Budget) -> str:
        """Fly and learn in turns; why it ended."""
        if self._robot.name not in self.ledger.drivers:
            self.ledger.drivers.append(self._robot.name)
        stopped = self._learn(budget)  # what a session that was stopped had not come to
        while stopped is None:
            stopped = self.ledger.spent(budget, SHORTEST) or self._objection() or self._ready()
            if stopped is None:
                stopped = self._fly_next(budget)
        with self._run.changing_facts() as facts:
            facts.finished, facts.stopped = True, stopped
        return stopped

    def _is_trial(self, budget: Budget) -> bool:
        """Whether so much of the budget is spent that the rest is for the trial."""
        return self.ledger.seconds >= (1.0 - self._config.trial_share) * budget.seconds

    def _fly_next(self, budget: Budget) -> str | None:
        """One episode, of the trial or to learn from; why it was the last."""
        longest, left = self._experiment.episode_length, budget.seconds - self.ledger.seconds
        number = len(self.ledger.episodes)
        if not self._is_trial(budget):
            kind = "explore" if number % self._config.base_every else "base"
            return self._fly(min(longest, left), kind, None) or self._learn(budget)
        pair, kind, episodes = next_in_trial(self.ledger.episodes, self._learner.updates)
        if left < episodes * longest:
            return f"{left:.1f} of {budget.seconds:g} s are left: too few for another pair of episodes"
        return self._fly(longest, kind, pair)

    def _objection(self) -> str | None:
        """What speaks against going on."""
        if self._bounds.closed:
            return (
                "violations have closed the bounds of exploration: there is nothing left to explore; "
                "another --run would begin anew"
            )
        if not all(each.isfinite().all() for each in self._residual.state_dict().values()):
            return "what was learned is no numbers: another --run with a smaller learning_rate"
        # What ended an earlier session in these ways, a person has seen to who begins another.
        flown = self.ledger.episodes[self._flown_before :]
        if (number := cut_short_in_a_row(flown)) >= CUT_SHORT_IN_A_ROW:
            return f"{number} episodes in a row were cut short, the last by {flown[-1].ended_by}"
        if flown and _is_limited(flown[-1]):
            return (
                f"the supervisor limited {flown[-1].limited} of {flown[-1].steps} commands: its limits "
                "(safety, in robot.yaml) would fly in place of the policy"
            )
        return worse_than_base(self.ledger.episodes)

    def _ready(self) -> str | None:
        """Have the robot put back where it did not end its time; why that is not possible."""
        put_back, episodes = self._robot.put_back, self.ledger.episodes
        if put_back is None or not episodes or not episodes[-1].cut_short or put_back():
            return None
        return "nobody put the robot back"

    def _fly(self, seconds: float, kind: str, pair: int | None) -> str | None:
        """One episode, into log and ledger; why it was the last."""
        ledger, number = self.ledger, len(self.ledger.episodes)
        reset = self._robot.starts_anew or bool(ledger.episodes and ledger.episodes[-1].cut_short)
        width = 0.0 if kind == "base" else self._bounds.state.width
        killed = not_come_back(number, kind, seconds, width, reset, self._learner.updates, pair)
        ledger.in_flight = killed
        ledger.write(self._folder / LEDGER)
        self.listen(Status("flying", ledger))
        witness = MonitoredDriver(
            self._robot.driver, load_robot(self._contract.robot.name).config.safety
        )
        # A trial flies what will be exported, which knows neither filter nor recovery.
        guarded = kind != "learned"
        explorer = Explorer(
            self._contract,
            self._policy,
            self._base_digest,
            None if kind == "base" else self._residual,
            self._bounds,
            witness,
            self._keeps if guarded else None,
            self._config.recover_beyond if guarded else np.inf,
            self._noise(number) if kind == "explore" else None,
        )
        before = 0 if self._keeps is None else self._keeps.changes
        log = self._folder / EPISODE_LOG.format(number)
        # Both of a pair are asked the same.
        random = np.random.default_rng([self._seed, number] if pair is None else [self._seed, 1, pair])
        try:
            flown = fly(
                explorer,
                witness,
                self._experiment,
                seconds,
                log,
                draw_commands(self._contract, random),
                self._robot.options,
                warn=self.warn,
            )
        except BaseException:
            if not witness.commands:  # nothing has moved, and nothing is owed for it
                log.unlink(missing_ok=True)
                ledger.in_flight = None
                ledger.write(self._folder / LEDGER)
            raise
        steps = max(1, round(seconds * self._experiment.control_rate))
        episode = replace(
            killed,
            seconds=flown.outcome.cycles / self._contract.control_rate,
            steps=flown.outcome.cycles,
            mean_reward=None if flown.transitions is None else mean_reward(flown.transitions, steps),
            ended_by=flown.ended_by,
            furthest=explorer.furthest,
            filtered=0 if self._keeps is None else self._keeps.changes - before,
            recovered=explorer.recovered,
            explored=explorer.explored,
            limited=flown.outcome.limited,
            beyond_range=witness.beyond_range,
            beyond_limits=witness.beyond_limits,
        )
        if flown.transitions is not None:
            self._robots = self._robots.then(self._experience(flown.transitions))
        if kind == "explore":
            self._judge_bounds(episode)
        ledger.episodes.append(episode)
        ledger.bounds, ledger.in_flight = self._bounds.state, None
        self._save()
        if _is_limited(episode):  # told when the books are kept: a terminal may be gone
            self.warn(f"episode {number}: {flown.outcome.limited_told}")
        return _last(flown)

    def _noise(self, number: int) -> Noise:
        """Of the exploration in an episode."""
        config, rate = self._config, self._contract.control_rate
        return Noise(_sizes(self._contract)[1], config.noise, config.noise_s * rate, self._seed + number)

    def _judge_bounds(self, episode: FlownEpisode) -> None:
        """Safe time that used them widens them; what went wrong, or cost too much, narrows them."""
        if episode.fell or episode.beyond_limits or episode.beyond_range:
            self._bounds.violated()
        elif episode.tells and cost_too_much(episode, self.ledger.episodes):
            self._bounds.worsened()
        elif episode.tells:
            self._bounds.elapsed(episode.explored / self._contract.control_rate)
        self._residual.width.fill_(self._bounds.state.width)

    def _learn(self, budget: Budget) -> str | None:
        """Make the updates that the steps with exploration are worth; why it was stopped.

        Until the trial critics learn alone, of the policy that flies; then they show it the way once.
        """
        explored = sum(each.seconds for each in self.ledger.episodes if each.pair is None)
        moves_policy = self._is_trial(budget)
        due = int(self._config.updates_per_s * explored) * (2 if moves_policy else 1)
        before = self._learner.updates

        def go_on() -> bool:
            done = (self._learner.updates - before) / max(1, due - before)
            self.listen(Status("learning", self.ledger, done))
            return not self._interrupt.requested

        logs, size = self.prior, self._config.batch_size
        self._learner.learn(logs, self._robots, due, size, moves_policy, go_on)
        self._save()
        return "interrupted" if self._interrupt.requested else None

    @property
    def trial(self) -> Trial:
        """Of what was learned, as it is now, beside the base policy."""
        return trial_of(self.ledger.episodes, self._learner.updates)

    def _deploy(self) -> None:
        """Put into the policy what was learned, if a trial has shown it to be better; else nothing."""
        self._deployed.load_state_dict(self._residual.state_dict())
        if not self.trial.better:  # a width of zero alone would pass on what is no number
            for values in self._deployed.state_dict().values():
                values.zero_()

    def _save(self) -> None:
        """Learner and ledger first, then the policy, and what `run.json` tells of it."""
        run, ledger = self._run, self.ledger
        self._deploy()
        ledger.write(self._folder / LEDGER)
        self._learner.save(self._folder / LEARNER)
        steps = self._progress.steps + sum(each.steps for each in ledger.episodes)
        base = self._progress
        progress = Progress(steps, base.episodes_begun, base.wall_time, base.schedule)
        save_checkpoint(run.checkpoint_path(steps), self._agent, progress)
        run.prune_checkpoints(self._experiment.train.keep_checkpoints)
        with run.changing_facts() as facts:
            facts.steps = steps
            facts.adapted = facts.adapted or Adapted()
            facts.adapted.robot = self._told()

    def _told(self) -> RobotFacts:
        """What was done on the robot so far."""
        ledger, trial = self.ledger, self.trial
        return RobotFacts(
            seconds=ledger.seconds,
            episodes=len(ledger.episodes),
            falls=ledger.falls,
            resets=ledger.resets,
            beyond_range=sum(each.beyond_range for each in ledger.episodes),
            beyond_limits=sum(each.beyond_limits for each in ledger.episodes),
            width=self._bounds.state.width,
            drivers=tuple(ledger.drivers),
            updates=self._learner.updates,
            better=trial.better,
            trial=str(trial),
        )


def _is_limited(episode: FlownEpisode) -> bool:
    """Whether the supervisor, and no policy, has flown it."""
    return episode.limited > LIMITED_SHARE * max(1, episode.steps)


def cost_too_much(episode: FlownEpisode, episodes: Sequence[FlownEpisode]) -> bool:
    """Whether an episode with exploration was worse than each of the base policy, by a margin."""
    base = _rewards(episodes, "base")
    if episode.mean_reward is None or not base:
        return False
    return episode.mean_reward < min(base) - COST_MARGIN * abs(float(np.mean(base)))


def _rewards(episodes: Sequence[FlownEpisode], kind: str) -> list[float]:
    """Mean rewards of a kind's episodes, of those that tell of one."""
    found = (each.mean_reward for each in episodes if each.tells and each.kind == kind)
    return [each for each in found if each is not None]


def worse_than_base(episodes: Sequence[FlownEpisode]) -> str | None:
    """Whether the latest episodes with exploration are worse on the robot than the base's, in words."""
    base = _rewards(episodes, "base")
    latest = _rewards(episodes, "explore")[-len(base) :]
    if len(base) < COMPARED or len(latest) < COMPARED:
        return None
    alone, other = bootstrap_interval(base), bootstrap_interval(latest)
    if other.high >= alone.low - WORSE_MARGIN * abs(alone.value):
        return None
    return (
        f"it has become worse on the robot: the last {len(latest)} episodes have a mean reward of "
        f"{other.told}, {len(base)} of the base policy {alone.told}"
    )


def _last(flown: Flown) -> str | None:
    """Why nothing may follow an episode."""
    if flown.outcome.ended_by == "interrupt":
        return "interrupted"
    if flown.outcome.check == "lost_driver":
        return f"the robot is lost: {flown.outcome.fault}"
    if flown.outcome.check == "emergency_stop":
        return f"stopped by a person: {flown.outcome.fault}"
    return None


def _nothing(contract: Contract) -> Transitions:
    size, actuators = _sizes(contract)
    none, mask = np.zeros(0, np.float32), np.zeros(0, dtype=bool)
    seen, acted = np.zeros((0, size), np.float32), np.zeros((0, actuators), np.float32)
    return Transitions(seen, acted, none, seen, mask, np.zeros(0, np.int64))


def _new_residual(contract: Contract, config: OnlineConfig) -> ResidualPolicy:
    made = ResidualPolicyConfig(width=config.bounds.first, hidden_layers=config.hidden_layers)
    return ResidualPolicy(*_sizes(contract), made)


def _sizes(contract: Contract) -> tuple[int, int]:
    """Of an observation, and of an action."""
    return ObservationPipeline(contract).size, len(contract.robot.actuators)


def _filter(contract: Contract, config: OnlineConfig) -> tuple[CommandFilter | None, str | None]:
    """The filter of commands, or why there is none."""
    if config.filter is None:
        return None, "filter=null"
    try:
        return CommandFilter(contract, config.filter), None
    except UserError as error:
        return None, str(error)
