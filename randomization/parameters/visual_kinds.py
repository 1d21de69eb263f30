"""Kinds of parameters that visuals need beside plain numbers: switches, rotations, lenses, textures."""

from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from simreal.errors import UserError
from simreal.randomization.parameters.parameter import (
    ArrayParameter,
    Elements,
    Operation,
    Parameter,
    Write,
    operate,
)
from simreal.randomization.parameters.parts import PARTS, PartKind
from simreal.randomization.world import World
from simreal.state import FloatArray, Ids

XYZ = ("x", "y", "z")


@dataclass(frozen=True, kw_only=True)
class Switch(ArrayParameter):
    """On or off: a drawn value of 0.5 and more is on."""

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        array, place = world.array(self.fields[0]), self._place(world, elements)

        def write(ids: Ids, values: FloatArray) -> None:
            at = (ids[:, None], *place)
            array[at] = operate(operation, array[at].astype(np.float64), values) >= 0.5

        return write


@dataclass(frozen=True, kw_only=True)
class Factor(Parameter):
    """A factor on all numbers that a part has in some fields.

    Attributes:
        part: what there is one factor for.
    """

    part: PartKind

    def elements(self, world: World) -> list[str]:
        return [name for name, _ in PARTS[self.part](world)]

    def default(self, world: World) -> FloatArray:
        return np.ones(len(PARTS[self.part](world)))

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        rows = _rows(world, self.part)[elements]
        arrays = [world.array(field) for field in self.fields]

        def write(ids: Ids, values: FloatArray) -> None:
            factor = operate(operation, np.ones_like(values), values)
            for array in arrays:
                array[ids[:, None], rows] *= factor[..., None]

        return write


@dataclass(frozen=True, kw_only=True)
class Turn(Parameter):
    """A small rotation of parts: a vector along its axis, as long as its angle.

    The rotations of several entries follow one another. A part that is aimed at a body is not turned,
    since the aim would win.

    Attributes:
        part: what is turned.
    """

    part: PartKind

    def elements(self, world: World) -> list[str]:
        return [f"{name}.{axis}" for name, _ in PARTS[self.part](world) for axis in XYZ]

    def default(self, world: World) -> FloatArray:
        return np.zeros(3 * len(PARTS[self.part](world)))

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        rows = _rows(world, self.part)
        array = world.array(self.fields[0])

        def write(ids: Ids, values: FloatArray) -> None:
            vectors = np.zeros((len(ids), len(rows), 3))
            angles = operate(operation, np.zeros_like(values), values)
            vectors[:, elements // 3, elements % 3] = angles
            turned, parts = np.nonzero(vectors.any(axis=2))
            if turned.size:
                at, by = (ids[turned], rows[parts]), Rotation.from_rotvec(vectors[turned, parts])
                array[at] = self._turned(array[at], by)

        return write

    def _turned(self, values: FloatArray, by: Rotation) -> FloatArray:
        """(n, 3) directions, turned about the axes of the body that they belong to."""
        directions: FloatArray = by.apply(values)
        return directions


@dataclass(frozen=True, kw_only=True)
class TurnAboutItself(Turn):
    """A rotation about the part's own axes."""

    def _turned(self, values: FloatArray, by: Rotation) -> FloatArray:
        """(n, 4) quaternions, w first."""
        turned = Rotation.from_quat(values[:, [1, 2, 3, 0]]) * by
        quaternions: FloatArray = turned.as_quat()[:, [3, 0, 1, 2]]
        return quaternions


@dataclass(frozen=True, kw_only=True)
class FieldOfView(Parameter):
    """A camera's vertical angle, and the focal lengths of one that has a sensor of a known size."""

    def elements(self, world: World) -> list[str]:
        return [name for name, _ in PARTS["perspective_camera"](world)]

    def default(self, world: World) -> FloatArray:
        cameras = _rows(world, "perspective_camera")
        angles: FloatArray = np.radians(world.default("cam_fovy")[cameras])
        return angles

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        cameras = _rows(world, "perspective_camera")[elements]
        angle, intrinsic = world.array("cam_fovy"), world.array("cam_intrinsic")

        def write(ids: Ids, values: FloatArray) -> None:
            at = (ids[:, None], cameras)
            before = angle[at]
            given = values if operation == "scale" else np.degrees(values)
            angle[at] = operate(operation, before, given)
            longer = np.tan(np.radians(before) / 2) / np.tan(np.radians(angle[at]) / 2)
            intrinsic[ids[:, None], cameras, :2] *= longer[..., None]

        return write


@dataclass(frozen=True, kw_only=True)
class Texture(ArrayParameter):
    """Which of the model's textures a material has, counted from 0 without skies; -1 for none."""

    def default(self, world: World) -> FloatArray:
        present = super().default(world)
        counted = _textures(world)
        return np.array([counted.index(int(each)) if each in counted else -1.0 for each in present])

    def writer(self, world: World, elements: Elements, operation: Operation) -> Write:
        array, place = world.array(self.fields[0]), self._place(world, elements)
        default, counted = self.default(world)[elements], _textures(world)
        ids_of = np.array([*counted, -1])  # a number of -1 is the last

        def write(ids: Ids, values: FloatArray) -> None:
            nominal = np.broadcast_to(default, values.shape)
            number = np.rint(operate(operation, nominal, values)).astype(np.int64)
            if number.size and number.max() >= len(counted):
                raise UserError(
                    f"{self.name} {number.max()}: the model of robot {world.robot.name} has "
                    f"{len(counted)} textures, counted from 0"
                )
            array[(ids[:, None], *place)] = ids_of[number]

        return write


def _rows(world: World, part: PartKind) -> Elements:
    return np.array([row for _, row in PARTS[part](world)], dtype=np.int64)


def _textures(world: World) -> list[int]:
    kinds = world.physics.model.tex_type
    return np.flatnonzero(kinds != mujoco.mjtTexture.mjTEXTURE_SKYBOX).tolist()
