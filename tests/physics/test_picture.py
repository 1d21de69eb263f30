import os
import subprocess
import sys
import tempfile
from pathlib import Path

import mujoco
import numpy as np
import pytest

from simreal.contract import Actuator, Joint, RobotDescription
from simreal.errors import UserError
from simreal.physics import MujocoPhysics
from simreal.physics.interface import Start
from simreal.physics.picture import SKY, Renderer
from simreal.robots import Robot, load_robot
from simreal.robots.loader import RobotConfig

HERE = "overview"


@pytest.fixture
def physics() -> MujocoPhysics:
    return MujocoPhysics(load_robot("qube"), 3, threads=1)


def of_model(inside: str) -> MujocoPhysics:
    """A robot of one motor, m, on one joint, j."""
    spec = mujoco.MjSpec.from_string(f"<mujoco>{inside}</mujoco>")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        path.write_text(spec.to_xml())
        joint, motor = Joint(name="j"), {"name": "m", "joint": "j", "command": "effort", "unit": "N·m"}
        actuator = Actuator.model_validate(motor | {"lower": -1.0, "upper": 1.0})
        description = RobotDescription(name="test", joints=(joint,), actuators=(actuator,))
        return MujocoPhysics(Robot(RobotConfig(description=description), path), 1, threads=1)


def opened(physics: MujocoPhysics, for_people: bool = False) -> Renderer:
    try:
        return Renderer(physics, for_people)
    except UserError as error:
        pytest.skip(str(error))


def test_each_simulation_is_seen_where_it_stands(physics: MujocoPhysics) -> None:
    angles = np.array([[0.0, 0.0], [0.0, np.pi], [1.0, 0.0]])
    physics.reset(np.arange(3), Start(angles, np.zeros((3, 2))), np.zeros((3, 1)))
    with opened(physics) as renderer:
        hanging, upright, turned = (renderer.render(row, HERE, 160, 120) for row in range(3))
        again = renderer.render(0, HERE, 160, 120)

    def height_of_red(image: np.ndarray) -> float:
        red, green, _ = np.moveaxis(image.astype(int), -1, 0)
        return -float(np.nonzero(red > 2 * green + 10)[0].mean())

    assert hanging.shape == (120, 160, 3)
    assert hanging.dtype == np.uint8
    assert height_of_red(upright) > height_of_red(hanging) + 20
    assert (turned != hanging).any()
    assert (again == hanging).all()


def test_it_moves_with_the_physics_and_leaves_it_alone(physics: MujocoPhysics) -> None:
    twin = MujocoPhysics(load_robot("qube"), 3, threads=1)
    start = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]])
    for each in (physics, twin):
        each.reset(np.arange(3), Start(start, np.zeros((3, 2))), np.zeros((3, 1)))
    with opened(physics) as renderer:
        before = renderer.render(1, HERE, 80, 60)
        for _ in range(10):
            physics.step(np.zeros((3, 1)))
            renderer.render(1, HERE, 80, 60)
            twin.step(np.zeros((3, 1)))
        after = renderer.render(1, HERE, 80, 60)
    assert (before != after).any()
    assert (physics.joint_position == twin.joint_position).all()


def test_a_picture_may_have_any_size_in_any_order(physics: MujocoPhysics) -> None:
    with opened(physics) as renderer:
        small = renderer.render(0, HERE, 40, 30)
        large = renderer.render(0, HERE, 800, 600)
        assert (renderer.render(0, HERE, 40, 30) == small).all()
    assert large.shape == (600, 800, 3)
    averaged = large.reshape(30, 20, 40, 20, 3).mean(axis=(1, 3))
    assert np.abs(averaged - small).mean() < 3.0


def test_without_a_camera_the_whole_robot_is_in_view(physics: MujocoPhysics) -> None:
    with opened(physics) as renderer:
        seen = renderer.render(0, None, 160, 120).max(axis=2) > 20
    rows, columns = np.nonzero(seen)
    assert seen.sum() > 300
    assert 0 < rows.min() < rows.max() < 119
    assert 0 < columns.min() < columns.max() < 159


