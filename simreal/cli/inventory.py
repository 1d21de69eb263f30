"""Everything that can be named on the command line, and what `simreal list` shows of it."""

from typing import TYPE_CHECKING, Literal

from simreal.cli_types import counted
from simreal.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from simreal.experiment import BaseExperiment
    from simreal.robots import RobotFolder


Kind = Literal[
    "robots", "tasks", "dm_control", "experiments", "agents", "drivers", "emulators", "parameters"
]
PARAMETERS_OF = "parameters of "


def _experiment(config: "BaseExperiment") -> str:
    from simreal.experiment import ExperimentConfig

    randomized = f"{len(config.randomization)} randomized quantities"
    if not isinstance(config, ExperimentConfig):
        return f"{config.task}, {randomized}"
    return f"{config.task} on {config.robot} at {config.control_rate:g} Hz, {randomized}"


def _own_experiment(name: str, path: "Path") -> str:
    """The same of one in a robot's folder, or what is wrong with it: it must not hide the others."""
    from simreal.experiment import load_any_experiment

    try:
        return f"{_experiment(load_any_experiment(name))}, in {path.parent}"
    except UserError as error:
        return f"in {path.parent}: {error}"


def inventory() -> dict[str, dict[str, str]]:
    """Kind to name to description of everything that can be named on the command line."""
    from simreal.agents.config import AGENTS
    from simreal.configs import shipped_experiments
    from simreal.deploy.drivers import DRIVERS
    from simreal.deploy.emulators.registry import EMULATORS
    from simreal.experiment import load_any_experiment
    from simreal.randomization.parameters import GROUPS
    from simreal.robots import robot_experiments, robot_folders
    from simreal.suite.tasks import suite_task_names
    from simreal.tasks import task_names

    experiments = {name: load_any_experiment(name) for name in shipped_experiments()}
    of_robots = {name: _own_experiment(name, path) for name, path in robot_experiments().items()}
    return {
        "robots": {name: _robot(name, folder) for name, folder in robot_folders().items()},
        "tasks": task_names() | dict.fromkeys(suite_task_names(), "of dm_control"),
        "experiments": {name: _experiment(config) for name, config in experiments.items()} | of_robots,
        "agents": {name: (agent.config.__doc__ or "").splitlines()[0] for name, agent in AGENTS.items()},
        "drivers": {name: entry.description for name, entry in DRIVERS.items()},
        "emulators": {name: entry.description for name, entry in EMULATORS.items()},
        **{
            f"{PARAMETERS_OF}{group}": {
                each.name: f"{each.description} ({each.operation} by default, {each.unit})"
                for each in parameters
            }
            for group, parameters in GROUPS.items()
        },
    }


def listing(kind: Kind | None) -> dict[str, dict[str, str]]:
    """What people are shown of the inventory: one kind whole, or all with its long tails folded."""
    from simreal.experiment import SUITE_PREFIX, is_suite_task

    found = inventory()
    suite = {name: text for name, text in found["tasks"].items() if is_suite_task(name)}
    groups = {name: entries for name, entries in found.items() if name.startswith(PARAMETERS_OF)}
    rest = {name: entries for name, entries in found.items() if name not in groups}
    rest["tasks"] = {name: text for name, text in rest["tasks"].items() if name not in suite}
    if suite:
        count = f"{len(suite)} tasks: simreal list dm_control"
        rest["tasks"][f"{SUITE_PREFIX}DOMAIN-TASK"] = count
    match kind:
        case None:
            folded = {
                name.removeprefix(PARAMETERS_OF): ", ".join(group) for name, group in groups.items()
            }
            return {**rest, "parameters": folded}
        case "parameters":
            return groups
        case "dm_control":
            return {kind: dict.fromkeys(suite, "")}  # the name says it all
        case _:
            return {kind: rest[kind]}


def _robot(name: str, folder: "RobotFolder") -> str:
    """One line on a robot, or on what is wrong with it: one bad file must not hide the others."""
    from simreal.robots import load_robot

    try:
        robot = load_robot(name).description
    except UserError as error:
        return f"from {folder.origin}: {error}"
    joints = ", ".join(robot.joint_names)
    return f"joints {joints}; {counted(len(robot.actuators), 'actuator')}; from {folder.origin}"
