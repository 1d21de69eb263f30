"""Files that are whole or not there."""

import errno
import hashlib
import os
import shutil
from codecs import getincrementaldecoder
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from simreal.errors import UserError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Faults of a disk that takes no more."""
PAGE_HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="generator" content="simreal">'
)
"""With which the pages begin that simreal writes: those alone may be written over by the next."""
BLOCK = 2**20
"""Bytes that are read at once."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to the disk and rename it.

    A crash, a full disk or a SIGKILL leaves the old file, or none, never half of one.

    Raises:
        UserError: the disk or the folder refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_folder_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary folder beside `path`, and rename it: all of it is there, or nothing.

    Raises:
        UserError: the disk or the folder above refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        temporary.mkdir(parents=True)
        write(temporary)
        temporary.rename(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_no_page(path: Path) -> None:
    """Say before a long computation that its page has no place: only a page of before is written over.

    Raises:
        UserError: it is a folder, or a file that is no page of simreal's, or the folder that it is to
            stand in cannot be, or not be written to.
    """
    if path.is_dir():
        raise UserError(f"{path}: cannot be written: it is a folder")
    if path.exists() and not _is_page(path):
        raise UserError(f"{path}: exists already, and is no page that simreal wrote: give another name")
    _refuse_closed(path, path.absolute().parent)


def _is_page(path: Path) -> bool:
    """Whether a file begins as the pages of `simreal.report`; none that cannot be read does."""
    try:
        with path.open("rb") as file:
            return file.read(len(PAGE_HEAD)) == PAGE_HEAD.encode()
    except OSError:
        return False


def refuse_taken(path: Path, another: str, folder: bool = False) -> None:
    """Say before a long computation that its result would have no place: nothing is written over.

    Args:
        path: of the file, or the folder, that is to be new.
        another: what to give instead, such as ``-o`` or ``--run``.
        folder: whether it will be one, for which an empty one is as good as none.

    Raises:
        UserError: something stands there already, or nothing can be written there.
    """
    if is_taken(path) if folder else path.exists():
        raise UserError(f"{path}: exists already; give another {another}")
    _refuse_closed(path, path.absolute())


def _refuse_closed(path: Path, place: Path) -> None:
    """Raise a `UserError` if nothing can be made at a place, or in the nearest folder above."""
    above = next(each for each in (place, *place.parents) if each.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise UserError(f"{path}: cannot be written: {above} is no folder that can be written to")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content atomically."""
    write_atomically(target, lambda temporary: shutil.copyfile(source, temporary))


def remove_quietly(path: Path) -> None:
    """Remove a file, a link or a folder with all in it, as far as that can be: nothing is raised."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()


def is_taken(folder: Path) -> bool:
    """Whether something stands where a new folder is to be, or in it."""
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def digest(path: Path) -> str:
    """SHA-256 in hexadecimal of a file, or of all files of a folder in order."""
    found = hashlib.sha256()
    inside = sorted(each for each in path.rglob("*") if each.is_file())
    for each in inside if path.is_dir() else [path]:
        with each.open("rb") as file:
            while block := file.read(BLOCK):
                found.update(block)
    return found.hexdigest()


_KINDS = (
    (b"\x89MCAP0\r\n", "an MCAP log"),
    (b"PK\x03\x04", "a zip file (a PyTorch or stable-baselines3 model?)"),
    (b"\x89PNG", "a PNG picture"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x80\x04\x95", "a Python pickle"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"<", "an XML or HTML file"),
    (b"{", "a JSON file"),
)


def describe(path: Path) -> str:
    """What kind of file this seems to be, for the message that it is the wrong one."""
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return "an empty file"
    for magic, kind in _KINDS:
        if head.startswith(magic):
            return kind
    if _is_text(head):
        return "a YAML file" if path.suffix in (".yaml", ".yml") else "a text file"
    return "a damaged or foreign ONNX file" if path.suffix == ".onnx" else "a binary file"


def _is_text(head: bytes) -> bool:
    """Whether this is the beginning of a text in UTF-8, cut anywhere."""
    try:
        return "\0" not in getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
