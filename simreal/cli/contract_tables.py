"""A contract as tables for people."""

from rich.box import SIMPLE_HEAD
from rich.table import Table

from simreal.contract import JOINT_SOURCES, Contract
from simreal.tables import folded_table, keep_names_whole

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
