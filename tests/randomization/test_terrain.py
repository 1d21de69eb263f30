import math

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mujoco.batch import Batch
from numpy.typing import NDArray

from simreal.config import parse
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError
from simreal.randomization.terrain import TerrainMap, add_terrain, make_map
from simreal.randomization.terrain_tiles import (
    KINDS,
    Growth,
    TerrainConfig,
    TerrainShares,
    tile_heights,
)

FOOT_RADIUS = 0.022
ALL_KINDS = TerrainShares(**dict.fromkeys(KINDS, 1.0))
SMALL = TerrainConfig(kinds=ALL_KINDS, levels=3)


class Ground:
    """A compiled map with one body above it, to be dropped anywhere."""

    def __init__(self, config: TerrainConfig, geom: str = "", model: str = "") -> None:
        body = f'<body name="dropped"><freejoint/><geom {geom}/></body>' if geom else ""
        text = f"<mujoco>{model}<worldbody>{body}</worldbody></mujoco>"
        spec = mujoco.MjSpec.from_string(text)
        spec.option.timestep = 0.002
        spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        self.map = add_terrain(spec, config)
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        mujoco.mj_forward(self.model, self.data)

    def drop(self, x: float, y: float, above: float, duration: float) -> NDArray[np.float64]:
        """Let the body go at rest above a point; its place at the end, relative to that point."""
        foot = np.array([x, y, float(self.map.height_at(x, y))])
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:3] = foot + np.array([0.0, 0.0, above])
        while self.data.time < duration:
            mujoco.mj_step(self.model, self.data)
        return self.data.qpos[:3] - foot

    def ray(self, x: float, y: float) -> float:
        """Height of what a ray from far above meets."""
        origin, down = np.array([x, y, 20.0]), np.array([0.0, 0.0, -1.0])
        geom = np.zeros(1, dtype=np.int32)
        distance = mujoco.mj_ray(self.model, self.data, origin, down, None, 1, -1, geom)
        assert distance >= 0
        return 20.0 - distance


@pytest.fixture(scope="module")
def ground() -> Ground:
    return Ground(SMALL)


@pytest.fixture(scope="module")
def ball_ground() -> Ground:
    return Ground(SMALL, f'size="{FOOT_RADIUS}" mass="0.3"')


def level_random(seed: int = 0) -> EpisodeRandom:
    return EpisodeRandom(episode_seed(seed, np.arange(1)))


def steepest(heights: NDArray[np.float64], resolution: float) -> float:
    along_x, along_y = np.diff(heights, axis=1), np.diff(heights, axis=0)
    return max(np.abs(along_x).max(), np.abs(along_y).max()) / resolution


def along_x(terrain: TerrainMap, kind: str, level: int) -> tuple[NDArray[np.float64], ...]:
    """Heights from the middle of a platform to the tile's edge, in millimetre steps."""
    x, y, _ = terrain.start(level, terrain.kinds.index(kind))
    distance = np.arange(0.0, terrain.config.tile_size / 2, 0.001)
    return distance, terrain.height_at(x + distance, np.full_like(distance, y))


# Where the ground is.


@settings(max_examples=300)
@given(x=st.floats(-6, 22), y=st.floats(-6, 70))
def test_rays_meet_the_ground_where_the_map_says(ground: Ground, x: float, y: float) -> None:
    # Off the lines between triangles, through which a ray may slip.
    x, y = x + 1e-4 * math.pi, y + 1e-4 * math.e
    # The wall of a trench falls 10 m per metre, so that single precision shows in the place.
    assert ground.ray(x, y) == pytest.approx(float(ground.map.height_at(x, y)), abs=2e-5)


def test_levels_lie_along_x_and_kinds_along_y(ground: Ground) -> None:
    rise = 8 * SMALL.stair_riser.hard
    kind = ground.map.kinds.index("stairs_down")
    x, y, z = ground.map.start(2, kind)
    assert (x, y, z) == pytest.approx((2 * 8.0, kind * 8.0, rise))
    assert ground.ray(x, y) == pytest.approx(rise, abs=1e-5)
    assert ground.ray(x, y - 8.0) == pytest.approx(-rise, abs=1e-5), "stairs_up comes before"
    easier = 8 * (SMALL.stair_riser.easy + SMALL.stair_riser.hard) / 2
    assert ground.ray(x - 8.0, y) == pytest.approx(easier, abs=1e-5)


