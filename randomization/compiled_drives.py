"""The law of the drives, brought to the engine before each physics step."""

from typing import Any

import mujoco
import numpy as np
from numba import carray, cfunc, from_dtype, njit, types

from simreal.physics.compiled import STEPPER, numbers, pointer_to, step_once
from simreal.physics.struct_layout import field_offsets
from simreal.randomization.drive_law import follow
from simreal.randomization.drives import DRIVE, PLACE, Drives
from simreal.state import FloatArray

PARTS = ("dead_zone", "curve", "force", "backlash", "friction")
"""Of the law, each there or not. ``force``: some part depends on the motor's force."""
FIELDS = (
    "actuator_forcerange",
    "actuator_gainprm",
    "actuator_biasprm",
    "actuator_armature",
    "dof_frictionloss",
    "dof_armature",
)
ARGUMENT = np.dtype(
    [
        ("stepper", np.int64),  # address of the engine's
        ("records", np.int64),  # address of (count, actuators) DRIVE
        ("places", np.int64),  # address of (actuators,) PLACE
        ("commands", np.int64),  # address of (substeps, count, actuators)
        ("count", np.int64),
        ("actuators", np.int64),
        ("timestep", np.float64),
        *[(part, np.int64) for part in PARTS],
        *[(field, np.int64) for field in FIELDS],  # where their pointers lie in mjModel
    ]
)
GAIN_NUMBERS, BIAS_NUMBERS = int(mujoco.mjNGAIN), int(mujoco.mjNBIAS)


@njit(cache=True)
def _command(argument: Any, simulation: int, substep: int, actuator: int) -> float:
    """In force in a physics step, where it is wanted."""
    if argument.commands == 0:
        return 0.0
    place = (substep * argument.count + simulation) * argument.actuators + actuator
    command: float = carray(pointer_to(argument.commands + 8 * place), 1, np.float64)[0]
    return command


@njit(cache=True)
def _write(argument: Any, model: Any, drive: Any, place: Any) -> None:
    """Put an actuator's outcome into the model that is about to make a physics step.

    It is a thread's own: the batch has copied the simulation's fields into it, and will copy those of
    the next simulation over them.
    """
    actuator, dof = place.actuator, place.dof
    if argument.dead_zone:
        numbers(model, argument.actuator_gainprm, actuator * GAIN_NUMBERS + 1)[-1] = drive.next_law_gain
        numbers(model, argument.actuator_biasprm, actuator * BIAS_NUMBERS + 2)[-1] = (
            drive.next_law_stiffness
        )
    if argument.curve or argument.backlash:
        limits = numbers(model, argument.actuator_forcerange, 2 * actuator + 2)
        limits[-2], limits[-1] = drive.next_low, drive.next_high
    if argument.friction:
        numbers(model, argument.dof_frictionloss, dof + 1)[dof] = drive.next_friction
    if argument.backlash:
        touching = 1.0 - drive.free
        numbers(model, argument.dof_armature, dof + 1)[dof] = touching * drive.armature
        if place.armature > 0.0:
            own = numbers(model, argument.actuator_armature, actuator + 1)
            own[actuator] = touching * place.armature


@cfunc(
    types.void(types.voidptr, types.voidptr, types.int32, types.CPointer(from_dtype(ARGUMENT))),
    cache=True,
)
def _advance(model: Any, data: Any, simulation: int, arguments: Any) -> None:
    """Take all physics steps of a control step of one simulation: for `Batch.apply`."""
    argument = carray(arguments, 1)[0]
    stepper = carray(pointer_to(argument.stepper), 1, STEPPER)[0]
    records = carray(pointer_to(argument.records), (argument.count, argument.actuators), DRIVE)
    places = carray(pointer_to(argument.places), argument.actuators, PLACE)
    position = numbers(data, stepper.qpos, stepper.nq)
    velocity = numbers(data, stepper.qvel, stepper.nv)
    for substep in range(stepper.substeps):
        for number in range(argument.actuators):
            drive, place = records[simulation, number], places[number]
            command = _command(argument, simulation, substep, number)
            at, speed = place.gear * position[place.position], place.gear * velocity[place.dof]
            follow(drive, argument, place.servo, command, at, speed)
            _write(argument, model, drive, place)
        step_once(model, data, simulation, substep, stepper)


