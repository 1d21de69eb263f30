from collections.abc import Callable
from pathlib import Path

import mujoco
import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from simreal.physics import MujocoPhysics
from simreal.physics.interface import Start
from simreal.randomization.actuation import Actuation
from simreal.randomization.build import build_world
from simreal.randomization.camera_effects import CameraEffects
from simreal.randomization.events import Events
from simreal.randomization.inertia import Inertia
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.sensing import Sensing
from simreal.randomization.specification import ParameterConfig
from simreal.randomization.world import World
from simreal.robots import Robot, load_robot
from simreal.robots.loader import RobotConfig

MakeWorld = Callable[..., World]
MakeRobot = Callable[[str], Robot]
Trace = NDArray[np.float64]
Entry = tuple[str, str | None, ArrayLike]
"""``parameter[target]``, an operation or None for the parameter's own, and each simulation's value."""

BOX_WITH_ARM = """
<mujoco model="box_with_arm">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="0.002" integrator="implicitfast" density="1.2" viscosity="0.001" wind="0.5 0.2 0"/>
  <asset>
    <texture name="grey" type="2d" builtin="flat" width="2" height="2"/>
    <texture name="chequered" type="2d" builtin="checker" width="4" height="4"/>
    <material name="paint" texture="grey" rgba="0.4 0.5 0.6 1" reflectance="0.2" shininess="0.3"/>
  </asset>
  <worldbody>
    <light name="lamp" pos="0 0 3" dir="0 0.1 -1" ambient="0.1 0.1 0.1" specular="0.2 0.2 0.2"/>
    <camera name="view" pos="0 -2 1" quat="0.9 0.4 0 0"/>
    <geom name="distractor0" type="box" size="0.1 0.1 0.1" pos="2 2 0.1" contype="0" conaffinity="0"/>
    <geom name="floor" type="plane" size="5 5 0.1" condim="6" friction="0.6 0.01 0.002"
          material="paint" rgba="0.3 0.3 0.3 1"/>
    <body name="box" pos="0 0 0.12" quat="0.98 0.1 -0.05 0.15">
      <freejoint name="float"/>
      <geom name="box" type="box" size="0.2 0.15 0.1" mass="2" condim="6"/>
      <site name="imu" pos="0.05 0 0.02"/>
      <body name="upper" pos="0.1 0.05 0.12" quat="0.9 0.1 0.3 -0.2">
        <joint name="shoulder" axis="0 1 0.2" range="-1.2 1.5" ref="0.1" springref="0.3" stiffness="0.5"
               damping="0.02" frictionloss="0.01" armature="0.002"/>
        <inertial pos="0.12 0.01 -0.02" mass="0.4"
                  fullinertia="0.002 0.004 0.005 0.0003 -0.0005 0.0002"/>
        <geom name="upper" type="box" pos="0.1 0 0" size="0.1 0.02 0.03"/>
        <body name="fore" pos="0.25 0 0" quat="0.8 -0.2 0.1 0.4">
          <joint name="elbow" axis="0 1 0" range="-2 2" ref="-0.2" springref="0.1" stiffness="0.2"
                 damping="0.01" frictionloss="0.004" armature="0.001"/>
          <geom name="fore" type="capsule" fromto="0 0 0 0.2 0 0" size="0.02" mass="0.2"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <general name="shoulder" joint="shoulder" gainprm="0.8" biastype="affine" biasprm="0 0 -0.05"
             forcerange="-3 3"/>
    <position name="elbow" joint="elbow" kp="0.5" kv="0.02" forcerange="-2 2"/>
  </actuator>
  <sensor><gyro site="imu"/></sensor>
</mujoco>"""
"""It has all that a parameter may act on."""


@pytest.fixture
def make_world() -> MakeWorld:
    """Makes some simulations of the Qube with their sensors, untouched by randomization."""

    def make(
        count: int,
        control_rate: float = 500.0,
        action_latency: float = 0.0,
        sensor_latency: float = 0.0,
    ) -> World:
        robot = load_robot("qube")
        physics = MujocoPhysics(robot, count, control_rate, action_latency, threads=1)
        sensing = Sensing(robot.config.sensing, count, 2, physics.timestep, sensor_latency)
        actuation = Actuation(robot.description, physics)
        inertia, events, camera = Inertia(physics), Events(physics, actuation), CameraEffects(count)
        return World(robot.description, physics, inertia, actuation, sensing, events, camera)

    return make


@pytest.fixture
def make_robot(tmp_path: Path) -> MakeRobot:
    """Makes the robot of a model: all its joints of one degree of freedom, and all its motors."""

    def make(xml: str) -> Robot:
        path = tmp_path / f"model{len(list(tmp_path.iterdir()))}.xml"
        path.write_text(xml)
        spec = mujoco.MjSpec.from_file(str(path))
        units = {mujoco.mjtJoint.mjJNT_HINGE: "rad", mujoco.mjtJoint.mjJNT_SLIDE: "m"}
        description = {
            "name": "test",
            "joints": [
                {"name": each.name, "unit": units[each.type]}
                for each in spec.joints
                if each.type in units
            ],
            "actuators": [
                _actuator(each, units[spec.joint(each.target).type]) for each in spec.actuators
            ],
        }
        sensing = {"encoder_resolution": 0.001, "velocity_filter": 100.0}
        return Robot(RobotConfig.model_validate({"description": description, "sensing": sensing}), path)

    return make