def test_bumps_are_not_mirrored_in_the_model(ground: Ground) -> None:
    x, y, _ = ground.map.start(2, ground.map.kinds.index("rough"))
    offsets = np.random.default_rng(0).uniform(-3, 3, (100, 2))
    met = np.array([ground.ray(x + dx, y + dy) for dx, dy in offsets])
    said = ground.map.height_at(x + offsets[:, 0], y + offsets[:, 1])
    assert np.abs(met - said).max() < 1e-5
    for mirrored in (offsets * (-1, 1), offsets * (1, -1), offsets[:, ::-1]):
        other = ground.map.height_at(x + mirrored[:, 0], y + mirrored[:, 1])
        assert np.abs(met - other).max() > 0.01


def test_a_body_collides_with_the_triangles_of_the_map(ball_ground: Ground) -> None:
    # A bump's surface between its points, where the other diagonal would lie elsewhere.
    terrain = ball_ground.map
    x, y, _ = terrain.start(2, terrain.kinds.index("rough"))
    rng, data = np.random.default_rng(1), ball_ground.data
    for dx, dy in rng.uniform(1.2, 3.2, (40, 2)):
        place = np.array([x + dx, y + dy])
        slope = [
            (terrain.height_at(*(place + e)) - terrain.height_at(*(place - e))) / 2e-6
            for e in np.eye(2) * 1e-6
        ]
        normal = np.array([-slope[0], -slope[1], 1.0]) / math.hypot(*slope, 1.0)
        surface = np.array([*place, float(terrain.height_at(*place))])
        data.qpos[:3] = surface + (FOOT_RADIUS - 5e-4) * normal
        mujoco.mj_fwdPosition(ball_ground.model, data)
        assert data.contact.dist.min() <= -4.9e-4
    data.qpos[2] += 1.0
    mujoco.mj_fwdPosition(ball_ground.model, data)
    assert data.ncon == 0


def test_stairs_have_the_risers_asked_for(ground: Ground) -> None:
    x, y, _ = ground.map.start(2, ground.map.kinds.index("stairs_down"))
    # In the middle of each tread: the platform ends 1.1 m out, 8 treads of 0.3 m end at the rim.
    treads = [ground.ray(x + 3.5 - 0.3 * step + 0.15 - 0.025, y + 0.003) for step in range(9)]
    assert np.diff(treads) == pytest.approx(np.full(8, SMALL.stair_riser.hard), abs=1e-5)


def test_a_riser_is_one_cell_wide_and_the_tread_flat(ground: Ground) -> None:
    _, heights = along_x(ground.map, "stairs_up", 2)
    steps = np.diff(heights)
    rising = np.abs(steps) > 1e-9
    slope = SMALL.stair_riser.hard / SMALL.resolution
    assert steps[rising].max() == pytest.approx(slope * 0.001)
    assert rising.sum() * 0.001 == pytest.approx(8 * SMALL.resolution, rel=0.02)


def test_the_map_is_flat_ground_beyond_its_edge(ball_ground: Ground) -> None:
    assert ball_ground.map.height_at(-10.0, -10.0) == 0.0
    for x, y in ((-10.0, 0.0), (30.0, 0.0), (0.0, -10.0), (-4.0, 0.013), (30.0, 80.0)):
        moved = ball_ground.drop(x, y, FOOT_RADIUS + 0.01, 0.5)
        assert moved[2] == pytest.approx(FOOT_RADIUS, abs=1e-3), (x, y)


# What moves on it.


