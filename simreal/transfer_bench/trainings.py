"""Trainings of benchmarks: begun, or gone on with, or done already."""

import shutil
from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from simreal.callbacks import Tell
from simreal.experiment import BaseExperiment
from simreal.run import Run
from simreal.teacher import find_teacher
from simreal.train import StatusListener, TrainingStatus, start_run, train


def trained(
    seed: int,
    path: Path,
    experiment: BaseExperiment,
    steps: int,
    tell: Tell,
    beside: BaseCallback | None = None,
    until: int | None = None,
) -> Run:
    """A run of an experiment, begun or gone on with until it has its steps.

    Args:
        seed: of a new run.
        path: of it.
        experiment: of a new run.
        steps: that a training has, by which its learning rate falls.
        tell: hears of each tenth of it.
        beside: as of `train`.
        until: the steps after which it is broken off, if it is.
    """
    run = begun(path)
    if run is None:
        config = experiment.model_copy(
            update={"train": experiment.train.model_copy(update={"total_steps": steps})}
        )
        run = start_run(config, seed, path)
    elif has_steps(run, until or steps):
        return run
    tell(f"training {path} to {until or steps} steps")

    def broken_off(agent: BaseAlgorithm) -> bool:
        return until is not None and agent.num_timesteps >= until

    ended = train(
        run,
        resume=True,
        listen=tenths(tell),
        stop_early=broken_off,
        find_teacher=find_teacher,
        beside=beside,
    )
    finish(run, ended)
    return run


def begun(path: Path) -> Run | None:
    """The run that a job goes on with; one that was killed before its first checkpoint is removed.

    Raises:
        UserError: another process is about to train there.
    """
    run = Run(path)
    if (path / "run.json").is_file() and run.has_checkpoint:
        return run
    if path.is_dir():
        with run.lock():
            shutil.rmtree(path)
    return None


def has_steps(run: Run, steps: int) -> bool:
    """Whether its training is over."""
    return bool(run.facts().finished) and run.steps_kept() >= steps


def tenths(tell: Tell) -> StatusListener:
    """Tells of each tenth of a training."""
    told = 0

    def listen(status: TrainingStatus) -> None:
        nonlocal told
        tenth = 10 * status.steps // status.total
        if tenth > told:
            told = tenth
            tell(
                f"{10 * tenth} %, {status.steps_per_second:.0f} steps/s, return {status.mean_return:.1f}"
            )

    return listen


def finish(run: Run, finished: bool) -> None:
    """Take note that a training was interrupted.

    Raises:
        KeyboardInterrupt: it was.
    """
    if not finished:
        raise KeyboardInterrupt(f"{run.path}: interrupted; the same command goes on")