def _actuator(actuator: mujoco.MjsActuator, unit: str) -> dict[str, str | float]:
    command = {"command": "effort", "unit": {"rad": "N·m", "m": "N"}[unit]}
    if actuator.biasprm[2] != 0.0:
        command = {"command": "voltage", "unit": "V"}
    if actuator.biasprm[1] != 0.0:
        command = {"command": "position", "unit": unit}
    return {"name": actuator.name, "joint": actuator.target, "lower": -100, "upper": 100} | command


@pytest.fixture
def box_with_arm(make_robot: MakeRobot) -> Robot:
    """A free box with a jointed arm, sprung and limited, on a floor in a wind."""
    return make_robot(BOX_WITH_ARM)


SUBSTEPS = 10


class Trial:
    """Simulations of one robot, each with values of its own for some parameters."""

    def __init__(self, robot: Robot, count: int) -> None:
        self.robot = robot
        timestep = mujoco.MjSpec.from_file(str(robot.model_path)).option.timestep
        self.world = build_world(robot, count, {}, {}, 1.0 / (SUBSTEPS * timestep), threads=1)
        self.ids = np.arange(count)

    def give(self, *entries: Entry) -> Randomizer:
        """Apply entries in order, as an experiment's configuration would."""
        each = [
            np.broadcast_to(np.asarray(values, dtype=np.float64), self.ids.shape)
            for _, _, values in entries
        ]
        specification = {
            str(number): entry_config(name, operation, float(values.min()), float(values.max()))
            for number, ((name, operation, _), values) in enumerate(zip(entries, each, strict=True))
        }
        randomizer = Randomizer(specification, self.world)
        columns = [int(column.partition("[")[0]) for column in randomizer.columns]
        randomizer.apply(self.ids, np.stack(each, axis=1)[:, columns])
        return randomizer

    def run(self, seconds: float, velocity: ArrayLike = 0.0, position: ArrayLike = 0.0) -> Trace:
        """(count, physics steps, nq) positions after a start.

        Args:
            seconds: for how long.
            velocity: of every degree of freedom, or one for each of them.
            position: of every joint of the robot, or one for each of them.
        """
        physics, description = self.world.physics, self.robot.description
        joints = np.zeros((self.ids.size, len(description.joints)))
        controls = np.zeros((self.ids.size, len(description.actuators)))
        physics.reset(self.ids, Start(joints + position, joints), controls)
        dofs = np.arange(physics.model.nv)
        physics.kick(self.ids, dofs, np.zeros((self.ids.size, dofs.size)) + velocity)
        trace = []
        for _ in range(round(seconds / physics.timestep / SUBSTEPS)):
            physics.step(controls)
            trace.append(physics._trace["qpos"].copy())  # the interface shows the robot's joints alone
        return np.concatenate(trace, axis=1)

    def compiled(
        self,
        edit: Callable[[mujoco.MjSpec], None],
        seconds: float,
        velocity: ArrayLike = 0.0,
        position: ArrayLike = 0.0,
    ) -> Trace:
        """(physics steps, nq) positions of MuJoCo alone, of a model that was edited before compiling."""
        spec = mujoco.MjSpec.from_file(str(self.robot.model_path))
        edit(spec)
        model = spec.compile()
        data = mujoco.MjData(model)
        # Where the simulations start, whatever an edited reference says of the compiled position.
        data.qpos[:] = self.world.physics.model.qpos0
        names = self.robot.description.joint_names
        data.qpos[[model.joint(name).qposadr[0] for name in names]] = position
        data.qvel[:] = velocity
        trace = []
        for _ in range(round(seconds / model.opt.timestep)):
            mujoco.mj_step(model, data)
            trace.append(data.qpos.copy())
        return np.stack(trace)


def entry_config(name: str, operation: str | None, low: float, high: float) -> ParameterConfig:
    """An entry that draws from low to high; `name` is a parameter's, or ``parameter[target]``."""
    parameter, _, target = name.partition("[")
    constant, uniform = {"type": "constant", "value": low}, {"type": "uniform", "low": low, "high": high}
    return ParameterConfig.model_validate(
        {
            "parameter": parameter,
            "target": target.removesuffix("]") or "*",
            "operation": operation,
            "distribution": constant if low == high else uniform,
        }
    )


MakeTrial = Callable[[str | Robot, int], Trial]


@pytest.fixture
def make_trial(make_robot: MakeRobot) -> MakeTrial:
    """Makes a trial of a robot, or of a model's text."""

    def make(robot: str | Robot, count: int) -> Trial:
        return Trial(make_robot(robot) if isinstance(robot, str) else robot, count)

    return make
