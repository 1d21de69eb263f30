"""Remembers what `robot add` wrote into a robot's folder, to tell it from what is somebody's own."""

from pathlib import Path

from simreal.files import digest

SUMS = "SHA256SUMS"
"""As `sha256sum` writes it, and checks it."""


def write_sums(folder: Path) -> None:
    """List the files of a folder with their digests, in a file beside them."""
    lines = [f"{sum_}  {name}\n" for name, sum_ in sorted(_digests(folder).items())]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def not_written(folder: Path) -> list[str]:
    """Names of the files in a robot's folder that `robot add` did not write as they are now."""
    written = _read_sums(folder)
    return sorted(name for name, sum_ in _digests(folder).items() if written.get(name) != sum_)


def _read_sums(folder: Path) -> dict[str, str]:
    """File name to digest; nothing of a folder without the list."""
    path = folder / SUMS
    if not path.is_file():
        return {}
    pairs = (line.partition("  ") for line in path.read_text(encoding="utf-8").splitlines())
    return {name: sum_ for sum_, _, name in pairs}


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): digest(path)
        for path in folder.rglob("*")
        if path.is_file() and path != folder / SUMS
    }
