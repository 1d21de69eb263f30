"""Lengths of links against the motion of pendulums and against models compiled with those lengths."""

import math
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simreal.physics.model import compile_model
from simreal.randomization.links import along_links, find_links
from simreal.robots import Robot, load_robot

MakeTrial = Callable[[str | Robot, int], Any]
MakeRobot = Callable[[str], Robot]

BOB = """
<mujoco>
  <option timestep="0.001" integrator="RK4"/>
  <worldbody>
    <body name="string">
      <joint name="hinge" axis="0 1 0"/>
      <geom type="sphere" size="0.001" pos="0 0 -0.25" mass="1"/>
    </body>
  </worldbody>
  <actuator><motor name="motor" joint="hinge"/></actuator>
</mujoco>"""

TWO_LINKS = """
<mujoco>
  <compiler angle="radian"/>
  <option timestep="0.001" integrator="RK4" density="1.2" viscosity="0.01"/>
  <worldbody>
    <geom name="floor" type="plane" size="3 3 0.1" pos="0 0 -{height}"/>
    <body name="thigh">
      <joint name="hip" axis="0 1 0.3" damping="0.01"/>
      <geom name="thigh" type="box" size="0.02 0.03 {thigh_half}" pos="0 0 -{thigh_half}" mass="0.8"
            contype="0" conaffinity="0"/>
      <site name="strap" pos="0 0.05 -{strap}"/>
      <body name="shin" pos="0 0 -{thigh}">
        <joint name="knee" axis="0 1 0" damping="0.02"/>
        <geom name="shin" type="{shape}" size="{sizes}" pos="0 0 -{shin_half}" mass="0.3" {inertia}/>
      </body>
    </body>
  </worldbody>
  <actuator><motor name="hip" joint="hip"/><motor name="knee" joint="knee"/></actuator>
</mujoco>"""


def two_links(thigh: float = 1.0, shin: float = 1.0, shape: str = "box", height: float = 2.0) -> str:
    """The model with the thigh and shin so many times as long, and masses as they were."""
    half = 0.125 * shin
    sizes = {"box": f"0.02 0.01 {half}", "cylinder": f"0.02 {half}", "ellipsoid": f"0.02 0.01 {half}"}
    return TWO_LINKS.format(
        thigh=0.3 * thigh,
        thigh_half=0.15 * thigh,
        strap=0.2 * thigh,
        shin_half=half,
        shape=shape,
        sizes=sizes[shape],
        height=height,
        inertia='fluidshape="ellipsoid"' if shape == "ellipsoid" else "",
    )


def nothing(spec: mujoco.MjSpec) -> None:
    """The text says all."""


def test_a_longer_string_swings_slower_with_the_root_of_its_length(make_trial: MakeTrial) -> None:
    trial = make_trial(BOB, 4)
    lengths = [1.0, 4.0, 0.25, 2.0]
    trial.give(("link_length", None, lengths))
    swing = trial.run(6.5, position=0.1)[..., 0]
    for row, length in enumerate(lengths):
        falling = np.flatnonzero((swing[row, :-1] > 0) & (swing[row, 1:] <= 0))
        crossings = falling + swing[row, falling] / (swing[row, falling] - swing[row, falling + 1])
        period = np.diff(crossings).mean() * 0.001
        small = 2.0 * math.pi * math.sqrt(0.25 * length / 9.81)
        assert period == pytest.approx(small * (1.0 + 0.1**2 / 16.0), rel=1e-4)


@pytest.mark.parametrize("shape", ["box", "cylinder", "ellipsoid"])
@pytest.mark.parametrize(("thigh", "shin"), [(1.5, 1.0), (1.0, 0.4), (0.7, 2.5)])
def test_it_moves_as_a_model_compiled_with_those_lengths(
    make_trial: MakeTrial, thigh: float, shin: float, shape: str
) -> None:
    trial = make_trial(two_links(shape=shape), 2)
    trial.give(("link_length[thigh]", None, [1.0, thigh]), ("link_length[shin]", None, [1.0, shin]))
    start = {"position": (1.0, -0.7), "velocity": (3.0, -5.0)}
    moved = trial.run(1.0, **start)
    compiled = make_trial(two_links(thigh, shin, shape), 1).compiled(nothing, 1.0, **start)
    np.testing.assert_allclose(moved[1], compiled, atol=1e-9)
    assert np.abs(moved[1] - moved[0]).max() > 0.01


@pytest.mark.parametrize("shape", ["box", "cylinder", "ellipsoid"])
def test_a_longer_shin_reaches_a_floor_that_the_compiled_one_does_not(
    make_trial: MakeTrial, shape: str
) -> None:
    """Also what speeds up the search for contacts has to know of the new length."""
    trial = make_trial(two_links(shape=shape, height=0.7), 2)
    trial.give(("link_length[shin]", None, [1.0, 1.8]))
    start = {"position": (0.0, 1.2), "velocity": (0.0, -3.0)}
    moved = trial.run(0.6, **start)
    long = make_trial(two_links(shin=1.8, shape=shape, height=0.7), 1).compiled(nothing, 0.6, **start)
    free = make_trial(two_links(shin=1.8, shape=shape), 1).compiled(nothing, 0.6, **start)
    np.testing.assert_allclose(moved[1], long, atol=1e-9)
    assert np.abs(long - free).max() > 0.1


