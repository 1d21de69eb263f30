"""The run folder: what a training leaves behind, and what evaluation, export and resume read."""

import csv
import fcntl
import os
import platform
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from simreal.config import read_document
from simreal.contract import Contract
from simreal.episodes import Episode
from simreal.errors import UserError, nearest
from simreal.experiment import BaseExperiment, parse_kept_experiment
from simreal.files import refuse_taken, remove_quietly, write_atomically, write_text
from simreal.kept_files import find_files, keep_files
from simreal.run_facts import Adapted, RunFacts, read_facts, write_facts
from simreal.tasks import refuse_sent_file, task_file

PACKAGES = ("simreal", "mujoco", "numpy", "torch", "stable-baselines3", "gymnasium")
CHECKPOINT = re.compile(r"step_(\d+)\.pt")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a training's numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _is_run(folder: Path) -> bool:
    return (folder / "config.yaml").is_file() and (folder / "run.json").is_file()


def _refuse_task_within_runs(task: str, folder: Path) -> None:
    """Refuse Python that came with a run's folder: no training puts any there, and it would be run.

    Args:
        task: of the run.
        folder: of the run.

    Raises:
        UserError: the task's file stands in a run's folder, this one or another, such as the one that
            keeps it as its base, or is a link in one; and nobody trusts it.
    """
    if (file := task_file(task)) is None:
        return
    above = {*file.absolute().parents, *file.resolve().parents}
    if folder.resolve() in above or any(map(_is_run, above)):
        refuse_sent_file(task, str(folder))


