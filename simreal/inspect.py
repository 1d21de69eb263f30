"""Contracts and inventories as tables for people."""

from typing import TYPE_CHECKING

from rich.table import Table

from simreal.contract import Contract

if TYPE_CHECKING:
    from simreal.randomization.parameters import Parameter


def describe_contract(contract: Contract) -> list[Table]:
    """A contract as tables: facts, joints, actuators, observation, trained ranges."""
    provenance = contract.provenance
    facts = Table("policy", "", show_header=False)
    for name, value in (
        ("robot", contract.robot.name),
        ("task", provenance.task),
        ("agent", f"{provenance.agent}, seed {provenance.seed}, {provenance.training_steps} steps"),
        ("control rate", f"{contract.control_rate:g} Hz"),
        ("contract version", str(contract.version)),
        ("made with", ", ".join(f"{k} {v}" for k, v in provenance.versions.items())),
    ):
        facts.add_row(name, value)
    return [
        facts,
        _joints(contract),
        _actuators(contract),
        _observation(contract),
        _ranges(contract),
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _joints(contract: Contract) -> Table:
    table = Table("joint", "unit", "lower", "upper", "speed limit", "default")
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
    table = Table("actuator", "joint", "command", "unit", "lower", "upper", "at action -1", "at 1")
    for actuator, scale, offset in zip(
        contract.robot.actuators, contract.action.scale, contract.action.offset, strict=True
    ):
        table.add_row(
            actuator.name,
            actuator.joint,
            actuator.command,
            actuator.unit,
            _number(actuator.lower),
            _number(actuator.upper),
            _number(offset - scale),
            _number(offset + scale),
        )
    return table


def _observation(contract: Contract) -> Table:
    table = Table("observation", "joints", "scale", "clip", "history", "fill")
    for term in contract.observation:
        owners = (
            "-"
            if term.source == "previous_action"
            else ", ".join(term.joints or contract.robot.joint_names)
        )
        table.add_row(
            term.source,
            owners,
            _number(term.scale),
            _number(term.clip),
            str(term.history),
            term.fill,
        )
    return table


def _ranges(contract: Contract) -> Table:
    table = Table("trained under", "unit", "operation", "low", "high")
    for each in contract.trained_ranges:
        table.add_row(each.name, each.unit, each.operation, _number(each.low), _number(each.high))
    return table


def inventory() -> dict[str, dict[str, str]]:
    """Kind to name to description of everything that can be named on the command line."""
    from simreal.agents.config import PPOConfig, SACConfig, TD3Config
    from simreal.configs import shipped_experiments
    from simreal.deploy.drivers import DRIVERS
    from simreal.experiment import load_experiment
    from simreal.randomization.parameters import GROUPS
    from simreal.robots import load_robot, robot_names
    from simreal.tasks import TASKS

    robots = {name: load_robot(name).description for name in robot_names()}
    agents = {"ppo": PPOConfig, "sac": SACConfig, "td3": TD3Config}
    experiments = {name: load_experiment(name) for name in shipped_experiments()}
    return {
        "robots": {
            name: f"joints {', '.join(robot.joint_names)}; {len(robot.actuators)} actuators"
            for name, robot in robots.items()
        },
        "tasks": {name: task.description for name, task in TASKS.items()},
        "experiments": {
            name: f"{config.task} on {config.robot} at {config.control_rate:g} Hz, "
            f"{len(config.randomization)} randomized quantities"
            for name, config in experiments.items()
        },
        "agents": {name: (agent.__doc__ or "").splitlines()[0] for name, agent in agents.items()},
        "drivers": {name: text for name, (text, _) in DRIVERS.items()},
        **{
            f"parameters of {group}": {
                each.name: f"{each.description} ({each.operation} by default, {each.unit})"
                for each in parameters
            }
            for group, parameters in GROUPS.items()
        },
    }


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
