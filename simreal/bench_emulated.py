"""What a policy is worth on an emulated arm, over the wire, against training's own evaluation."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simreal.bench_servo import emulated_arm
from simreal.contract import Contract
from simreal.deploy.command_source import FixedSource
from simreal.deploy.drivers import DriverError, open_driver
from simreal.deploy.loop import asked_values, deploy
from simreal.deploy.policy import load_policy
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError
from simreal.evaluate import evaluate, goal_share_of_log, load_candidate
from simreal.experiment import ExperimentConfig
from simreal.logs.messages import read_messages
from simreal.robots.policies import find_policy
from simreal.tasks import Task, find_task


def success_on_emulated_arm(
    path: Path,
    kind: str,
    episodes: int,
    seed: int,
    parameters: Mapping[str, float],
    listen: Callable[[str], None],
) -> dict[str, Any]:
    """Deploy a policy again and again, each time on an arm that begins as an episode does.

    Args:
        path: of an exported policy, or its name.
        kind: of the servos, "feetech" or "dynamixel".
        episodes: how many; each asks something else of the policy.
        seed: of starts and of what is asked.
        parameters: true parameters of the arm where they differ from the model's.
        listen: hears of each episode.

    Returns:
        Success here and in training's evaluation, under its randomization, and what ended episodes.

    Raises:
        UserError: the policy is none for this arm.
    """
    candidate = load_candidate(path)
    experiment = candidate.experiment
    if not isinstance(experiment, ExperimentConfig) or experiment.robot != "so101":
        raise UserError(f"{path}: the emulated arm is an so101, the policy is for another robot")
    task, file = find_task(experiment.task, "so101"), find_policy(path)
    shares, ends = [], []
    for number in range(episodes):
        share, ended_by = _episode(file, task, kind, seed + number, experiment, parameters)
        shares.append(share)
        ends.append(ended_by)
        listen(f"episode {number + 1}: goal held in {100 * share:.0f} % of the second half, {ended_by}")
    trained = evaluate(candidate, 200, seed).summary
    success = float(np.mean([share >= task.success_share for share in shares]))
    return {
        "servos": kind,
        "episodes": episodes,
        "parameters": dict(parameters),
        "success": success,
        "success_in_evaluation": trained.success.value,
        "ratio": success / trained.success.value if trained.success.value else None,
        "goal_shares": shares,
        "ended_by": {each: ends.count(each) for each in sorted(set(ends))},
    }


def _episode(
    policy: Path,
    task: Task,
    kind: str,
    seed: int,
    experiment: ExperimentConfig,
    parameters: Mapping[str, float],
) -> tuple[float, str]:
    """Share of the second half in which the goal held, and what ended it."""
    loaded = load_policy(policy)
    settings = [part for name, value in parameters.items() for part in ("--set", f"{name}={value}")]
    options = ["--seed", str(seed), "--task", task.name, *settings]
    with emulated_arm(kind, options) as arm, tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "flight.mcap"
        driver = open_driver(f"{kind}:port={arm.port},calibration={arm.calibration}", "so101", task.name)
        asked = FixedSource(asked_values(loaded.contract, _asked(loaded.contract, task, seed)))
        try:
            outcome = deploy(loaded, driver, experiment.episode_length, log, asked)
        except DriverError as error:
            return 0.0, str(error)
        steps = round(experiment.episode_length * experiment.control_rate)
        return goal_share_of_log(read_messages(log), task.name, steps), outcome.fault or outcome.ended_by


def _asked(contract: Contract, task: Task, seed: int) -> dict[str, float]:
    """What is asked of the policy, drawn as in training."""
    if not contract.commands:
        return {}
    ends = ([getattr(each, end) for each in contract.commands] for end in ("low", "high"))
    low, high = (np.array(each) for each in ends)
    random = EpisodeRandom(episode_seed(seed, np.array([0])))
    drawn = np.clip(task.draw_command(random, low, high, np.array([0]))[0], low, high)
    return {each.name: float(value) for each, value in zip(contract.commands, drawn, strict=True)}
