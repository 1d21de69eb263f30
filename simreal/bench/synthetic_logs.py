"""Logs of simulated robots, without a fault: what checks of logs are tried on."""

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from simreal.logs.robot_log import UNITS, Channel, RobotLog
from simreal.physics.model import compile_model
from simreal.robots import load_robot
from simreal.state import FloatArray

QUBE_RATE, QUBE_SECONDS = 250.0, 10.0
QUBE_LARGEST = 1.6
"""rad, of its arm: it must not hit its stops."""
FLICK, FLICK_SECONDS = 0.02, 0.1
"""N·m on its pendulum, and s."""
ARM_RATE, ARM_SECONDS = 200.0, 12.0
ARM_JOINTS = ("base", "shoulder", "elbow")
ARM_POSTURE = np.array([0.0, 0.8, -1.5])
ARM_INERTIA = np.array([0.05, 0.04, 0.02])
"""kg·m²."""
ARM_STIFFNESS, ARM_DAMPING, ARM_FRICTION = 20.0, 1.0, 0.1
"""N·m/rad, N·m·s/rad, N·m."""
SUBSTEPS = 10
LEG_RATE, LEG_SECONDS = 250.0, 12.0


def channel(name: str, time: FloatArray, values: FloatArray, names: tuple[str, ...]) -> Channel:
    """A standard channel of joints that turn."""
    return Channel(time, values, names, (UNITS[name],) * len(names))


def excitation_signal(random: np.random.Generator, time: FloatArray, channels: int) -> FloatArray:
    """(n, channels) in about [-1, 1]: a falling chirp and two sines, other ones in each channel."""
    columns = []
    for _ in range(channels):
        high, low = random.uniform(3, 5), random.uniform(0.2, 0.5)
        phase = 2 * np.pi * (high * time + 0.5 * (low - high) / time[-1] * time**2)
        slow, fast = random.uniform(0.3, 0.7), random.uniform(1.0, 2.0)
        turn = random.uniform(0, 2 * np.pi, 3)
        waves = np.sin(phase + turn[0]), np.sin(2 * np.pi * slow * time + turn[1])
        columns.append(
            0.5 * waves[0] + 0.25 * waves[1] + 0.25 * np.sin(2 * np.pi * fast * time + turn[2])
        )
    return np.stack(columns, axis=1)


def qube_log(seed: int, pushed_at: float | None = None) -> RobotLog:
    """A Qube under a voltage, with its encoders and its derivative filter.

    Args:
        seed: of its voltage.
        pushed_at: s, at which a finger flicks the pendulum.
    """
    random = np.random.default_rng(seed)
    robot = load_robot("qube")
    model = compile_model(robot)
    every = round(1 / (QUBE_RATE * model.opt.timestep))
    time = np.arange(round(QUBE_SECONDS * QUBE_RATE)) / QUBE_RATE
    voltage = random.uniform(1.2, 1.8) * excitation_signal(random, time, 1)
    fine = _simulated(model, voltage, every)
    while np.abs(fine[:, 0]).max() > QUBE_LARGEST:
        voltage = 0.8 * voltage
        fine = _simulated(model, voltage, every)
    if pushed_at is not None:
        fine = _simulated(model, voltage, every, pushed_at)
    resolution = robot.config.sensing.encoder_resolution
    counted = resolution * np.round(fine / resolution)
    velocity = _filtered(counted, float(robot.config.sensing.velocity_filter or 0), model.opt.timestep)
    joints = robot.description.joint_names
    return RobotLog(
        f"qube_{seed}",
        {
            "joint_position": channel("joint_position", time, counted[::every], joints),
            "joint_velocity": channel("joint_velocity", time, velocity[::every], joints),
            "commanded_voltage": channel("commanded_voltage", time, voltage, ("motor",)),
        },
        joints,
        {"motor": "arm"},
        "qube",
    )


