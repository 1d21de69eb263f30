"""Where an identified robot lies outside of what a policy was trained under."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from simreal.column_names import split_column
from simreal.contract import Contract, TrainedRange
from simreal.errors import UserError, nearest
from simreal.identification.unknowns import noticeable, unit_of
from simreal.randomization.build import build_world
from simreal.randomization.parameters import PARAMETERS, operate
from simreal.randomization.posterior import Posterior
from simreal.randomization.world import World
from simreal.robots import load_robot

INNER = (0.05, 0.95)
"""Quantiles of a posterior's column, between which the robot is taken to be."""


@dataclass(frozen=True, slots=True)
class _Beyond:
    """A parameter of which the identified robot may lie outside of what a policy was trained under.

    Attributes:
        name: of the column.
        found: between which the robot is taken to be, in the parameter's unit.
        known: what the policy met.
        noticeable: by how much the parameter changes noticeably.
        unit: of all these.
    """

    name: str
    found: tuple[float, float]
    known: tuple[float, float]
    noticeable: float
    unit: str

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
        unit = "" if self.unit == "1" else f" {self.unit}"
        found = f"{self.found[0]:.4g} to {self.found[1]:.4g}{unit}"
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
            size = noticeable(parameter.name, float(default[0]), world)
            yield _Beyond(parameter.name, (low, high), known, size, unit_of(parameter.name, world))


def default_value(world: World, name: str) -> np.ndarray[Any, Any] | None:
    """(1,) compiled value of a column's part; None if the robot has no such part, or none at all.

    Raises:
        UserError: there is no such parameter.
    """
    parameter_name, part = split_column(name)
    if parameter_name not in PARAMETERS:
        raise UserError(f"no parameter {parameter_name!r}: {nearest(parameter_name, PARAMETERS)}")
    parameter = PARAMETERS[parameter_name]
    names = parameter.elements(world)
    if part not in names if part else not (names or parameter.of_whole):
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
