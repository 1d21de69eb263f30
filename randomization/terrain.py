"""Terrain for legged robots: one height field with a tile for every difficulty and kind of ground.

The map is part of the model, compiled once and shared by all simulations of a batch. An episode
chooses its ground by where it starts: levels follow each other along +x, kinds along +y, and the
origin is the platform of level 0 of the first kind.

    spec = mujoco.MjSpec.from_file("go2.xml")  # without a ground of its own
    terrain = add_terrain(spec, TerrainConfig(kinds=TerrainShares(rough=1, stairs_up=2)))
    model = spec.compile()

    kind = terrain.pick_kind(uniform)  # (n,), by the shares
    qpos[:, :3] = terrain.start(level, kind) + (0.0, 0.0, standing_height)
    clearance = qpos[:, 2] - terrain.height_at(qpos[:, 0], qpos[:, 1])

`level` and `kind` are numbers of the episode like any other; who moves a robot up or down is the
business of a schedule. `terrain_tiles` has the kinds, what their limits mean, and where the numbers
come from.

Why a height field, and what it costs (measured, radius 22 mm feet, cells of 0.05 m, one thread; a light
body on four feet takes 7 to 9 us per step on a plane, 16 us on flat or rough ground, 27 us on
stairs, 35 us on average over all kinds). Boxes would give stairs vertical risers, at 16 us; but every
geom of the world is moved at every step of every simulation, 20 ns each wherever the robot is, so
that 420 boxes for the two kinds of stairs cost a mixed map as much as they save, and rough ground
cannot be made of them. The contacts of a height field are those of many prisms, and the ones beside
the foot push a little sideways: a ball that lands on flat ground at 1 m/s rolls off at 5 cm/s, and on a
slope of 0.1 a ball rolls 6 % slower than on a plane, on 0.3 1 %. A foot whose centre sinks below the
surface (landing at 3 m/s with MuJoCo's default softness) can be pushed out sideways or stay stuck,
the more so the finer the resolution: none of 60 did at 0.05 m, 3 in 10 at 0.025 m. Where all the
ground is flat, use a plane.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError
from simreal.randomization.terrain_tiles import (
    KINDS,
    Heights,
    TerrainConfig,
    TerrainShares,
    tile_heights,
)

__all__ = [
    "KINDS",
    "TerrainConfig",
    "TerrainMap",
    "TerrainShares",
    "add_terrain",
    "make_map",
]

NAME = "terrain"
"""Of the height field and its geom; the names of the apron's geoms begin with it."""

BASE_THICKNESS = 1.0
"""m of ground below the lowest point, so that nothing can fall through."""

FRICTION = (1.0, 0.005, 0.0001)
"""Sliding, torsional (m) and rolling (m): MuJoCo's own defaults, whatever the robot's model says."""


