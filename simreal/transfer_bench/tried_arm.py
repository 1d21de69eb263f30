"""The arm that lets the robot decide: the adapted policy and its base fly there in turns."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from simreal.adapt.flown import compare_flights
from simreal.adapt.gate_measures import Part
from simreal.adapt.robot_episode import draw_commands, fly
from simreal.adapt.witness import WitnessDriver
from simreal.adapt.worlds import robot_experiment
from simreal.deploy.loop_options import LoopOptions
from simreal.deploy.policy import Policy, load_policy
from simreal.evaluate import load_candidate
from simreal.export import export
from simreal.logs.formats import read_logs
from simreal.logs.robot_log import RobotLog
from simreal.robots import load_robot
from simreal.run import Run
from simreal.run_verdict import BASE
from simreal.transfer_bench.adapted_arms import ROBOT_SECONDS, posterior
from simreal.transfer_bench.job import Job, Made
from simreal.transfer_bench.stepped_robot import SteppedRobot
from simreal.transfer_bench.trainings import Tell

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
    robot = SteppedRobot(
        job.robot, job.target, policies[0].contract.control_rate, FIRST_EPISODE + 1000 * job.seed
    )
    try:
        logs, violations = _in_turns(job, policies, robot, left)
    finally:
        robot.close()
    one, other = (load_candidate(run.path) for run in runs)
    compared = compare_flights(one, other, logs, robot_experiment(one.experiment))
    better = not isinstance(compared, Part) or compared.measures[0].gain.value >= 0.0
    return Made(
        runs[better],
        found.robot_seconds + robot.seconds,
        found.resets + robot.resets,
        found.violations + violations,
        (*found.notes, f"kept the {NAMES[better]} policy: {_told(compared)}"),
    )


def _exported(run: Run, path: Path) -> Policy:
    """As the robot gets it; what an interrupted benchmark has left is made anew."""
    path.unlink(missing_ok=True)
    return load_policy(export(run, path).path)


def _in_turns(
    job: Job, policies: Sequence[Policy], robot: SteppedRobot, seconds: float
) -> tuple[list[RobotLog], int]:
    """Logs of flights, as many of each policy as s allow, and control steps beyond a limit."""
    experiment = robot_experiment(load_candidate(job.path / f"{NAMES[0]}.onnx").experiment)
    witness = WitnessDriver(robot, load_robot(job.robot).config.safety)
    logs, pair = [], 0
    # A flight takes longer than its episode: at first the robot rises.
    while robot.seconds + max(2.0 * experiment.episode_length, robot.seconds / max(1, pair)) <= seconds:
        asked = draw_commands(policies[0].contract, np.random.default_rng([job.seed, pair]))
        for name, policy in zip(NAMES, policies, strict=True):
            log = job.path / f"{name}_{pair:02d}.mcap"
            log.unlink(missing_ok=True)
            fly(policy, witness, experiment, experiment.episode_length, log, asked, LoopOptions())
            logs += read_logs(log)
        pair += 1
    return logs, witness.beyond_range + witness.beyond_limits


def _told(compared: Part | str) -> str:
    """In a line."""
    if isinstance(compared, str):
        return compared
    [measure] = compared.measures
    gain = measure.gain
    return (
        f"mean reward {measure.adapted:.3g} against {measure.base:.3g} in {compared.where}: "
        f"gain {gain.value:.3g} ({gain.low:.3g} to {gain.high:.3g})"
    )
