"""Hidden robots. Only the process that is one, the judge and the oracle read this."""

from dataclasses import dataclass

from simreal.errors import UserError, nearest
from simreal.experiment import ExperimentConfig, load_experiment, parse_experiment
from simreal.physics.engines import EngineName, find_engine

BASES = {"qube": "qube_swingup"}
"""Robot to its experiment."""


@dataclass(frozen=True, slots=True)
class Target:
    """A robot that differs from its model in a way.

    Attributes:
        name: on the command line.
        description: one line for people.
        engine: which is it.
        parameters: name or ``name[part]`` to operation and value.
    """

    name: str
    description: str
    engine: EngineName
    parameters: dict[str, tuple[str, float]]


SENSORS = {
    "encoder_noise": ("absolute", 0.0005),
    "sensor_latency_ms": ("absolute", 4.0),
}
"""Of every target in MuJoCo."""

TARGETS: dict[str, dict[str, Target]] = {
    "qube": {
        "a": Target(
            "a",
            "MuJoCo, parameters off by 20 to 40 %, latency beyond what training knows",
            "mujoco",
            {
                **SENSORS,
                "mass[arm]": ("scale", 1.35),
                "mass[pendulum]": ("scale", 1.25),
                "motor_strength": ("scale", 0.7),
                "joint_damping": ("scale", 1.4),
                "joint_frictionloss[arm]": ("scale", 1.3),
                "action_latency_ms": ("absolute", 22.0),
            },
        ),
        "b": Target(
            "b",
            "PyBullet, parameters off by 20 %",
            "bullet",
            {"mass[arm]": ("scale", 1.2), "motor_strength": ("scale", 0.85)},
        ),
        "c": Target(
            "c",
            "MuJoCo with backlash, Stribeck and load friction, a supply that sags, coarse encoders",
            "mujoco",
            {
                "encoder_resolution": ("scale", 2.0),
                "sensor_latency_ms": ("absolute", 4.0),
                "action_latency_ms": ("absolute", 8.0),
                "motor_strength": ("scale", 0.9),
                "backlash": ("absolute", 0.03),
                "joint_frictionloss[arm]": ("scale", 1.5),
                "stribeck_friction": ("scale", 1.8),
                "stribeck_speed": ("absolute", 0.3),
                "load_friction": ("absolute", 0.08),
                "supply_sag": ("absolute", 0.03),
                "dead_zone": ("absolute", 0.15),
            },
        ),
    }
}


def find_target(robot: str, name: str) -> Target:
    """A target by name.

    Raises:
        UserError: no such robot or target, or an engine that is not installed.
    """
    if robot not in TARGETS:
        raise UserError(f"no targets for robot {robot!r} yet: {nearest(robot, TARGETS)}")
    if name not in TARGETS[robot]:
        raise UserError(f"no target {name!r}: {nearest(name, TARGETS[robot])}")
    target = TARGETS[robot][name]
    find_engine(target.engine)
    return target


def target_experiment(robot: str, target: Target) -> ExperimentConfig:
    """The robot's experiment with the hidden robot in it: the oracle's, and the judge's."""
    data = load_experiment(BASES[robot]).model_dump(mode="json")
    data["engine"] = target.engine
    data["pins"] = {}
    data["randomization"] = {
        f"{place}_{name.partition('[')[0]}": {
            "parameter": name.partition("[")[0],
            "target": name.partition("[")[2].removesuffix("]") or "*",
            "operation": operation,
            "distribution": {"type": "constant", "value": value},
        }
        for place, (name, (operation, value)) in enumerate(target.parameters.items())
    }
    return parse_experiment(data)
