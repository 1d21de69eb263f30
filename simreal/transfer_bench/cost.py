"""What a benchmark will cost: an estimate, which the jobs that are done correct."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from simreal.transfer_bench.adapted_arms import BASE_SHARE
from simreal.transfer_bench.arms import ARMS, GO_ON_ON_ROBOT
from simreal.transfer_bench.job import Job
from simreal.transfer_bench.results import Result
from simreal.transfer_bench.targets import TARGETS, base_experiment

TRAINED = {"qube": 36_000.0, "so101": 18_000.0, "go2": 9_600.0}
"""Environment steps/s of training in MuJoCo, quiet cores: docs/figures.md, docs/adaptation_online.md."""
IN_BULLET = {"qube": 3000.0, "so101": 600.0, "go2": 360.0}
"""Environment steps/s in PyBullet, by processor time of one core, however many are simulated."""
SLOWER = {"online": 1.6, "recurrent": 4.7}
"""Times that arms take as long as plain PPO, of the Qube (docs/adaptation_online.md)."""
JUDGED = 3.0
"""Times that an environment is faster which nothing learns from."""
ON_ROBOT = 60.0
"""s of processor time, about, of that for 204 s on a Qube: 156 s of flying took 40 s."""
IDENTIFICATION = 120.0
"""s of processor time, about: four logs of an arm took 41 s, three of a Go2 57 s."""


def seconds_each(jobs: Sequence[Job], episodes: int) -> list[float]:
    """S of each job on quiet cores; what several share is the first one's."""
    done: set[tuple[object, ...]] = set()
    found = []
    for job in jobs:
        parts = _parts(job)
        found.append(_judging(job, episodes) + sum(parts[what] for what in parts if what not in done))
        done.update(parts)
    return found


def seconds_left(
    jobs: Sequence[Job], results: Sequence[Result], episodes: int
) -> tuple[float, float | None]:
    """S that those jobs still take which have no result, and by what the machine is slower than quiet.

    Args:
        jobs: all of them.
        results: what stands there.
        episodes: by which each is judged.

    Returns:
        The estimate; how many times as long as estimated the jobs took that are done, if some are.
    """
    known = {(each.key, each.steps): each.seconds for each in results}
    expected, took, left = 0.0, 0.0, 0.0
    for job, quiet in zip(jobs, seconds_each(jobs, episodes), strict=True):
        spent = known.get((job.key, job.steps))
        if spent is None:
            left += quiet
        else:
            expected, took = expected + quiet, took + spent
    if took == 0.0:
        return left, None
    return left * took / expected, took / expected


def _parts(job: Job) -> dict[tuple[object, ...], float]:
    """S of all that must be done before a job is judged, each by what it is the same for."""
    simulated = "posterior" if job.arm in GO_ON_ON_ROBOT else job.arm
    learns_of = ARMS[job.arm].learns_of
    if learns_of == "nothing":
        return {(job.robot, None, simulated, job.seed): _training(job, 1.0)}
    parts: dict[tuple[object, ...], float] = {
        (job.robot, "base", job.seed): _training(replace(job, arm="uniform"), BASE_SHARE),
        (job.robot, job.target, simulated, job.seed): _training(job, 1.0 - BASE_SHARE),
    }
    if learns_of == "measurements":
        parts[job.robot, job.target, "identified", job.seed] = IDENTIFICATION
    if job.arm in GO_ON_ON_ROBOT:
        parts[job.robot, job.target, job.arm, job.seed] = ON_ROBOT
    return parts


def _training(job: Job, share: float) -> float:
    rate = TRAINED[job.robot]
    if job.arm == "oracle" and _in_bullet(job):
        rate = min(rate, IN_BULLET[job.robot])
    return share * SLOWER.get(job.arm, 1.0) * job.steps / rate


def _judging(job: Job, episodes: int) -> float:
    rate = IN_BULLET[job.robot] if _in_bullet(job) else JUDGED * TRAINED[job.robot]
    return episodes * _episode_steps(job.robot) / rate


@cache
def _episode_steps(robot: str) -> int:
    """Control steps of an episode; read once, since a plan has hundreds of jobs."""
    return base_experiment(robot).episode_steps


def _in_bullet(job: Job) -> bool:
    return TARGETS[job.robot][job.target].engine == "bullet"
