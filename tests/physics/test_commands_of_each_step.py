"""Commands that change within a control step, for what is recorded at another rate."""

import numpy as np

from simreal.physics import MujocoPhysics
from simreal.physics.interface import Start
from simreal.randomization.build import build_world
from simreal.randomization.parameters import PARAMETERS
from simreal.robots import load_robot


def test_commands_of_each_physics_step_act_as_control_steps_of_one_physics_step_do() -> None:
    commands = np.random.default_rng(0).uniform(-4, 4, (50, 3, 1))
    start = Start(np.tile([0.1, 0.4], (3, 1)), np.zeros((3, 2)))
    fine = MujocoPhysics(load_robot("qube"), 3, 500.0, threads=1)
    fine.reset(np.arange(3), start, np.zeros((3, 1)))
    expected = []
    for command in commands:
        fine.step(command)
        expected.append(fine.joint_position.copy())
    whole = MujocoPhysics(load_robot("qube"), 3, 10.0, threads=1)
    whole.reset(np.arange(3), start, np.zeros((3, 1)))
    whole.step(commands)
    np.testing.assert_array_equal(whole.position_trace, np.stack(expected, axis=1))


def test_so_they_do_where_friction_changes_at_each_of_them() -> None:
    commands = np.random.default_rng(0).uniform(-2, 2, (50, 3, 1))
    tracks = []
    for rate in (500.0, 10.0):
        world = build_world(load_robot("qube"), 3, {}, {}, rate, threads=1)
        for name, value in (("stribeck_friction", 2.0), ("load_friction", 0.1), ("dead_zone", 0.3)):
            everything = np.arange(len(PARAMETERS[name].elements(world)))
            write = PARAMETERS[name].writer(world, everything, "absolute")
            write(np.arange(3), np.full((3, 1), value))
        world.commit(np.arange(3))
        start = Start(np.tile([0.1, 0.4], (3, 1)), np.zeros((3, 2)))
        world.physics.reset(np.arange(3), start, np.zeros((3, 1)))
        parts = np.split(commands, 1 if rate == 10.0 else 50)
        track = []
        for part in parts:
            world.actuation.play(part)
            track.append(world.physics.position_trace.copy())
        tracks.append(np.concatenate(track, axis=1))
    np.testing.assert_array_equal(tracks[0], tracks[1])
