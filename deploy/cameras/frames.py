"""The newest frame of a camera, as one thread leaves it and another takes it."""

import threading
import time
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simreal.images import NO_IMAGES, Images


class CameraError(Exception):
    """A camera that shows nothing, or nothing new."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as the policy sees it.

    Attributes:
        number: since the camera was opened, from 1.
        taken_at: s on the monotonic clock, when it arrived.
        pixels: (height, width, 3) red, green, blue, already of the policy's size; of depth
            (height, width) m.
    """

    number: int
    taken_at: float
    pixels: NDArray[np.uint8]


class Newest:
    """Holds one frame."""

    def __init__(self) -> None:
        """Hold none."""
        self._lock = threading.Condition()
        self._frame: Frame | None = None
        self._is_held = False

    def put(self, pixels: NDArray[np.uint8], taken_at: float) -> None:
        """Replace the frame."""
        with self._lock:
            number = 1 if self._frame is None else self._frame.number + 1
            self._frame = Frame(number, taken_at, pixels)
            self._lock.notify_all()

    def hold(self, pixels: NDArray[np.uint8]) -> None:
        """Replace the frame by one that counts as taken when somebody gets it: a film's first."""
        with self._lock:
            self.put(pixels, 0.0)
            self._is_held = True

    def is_held(self, patience: float) -> bool:
        """Whether nobody has got a frame that is held; that is waited for so many s."""
        with self._lock:
            self._lock.wait_for(lambda: not self._is_held, patience)
            return self._is_held

    def get(self) -> Frame | None:
        """The newest, without waiting; none before the first."""
        with self._lock:
            if self._is_held and self._frame is not None:
                self._frame = replace(self._frame, taken_at=time.monotonic())
                self._is_held = False
                self._lock.notify_all()
            return self._frame

    def wait(self, patience: float) -> Frame | None:
        """The newest; the first is waited for so many s."""
        with self._lock:
            self._lock.wait_for(lambda: self._frame is not None, patience)
            return self._frame


class Sees(Protocol):
    """What gives a loop its images."""

    def see(self, now: float, first: bool) -> Images:
        """Name of each camera to (channels, height, width), live until the next call.

        Args:
            now: s on the monotonic clock.
            first: whether the policy begins, with nothing seen before.

        Raises:
            CameraError: a camera has shown nothing new for too long.
        """
        ...

    def close(self) -> None:
        """Give the cameras back."""
        ...


class _Blind:
    """Of a policy without cameras."""

    def see(self, now: float, first: bool) -> Images:
        return NO_IMAGES

    def close(self) -> None:
        pass


NO_EYES: Sees = _Blind()
