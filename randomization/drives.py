"""What all models of the actuators share: the joint that each drives, its speed, and their numbers."""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.contract import RobotDescription
from simreal.physics.interface import Physics
from simreal.physics.layout import columns
from simreal.randomization.quantities import Quantities
from simreal.state import FloatArray, Ids

Columns = slice | NDArray[np.int64]

UNLIMITED = mujoco.mjMAXVAL
"""N·m or N, of a limit that is none."""

LAW = ("gain", "offset", "stiffness", "damping", "low", "high", "curve_offset", "curve_slope")
"""Of the motor, for the episode: force = gain * command + offset + stiffness * position + damping *
velocity, between two limits, which a torque-speed line lowers."""
SUPPLIED = ("gain", "stiffness", "low", "high", "curve_slope")
"""Of the law, what follows the supply from control step to control step: ``supplied_gain``..."""
GEARS = ("armature", "inertia_rate", "step_rate", "half_gap", "implicit")
"""Of a gear with play, for the episode."""
FRICTION = ("coulomb", "static_excess", "inverse_speed", "load")
"""Of the joint, for the episode."""
ROTOR = ("lead", "rotor_speed", "speed", "free")
"""State of a gear with play."""
OUTCOME = ("law_gain", "law_stiffness", "motor_low", "motor_high", "low", "high", "friction")
"""What an engine must hold to in the next physics step: ``next_law_gain``..."""
DRIVE = np.dtype(
    [
        (name, np.float64)
        for name in (
            *LAW,
            *(f"supplied_{name}" for name in SUPPLIED),
            "dead_zone",
            *GEARS,
            *FRICTION,
            *ROTOR,
            *(f"next_{name}" for name in OUTCOME),
        )
    ]
)
"""One actuator of one simulation: all numbers that act within a control step, side by side, as the
compiled law wants them. See the models that write them: `Motor`, `Backlash`, `StribeckFriction`."""
PLACE = np.dtype(
    [(name, np.float64) for name in ("gear", "servo", "armature")]
    + [(name, np.int64) for name in ("actuator", "joint", "position", "dof")]
)
"""Where an actuator stands in the engine's arrays, and in the robot's (``joint``); its own armature."""


@dataclass(frozen=True, slots=True)
class Drives:
    """The actuators of `count` simulated robots, in the order of their description.

    A gear of g turns an actuator's force into g times as much torque of the joint. Quantities are of
    the joint; forces and speeds in the engine's fields are of the actuator.

    Attributes:
        physics: of the robots.
        names: of the actuators.
        commands: what each takes: "voltage", "effort" or "position".
        command_range: (2, actuators) smallest and largest command that the engine lets through.
        velocity_limit: (actuators,) of the joint, rad/s or m/s; infinite where none is described.
        actuators: places in the engine's arrays of actuators.
        joints: places in the robot's joint arrays.
        dofs: places in the engine's arrays of degrees of freedom.
        gear: (actuators,).
        geared: whether any of these is not 1.
        servo: (actuators,) whether the force law is kp (command - position) - kd velocity.
        places: (actuators,) `PLACE` of the same, for compiled code.
        quantities: per simulation, written by randomization at each reset.
        records: (count, actuators) `DRIVE`, what follows from them, and changes from step to step.
        state: per simulation, what else changes from step to step.
    """

    physics: Physics
    names: tuple[str, ...]
    commands: tuple[str, ...]
    command_range: FloatArray
    velocity_limit: FloatArray
    actuators: Columns
    joints: Columns
    dofs: Columns
    gear: FloatArray
    geared: bool
    servo: NDArray[np.bool_]
    places: NDArray[np.void]
    quantities: Quantities
    records: NDArray[np.void]
    state: Quantities

    @property
    def position(self) -> FloatArray:
        """(count, actuators) lengths of the actuators now, rad or m times gear; maybe a live view."""
        position = self.physics.joint_position[:, self.joints]
        return self.gear * position if self.geared else position

    @property
    def speed(self) -> FloatArray:
        """(count, actuators) their speeds now, rad/s or m/s times gear; maybe a live view."""
        speed = self.physics.joint_velocity[:, self.joints]
        return self.gear * speed if self.geared else speed

    def take(self, ids: Ids, source: "Drives", rows: Ids) -> None:
        """Copy rows of all that exists in others."""
        self.quantities.take(ids, source.quantities, rows)
        self.records[ids] = source.records[rows]
        self.state.take(ids, source.state, rows)

    def exists(self, *names: str) -> bool:
        """Whether any of these quantities is randomized."""
        return self.quantities.any_of(*names)

    def are(self, command: str) -> NDArray[np.bool_]:
        """(actuators,) which of them take this kind of command."""
        return np.array([each == command for each in self.commands])