def test_a_capsule_follows(make_trial: MakeTrial) -> None:
    """Its tip stands on a floor where the lengthened one ends; its caps stay round."""
    capsule = BOB.replace(
        '<geom type="sphere" size="0.001" pos="0 0 -0.25" mass="1"/>',
        '<geom name="rod" type="capsule" size="0.02" fromto="0 0 0 0 0 -0.5" mass="1"/>',
    )
    trial = make_trial(capsule, 2)
    trial.give(("link_length", None, [1.0, 1.5]))
    model = trial.world.physics._batch.get_model(1)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    geom = model.geom("rod").id
    hit = np.zeros(1, dtype=np.int32)
    origin, up = np.array([0.0, 0.0, -3.0]), np.array([0.0, 0.0, 1.0])
    distance = mujoco.mj_ray(model, data, origin, up, None, 1, -1, hit)
    assert hit[0] == geom
    assert distance == pytest.approx(3.0 - 0.75 - 0.02, abs=1e-12)
    sideways = mujoco.mj_ray(
        model, data, np.array([-1, 0, -0.7]), np.array([1.0, 0, 0]), None, 1, -1, hit
    )
    assert sideways == pytest.approx(0.98, abs=1e-12)


def test_the_site_at_a_tip_moves_along(make_trial: MakeTrial) -> None:
    trial = make_trial(load_robot("qube"), 2)
    trial.give(("link_length[pendulum]", None, [1.0, 1.7]), ("link_length[arm]", None, [1.0, 0.5]))
    for row, (arm, pendulum) in enumerate([(1.0, 1.0), (0.5, 1.7)]):
        model = trial.world.physics._batch.get_model(row)
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        expected = (0.085 * arm, 0.0, 0.13 - 0.122 * pendulum)
        assert data.site("tip").xpos == pytest.approx(expected, abs=1e-12)


OFF_ORIGIN = """
<mujoco>
  <option timestep="0.001" integrator="RK4"/>
  <worldbody>
    <body name="first">
      <joint name="first" axis="0 1 0" pos="{first_joint} 0 0"/>
      <inertial pos="{first_centre} 0 0" mass="1" diaginertia="0.002 {first_inertia} {first_inertia}"/>
      <body name="second" pos="{second} 0 0" euler="0 0 90">
        <joint name="second" axis="1 0 0" pos="0 -0.1 0"/>
        <inertial pos="0 0.05 0" mass="0.5" diaginertia="0.003 0.001 0.003"/>
      </body>
    </body>
  </worldbody>
  <actuator><motor name="first" joint="first"/></actuator>
</mujoco>"""


def off_origin(length: float) -> str:
    """A link of 0.5 m, from a joint at -0.2 to one at 0.3, in a body whose origin is between them."""
    along = 0.5 * (0.005 + 0.005 - 0.002)
    return OFF_ORIGIN.format(
        first_joint=-0.2,
        first_centre=-0.2 + 0.25 * length,
        first_inertia=0.005 + along * (length**2 - 1.0),
        second=-0.2 + 0.5 * length - 0.1,
    )


@pytest.mark.parametrize("length", [2.0, 0.3])
def test_a_link_lengthens_from_joint_to_joint(make_trial: MakeTrial, length: float) -> None:
    """Not from the origins of the bodies, which may be anywhere."""
    trial = make_trial(off_origin(1.0), 1)
    trial.give(("link_length[first]", None, length))
    start = {"position": (0.4, -0.9), "velocity": (2.0, 1.0)}
    expected = make_trial(off_origin(length), 1).compiled(nothing, 1.0, **start)
    np.testing.assert_allclose(trial.run(1.0, **start)[0], expected, atol=1e-9)


def test_what_has_no_clear_length_is_no_link(make_robot: MakeRobot) -> None:
    """Two children, or a centre of mass on the joint; the world is none either."""
    robot = make_robot("""
        <mujoco><worldbody>
          <body name="fork"><joint name="a"/><geom size="0.1" pos="0.1 0 0"/>
            <body name="left" pos="0 0.2 0"><joint name="b"/><geom size="0.1" pos="0.1 0 0"/></body>
            <body name="wheel" pos="0 -0.2 0"><joint name="c"/><geom size="0.1"/></body>
          </body>
        </worldbody><actuator><motor name="m" joint="a"/></actuator></mujoco>""")
    model = compile_model(robot)
    assert [model.body(link.body).name for link in find_links(model)] == ["left"]


@given(st.lists(st.floats(0.1, 10.0), min_size=1, max_size=5))
@settings(max_examples=50)
def test_a_map_lengthens_along_the_link_alone(ratios: list[float]) -> None:
    links = find_links(mujoco.MjModel.from_xml_path(str(load_robot("qube").model_path)))
    length = np.tile(np.array(ratios)[:, None], (1, 3))
    maps = along_links(links, length)
    for link in links:
        across = np.cross(link.direction, [0.3, -0.5, 0.8])
        stretched = maps[:, link.body] @ link.direction
        np.testing.assert_allclose(stretched, np.outer(ratios, link.direction), atol=1e-12)
        np.testing.assert_allclose(
            maps[:, link.body] @ across, np.tile(across, (len(ratios), 1)), atol=1e-12
        )
