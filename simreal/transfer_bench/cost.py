"""What a benchmark will cost: an estimate, which the jobs that are done correct."""

from collections.abc import Sequence
from functools import cache

from simreal.experiment import load_experiment
from simreal.transfer_bench.arms import ADAPTED, BASE_SHARE, Job
from simreal.transfer_bench.jobs import Result, key_of
from simreal.transfer_bench.targets import BASES, TARGETS

TRAINED = {"qube": 36_000.0, "so101": 18_000.0, "go2": 9_600.0}
"""Environment steps/s of training in MuJoCo, quiet cores: docs/figures.md, docs/adaptation_online.md."""
IN_BULLET = {"qube": 1000.0, "so101": 600.0, "go2": 360.0}
"""Environment steps/s in PyBullet, by processor time of one core, however many are simulated."""
SLOWER = {"online": 1.6, "recurrent": 4.7}
"""Times that arms take as long as plain PPO, of the Qube (docs/adaptation_online.md)."""
JUDGED = 3.0
"""Times that an environment is faster which nothing learns from."""
ON_ROBOT = 60.0
"""s of processor time, about, of learning on a Qube for 204 s: 156 s of flying took 40 s."""
IDENTIFICATION = 120.0
"""s of processor time, about: four logs of an arm took 41 s, three of a Go2 57 s."""


def seconds_each(jobs: Sequence[Job], episodes: int) -> list[float]:
    """S of each job on quiet cores; what several share is the first one's."""
    done: set[tuple[object, ...]] = set()
    return [_training(job) + _judging(job, episodes) + _shared(job, done) for job in jobs]


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
    known = {key_of(each): each.seconds for each in results}
    expected, took, left = 0.0, 0.0, 0.0
    for job, quiet in zip(jobs, seconds_each(jobs, episodes), strict=True):
        spent = known.get(key_of(job))
        if spent is None:
            left += quiet
        else:
            expected, took = expected + quiet, took + spent
    if took == 0.0:
        return left, None
    return left * took / expected, took / expected


def _training(job: Job) -> float:
    rate = TRAINED[job.robot]
    if job.arm == "oracle" and _in_bullet(job):
        rate = min(rate, IN_BULLET[job.robot])
    share = 1.0 - BASE_SHARE if job.arm in ADAPTED else 1.0
    on_robot = ON_ROBOT if job.arm == "tuned" else 0.0
    return share * SLOWER.get(job.arm, 1.0) * job.steps / rate + on_robot


def _judging(job: Job, episodes: int) -> float:
    rate = IN_BULLET[job.robot] if _in_bullet(job) else JUDGED * TRAINED[job.robot]
    return episodes * _episode_steps(job.robot) / rate


@cache
def _episode_steps(robot: str) -> int:
    """Control steps of an episode; read once, since a plan has hundreds of jobs."""
    return load_experiment(BASES[robot]).episode_steps


def _shared(job: Job, done: set[tuple[object, ...]]) -> float:
    """The half-trained policy is one of a seed; what was identified, of a seed and target."""
    if job.arm not in ADAPTED:
        return 0.0
    costs = {
        (job.robot, job.seed): BASE_SHARE * job.steps / TRAINED[job.robot],
        (job.robot, job.target, job.seed): IDENTIFICATION,
    }
    fresh = sum(cost for what, cost in costs.items() if what not in done)
    done.update(costs)
    return fresh


def _in_bullet(job: Job) -> bool:
    return TARGETS[job.robot][job.target].engine == "bullet"


def duration_text(seconds: float) -> str:
    """Such as ``2 h 10 min``."""
    minutes = max(1, round(seconds / 60.0))
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"
