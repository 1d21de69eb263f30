"""Parameters of what turns commands into forces."""

from dataclasses import dataclass

import numpy as np

from simreal.physics.interface import Ids
from simreal.randomization.parameters.parameter import (
    ArrayParameter,
    Elements,
    Operation,
    Parameter,
    Values,
    Write,
    operate,
)
from simreal.randomization.parameters.parts import PARTS
from simreal.randomization.world import World


@dataclass(frozen=True, kw_only=True)
class ActuatorLaw(Parameter):
    """A factor on coefficients of the force laws: force = gain * command + bias(position, velocity).

    Attributes:
        coefficients: field to those of its columns that are scaled.
    """

    coefficients: dict[str, slice]

    def elements(self, world: World) -> list[str]:
        return [name for name, _ in PARTS["actuator"](world)]

    def default(self, world: World) -> Values:
        return np.ones(len(world.robot.actuators))

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        actuators = np.array([row for _, row in PARTS["actuator"](world)])[elements]
        laws = [(world.array(field), columns) for field, columns in self.coefficients.items()]

        def write(ids: Ids, values: Values) -> None:
            factor = operate(operation, np.ones_like(values), values)[..., None]
            for law, columns in laws:
                law[ids[:, None], actuators, columns] *= factor

        return write


ACTUATORS: tuple[Parameter, ...] = (
    ActuatorLaw(
        name="motor_strength",
        unit="1",
        description="torque of an actuator for the same command and motion",
        operation="scale",
        fields=("actuator_gainprm", "actuator_biasprm"),
        coefficients={"actuator_gainprm": slice(None), "actuator_biasprm": slice(None)},
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
)
