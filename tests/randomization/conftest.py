from collections.abc import Callable

import pytest

from simreal.physics import MujocoPhysics
from simreal.randomization.actuation import Actuation
from simreal.randomization.inertia import Inertia
from simreal.randomization.sensing import Sensing
from simreal.randomization.world import World
from simreal.robots import load_robot

MakeWorld = Callable[..., World]


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
        return World(robot.description, physics, Inertia(physics), Actuation(physics), sensing)

    return make