def make_drives(robot: RobotDescription, physics: Physics) -> Drives:
    """Look the actuators of a robot up in its model."""
    model, count = physics.model, physics.count
    actuators = np.array([model.actuator(name).id for name in robot.actuator_names], dtype=np.int64)
    driven = [robot.joints[robot.joint_names.index(each.joint)] for each in robot.actuators]
    joints = np.array([robot.joint_names.index(joint.name) for joint in driven], dtype=np.int64)
    limits = [np.inf if joint.velocity_limit is None else joint.velocity_limit for joint in driven]
    dofs = np.array([model.joint(joint.name).dofadr[0] for joint in driven], dtype=np.int64)
    gear = model.actuator_gear[actuators, 0].copy()
    servo = _are_servos(model)[actuators]
    positions = [int(model.joint(joint.name).qposadr[0]) for joint in driven]
    own = model.actuator_armature[actuators]
    rows = zip(gear, servo, own, actuators, joints, positions, dofs, strict=True)
    return Drives(
        physics=physics,
        names=robot.actuator_names,
        commands=tuple(actuator.command for actuator in robot.actuators),
        command_range=_command_range(model, actuators),
        velocity_limit=np.array(limits),
        actuators=columns(actuators),
        joints=columns(joints),
        dofs=columns(dofs),
        gear=gear,
        geared=bool((gear != 1.0).any()),
        servo=servo,
        places=np.array(list(rows), PLACE),
        quantities=Quantities(count, {}),
        records=np.zeros((count, len(actuators)), DRIVE),
        state=Quantities(count, {}),
    )


def at(ids: Ids, places: Columns) -> tuple[Ids, Columns]:
    """Index of columns of some simulations in an array."""
    return (ids if isinstance(places, slice) else ids[:, None]), places


def _command_range(model: mujoco.MjModel, actuators: NDArray[np.int64]) -> FloatArray:
    limited = model.actuator_ctrllimited[actuators].astype(bool)
    reach: FloatArray = np.where(limited, model.actuator_ctrlrange[actuators].T, [[-np.inf], [np.inf]])
    return reach


def _are_servos(model: mujoco.MjModel) -> NDArray[np.bool_]:
    """(nu,) actuators whose force is kp (command - length) - kd velocity."""
    fixed = model.actuator_gaintype == mujoco.mjtGain.mjGAIN_FIXED
    affine = model.actuator_biastype == mujoco.mjtBias.mjBIAS_AFFINE
    kp = model.actuator_gainprm[:, 0]
    servo: NDArray[np.bool_] = fixed & affine & (kp > 0) & (model.actuator_biasprm[:, 1] == -kp)
    return servo


def law_is_affine(model: mujoco.MjModel, actuator: int) -> bool:
    """Whether an actuator's force is gain * command + a + b length + c velocity, at once."""
    none, affine = int(mujoco.mjtBias.mjBIAS_NONE), int(mujoco.mjtBias.mjBIAS_AFFINE)
    return (
        int(model.actuator_dyntype[actuator]) == int(mujoco.mjtDyn.mjDYN_NONE)
        and int(model.actuator_gaintype[actuator]) == int(mujoco.mjtGain.mjGAIN_FIXED)
        and int(model.actuator_biastype[actuator]) in (none, affine)
    )
