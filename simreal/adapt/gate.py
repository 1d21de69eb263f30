"""The gate: an adapted policy against the one it began from; only one that is not worse may leave.

Both act in the same episodes, the old worlds' and those of the identified robot, and on the same states
of real logs; and where there are logs of both on the robot, these tell what they came to there. Each
measure is the mean of paired differences, with a 95 % interval, such that more is better. It is not
worse if the interval stays above minus a margin: with few episodes an interval is wide, and nothing is
shown. That is not taken for equality.
"""

import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simreal.adapt.finetune import IDENTIFIED
from simreal.adapt.flight_comparison import compare_flights
from simreal.adapt.gate_measures import BLOCK, SUCCESS, Part, compare_actions, compare_episodes
from simreal.adapt.replayed import Acted, act_on, states_of
from simreal.adapt.worlds import experiment_in, mix_worlds, robot_experiment
from simreal.episodes import Episode
from simreal.errors import UserError
from simreal.evaluate import Candidate, interval_json, load_candidate, run_episodes
from simreal.experiment import ExperimentConfig
from simreal.files import digest, write_text
from simreal.logs.robot_log import RobotLog
from simreal.randomization.posterior import read_posterior, write_posterior
from simreal.robots.policies import find_policy
from simreal.run import Run
from simreal.run_verdict import BASE, VERDICT

Tell = Callable[[str, int], None]

