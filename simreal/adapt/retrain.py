"""What identification means for training: a posterior to draw from, and policies held against it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simreal.column_names import parameter_of, split_column
from simreal.config import FileAssignment
from simreal.contract import Contract, TrainedRange
from simreal.errors import UserError
from simreal.experiment import read_experiment
from simreal.randomization.build import build_world
from simreal.randomization.parameters import PARAMETERS, operate
from simreal.randomization.posterior import Posterior, read_posterior
from simreal.randomization.world import World
from simreal.robots import load_robot

ENTRY = "identified"
"""Key of the posterior in an experiment's randomization."""
INNER = (0.05, 0.95)
"""Quantiles of a posterior's column, between which the robot is taken to be."""


def randomization_override(
    experiment: str, overrides: Sequence[str], path: Path
) -> tuple[FileAssignment, list[str]]:
    """An override by which an experiment draws robots from a posterior.

    Args:
        experiment: name or path.
        overrides: that come before it.
        path: of the posterior file.

    Returns:
        The override, and the entries that it replaces since they draw the same parameters.

    Raises:
        UserError: a file that is none, or of another robot.
    """
    posterior = read_posterior(path)
    data = read_experiment(experiment).override(overrides)
    if data.get("robot", posterior.robot) != posterior.robot:
        raise UserError(f"{path}: identified on robot {posterior.robot}, not on {data['robot']}")
    entries: dict[str, Any] = dict(data.get("randomization") or {})
    replaced = replaced_entries(entries, posterior)
    kept = {name: entry for name, entry in entries.items() if name not in replaced}
    entry = {"distribution": {"type": "posterior", "file": str(path.absolute()), "bandwidth": 0.2}}
    text = f"randomization={json.dumps({**kept, ENTRY: entry})}"
    return FileAssignment(text, str(path), (ENTRY,)), list(replaced)


def replaced_entries(entries: Mapping[str, Any], posterior: Posterior) -> tuple[str, ...]:
    """Entries of a randomization that a posterior draws instead, since it draws what they do."""
    found = {parameter_of(name) for name in posterior.names}
    return tuple(
        name for name, entry in entries.items() if found & _parameters(name, entry) or name == ENTRY
    )


def _parameters(name: str, entry: Any) -> set[str]:
    """What an entry of a randomization draws."""
    content = entry if isinstance(entry, dict) else {}
    listed = content.get("parameters") or [content.get("parameter") or name]
    return {parameter_of(str(each)) for each in listed}


def outside_trained(posterior: Posterior, contract: Contract) -> list[str]:
    """Say where the identified robot lies outside of what a policy was trained under.

    Raises:
        UserError: a policy of another robot.
    """
    robot = contract.robot.name
    if posterior.robot != robot:
        raise UserError(f"identified on robot {posterior.robot}, but the policy is of robot {robot}")
    world = build_world(load_robot(robot), 1, {}, {}, threads=1)
    samples, _ = posterior.weighted_samples()
    trained = {each.name: each for each in contract.trained_ranges}
    remarks = []
    for parameter, values in zip(posterior.parameters, samples.T, strict=True):
        default = default_value(world, parameter.name)
        if default is None:
            continue
        low, high = (
            float(operate(parameter.operation, default, np.array([end]))[0])
            for end in np.quantile(values, INNER)
        )
        known = _absolute(trained.get(parameter.name), default)
        if low < known[0] - _slack(known) or high > known[1] + _slack(known):
            remarks.append(_remark(parameter.name, (low, high), known))
    return remarks


def default_value(world: World, name: str) -> np.ndarray[Any, Any] | None:
    """(1,) compiled value of a column's part; None if the robot has no such part."""
    parameter_name, part = split_column(name)
    parameter = PARAMETERS[parameter_name]
    names = parameter.elements(world)
    if part and part not in names:
        return None
    return parameter.default(world)[[names.index(part) if part else 0]]


def _absolute(trained: TrainedRange | None, default: np.ndarray[Any, Any]) -> tuple[float, float]:
    """What a policy met, in the parameter's unit: the model's own value where nothing was drawn."""
    if trained is None:
        return float(default[0]), float(default[0])
    ends = [operate(trained.operation, default, np.array([end])) for end in (trained.low, trained.high)]
    low, high = sorted(float(end[0]) for end in ends)
    return low, high


def _slack(known: tuple[float, float]) -> float:
    """A policy bears a little more than it has met: 2 % of the size."""
    return 0.02 * max(abs(known[0]), abs(known[1]))


def _remark(name: str, found: tuple[float, float], known: tuple[float, float]) -> str:
    parameter = PARAMETERS[name.partition("[")[0]]
    what = parameter.name.replace("_", " ")
    part = name.partition("[")[2].removesuffix("]")
    trained = f"{known[0]:.4g} to {known[1]:.4g}" if known[0] != known[1] else f"only {known[0]:.4g}"
    unit = f" {parameter.unit}" if parameter.unit != "1" else ""
    return (
        f"your robot lies outside the range this policy was trained for: {what}"
        f"{f' of {part}' if part else ''} is {found[0]:.4g} to {found[1]:.4g}{unit}, trained {trained}"
    )
