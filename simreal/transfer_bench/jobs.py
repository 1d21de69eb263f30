"""Jobs of the benchmark: each arm, target and seed leaves one result, and is not done twice."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from simreal.callbacks import Tell
from simreal.episodes import TIME_LIMIT
from simreal.errors import UserError
from simreal.evaluate import load_candidate, run_episodes, summarize
from simreal.files import digest
from simreal.make_environment import make_environment
from simreal.transfer_bench.arms import make, missing
from simreal.transfer_bench.job import Job
from simreal.transfer_bench.results import Result, add_result, results_in
from simreal.transfer_bench.targets import TARGETS, base_experiment, on_target

JUDGE_SEED = 20_000
"""Of the episodes by which all are judged: none has trained on them."""


def do(job: Job, episodes: int, tell: Tell) -> Result:
    """The result of a job, which is done now if it stands not there yet.

    Raises:
        UserError: a result of another number of steps or episodes stands there.
    """
    for known in results_in(job.folder):
        if known.key == job.key:
            for what, one, other in (
                ("steps", known.steps, job.steps),
                ("episodes", known.episodes, episodes),
            ):
                if one != other:
                    raise UserError(f"{job.path}: of {one} {what}, not {other}: give another --folder")
            return known
    began = time.monotonic()
    made = make(job, tell)
    tell(f"judging {job.path}")
    summary = judge(job, made.run.path, episodes)
    result = Result(
        robot=job.robot,
        target=job.target,
        arm=job.arm,
        seed=job.seed,
        steps=job.steps,
        episodes=episodes,
        mean_return=summary["mean_return"],
        success=summary["success"],
        ended_early=summary["ended_early"],
        robot_seconds=made.robot_seconds,
        resets=made.resets,
        violations=made.violations,
        policy_sha256=digest(made.run.latest_checkpoint()),
        notes=made.notes,
        seconds=time.monotonic() - began,
    )
    add_result(job.folder, result)
    return result


def judge(job: Job, policy: Path, episodes: int) -> dict[str, float]:
    """Run a policy on the target, many at once: the judge, other than a learner, knows the robot.

    The policy's own observation and action stand; the target's randomization, engine and rewards.
    """
    candidate = load_candidate(policy)
    experiment = on_target(candidate.experiment, job.robot, job.target)
    make_environment(experiment.from_start(), 1, threads=1)
    found = run_episodes(candidate.act, experiment, episodes, JUDGE_SEED)
    summary = summarize(found)
    early = sum(each.ended_by != TIME_LIMIT for each in found) / len(found)
    return {
        "mean_return": summary.mean_return.value,
        "success": summary.success.value,
        "ended_early": early,
    }


def jobs(
    folder: Path,
    robots: Sequence[str],
    targets: Sequence[str],
    arms: Sequence[str],
    seeds: Sequence[int],
    steps: int | None,
) -> Iterator[Job]:
    """All combinations, seed by seed, so that a part tells something of every arm.

    Args:
        folder: of the benchmark.
        robots: their names.
        targets: of each; all that a robot has if there is none.
        arms: of each; those that a robot cannot have are left out.
        seeds: of each.
        steps: environment steps of training; as many as each robot's experiment has if absent.
    """
    own = {robot: steps or base_experiment(robot).total_steps for robot in robots}
    can = {robot: [arm for arm in arms if missing(robot, arm) is None] for robot in robots}
    for seed in seeds:
        for robot in robots:
            for target in targets or TARGETS[robot]:
                for arm in can[robot]:
                    yield Job(robot, target, arm, seed, own[robot], folder)
