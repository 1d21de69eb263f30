"""A policy step by step: on one robot with buffers that are bound once, or on a batch of episodes."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from simreal.contract import CameraTerm, HiddenState
from simreal.images import NO_IMAGES, Images
from simreal.observation import Float32Array

IMAGE = "image."
"""What the names of a graph's inputs for cameras begin with."""
HIDDEN, NEXT_HIDDEN = "hidden.", "next_hidden."
"""What the names of a graph's inputs and outputs for hidden states begin with."""


class Acting(Protocol):
    """What gives an action for each observation, one robot's, step by step."""

    def begin(self) -> None:
        """An episode begins."""

    def __call__(self, observation: Float32Array, images: Images = NO_IMAGES) -> Float32Array:
        """(size,) observation to (actuators,) action in [-1, 1]; the next call may overwrite it."""


class Inference:
    """Runs a graph for a batch of one without allocating."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        observation: str,
        action: str,
        sizes: tuple[int, int],
        hidden_states: Sequence[HiddenState],
        cameras: Sequence[CameraTerm],
    ) -> None:
        """Bind the buffers.

        Args:
            session: of the graph.
            observation: name of the graph's input.
            action: name of its output.
            sizes: of observation and action.
            hidden_states: that it carries.
            cameras: that it sees through.
        """
        self._session = session
        self._binding = session.io_binding()
        self._observation = np.zeros((1, sizes[0]), np.float32)
        self._action = np.zeros((1, sizes[1]), np.float32)
        self._hidden = [np.zeros((1, *each.shape), np.float32) for each in hidden_states]
        self._next = [np.zeros_like(each) for each in self._hidden]
        self._images = {each.name: np.zeros((1, *each.shape), np.uint8) for each in cameras}
        self._bind_input(observation, self._observation)
        for name, image in self._images.items():
            self._bind_input(IMAGE + name, image)
        self._bind_output(action, self._action)
        for each, before, after in zip(hidden_states, self._hidden, self._next, strict=True):
            self._bind_input(HIDDEN + each.name, before)
            self._bind_output(NEXT_HIDDEN + each.name, after)

    def _bind_input(self, name: str, buffer: NDArray[np.float32] | NDArray[np.uint8]) -> None:
        self._binding.bind_input(name, "cpu", 0, buffer.dtype, buffer.shape, buffer.ctypes.data)

    def _bind_output(self, name: str, buffer: NDArray[np.float32]) -> None:
        self._binding.bind_output(name, "cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)

    def begin(self) -> None:
        """An episode begins: hidden states are zero."""
        for each in self._hidden:
            each[:] = 0.0

    def __call__(self, observation: Float32Array, images: Images = NO_IMAGES) -> Float32Array:
        """(size,) observation to (actuators,) action in [-1, 1]; the next call overwrites the result.

        Args:
            observation: what is measured.
            images: what each camera shows, (channels, height, width).
        """
        self._observation[0] = observation
        for name, buffer in self._images.items():
            buffer[0] = images[name]
        self._session.run_with_iobinding(self._binding)
        for before, after in zip(self._hidden, self._next, strict=True):
            before[:] = after
        action: Float32Array = self._action[0]
        return action


class BatchInference:
    """Runs a recurrent graph for a batch of episodes, each with hidden states of its own."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        observation: str,
        action: str,
        hidden_states: Sequence[HiddenState],
    ) -> None:
        """At the beginning of all episodes; see `Inference` for the arguments."""
        self._session, self._observation = session, observation
        self._states = tuple(hidden_states)
        self._outputs = [action, *(NEXT_HIDDEN + each.name for each in self._states)]
        self._hidden: list[NDArray[np.float32]] = []

    def begin(self, rows: NDArray[np.integer[Any]] | None = None) -> None:
        """Episodes begin in some rows; in all if absent, of which there may then be another number."""
        if rows is None:
            self._hidden = []
        for each in self._hidden:
            each[rows] = 0.0

    def __call__(self, observation: Float32Array, images: Images = NO_IMAGES) -> Float32Array:
        """(n, size) observations to (n, actuators) actions in [-1, 1]; it sees no images."""
        if not self._hidden:
            number = len(observation)
            self._hidden = [np.zeros((number, *each.shape), np.float32) for each in self._states]
        names = [HIDDEN + each.name for each in self._states]
        given = {self._observation: observation, **dict(zip(names, self._hidden, strict=True))}
        action, *self._hidden = self._session.run(self._outputs, given)
        found: Float32Array = action
        return found
