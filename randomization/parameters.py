"""The quantities that can be randomized: name, unit, where each acts, and how.

A parameter acts on a `World`: model fields of the physics, or arrays of the sensing. The randomizer
restores the compiled defaults of all touched arrays first, so that parameters compose.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class World:
    """What randomization acts on: the physics and the sensing of the same simulations."""

    physics: Physics
    sensing: Sensing
    robot: RobotDescription


def operate(operation: Operation, default: Values, value: Values) -> Values:
    """Combine a default with a drawn value."""
    if operation == "absolute":
        return np.broadcast_to(value, default.shape)
    return default * value if operation == "scale" else default + value


@dataclass(frozen=True, slots=True)
class Parameter:
    """A quantity that can be randomized.

    Attributes:
        name: as in configurations and on the command line.
        unit: of an absolute or added value; a scale has none.
        description: one line for people.
        place: "model", "actuation" or "sensing".
        operation: what a configuration means that does not say.
        elements: names of the parts that it acts on, in the order of the values; empty for a
            quantity of the robot as a whole, which has one value.
        write: applies values to simulations: (world, ids, element indices, operation, values of
            shape (len(ids), elements)).
        touched: the arrays that it writes, whose defaults are restored before each draw.
        lower: smallest physical result; a range that leads below it is refused.
        default: the compiled default of each element, to check ranges against.
    """

    name: str
    unit: str
    description: str
    place: Literal["model", "actuation", "sensing"]
    operation: Operation
    elements: Callable[[World], list[str]]
    write: Callable[[World, Ids, NDArray[np.int64], Operation, Values], None]
    touched: Callable[[World], list[NDArray[Any]]]
    default: Callable[[World], Values]
    lower: float | None = 0.0
    fields: tuple[str, ...] = field(default=())


def _moving_bodies(world: World) -> list[str]:
    """Names of the bodies with mass; the position in the list is not the body id."""
    model = world.physics.model
    return [model.body(i).name for i in range(1, model.nbody) if model.body_mass[i] > 0]


def _joints(world: World) -> list[str]:
    return list(world.robot.joint_names)


def _actuators(world: World) -> list[str]:
    return list(world.robot.actuator_names)


def _whole_robot(world: World) -> list[str]:
    return []


def _body_ids(world: World) -> NDArray[np.int64]:
    return np.array([world.physics.model.body(name).id for name in _moving_bodies(world)])


def _dof_ids(world: World) -> NDArray[np.int64]:
    return np.array([world.physics.model.joint(name).dofadr[0] for name in _joints(world)])


def _actuator_ids(world: World) -> NDArray[np.int64]:
    return np.array([world.physics.model.actuator(name).id for name in _actuators(world)])


def _write_mass(
    world: World, ids: Ids, elements: NDArray[np.int64], operation: Operation, values: Values
) -> None:
    """Change masses, and inertias in proportion: the shape and the density profile stay."""
    mass, inertia = world.physics.field("body_mass"), world.physics.field("body_inertia")
    at = np.ix_(ids, _body_ids(world)[elements])
    before = mass[at]
    after = operate(operation, before, values)
    mass[at] = after
    inertia[at] *= (after / before)[..., None]


def _write_motor_strength(
    world: World, ids: Ids, elements: NDArray[np.int64], operation: Operation, values: Values
) -> None:
    """Scale the whole torque law, its gain and its bias: a stiffer magnet, a weaker supply."""
    at = np.ix_(ids, _actuator_ids(world)[elements])
    factor = operate(operation, np.ones_like(values), values)[..., None]
    for name in ("actuator_gainprm", "actuator_biasprm"):
        world.physics.field(name)[at] *= factor


def _write_action_latency(
    world: World, ids: Ids, elements: NDArray[np.int64], operation: Operation, values: Values
) -> None:
    delay = world.physics.field("actuator_delay")
    at = np.ix_(ids, _actuator_ids(world))
    delay[at] = 1e-3 * operate(operation, 1e3 * delay[at], np.broadcast_to(values, delay[at].shape))


def _dof_field(name: str) -> dict[str, Any]:
    """The functions of a parameter that is one number per joint in one model field."""

    def write(
        world: World, ids: Ids, elements: NDArray[np.int64], operation: Operation, values: Values
    ) -> None:
        array = world.physics.field(name)
        at = np.ix_(ids, _dof_ids(world)[elements])
        array[at] = operate(operation, array[at], values)

    return {
        "elements": _joints,
        "write": write,
        "touched": lambda world: [world.physics.field(name)],
        "default": lambda world: getattr(world.physics.model, name)[_dof_ids(world)],
        "fields": (name,),
    }


def _sensing_array(name: str) -> dict[str, Any]:
    """The functions of a parameter that is one array of the sensing."""

    def write(
        world: World, ids: Ids, elements: NDArray[np.int64], operation: Operation, values: Values
    ) -> None:
        array = getattr(world.sensing, name)
        at = np.ix_(ids, elements)
        array[at] = operate(operation, array[at], values)

    return {
        "elements": _joints,
        "write": write,
        "touched": lambda world: [getattr(world.sensing, name)],
        "default": lambda world: getattr(world.sensing, name)[0].copy(),
    }


def _write_sensor_latency(
    world: World, ids: Ids, elements: NDArray[np.int64], operation: Operation, values: Values
) -> None:
    latency = world.sensing.latency
    latency[ids] = 1e-3 * operate(operation, 1e3 * latency[ids], values)


PARAMETERS: dict[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        Parameter(
            "mass",
            "kg",
            "mass of a body, its inertia in proportion",
            "model",
            "scale",
            elements=_moving_bodies,
            write=_write_mass,
            touched=lambda w: [w.physics.field("body_mass"), w.physics.field("body_inertia")],
            default=lambda w: w.physics.model.body_mass[_body_ids(w)],
            lower=mujoco.mjMINVAL,
            fields=("body_mass", "body_inertia"),
        ),
        Parameter(
            "joint_damping",
            "N·m·s/rad",
            "viscous friction of a joint",
            "model",
            "scale",
            **_dof_field("dof_damping"),
        ),
        Parameter(
            "joint_frictionloss",
            "N·m",
            "Coulomb friction of a joint",
            "model",
            "scale",
            **_dof_field("dof_frictionloss"),
        ),
        Parameter(
            "motor_strength",
            "1",
            "torque of an actuator for the same command and motion",
            "model",
            "scale",
            elements=_actuators,
            write=_write_motor_strength,
            touched=lambda w: [
                w.physics.field("actuator_gainprm"),
                w.physics.field("actuator_biasprm"),
            ],
            default=lambda w: np.ones(len(w.robot.actuators)),
            fields=("actuator_gainprm", "actuator_biasprm"),
        ),
        Parameter(
            "action_latency_ms",
            "ms",
            "delay from command to torque, held for an episode",
            "actuation",
            "absolute",
            elements=_whole_robot,
            write=_write_action_latency,
            touched=lambda w: [w.physics.field("actuator_delay")],
            default=lambda w: 1e3 * w.physics.model.actuator_delay[_actuator_ids(w)][:1],
            fields=("actuator_delay",),
        ),
        Parameter(
            "sensor_latency_ms",
            "ms",
            "delay from motion to measurement, held for an episode",
            "sensing",
            "absolute",
            elements=_whole_robot,
            write=_write_sensor_latency,
            touched=lambda w: [w.sensing.latency],
            default=lambda w: np.zeros(1),
        ),
        Parameter(
            "encoder_noise",
            "rad",
            "standard deviation of white noise on a joint's encoder",
            "sensing",
            "absolute",
            **_sensing_array("noise"),
        ),
        Parameter(
            "encoder_bias",
            "rad",
            "constant error of a joint's encoder",
            "sensing",
            "absolute",
            lower=None,
            **_sensing_array("bias"),
        ),
        Parameter(
            "encoder_resolution",
            "rad",
            "size of a joint's encoder count",
            "sensing",
            "scale",
            **_sensing_array("resolution"),
        ),
    )
}


def matching(pattern: str, names: list[str]) -> list[int]:
    """Indices of the names that a shell-style pattern matches."""
    return [index for index, name in enumerate(names) if fnmatchcase(name, pattern)]
