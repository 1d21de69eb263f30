"""Small models of anybody's: an arm with meshes, a walker, a URDF, each with places to spoil."""

import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

Write = Callable[..., Path]

ARM = """\
<mujoco model="their arm">
  <compiler angle="radian" meshdir="meshes" autolimits="true"/>
  <option timestep="0.002"/>
  <default>
    <default class="visual"><geom type="mesh" contype="0" conaffinity="0" group="2" mass="0"/></default>
    <default class="collision"><geom type="capsule" group="3"/></default>
  </default>
  <asset><mesh file="link.stl"/><mesh name="tip" file="sub/link.stl"/></asset>
  <worldbody>
    <geom name="floor" type="plane" size="1 1 0.1" pos="0 0 -0.5"/>
    <body name="base">
      <geom class="visual" mesh="link"/>
      <body name="upper" pos="0 0 0.1">
        <inertial pos="0 0 0.1" mass="0.5" diaginertia="0.002 0.002 0.0005"/>
        <joint name="shoulder" axis="0 1 0" range="-1.5 1.5" armature="0.02" damping="0.1"/>
        <geom class="visual" mesh="link"/>
        <geom class="collision" size="0.02" fromto="0 0 0.03 0 0 0.17"/>
        <body name="fore" pos="0 0 0.2">
          <inertial pos="0 0 0.05" mass="0.2" diaginertia="0.0005 0.0005 0.0001"/>
          <joint name="elbow" axis="0 1 0" range="0.2 2.5" armature="0.02" damping="0.1"/>
          <geom class="visual" mesh="tip"/>
          <geom class="collision" size="0.015" fromto="0 0 0.04 0 0 0.1"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position name="shoulder" joint="shoulder" kp="40" kv="2" ctrlrange="-1.5 1.5" forcerange="-8 8"/>
    <general name="elbow" joint="elbow" ctrlrange="0 255" forcerange="-4 4" gainprm="0.09"
             biastype="affine" biasprm="2 -10 -0.5"/>
  </actuator>
  <keyframe><key name="home" qpos="0.3 0.8"/></keyframe>
</mujoco>
"""

WALKER = """\
<mujoco model="biped">
  <worldbody>
    <geom name="floor" type="plane" size="0 0 1"/>
    <body name="trunk" pos="0 0 0.27">
      <freejoint/>
      <geom type="box" size="0.12 0.1 0.05" mass="2"/>
      <site name="imu"/>
      {legs}
    </body>
  </worldbody>
  <sensor><gyro name="gyro" site="imu"/><accelerometer site="imu"/></sensor>
  <keyframe><key name="stand" qpos="{home}"/></keyframe>
</mujoco>
"""
LEG = """
      <body name="{name}" pos="{x} {y} -0.05">
        <joint name="{name}_hip" axis="0 1 0" range="-60 60"/>
        <geom type="capsule" size="0.02" fromto="0 0 -0.05 0 0 -0.1" mass="0.2"/>
        <body name="{name}_shin" pos="0 0 -0.13">
          <joint name="{name}_knee" axis="0 1 0" range="-90 90"/>
          <geom name="{name}_foot" type="sphere" size="0.03" pos="0 0 -0.09" mass="0.1"/>
        </body>
      </body>"""

