"""Sensors in Bullet: those of motion as MuJoCo has them, those of contact as Bullet feels them."""

import numpy as np
import pytest

pytest.importorskip("pybullet", reason="PyBullet is not installed")

from simreal.errors import UserError
from simreal.physics import MujocoPhysics
from simreal.physics.bullet_engine import BulletPhysics
from simreal.physics.interface import Start
from simreal.physics.shared_checks import IDLE, make_robot

MOTION = {
    "gyro": '<gyro name="gyro" site="s"/>',
    "accelerometer": '<accelerometer name="accelerometer" site="s"/>',
    "velocimeter": '<velocimeter name="velocimeter" site="s"/>',
    "framepos": '<framepos name="framepos" objtype="site" objname="s"/>',
    "framequat": '<framequat name="framequat" objtype="site" objname="s"/>',
    "framelinvel": '<framelinvel name="framelinvel" objtype="site" objname="s"/>',
    "frameangvel": '<frameangvel name="frameangvel" objtype="site" objname="s"/>',
    "framezaxis": '<framezaxis name="framezaxis" objtype="site" objname="s"/>',
    "jointpos": '<jointpos name="jointpos" joint="wag"/>',
    "jointvel": '<jointvel name="jointvel" joint="wag"/>',
    "actuatorfrc": '<actuatorfrc name="actuatorfrc" actuator="drive"/>',
    "subtreecom": '<subtreecom name="subtreecom" body="trunk"/>',
    "subtreelinvel": '<subtreelinvel name="subtreelinvel" body="trunk"/>',
}
TRUNK = """<body name="trunk" pos="0 0 2"><freejoint/><inertial pos="0.1 0.02 0.05" mass="2"
  diaginertia="0.02 0.03 0.04"/><body pos="0.1 0.2 0"><joint name="wag" axis="0.3 1 0.2" damping="0.01"/>
  <site name="s" pos="0.1 0.2 0.3" euler="0.4 0.5 0.6"/>
  <inertial pos="0.1 0 0" mass="0.5" diaginertia="0.002 0.003 0.004"/></body></body>"""


def test_sensors_of_motion_read_as_in_mujoco() -> None:
    motor = '<actuator><motor name="drive" joint="wag"/></actuator>'
    robot = make_robot(TRUNK, ("wag",), f"{motor}<sensor>{''.join(MOTION.values())}</sensor>")
    rng = np.random.default_rng(3)
    start = Start(np.zeros((2, 1)), np.ones((2, 1)), None, rng.normal(size=(2, 1, 6)))
    both = [engine(robot, 2, 100.0) for engine in (MujocoPhysics, BulletPhysics)]
    for physics in both:
        physics.reset(np.arange(2), start, np.zeros((2, 1)))
        physics.step(np.full((2, 1), 0.1))
    for name in MOTION:
        expected, found = (physics.sensor_trace(name) for physics in both)
        scale = max(1.0, np.abs(expected).max())
        # Bullet and MuJoCo integrate a turning body differently by the order of the step.
        np.testing.assert_allclose(found, expected, atol=0.01 * scale, err_msg=name)


def test_at_the_start_sensors_read_the_start() -> None:
    robot = make_robot(TRUNK, ("wag",), f"<sensor>{MOTION['framepos']}{MOTION['gyro']}</sensor>")
    both = [engine(robot, 1, 100.0) for engine in (MujocoPhysics, BulletPhysics)]
    for physics in both:
        physics.reset(np.arange(1), Start(np.ones((1, 1)), np.ones((1, 1))), np.zeros((1, 1)))
    for name in ("framepos", "gyro"):
        np.testing.assert_allclose(both[1].sensor(name), both[0].sensor(name), atol=1e-12)


LEGS = """<geom name="floor" type="plane" size="0 0 1"/>
<body name="table" pos="0 0 0.2"><freejoint/><geom type="box" size="0.3 0.3 0.02" mass="3"/>
  <geom name="left" type="box" size="0.02 0.3 0.1" pos="-0.2 0 -0.1" mass="0.5"/>
  <geom name="right" type="box" size="0.02 0.3 0.1" pos="0.2 0 -0.1" mass="0.5"/>
  <site name="left" type="box" size="0.05 0.35 0.15" pos="-0.2 0 -0.1"/>
  <site name="right" type="box" size="0.05 0.35 0.15" pos="0.2 0 -0.1"/></body>
<body name="ball" pos="3 0 1"><freejoint/><geom name="ball" type="sphere" size="0.1"/></body>"""
FELT = """<sensor><touch name="left" site="left"/><touch name="right" site="right"/>
<contact name="stands" geom1="left" geom2="floor" data="found" num="1"/>
<contact name="touches" body1="ball" geom2="floor" data="found" num="1"/></sensor>"""


def test_legs_share_the_weight_and_contacts_are_found() -> None:
    physics = BulletPhysics(make_robot(LEGS + IDLE, rest=FELT), 1)
    physics.reset(np.arange(1), Start(np.zeros((1, 1)), np.zeros((1, 1))), np.zeros((1, 1)))
    felt = []
    for _ in range(200):
        physics.step(np.zeros((1, 1)))
        felt.append([physics.sensor(name)[0, 0] for name in ("left", "right", "stands", "touches")])
    left, right, stands, touches = np.mean(felt[-50:], axis=0)
    assert left + right == pytest.approx(4.0 * 9.81, rel=0.02)
    assert left == pytest.approx(right, rel=0.1)
    assert stands > 0.9 and touches == 0.0


def test_an_unknown_sensor_is_refused_with_the_nearest() -> None:
    robot = make_robot(TRUNK, ("wag",), f"<sensor>{MOTION['gyro']}</sensor>")
    with pytest.raises(UserError, match="gyro"):
        BulletPhysics(robot, 1).sensor("gyrro")