@pytest.mark.parametrize("slope", [0.2, 0.4])
@pytest.mark.parametrize("direction", [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_a_ball_rolls_down_each_face_as_on_a_plane(slope: float, direction: tuple[int, int]) -> None:
    radius, angle = 0.1, math.atan(slope)
    config = TerrainConfig(kinds=TerrainShares(slope_down=1), levels=2, slope=Growth(easy=0, hard=slope))
    ground = Ground(config, f'size="{radius}" mass="1"')
    x, y, _ = ground.map.start(1, 0)
    place = (x + 1.4 * direction[0], y + 1.4 * direction[1])
    moved = ground.drop(*place, radius / math.cos(angle), 0.8)
    down_hill = moved[:2] @ direction
    length = down_hill / math.cos(angle)
    acceleration = 2 * length / ground.data.time**2
    # Without slipping 2/7 of the pull go into the spin. The prisms of the height field brake a little.
    expected = 5 / 7 * 9.81 * math.sin(angle)
    assert 0.95 * expected < acceleration < 1.01 * expected
    aside = abs(moved[:2] @ (direction[1], direction[0]))
    assert aside < 0.1 * length
    assert moved[2] == pytest.approx(radius / math.cos(angle) - slope * down_hill, abs=5e-3)


def test_on_flat_ground_a_ball_stays(ball_ground: Ground) -> None:
    moved = ball_ground.drop(0.3, -0.4, FOOT_RADIUS, 1.0)
    assert moved == pytest.approx((0.0, 0.0, FOOT_RADIUS), abs=1e-3)


@pytest.mark.parametrize("kind", ["stairs_up", "stairs_down", "stepping_stones", "gaps"])
def test_a_box_stands_still_on_the_platform(kind: str) -> None:
    ground = Ground(SMALL, 'type="box" size="0.2 0.1 0.05" mass="12"')
    x, y, _ = ground.map.start(2, ground.map.kinds.index(kind))
    moved = ground.drop(x, y, 0.05, 1.0)
    assert moved == pytest.approx((0.0, 0.0, 0.05), abs=2e-3)
    assert np.abs(ground.data.qvel).max() < 1e-3


@pytest.mark.parametrize("kind", ["gaps", "stepping_stones"])
def test_a_foot_falls_into_a_gap_of_any_level(kind: str, ball_ground: Ground) -> None:
    terrain = ball_ground.map
    for level in range(3):
        x, y, _ = terrain.start(level, terrain.kinds.index(kind))
        distance, heights = along_x(terrain, kind, level)
        first = distance[np.argmax(heights < -SMALL.gap_depth + 0.01)] + 0.001
        assert 1.0 < first < 1.1, "a gap begins where the platform ends"
        bottom = float(terrain.height_at(x + first, y))
        fallen = ball_ground.drop(x + first, y, 0.1 - bottom, 1.0)
        assert bottom + fallen[2] < -0.25, "below half of the trench"


def test_episodes_start_on_their_own_tiles_of_one_model() -> None:
    ground = Ground(SMALL, 'type="box" size="0.2 0.1 0.05" mass="12"')
    level, kind = (a.ravel() for a in np.meshgrid(np.arange(3), np.arange(len(KINDS))))
    start = ground.map.start(level, kind)
    batch = Batch(ground.model, len(level), 1)
    batch.qpos[:, :3] = start + np.array([0.0, 0.0, 0.06])
    for _ in range(300):
        batch.step()
    assert np.abs(batch.qpos[:, :3] - start - np.array([0.0, 0.0, 0.05])).max() < 3e-3


@pytest.mark.parametrize("bits", ['contype="1" conaffinity="0"', 'contype="0" conaffinity="1"'])
def test_the_models_own_default_class_does_not_switch_the_ground_off(bits: str) -> None:
    absent = '<default><geom contype="0" conaffinity="0" friction="0 0 0"/></default>'
    ground = Ground(SMALL, f'size="0.1" mass="1" {bits}', absent)
    assert ground.drop(0.0, 0.0, 0.1, 0.5)[2] == pytest.approx(0.1, abs=2e-3)


# How it grows and repeats.


def difficulty_measure(kind: str, heights: NDArray[np.float64]) -> float:
    """A number that a harder ground of this kind has more of."""
    if kind in ("gaps", "stepping_stones"):
        # Along x; most rows do not lie within a trench, and most trenches are not cut short.
        ends = np.diff((heights < 0).astype(int), axis=1)
        return float(np.median(np.nonzero(ends < 0)[1] - np.nonzero(ends > 0)[1]))
    return steepest(heights, SMALL.resolution)


@settings(max_examples=100)
@given(
    kind=st.sampled_from([kind for kind in KINDS if kind != "flat"]),
    pair=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    seed=st.integers(0, 99),
)
def test_a_harder_tile_is_nowhere_easier(kind: str, pair: tuple[float, float], seed: int) -> None:
    easy, hard = (tile_heights(kind, d, SMALL, level_random(seed)) for d in sorted(pair))
    assert difficulty_measure(kind, easy) <= difficulty_measure(kind, hard) + 1e-12
    easiest, hardest = (tile_heights(kind, d, SMALL, level_random(seed)) for d in (0.0, 1.0))
    assert difficulty_measure(kind, hardest) > 1.9 * difficulty_measure(kind, easiest)


@pytest.mark.parametrize("kind", ["rough", "slope_up", "slope_down", "stairs_up", "waves"])
def test_each_level_of_a_map_is_rougher_than_the_last(kind: str) -> None:
    config = TerrainConfig(kinds=TerrainShares(**{kind: 1}))
    terrain = make_map(config)
    tiles = np.split(terrain.heights[:, :-1], config.levels, axis=1)
    assert (np.diff([tile.std() for tile in tiles]) > 0).all()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("slope_up", 0.4), ("slope_down", 0.4), ("stairs_up", 3.0), ("waves", 0.1 * 2 * np.pi / 1.25)],
)
def test_the_hardest_level_reaches_its_limit(kind: str, expected: float) -> None:
    heights = tile_heights(kind, 1.0, SMALL, level_random())
    assert steepest(heights, SMALL.resolution) == pytest.approx(expected, rel=0.01)