URDF = """\
<?xml version="1.0"?>
<robot name="their_arm">
  <!-- a comment, that lines may count -->
  <link name="base_link">
    <visual>
      <geometry><mesh filename="package://their_arm_description/meshes/base.stl"/></geometry>
    </visual>
    <collision><geometry><box size="0.1 0.1 0.05"/></geometry></collision>
  </link>
  <link name="upper">
    <inertial>
      <origin xyz="0 0 0.1"/>
      <mass value="0.8"/>
      <inertia ixx="0.004" iyy="0.004" izz="0.001" ixy="0" ixz="0" iyz="0"/>
    </inertial>
    <collision>
      <origin xyz="0 0 0.12"/><geometry><cylinder radius="0.02" length="0.12"/></geometry>
    </collision>
  </link>
  <link name="tool"><collision><geometry><sphere radius="0.02"/></geometry></collision></link>
  <link name="fore">
    <inertial>
      <origin xyz="0 0 0.05"/>
      <mass value="0.3"/>
      <inertia ixx="0.001" iyy="0.001" izz="0.0002" ixy="0" ixz="0" iyz="0"/>
    </inertial>
    <collision><origin xyz="0 0 0.08"/><geometry><box size="0.03 0.03 0.06"/></geometry></collision>
  </link>
  <joint name="shoulder" type="revolute">
    <parent link="base_link"/><child link="upper"/><origin xyz="0 0 0.05"/><axis xyz="0 1 0"/>
    <limit lower="-1.2" upper="1.2" effort="12" velocity="6"/>
  </joint>
  <joint name="mount" type="fixed">
    <parent link="upper"/><child link="tool"/><origin xyz="0 0 0.25"/>
  </joint>
  <joint name="elbow" type="revolute">
    <parent link="tool"/><child link="fore"/><origin xyz="0 0 0.03"/><axis xyz="0 1 0"/>
    <limit lower="-2.0" upper="2.0" effort="5" velocity="8"/>
  </joint>
</robot>
"""


def replaced(text: str, *edits: tuple[str, str]) -> str:
    """A text with parts of it in another way; each part stands there once."""
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where robots are added in a test, away from those of whoever runs it."""
    monkeypatch.setenv("SIMREAL_ROBOTS", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "own"


@pytest.fixture
def write_arm(tmp_path: Path) -> Write:
    """Writes the arm with its two meshes, both called link.stl; given parts of its text otherwise."""

    def write(*edits: tuple[str, str]) -> Path:
        write_box(tmp_path / "theirs" / "meshes" / "link.stl", 0.03)
        write_box(tmp_path / "theirs" / "meshes" / "sub" / "link.stl", 0.02)
        path = tmp_path / "theirs" / "arm.xml"
        path.write_text(replaced(ARM, *edits), encoding="utf-8")
        return path

    return write


@pytest.fixture
def write_walker(tmp_path: Path) -> Write:
    """Writes a walker on four legs without actuators; its keyframe stands at a height."""

    def write(*edits: tuple[str, str], height: float = 0.27) -> Path:
        places = {"fl": (0.1, 0.08), "fr": (0.1, -0.08), "hl": (-0.1, 0.08), "hr": (-0.1, -0.08)}
        legs = "".join(LEG.format(name=name, x=x, y=y) for name, (x, y) in places.items())
        text = WALKER.format(legs=legs, home=f"0 0 {height} 1 0 0 0" + " 0.3 -0.6" * 4)
        path = tmp_path / "walker.xml"
        path.write_text(replaced(text, *edits), encoding="utf-8")
        return path

    return write


@pytest.fixture
def write_urdf(tmp_path: Path) -> Write:
    """Writes the URDF in a ROS package, as they are laid out."""

    def write(*edits: tuple[str, str]) -> Path:
        package = tmp_path / "their_arm_description"
        write_box(package / "meshes" / "base.stl", 0.05)
        (package / "urdf").mkdir(parents=True, exist_ok=True)
        path = package / "urdf" / "arm.urdf"
        path.write_text(replaced(URDF, *edits), encoding="utf-8")
        return path

    return write


def write_box(path: Path, half_size: float) -> None:
    """A cube as binary STL: a header of 80 bytes, a count, and 50 bytes for each triangle."""
    corners = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    rings = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = [(ring[0], *pair) for ring in rings for pair in pairwise(ring[1:])]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(bytes(80) + struct.pack("<I", len(triangles)))
        for triangle in triangles:
            numbers = [half_size * value for corner in triangle for value in corners[corner]]
            file.write(struct.pack("<12fH", 0, 0, 0, *numbers, 0))
