"""Parameters of what turns commands into forces."""

from dataclasses import dataclass

import numpy as np

from simreal.contract import RobotDescription
from simreal.errors import UserError
from simreal.randomization.parameters.parameter import (
    ArrayParameter,
    Elements,
    Operation,
    Parameter,
    Write,
)
from simreal.randomization.world import World


@dataclass(frozen=True, kw_only=True)
class Limit(ArrayParameter):
    """A limit, which a robot may not have."""

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        absent = np.isinf(self.default(world)[elements])
        if operation != "absolute" and absent.any():
            name = self.elements(world)[int(elements[np.argmax(absent)])]
            raise UserError(f"{self.name}: {name} has none to {operation}: give it as absolute")
        return super().writer(world, elements, operation)


@dataclass(frozen=True, kw_only=True)
class DeadZone(ArrayParameter):
    """Of commands: it has the unit that these have."""

    @property
    def units(self) -> tuple[str, ...]:
        return (self.unit, "V", "N·m", "N", "rad", "m")

    def unit_of(self, element: str, robot: RobotDescription) -> str:
        return next(each.unit for each in robot.actuators if each.name == element)


FRICTION = "dof_frictionloss"
"""Is written at each physics step: an episode must begin with the compiled one."""

ACTUATORS: tuple[Parameter, ...] = (
    ArrayParameter(
        name="motor_strength",
        unit="1",
        description="torque of an actuator for the same command and motion",
        operation="scale",
        fields=("actuation.strength",),
        part="robot_actuator",
    ),
    ArrayParameter(
        name="torque_constant",
        unit="1",
        description="torque per ampere of a motor under voltage, and its back-EMF, ratio to nominal",
        operation="scale",
        fields=("actuation.torque_constant",),
        part="voltage_motor",
    ),
    ArrayParameter(
        name="motor_resistance",
        unit="1",
        description="winding resistance of a motor under voltage, ratio to nominal",
        operation="scale",
        fields=("actuation.resistance",),
        part="voltage_motor",
        lower=1e-3,
    ),
    ArrayParameter(
        name="torque_offset",
        unit="N·m",
        description="torque of an actuator that no command asks for",
        operation="absolute",
        fields=("actuation.torque_offset",),
        part="robot_actuator",
        lower=None,
    ),
    ArrayParameter(
        name="kp",
        unit="N·m/rad",
        description="stiffness of a position servo",
        operation="scale",
        fields=("actuation.kp",),
        part="robot_servo",
    ),
    ArrayParameter(
        name="kd",
        unit="N·m·s/rad",
        description="damping of a position servo",
        operation="scale",
        fields=("actuation.kd",),
        part="robot_servo",
    ),
    Limit(
        name="effort_limit",
        unit="N·m",
        description="largest torque of an actuator",
        operation="absolute",
        fields=("actuation.effort_limit",),
        part="robot_actuator",
    ),
    ArrayParameter(
        name="corner_speed",
        unit="rad/s",
        description="speed from which on the torque limit falls; 0 unless it is given",
        operation="absolute",
        fields=("actuation.corner_speed",),
        part="robot_actuator",
    ),
    Limit(
        name="no_load_speed",
        unit="rad/s",
        description="speed at which a motor has no torque left",
        operation="absolute",
        fields=("actuation.no_load_speed",),
        part="robot_actuator",
        lower=1e-3,
    ),
    ArrayParameter(
        name="supply_voltage",
        unit="1",
        description="supply of all actuators, ratio to nominal",
        operation="scale",
        fields=("actuation.supply_voltage",),
        part="robot",
    ),
    ArrayParameter(
        name="supply_sag",
        unit="1/W",
        description="fall of that ratio for each watt of mechanical power drawn",
        operation="absolute",
        fields=("actuation.supply_sag",),
        part="robot",
    ),
    ArrayParameter(
        name="backlash",
        unit="rad",
        description="whole play between motor and joint",
        operation="absolute",
        fields=("actuation.backlash", "dof_armature"),
        part="robot_actuator",
    ),
    ArrayParameter(
        name="stribeck_friction",
        unit="1",
        description="static over Coulomb friction of a driven joint",
        operation="scale",
        fields=("actuation.stribeck_friction", FRICTION),
        part="robot_actuator",
        lower=1.0,
    ),
    ArrayParameter(
        name="stribeck_speed",
        unit="rad/s",
        description="speed at which 37 % of the excess of static friction is left",
        operation="absolute",
        fields=("actuation.stribeck_speed",),
        part="robot_actuator",
        lower=1e-6,
    ),
    ArrayParameter(
        name="load_friction",
        unit="1",
        description="friction of a driven joint for each unit of its actuator's torque",
        operation="absolute",
        fields=("actuation.load_friction", FRICTION),
        part="robot_actuator",
    ),
    DeadZone(
        name="dead_zone",
        unit="V, N·m, rad",
        description="command, or position error of a servo, below which nothing happens",
        operation="absolute",
        fields=("actuation.dead_zone",),
        part="robot_actuator",
    ),
    ArrayParameter(
        name="action_latency_ms",
        unit="ms",
        description="delay from command to torque, held for an episode",
        operation="absolute",
        fields=("actuation.latency",),
        part="robot",
        unit_in_field=1e3,
    ),
    ArrayParameter(
        name="action_latency_jitter_ms",
        unit="ms",
        description="most by which the delay of one command exceeds that",
        operation="absolute",
        fields=("actuation.latency_jitter",),
        part="robot",
        unit_in_field=1e3,
    ),
    ArrayParameter(
        name="command_drop_probability",
        unit="1",
        description="share of commands that are lost: the one before stays in force",
        operation="absolute",
        fields=("actuation.drop_probability",),
        part="robot",
        upper=1.0,
    ),
    ArrayParameter(
        name="control_jitter_ms",
        unit="ms",
        description="most by which a control step observes and acts early",
        operation="absolute",
        fields=("actuation.control_jitter",),
        part="robot",
        unit_in_field=1e3,
    ),
    ArrayParameter(
        name="residual_strength",
        unit="1",
        description="share of the torque by which a residual model differs from the robot's own",
        operation="absolute",
        fields=("residual.strength",),
        part="residual_joint",
    ),
)
