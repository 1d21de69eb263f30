"""Shapes of ground, one square tile at a time: pure functions of kind, difficulty and random numbers.

Every tile has a flat platform in the middle to start on and a flat rim at height 0, so that any two
tiles meet without a step. Between them lies the room in which the ground differs. Most kinds are
profiles over `inward`, the distance from the rim (a robot that leaves the platform in any direction
meets the same ground); `rough` and `stepping_stones` vary over the plane.

| kind | what a robot that leaves the platform meets | grows with difficulty |
| --- | --- | --- |
| flat | nothing | nothing |
| rough | bumps, uniform in height, linear between points `bump_size` apart | `roughness` |
| slope_up, slope_down | four faces of a pyramid, platform at the bottom or on the top | `slope` |
| stairs_up, stairs_down | steps all around, platform at the bottom or on the top | `stair_riser` |
| gaps | square trenches around the platform, land between them | `gap_width` |
| stepping_stones | square stones with trenches between them | `stone_gap` |
| waves | whole sine waves around the platform | `wave_amplitude` |

Lengths are rounded to whole cells of `resolution`. A height field has no vertical face: **a riser or
the wall of a trench becomes a slope one cell wide**, taken from the tread or from the trench. At 0.05 m
a riser of 0.15 m stands at 72 degrees and one of 0.03 m at 31 degrees, a kerb that a foot may climb.
A finer resolution makes edges sharper, at more contact work.

Where numbers of the defaults come from (public training configurations, all for quadrupeds):
slope 0 to 0.4 rise over run: legged_gym and Isaac Lab; roughness 0.05 m: legged_gym; 0.01 m at the
least: Isaac Lab's Go2, whose most is 0.06; risers to 0.15 m: between mjlab's 0.1 and Isaac Lab's 0.23,
which was meant for larger robots; waves of 0.2 m: unitree_rl_mjlab, taken as crest to trough. Gaps,
stones, and all lengths along the ground are our own choice for a trunk of 0.4 m, feet of 22 mm radius
and steps of about 0.3 m.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from simreal.config import Config
from simreal.episode_random import EpisodeRandom
from simreal.errors import UserError, nearest

Heights = NDArray[np.float64]
Share = Annotated[float, Field(ge=0)]
Length = Annotated[float, Field(gt=0)]

MOST_POINTS = 20_000_000
"""Points of a whole map. Beyond it (80 MB in the model) a mistake of units is more likely."""


class Growth(Config):
    """A quantity that grows linearly from the easiest to the hardest level."""

    easy: float = Field(ge=0)
    hard: float = Field(ge=0)

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.easy > self.hard:
            raise ValueError(f"easy {self.easy:g} is above hard {self.hard:g}")
        return self

    def at(self, difficulty: float) -> float:
        """The value at a difficulty in [0, 1]."""
        return self.easy + (self.hard - self.easy) * difficulty


class TerrainShares(Config):
    """How often each kind is met, relative to the others; a kind of share 0 is not built."""

    flat: Share = 0
    rough: Share = 0
    slope_up: Share = 0
    slope_down: Share = 0
    stairs_up: Share = 0
    stairs_down: Share = 0
    gaps: Share = 0
    stepping_stones: Share = 0
    waves: Share = 0

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.present:
            raise ValueError("every kind of terrain has share 0")
        return self

    @property
    def present(self) -> dict[str, float]:
        """The kinds to build, in the order above, with shares that add up to 1."""
        shares = {kind: float(getattr(self, kind)) for kind in KINDS}
        return {kind: share / sum(shares.values()) for kind, share in shares.items() if share}


KINDS = tuple(TerrainShares.model_fields)


class TerrainConfig(Config):
    """A grid of tiles, level by kind, with defaults for a 12 kg quadruped (Unitree Go2).

    Attributes:
        kinds: share of each kind.
        levels: number of difficulties, from 0 to 1 in equal steps.
        tile_size: edge of a tile, m.
        platform_size: edge of the flat square in the middle at the least, m.
        rim_width: flat ground at height 0 along each edge of a tile, m.
        apron_width: flat ground around the whole map, m.
        resolution: edge of a cell of the height field, m.
        seed: of the bumps; the same seed gives the same ground, bit for bit.
        roughness: largest height of a bump and depth of a hollow, m.
        bump_size: distance between the points whose heights are drawn, m.
        slope: rise over run.
        stair_riser: height of a step, m.
        stair_tread: depth of a step, riser included, m.
        gap_width: of a trench at its top, m; at its floor two cells less.
        gap_spacing: land between trenches, m.
        gap_depth: of trenches, also between stones, m.
        stone_gap: width of the trench between two stones, m.
        stone_size: edge of a stone, m.
        wave_amplitude: half of the height from trough to crest, m.
        wave_length: from crest to crest, rounded so that whole waves fit, m.
    """

    kinds: TerrainShares = TerrainShares(
        flat=2, rough=4, slope_up=2, slope_down=2, stairs_up=3, stairs_down=3, gaps=1,
        stepping_stones=1, waves=2,
    )  # fmt: skip
    levels: int = Field(default=10, ge=2, le=100)
    tile_size: Length = 8.0
    platform_size: Length = 2.0
    rim_width: Length = 0.5
    apron_width: Length = 20.0
    resolution: Length = 0.05
    seed: int = Field(default=0, ge=0)
    roughness: Growth = Growth(easy=0.01, hard=0.05)
    bump_size: Length = 0.2
    slope: Growth = Growth(easy=0.0, hard=0.4)
    stair_riser: Growth = Growth(easy=0.03, hard=0.15)
    stair_tread: Length = 0.3
    gap_width: Growth = Growth(easy=0.1, hard=0.3)
    gap_spacing: Length = 0.8
    gap_depth: Length = 0.5
    stone_gap: Growth = Growth(easy=0.1, hard=0.25)
    stone_size: Length = 0.4
    wave_amplitude: Growth = Growth(easy=0.0, hard=0.1)
    wave_length: Length = 1.25

    @property
    def tile_cells(self) -> int:
        """Cells along the edge of a tile."""
        return self.cells(self.tile_size)

    @property
    def room_cells(self) -> int:
        """Cells between rim and platform."""
        return (self.tile_cells - self.cells(self.platform_size)) // 2 - self.cells(self.rim_width)

    def cells(self, length: float) -> int:
        """A length in whole cells, the nearest number."""
        return math.floor(length / self.resolution + 0.5)

    @model_validator(mode="after")
    def _tiles_fit_the_grid(self) -> Self:
        if not math.isclose(self.tile_cells * self.resolution, self.tile_size, rel_tol=1e-6):
            raise ValueError(
                f"tile_size {self.tile_size:g} m is not a whole number of cells of "
                f"{self.resolution:g} m: try {max(1, self.tile_cells) * self.resolution:g}"
            )
        points = self.levels * len(self.kinds.present) * self.tile_cells**2
        if points > MOST_POINTS:
            raise ValueError(
                f"a map of {points / 1e6:.0f} million points, at most {MOST_POINTS / 1e6:.0f}: "
                f"make resolution {self.resolution:g} m coarser, or levels fewer"
            )
        return self

    @model_validator(mode="after")
    def _shapes_fit_the_tiles(self) -> Self:
        room = self.room_cells
        for name, smallest, largest, least in self._shapes():
            if self.cells(smallest) < least:
                raise ValueError(
                    f"{name} {smallest:g} m needs {least} cells of the height field or more: "
                    f"resolution {self.resolution:g} m is at most {smallest / least:.3g} for it"
                )
            if self.cells(largest) > room:
                raise ValueError(
                    f"{name} {largest:g} m does not fit: {max(0, room) * self.resolution:g} m lie "
                    f"between platform_size and rim_width in a tile_size of {self.tile_size:g} m"
                )
        return self

    def _shapes(self) -> list[tuple[str, float, float, int]]:
        """Lengths that must fit the grid, of the kinds present: name, smallest, largest, least cells."""
        return [
            (name, smallest, largest, least)
            for kinds, name, smallest, largest, least in (
                ("rough", "bump_size", self.bump_size, self.bump_size, 1),
                ("slope_up slope_down", "a slope's length", self.resolution, self.resolution, 1),
                ("stairs_up stairs_down", "stair_tread", self.stair_tread, self.stair_tread, 2),
                ("gaps", "gap_spacing", self.gap_spacing, self.gap_spacing, 1),
                ("gaps", "gap_width", self.gap_width.easy, self.gap_width.hard, 2),
                ("stepping_stones", "stone_size", self.stone_size, self.stone_size, 1),
                ("stepping_stones", "stone_gap", self.stone_gap.easy, self.stone_gap.hard, 2),
                ("waves", "wave_length", self.wave_length, self.wave_length, 8),
            )
            if set(kinds.split()) & set(self.kinds.present)
        ]


@dataclass(frozen=True, eq=False)
class _Tile:
    """What a generator works on.

    Attributes:
        config: of the map.
        difficulty: in [0, 1].
        random: of one row, whose numbers a kind may use.
        inward: (n + 1, n + 1), cells from the rim, 0 on it, and no more than `room` on the platform.
        room: cells from rim to platform.
    """

    config: TerrainConfig
    difficulty: float
    random: EpisodeRandom
    inward: NDArray[np.int64]
    room: int


def tile_heights(kind: str, difficulty: float, config: TerrainConfig, random: EpisodeRandom) -> Heights:
    """The ground of one tile.

    Args:
        kind: one of `KINDS`.
        difficulty: in [0, 1]; the ground of a lower one is nowhere steeper, higher or wider.
        config: sizes and limits.
        random: of one row; only `rough` draws from it.

    Returns:
        (n + 1, n + 1) heights at the corners of n by n cells, m; rows along y, columns along x.

    Raises:
        UserError: no such kind, or a difficulty out of range.
    """
    if kind not in _GENERATORS:
        raise UserError(f"no terrain kind {kind!r}: {nearest(kind, KINDS, shown=len(KINDS))}")
    if not 0.0 <= difficulty <= 1.0:
        raise UserError(f"terrain difficulty {difficulty:g}: from 0 to 1")
    index = np.arange(config.tile_cells + 1)
    edge = np.minimum(index, config.tile_cells - index) - config.cells(config.rim_width)
    inward = np.clip(np.minimum(edge[:, None], edge), 0, config.room_cells)
    tile = _Tile(config, difficulty, random, inward, config.room_cells)
    return _GENERATORS[kind](tile)


def _flat(tile: _Tile) -> Heights:
    return np.zeros(tile.inward.shape)


def _rough(tile: _Tile) -> Heights:
    config, size = tile.config, tile.config.bump_size
    points = math.ceil(config.tile_size / size) + 2
    draws = tile.random.uniform("terrain rough", points * points)[0]
    bumps = config.roughness.at(tile.difficulty) * (2.0 * draws.reshape(points, points) - 1.0)
    place = np.linspace(0.0, config.tile_size / size, config.tile_cells + 1)
    heights = _between_rows(_between_rows(bumps, place).T, place).T
    # Down to nothing within one bump of the platform and of the rim, which are flat.
    beside = config.resolution / size * np.minimum(tile.inward, tile.room - tile.inward)
    taper: Heights = np.minimum(beside, 1.0)
    return heights * taper


def _between_rows(values: Heights, place: Heights) -> Heights:
    """Rows at real places, linear between the whole ones; no matrix product, whose bits may vary."""
    index = place.astype(np.int64)
    part = (place - index)[:, None]
    rows: Heights = values[index] * (1.0 - part) + values[index + 1] * part
    return rows


def _slope(tile: _Tile) -> Heights:
    length = tile.inward.astype(np.float64) * tile.config.resolution
    return length * tile.config.slope.at(tile.difficulty)


def _stairs(tile: _Tile) -> Heights:
    tread = tile.config.cells(tile.config.stair_tread)
    steps = np.minimum(-(-tile.inward // tread), tile.room // tread)
    heights: Heights = steps * tile.config.stair_riser.at(tile.difficulty)
    return heights


def _gaps(tile: _Tile) -> Heights:
    width = tile.config.cells(tile.config.gap_width.at(tile.difficulty))
    land = tile.config.cells(tile.config.gap_spacing)
    outward = tile.room - tile.inward
    count = (tile.room + land) // (width + land)
    inside = _within_trench(outward, width, land) & (outward < count * (width + land))
    return np.where(inside, -tile.config.gap_depth, 0.0)


def _stepping_stones(tile: _Tile) -> Heights:
    width = tile.config.cells(tile.config.stone_gap.at(tile.difficulty))
    stone = tile.config.cells(tile.config.stone_size)
    last = len(tile.inward) - 1
    platform_end = last - tile.config.cells(tile.config.rim_width) - tile.room
    inside = _within_trench(np.arange(last + 1) - platform_end, width, stone)
    between = (tile.inward > 0) & (tile.inward < tile.room)
    return np.where((inside[:, None] | inside) & between, -tile.config.gap_depth, 0.0)


def _within_trench(place: NDArray[np.int64], width: int, land: int) -> NDArray[np.bool_]:
    """Trenches from 0 on, land between them; their edges are land, so that walls lie inside."""
    phase = place % (width + land)
    inside: NDArray[np.bool_] = (phase > 0) & (phase < width)
    return inside


def _waves(tile: _Tile) -> Heights:
    waves = max(1, round(tile.room / tile.config.cells(tile.config.wave_length)))
    phase = tile.inward * (2.0 * math.pi * waves / tile.room)
    amplitude = tile.config.wave_amplitude.at(tile.difficulty)
    return np.where(tile.inward < tile.room, amplitude * np.sin(phase), 0.0)


_GENERATORS: dict[str, Callable[[_Tile], Heights]] = {
    "flat": _flat,
    "rough": _rough,
    "slope_up": lambda tile: -_slope(tile),
    "slope_down": _slope,
    "stairs_up": lambda tile: -_stairs(tile),
    "stairs_down": _stairs,
    "gaps": _gaps,
    "stepping_stones": _stepping_stones,
    "waves": _waves,
}
