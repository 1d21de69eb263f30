"""Files that an experiment reads, such as a posterior: kept in its run's folder, which is whole then."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simreal.errors import UserError
from simreal.files import copy_file

READERS = ("posterior", "empirical")
"""Distributions that read a file."""


def keep_files(data: dict[str, Any], folder: Path) -> None:
    """Copy what an experiment's data read into a folder, and let them name the copies, relative to it.

    Raises:
        UserError: a file that cannot be read, or a folder that refuses.
    """
    copies: dict[Path, str] = {}
    for entry in _readers(data):
        source = Path(entry["file"]).absolute()
        if source not in copies:
            copies[source] = _free_name(source.name, set(copies.values()))
            _copy(source, folder / copies[source])
        entry["file"] = copies[source]


def kept_names(data: dict[str, Any]) -> list[str]:
    """Names in their folder of the files that an experiment's data name, if they are kept there."""
    named = [Path(entry["file"]) for entry in _readers(data)]
    return [file.name for file in named if file.parent == Path()]


def find_files(data: dict[str, Any], folder: Path) -> None:
    """Let an experiment's data name the files that are kept in a folder by where they stand now."""
    for entry in _readers(data):
        entry["file"] = _found_in(folder.absolute(), entry["file"])


def find_beside(data: dict[str, Any], folder: Path) -> None:
    """Let files that an experiment's document names be found beside it, its task's too.

    A relative path is one from the document's folder if there is such a file, or else from the working
    folder; in the end it is named as the document's folder is.
    """
    for entry in _readers(data):
        entry["file"] = _found_in(folder, entry["file"])
    task = data.get("task")
    if isinstance(task, str) and ".py:" in task:
        file, _, name = task.rpartition(":")
        data["task"] = f"{_found_in(folder, file)}:{name}"


def _found_in(folder: Path, file: str) -> str:
    """Where a file stands, if its path is one from a folder; the path itself, if not."""
    path = folder / file
    return file if Path(file).is_absolute() or not path.is_file() else str(path)


def _readers(data: Any) -> Iterator[dict[str, Any]]:
    """What reads a file, wherever it stands: distributions, and a residual model."""
    if isinstance(data, dict):
        if data.get("type") in READERS and isinstance(data.get("file"), str):
            yield data
        for name, value in data.items():
            if name == "residual" and isinstance(value, dict) and isinstance(value.get("file"), str):
                yield value
            yield from _readers(value)
    elif isinstance(data, list):
        for value in data:
            yield from _readers(value)


def _free_name(name: str, taken: set[str]) -> str:
    stem, suffix = Path(name).stem, Path(name).suffix
    tried, number = name, 1
    while tried in taken or tried == "config.yaml":
        number += 1
        tried = f"{stem}_{number}{suffix}"
    return tried


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise UserError(f"{source}: no such file")
    copy_file(source, target)
