"""Benchmark of learning on a robot: a hidden one, some minutes of its time, before and after."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simreal.adapt.finetune_online import finetune_online
from simreal.adapt.gate_measures import Measure, compare_episodes
from simreal.adapt.online_session import OnlineConfig, OnRobot, Status
from simreal.adapt.robot_budget import Budget
from simreal.callbacks import Tell
from simreal.episodes import Episode
from simreal.errors import UserError
from simreal.evaluate import interval_json, load_candidate, run_episodes
from simreal.files import digest, write_text
from simreal.run import Run
from simreal.transfer_bench.jobs import JUDGE_SEED
from simreal.transfer_bench.stepped_robot import SteppedRobot
from simreal.transfer_bench.targets import base_experiment, find_target, on_target
from simreal.transfer_bench.trainings import trained

FLIGHT_SEED = 60_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done for each seed.

    Attributes:
        folder: of the runs, and of ``results.json``.
        robot: its name.
        target: which of the hidden ones.
        steps: environment steps of a base policy.
        seconds: s of the robot's time, trial and all.
        episodes: by which both policies are judged, the same for both.
        config: how to learn.
        tell: hears what is done.
    """

    folder: Path
    robot: str
    target: str
    steps: int
    seconds: float
    episodes: int
    config: OnlineConfig
    tell: Tell

    @property
    def numbers(self) -> dict[str, Any]:
        """What a result depends on, besides robot, target and seed."""
        return {
            "steps": self.steps,
            "seconds": self.seconds,
            "episodes": self.episodes,
            "config": self.config.model_dump(mode="json"),
        }


def tune_on_hidden(plan: Plan, seeds: Sequence[int]) -> dict[str, Any]:
    """Train base policies, fine-tune them on a hidden robot, judge both there; resumable.

    Args:
        plan: for each seed.
        seeds: of base policies, exploration and everything else.
    """
    find_target(plan.robot, plan.target)
    found = []
    for seed in seeds:
        result = plan.folder / plan.robot / plan.target / f"seed{seed}" / "result.json"
        if not result.is_file():
            made = {"by": plan.numbers} | _of_seed(plan, seed, result.parent)
            write_text(result, json.dumps(made, indent=2) + "\n")
        found.append(json.loads(result.read_text("utf-8")))
        if found[-1].get("by") != plan.numbers:
            raise UserError(f"{result}: made with other numbers: give another --folder")
        plan.tell(json.dumps(found[-1]))
    summary = {"robot": plan.robot, "target": plan.target, **plan.numbers, "seeds": found}
    write_text(plan.folder / "results.json", json.dumps(summary, indent=2) + "\n")
    return summary


def _of_seed(plan: Plan, seed: int, path: Path) -> dict[str, Any]:
    # Under the shipped randomization, which does not contain the hidden robot.
    home = plan.folder / plan.robot / "base" / f"seed{seed}"
    base = trained(seed, home, base_experiment(plan.robot), plan.steps, plan.tell)
    hidden = _hidden(plan, base, FLIGHT_SEED + 1000 * seed)
    try:
        tuned = finetune_online(
            base,
            OnRobot(hidden, f"hidden:{plan.target}", starts_anew=True),
            Budget(plan.seconds),
            (),
            path / "run",
            plan.config,
            seed,
            _teller(plan, seed),
        )
    finally:
        hidden.close()
    if tuned.stopped == "interrupted":
        raise KeyboardInterrupt(f"{path}: interrupted; the same command goes on")
    plan.tell(f"judging {path}")
    judged = [judge(each, plan) for each in (base, tuned.run)]
    ledger = tuned.ledger

    def total(name: str) -> int:
        return sum(getattr(each, name) for each in ledger.episodes)

    return {
        "seed": seed,
        "measures": [_shown(each) for each in compare_episodes(*judged)],
        "episodes": plan.episodes,
        "stopped": tuned.stopped,
        "trial": str(tuned.trial),
        "better": tuned.trial.better,
        "robot_seconds": ledger.seconds,
        "falls": ledger.falls,
        "falls_of_base": sum(each.fell for each in ledger.episodes if each.kind == "base"),
        "flown": len(ledger.episodes),
        "width": ledger.bounds.width,
        "commands_beyond_range": total("beyond_range"),
        "measured_beyond_limits": total("beyond_limits"),
        "limited_by_supervisor": total("limited"),
        "filtered": total("filtered"),
        "recovered": total("recovered"),
        "policy_sha256": digest(tuned.run.latest_checkpoint()),
    }


def _hidden(plan: Plan, base: Run, first_episode: int) -> SteppedRobot:
    return SteppedRobot(plan.robot, plan.target, base.contract().control_rate, first_episode)


def _teller(plan: Plan, seed: int) -> Callable[[Status], None]:
    """Tells of each episode once."""
    told = 0

    def listen(status: Status) -> None:
        nonlocal told
        if len(status.ledger.episodes) > told:
            told = len(status.ledger.episodes)
            last = status.ledger.episodes[-1]
            plan.tell(
                f"seed {seed}: {status.ledger.seconds:.0f} s, {last.kind}, mean reward "
                f"{last.told_reward}, width {last.width:.2f}, {last.ended_by}"
            )

    return listen


def judge(run: Run, plan: Plan) -> list[Episode]:
    """Episodes of a policy on the hidden robot: the judge, other than the learner, knows it."""
    candidate = load_candidate(run.path)
    experiment = on_target(candidate.experiment, plan.robot, plan.target)
    return run_episodes(candidate.act, experiment, plan.episodes, JUDGE_SEED)


def _shown(measure: Measure) -> dict[str, Any]:
    return {
        "name": measure.name,
        "before": measure.base,
        "after": measure.adapted,
        "gain": interval_json(measure.gain),
    }