EPISODES = 256
ROUND = 64
"""Episodes to which their number is rounded up, where more are asked for."""
OLD, IDENTIFIED_ROBOT = "old worlds", "identified robot"
"""Names of the parts that episodes tell of."""
FAILS = 0.5
"""Share of success below which a policy fails more often than not."""
FEWEST_BLOCKS = 6
"""Of which an interval says something."""
WORLDS_OF_BASE = (
    "engine",
    "randomization",
    "pins",
    "schedule",
    "rewards",
    "episode_length",
    "initial_states",
    "commands",
    "command_interval",
    "terrain",
    "residual",
)
"""What of the base's experiment both policies are judged in."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a comparison came to.

    Attributes:
        policy: name of the adapted one.
        policy_sha256: of its checkpoint.
        base: name of the base policy.
        base_sha256: of its checkpoint, or of its file.
        episodes: of each policy in each simulator.
        seed: of the evaluation.
        parts: that were compared.
        not_judged: what could not be, and why.
        made_by: what `run.json` says of the adaptation.
    """

    policy: str
    policy_sha256: str
    base: str
    base_sha256: str
    episodes: int
    seed: int
    parts: tuple[Part, ...]
    not_judged: tuple[str, ...]
    made_by: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether the policy may be exported."""
        return all(part.passed for part in self.parts)

    @property
    def reasons(self) -> list[str]:
        """Why not, a line for each measure that keeps it back."""
        return [
            f"{part.name}: {measure.name} is {measure.verdict}: gain {measure.gain.told}, "
            f"a loss of {measure.margin:.3g} would not count"
            for part in self.parts
            for measure in part.measures
            if measure.verdict in ("worse", "undecided")
        ]

    @property
    def notes(self) -> list[str]:
        """What would tell more, and where both fail so often that "not worse" says little."""
        failing = [
            f"{part.name}: {self.base} succeeds in {100 * each.base:.0f} % of the episodes, "
            f"{self.policy} in {100 * each.adapted:.0f} %: not to be worse than that says little"
            for part in self.parts
            for each in part.measures
            if each.name == SUCCESS and max(each.base, each.adapted) < FAILS
        ]
        return [*self._how_many_would_tell, *failing]

    @property
    def _how_many_would_tell(self) -> list[str]:
        """Of episodes, where some measure of them is undecided, and none is worse."""
        of_episodes = [part for part in self.parts if part.name in (OLD, IDENTIFIED_ROBOT)]
        measures = [each for part in of_episodes for each in part.measures]
        most = max((each.share_to_tell for each in measures), default=1.0)
        if most <= 1.0 or any(each.verdict == "worse" for each in measures):
            return []
        more = math.ceil(most * self.episodes / ROUND) * ROUND
        return [
            f"{self.episodes} episodes leave it undecided; some {more} would tell: --episodes {more}"
        ]


def judge(
    run: Run,
    against: Path | None = None,
    logs: Sequence[RobotLog] = (),
    identified: Path | None = None,
    episodes: int = EPISODES,
    seed: int = 0,
    tell: Tell | None = None,
) -> Gate:
    """Compare an adapted policy with the one that it began from.

    Args:
        run: of the adapted policy.
        against: run or file of the base policy; the one that the run keeps if absent.
        logs: of the real robot.
        identified: posterior file of it; the one that the run keeps if absent.
        episodes: of each policy in each simulator.
        seed: of the evaluation; episode k is the same for both.
        tell: is told what is being run, and the number of all episodes that are done.

    Raises:
        UserError: a training that has not finished, no base policy, or one of another robot, task or
            rate.
    """
    _refuse_unfinished(run)
    place = find_policy(_base_of(run, against))
    # Before they are loaded: what is trained meanwhile is not judged.
    judged, held_against = digest(run.latest_checkpoint()), _digest(place)
    base, adapted = load_candidate(place), load_candidate(run.path)
    one, other = _comparable(base, adapted)
    # First: logs of another robot are refused at once.
    real = _compare_on_logs(base, adapted, logs)
    flown = compare_flights(base, adapted, logs, one)
    pair = _InEpisodes(((base, one), (adapted, other)), episodes, seed, tell)
    compared: dict[str, Part | str] = {
        "the old worlds": pair.compare(OLD, f"{episodes} episodes as {base.name} was trained", one),
        "the identified robot": _compare_identified(pair, one, other, identified_robot(run, identified)),
        "states of the real robot": real,
        "flights of both on the robot": flown,
    }
    made_by = run.facts().adapted
    return Gate(
        policy=run.path.name,
        policy_sha256=judged,
        base=base.name,
        base_sha256=held_against,
        episodes=episodes,
        seed=seed,
        parts=tuple(each for each in compared.values() if isinstance(each, Part)),
        not_judged=tuple(f"{what}: {why}" for what, why in compared.items() if isinstance(why, str)),
        made_by={} if made_by is None else made_by.as_json(),
    )


def _refuse_unfinished(run: Run) -> None:
    """As long as it has not begun to learn, its policy is the base's."""
    if run.unfinished:
        go_on, kept = run.command_to_go_on, run.steps_kept()
        end = f"; or let it end there: {go_on} -o train.total_steps={kept}" if kept else ""
        raise UserError(f"{run.path}: {run.unfinished}; go on with: {go_on}{end}")


@dataclass(slots=True)
class _InEpisodes:
    """Both policies, in the same episodes.

    Attributes:
        policies: the base and the adapted one, each with its experiment.
        episodes: of each in each simulator.
        seed: of them.
        tell: see `judge`.
        done: of all episodes.
    """

    policies: tuple[tuple[Candidate, ExperimentConfig], tuple[Candidate, ExperimentConfig]]
    episodes: int
    seed: int
    tell: Tell | None
    done: int = 0

    def compare(self, name: str, where: str, worlds: ExperimentConfig) -> Part:
        """A part of that name, in the worlds of an experiment and by its rewards."""
        base, adapted = (
            self._run(name, candidate, in_worlds_of(own, worlds)) for candidate, own in self.policies
        )
        return Part(name, where, compare_episodes(base, adapted))

    def _run(self, name: str, candidate: Candidate, experiment: ExperimentConfig) -> list[Episode]:
        def hear(number: int) -> None:
            if self.tell is not None:
                self.tell(f"{name}, {candidate.name}", self.done + number)

        found = run_episodes(candidate.act, experiment, self.episodes, self.seed, None, hear)
        self.done += self.episodes
        return found


