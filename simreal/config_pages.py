"""Pages of the documentation that follow from tables and configuration models, as those declare it."""

import ast
import inspect
import textwrap
import types
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from simreal.agents.config import AGENTS, RMAConfig, TeacherConfig
from simreal.config import Config
from simreal.contract import (
    COMMAND_SOURCES,
    IMU_SOURCES,
    JOINT_SOURCES,
    OBJECT_SOURCES,
    TOOL_SOURCES,
    CameraTerm,
    ObservationTerm,
)
from simreal.experiment import ActionConfig, ExperimentConfig, ResidualConfig, TrainConfig
from simreal.observation import SOURCES
from simreal.randomization.parameters import GROUPS, Parameter
from simreal.randomization.specification import ParameterConfig
from simreal.robots.loader import RobotConfig

WORDS = {
    str: "text",
    Path: "path",
    float: "number",
    int: "whole number",
    bool: "true or false",
}
NEEDS = {
    "an IMU": IMU_SOURCES,
    "objects": OBJECT_SOURCES,
    "`tool`": TOOL_SOURCES,
    "commands": COMMAND_SOURCES,
    "position servos": frozenset({"following_error"}),
}
ON_THE_PAGE: dict[str, type[Config]] = {
    **{name: agent.config for name, agent in AGENTS.items()},
    "rma": RMAConfig,
}
"""Sections of an experiment that docs/agents.md explains."""
FIRST_KEYS = ("robot", "task", "control_rate", "episode_length", "observation", "action", "rewards")
"""Of an experiment, those that each must have."""
PARTS_OF_EXPERIMENT: dict[str, type[Config]] = {
    "action": ActionConfig,
    "randomization.NAME": ParameterConfig,
    "train": TrainConfig,
    "cameras[]": CameraTerm,
    "teacher": TeacherConfig,
    "residual": ResidualConfig,
}
"""Sections that docs/experiment.md explains; the others have pages of their own."""
BOUNDS = (
    (annotated_types.Gt, "gt", "above"),
    (annotated_types.Ge, "ge", "from"),
    (annotated_types.Lt, "lt", "below"),
    (annotated_types.Le, "le", "to"),
)


def robot_page() -> str:
    """docs/robot_yaml.md: every key of a robot's description."""
    head = [
        "# robot.yaml",
        "",
        "Written by `make docs` from the models that read it (`RobotConfig` in `robots/loader.py`).",
        "A key without a default is required, and an unknown one is an error. [robots.md](robots.md)",
        "says how a robot is added, and `robots/*/robot.yaml` are examples.",
    ]
    sections = [line for section in _sections("", RobotConfig) for line in section]
    return "\n".join([*head, *sections, ""])


def agent_page() -> str:
    """docs/agents.md: every key of the agents, with its default."""
    lines = [
        "# Agents",
        "",
        "Written by `make docs` from the models in `simreal/agents/config.py`. An experiment chooses by",
        "`agent:` and changes numbers in the section of that name, or `-o ppo.epochs=8` does.",
    ]
    for name, model in ON_THE_PAGE.items():
        lines += ["", f"## {name}", "", inspect.cleandoc(model.__doc__ or ""), "", *_table(model)]
    return "\n".join([*lines, ""])


def experiment_page() -> str:
    """docs/experiment.md: every key of an experiment, but for the agents'."""
    lines = [
        "# Experiment",
        "",
        "Written by `make docs` from the models that read it (`ExperimentConfig` in",
        "`simreal/experiment.py`). A key without a default is required, and an unknown one is an error.",
        "`extends: NAME` takes from another experiment what is not said here; `-o section.key=value`",
        "changes a value. What the parts are for: [concepts.md](concepts.md); examples: `configs/`.",
    ]
    order = dict.fromkeys(FIRST_KEYS) | ExperimentConfig.model_fields
    shown = [name for name in order if name not in AGENTS]
    lines += ["", *_table(ExperimentConfig, shown)]
    for title, model in PARTS_OF_EXPERIMENT.items():
        lines += ["", f"## `{title}`", "", inspect.cleandoc(model.__doc__ or ""), "", *_table(model)]
    return "\n".join([*lines, ""])