@njit(cache=True)
def _follow_all(
    argument: Any, records: Any, places: Any, substep: int, position: FloatArray, velocity: FloatArray
) -> None:
    """The same before one physics step of all simulations, for an engine that steps by itself."""
    for simulation in range(argument.count):
        for number in range(argument.actuators):
            drive, place = records[simulation, number], places[number]
            command = _command(argument, simulation, substep, number)
            at = place.gear * position[simulation, place.joint]
            speed = place.gear * velocity[simulation, place.joint]
            follow(drive, argument, place.servo, command, at, speed)


class CompiledDrives:
    """A `StepLaw` of what `Motor`, `Backlash` and `StribeckFriction` have settled."""

    def __init__(self, drives: Drives) -> None:
        """Act on these."""
        self._drives = drives
        self._argument = np.zeros(1, ARGUMENT)
        self._commands: FloatArray | None = None
        self._substep = 0
        count, actuators = drives.records.shape
        places = field_offsets("mjModel")
        known = {
            "records": drives.records.ctypes.data,
            "places": drives.places.ctypes.data,
            "count": count,
            "actuators": actuators,
            "timestep": drives.physics.timestep,
        }
        for name, value in (known | {field: places[field] for field in FIELDS}).items():
            self._argument[name] = value

    def begin(self, commands: FloatArray | None, parts: dict[str, bool]) -> None:
        """Prepare a control step.

        Args:
            commands: (substeps, count, actuators) in force at each physics step, if any part needs them.
            parts: which of `PARTS` there are.
        """
        self._commands = None if commands is None else np.ascontiguousarray(commands)
        self._argument["commands"] = 0 if self._commands is None else self._commands.ctypes.data
        for part, there in parts.items():
            self._argument[part] = there
        self._substep = 0

    def compiled(self, stepper: int) -> tuple[int, int]:
        """Addresses of the C function for `Batch.apply`, and of its argument."""
        self._own_what_is_written()
        self._argument["stepper"] = stepper
        return _advance.address, self._argument.ctypes.data

    def _own_what_is_written(self) -> None:
        """Have the engine keep values per simulation: others would stay in a thread's model.

        The next simulation on that thread would find them there.
        """
        argument = self._argument[0]
        limits = argument["curve"] or argument["backlash"]
        own_armature = argument["backlash"] and self._drives.places["armature"].any()
        written = {
            "actuator_gainprm": argument["dead_zone"],
            "actuator_biasprm": argument["dead_zone"],
            "actuator_forcerange": limits,
            "actuator_armature": own_armature,
            "dof_frictionloss": argument["friction"],
            "dof_armature": argument["backlash"],
        }
        for field in (name for name in FIELDS if written[name]):
            self._drives.physics.field(field)

    def __call__(self) -> None:
        """Act on an engine's fields before a physics step."""
        drives, argument = self._drives, self._argument[0]
        physics = drives.physics
        position, velocity = physics.joint_position, physics.joint_velocity
        _follow_all(argument, drives.records, drives.places, self._substep, position, velocity)
        self._substep += 1
        self._write_fields()

    def _write_fields(self) -> None:
        drives, argument = self._drives, self._argument[0]
        records, field = drives.records, drives.physics.field
        actuators, dofs = drives.actuators, drives.dofs
        if argument["dead_zone"]:
            field("actuator_gainprm")[:, actuators, 0] = records["next_law_gain"]
            field("actuator_biasprm")[:, actuators, 1] = records["next_law_stiffness"]
        if argument["curve"] or argument["backlash"]:
            limits = field("actuator_forcerange")
            limits[:, actuators, 0], limits[:, actuators, 1] = records["next_low"], records["next_high"]
        if argument["friction"]:
            field("dof_frictionloss")[:, dofs] = records["next_friction"]
        if argument["backlash"]:
            touching, own = 1.0 - records["free"], drives.places["armature"]
            field("dof_armature")[:, dofs] = touching * records["armature"]
            if own.any():
                field("actuator_armature")[:, actuators] = touching * own
