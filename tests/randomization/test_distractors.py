from collections.abc import Callable

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from simreal.errors import UserError
from simreal.physics.picture import Renderer
from simreal.randomization.build import build_world
from simreal.randomization.distractors import add_backdrop, add_distractors
from simreal.randomization.parameters import PARAMETERS
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import ParameterConfig
from simreal.randomization.world import World
from simreal.robots import Robot

WIDTH, HEIGHT = 64, 48
MakeRobot = Callable[[str], Robot]

ROOM = """
<mujoco>
  <default><geom contype="1" conaffinity="1" rgba="1 0 0 0.3"/></default>
  <worldbody>
    <light pos="0 -1 2" dir="0 .5 -1" castshadow="false"/>
    <camera name="eye" pos="0 -1.5 .4" xyaxes="1 0 0 0 0 1"/>
    <body name="ball" pos="0 0 .4">
      <joint name="fall" type="slide" axis="0 0 1"/>
      <geom name="ball" type="sphere" size=".2" mass="1" rgba="1 1 1 1"/>
    </body>
  </worldbody>
  <actuator><motor name="fall" joint="fall"/></actuator>
</mujoco>"""


def edited(edit: Callable[[mujoco.MjSpec], None]) -> str:
    spec = mujoco.MjSpec.from_string(ROOM)
    edit(spec)
    spec.compile()
    text: str = spec.to_xml()
    return text


def with_distractors(count: int) -> str:
    return edited(lambda spec: add_distractors(spec, count, (-1, -0.5, 0.0), (1, 1, 2.0), 0.1))


def with_backdrop(spec: mujoco.MjSpec) -> None:
    add_backdrop(spec, 4.0)


def give(world: World, name: str, target: str, values: list[float]) -> None:
    """Give each simulation a value of one parameter, the same for all parts of the target."""
    entry = {"target": target, "distribution": {"type": "uniform", "low": 0.0, "high": 1.0}}
    randomizer = Randomizer({name: ParameterConfig.model_validate(entry)}, world)
    columns = len(randomizer.columns)
    randomizer.apply(np.arange(len(values)), np.repeat(np.array(values)[:, None], columns, axis=1))


def pictures(world: World) -> NDArray[np.int64]:
    try:
        renderer = Renderer(world.physics)
    except UserError as error:
        pytest.skip(str(error))
    with renderer:
        images = [renderer.render(row, "eye", WIDTH, HEIGHT) for row in range(world.physics.count)]
        return np.stack(images).astype(np.int64)


@given(
    st.integers(0, 30),
    st.tuples(*[st.floats(-2, 2)] * 3),
    st.tuples(*[st.floats(0.01, 2)] * 3),
    st.floats(0.01, 0.2),
)
def test_they_stand_in_their_box_apart_from_each_other(
    count: int, lower: tuple[float, ...], extent: tuple[float, ...], size: float
) -> None:
    spec = mujoco.MjSpec.from_string(ROOM)
    add_distractors(spec, count, lower, np.add(lower, extent).tolist(), size)
    model = spec.compile()
    rows = [model.geom(f"distractor{i}").id for i in range(count)]
    places = model.geom_pos[rows]
    assert model.ngeom == count + 1
    assert (places >= np.array(lower) - 1e-9).all()
    assert (places <= np.add(lower, extent) + 1e-9).all()
    shares = (places - lower) / extent
    distances = np.linalg.norm(shares[:, None] - shares, axis=2) + 10.0 * np.eye(count)
    assert count < 2 or distances.min() > 0.4 * count ** (-1 / 3)
    assert (model.geom_rbound[rows] < 2.0 * size).all()


def test_a_ball_falls_through_them(make_robot: MakeRobot) -> None:
    """Also where the model's default is that geoms collide."""
    texts = (ROOM, with_distractors(20), edited(with_backdrop))
    heights = []
    for text in texts:
        physics = build_world(make_robot(text), 1, {}, {}, threads=1).physics
        for _ in range(400):
            physics.step(np.zeros((1, 1)))
        heights.append(float(physics.joint_position[0, 0]))
    assert heights[0] == pytest.approx(-0.5 * 9.81 * 0.8**2, rel=0.01)
    assert heights[1] == heights[2] == heights[0]