def observation_page() -> str:
    """docs/observations.md: every source of an observation, and the keys of a term."""
    lines = [
        "# Observations",
        "",
        "Written by `make docs` from `SOURCES` in `simreal/observation.py` and the model of a term. An",
        "observation is a list of terms, each `clip(scale * source)`. Places are in the frame of the",
        "robot's base; a command is a place by what of it is called x, y, z.",
        "",
        "## Sources",
        "",
        "| source | what | needs |",
        "| --- | --- | --- |",
    ]
    for name, source in SOURCES.items():
        needs = ", ".join(need for need, those in NEEDS.items() if name in those)
        lines.append(f"| `{name}` | {source.meaning} | {needs} |")
    lines += [
        "",
        f"`joints` is for {', '.join(f'`{each}`' for each in SOURCES if each in JOINT_SOURCES)}.",
    ]
    return "\n".join([*lines, "", "## Terms", "", *_table(ObservationTerm), ""])


def parameter_page() -> str:
    """docs/parameters.md: every quantity that can be randomized, as it declares itself."""
    lines = [
        "# Parameters that can be randomized",
        "",
        "Written by `make docs` from what the parameters declare; how they are used stands in",
        "[randomization.md](randomization.md). The operation is what an entry means that names none.",
        "Bounds are of the resulting value: a range that leads beyond them is refused. Units are",
        "those of a joint that turns; of one that slides, and of its actuator, read m for rad, N for",
        "N·m, and kg for kg·m².",
    ]
    for group, parameters in GROUPS.items():
        lines += ["", f"## {group.capitalize()}", "", "| name | unit | what | operation | bounds |"]
        lines.append("| --- | --- | --- | --- | --- |")
        for each in parameters:
            cells = (f"`{each.name}`", each.unit, each.description, each.operation, _ends(each))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _ends(parameter: Parameter) -> str:
    """Of a drawn value, for people."""
    low, high = parameter.lower, parameter.upper
    if low is None and high is None:
        return ""
    if high is None:
        return f"from {low:g}"
    return f"to {high:g}" if low is None else f"{low:g} to {high:g}"


def _sections(path: str, model: type[Config]) -> Iterator[list[str]]:
    """A table for a model, and one for each that it contains."""
    if path:
        yield ["", f"## `{path}`", "", inspect.cleandoc(model.__doc__ or ""), "", *_table(model)]
    else:
        yield ["", *_table(model)]
    for name, field in model.model_fields.items():
        for kind in _contained(field.annotation):
            listed = "[]" if get_origin(field.annotation) is tuple else ""
            yield from _sections(f"{path}.{name}".lstrip(".") + listed, kind)


def _contained(annotation: Any) -> list[type[Config]]:
    """Models that a value of this type may be, or hold."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return [annotation]
    return [each for part in get_args(annotation) for each in _contained(part)]


def _table(model: type[Config], names: Iterable[str] | None = None) -> list[str]:
    """A row for each field, or for those that are named, in their order."""
    meanings, fields = field_meanings(model), model.model_fields
    rows = [
        f"| `{name}` | {_kind(fields[name])} | {_default(fields[name])} | {meanings.get(name, '')} |"
        for name in names or fields
    ]
    return ["| key | value | default | meaning |", "| --- | --- | --- | --- |", *rows]


def field_meanings(model: type[Config]) -> dict[str, str]:
    """The text below each field of a model, those that it inherits included."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if issubclass(kind, Config) and kind is not Config:
            found |= _texts_below_fields(kind)
    return found


def _texts_below_fields(model: type[Config]) -> dict[str, str]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match text:
                case ast.Expr(value=ast.Constant(value=str(meaning))):
                    found[field.target.id] = " ".join(meaning.split())
    return found


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return ""
    if isinstance(value, Config):
        return "that of its keys"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return "none" if value is None or value == {} else str(value).lower()


def _kind(field: FieldInfo) -> str:
    bounds = _bounds(field.metadata)
    return f"{_type_words(field.annotation)} {bounds}".strip()


def _type_words(annotation: Any) -> str:
    """A type for people who write YAML."""
    if annotation in WORDS:
        return WORDS[annotation]
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return f"{_type_words(parts[0])} {_bounds(parts[1:])}".strip()
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type_words(part) for part in parts if part is not type(None)))
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin is dict:
        return f"name: {_type_words(parts[1])}, and so on"
    if origin is tuple and parts[-1] is Ellipsis:
        return f"list, each {_type_words(parts[0])}"
    if origin is tuple:
        return f"[{', '.join(map(_type_words, parts))}]"
    return "section"


def _bounds(metadata: Sequence[Any]) -> str:
    """Limits of a number, as pydantic keeps them."""
    flat = [each for entry in metadata for each in _constraints(entry)]
    return " ".join(
        f"{word} {getattr(each, attribute):g}"
        for kind, attribute, word in BOUNDS
        for each in flat
        if isinstance(each, kind)
    )


def _constraints(entry: Any) -> Sequence[Any]:
    return entry.metadata if isinstance(entry, FieldInfo) else (entry,)
