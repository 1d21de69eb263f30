"""MuJoCo's batch through its C interface, `mjbatch.h`.

`mujoco.batch.Batch` of the Python package is the same, but for one call that it does not have:
`mjb_apply`, which lets a compiled function of ours step each simulation on the batch's threads.
"""

import ctypes
from collections.abc import Mapping
from copy import copy
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.physics.layout import compiled_field
from simreal.state import Ids

_POINTER, _INT, _TEXT = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
_INT_OUT = ctypes.POINTER(ctypes.c_int)
_IDS = (_POINTER, _INT)
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "makeBatch": (_POINTER, (_POINTER, _INT, _POINTER, _TEXT, _INT)),
    "deleteBatch": (None, (_POINTER,)),
    "nstate": (_INT, (_POINTER,)),
    "state": (_POINTER, (_POINTER,)),
    "stateComponent": (_POINTER, (_POINTER, _INT, _INT_OUT)),
    "warning": (_POINTER, (_POINTER,)),
    "status": (_POINTER, (_POINTER,)),
    "error": (_TEXT, (_POINTER, _INT)),
    "output": (_POINTER, (_POINTER, _TEXT, _INT_OUT, _INT_OUT)),
    "expand": (_POINTER, (_POINTER, _TEXT, _INT_OUT, _INT_OUT)),
    "setConst": (_INT, (_POINTER, *_IDS)),
    "forward": (_INT, (_POINTER, *_IDS, _INT)),
    "reset": (_INT, (_POINTER, *_IDS, _POINTER, _INT)),
    "rollout": (_INT, (_POINTER, *_IDS, _INT, _POINTER, _INT, _POINTER, _INT)),
    "apply": (_INT, (_POINTER, *_IDS, _POINTER, _POINTER, _INT)),
    "getModel": (None, (_POINTER, _INT, _POINTER)),
    "getData": (None, (_POINTER, _INT, _POINTER)),
}
_STATE_FIELDS = {
    "qpos": mujoco.mjtState.mjSTATE_QPOS,
    "qvel": mujoco.mjtState.mjSTATE_QVEL,
    "ctrl": mujoco.mjtState.mjSTATE_CTRL,
    "history": mujoco.mjtState.mjSTATE_HISTORY,
    "qfrc_applied": mujoco.mjtState.mjSTATE_QFRC_APPLIED,
    "xfrc_applied": mujoco.mjtState.mjSTATE_XFRC_APPLIED,
    "mocap_pos": mujoco.mjtState.mjSTATE_MOCAP_POS,
}
_ERROR_SIZE = 500


class _Config(ctypes.Structure):
    """`mjBatchConfig`."""

    _fields_ = (("nthread", ctypes.c_int), ("persistent", ctypes.c_uint8))


class _Record(ctypes.Structure):
    """`mjBatchRecord`."""

    _fields_ = (("field", ctypes.c_char_p), ("spec", ctypes.c_int), ("buffer", ctypes.c_void_p))


class EngineError(RuntimeError):
    """MuJoCo could not do what was asked in some simulations."""


@cache
def load_engine() -> ctypes.CDLL:
    """MuJoCo's library, the one that its Python package works with."""
    folder = Path(mujoco.__file__).parent
    (path,) = folder.glob(f"libmujoco*{mujoco.mj_versionString()}*")
    return ctypes.CDLL(str(path))


def _declared_engine() -> ctypes.CDLL:
    engine = load_engine()
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(engine, f"mjb_{name}")
        function.restype, function.argtypes = result, arguments
    return engine


_ENGINE = _declared_engine()


