"""Physics steps within compiled code, for laws that act at each of them.

Numba is imported here and in the modules that import this one, and those only where they are needed.
"""

import ctypes
from collections.abc import Mapping
from typing import Any

import llvmlite.binding
import mujoco
import numpy as np
from numba import carray, cfunc, from_dtype, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from simreal.physics.native_batch import load_engine
from simreal.physics.struct_layout import field_offsets

RECORD = np.dtype([(name, np.int64) for name in ("source", "size", "values")])
"""A field of the data to be recorded: where its pointer lies in `mjData`, numbers in it, address of
the (count, substeps, size) array."""
STEPPER = np.dtype(
    [
        (name, np.int64)
        for name in (
            "substeps",
            *("records", "record_count"),  # address and number of the `RECORD`s
            *("qpos", "qvel", "nq", "nv"),  # places in mjData, and sizes
            *("ctrl", "nu"),  # place in mjData, and size
            "controls",  # address of (count, substeps, nu) of each physics step, or 0
            "in_air",  # whether `_step_in_air` may be taken
            *("density", "viscosity"),  # places in mjModel
        )
    ]
)
"""How to take the physics steps of a control step, ``substeps`` of them."""
THIN_DENSITY, THIN_VISCOSITY = 10.0, 1e-4
"""kg/m^3 and Pa·s, up to which a medium counts as air, of 1.2 and 1.8e-5."""


def _address(name: str) -> int:
    address = ctypes.cast(getattr(load_engine(), name), ctypes.c_void_p).value
    assert address is not None
    return address


def _engine_function(name: str) -> Any:
    """A function of model and data, which compiled code may call."""
    llvmlite.binding.add_symbol(name, _address(name))
    return types.ExternalFunction(name, types.void(types.voidptr, types.voidptr))


_mj_step = _engine_function("mj_step")
_mj_check_pos = _engine_function("mj_checkPos")
_mj_check_vel = _engine_function("mj_checkVel")
_mj_forward = _engine_function("mj_forward")
_mj_check_acc = _engine_function("mj_checkAcc")
_mj_implicit = _engine_function("mj_implicit")


@intrinsic
def pointer_to(typing_context: Any, address: Any) -> Any:
    """A pointer from an address, for `numba.carray`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@intrinsic
def address_of(typing_context: Any, pointer: Any) -> Any:
    """The address to which a pointer points."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ptrtoint(arguments[0], cgutils.intp_t)

    return types.int64(types.voidptr), generate


@njit(cache=True)
def numbers(structure: Any, offset: int, size: int) -> Any:
    """(size,) view of the numbers to which a field of a C structure points."""
    address = carray(structure, offset // 8 + 1, np.int64)[offset // 8]
    return carray(pointer_to(address), size, np.float64)


@njit(cache=True)
def step_once(model: Any, data: Any, simulation: int, substep: int, stepper: Any) -> None:
    """Take a physics step of a simulation, and record what it comes to."""
    if stepper.controls != 0:
        first = (simulation * stepper.substeps + substep) * stepper.nu
        control = carray(pointer_to(stepper.controls + 8 * first), stepper.nu, np.float64)
        numbers(data, stepper.ctrl, stepper.nu)[:] = control
    if stepper.in_air and _is_thin(model, stepper):
        _step_in_air(model, data, stepper)
    else:
        _mj_step(model, data)
    records = carray(pointer_to(stepper.records), stepper.record_count, RECORD)
    for number in range(stepper.record_count):
        record = records[number]
        place = (simulation * stepper.substeps + substep) * record.size
        recorded = carray(pointer_to(record.values + 8 * place), record.size, np.float64)
        recorded[:] = numbers(data, record.source, record.size)


@njit(cache=True)
def _option(model: Any, place: int) -> Any:
    """(1,) view of a number among the options of a model."""
    return carray(pointer_to(address_of(model) + place), 1, np.float64)


@njit(cache=True)
def _is_thin(model: Any, stepper: Any) -> bool:
    density, viscosity = _option(model, stepper.density)[0], _option(model, stepper.viscosity)[0]
    thin: bool = density <= THIN_DENSITY and viscosity <= THIN_VISCOSITY
    return thin


@njit(cache=True)
def _step_in_air(model: Any, data: Any, stepper: Any) -> None:
    """What `mj_step` does with an implicit integrator, but for the derivative of the medium's drag.

    That derivative would cost a third of the step of a small robot, four times as much as the drag
    itself, and says by how much the drag falls within one timestep: nothing worth it in air. Without
    a medium, the result is that of `mj_step` bit for bit. The model is a thread's own.
    """
    _mj_check_pos(model, data)
    _mj_check_vel(model, data)
    _mj_forward(model, data)
    _mj_check_acc(model, data)
    density, viscosity = _option(model, stepper.density), _option(model, stepper.viscosity)
    density_here, viscosity_here = density[0], viscosity[0]
    density[0] = viscosity[0] = 0.0
    _mj_implicit(model, data)
    density[0], viscosity[0] = density_here, viscosity_here


@cfunc(
    types.void(types.voidptr, types.voidptr, types.int32, types.CPointer(from_dtype(STEPPER))),
    cache=True,
)
def _advance(model: Any, data: Any, simulation: int, steppers: Any) -> None:
    """Take all physics steps of a control step of one simulation: for `Batch.apply`."""
    stepper = carray(steppers, 1)[0]
    for substep in range(stepper.substeps):
        step_once(model, data, simulation, substep, stepper)


class Stepper:
    """A `STEPPER` with the arrays that it points to.

    Attributes:
        address: of the record.
        function: address of a C function for `Batch.apply` that just takes the steps, and wants it.
    """

    function: int = _advance.address

    def __init__(
        self,
        model: mujoco.MjModel,
        substeps: int,
        traces: Mapping[str, NDArray[np.float64]],
    ) -> None:
        """Step so many times, and record (count, substeps, size) traces of fields of the data."""
        places = field_offsets("mjData")
        rows = [
            (places[name], trace.shape[2], trace.ctypes.data)
            for name, trace in traces.items()
            if trace.size
        ]
        self._traces = traces
        self._records = np.array(rows, RECORD)
        known = places["qpos"], places["qvel"], model.nq, model.nv, places["ctrl"], model.nu, 0
        option, options = field_offsets("mjModel")["opt"], field_offsets("mjOption")
        medium = False, option + options["density"], option + options["viscosity"]
        row = (substeps, self._records.ctypes.data, len(rows), *known, *medium)
        self._stepper = np.array([row], STEPPER)
        self.address: int = self._stepper.ctypes.data

    def set_controls(self, controls: NDArray[np.float64] | None) -> None:
        """Give each physics step its own, (count, substeps, nu), until told otherwise."""
        self._controls = controls  # what is pointed to must stay
        self._stepper["controls"] = 0 if controls is None else controls.ctypes.data

    def set_in_air(self, in_air: bool) -> None:
        """Whether the drag of a thin medium may be left out of the implicit integration."""
        self._stepper["in_air"] = in_air
