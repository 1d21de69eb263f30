"""What a randomizable parameter is, and the commonest kind: numbers in an array, one for each part."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simreal.contract import RobotDescription
from simreal.randomization.parameters.parts import OF_JOINTS, PARTS, PartKind
from simreal.randomization.world import World
from simreal.state import FloatArray, Ids

Operation = Literal["absolute", "scale", "add"]
Elements = NDArray[np.int64]
Write = Callable[[Ids, FloatArray], None]
"""Applies (len(ids), elements) values to simulations."""
ALONG_A_SLIDE = {
    "rad": "m",
    "rad/s": "m/s",
    "rad/s^0.5": "m/s^0.5",
    "N·m": "N",
    "N·m/rad": "N/m",
    "N·m·s/rad": "N·s/m",
    "kg·m²": "kg",
}
"""Units of a joint that turns to those of one that slides."""


def operate(operation: Operation, default: FloatArray, value: FloatArray) -> FloatArray:
    """Combine a default with a drawn value."""
    if operation == "absolute":
        return np.broadcast_to(value, default.shape)
    return default * value if operation == "scale" else default + value


def matching(pattern: str, names: Iterable[str]) -> list[int]:
    """Indices of the names that a shell-style pattern matches."""
    return [index for index, name in enumerate(names) if fnmatchcase(name, pattern)]


@dataclass(frozen=True, kw_only=True)
class Parameter(ABC):
    """A quantity that can be randomized.

    Attributes:
        name: as in configurations and on the command line.
        unit: of an absolute or added value; a scale has none. Of a joint that slides, `unit_of` says it.
        description: one line for people.
        operation: what a configuration means that does not say.
        fields: what it writes, by the names of `World.array`.
        lower: smallest physical result; a range that leads below it is refused.
        upper: largest one.
    """

    name: str
    unit: str
    description: str
    operation: Operation
    fields: tuple[str, ...]
    lower: float | None = 0.0
    upper: float | None = None

    @property
    def of_whole(self) -> bool:
        """Whether it is one quantity of the robot as a whole, and not one for each of some parts."""
        return False

    @property
    def units(self) -> tuple[str, ...]:
        """All that `unit_of` may say."""
        return (self.unit,)

    def unit_of(self, element: str, robot: RobotDescription) -> str:
        """Unit of an absolute or added value of one of the elements, by its name."""
        return self.unit

    @abstractmethod
    def elements(self, world: World) -> list[str]:
        """Names of the parts that it acts on; none for one quantity of the robot as a whole."""

    @abstractmethod
    def default(self, world: World) -> FloatArray:
        """(elements,) compiled values, or (1,), against which ranges are checked."""

    @abstractmethod
    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        """A function that applies values to some of the elements; the look-ups are done here, once."""


@dataclass(frozen=True, kw_only=True)
class ArrayParameter(Parameter):
    """Numbers in the array of its first field, one or several for each part of the robot.

    Attributes:
        part: what there is one row of the array for.
        component: which of a row's numbers it is; absent where a row is one number.
        axes: names of several of a row's numbers, from the first on, each an element of its own, such
            as ``base.x``.
        unit_in_field: units of the parameter in one of the field: 1e3 for ms in a field of s.
    """

    part: PartKind
    component: int | None = None
    axes: tuple[str, ...] = ()
    unit_in_field: float = 1.0

    @property
    def of_whole(self) -> bool:
        return self.part == "robot" and not self.axes

    @property
    def units(self) -> tuple[str, ...]:
        along = ALONG_A_SLIDE.get(self.unit, self.unit) if self.part in OF_JOINTS else self.unit
        return tuple(dict.fromkeys((self.unit, along)))

    def unit_of(self, element: str, robot: RobotDescription) -> str:
        moved = element.rpartition(".")[0] if self.axes else element
        return self.units[-1] if self.part in OF_JOINTS and _slides(moved, robot) else self.unit

    def elements(self, world: World) -> list[str]:
        names = [name for name, _ in PARTS[self.part](world)]
        if self.part == "robot":
            return list(self.axes)
        return [f"{name}.{axis}" for name in names for axis in self.axes] if self.axes else names

    def _place(self, world: World, elements: Elements | slice = slice(None)) -> tuple[Elements, ...]:
        """Indices of elements in an array, behind the axis of the simulations."""
        rows = np.array([row for _, row in PARTS[self.part](world)], dtype=np.int64)
        if self.axes:
            width = len(self.axes)
            columns = np.tile(np.arange(width), max(1, len(rows)))[elements]
            return (np.repeat(rows, width)[elements], columns) if rows.size else (columns,)
        if not rows.size:
            return (np.zeros(1, dtype=np.int64),)
        at = rows[elements]
        return (at,) if self.component is None else (at, np.full_like(at, self.component))

    def default(self, world: World) -> FloatArray:
        values: FloatArray = self.unit_in_field * world.default(self.fields[0])[self._place(world)]
        return values

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        array, place, unit = (
            world.array(self.fields[0]),
            self._place(world, elements),
            self.unit_in_field,
        )

        def write(ids: Ids, values: FloatArray) -> None:
            at = (ids[:, None], *place)
            array[at] = operate(operation, unit * array[at], values) / unit

        return write


def _slides(name: str, robot: RobotDescription) -> bool:
    """Whether the joint of this name, or that of the actuator of this name, slides."""
    driven = {each.name: each.joint for each in robot.actuators}
    sliding = {each.name for each in robot.joints if each.unit == "m"}
    return name in sliding or driven.get(name) in sliding