def _compare_identified(
    pair: _InEpisodes, one: ExperimentConfig, other: ExperimentConfig, identified: Path | None
) -> Part | str:
    """What both do among identified robots; or why nobody knows."""
    if identified is None:
        return "neither --randomization nor an identified.yaml in the run"
    with tempfile.TemporaryDirectory() as folder:
        worlds = mix_worlds(one, read_posterior(identified), identified, 0.0)
        file = Path(folder) / "worlds.yaml"
        write_posterior(file, worlds.posterior)
        where = f"{pair.episodes} episodes as {identified.name} says"
        robot = experiment_in(one, worlds, file).model_copy(update={"residual": other.residual})
        return pair.compare(IDENTIFIED_ROBOT, where, robot)


def identified_robot(run: Run, given: Path | None = None) -> Path | None:
    """The posterior file of the robot that a policy is judged among: the given one, or the run's own."""
    kept = run.path / IDENTIFIED
    return given or (kept if kept.is_file() else None)


def _base_of(run: Run, against: Path | None) -> Path:
    if against is not None:
        return against
    if not (run.path / BASE).is_dir():
        raise UserError(f"{run.path}: keeps no base policy: name one by --against")
    return run.path / BASE


def _digest(policy: Path) -> str:
    """Of a run's newest checkpoint, or of an exported file; of nothing if there is none."""
    if policy.is_dir():
        policy = Run.open(policy).latest_checkpoint()
    return digest(policy) if policy.is_file() else ""


def _comparable(base: Candidate, adapted: Candidate) -> tuple[ExperimentConfig, ExperimentConfig]:
    one, other = robot_experiment(base.experiment), robot_experiment(adapted.experiment)
    for name in ("robot", "task", "control_rate"):
        left, right = getattr(one, name), getattr(other, name)
        if left != right:
            raise UserError(
                f"{adapted.name}: {name} is {right}, that of its base policy {left}: not comparable"
            )
    return one, other


def in_worlds_of(own: ExperimentConfig, worlds: ExperimentConfig) -> ExperimentConfig:
    """A policy's own observation and action, in somebody's worlds and by their rewards."""
    return own.model_copy(update={name: getattr(worlds, name) for name in WORLDS_OF_BASE})


def _compare_on_logs(base: Candidate, adapted: Candidate, logs: Sequence[RobotLog]) -> Part | str:
    """What both do in the robot's states; or why that says nothing."""
    if not logs:
        return "no --log"
    found: list[list[Acted]] = []
    for candidate in (base, adapted):
        contract = candidate.contract
        found.append([act_on(candidate.act, contract, *states_of(log, contract)) for log in logs])
    steps = sum(len(each.action) for each in found[0])
    seconds, enough = (number / contract.control_rate for number in (steps, FEWEST_BLOCKS * BLOCK))
    if seconds < enough:
        return f"{seconds:.1f} s of logs, of which no interval can be told: at least {enough:g} s"
    return Part("real states", f"{seconds:.0f} s of {len(logs)} logs", compare_actions(*found))


def write_verdict(run: Run, gate: Gate) -> Path:
    """Write ``gate.json``, which `simreal export` reads, and say where it is."""
    path = run.path / VERDICT
    write_text(path, json.dumps(as_json(gate), indent=2) + "\n")
    return path


def as_json(gate: Gate) -> dict[str, Any]:
    """A comparison for programs."""
    return {
        **{name: value for name, value in asdict(gate).items() if name != "parts"},
        "passed": gate.passed,
        "reasons": gate.reasons,
        "notes": gate.notes,
        "parts": [
            {
                "name": part.name,
                "where": part.where,
                "verdict": part.verdict,
                "measures": [
                    {
                        "name": each.name,
                        "base": each.base,
                        "adapted": each.adapted,
                        "gain": interval_json(each.gain),
                        "margin": each.margin,
                        "verdict": each.verdict,
                    }
                    for each in part.measures
                ],
            }
            for part in gate.parts
        ],
    }
