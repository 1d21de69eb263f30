"""What identification means for training: a posterior to draw from, and policies held against it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simreal.column_names import parameter_of, split_column
from simreal.config import FileAssignment
from simreal.contract import Contract, TrainedRange
from simreal.errors import UserError
from simreal.experiment import read_experiment
from simreal.identification.unknowns import noticeable
from simreal.randomization.build import build_world
from simreal.randomization.parameters import PARAMETERS, operate
from simreal.randomization.posterior import Posterior, read_posterior
from simreal.randomization.world import World
from simreal.robots import load_robot

ENTRY = "identified"
"""Key of the posterior in an experiment's randomization."""
BANDWIDTH = 0.2
"""Of the kernel by which identified samples are multiplied."""
INNER = (0.05, 0.95)
"""Quantiles of a posterior's column, between which the robot is taken to be."""


@dataclass(frozen=True, slots=True)
class Redrawn:
    """What becomes of the entries of a randomization when a posterior draws robots.

    Attributes:
        replaced: entries that the posterior draws instead.
        added: parameters of the posterior that no entry drew.
        kept: entries that are drawn as before.
    """

    replaced: tuple[str, ...]
    added: tuple[str, ...]
    kept: tuple[str, ...]

    def describe(self) -> str:
        """For people: ``instead of mass; new: encoder_bias; as before: kp``."""
        parts = (("instead of ", self.replaced), ("new: ", self.added), ("as before: ", self.kept))
        return "; ".join(said + ", ".join(names) for said, names in parts if names)


def redrawn(entries: Mapping[str, Any], posterior: Posterior) -> Redrawn:
    """What a posterior changes in the entries of a randomization."""
    replaced = replaced_entries(entries, posterior)
    drawn = {each for name, entry in entries.items() for each in _parameters(name, entry)}
    found = dict.fromkeys(parameter_of(name) for name in posterior.names)
    added = () if ENTRY in entries else tuple(name for name in found if name not in drawn)
    return Redrawn(replaced, added, tuple(name for name in entries if name not in replaced))


def randomization_override(
    experiment: str, overrides: Sequence[str], path: Path
) -> tuple[FileAssignment, Redrawn]:
    """An override by which an experiment draws robots from a posterior.

    Args:
        experiment: name or path.
        overrides: that come before it.
        path: of the posterior file.

    Returns:
        The override, and what it changes: entries that draw the same parameters are replaced.

    Raises:
        UserError: a file that is none, or of another robot.
    """
    posterior = read_posterior(path)
    data = read_experiment(experiment).override(overrides)
    if data.get("robot", posterior.robot) != posterior.robot:
        raise UserError(f"{path}: identified on robot {posterior.robot}, not on {data['robot']}")
    entries: dict[str, Any] = dict(data.get("randomization") or {})
    change = redrawn(entries, posterior)
    kept = {name: entries[name] for name in change.kept}
    entry = {"distribution": {"type": "posterior", "file": str(path.absolute()), "bandwidth": BANDWIDTH}}
    text = f"randomization={json.dumps({**kept, ENTRY: entry})}"
    return FileAssignment(text, str(path), (ENTRY,)), change


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


@dataclass(frozen=True, slots=True)
class _Beyond:
    """A parameter of which the identified robot may lie outside of what a policy was trained under.

    Attributes:
        name: of the column.
        found: between which the robot is taken to be, in the parameter's unit.
        known: what the policy met.
        noticeable: by how much the parameter changes noticeably.
    """

    name: str
    found: tuple[float, float]
    known: tuple[float, float]
    noticeable: float

    @property
    def least(self) -> float:
        """By how much the robot lies outside at least; not above zero if it may lie inside."""
        return max(self.found[0] - self.known[1], self.known[0] - self.found[1])

    @property
    def most(self) -> float:
        """By how much it lies outside at most."""
        return max(self.known[0] - self.found[0], self.found[1] - self.known[1])

    @property
    def what(self) -> str:
        parameter, part = split_column(self.name)
        return parameter.replace("_", " ") + (f" of {part}" if part else "")

    def describe(self) -> str:
        low, high = self.known
        trained = f"{low:.4g} to {high:.4g}" if low != high else f"only {low:.4g}"
        unit = PARAMETERS[parameter_of(self.name)].unit
        found = f"{self.found[0]:.4g} to {self.found[1]:.4g}" + ("" if unit == "1" else f" {unit}")
        return f"{self.what} is {found}, trained {trained}"


def outside_trained(posterior: Posterior, contract: Contract) -> list[str]:
    """Say where the identified robot lies outside of what a policy was trained under, the worst first.

    A line each where it surely does, by what is noticeable; one for all where the logs leave it open,
    and one for all where it is too little to matter.

    Raises:
        UserError: a policy of another robot.
    """
    robot = contract.robot.name
    if posterior.robot != robot:
        raise UserError(f"identified on robot {posterior.robot}, but the policy is of robot {robot}")
    beyond = list(_beyond_trained(posterior, contract))
    little = [each for each in beyond if each.most < each.noticeable]
    matters = [each for each in beyond if each.most >= each.noticeable]
    outside = [each for each in matters if each.least > 0.0]
    unsure = [each for each in matters if each.least <= 0.0]
    outside.sort(key=lambda each: each.least / max(each.noticeable, 1e-300), reverse=True)
    remarks = [
        f"your robot lies outside the range this policy was trained for: {each.describe()}"
        for each in outside
    ]
    if unsure:
        listed = "; ".join(each.describe() for each in unsure)
        remarks.append(f"the logs leave open whether your robot lies outside: {listed}")
    if little:
        listed = ", ".join(each.what for each in little)
        remarks.append(f"outside by less than is noticeable: {listed}")
    return remarks


def _beyond_trained(posterior: Posterior, contract: Contract) -> Iterator[_Beyond]:
    world = build_world(load_robot(contract.robot.name), 1, {}, {}, threads=1)
    samples, _ = posterior.weighted_samples()
    trained = {each.name: each for each in contract.trained_ranges}
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
            size = noticeable(parameter_of(parameter.name), float(default[0]), world)
            yield _Beyond(parameter.name, (low, high), known, size)


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
