"""Frames through OpenCV: of a device, a file, a pipe or an address, read on a thread of their own."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.contract import CameraTerm
from simreal.deploy.cameras.frames import Newest
from simreal.errors import UserError, missing_extra
from simreal.images import ImagePipeline, shrunk

POLL = 0.1
"""s, after which a film that nobody looks at asks whether it is to end."""


class Capture:
    """Keeps the newest frame of a source in the size that a policy sees.

    A file is played at its own speed, once, from when its first frame is got: what comes before a policy
    looks costs no frames. The thread decodes and shrinks, so that the control loop copies a few thousand
    bytes and no more.

    Attributes:
        newest: its newest frame.
    """

    def __init__(self, source: str, term: CameraTerm) -> None:
        """Open it.

        Args:
            source: a number of a device, its path, that of a file or a named pipe, or an address.
            term: what the policy wants to see.

        Raises:
            UserError: OpenCV is missing, or cannot open it.
        """
        self.newest = Newest()
        self._term, self._stop = term, threading.Event()
        self._video = _opened(source, term.name)
        rate = float(self._video.get(_cv2().CAP_PROP_FPS))
        plays = Path(source).is_file() and 0 < rate < 1000
        self._pause = 1.0 / rate if plays else 0.0
        self._thread = threading.Thread(target=self._read, name=f"camera {term.name}", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        if self._pause and not self._began():
            return
        due = time.monotonic()
        while not self._stop.is_set():
            found, picture = self._video.read()
            if not found:
                return
            due += self._pause
            if self._stop.wait(max(0.0, due - time.monotonic())):
                return
            self.newest.put(self._as_seen(picture), time.monotonic())

    def _began(self) -> bool:
        """Show a film's first frame until somebody looks; whether somebody did."""
        found, picture = self._video.read()
        if found:
            self.newest.hold(self._as_seen(picture))
        while found and self.newest.is_held(POLL):
            if self._stop.is_set():
                return False
        return bool(found)

    def _as_seen(self, picture: NDArray[Any]) -> NDArray[np.uint8]:
        """In the policy's size; the same shrinking as of any other frame."""
        small = shrunk(_colours(picture), self._term.height, self._term.width)
        if small.dtype != np.uint8:
            small = np.rint(np.clip(small, 0.0, 255.0)).astype(np.uint8)
        return np.ascontiguousarray(small)

    def close(self) -> None:
        """Stop reading; a source that blocks for ever is left behind."""
        self._stop.set()
        self._thread.join(1.0)
        if not self._thread.is_alive():
            self._video.release()


def film_images(source: str, term: CameraTerm) -> NDArray[np.uint8]:
    """(n, channels, height, width) what a policy would see after each frame of a film.

    Args:
        source: the film's path.
        term: what the policy wants to see.

    Raises:
        UserError: OpenCV is missing or cannot open it, no frame is in it, or the policy sees depth.
    """
    if term.kind == "depth":
        raise UserError(f"camera {term.name}: sees depth, of which a film shows nothing")
    video, pipeline = _opened(source, term.name), ImagePipeline([term])
    seen: list[NDArray[np.uint8]] = []
    while True:
        found, picture = video.read()
        if not found:
            break
        show = pipeline.push if seen else pipeline.begin
        show(term.name, _colours(picture))
        seen.append(pipeline.images[term.name].copy())
    video.release()
    if not seen:
        raise UserError(f"camera {term.name}: {source}: no frame in it")
    return np.stack(seen)


def _colours(picture: NDArray[Any]) -> NDArray[Any]:
    """(height, width, 3) red, green, blue of what OpenCV gives: blue, green, red, or grey."""
    return picture[..., ::-1] if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


def _cv2() -> Any:
    try:
        import cv2
    except ModuleNotFoundError as error:
        raise missing_extra(str(error.name), "cameras") from None
    return cv2


def _opened(source: str, name: str) -> Any:
    cv2 = _cv2()
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    number = source.isdecimal()
    if not number and "://" not in source and not Path(source).exists():
        raise UserError(f"camera {name}: {source}: no such device, file or pipe")
    video = cv2.VideoCapture(int(source) if number else source)
    if not video.isOpened():
        raise UserError(f"camera {name}: {source}: OpenCV cannot open it")
    # A driver's queue would show what was long ago; not all of them obey.
    video.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return video
