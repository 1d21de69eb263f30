"""Builds the simulated robots on which a randomization acts."""

from collections.abc import Mapping

from simreal import latencies
from simreal.errors import UserError
from simreal.physics.engines import EngineName, find_engine
from simreal.physics.model import Scene
from simreal.randomization.actuation import Actuation
from simreal.randomization.camera_effects import CameraEffects
from simreal.randomization.events import Events
from simreal.randomization.ground import Ground, TerrainScene
from simreal.randomization.inertia import Inertia
from simreal.randomization.residual import Residual, ResidualModel
from simreal.randomization.sensing import SLOWEST_SENSOR_RATE, Sensing
from simreal.randomization.specification import Specification, reach
from simreal.randomization.tracker import tracked_objects
from simreal.randomization.world import World
from simreal.robots import Robot


def build_world(
    robot: Robot,
    count: int,
    specification: Specification,
    pins: Mapping[str, float],
    control_rate: float | None = None,
    threads: int = 0,
    scene: Scene | None = None,
    engine: EngineName = "mujoco",
    residual: ResidualModel | None = None,
) -> World:
    """Simulate a robot, with histories as long as the latencies that may be drawn.

    Args:
        robot: which.
        count: number of simulations.
        specification: what will be randomized.
        pins: randomized parameters to hold at a value.
        control_rate: Hz; one physics step per control step if absent.
        threads: of the physics; 0 for every processor.
        scene: adds what stands around the robot.
        engine: which simulates them.
        residual: adds torques that the model lacks.

    Raises:
        UserError: names or ranges that do not fit the robot, an engine that cannot simulate it, or a
            residual that is of another robot or meets torque pulses, which act by the same field.
    """
    longest = sum(reach(specification, pins, name)[1] for name in latencies.OF_ACTIONS)
    action_latency = 1e-3 * longest
    physics = find_engine(engine)(robot, count, control_rate, action_latency, threads, scene)
    joints = len(robot.description.joints)
    oldest = _oldest_reading(specification, pins, physics.timestep)
    objects = tracked_objects(physics.model)
    sensing = Sensing(robot.config.sensing, count, joints, physics.timestep, oldest, len(objects))
    actuation = Actuation(robot.description, physics)
    inertia, events, camera = Inertia(physics), Events(physics, actuation), CameraEffects(count)
    imu = robot.config.sensing.imu
    ground = Ground(scene.terrain, count) if isinstance(scene, TerrainScene) else None
    added = None
    if residual is not None:
        if reach(specification, pins, "torque_pulse")[1] > 0.0:
            raise UserError("torque_pulse: not together with a residual")
        added = Residual(residual, robot.description, physics)
    around = (imu, objects, ground, added)
    return World(robot.description, physics, inertia, actuation, sensing, events, camera, *around)


def _oldest_reading(specification: Specification, pins: Mapping[str, float], timestep: float) -> float:
    """s, the age at which a controller may still be given a measurement."""
    own = max(reach(specification, pins, name)[1] for name in latencies.OF_DEVICES)
    of_all = sum(reach(specification, pins, name)[1] for name in latencies.OF_ALL_SENSORS)
    late = 1e-3 * (own + of_all)
    slowest, _ = reach(specification, pins, "sensor_rate_hz", 1.0 / timestep)
    late = max(0.0, late)
    # The randomizer refuses a rate below that, and a latency below zero, and says where they stand.
    period = 1.0 / max(slowest, SLOWEST_SENSOR_RATE)
    return late + period if period > timestep * (1.0 + 1e-9) else late