def test_bumps_fill_their_limits_and_keep_them() -> None:
    heights = tile_heights("rough", 1.0, SMALL, level_random())
    assert 0.9 * 0.05 < heights.max() <= 0.05
    assert -0.05 <= heights.min() < -0.9 * 0.05


@settings(max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    difficulty=st.floats(0, 1),
    cells=st.integers(120, 200),
    platform=st.floats(0.2, 2.0),
    rim=st.floats(0.05, 0.6),
)
def test_every_tile_has_a_flat_platform_and_meets_its_neighbours_at_zero(
    kind: str, difficulty: float, cells: int, platform: float, rim: float
) -> None:
    config = TerrainConfig(
        kinds=TerrainShares(**{kind: 1}), tile_size=cells * 0.05, platform_size=platform, rim_width=rim
    )
    heights = tile_heights(kind, difficulty, config, level_random())
    middle = (np.arange(cells + 1) - cells / 2) * 0.05
    on_platform = np.abs(middle) <= platform / 2 - 0.05
    assert np.ptp(heights[np.ix_(on_platform, on_platform)]) == 0 if on_platform.any() else True
    rim_cells = round(rim / 0.05 - 0.5)
    for turned in range(4):
        assert (np.rot90(heights, turned)[: rim_cells + 1] == 0).all()


def test_the_same_seed_gives_the_same_ground_bit_for_bit() -> None:
    again = make_map(SMALL).heights
    assert make_map(SMALL).heights.tobytes() == again.tobytes()
    other = make_map(SMALL.model_copy(update={"seed": 1})).heights
    rough = slice(SMALL.tile_cells, 2 * SMALL.tile_cells)
    assert (other != again)[rough].any()
    assert (other == again)[2 * SMALL.tile_cells :].all(), "only bumps are drawn"


def test_levels_of_one_map_have_other_bumps() -> None:
    rough = make_map(SMALL).heights[SMALL.tile_cells : 2 * SMALL.tile_cells]
    first, second = (
        rough[:, : SMALL.tile_cells].ravel(),
        rough[:, SMALL.tile_cells : -1][:, :160].ravel(),
    )
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.2


# How it is chosen.


