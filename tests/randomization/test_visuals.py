"""Each visual parameter by what it does to a rendered picture."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError
from simreal.physics.picture import Renderer
from simreal.randomization.build import build_world
from simreal.randomization.parameters import PARAMETERS
from simreal.randomization.parameters.visuals import VISUALS
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import ParameterConfig
from simreal.randomization.world import World
from simreal.robots import Robot

WIDTH, HEIGHT = 96, 72
Images = NDArray[np.uint8]
Pixels = NDArray[np.float64]
MakeRobot = Callable[[str], Robot]
Photograph = Callable[..., Images]

STUDIO = """
<mujoco>
  <visual><headlight active="0"/><quality offsamples="0"/></visual>
  <asset>
    <texture name="sky" type="skybox" builtin="flat" rgb1="0 0 0" rgb2="0 0 0" width="8" height="48"/>
    <texture name="reddish" type="2d" builtin="flat" rgb1="1 .2 .2" width="8" height="8"/>
    <texture name="bluish" type="2d" builtin="flat" rgb1=".2 .2 1" width="8" height="8"/>
    <material name="paint" rgba=".8 .8 .8 1" specular=".5" shininess=".3"/>
    <material name="paper" texture="reddish" specular="0"/>
    <material name="mirror" rgba=".3 .3 .3 1" reflectance="0"/>
  </asset>
  <worldbody>
    <light name="lamp" pos="0 -1 3" dir="0 .3 -1" cutoff="80" ambient=".1 .1 .1" diffuse=".5 .5 .5"
           specular=".5 .5 .5"/>
    <light name="spot" pos=".8 0 2" dir="0 0 -1" cutoff="12" exponent="0" diffuse=".6 .6 .6"
           castshadow="false"/>
    <camera name="eye" pos="0 -2 1" xyaxes="1 0 0 0 .447 .894" fovy="45"/>
    <camera name="lens" pos="0 -2 1" xyaxes="1 0 0 0 .447 .894" focal=".012 .012" sensorsize=".012 .009"
            resolution="96 72"/>
    <camera name="tracker" pos="0 -2 1" mode="targetbody" target="arm"/>
    <geom name="table" type="plane" size="2 2 .1" material="mirror"/>
    <geom name="ball" type="sphere" size=".2" pos="-.3 0 .2" material="paint"/>
    <geom name="card" type="box" size=".15 .02 .15" pos="-.75 0 .15" material="paper"/>
    <geom name="post" type="box" size=".1 .1 .3" pos=".6 .2 .3" rgba=".2 .6 .2 1"/>
    <geom name="distractor_cube" type="box" size=".1 .1 .1" rgba="0 0 .8 1" contype="0" conaffinity="0"/>
    <site name="mark" pos="-.2 -.6 .1" size=".06" rgba=".1 .7 .7 1"/>
    <body name="arm" pos="0 .6 .5">
      <joint name="hinge" axis="0 1 0"/>
      <geom name="stick" type="capsule" fromto="0 0 0 .3 0 0" size=".04" rgba=".7 .7 .2 1"/>
    </body>
  </worldbody>
  <actuator><motor name="hinge" joint="hinge"/></actuator>