@dataclass(frozen=True, eq=False)
class TerrainMap:
    """Where the ground is.

    Attributes:
        config: what it was made from.
        kinds: names, by index.
        heights: (kinds * n + 1, levels * n + 1), m, for tiles of n cells; rows along y.
    """

    config: TerrainConfig
    kinds: tuple[str, ...]
    heights: Heights

    @cached_property
    def starts(self) -> NDArray[np.float64]:
        """Middle of each platform, (levels, kinds, 3), m."""
        size = self.config.tile_size
        x, y = np.meshgrid(
            size * np.arange(self.config.levels), size * np.arange(len(self.kinds)), indexing="ij"
        )
        return np.stack((x, y, self.height_at(x, y)), axis=-1)

    def start(self, level: ArrayLike, kind: ArrayLike) -> NDArray[np.float64]:
        """Where episodes of these levels and kinds begin.

        Args:
            level: (n,), rounded down, so that a level drawn uniformly from 0 to `levels` is any
                of them equally often.
            kind: (n,), index into `kinds`, rounded down.

        Returns:
            (n, 3), m, on the ground.

        Raises:
            UserError: a level or a kind that the map does not have.
        """
        row = _index("terrain level", level, self.config.levels)
        column = _index("terrain kind", kind, len(self.kinds))
        starts: NDArray[np.float64] = self.starts[row, column]
        return starts

    def pick_kind(self, uniform: ArrayLike) -> NDArray[np.int64]:
        """Kinds by their shares, from uniform numbers in [0, 1), of the same shape."""
        edges = np.cumsum(list(self.config.kinds.present.values()))[:-1]
        return np.searchsorted(edges, np.asarray(uniform), side="right").astype(np.int64)

    def height_at(self, x: ArrayLike, y: ArrayLike) -> Heights:
        """Height of the ground, m, of arrays of any one shape; 0 beyond the map.

        It is the surface that MuJoCo collides with: two triangles to a cell, which meet on the
        diagonal from its lowest x and y to its highest; equal but for MuJoCo's single precision,
        about 1e-7 of the height range.
        """
        column, u = self._cell(np.asarray(x, dtype=np.float64), self.heights.shape[1])
        row, v = self._cell(np.asarray(y, dtype=np.float64), self.heights.shape[0])
        low, high = self.heights[row, column], self.heights[row + 1, column + 1]
        x_first = self.heights[row, column + 1]
        y_first = self.heights[row + 1, column]
        across_x = low + u * (x_first - low) + v * (high - x_first)
        across_y = low + v * (y_first - low) + u * (high - y_first)
        return np.where(u >= v, across_x, across_y)

    def _cell(
        self, position: NDArray[np.float64], points: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Index of the cell along one axis, and the place within it from 0 to 1."""
        place = (position + self.config.tile_size / 2) / self.config.resolution
        place = np.clip(place, 0.0, points - 1)
        index = np.minimum(place.astype(np.int64), points - 2)
        return index, place - index


def _index(what: str, value: ArrayLike, count: int) -> NDArray[np.int64]:
    """Whole numbers below `count`; `count` itself, the end of a uniform draw, is the last."""
    values = np.asarray(value, dtype=np.float64)
    wrong = values[~((values >= 0) & (values <= count))]
    if wrong.size:
        raise UserError(f"{what} {wrong.flat[0]:g}: the map has 0 to {count - 1}")
    return np.minimum(values.astype(np.int64), count - 1)


@cache
def make_map(config: TerrainConfig) -> TerrainMap:
    """The heights of a whole map, without a model."""
    cells, kinds = config.tile_cells, tuple(config.kinds.present)
    heights = np.zeros((len(kinds) * cells + 1, config.levels * cells + 1))
    for level, difficulty in enumerate(np.linspace(0.0, 1.0, config.levels)):
        random = EpisodeRandom(episode_seed(config.seed, np.array([level])))
        for row, kind in enumerate(kinds):
            # Neighbours share their edge, which is 0 in both.
            at = np.s_[row * cells : (row + 1) * cells + 1, level * cells : (level + 1) * cells + 1]
            heights[at] = tile_heights(kind, float(difficulty), config, random)
    return TerrainMap(config, kinds, heights)


def add_terrain(spec: mujoco.MjSpec, config: TerrainConfig) -> TerrainMap:
    """Put a map into a model that is not compiled yet.

    The geoms are `terrain`, the height field, and `terrain_west`, `_east`, `_south` and `_north`, flat
    ground around it for `apron_width`. They collide as bit 1 of contype and conaffinity. The size
    of the scene that cameras and viewers go by (`stat.extent`, which scales the clipping planes)
    stays that of the robot.

    Raises:
        UserError: the model has a ground already (a plane or a height field; a box that serves as
            one is not recognised).
    """
    _refuse_other_ground(spec)
    _keep_extent(spec)
    terrain = make_map(config)
    _add_height_field(spec, terrain)
    _add_apron(spec, terrain)
    return terrain


def _refuse_other_ground(spec: mujoco.MjSpec) -> None:
    kinds = {mujoco.mjtGeom.mjGEOM_PLANE: "plane", mujoco.mjtGeom.mjGEOM_HFIELD: "height field"}
    for geom in spec.geoms:
        if geom.type in kinds:
            raise UserError(
                f"model {spec.modelname!r}: geom {geom.name!r} of body {geom.parent.name!r} is a "
                f"{kinds[geom.type]}, and terrain would lie partly below it: remove that geom"
            )


def _keep_extent(spec: mujoco.MjSpec) -> None:
    if np.isnan(spec.stat.extent):
        stat = spec.compile().stat
        spec.stat.extent = stat.extent
        if np.isnan(spec.stat.center).any():
            spec.stat.center = stat.center


def _middle_and_half(terrain: TerrainMap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of the whole map, (x, y), m."""
    size = terrain.config.tile_size
    count = np.array([terrain.config.levels, len(terrain.kinds)])
    return (count - 1) * size / 2, count * size / 2


def _add_height_field(spec: mujoco.MjSpec, terrain: TerrainMap) -> None:
    """MuJoCo scales the data to [0, 1], lowest to highest, so size and place give the metres back."""
    middle, half = _middle_and_half(terrain)
    lowest, heights = float(terrain.heights.min()), terrain.heights
    # A size of 0 is refused; on flat ground the data are all 0 and the size does not matter.
    size = max(float(np.ptp(heights)), 1e-3)
    rows, columns = heights.shape
    spec.add_hfield(
        name=NAME,
        nrow=rows,
        ncol=columns,
        size=[*half, size, BASE_THICKNESS],
        userdata=heights.ravel(),
    )
    _add_geom(spec, NAME, mujoco.mjtGeom.mjGEOM_HFIELD, [*middle, lowest], hfieldname=NAME)


def _add_apron(spec: mujoco.MjSpec, terrain: TerrainMap) -> None:
    (x, y), (half_x, half_y) = _middle_and_half(terrain)
    width, depth = terrain.config.apron_width / 2, BASE_THICKNESS / 2
    long_x = half_x + 2 * width
    for side, place, size in (
        ("west", (x - half_x - width, y), (width, half_y)),
        ("east", (x + half_x + width, y), (width, half_y)),
        ("south", (x, y - half_y - width), (long_x, width)),
        ("north", (x, y + half_y + width), (long_x, width)),
    ):
        box = mujoco.mjtGeom.mjGEOM_BOX
        _add_geom(spec, f"{NAME}_{side}", box, [*place, -depth], size=[*size, depth])


def _add_geom(
    spec: mujoco.MjSpec, name: str, kind: mujoco.mjtGeom, place: list[float], **rest: object
) -> None:
    """A geom of the world; what the model's default class may have set is set again."""
    spec.worldbody.add_geom(
        name=name,
        type=kind,
        pos=place,
        quat=[1.0, 0.0, 0.0, 0.0],
        friction=FRICTION,
        contype=1,
        conaffinity=1,
        condim=3,
        margin=0.0,
        gap=0.0,
        rgba=[0.55, 0.55, 0.5, 1.0],
        **rest,
    )