@pytest.mark.parametrize("place", [(0.0, 0.0), (40.0, -7.0)])
def test_without_a_camera_it_looks_at_what_moves_not_at_the_ground(place: tuple[float, float]) -> None:
    """A ball of 0.1 m, on a plane, wherever it is; a wall of 20 m does not count."""
    physics = of_model(
        """<worldbody>
             <geom type="plane" size="0 0 1" rgba="0 0 1 1"/>
             <geom type="box" size="10 0.1 10" pos="0 30 0" rgba="0 0 1 1"/>
             <body name="ball"><freejoint name="f"/><geom type="sphere" size="0.1" rgba="1 0 0 1"/>
               <body><joint name="j"/><geom type="sphere" size="0.05" rgba="1 0 0 1"/></body></body>
           </worldbody><actuator><motor name="m" joint="j"/></actuator>"""
    )
    pose = np.array([[[*place, 0.1, 1.0, 0.0, 0.0, 0.0]]])
    at_rest = Start(np.zeros((1, 1)), np.zeros((1, 1)), pose, np.zeros((1, 1, 6)))
    physics.reset(np.arange(1), at_rest, np.zeros((1, 1)))
    with opened(physics) as renderer:
        red, _, blue = np.moveaxis(renderer.render(0, None, 160, 120).astype(int), -1, 0)
    rows, columns = np.nonzero(red > blue + 20)
    assert 0.1 < len(rows) / red.size < 0.6
    assert abs(columns.mean() - 80) < 12
    assert 0 < rows.min() < rows.max() < 119


def test_for_people_there_is_light_and_a_sky_but_not_for_a_robots_camera() -> None:
    physics = of_model(
        """<visual><headlight ambient="0 0 0" diffuse="0 0 0" specular="0 0 0"/></visual>
           <worldbody><body name="b"><joint name="j"/><geom size="0.1" rgba="1 1 1 1"/></body>
           </worldbody><actuator><motor name="m" joint="j"/></actuator>"""
    )
    corners, middles = [], []
    for for_people in (False, True):
        with opened(physics, for_people) as renderer:
            image = renderer.render(0, None, 80, 60)
        corners.append(image[0, 0].tolist())
        middles.append(image[20:40, 30:50].mean())
    assert corners == [[0, 0, 0], list(SKY)]
    assert middles[0] < 10
    assert middles[1] > 40


def test_it_shows_what_mujocos_own_renderer_shows(physics: MujocoPhysics) -> None:
    with opened(physics) as renderer:
        ours = renderer.render(0, HERE, 320, 240)
    code = f"""
import mujoco, numpy, sys
model = mujoco.MjModel.from_xml_path({str(load_robot("qube").model_path)!r})
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = mujoco.Renderer(model, 240, 320)
renderer.update_scene(data, camera={HERE!r})
sys.stdout.buffer.write(renderer.render().tobytes())
"""
    egl = os.environ | {"MUJOCO_GL": os.environ.get("MUJOCO_GL") or "egl"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=egl, check=True)
    theirs = np.frombuffer(done.stdout, dtype=np.uint8).reshape(240, 320, 3)
    assert (ours == theirs).all()


def test_a_camera_that_the_model_lacks_is_named(physics: MujocoPhysics) -> None:
    with opened(physics) as renderer, pytest.raises(UserError, match="did you mean 'overview'"):
        renderer.render(0, "overwiew")


@pytest.mark.parametrize(
    "environment", [{"MUJOCO_GL": "disable"}, {"MUJOCO_GL": "", "MUJOCO_EGL_DEVICE_ID": "99"}]
)
def test_without_opengl_the_message_says_what_to_install(environment: dict[str, str]) -> None:
    code = """
from simreal.errors import UserError
from simreal.physics import MujocoPhysics
from simreal.physics.picture import Renderer
from simreal.robots import load_robot
try:
    Renderer(MujocoPhysics(load_robot("qube"), 1))
except UserError as error:
    print(error)
"""
    headless = {key: value for key, value in os.environ.items() if "DISPLAY" not in key}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=headless | environment
    )
    assert done.returncode == 0, done.stderr
    for words in ("libegl1 libgl1-mesa-dri", "libosmesa6", "MUJOCO_GL=egl"):
        assert words in done.stdout


def test_a_process_ends_in_peace_with_a_renderer_open() -> None:
    code = """
from simreal.physics import MujocoPhysics
from simreal.physics.picture import Renderer
from simreal.robots import load_robot
first, second = (Renderer(MujocoPhysics(load_robot("qube"), 1)) for _ in range(2))
first.render(0, "overview"), second.render(0, "overview"), first.render(0, "overview")
first.close()
second.render(0, "overview")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if "pictures need OpenGL" in done.stderr:
        pytest.skip("no OpenGL here")
    assert (done.returncode, done.stderr) == (0, "")
