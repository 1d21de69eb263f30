"""Frames through OpenCV, from files and pipes of this machine."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simreal.contract import CameraTerm
from simreal.deploy.cameras.capture import Capture, film_images
from simreal.errors import UserError

cv2 = pytest.importorskip("cv2", reason="the extra `cameras` is not installed")

RATE = 20.0
TERM = CameraTerm(name="eye", width=16, height=12)


def film(path: Path, frames: int) -> Path:
    """A video of red frames that grow bright."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), RATE, (64, 48))
    for number in range(frames):
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[..., 2] = 20 * number + 20  # blue, green, red
        video.write(picture)
    video.release()
    return path


def red(pixels: NDArray[np.uint8]) -> float:
    return float(pixels[..., 0].mean())


def test_a_file_is_played_at_its_own_speed_in_the_policys_size_and_colours(tmp_path: Path) -> None:
    capture = Capture(str(film(tmp_path / "film.avi", 10)), TERM)
    began, numbers = time.monotonic(), []
    while time.monotonic() < began + 1.2:
        frame = capture.newest.get()
        if frame is not None and (not numbers or frame.number != numbers[-1]):
            numbers.append(frame.number)
            assert frame.pixels.shape == (12, 16, 3)
            assert red(frame.pixels) == pytest.approx(20 * frame.number, abs=6)
            assert frame.pixels[..., 1:].max() < 25
            last = frame.taken_at
        time.sleep(0.005)
    capture.close()
    assert numbers[-1] == 10
    assert last - began > 0.3  # of half a second


def test_a_film_waits_for_who_looks_at_it(tmp_path: Path) -> None:
    capture = Capture(str(film(tmp_path / "film.avi", 10)), TERM)
    assert capture.newest.wait(5.0) is not None
    time.sleep(0.6)  # longer than it takes
    before = time.monotonic()
    first = capture.newest.get()
    assert first is not None and first.number == 1 and before <= first.taken_at <= time.monotonic()
    time.sleep(0.2)
    later = capture.newest.get()
    capture.close()
    assert later is not None and 2 <= later.number < 10


def test_a_film_that_nobody_looks_at_is_given_back(tmp_path: Path) -> None:
    capture = Capture(str(film(tmp_path / "film.avi", 3)), TERM)
    assert capture.newest.wait(5.0) is not None
    capture.close()
    assert not capture._thread.is_alive()


def test_a_pipe_is_read_as_it_is_written(tmp_path: Path) -> None:
    content, pipe = film(tmp_path / "film.avi", 12).read_bytes(), tmp_path / "pipe.avi"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb") as file:
            file.write(content)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    capture = Capture(str(pipe), TERM)
    assert capture.newest.wait(5.0) is not None
    until = time.monotonic() + 5.0
    while time.monotonic() < until and red(capture.newest.get().pixels) < 200:  # type: ignore[union-attr]
        time.sleep(0.01)
    frame = capture.newest.get()
    assert frame is not None
    assert red(frame.pixels) > 200
    capture.close()
    writer.join(1.0)


def test_what_cannot_be_opened_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"camera eye: .*nowhere.avi: no such device, file or pipe"):
        Capture(str(tmp_path / "nowhere.avi"), TERM)
    (tmp_path / "text.avi").write_text("no film")
    with pytest.raises(UserError, match="OpenCV cannot open it"):
        Capture(str(tmp_path / "text.avi"), TERM)


def test_a_film_gives_what_a_policy_would_have_seen_of_it(tmp_path: Path) -> None:
    source = str(film(tmp_path / "film.avi", 6))
    seen = film_images(source, TERM.model_copy(update={"stack": 2}))
    assert seen.shape == (6, 6, 12, 16)
    newest = [float(each[0].mean()) for each in seen]
    assert newest == pytest.approx([20, 40, 60, 80, 100, 120], abs=6)
    np.testing.assert_array_equal(seen[1:, 3:], seen[:-1, :3])
    with pytest.raises(UserError, match="sees depth"):
        film_images(source, TERM.model_copy(update={"kind": "depth"}))
