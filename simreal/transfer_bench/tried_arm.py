"""The arm that lets the robot decide: the adapted policy and its base fly there in turns."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from simreal.adapt.flight_comparison import Flight, Pair, compare_pairs, flight_of
from simreal.adapt.gate_measures import Part
from simreal.adapt.limit_monitor import MonitoredDriver
from simreal.adapt.robot_episode import draw_commands, fly
from simreal.adapt.worlds import robot_experiment
from simreal.callbacks import Tell
from simreal.deploy.loop_options import LoopOptions
from simreal.deploy.policy import Policy, load_policy
from simreal.evaluate import load_candidate
from simreal.experiment import ExperimentConfig
from simreal.export import export
from simreal.logs.formats import read_logs
from simreal.robots import load_robot
from simreal.run import Run
from simreal.run_verdict import BASE
from simreal.state import FloatArray
from simreal.transfer_bench.adapted_arms import ROBOT_SECONDS, posterior
from simreal.transfer_bench.job import Job, Made
from simreal.transfer_bench.stepped_robot import SteppedRobot

NAMES = ("base", "adapted")
FIRST_EPISODE = 80_000
"""Of the flights."""


def tried(job: Job, tell: Tell) -> Made:
    """Keep what does better of `posterior` and its base in what is left of five minutes on the robot."""
    found = posterior(replace(job, arm="posterior"), tell)
    base = Run(found.run.path / BASE)
    if not base.path.is_dir():  # nothing was identified, and so nothing adapted
        return found
    runs = (base, found.run)
    left = ROBOT_SECONDS - found.robot_seconds
    tell(f"base and adapted policy fly in turns, for {left:.0f} s")
    job.path.mkdir(parents=True, exist_ok=True)
    policies = [_exported(run, job.path / f"{name}.onnx") for run, name in zip(runs, NAMES, strict=True)]
    experiment = robot_experiment(load_candidate(base.path).experiment)
    robot = SteppedRobot(job.robot, job.target, experiment.control_rate, FIRST_EPISODE + 1000 * job.seed)
    try:
        pairs, violations = _in_turns(job, policies, experiment, robot, left)
    finally:
        robot.close()
    compared = compare_pairs(pairs, experiment.control_rate)
    kept = 0 if isinstance(compared, Part) and compared.measures[0].gain.value < 0.0 else 1
    return Made(
        runs[kept],
        found.robot_seconds + robot.seconds,
        found.resets + robot.resets,
        found.violations + violations,
        (*found.notes, f"kept the {NAMES[kept]} policy: {_told(compared)}"),
    )


def _exported(run: Run, path: Path) -> Policy:
    """As the robot gets it; what an interrupted benchmark has left is made anew."""
    path.unlink(missing_ok=True)
    return load_policy(export(run, path).path)


def _in_turns(
    job: Job,
    policies: Sequence[Policy],
    experiment: ExperimentConfig,
    robot: SteppedRobot,
    seconds: float,
) -> tuple[list[Pair], int]:
    """Flights, as many of each policy as s allow, and control steps beyond a limit."""
    witness = MonitoredDriver(robot, load_robot(job.robot).config.safety)
    pairs: list[Pair] = []
    # A flight takes longer than its episode, since at first the robot rises.
    longest = 2.0 * experiment.episode_length
    while robot.seconds + longest <= seconds:
        began, number = robot.seconds, len(pairs)
        asked = draw_commands(policies[0].contract, np.random.default_rng([job.seed, number]))
        base, adapted = (
            _flown(policy, witness, experiment, job.path / f"{name}_{number:02d}.mcap", asked)
            for name, policy in zip(NAMES, policies, strict=True)
        )
        pairs.append((base, adapted))
        longest = max(longest, robot.seconds - began)
    return pairs, witness.beyond_range + witness.beyond_limits


def _flown(
    policy: Policy, witness: MonitoredDriver, experiment: ExperimentConfig, log: Path, asked: FloatArray
) -> Flight:
    log.unlink(missing_ok=True)
    found = fly(policy, witness, experiment, experiment.episode_length, log, asked, LoopOptions())
    if found.outcome.ended_by == "interrupt":
        raise KeyboardInterrupt(f"{log}: interrupted; the same command goes on")
    return flight_of(read_logs(log)[0], experiment, policy.contract)


def _told(compared: Part | str) -> str:
    """In a line."""
    if isinstance(compared, str):
        return compared
    [measure] = compared.measures
    return (
        f"mean reward {measure.adapted:.3g} against {measure.base:.3g} in {compared.where}: "
        f"gain {measure.gain.told}"
    )