def _simulated(
    model: mujoco.MjModel, voltage: FloatArray, every: int, pushed_at: float = np.inf
) -> FloatArray:
    """(n * every, nv) positions, at the steps of the physics."""
    data = mujoco.MjData(model)
    fine = np.empty((len(voltage) * every, model.nv))
    for row in range(len(fine)):
        fine[row] = data.qpos
        data.ctrl[:] = voltage[row // every]
        data.qfrc_applied[-1] = FLICK if pushed_at <= data.time < pushed_at + FLICK_SECONDS else 0.0
        mujoco.mj_step(model, data)
    return fine


def _filtered(position: FloatArray, corner: float, step: float) -> FloatArray:
    """Through the derivative filter w s / (s + w), by Euler steps from rest."""
    smooth, velocity = position[0].copy(), np.empty_like(position)
    for row, reading in enumerate(position):
        velocity[row] = corner * (reading - smooth)
        smooth = smooth + step * velocity[row]
    return velocity


def arm_log(seed: int, moving: float = ARM_SECONDS, pushed_from: float = ARM_SECONDS) -> RobotLog:
    """An arm of three position servos with efforts, on a rocking base with an IMU; no known robot.

    Args:
        seed: of its commands and noise.
        moving: s, after which the last command stays in force.
        pushed_from: s, from which on a hand pushes it to and fro.
    """
    random = np.random.default_rng(1000 + seed)
    time = np.arange(round(ARM_SECONDS * ARM_RATE)) / ARM_RATE
    asked = ARM_POSTURE + random.uniform(0.4, 0.6) * excitation_signal(random, time, len(ARM_JOINTS))
    asked[time > moving] = asked[time <= moving][-1]
    push = np.where(time > pushed_from, np.sin(2 * np.pi * 0.8 * (time - pushed_from)), 0.0)
    position, velocity, effort = _servos(asked, 8.0 * push)
    delivered = np.concatenate([effort[:1], effort[:-1]])
    delivered = delivered + 0.02 * effort.std() * random.standard_normal(effort.shape)
    resolution = 2 * np.pi / 16384
    tables = {
        "joint_position": resolution * np.round(position / resolution),
        "joint_velocity": velocity + 0.01 * random.standard_normal(velocity.shape),
        "joint_effort": delivered,
        "commanded_position": asked,
        "commanded_effort": effort,
    }
    log = RobotLog(f"arm_{seed}", joint_names=ARM_JOINTS, actuator_joints={n: n for n in ARM_JOINTS})
    for name, values in tables.items():
        log.channels[name] = channel(name, time, values, ARM_JOINTS)
    log.channels |= _inertial(random, time)
    return log


def leg_log(seed: int) -> RobotLog:
    """A leg of two position servos on a stand, with the efforts that they measure.

    Args:
        seed: of its commands and noise.
    """
    random = np.random.default_rng(2000 + seed)
    robot = load_robot("can_leg")
    model = compile_model(robot)
    every = round(1 / (LEG_RATE * model.opt.timestep))
    time = np.arange(round(LEG_SECONDS * LEG_RATE)) / LEG_RATE
    joints, posture = robot.description.joint_names, np.array(robot.description.default_position)
    swing = random.uniform(0.4, 0.6, 2) * excitation_signal(random, time, 2)
    asked = posture + np.minimum(time, 1.0)[:, None] * swing
    position, velocity, effort = _followed(model, asked, every)
    resolution = robot.config.sensing.encoder_resolution
    tables = {
        "joint_position": resolution * np.round(position / resolution),
        "joint_velocity": velocity + 0.01 * random.standard_normal(velocity.shape),
        "joint_effort": effort + 0.02 * random.standard_normal(effort.shape),
        "commanded_position": asked,
    }
    channels = {name: channel(name, time, values, joints) for name, values in tables.items()}
    return RobotLog(f"leg_{seed}", channels, joints, {name: name for name in joints}, "can_leg")


def _followed(
    model: mujoco.MjModel, asked: FloatArray, every: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(n, joints) positions, velocities and efforts of servos that have come to rest before."""
    data = mujoco.MjData(model)
    data.qpos[:] = data.ctrl[:] = asked[0]
    mujoco.mj_step(model, data, nstep=1000)
    rows = []
    for target in asked:
        rows.append((data.qpos.copy(), data.qvel.copy(), data.qfrc_actuator.copy()))
        data.ctrl[:] = target
        mujoco.mj_step(model, data, nstep=every)
    position, velocity, effort = (np.array(each) for each in zip(*rows, strict=True))
    return position, velocity, effort


def _servos(asked: FloatArray, push: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    position, velocity = asked[0].copy(), np.zeros(asked.shape[1])
    rows = []
    step = 1 / (ARM_RATE * SUBSTEPS)
    for target, pushed in zip(asked, push, strict=True):
        effort = ARM_STIFFNESS * (target - position) - ARM_DAMPING * velocity
        rows.append((position.copy(), velocity.copy(), effort))
        for _ in range(SUBSTEPS):
            friction = ARM_FRICTION * np.tanh(velocity / 0.02)
            velocity = velocity + step * (effort + pushed - friction) / ARM_INERTIA
            position = position + step * velocity
    return tuple(np.array(each) for each in zip(*rows, strict=True))  # type: ignore[return-value]


def _inertial(random: np.random.Generator, time: FloatArray) -> dict[str, Channel]:
    angles = 0.3 * excitation_signal(random, time, 3)
    turn = Rotation.from_euler("xyz", angles)
    step = float(time[1] - time[0])
    rate = (turn[:-1].inv() * turn[1:]).as_rotvec() / step
    axes = ("x", "y", "z")
    tables = {
        "orientation": (turn.as_quat(scalar_first=True), ("w", *axes)),
        "angular_velocity": (np.concatenate([rate, rate[-1:]]), axes),
        "linear_acceleration": (turn.inv().apply([0, 0, 9.81]), axes),
    }
    noise = {"angular_velocity": 0.01, "linear_acceleration": 0.05}
    return {
        name: channel(
            name, time, values + noise.get(name, 0.0) * random.standard_normal(values.shape), names
        )
        for name, (values, names) in tables.items()
    }