class Run:
    """A training's folder.

    ``config.yaml`` (resolved) and the posterior files that it draws from, ``contract.json``,
    ``run.json`` (seed, versions, outcome),
    ``episodes.csv`` (every episode's seed, draw and outcome), ``metrics.csv``, ``schedule.csv`` (how the
    ranges of the randomization moved), ``checkpoints/``, ``tensorboard/``.
    """

    def __init__(self, path: Path) -> None:
        """Point to a folder; nothing is read or made yet."""
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.episodes = path / "episodes.csv"
        self.metrics = path / "metrics.csv"
        self.schedule = path / "schedule.csv"
        self._made_folder = self._locked = False

    @classmethod
    def create(
        cls,
        path: Path | None,
        experiment: BaseExperiment,
        seed: int,
        adapted: Adapted | None = None,
        total_steps: int | None = None,
    ) -> "Run":
        """Make the folder of a new run; a name is chosen if no path is given.

        What is given stands in ``run.json`` from its beginning, whenever a kill comes.

        Args:
            path: of the folder.
            experiment: what is to be trained.
            seed: of the training.
            adapted: what makes a policy that begins from another.
            total_steps: that it is to have, if not those of its experiment.

        Raises:
            UserError: something stands there already, or nothing can be written there.
        """
        if path is None:
            stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
            path = Path("runs") / f"{_subject(experiment)}_{experiment.agent}_{stamp}_seed{seed}"
        run = cls(path)
        go_on = f", or go on with it: {run.command_to_go_on}"
        refuse_taken(path, f"--run{go_on if (path / 'run.json').is_file() else ''}", folder=True)
        run._made_folder = not os.path.lexists(path)
        data = experiment.model_dump(mode="json")
        keep_files(data, path)
        write_text(path / "config.yaml", yaml.safe_dump(data, sort_keys=False))
        facts = RunFacts(seed=seed, versions=versions())
        if adapted is not None:
            facts.adapted = adapted
        if total_steps is not None:
            facts.total_steps = total_steps
        write_facts(path / "run.json", facts)
        run.checkpoints.mkdir(exist_ok=True)
        return run

    @classmethod
    def open(cls, path: Path) -> "Run":
        """The run in an existing folder.

        Raises:
            UserError: the folder holds no run.
        """
        if not _is_run(path):
            runs = [each.parent.name for each in path.parent.glob("*/run.json")]
            hint = f"; beside it: {nearest(path.name, runs)}" if runs else ""
            if path.suffix == ".onnx":
                hint = "; it seems to be an exported policy: give the folder of its run"
            raise UserError(f"{path}: not a run folder (no config.yaml and run.json in it){hint}")
        return cls(path)

    def experiment(self) -> BaseExperiment:
        """The resolved configuration.

        Raises:
            UserError: it cannot be read, or its task is in a file that came with a run's folder and that
                nobody trusts.
        """
        document = read_document(self.path / "config.yaml")
        _refuse_task_within_runs(str(document.data.get("task")), self.path)
        find_files(document.data, self.path)
        return parse_kept_experiment(document.data, document)

    @property
    def seed(self) -> int:
        """The seed that the run was started with."""
        return self.facts().seed

    @property
    def total_steps(self) -> int:
        """Environment steps that the run is to have; a resumption may have changed them."""
        return self.facts().total_steps or self.experiment().total_steps

    @property
    def unfinished(self) -> str | None:
        """How far a training is that has not come to its end, for people; None if it has."""
        if self.facts().finished is not False:
            return None
        return f"training has not finished: {self.steps_kept():,} of {self.total_steps:,} steps"

    @property
    def command_to_go_on(self) -> str:
        """What trains it on from its newest checkpoint."""
        return f"simreal train --resume --run {self.path}"

    def facts(self) -> RunFacts:
        """The content of ``run.json``.

        Raises:
            UserError: it cannot be read, or says something of another type.
        """
        return read_facts(self.path / "run.json")

    @contextmanager
    def changing_facts(self) -> Iterator[RunFacts]:
        """The content of ``run.json``, which is written as it is at the end of the context.

        Raises:
            UserError: as of `facts`.
        """
        facts = self.facts()
        yield facts
        write_facts(self.path / "run.json", facts)

    def write_contract(self, contract: Contract) -> None:
        """Write ``contract.json``."""
        write_text(self.path / "contract.json", contract.model_dump_json(indent=2) + "\n")

    def contract(self) -> Contract:
        """Read ``contract.json``."""
        path = self.path / "contract.json"
        try:
            return Contract.from_json(path.read_text("utf-8"), str(path))
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None

    def checkpoint_path(self, steps: int) -> Path:
        """Where the checkpoint after so many steps stands."""
        return self.checkpoints / f"step_{steps:012d}.pt"

    def _checkpoint_paths(self) -> list[Path]:
        """Oldest first; files of other names, such as a user's copies, do not count."""
        return sorted(p for p in self.checkpoints.glob("*.pt") if CHECKPOINT.fullmatch(p.name))

    def steps_kept(self) -> int:
        """Environment steps at the newest checkpoint; 0 if there is none."""
        found = self._checkpoint_paths()
        return int(found[-1].stem.removeprefix("step_")) if found else 0

    @property
    def has_checkpoint(self) -> bool:
        """Whether a training has left one; one that was stopped while it started has not."""
        return bool(self._checkpoint_paths())

    def latest_checkpoint(self) -> Path:
        """The newest checkpoint.

        Raises:
            UserError: there is none yet.
        """
        found = self._checkpoint_paths()
        if not found:
            raise UserError(f"{self.path}: no checkpoint in it yet")
        return found[-1]

    def prune_checkpoints(self, keep: int) -> None:
        """Delete all but the newest checkpoints."""
        for path in self._checkpoint_paths()[:-keep]:
            path.unlink()
        for partial in self.checkpoints.glob(".*.partial"):
            partial.unlink()  # of a process that was killed while it wrote; this one holds the lock

    def take_away(self) -> None:
        """Remove a new run of which nothing came: its folder too, unless that stood there before.

        Nothing is raised, not even if it is gone already: its user is to read why nothing came of it.
        """
        for path in [self.path] if self._made_folder else [*self.path.glob("*")]:
            remove_quietly(path)

    @contextmanager
    def taken_away_on_failure(self, keeps: Callable[[], bool] | None = None) -> Iterator[None]:
        """Take a new run away where something is refused, or fails, before anything came of it.

        A folder of nothing would bar its name.

        Args:
            keeps: whether there is something in it to be kept; a checkpoint, if absent.
        """
        try:
            yield
        except Exception:
            if not (self.has_checkpoint if keeps is None else keeps()):
                self.take_away()
            raise

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Claim the folder; the end of the process gives it back, too. Who holds it may claim it again.

        Raises:
            UserError: another process trains in it, or it cannot be written.
        """
        if self._locked:
            yield
            return
        try:
            file = (self.path / ".lock").open("w")
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written: {error.strerror}") from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UserError(f"{self.path}: another process is training here") from None
            self._locked = True
            try:
                yield
            finally:
                self._locked = False


class Table:
    """A CSV file that grows by rows; the first column is the environment step.

    Attributes:
        kept_until: step of the last row that was kept; None if none was.
    """

    def __init__(self, path: Path, columns: list[str], after_step: int | None = None) -> None:
        """Open for writing.

        Args:
            path: of the file.
            columns: after the leading ``step``.
            after_step: keep the existing rows up to this step, and go on after them.
        """
        kept = [] if after_step is None else _rows_until(path, after_step)
        self.kept_until = int(kept[-1][0]) if kept else None
        # Whole or not at all: a kill in this moment must not cost the rows that are kept.
        write_atomically(path, lambda temporary: _write_rows(temporary, [["step", *columns], *kept]))
        self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)

    def add(self, step: int, values: Iterable[Any]) -> None:
        """Append a row; floats keep every bit."""
        self._writer.writerow([step, *values])

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Flush to the disk and close."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _subject(experiment: BaseExperiment) -> str:
    """What a folder is named after: the task, with the robot where the task fits any."""
    task, robot = experiment.task.replace("/", "_"), getattr(experiment, "robot", "")
    return task if task.startswith(robot) else f"{robot}_{task}"


def _write_rows(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


@contextmanager
def _refused_if_damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, csv.Error) as error:
        raise UserError(
            f"{path}: damaged: {error}; without this file, the training goes on with a new one"
        ) from None


def _rows_until(path: Path, step: int) -> list[list[str]]:
    if not path.exists():
        return []
    with _refused_if_damaged(path), path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file)) or [[]]
        return [row for row in rows if len(row) == len(header) and int(row[0]) <= step]


EPISODE_COLUMNS = ("seed", "return", "length", "goal_share", "success", "ended_by")


def episode_row(episode: Episode) -> list[Any]:
    """An episode as a row of ``episodes.csv``: `EPISODE_COLUMNS`, then the draw."""
    return [
        episode.seed,
        repr(episode.episode_return),
        episode.length,
        repr(episode.goal_share),
        int(episode.success),
        episode.ended_by,
        *map(repr, episode.draw.values()),
    ]


def last_episodes(path: Path, number: int) -> list[Episode]:
    """The newest of the episodes in an ``episodes.csv``, oldest first, without their metrics.

    Raises:
        UserError: it is damaged.
    """
    with _refused_if_damaged(path), path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
        return [_episode(dict(zip(header[1:], row[1:], strict=True))) for row in rows[-number:]]


def _episode(row: dict[str, str]) -> Episode:
    seed, episode_return, length, goal_share, success, ended_by = map(row.pop, EPISODE_COLUMNS)
    return Episode(
        seed=int(seed),
        draw={name: float(value) for name, value in row.items()},
        tag=0,
        episode_return=float(episode_return),
        length=int(length),
        goal_share=float(goal_share),
        success=bool(int(success)),
        ended_by=ended_by,
    )