def test_a_level_drawn_uniformly_is_any_level_equally_often() -> None:
    terrain = make_map(SMALL)
    level = 3 * np.linspace(0, 1, 3000, endpoint=False)
    places = terrain.start(level, np.zeros(3000))[:, 0]
    assert [(places == 8.0 * index).sum() for index in range(3)] == [1000] * 3
    assert terrain.start(3.0, 0)[0] == 16.0


def test_kinds_are_picked_by_their_shares() -> None:
    terrain = make_map(TerrainConfig(kinds=TerrainShares(rough=1, waves=3), levels=2))
    picked = terrain.pick_kind(np.linspace(0, 1, 1000, endpoint=False))
    assert terrain.kinds == ("rough", "waves")
    assert np.bincount(picked).tolist() == [250, 750]


@pytest.mark.parametrize(("level", "kind"), [(-1, 0), (3.5, 0), (0, -0.5), (0, 10), (math.nan, 0)])
def test_a_tile_that_the_map_does_not_have_is_refused(level: float, kind: float) -> None:
    with pytest.raises(UserError, match=r"the map has 0 to"):
        make_map(SMALL).start([0, level], [0, kind])


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(UserError, match="'waves'"):
        tile_heights("wave", 0.5, SMALL, level_random())
    with pytest.raises(UserError, match=r"kinds.*did you mean 'gaps'"):
        parse(TerrainConfig, {"kinds": {"gap": 1}})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"kinds": {"flat": 0}}, "every kind of terrain has share 0"),
        ({"tile_size": 8.02}, "try 8"),
        ({"resolution": 0.001}, "million points"),
        ({"resolution": 0.1}, "gap_width 0.1 m needs 2 cells.*at most 0.05"),
        ({"platform_size": 6.9}, "bump_size 0.2 m does not fit: 0.05 m lie"),
        ({"platform_size": 7.5}, "0 m lie"),
        ({"slope": {"easy": 0.5, "hard": 0.4}}, "slope: easy 0.5 is above hard 0.4"),
        ({"levels": 1}, "levels"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(data: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse(TerrainConfig, data)


def test_a_coarse_grid_is_fine_for_ground_without_edges() -> None:
    config = parse(TerrainConfig, {"resolution": 0.1, "kinds": {"rough": 1, "slope_up": 1}})
    assert make_map(config).heights.shape == (161, 801)


# The model it is put into.


@pytest.mark.parametrize("kind", ['plane" size="5 5 1', 'hfield" hfield="h'])
def test_a_model_with_ground_of_its_own_is_refused(kind: str) -> None:
    text = f"""<mujoco model="dog"><asset><hfield name="h" nrow="2" ncol="2" size="1 1 1 1"/></asset>
        <worldbody><geom name="floor" type="{kind}"/></worldbody></mujoco>"""
    with pytest.raises(UserError, match="'dog': geom 'floor' of body 'world' is a"):
        add_terrain(mujoco.MjSpec.from_string(text), SMALL)


def test_terrain_is_added_only_once() -> None:
    spec = mujoco.MjSpec()
    add_terrain(spec, SMALL)
    with pytest.raises(UserError, match="geom 'terrain'"):
        add_terrain(spec, SMALL)


def test_cameras_keep_their_clipping_planes() -> None:
    text = (
        '<mujoco><worldbody><body pos="0 0 1"><freejoint/><geom size="0.2"/></body></worldbody></mujoco>'
    )
    alone = mujoco.MjSpec.from_string(text).compile()
    spec = mujoco.MjSpec.from_string(text)
    add_terrain(spec, SMALL)
    model = spec.compile()
    assert model.stat.extent == alone.stat.extent
    assert model.stat.center == pytest.approx(alone.stat.center)


def test_flat_ground_alone_is_a_height_field_too() -> None:
    config = TerrainConfig(kinds=TerrainShares(flat=1), levels=2)
    ground = Ground(config, 'size="0.1" mass="1"')
    assert ground.drop(8.0, 1.0, 0.11, 0.5)[2] == pytest.approx(0.1, abs=1e-3)
