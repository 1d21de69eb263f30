"""A scene with a shape of each kind, in two simulations that look different."""

import tempfile
from pathlib import Path

import mujoco
import numpy as np
import pytest

from simreal.cameras.posed import Posed
from simreal.contract import Actuator, Joint, RobotDescription
from simreal.physics import MujocoPhysics
from simreal.physics.interface import Start
from simreal.robots import Robot
from simreal.robots.loader import RobotConfig

ALL_SHAPES = """
<mujoco>
  <visual><headlight ambient="0.2 0.2 0.2" diffuse="0.3 0.3 0.3" specular="0 0 0"/></visual>
  <asset>
    <texture name="chequered" type="2d" builtin="checker" width="64" height="64"
             rgb1="1 1 1" rgb2="0.3 0.3 0.3"/>
    <material name="tiles" texture="chequered" texrepeat="3 3" texuniform="true" rgba="0.7 0.6 0.5 1"/>
    <mesh name="wedge" vertex="0 0 0  0.3 0 0  0 0.3 0  0 0 0.3"/>
    <hfield name="hills" nrow="5" ncol="5" size="0.3 0.3 0.1 0.05"
            elevation="0 0 0 0 0  0 1 .5 .2 0  0 .5 1 .5 0  0 .2 .5 1 0  0 0 0 0 0"/>
  </asset>
  <worldbody>
    <light name="lamp" pos="0.4 -0.6 2" dir="-0.2 0.3 -1"
           exponent="2" cutoff="60" diffuse="0.6 0.6 0.5" castshadow="false"/>
    <camera name="view" pos="0 -1.6 1.1" xyaxes="1 0 0 0 0.56 0.83" fovy="50"/>
    <geom name="floor" type="plane" size="1 1 0.1" material="tiles"/>
    <geom name="ball" type="sphere" pos="-0.6 0 0.15" size="0.15" rgba="0.8 0.2 0.2 1"/>
    <geom name="pill" type="capsule" pos="-0.2 0 0.2" size="0.08 0.1" euler="0 40 20"
          rgba="0.2 0.8 0.2 1"/>
    <geom name="egg" type="ellipsoid" pos="0.2 0 0.2" size="0.1 0.15 0.2" euler="30 0 0"
          rgba="0.2 0.2 0.8 1"/>
    <geom name="can" type="cylinder" pos="0.6 0 0.2" size="0.1 0.15" euler="50 20 0"
          rgba="0.8 0.8 0.2 1"/>
    <geom name="hills" type="hfield" hfield="hills" pos="0.5 0.6 0.1" rgba="0.4 0.7 0.4 1"/>
    <geom name="wedge" type="mesh" mesh="wedge" pos="-0.5 0.5 0.1" rgba="0.7 0.4 0.8 1"/>
    <geom name="hidden" type="sphere" pos="0 -0.8 0.6" size="0.2" rgba="1 1 1 0"/>
    <body name="arm" pos="0 0.5 0.3">
      <joint name="j" axis="0 0 1"/>
      <geom name="box" type="box" size="0.2 0.06 0.1" rgba="0.9 0.5 0.1 1"/>
    </body>
  </worldbody>
  <actuator><motor name="m" joint="j" ctrlrange="-1 1"/></actuator>
</mujoco>
"""


def robot_of(model: str) -> Robot:
    """A robot of one motor, m, on one joint, j."""
    folder = Path(tempfile.mkdtemp())
    spec = mujoco.MjSpec.from_string(model)
    spec.compile()
    (folder / "model.xml").write_text(spec.to_xml())
    joint, motor = Joint(name="j"), {"name": "m", "joint": "j", "command": "effort", "unit": "N·m"}
    actuator = Actuator.model_validate(motor | {"lower": -1.0, "upper": 1.0})
    description = RobotDescription(name="test", joints=(joint,), actuators=(actuator,))
    return Robot(RobotConfig(description=description), folder / "model.xml")


@pytest.fixture
def physics() -> MujocoPhysics:
    """Two simulations of all shapes; in the second the box is turned and the camera looks elsewhere."""
    made = MujocoPhysics(robot_of(ALL_SHAPES), 2, threads=1)
    start = Start(np.array([[0.0], [0.7]]), np.zeros((2, 1)))
    made.reset(np.arange(2), start, np.zeros((2, 1)))
    made.field("cam_pos")[1] += [0.2, 0.1, -0.2]
    made.field("cam_fovy")[1] *= 0.8
    made.field("geom_rgba")[1, 2] = 0.1, 0.9, 0.9, 1.0
    return made


@pytest.fixture
def posed(physics: MujocoPhysics) -> Posed:
    """The same, posed."""
    posed = Posed(physics, 1)
    posed.pose(np.arange(2), physics.configuration)
    return posed
