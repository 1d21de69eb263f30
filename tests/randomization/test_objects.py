"""The size of loose objects: what is larger is heavier, and lies higher."""

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom
from simreal.errors import UserError
from simreal.physics.interface import Start
from simreal.randomization.build import build_world
from simreal.randomization.objects import find_objects
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import ParameterConfig, Specification
from simreal.randomization.world import World
from simreal.robots import load_robot
from simreal.tasks.tabletop import CUBE_DENSITY, CUBE_HALF_SIZE, add_table_with_cube

GRAVITY = 9.81


def entry(low: float, high: float, target: str = "*") -> ParameterConfig:
    distribution = {"type": "uniform", "low": low, "high": high}
    return ParameterConfig.model_validate({"target": target, "distribution": distribution})


def randomized(
    specification: Specification, draws: NDArray[np.float64], timestep: float | None = None
) -> World:
    """An arm with a cube on its table, one simulation for each row of draws."""

    def scene(spec: mujoco.MjSpec) -> None:
        add_table_with_cube(spec)
        spec.option.timestep = timestep or spec.option.timestep

    world = build_world(load_robot("so101"), len(draws), specification, {}, scene=scene)
    Randomizer(specification, world).apply(np.arange(len(draws)), draws)
    world.commit(np.arange(len(draws)))
    return world


def let_lie(world: World, seconds: float) -> NDArray[np.float64]:
    """Heights of the cube's centre after a while on the table, m."""
    count = world.physics.count
    ids = np.arange(count)
    joints = np.zeros((count, 6))
    place = np.tile([0.25, 0.0, 0.05, 1.0, 0.0, 0.0, 0.0], (count, 1, 1))
    world.physics.reset(ids, Start(joints, joints, place), joints)
    for _ in range(round(seconds / world.physics.timestep)):
        world.physics.step(joints)
    return world.physics.free_position[:, 0, 2].copy()


def test_the_density_stays() -> None:
    sizes = np.array([[0.5], [1.0], [2.0]])
    world = randomized({"object_size": entry(0.5, 2.0)}, sizes)
    cube = world.physics.model.body("cube").id
    edge = 2.0 * CUBE_HALF_SIZE * sizes[:, 0]
    mass = world.physics.field("body_mass")[:, cube]
    np.testing.assert_allclose(mass, CUBE_DENSITY * edge**3, rtol=1e-9)
    inertia = world.physics.field("body_inertia")[:, cube]
    np.testing.assert_allclose(inertia, np.tile((mass * edge**2 / 6.0)[:, None], 3), rtol=1e-6)


def test_a_mass_drawn_as_well_multiplies_that_of_the_size() -> None:
    specification = {"object_size": entry(0.5, 2.0), "mass": entry(0.5, 2.0, "cube")}
    world = randomized(specification, np.array([[2.0, 0.5]]))
    cube = world.physics.model.body("cube").id
    compiled = CUBE_DENSITY * (2.0 * CUBE_HALF_SIZE) ** 3
    assert world.physics.field("body_mass")[0, cube] == pytest.approx(compiled * 8.0 * 0.5)
    # Twice as large at four times the mass: sixteen times the inertia.
    inertia = world.physics.field("body_inertia")[0, cube]
    np.testing.assert_allclose(inertia, 16.0 * compiled * (2.0 * CUBE_HALF_SIZE) ** 2 / 6.0, rtol=1e-6)


def test_each_lies_on_the_table_at_half_its_size() -> None:
    sizes = np.array([[0.6], [1.0], [1.7]])
    heights = let_lie(randomized({"object_size": entry(0.5, 2.0)}, sizes), 1.5)
    np.testing.assert_allclose(heights, CUBE_HALF_SIZE * sizes[:, 0], atol=5e-4)


def test_the_robot_does_not_change() -> None:
    world = randomized({"object_size": entry(0.5, 2.0)}, np.array([[2.0]]))
    model, cube = world.physics.model, world.physics.model.body("cube").id
    others = np.arange(model.nbody) != cube
    for name in ("body_mass", "body_inertia"):
        np.testing.assert_array_equal(
            world.physics.field(name)[0, others], getattr(model, name)[others], err_msg=name
        )
    geoms = model.geom_bodyid != cube
    np.testing.assert_array_equal(world.physics.field("geom_size")[0, geoms], model.geom_size[geoms])


@settings(max_examples=10)
@given(st.floats(0.3, 3.0))
def test_a_size_drawn_again_replaces_the_one_before(size: float) -> None:
    specification = {"object_size": entry(0.3, 3.0)}
    world = randomized(specification, np.array([[0.7]]))
    randomizer = Randomizer(specification, world)
    randomizer.apply(np.arange(1), np.array([[size]]))
    world.commit(np.arange(1))
    cube = world.physics.model.geom("cube").id
    found = world.physics.field("geom_size")[0, cube]
    np.testing.assert_allclose(found, CUBE_HALF_SIZE * size, rtol=1e-9)


def test_a_robot_without_loose_objects_has_none_to_size() -> None:
    specification = {"object_size": entry(0.5, 2.0)}
    with pytest.raises(UserError, match="object_size"):
        world = build_world(load_robot("qube"), 1, specification, {})
        Randomizer(specification, world).draw(EpisodeRandom(np.arange(1)))


def test_what_carries_something_or_is_a_mesh_is_no_loose_object() -> None:
    model = mujoco.MjModel.from_xml_string("""
        <mujoco>
          <asset><mesh name="tetrahedron" vertex="0 0 0 1 0 0 0 1 0 0 0 1"/></asset>
          <worldbody>
            <body name="carrier"><freejoint/><geom size="0.1"/>
              <body name="carried" pos="0 0 1"><joint/><geom size="0.1"/></body>
            </body>
            <body name="mesh" pos="2 0 0"><freejoint/><geom type="mesh" mesh="tetrahedron"/></body>
            <body name="ball" pos="4 0 0"><freejoint/><geom size="0.1"/><site/></body>
          </worldbody>
        </mujoco>""")
    assert [model.body(each.body).name for each in find_objects(model)] == ["ball"]
