"""Hidden robots. Only the process that is one, the judge and the oracle read this."""

from simreal.errors import UserError, nearest
from simreal.experiment import BaseExperiment, ExperimentConfig, load_experiment, parse_experiment
from simreal.physics.engines import find_engine
from simreal.transfer_bench.hidden_go2 import GO2
from simreal.transfer_bench.hidden_qube import QUBE
from simreal.transfer_bench.hidden_so101 import SO101
from simreal.transfer_bench.target import Target, network_file

BASES = {"qube": "qube_swingup", "so101": "so101_reach", "go2": "go2_velocity"}
"""Robot to its experiment."""
OF_TARGET = ("randomization", "pins", "schedule", "engine", "rewards", "residual")
"""What of an experiment is the hidden robot's."""
TARGETS: dict[str, dict[str, Target]] = {"qube": QUBE, "so101": SO101, "go2": GO2}


def base_experiment(robot: str) -> ExperimentConfig:
    """The shipped experiment of a robot."""
    return load_experiment(BASES[robot])


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
    data = base_experiment(robot).model_dump(mode="json")
    data["engine"] = target.engine
    data["pins"] = {}
    if target.network:  # one, which agrees with itself
        data["residual"] = {"file": str(network_file(robot)), "penalty": 0.0}
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


def on_target(experiment: BaseExperiment, robot: str, target: str) -> BaseExperiment:
    """What a policy is judged in: its own observation and action, in the world of a hidden robot."""
    hidden = target_experiment(robot, find_target(robot, target))
    return experiment.model_copy(update={name: getattr(hidden, name) for name in OF_TARGET})
