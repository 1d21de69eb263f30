"""The quantities that can be randomized: name, unit, where each acts, and how.

A parameter acts on a `World`: model fields of the physics, or arrays of the sensing. The randomizer
restores the compiled defaults of all arrays that are written first, so that parameters compose.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.contract import RobotDescription
from simreal.physics.interface import Physics
from simreal.randomization.sensing import Sensing

Operation = Literal["absolute", "scale", "add"]
Values = NDArray[np.float64]
Ids = NDArray[np.integer]
Elements = NDArray[np.int64]
Write = Callable[[Ids, Values], None]
"""Applies (len(ids), elements) values to simulations."""

DELAY_MARGIN = 1e-6
"""s, taken off each action latency. One of exactly n physics steps would act as n or as n + 1, as the
simulated clock rounds, and change over within an episode."""


@dataclass(slots=True)
class World:
    """What randomization acts on: the physics and the sensing of the same simulations."""

    physics: Physics
    sensing: Sensing
    robot: RobotDescription

    def take(self, ids: Ids, source: "World", rows: Ids) -> None:
        """Go on in some simulations where others stand, with all that was randomized there."""
        self.physics.take(ids, source.physics, rows)
        self.sensing.take(ids, source.sensing, rows)


def operate(operation: Operation, default: Values, value: Values) -> Values:
    """Combine a default with a drawn value."""
    if operation == "absolute":
        return np.broadcast_to(value, default.shape)
    return default * value if operation == "scale" else default + value


@dataclass(frozen=True)
class Parameter(ABC):
    """A quantity that can be randomized.

    Attributes:
        name: as in configurations and on the command line.
        unit: of an absolute or added value; a scale has none.
        description: one line for people.
        operation: what a configuration means that does not say.
        lower: smallest physical result; a range that leads below it is refused.
    """

    name: str
    unit: str
    description: str
    operation: Operation
    lower: float | None = 0.0

    @abstractmethod
    def elements(self, world: World) -> list[str]:
        """Names of the parts that it acts on; none for one quantity of the robot as a whole."""

    @abstractmethod
    def default(self, world: World) -> Values:
        """(elements,) compiled values, or (1,), against which ranges are checked."""

    @abstractmethod
    def arrays(self, world: World) -> list[NDArray[Any]]:
        """The (count, ...) arrays that it writes."""

    @abstractmethod
    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        """A function that applies values to some of the elements; the look-ups are done here, once."""


class BodyMass(Parameter):
    """Masses, with inertias in proportion: the shape and the density profile stay."""

    def elements(self, world: World) -> list[str]:
        model = world.physics.model
        return [model.body(i).name for i in self._bodies(world)]

    def _bodies(self, world: World) -> NDArray[np.int64]:
        return np.flatnonzero(world.physics.model.body_mass)

    def default(self, world: World) -> Values:
        masses: Values = world.physics.model.body_mass[self._bodies(world)]
        return masses

    def arrays(self, world: World) -> list[NDArray[Any]]:
        return [world.physics.field("body_mass"), world.physics.field("body_inertia")]

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        mass, inertia = self.arrays(world)
        bodies = self._bodies(world)[elements]

        def write(ids: Ids, values: Values) -> None:
            at = (ids[:, None], bodies)
            before = mass[at]
            after = operate(operation, before, values)
            mass[at] = after
            inertia[at] *= (after / before)[..., None]

        return write


@dataclass(frozen=True)
class JointField(Parameter):
    """One number per joint in a model field.

    Attributes:
        field: its name in `MjModel`.
    """

    field: str = ""

    def elements(self, world: World) -> list[str]:
        return list(world.robot.joint_names)

    def _dofs(self, world: World) -> NDArray[np.int64]:
        model = world.physics.model
        return np.array([model.joint(name).dofadr[0] for name in world.robot.joint_names])

    def default(self, world: World) -> Values:
        values: Values = getattr(world.physics.model, self.field)[self._dofs(world)]
        return values

    def arrays(self, world: World) -> list[NDArray[Any]]:
        return [world.physics.field(self.field)]

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        return _array_writer(self.arrays(world)[0], self._dofs(world)[elements], operation)


class MotorStrength(Parameter):
    """The whole torque law, its gain and its bias: a stiffer magnet, a weaker supply."""

    def elements(self, world: World) -> list[str]:
        return list(world.robot.actuator_names)

    def default(self, world: World) -> Values:
        return np.ones(len(world.robot.actuators))

    def arrays(self, world: World) -> list[NDArray[Any]]:
        return [world.physics.field("actuator_gainprm"), world.physics.field("actuator_biasprm")]

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        laws, actuators = self.arrays(world), _actuator_ids(world)[elements]

        def write(ids: Ids, values: Values) -> None:
            factor = operate(operation, np.ones_like(values), values)[..., None]
            for law in laws:
                law[ids[:, None], actuators] *= factor

        return write


class ActionLatency(Parameter):
    """Delay of all actuators alike, in ms, by the engine's own history of commands."""

    def elements(self, world: World) -> list[str]:
        return []

    def default(self, world: World) -> Values:
        delays: Values = 1e3 * world.physics.model.actuator_delay[_actuator_ids(world)[:1]]
        return delays

    def arrays(self, world: World) -> list[NDArray[Any]]:
        return [world.physics.field("actuator_delay")]

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        (delay,), actuators = self.arrays(world), _actuator_ids(world)

        def write(ids: Ids, values: Values) -> None:
            at = (ids[:, None], actuators)
            before = 1e3 * delay[at]
            latency = operate(operation, before, np.broadcast_to(values, before.shape))
            delay[at] = np.maximum(1e-3 * latency - DELAY_MARGIN, 0.0)

        return write


