"""Builds the simulated robots on which a randomization acts."""

from collections.abc import Mapping

from simreal.physics import MujocoPhysics
from simreal.randomization.actuation import Actuation
from simreal.randomization.inertia import Inertia
from simreal.randomization.randomizer import ParameterConfig, longest_latency
from simreal.randomization.sensing import Sensing
from simreal.randomization.world import World
from simreal.robots import Robot


def build_world(
    robot: Robot,
    count: int,
    specification: Mapping[str, ParameterConfig],
    pins: Mapping[str, float],
    control_rate: float | None = None,
    threads: int = 0,
) -> World:
    """Simulate a robot, with histories as long as the latencies that may be drawn.

    Args:
        robot: which.
        count: number of simulations.
        specification: what will be randomized.
        pins: randomized parameters to hold at a value.
        control_rate: Hz; one physics step per control step if absent.
        threads: of the physics; 0 for every processor.

    Raises:
        UserError: names or ranges that do not fit the robot.
    """
    action_latency = longest_latency(specification, pins, "action_latency_ms")
    sensor_latency = longest_latency(specification, pins, "sensor_latency_ms")
    physics = MujocoPhysics(robot, count, control_rate, action_latency, threads)
    joints = len(robot.description.joints)
    sensing = Sensing(robot.config.sensing, count, joints, physics.timestep, sensor_latency)
    return World(robot.description, physics, Inertia(physics), Actuation(physics), sensing)