</mujoco>"""

Entry = tuple[str, float] | tuple[str, float, str]


def world_of(robot: Robot, entries: Sequence[Sequence[Entry]]) -> World:
    """One simulation for each list of entries: ``parameter[target]``, a value, and an operation."""
    world = build_world(robot, len(entries), {}, {}, threads=1)
    for row, row_entries in enumerate(entries):
        randomizer = Randomizer(dict(map(entry_of, row_entries)), world)
        randomizer.apply(np.array([row]), randomizer.space.low[None])
    return world


def entry_of(entry: Entry) -> tuple[str, ParameterConfig]:
    parameter, _, target = entry[0].partition("[")
    content: dict[str, Any] = {
        "parameter": parameter,
        "target": target.rstrip("]") or "*",
        "operation": entry[2] if len(entry) == 3 else None,
        "distribution": {"type": "constant", "value": entry[1]},
    }
    return entry[0].replace("[", " ").rstrip("]"), ParameterConfig.model_validate(content)


@pytest.fixture
def photograph(make_robot: MakeRobot) -> Photograph:
    """Takes a picture of each world that the lists of entries describe."""

    def take(*entries: Sequence[Entry], camera: str = "eye", model: str = STUDIO) -> Images:
        world = world_of(make_robot(model), entries)
        return pictures(world, camera)

    return take


def pictures(world: World, camera: str = "eye") -> Images:
    try:
        renderer = Renderer(world.physics)
    except UserError as error:
        pytest.skip(str(error))
    with renderer:
        rows = range(world.physics.count)
        return np.stack([renderer.render(row, camera, WIDTH, HEIGHT) for row in rows])


def brightness(images: Images) -> Pixels:
    values: Pixels = images.mean(axis=(1, 2, 3))
    return values


def share(images: Images, channel: int) -> Pixels:
    """The part of all light that is of one colour."""
    light: Pixels = images[..., channel].sum(axis=(1, 2)) / images.sum(axis=(1, 2, 3))
    return light


def blue_spot(image: Images) -> tuple[float, float, int]:
    """Centre, column and row, and number of the pixels that are clearly blue."""
    red, green, blue = np.moveaxis(image.astype(int), -1, 0)
    rows, columns = np.nonzero(blue > 2 * np.maximum(red, green) + 10)
    return float(columns.mean()), float(rows.mean()), rows.size


def test_a_brighter_lamp_brightens_the_picture(photograph: Photograph) -> None:
    half, whole, twice, only_spot = brightness(
        photograph(
            [("light_brightness[lamp]", 0.5)],
            [],
            [("light_brightness[lamp]", 2.0)],
            [("light_active[lamp]", 0.0)],
        )
    )
    assert 1.2 * half < whole < twice / 1.2
    assert 0.0 < only_spot < half


def test_a_drawn_number_of_lights_shines(make_robot: MakeRobot) -> None:
    """Each light is drawn by itself, so that their number varies, too."""
    count = 20
    world = build_world(make_robot(STUDIO), count, {}, {}, threads=1)
    choice = {"type": "choice", "values": [0, 1]}
    entry = ParameterConfig.model_validate({"parameter": "light_active", "distribution": choice})
    randomizer = Randomizer({"light_active": entry}, world)
    draws = randomizer.draw(EpisodeRandom(episode_seed(0, np.arange(count)))).values
    randomizer.apply(np.arange(count), draws)
    light = brightness(pictures(world))
    spot, lamp, both = (set(light[(draws == on).all(axis=1)]) for on in ([0, 1], [1, 0], [1, 1]))
    assert [len(spot), len(lamp), len(both)] == [1, 1, 1]
    assert max(spot) < max(lamp) < max(both)


@pytest.mark.parametrize("name", ["light_diffuse", "light_ambient", "light_specular"])
def test_a_redder_lamp_makes_a_redder_picture(photograph: Photograph, name: str) -> None:
    lamp = f"{name}[lamp.red]"
    redness = share(photograph([(lamp, 0.0)], [], [(lamp, 1.0)]), 0)
    assert redness[0] + 5e-4 < redness[1] < redness[2] - 5e-4


def test_a_lamp_that_moves_takes_its_light_along(photograph: Photograph) -> None:
    images = photograph(
        [("light_position[spot.x]", -0.8)], [], [("light_rotation[spot.y]", math.atan(0.8 / 2.0))]
    )
    left, right = images[..., : WIDTH // 2, :], images[..., WIDTH // 2 :, :]
    balance = brightness(right) - brightness(left)
    assert balance[1] > balance[0] + 2.0
    assert balance[1] > balance[2] + 2.0  # turned about y, it points to where the moved one stands


def test_without_shadows_nothing_gets_darker(photograph: Photograph) -> None:
    with_shadows, without = photograph([], [("light_shadow[lamp]", 0.0)]).astype(int)
    darker = with_shadows - without
    assert (darker < -8).any(axis=2).sum() > 20
    assert darker.max() <= 8


def test_a_geom_of_another_colour_is_seen_in_it(photograph: Photograph) -> None:
    images = photograph([], [("geom_colour[post.red]", 1.0)])
    changed = (images[0] != images[1]).any(axis=2)
    assert 50 < changed.sum() < 0.1 * changed.size
    assert (images[1][changed][:, 0] > images[0][changed][:, 0]).all()
    assert (images[1][changed][:, 1:] == images[0][changed][:, 1:]).mean() > 0.9


def test_a_red_material_is_redder_wherever_it_is(photograph: Photograph) -> None:
    paint = [("material_colour[paint.green]", 0.1), ("material_colour[paint.blue]", 0.1)]
    before, after = share(photograph([], paint), 0)
    assert after > before + 0.01


def test_a_geom_with_the_colour_of_its_material_is_left_to_the_material(make_robot: MakeRobot) -> None:
    """Scaling the grey that stands for no colour would put a grey in place of the material."""
    world = build_world(make_robot(STUDIO), 1, {}, {}, threads=1)
    names = PARAMETERS["geom_colour"].elements(world)
    assert "post.red" in names
    assert not [name for name in names if name.startswith(("ball", "card", "table"))]


def test_another_texture_dresses_a_material_anew(photograph: Photograph) -> None:
    redness = share(
        photograph(*([("material_texture[paper]", number)] for number in (0.0, 1.0, -1.0))), 0
    )
    reddish, bluish, bare = redness
    assert reddish > bare > bluish


def test_a_texture_that_is_repeated_more_often_has_more_edges(photograph: Photograph) -> None:
    chequered = STUDIO.replace(
        'name="reddish" type="2d" builtin="flat"', 'name="reddish" type="2d" builtin="checker"'
    )
    table = ("material_texture[mirror]", 0.0)
    often = [(f"material_texture_repeat[mirror.{axis}]", 8.0) for axis in ("along", "across")]
    once, many = photograph([table], [table, *often], model=chequered).astype(float)
    edges_once, edges_many = (np.abs(np.diff(each[..., 1], axis=1)).mean() for each in (once, many))
    assert edges_many > 1.2 * edges_once


def test_a_texture_that_the_model_lacks_is_refused(make_robot: MakeRobot) -> None:
    with pytest.raises(UserError, match=r"material_texture 2: .* has 2 textures"):
        world_of(make_robot(STUDIO), [[("material_texture", 2.0)]])


def test_a_mirror_shows_the_upper_world_below(photograph: Photograph) -> None:
    matt, mirror = photograph([], [("material_reflectance[mirror]", 0.8)])
    below = np.s_[HEIGHT // 2 :, : WIDTH // 4]
    red = share(np.stack((matt[below], mirror[below])), 0)
    assert red[1] > red[0] + 0.01


def test_highlights_grow_brighter_and_smaller(photograph: Photograph) -> None:
    plain, bright, small = photograph(
        [("material_specular[paint]", 0.0)],
        [("material_specular[paint]", 1.0)],
        [("material_specular[paint]", 1.0), ("material_shininess[paint]", 1.0)],
    ).astype(int)
    highlight, dot = [(image - plain).max(axis=2) > 5 for image in (bright, small)]
    assert highlight.sum() > 2 * dot.sum() > 0


def test_a_camera_that_moves_right_sees_the_world_move_left(photograph: Photograph) -> None:
    cube = [("distractor_position[distractor_cube.z]", 0.4)]
    images = photograph(cube, [*cube, ("camera_position[eye.x]", 0.2)])
    (before, _, _), (after, _, _) = map(blue_spot, images)
    distance = math.hypot(2.0, 0.6)
    focal = HEIGHT / 2 / math.tan(math.radians(45.0) / 2)
    assert before - after == pytest.approx(focal * 0.2 / distance, rel=0.15)


@pytest.mark.parametrize(("axis", "across", "up"), [("y", 1.0, 0.0), ("x", 0.0, 1.0)])
def test_a_camera_turns_about_its_own_axes(
    photograph: Photograph, axis: str, across: float, up: float
) -> None:
    """About its y, which is up, a camera turns left, and sees the world move right."""
    cube = [("distractor_position[distractor_cube.z]", 0.4)]
    images = photograph(cube, [*cube, (f"camera_rotation[eye.{axis}]", 0.1)])
    (column, row, _), (new_column, new_row, _) = map(blue_spot, images)
    shift = HEIGHT / 2 / math.tan(math.radians(45.0) / 2) * math.tan(0.1)
    assert new_column - column == pytest.approx(across * shift, abs=0.2 * shift)
    assert new_row - row == pytest.approx(up * shift, abs=0.2 * shift)


def test_a_camera_that_rolls_turns_the_picture_about_its_middle(photograph: Photograph) -> None:
    upright, upside_down = photograph([], [("camera_rotation[eye.z]", math.pi)], camera="eye")
    difference = np.abs(upright[::-1, ::-1].astype(int) - upside_down)
    assert np.median(difference) <= 2
    assert (difference > 20).mean() < 0.02


def test_a_camera_that_looks_at_a_body_cannot_be_turned_away(make_robot: MakeRobot) -> None:
    world = build_world(make_robot(STUDIO), 1, {}, {}, threads=1)
    names = PARAMETERS["camera_rotation"].elements(world)
    assert names == [f"{camera}.{axis}" for camera in ("eye", "lens") for axis in "xyz"]


@pytest.mark.parametrize("camera", ["eye", "lens"])
def test_a_wider_field_of_view_shrinks_what_is_seen(photograph: Photograph, camera: str) -> None:
    """Also of a camera that is described by its sensor and focal length."""
    cube = [("distractor_position[distractor_cube.z]", 0.4), ("distractor_size", 1.5)]
    wide = (f"camera_field_of_view[{camera}]", 1.4)
    images = photograph(cube, [*cube, wide], camera=camera)
    (_, _, before), (_, _, after) = map(blue_spot, images)
    angle = math.radians(45.0) if camera == "eye" else 2 * math.atan(0.009 / 2 / 0.012)
    smaller = (math.tan(angle / 2) / math.tan(1.4 * angle / 2)) ** 2
    assert after / before == pytest.approx(smaller, rel=0.15)


def test_a_field_of_view_can_be_said_in_radians(photograph: Photograph) -> None:
    images = photograph(
        [("camera_field_of_view[eye]", 60.0 / 45.0)],
        [("camera_field_of_view[eye]", math.radians(60.0), "absolute")],
        [("camera_field_of_view[eye]", math.radians(15.0), "add")],
    )
    assert (images[0] == images[1]).all()
    assert (images[0] == images[2]).all()


def test_a_distractor_moves_grows_and_hides(photograph: Photograph) -> None:
    place = [("distractor_position[distractor_cube.z]", 0.4)]
    right = [*place, ("distractor_position[distractor_cube.x]", 0.3)]
    images = photograph(place, right, [*place, ("distractor_size", 0.5)], [("distractor_shown", 0.0)])
    spots = [blue_spot(image) for image in images[:3]]
    assert spots[1][0] > spots[0][0] + 5
    assert spots[2][2] == pytest.approx(spots[0][2] / 4, rel=0.25)
    red, green, blue = np.moveaxis(images[3].astype(int), -1, 0)
    assert not (blue > 2 * np.maximum(red, green) + 10).any()


def test_a_distractor_touches_nothing(make_robot: MakeRobot) -> None:
    """The stick swings through it as if it were not there."""
    where = [
        ("distractor_position[distractor_cube.y]", 0.6),
        ("distractor_position[distractor_cube.z]", 0.4),
    ]
    world = world_of(make_robot(STUDIO), [[], [*where, ("distractor_size", 3.0)]])
    for _ in range(300):
        world.physics.step(np.zeros((2, 1)))
    assert abs(world.physics.joint_position[0, 0]) > 0.5
    assert (world.physics.joint_position[0] == world.physics.joint_position[1]).all()


def test_a_site_of_another_colour_is_seen_in_it(photograph: Photograph) -> None:
    before, after = share(photograph([], [("site_colour[mark.red]", 1.0)]), 0)
    assert after > before


def everything(world: World) -> Randomizer:
    """All visual parameters in the ranges of the literature, or near them."""
    around = {"scale": (0.7, 1.3), "add": (-0.05, 0.05), "absolute": (0.0, 0.5)}
    entries = {
        parameter.name: {"type": "uniform", "low": low, "high": high}
        for parameter in VISUALS
        for low, high in [around[parameter.operation]]
    }
    switches = {"type": "choice", "values": [0, 1]}
    entries |= dict.fromkeys(("light_active", "light_shadow", "distractor_shown"), switches)
    entries["material_texture"] = {"type": "choice", "values": [-1, 0, 1]}
    entries["image_noise"] |= {"high": 10.0}
    entries["image_jpeg_quality"] = {"type": "uniform", "low": 30, "high": 95}
    specification = {
        name: ParameterConfig.model_validate({"distribution": entry}) for name, entry in entries.items()
    }
    return Randomizer(specification, world)


def test_the_same_seed_gives_the_same_pictures_at_any_place_in_any_batch(make_robot: MakeRobot) -> None:
    robot, seeds, step = make_robot(STUDIO), episode_seed(3, np.arange(6)), np.arange(1, 7)
    taken = []
    for rows in (np.arange(6), np.array([4, 1])):
        world = build_world(robot, len(rows), {}, {}, threads=1)
        randomizer, random = everything(world), EpisodeRandom(seeds[rows])
        randomizer.apply(np.arange(len(rows)), randomizer.draw(random).values)
        taken.append(world.camera.apply(pictures(world), random, step[rows]))
    assert (taken[0][[4, 1]] == taken[1]).all()
    assert len({image.tobytes() for image in taken[0]}) == 6


def test_a_simulation_takes_the_looks_of_another_over(make_robot: MakeRobot) -> None:
    robot, random = make_robot(STUDIO), EpisodeRandom(episode_seed(5, np.arange(3)))
    staging, world = (build_world(robot, count, {}, {}, threads=1) for count in (3, 2))
    randomizer = everything(staging)
    randomizer.apply(np.arange(3), randomizer.draw(random).values)
    world.take(np.array([1]), staging, np.array([2]))
    ready, taken = (
        each.camera.apply(pictures(each), random_of, 1)
        for each, random_of in ((staging, random), (world, EpisodeRandom(random.seeds[[0, 2]])))
    )
    assert (taken[1] == ready[2]).all()
    assert (taken[0] != ready[0]).any()


def test_a_new_draw_leaves_no_trace_of_the_last(make_robot: MakeRobot) -> None:
    fresh, used = (build_world(make_robot(STUDIO), 1, {}, {}, threads=1) for _ in range(2))
    for world, seeds in ((fresh, [7]), (used, [2, 3, 7])):
        randomizer = everything(world)
        for seed in seeds:
            random = EpisodeRandom(episode_seed(seed, np.arange(1)))
            randomizer.apply(np.arange(1), randomizer.draw(random).values)
    assert (pictures(fresh) == pictures(used)).all()


@pytest.mark.parametrize(("operation", "nothing"), [("scale", 1.0), ("add", 0.0)])
def test_neutral_values_change_nothing(make_robot: MakeRobot, operation: str, nothing: float) -> None:
    entries: list[Entry] = [(parameter.name, nothing, operation) for parameter in VISUALS]
    robot = make_robot(STUDIO)
    images = pictures(world_of(robot, [[], entries]))
    plain = build_world(robot, 1, {}, {}, threads=1)
    assert not [
        field for each in VISUALS for field in each.fields if field in plain.physics.expanded_fields
    ]
    assert (images[0] == images[1]).all()
    assert (images[0] == pictures(plain)[0]).all()


def test_a_robot_without_materials_says_so(make_world: Callable[..., World]) -> None:
    with pytest.raises(UserError, match="robot qube has nothing that material_colour acts on"):
        Randomizer(dict([entry_of(("material_colour", 0.5))]), make_world(1))