class SensorLatency(Parameter):
    """Delay of all joint measurements alike, in ms."""

    def elements(self, world: World) -> list[str]:
        return []

    def default(self, world: World) -> Values:
        return np.zeros(1)

    def arrays(self, world: World) -> list[NDArray[Any]]:
        return [world.sensing.latency]

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        latency = world.sensing.latency

        def write(ids: Ids, values: Values) -> None:
            latency[ids] = 1e-3 * operate(operation, 1e3 * latency[ids], values)

        return write


@dataclass(frozen=True)
class EncoderArray(Parameter):
    """One number per joint in an array of the sensing.

    Attributes:
        array: its name in `Sensing`.
    """

    array: str = ""

    def elements(self, world: World) -> list[str]:
        return list(world.robot.joint_names)

    def default(self, world: World) -> Values:
        values: Values = self.arrays(world)[0][0].copy()
        return values

    def arrays(self, world: World) -> list[NDArray[Any]]:
        return [getattr(world.sensing, self.array)]

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        return _array_writer(self.arrays(world)[0], elements, operation)


def _array_writer(array: NDArray[Any], columns: Elements, operation: Operation) -> Write:
    def write(ids: Ids, values: Values) -> None:
        at = (ids[:, None], columns)
        array[at] = operate(operation, array[at], values)

    return write


def _actuator_ids(world: World) -> NDArray[np.int64]:
    model = world.physics.model
    return np.array([model.actuator(name).id for name in world.robot.actuator_names])


_ALL: tuple[Parameter, ...] = (
    BodyMass("mass", "kg", "mass of a body, its inertia in proportion", "scale", mujoco.mjMINVAL),
    JointField(
        "joint_damping", "N·m·s/rad", "viscous friction of a joint", "scale", field="dof_damping"
    ),
    JointField(
        "joint_frictionloss", "N·m", "Coulomb friction of a joint", "scale", field="dof_frictionloss"
    ),
    MotorStrength(
        "motor_strength", "1", "torque of an actuator for the same command and motion", "scale"
    ),
    ActionLatency(
        "action_latency_ms", "ms", "delay from command to torque, held for an episode", "absolute"
    ),
    SensorLatency(
        "sensor_latency_ms", "ms", "delay from motion to measurement, held for an episode", "absolute"
    ),
    EncoderArray(
        "encoder_noise",
        "rad",
        "standard deviation of white noise of an encoder",
        "absolute",
        array="noise",
    ),
    EncoderArray(
        "encoder_bias", "rad", "constant error of an encoder", "absolute", lower=None, array="bias"
    ),
    EncoderArray("encoder_resolution", "rad", "size of an encoder count", "scale", array="resolution"),
)

PARAMETERS: dict[str, Parameter] = {parameter.name: parameter for parameter in _ALL}


def matching(pattern: str, names: list[str]) -> list[int]:
    """Indices of the names that a shell-style pattern matches."""
    return [index for index, name in enumerate(names) if fnmatchcase(name, pattern)]
