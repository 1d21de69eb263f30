"""What an experiment says about its randomization: entries, and the parameters that they mean."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import model_validator

from simreal.column_names import parameter_of, split_column
from simreal.config import Config
from simreal.errors import UserError, nearest
from simreal.randomization.joint_distributions import AnyDistribution, Correlated, PosteriorSamples
from simreal.randomization.parameters import PARAMETERS, Operation, Parameter, operate
from simreal.randomization.posterior import Posterior


class ParameterConfig(Config):
    """One randomized quantity of an experiment, or several that are drawn together.

    The key in the configuration names it.
    """

    parameter: str | None = None
    """A name of `simreal list`; the key itself if absent."""
    parameters: tuple[str, ...] = ()
    """For a joint distribution, what each of its columns is: ``mass[arm]``, ``action_latency_ms``. A
    posterior knows that by itself."""
    target: str = "*"
    """Shell-style pattern of the bodies, joints or actuators meant; each gets a draw of its own."""
    operation: Operation | None = None
    """Absolute, scale or add, always on the compiled default; the parameter's own if absent."""
    within_episode: bool = False
    """Whether it is drawn anew at the times of `change_time_s` and `change_interval_s`, too."""
    distribution: AnyDistribution
    """What is drawn: docs/randomization.md."""

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        named = [*self.parameters, *([self.parameter] if self.parameter else [])]
        for name in named:
            parameter = parameter_of(name)
            if parameter not in PARAMETERS:
                raise ValueError(f"no parameter {name!r}: {nearest(parameter, PARAMETERS)}")
        return self

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        given, distribution = len(self.parameters), self.distribution
        if isinstance(distribution, Correlated) and given != distribution.size:
            raise ValueError(
                f"parameters: {given} names for a distribution of {distribution.size} columns"
            )
        if isinstance(distribution, PosteriorSamples) and given:
            raise ValueError("parameters: the posterior's file names them")
        if not self.is_joint and given:
            raise ValueError("parameters: of a joint distribution; for one quantity, say parameter")
        if self.is_joint and (self.parameter is not None or self.target != "*"):
            raise ValueError("a joint distribution names its parts in parameters, as in mass[arm]")
        return self

    @property
    def is_joint(self) -> bool:
        """Whether it draws several quantities together."""
        return isinstance(self.distribution, Correlated | PosteriorSamples)


Specification = Mapping[str, ParameterConfig]
"""The `randomization` section of an experiment."""


@dataclass(frozen=True, slots=True)
class Member:
    """A parameter that an entry draws.

    Attributes:
        parameter: which.
        target: pattern of the parts meant.
        operation: on the compiled default.
        low: smallest value that is drawn.
        high: largest one.
    """

    parameter: Parameter
    target: str
    operation: Operation
    low: float
    high: float


def members(name: str, config: ParameterConfig) -> list[Member]:
    """What an entry draws: one parameter, or one for each column of a joint distribution."""
    distribution = config.distribution
    if not isinstance(distribution, Correlated | PosteriorSamples):
        parameter = _find(name, config.parameter or name)
        operation = config.operation or parameter.operation
        return [Member(parameter, config.target, operation, *distribution.support)]
    operations: tuple[Operation | None, ...] = (config.operation,) * distribution.size
    columns = config.parameters
    if isinstance(distribution, PosteriorSamples):
        refuse_other_units(distribution.posterior)
        columns = tuple(distribution.posterior.names)
        operations = tuple(each.operation for each in distribution.posterior.parameters)
    found = []
    for column, given, low, high in zip(columns, operations, *distribution.support, strict=True):
        parameter_name, target = split_column(column)
        parameter = _find(name, parameter_name)
        operation = given or parameter.operation
        found.append(Member(parameter, target or "*", operation, float(low), float(high)))
    return found


def refuse_other_units(posterior: Posterior) -> None:
    """Raise a `UserError` if a posterior says a parameter in another unit: nothing converts."""
    for each in posterior.parameters:
        parameter = _find(each.name, parameter_of(each.name))
        units = ("1",) if each.operation == "scale" else parameter.units
        if each.unit not in units:
            named = " or ".join(units)
            raise UserError(f"{each.name}: {each.unit} is no unit of it ({each.operation}), but {named}")


def _find(entry: str, name: str) -> Parameter:
    if name not in PARAMETERS:
        raise UserError(f"randomization.{entry}: no parameter {name!r}: {nearest(name, PARAMETERS)}")
    return PARAMETERS[name]


def reach(
    specification: Specification, pins: Mapping[str, float], parameter: str, default: float = 0.0
) -> tuple[float, float]:
    """Bounds of what a parameter may become in any part, pins included; never too narrow."""
    reached = np.array([default])
    for name, config in specification.items():
        for member in members(name, config):
            if member.parameter.name != parameter:
                continue
            label = parameter if config.is_joint else name
            values = [pins[label]] if label in pins else [member.low, member.high]
            values += [value for pin, value in pins.items() if pin.startswith(f"{label}[")]
            for value in values:
                finite(name, value)
            found = operate(member.operation, *np.meshgrid(reached, values)).ravel()
            untouched = found if member.target == "*" else reached
            reached = np.array([*found, *untouched])
            reached = np.array([reached.min(), reached.max()])
    return float(reached.min()), float(reached.max())


def finite(name: str, value: float) -> float:
    """The value, if it is a number; a `UserError` if not."""
    if not math.isfinite(value):
        raise UserError(f"{name}={value}: not a finite number")
    return value


def fixed(values: Mapping[str, float]) -> tuple[dict[str, ParameterConfig], dict[str, float]]:
    """A specification in which named parameters are constant, such as an emulated robot's.

    Args:
        values: parameter name, or ``name[part]``, to value; a part's own counts more.

    Returns:
        The specification, and pins that go with it.

    Raises:
        UserError: a name that is no parameter.
    """
    specification, pins = {}, {}
    for name, value in values.items():
        parameter, target = split_column(name)
        if parameter not in PARAMETERS:
            raise UserError(f"no parameter {parameter!r}: {nearest(parameter, PARAMETERS)}")
        if target and parameter in values:
            pins[name] = finite(name, value)
            continue
        entry = name.replace("[", " of ", 1).removesuffix("]")
        specification[entry] = constant(parameter, target or "*", finite(name, value))
    return specification, pins


def constant(parameter: str, target: str, value: float) -> ParameterConfig:
    """An entry that holds a parameter at a value."""
    entry: dict[str, Any] = {"parameter": parameter, "target": target}
    return ParameterConfig.model_validate(entry | {"distribution": {"type": "constant", "value": value}})
