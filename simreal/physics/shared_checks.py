"""Experiments with a known answer, by which any engine can be judged.

Each takes an engine and gives one number, through the interface that training uses too: from fields,
starts, commands and traces. What the number should be follows from mechanics and not from an engine.
"""

import functools
import hashlib
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from scipy.special import ellipk

from simreal.contract import Actuator, Joint, RobotDescription
from simreal.physics.engines import Engine
from simreal.physics.interface import Physics, Start
from simreal.robots import Robot, load_robot
from simreal.robots.loader import RobotConfig
from simreal.state import FloatArray

GRAVITY = 9.81
FRICTION = 0.6
STEP_MS = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    """An experiment.

    Attributes:
        name: for people.
        unit: of the number.
        expected: what mechanics says.
        tolerance: how far a sound engine may be from it.
        measure: does it.
    """

    name: str
    unit: str
    expected: float
    tolerance: float
    measure: Callable[[Engine], float]


IDLE = """
<body name="idle" pos="9 9 9"><joint name="idle" axis="0 0 1"/>
  <geom type="sphere" size="0.1" contype="0" conaffinity="0"/></body>"""
"""What makes a robot of a scene: a joint to be commanded, out of the way."""


def make_robot(bodies: str, joints: tuple[str, ...] = ("idle",), rest: str = "") -> Robot:
    """A robot of a piece of MJCF, with a motor on its first joint.

    Args:
        bodies: of the world.
        joints: names of its joints.
        rest: other sections, and the actuator if it is to be another.
    """
    motor = f'<actuator><motor name="drive" joint="{joints[0]}"/></actuator>'
    text = f"""<mujoco><compiler angle="radian" autolimits="true"/>
      <option timestep="{STEP_MS / 1e3}" integrator="implicitfast" gravity="0 0 {-GRAVITY}"
              cone="elliptic"/>
      <worldbody>{bodies}</worldbody>{rest if "<actuator" in rest else motor + rest}</mujoco>"""
    path = Path(_folder().name) / f"{hashlib.sha256(text.encode()).hexdigest()}.xml"
    path.write_text(text)
    drive = Actuator(name="drive", joint=joints[0], command="effort", unit="N·m", lower=-1e3, upper=1e3)
    description = RobotDescription(
        name="check", joints=tuple(Joint(name=name) for name in joints), actuators=(drive,)
    )
    return Robot(RobotConfig(description=description), path)


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Where the models are; it goes with the process."""
    return tempfile.TemporaryDirectory(prefix="simreal_checks_")


def begin(physics: Physics, position: FloatArray, velocity: FloatArray | None = None) -> None:
    """Start all simulations at (count, joints) positions, without commands."""
    ids = np.arange(physics.count)
    speed = np.zeros_like(position) if velocity is None else velocity
    physics.reset(ids, Start(position, speed), np.zeros((physics.count, 1)))


def run(physics: Physics, seconds: float, command: float = 0.0) -> tuple[FloatArray, FloatArray]:
    """(steps, count, joints) positions and velocities over a time, under one command."""
    positions, velocities = [], []
    for _ in range(round(seconds / physics.timestep)):
        physics.step(np.full((physics.count, 1), command))
        positions.append(physics.joint_position.copy())
        velocities.append(physics.joint_velocity.copy())
    return np.array(positions), np.array(velocities)


def free_fall(engine: Engine) -> float:
    """M that a tumbling box falls in 0.5 s."""
    box = '<body pos="0 0 9"><freejoint/><geom type="box" size="0.1 0.2 0.3"/></body>'
    physics = engine(make_robot(box + IDLE), 1)
    spin = np.array([[[0.0, 0.0, 0.0, 1.0, 2.0, 3.0]]])
    start = Start(np.zeros((1, 1)), np.zeros((1, 1)), None, spin)
    physics.reset(np.arange(1), start, np.zeros((1, 1)))
    run(physics, 0.5)
    return 9.0 - float(physics.free_position[0, 0, 2])


ROD_MASS, ROD_LENGTH, ROD_INERTIA = 0.5, 0.4, 0.01
AMPLITUDE = 0.5 * math.pi
ROD = f"""
<body name="rod" pos="0 0 2"><joint name="swing" axis="0 1 0"/>
  <inertial pos="0 0 {-ROD_LENGTH}" mass="{ROD_MASS}"
            diaginertia="{ROD_INERTIA} {ROD_INERTIA} 0.001"/></body>"""


def pendulum_period(engine: Engine) -> float:
    """s, of a rod that swings 90 degrees to either side."""
    physics = engine(make_robot(ROD, ("swing",)), 1)
    begin(physics, np.array([[AMPLITUDE]]))
    positions, _ = run(physics, 4.0)
    angle, time = positions[:, 0, 0], np.arange(1, len(positions) + 1) * physics.timestep
    down = np.flatnonzero((angle[:-1] > 0) & (angle[1:] <= 0))
    share = angle[down] / (angle[down] - angle[down + 1])
    return float(np.diff(time[down] + share * physics.timestep).mean())


def exact_period() -> float:
    """s; complete elliptic integral of the first kind, as in any text on mechanics."""
    inertia = ROD_INERTIA + ROD_MASS * ROD_LENGTH**2
    small = math.sqrt(inertia / (ROD_MASS * GRAVITY * ROD_LENGTH))
    return 4.0 * small * float(ellipk(math.sin(0.5 * AMPLITUDE) ** 2))


BRICK = f"""
<geom name="floor" type="plane" size="0 0 1" friction="0.3 0.005 0.0001"/>
<body name="brick" pos="0 0 0.05"><freejoint/>
  <geom name="brick" type="box" size="0.1 0.1 0.05" mass="2" friction="{FRICTION} 0.005 0.0001"/>
  <site name="hull" type="box" size="0.11 0.11 0.06"/></body>"""
WEIGHT_SENSOR = '<sensor><touch name="weight" site="hull"/></sensor>'


def _slide(engine: Engine, angles: FloatArray, seconds: float) -> tuple[Physics, FloatArray]:
    """(steps, count) m that a brick has slid on slopes of (count,) rad."""
    physics = engine(make_robot(BRICK + IDLE), len(angles))
    pull = GRAVITY * np.stack((np.sin(angles), 0.0 * angles, -np.cos(angles)), axis=1)
    physics.field("opt.gravity")[:] = pull
    physics.commit(np.arange(physics.count))
    begin(physics, np.zeros((len(angles), 1)))
    slid = []
    for _ in range(round(seconds / physics.timestep)):
        physics.step(np.zeros((physics.count, 1)))
        slid.append(physics.free_position[:, 0, 0].copy())
    return physics, np.array(slid)


def slope_start(engine: Engine) -> float:
    """rad, the steepest slope on which a brick does not begin to slide within 0.6 s."""
    angles = math.atan(FRICTION) + np.linspace(-0.04, 0.04, 9)
    _, slid = _slide(engine, angles, 0.6)
    rests = np.abs(slid[-1] - slid[len(slid) // 2]) < 1e-3
    return float(angles[rests].max(initial=angles[0]))


def slope_acceleration(engine: Engine) -> float:
    """m/s² of a brick on a slope of 0.7 rad, over the second half of 0.6 s."""
    _, slid = _slide(engine, np.array([0.7]), 0.6)
    half = len(slid) // 2
    time = 1e-3 * STEP_MS * np.arange(len(slid) - half)
    return 2.0 * float(np.polyfit(time, slid[half:, 0], 2)[0])


def weight(engine: Engine) -> float:
    """N that a touch sensor feels below a brick at rest, over 0.2 s."""
    physics = engine(make_robot(BRICK + IDLE, rest=WEIGHT_SENSOR), 1)
    begin(physics, np.zeros((1, 1)))
    run(physics, 0.3)
    felt = []
    for _ in range(100):
        physics.step(np.zeros((1, 1)))
        felt.append(float(physics.sensor("weight")[0, 0]))
    return float(np.mean(felt))


MASS_SAMPLES = 8


def mass_matrix(engine: Engine) -> float:
    """Largest share by which the Qube's inertia matrix is off, as accelerations tell it.

    Without gravity, damping and armature, at rest, unit torques one by one give the columns of the
    inverse; `mj_fullM` at the same positions is what they are held against.
    """
    physics = engine(load_robot("qube"), 2 * MASS_SAMPLES)
    fields = ("opt.gravity", "dof_damping", "dof_armature", "dof_frictionloss", "jnt_stiffness")
    for name in (*fields, "actuator_biasprm"):
        physics.field(name)[:] = 0.0
    physics.commit(np.arange(physics.count))
    rng = np.random.default_rng(0)
    position = np.repeat(rng.uniform(-2.0, 2.0, (MASS_SAMPLES, 2)), 2, axis=0)
    begin(physics, position)
    torque = 1e-3
    physics.dof_force[:] = torque * np.tile(np.eye(2), (MASS_SAMPLES, 1))
    physics.step(np.zeros((physics.count, 1)))
    columns = (physics.velocity_trace[:, 0] / physics.timestep / torque).reshape(MASS_SAMPLES, 2, 2)
    found = np.linalg.inv(columns)
    exact = np.array([_full_mass(physics.model, each) for each in position[::2]])
    return float(np.abs(found - exact).max() / np.abs(exact).max())


def _full_mass(model: mujoco.MjModel, position: FloatArray) -> FloatArray:
    """(nv, nv) inertia of a model without armature."""
    data = mujoco.MjData(model)
    data.qpos[:] = position
    mujoco.mj_forward(model, data)
    full = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, full)
    full[np.diag_indices(model.nv)] -= model.dof_armature
    return full


STIFFNESS, SERVO_DAMPING, ARMATURE = 8.0, 0.4, 0.05
WHEEL = f"""
<body name="wheel"><joint name="turn" axis="0 0 1" armature="{ARMATURE}"/>
  <inertial pos="0 0 0" mass="1" diaginertia="0.02 0.02 0.03"/></body>"""
SERVO = f"""<actuator><position name="drive" joint="turn" kp="{STIFFNESS}" kv="{SERVO_DAMPING}"/>
</actuator>"""


def servo_step(engine: Engine) -> float:
    """rad, largest distance from the exact answer of a damped servo to a step of 0.5 rad, in 1.5 s."""
    physics = engine(make_robot(WHEEL, ("turn",), SERVO), 1)
    begin(physics, np.zeros((1, 1)))
    positions, _ = run(physics, 1.5, command=0.5)
    time = np.arange(1, len(positions) + 1) * physics.timestep
    inertia = ARMATURE + 0.03
    decay = 0.5 * SERVO_DAMPING / inertia
    beat = math.sqrt(STIFFNESS / inertia - decay**2)
    swing = np.cos(beat * time) + decay / beat * np.sin(beat * time)
    exact = 0.5 * (1.0 - np.exp(-decay * time) * swing)
    return float(np.abs(positions[:, 0, 0] - exact).max())


DOUBLE = """
<body pos="0 0 2"><joint name="upper" axis="0 1 0"/>
  <inertial pos="0 0 -0.2" mass="0.5" diaginertia="0.007 0.007 0.001"/>
  <body pos="0 0 -0.4"><joint name="lower" axis="0 1 0"/>
    <inertial pos="0 0 -0.15" mass="0.3" diaginertia="0.003 0.003 0.0005"/></body></body>"""


def energy_drift(engine: Engine) -> float:
    """Share of the energy at hand by which a double pendulum without damping drifts in 5 s."""
    physics = engine(make_robot(DOUBLE, ("upper", "lower")), 1)
    begin(physics, np.array([[1.5, 0.5]]))
    positions, velocities = run(physics, 5.0)
    last = zip(positions[-500:, 0], velocities[-500:, 0], strict=True)
    energies = [_energy(physics.model, *each) for each in last]
    first = _energy(physics.model, np.array([1.5, 0.5]), np.zeros(2))
    lowest = _energy(physics.model, np.zeros(2), np.zeros(2))
    tail = np.mean(energies)  # over 1 s: what oscillates within a swing is no drift
    return float(abs(tail - first) / (first - lowest))


def _energy(model: mujoco.MjModel, position: FloatArray, velocity: FloatArray) -> float:
    """J, kinetic and potential."""
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = position, velocity
    mujoco.mj_forward(model, data)
    mujoco.mj_energyPos(model, data)
    mujoco.mj_energyVel(model, data)
    return float(data.energy.sum())


CHECKS = (
    Check("free fall in 0.5 s", "m", 0.125 * GRAVITY, 0.006, free_fall),
    Check("pendulum period, 90 degrees", "s", exact_period(), 1e-4, pendulum_period),
    Check("slope on which a brick starts", "rad", math.atan(FRICTION), 0.02, slope_start),
    Check(
        "acceleration on a slope of 0.7 rad",
        "m/s²",
        GRAVITY * (math.sin(0.7) - FRICTION * math.cos(0.7)),
        0.05,
        slope_acceleration,
    ),
    Check("weight on a touch sensor", "N", 2.0 * GRAVITY, 0.2, weight),
    Check("inertia matrix of the Qube, relative error", "1", 0.0, 1e-4, mass_matrix),
    Check("servo step, largest error", "rad", 0.0, 5e-3, servo_step),
    Check("energy drift of a double pendulum", "1", 0.0, 0.1, energy_drift),
)
