"""Contracts and inventories as tables for people."""

from typing import TYPE_CHECKING, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table

from simreal.contract import JOINT_SOURCES, Contract
from simreal.errors import UserError
from simreal.tables import folded_table, keep_names_whole

if TYPE_CHECKING:
    from simreal.experiment import BaseExperiment
    from simreal.randomization.parameters import Parameter
    from simreal.robots import RobotFolder


Kind = Literal[
    "robots", "tasks", "dm_control", "experiments", "agents", "drivers", "emulators", "parameters"
]
PARAMETERS_OF = "parameters of "
_MEANING = {"zero": "the command", "previous_target": "a step, added to the previous target"}
"""Of what an action maps to, by what it is relative to."""


def describe_contract(contract: Contract) -> list[Table]:
    """A contract as tables: facts, joints, actuators, observation, what is asked, trained ranges."""
    provenance = contract.provenance
    facts = folded_table("policy", "", show_header=False)
    for name, value in (
        ("robot", contract.robot.name),
        ("task", provenance.task),
        ("agent", f"{provenance.agent}, seed {provenance.seed}, {provenance.training_steps} steps"),
        ("control rate", f"{contract.control_rate:g} Hz"),
        ("needs", ", ".join(contract.needed_sensors) or "joints alone"),
        ("an action is", _MEANING[contract.action.relative_to]),
        ("chooses among", ", ".join(choice.name for choice in contract.action.choices) or "any action"),
        ("contract version", str(contract.version)),
        ("made with", ", ".join(f"{k} {v}" for k, v in provenance.versions.items())),
    ):
        facts.add_row(name, value)
    return [
        facts,
        _joints(contract),
        _actuators(contract),
        _observation(contract),
        *([_commands(contract)] if contract.commands else []),
        _ranges(contract),
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _joints(contract: Contract) -> Table:
    table = folded_table("joint", "unit", "lower", "upper", "speed limit", "default")
    for joint in contract.robot.joints:
        table.add_row(
            joint.name,
            joint.unit,
            _number(joint.lower),
            _number(joint.upper),
            _number(joint.velocity_limit),
            _number(joint.default_position),
        )
    return table


def _actuators(contract: Contract) -> Table:
    steps = contract.action.relative_to == "previous_target"
    ends = ("step at action -1" if steps else "at action -1", "at 1")
    table = folded_table("actuator (joint)", "command", "unit", "lower", "upper", *ends, box=SIMPLE_HEAD)
    for actuator, scale, offset in zip(
        contract.robot.actuators, contract.action.scale, contract.action.offset, strict=True
    ):
        same = actuator.name == actuator.joint
        table.add_row(
            actuator.name if same else f"{actuator.name} ({actuator.joint})",
            actuator.command,
            actuator.unit,
            _number(actuator.lower),
            _number(actuator.upper),
            _number(offset - scale),
            _number(offset + scale),
        )
    return keep_names_whole(table)


def _observation(contract: Contract) -> Table:
    table = folded_table("observation", "joints or tool", "scale", "clip", "history", "fill")
    for term in contract.observation:
        joints = (term.joints or contract.robot.joint_names) if term.source in JOINT_SOURCES else ()
        table.add_row(
            term.source,
            ", ".join(joints) or term.tool or "-",
            _number(term.scale),
            _number(term.clip),
            str(term.history),
            term.fill,
        )
    return table


def _commands(contract: Contract) -> Table:
    table = folded_table("asked", "unit", "low", "high")
    for each in contract.commands:
        table.add_row(each.name, each.unit, _number(each.low), _number(each.high))
    return table


def _ranges(contract: Contract) -> Table:
    table = folded_table("trained under", "unit", "operation", "low", "high")
    for each in contract.trained_ranges:
        table.add_row(each.name, each.unit, each.operation, _number(each.low), _number(each.high))
    return table


def _experiment(config: "BaseExperiment") -> str:
    from simreal.experiment import ExperimentConfig

    randomized = f"{len(config.randomization)} randomized quantities"
    if not isinstance(config, ExperimentConfig):
        return f"{config.task}, {randomized}"
    return f"{config.task} on {config.robot} at {config.control_rate:g} Hz, {randomized}"


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
    of_robots = {name: f"in {path.parent}" for name, path in robot_experiments().items()}
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
    return f"joints {joints}; {len(robot.actuators)} actuators; from {folder.origin}"


def parameter_page() -> str:
    """docs/parameters.md: every quantity that can be randomized, as it declares itself."""
    from simreal.randomization.parameters import GROUPS

    lines = [
        "# Parameters that can be randomized",
        "",
        "Written by `make docs` from what the parameters declare; how they are used stands in",
        "[randomization.md](randomization.md). The operation is what an entry means that names none.",
        "Bounds are of the resulting value: a range that leads beyond them is refused.",
    ]
    for group, parameters in GROUPS.items():
        lines += ["", f"## {group.capitalize()}", "", "| name | unit | what | operation | bounds |"]
        lines.append("| --- | --- | --- | --- | --- |")
        for each in parameters:
            cells = (f"`{each.name}`", each.unit, each.description, each.operation, _bounds(each))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _bounds(parameter: "Parameter") -> str:
    low, high = parameter.lower, parameter.upper
    if low is None and high is None:
        return ""
    if high is None:
        return f"from {low:g}"
    return f"to {high:g}" if low is None else f"{low:g} to {high:g}"