class _Handle:
    """Owns a C batch: what lies in its memory keeps this."""

    def __init__(self, model: mujoco.MjModel, count: int, threads: int) -> None:
        config, error = _Config(threads, 0), ctypes.create_string_buffer(_ERROR_SIZE)
        made = _ENGINE.mjb_makeBatch(model._address, count, ctypes.byref(config), error, _ERROR_SIZE)
        if not made:
            if b"bad_alloc" in error.value:
                raise MemoryError(f"for {count:,} simulations")
            raise EngineError(error.value.decode())
        self.pointer: int = made

    def __del__(self) -> None:
        if hasattr(self, "pointer"):
            _ENGINE.mjb_deleteBatch(self.pointer)

    def array(self, address: int, shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
        """A live view of the batch's memory."""
        dtype = np.dtype(kind)
        size = int(np.prod(shape)) * dtype.itemsize
        if not size:
            return np.zeros(shape, dtype)
        memory = (ctypes.c_uint8 * size).from_address(address)
        memory.owner = self
        return np.frombuffer(memory, dtype).reshape(shape)


class Batch:
    """`count` simulations of a copy of a model, on a pool of threads.

    Between two calls, the state of a simulation is its row of `state`, and its model is the batch's
    with the fields that `expand` gave it. Arrays are live views with the simulation axis first.

    Attributes:
        model: the compiled model.
        count: number of simulations.
        state: (count, n) of `mjSTATE_INTEGRATION`.
        warning: (count, mjNWARNING, 2) last information and number of each warning.
        status: (count,) nonzero where the last call failed.
    """

    def __init__(self, model: mujoco.MjModel, count: int, threads: int = 0) -> None:
        """Make them; 0 threads are one for every processor."""
        self.model = model
        self.count = count
        self._handle = _Handle(model, count, threads)
        self._batch = self._handle.pointer
        array = self._handle.array
        size = _ENGINE.mjb_nstate(self._batch)
        self.state = array(_ENGINE.mjb_state(self._batch), (count, size), np.float64)
        warnings = (count, int(mujoco.mjtWarning.mjNWARNING), 2)
        self.warning = array(_ENGINE.mjb_warning(self._batch), warnings, np.int32)
        self.status = array(_ENGINE.mjb_status(self._batch), (count,), np.int32)
        self._outputs: dict[str, NDArray[Any]] = {}
        self._expanded: dict[str, NDArray[Any]] = {}

    @cached_property
    def _template(self) -> mujoco.MjData:
        """For the shapes and types of its fields."""
        return mujoco.MjData(self.model)

    def bind(self, name: str) -> NDArray[Any]:
        """(count, ...) values of a field of the data.

        Writes to a state field count at the next call. Any other one is an output, filled by each
        call, and stands still at the values of the last physics step's beginning.
        """
        shape = (self.count, *getattr(self._template, name).shape)
        if name in _STATE_FIELDS:
            size, component = ctypes.c_int(), int(_STATE_FIELDS[name])
            address = _ENGINE.mjb_stateComponent(self._batch, component, ctypes.byref(size))
            first = (address - self.state.ctypes.data) // self.state.itemsize if size.value else 0
            return self.state[:, first : first + size.value].reshape(shape)
        if name not in self._outputs:
            self._outputs[name] = self._owned("output", name, getattr(self._template, name))
        return self._outputs[name]

    def expand(self, name: str) -> NDArray[Any]:
        """(count, ...) values of a field of the model, or of its options as ``opt.name``."""
        if name not in self._expanded:
            compiled = np.asarray(compiled_field(self.model, name))
            self._expanded[name] = self._owned("expand", name, compiled)
        return self._expanded[name]

    def _owned(self, kind: str, name: str, like: NDArray[Any]) -> NDArray[Any]:
        size, width = ctypes.c_int(), ctypes.c_int()
        ask = getattr(_ENGINE, f"mjb_{kind}")
        address = ask(self._batch, name.encode(), ctypes.byref(size), ctypes.byref(width))
        if not address:
            raise EngineError(f"MuJoCo keeps no {name} per simulation")
        # MuJoCo knows an option that is an enumeration or a flag as an int of its own width.
        dtype = like.dtype if like.dtype.itemsize == width.value else np.dtype(f"i{width.value}")
        shape = (self.count, *like.shape) if size.value == like.size else (self.count, size.value)
        return self._handle.array(address, shape, dtype)

    def set_const(self, ids: Ids) -> None:
        """Run `mj_setConst`."""
        self._check(_ENGINE.mjb_setConst(self._batch, *_rows(ids)))

    def forward(self, ids: Ids, stage: mujoco.mjtStage = mujoco.mjtStage.mjSTAGE_ACC) -> None:
        """Run `mj_forward`, or its first stages."""
        self._check(_ENGINE.mjb_forward(self._batch, *_rows(ids), int(stage)))

    def reset(self, ids: Ids | None = None) -> None:
        """Go back to the model's beginning, and forget all warnings."""
        rows = _rows(np.arange(self.count) if ids is None else ids)
        self._check(_ENGINE.mjb_reset(self._batch, *rows, None, int(mujoco.mjtStage.mjSTAGE_ACC)))

    def rollout(
        self,
        steps: int,
        out: Mapping[str, NDArray[Any]],
        controls: NDArray[np.float64] | None = None,
    ) -> NDArray[np.bool_]:
        """Take physics steps, and write fields of the data after each into (count, steps, ...) arrays.

        Args:
            steps: how many.
            out: name of a field to its array.
            controls: (count, steps, nu), C-contiguous, set before each; they stay as they are if absent.

        Returns:
            (count,) where MuJoCo failed.
        """
        control = None if controls is None else controls.ctypes.data
        kind = 0 if controls is None else int(mujoco.mjtState.mjSTATE_CTRL)
        records = (_Record * len(out))(
            *(_Record(name.encode(), 0, values.ctypes.data) for name, values in out.items())
        )
        _ENGINE.mjb_rollout(self._batch, None, 0, steps, control, kind, records, len(out))
        failed: NDArray[np.bool_] = self.status != 0
        return failed

    def apply(self, function: int, argument: int) -> NDArray[np.bool_]:
        """Let a compiled function advance each simulation, on the batch's threads.

        Args:
            function: address of a C function of (const mjModel*, mjData*, int simulation, void*).
            argument: address that it is given last.

        Returns:
            (count,) where MuJoCo failed.
        """
        _ENGINE.mjb_apply(self._batch, None, 0, function, argument, 1)
        failed: NDArray[np.bool_] = self.status != 0
        return failed

    def get_model(self, simulation: int, model: mujoco.MjModel | None = None) -> mujoco.MjModel:
        """A simulation's model, written into one of the same sizes, or into a new one."""
        written = copy(self.model) if model is None else model
        _ENGINE.mjb_getModel(self._batch, simulation, written._address)
        return written

    def get_data(self, simulation: int, data: mujoco.MjData | None = None) -> mujoco.MjData:
        """A simulation's state, written into data of the same sizes, or into new ones."""
        written = mujoco.MjData(self.model) if data is None else data
        _ENGINE.mjb_getData(self._batch, simulation, written._address)
        return written

    def _check(self, failures: int) -> None:
        if failures:
            first = int(np.flatnonzero(self.status)[0])
            message = _ENGINE.mjb_error(self._batch, first).decode()
            raise EngineError(f"simulation {first}: {message}")


def _rows(ids: Ids) -> tuple[Any, int]:
    """Simulations as the C interface takes them: sorted, each once."""
    rows = np.unique(np.asarray(ids)).astype(np.int32)
    return rows.ctypes.data_as(_POINTER), len(rows)
