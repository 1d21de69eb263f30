import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.errors import UserError
from simreal.files import (
    describe,
    refuse_no_page,
    refuse_taken,
    remove_quietly,
    write_atomically,
    write_text,
)
from simreal.report import Page


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "note.txt"
    write_text(path, "first Ω\n")
    write_text(path, "second\n")
    assert path.read_text(encoding="utf-8") == "second\n"
    assert names(path.parent) == ["note.txt"]


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    write_text(path, "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half of the n")
        raise RuntimeError("a fault of the program")

    with pytest.raises(RuntimeError, match="a fault of the program"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["note.txt"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    seen = []

    def write(temporary: Path) -> None:
        with temporary.open("w") as file:
            for _ in range(3):
                file.write("line\n")
                file.flush()
                seen.append(path.read_text() if path.exists() else None)

    write_atomically(path, write)
    write_atomically(path, write)
    assert seen == [None] * 3 + ["line\n" * 3] * 3


def test_who_has_the_old_file_open_keeps_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    write_text(path, "old\n" * 1000)
    with path.open() as reader:
        write_text(path, "new\n")
        assert reader.read() == "old\n" * 1000
    assert path.read_text() == "new\n"


KILLED = """
import os, signal, sys
from pathlib import Path
from simreal.files import write_atomically

def write(temporary):
    with temporary.open("w") as file:
        file.write("half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

write_atomically(Path(sys.argv[1]), write)
"""


def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    write_text(path, "old")
    process = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


FULL = """
import resource, sys
from pathlib import Path
from simreal.errors import UserError
from simreal.files import write_text

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_text(Path(sys.argv[1]), "new" * 10_000)
except UserError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_is_a_user_error_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    write_text(path, "old")
    process = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert process.stdout == f"{path}: cannot be written: File too large\n"
    assert process.stderr == ""
    assert path.read_text() == "old"
    assert names(tmp_path) == ["note.txt"]


def test_places_that_cannot_be_written_are_user_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    for path in (
        tmp_path / "file" / "note.txt",
        tmp_path / "file" / "deeper" / "note.txt",
        tmp_path / "folder",
        tmp_path / ("x" * 300),
        Path("/proc/nowhere/note.txt"),
    ):
        with pytest.raises(UserError) as caught:
            write_text(path, "text")
        assert str(caught.value).startswith(f"{path}: cannot be written: ")
    assert names(tmp_path) == ["file", "folder"]
    assert names(tmp_path / "folder") == ["inner"]


FORBIDDEN = """
import os, sys
from pathlib import Path
from simreal.errors import UserError
from simreal.files import write_text

if os.geteuid() == 0:
    os.setuid(65534)  # the superuser may write anywhere
try:
    write_text(Path(sys.argv[1]), "text")
except UserError as error:
    print(error)
"""


def test_a_folder_without_permission_is_a_user_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    path = tmp_path / "note.txt"
    process = subprocess.run(
        [sys.executable, "-c", FORBIDDEN, str(path)], capture_output=True, text=True, timeout=60
    )
    assert process.stdout == f"{path}: cannot be written: Permission denied\n"
    assert process.stderr == ""


@given(st.text())
def test_text_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "text.txt"
    write_text(path, text)
    assert path.read_bytes() == text.replace("\n", os.linesep).encode()


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.mcap", b"\x89MCAP0\r\n\x01", "an MCAP log"),
        ("a.zip", b"PK\x03\x04....", "a zip file (a PyTorch or stable-baselines3 model?)"),
        ("a.png", b"\x89PNG\r\n", "a PNG picture"),
        ("a.gz", b"\x1f\x8b\x08", "a gzip file"),
        ("a.npy", b"\x93NUMPY\x01", "a NumPy array"),
        ("a.xml", b"<mujoco/>", "an XML or HTML file"),
        ("a.json", b'{"version": 1}', "a JSON file"),
        ("a.yaml", b"robot: qube\n", "a YAML file"),
        ("a.yml", "unit: N·m\n".encode(), "a YAML file"),
        ("a.txt", b"hello\n", "a text file"),
        ("a.onnx", b"\x08\x07\x12\x00\x80\x03", "a damaged or foreign ONNX file"),
        ("a.bin", b"\x00\x01\x02", "a binary file"),
        ("a.onnx", b"", "an empty file"),
        ("a.onnx", b"hello\n", "a text file"),
    ],
)
def test_a_wrong_file_is_called_what_it_is(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert describe(path) == kind


@given(st.integers(500, 520))
def test_a_letter_cut_in_two_is_still_text(
    tmp_path_factory: pytest.TempPathFactory, length: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.txt"
    path.write_text("a" * length + "Ω" * 20, encoding="utf-8")
    assert describe(path) == "a text file"


@given(st.binary(max_size=600))
def test_any_bytes_can_be_described(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(content)
    assert describe(path).startswith(("a ", "an "))


def test_a_result_without_a_place_is_refused_before_it_is_computed(tmp_path: Path) -> None:
    file, full, empty = tmp_path / "file", tmp_path / "full", tmp_path / "empty"
    file.write_text("precious")
    (full / "inside").mkdir(parents=True)
    empty.mkdir()
    for path, folder in ((file, False), (empty, False), (file, True), (full, True)):
        with pytest.raises(UserError, match=r": exists already; give another --run$"):
            refuse_taken(path, "--run", folder)
    for folder in (False, True):
        with pytest.raises(UserError, match=r"cannot be written: .*file is no folder that can be"):
            refuse_taken(file / "new" / "result", "-o", folder)
        refuse_taken(tmp_path / "new" / "result", "-o", folder)
    refuse_taken(empty, "--run", folder=True)


def test_a_page_takes_the_place_of_none_but_a_page_of_before(tmp_path: Path) -> None:
    page, log = tmp_path / "page.html", tmp_path / "log.mcap"
    refuse_no_page(page)
    Page("first").write(page)
    refuse_no_page(page)
    for content in ("", "precious", "<!doctype html><html><title>mine</title></html>"):
        log.write_text(content)
        with pytest.raises(UserError, match=r"log\.mcap: exists already, and is no page that simreal"):
            refuse_no_page(log)
    with pytest.raises(UserError, match="it is a folder"):
        refuse_no_page(tmp_path)
    with pytest.raises(UserError, match="is no folder that can be written to"):
        refuse_no_page(log / "page.html")


def test_a_folder_that_may_not_be_written_to_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write everywhere, so that here the kernel's answer is another."""
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    for folder in (False, True):
        with pytest.raises(UserError, match=f"cannot be written: {re.escape(str(tmp_path))} is no"):
            refuse_taken(tmp_path / "new", "-o", folder)


def test_what_is_removed_quietly_is_gone_with_all_in_it_but_not_what_it_links_to(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    kept.mkdir()
    (kept / "file").touch()
    (tmp_path / "link").symlink_to(kept)
    (tmp_path / "folder" / "link").symlink_to(kept)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    for name in ("folder", "link", "dangling", "file", "gone"):
        remove_quietly(tmp_path / name)
    assert list(tmp_path.iterdir()) == [kept] and (kept / "file").is_file()