def test_the_more_are_shown_the_more_of_the_picture_they_fill(make_robot: MakeRobot) -> None:
    world = build_world(make_robot(with_distractors(12)), 4, {}, {}, threads=1)
    distribution = {"type": "choice", "values": [0, 1]}
    entry = ParameterConfig.model_validate({"distribution": distribution})
    randomizer = Randomizer({"distractor_shown": entry}, world)
    shown = np.array([[number < some for number in range(12)] for some in (0, 4, 8, 12)], dtype=float)
    randomizer.apply(np.arange(4), shown)
    filled = (pictures(world).sum(axis=3) > 0).sum(axis=(1, 2))
    assert (np.diff(filled) > 20).all()


def test_each_simulation_has_a_background_of_its_own(make_robot: MakeRobot) -> None:
    world = build_world(make_robot(edited(with_backdrop)), 3, {}, {}, threads=1)
    give(world, "geom_colour", "backdrop.red", [0.0, 0.4, 1.0])
    red, blue = (pictures(world)[:, :8, :, channel].mean(axis=(1, 2)) for channel in (0, 2))
    assert (np.diff(red) > 10).all()
    assert blue == pytest.approx([blue[0]] * 3, abs=2)
    assert blue[0] > 10


def test_the_backdrop_is_all_round(make_robot: MakeRobot) -> None:
    """Every direction ends at its inner side."""

    def edit(spec: mujoco.MjSpec) -> None:
        add_backdrop(spec, 4.0)
        for axis, up in enumerate(("0 0 1", "0 0 1", "0 1 0")):
            for sign in (-1.0, 1.0):
                back = np.zeros(3)
                back[axis] = -sign
                right = np.cross(np.array(up.split(), dtype=float), back)
                camera = spec.worldbody.add_camera(name=f"{'xyz'[axis]}{sign:+.0f}", pos=[0, 0, -3])
                camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_XYAXES
                camera.alt.xyaxes = [*right, *map(float, up.split())]

    world = build_world(make_robot(edited(edit)), 1, {}, {}, threads=1)
    try:
        renderer = Renderer(world.physics)
    except UserError as error:
        pytest.skip(str(error))
    with renderer:
        for name in ("x-1", "x+1", "y-1", "y+1", "z-1", "z+1"):
            assert (renderer.render(0, name, 32, 32).max(axis=2) > 0).all(), name


@pytest.mark.parametrize(("away", "shut_out"), [(1.0, False), (6.0, True)])
def test_a_lamp_within_the_backdrop_shines_as_without(
    make_robot: MakeRobot, away: float, shut_out: bool
) -> None:
    def edit(spec: mujoco.MjSpec) -> None:
        spec.lights[0].pos, spec.lights[0].castshadow = [0.0, -away, away], True
        add_backdrop(spec, 4.0)

    world = build_world(make_robot(edited(edit)), 2, {}, {}, threads=1)
    backdrop = world.physics.model.geom("backdrop").id
    world.physics.field("geom_rgba")[1, backdrop] = 0.0  # gone
    behind, open_air = pictures(world)[:, HEIGHT // 2 - 2 : HEIGHT // 2 + 2, WIDTH // 2]
    assert open_air.min() > 150  # the middle of the white ball
    assert (behind < open_air - 20).all() == shut_out
    assert (np.abs(behind - open_air) <= 2).all() != shut_out


def test_a_backdrop_leaves_near_and_far_as_they_were() -> None:
    """MuJoCo measures the camera's range by the size of the model."""
    plain, spec = mujoco.MjModel.from_xml_string(ROOM), mujoco.MjSpec.from_string(ROOM)
    add_backdrop(spec, 20.0)
    model = spec.compile()
    assert model.stat.extent == pytest.approx(plain.stat.extent)
    assert model.stat.center == pytest.approx(plain.stat.center)
    assert model.body_mass == pytest.approx(plain.body_mass)


def test_a_geom_that_others_can_touch_is_no_distractor(make_robot: MakeRobot) -> None:
    text = with_distractors(2).replace(
        "</worldbody>", '<geom name="distractor_wall" type="box" size="1 1 1"/></worldbody>'
    )
    world = build_world(make_robot(text), 1, {}, {}, threads=1)
    assert PARAMETERS["distractor_size"].elements(world) == ["distractor0", "distractor1"]
