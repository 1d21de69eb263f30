"""The compiled law of the drives: the same within the engine's steps and between them."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.physics import MujocoPhysics
from simreal.physics.interface import Start, StepLaw
from simreal.randomization.build import build_world
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import ParameterConfig
from simreal.randomization.world import World
from simreal.robots import Robot

COUNT, CONTROL_STEPS = 8, 60
MODEL = """
<mujoco>
  <compiler angle="radian"/>
  <option timestep="0.002" integrator="implicitfast"/>
  <default><joint axis="0 1 0" damping="0.01" frictionloss="0.02" armature="0.004"/>
    <geom type="capsule" size="0.02" contype="0" conaffinity="0"/></default>
  <worldbody>
    <body><joint name="shoulder"/><geom fromto="0 0 0 0.3 0 0"/>
      <body pos="0.3 0 0"><joint name="free" frictionloss="0"/><geom fromto="0 0 0 0.1 0 0"/>
        <body pos="0.1 0 0"><joint name="elbow"/><geom fromto="0 0 0 0.2 0 0"/></body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position name="elbow" joint="elbow" kp="3" kv="0.1" gear="2" forcerange="-1 1"/>
    <motor name="shoulder" joint="shoulder" gear="-3" forcerange="-0.5 0.4" armature="1e-4"/>
  </actuator>
</mujoco>
"""
"""Actuators in another order than the joints, of both kinds, with gears of either sign."""
PARAMETERS = {
    "effort_limit": (0.5, 1.5), "corner_speed": (1.0, 3.0), "no_load_speed": (6.0, 12.0),
    "supply_sag": (0.0, 0.05), "backlash": (0.0, 0.02), "stribeck_friction": (1.0, 2.0),
    "stribeck_speed": (0.05, 0.2), "load_friction": (0.0, 0.1), "dead_zone": (0.0, 0.05),
    "action_latency_ms": (0.0, 15.0),
}  # fmt: skip


class Stopping(MujocoPhysics):
    """An engine that cannot run compiled code, and asks the law before each physics step."""

    def _advance(
        self, law: StepLaw | None, controls: NDArray[np.float64] | None = None
    ) -> NDArray[np.bool_]:
        assert controls is None
        single = {name: trace[:, :1].copy() for name, trace in self._trace.items()}
        failed = np.zeros(self.count, dtype=bool)
        for substep in range(self.substeps):
            if law is not None:
                law()
            failed |= self._batch.rollout(1, single)
            for name, trace in self._trace.items():
                trace[:, substep] = single[name][:, 0]
        return failed


def configured(names: tuple[str, ...]) -> dict[str, ParameterConfig]:
    def entry(name: str) -> ParameterConfig:
        low, high = PARAMETERS[name]
        distribution = {"type": "uniform", "low": low, "high": high}
        operation = None if name == "stribeck_friction" else "absolute"
        return ParameterConfig.model_validate({"operation": operation, "distribution": distribution})

    return {name: entry(name) for name in names}


def motion(world: World, names: tuple[str, ...], episodes: NDArray[np.int64]) -> NDArray[np.float64]:
    """(control steps, count, substeps, joints) of episodes, under the same commands."""
    ids = np.arange(len(episodes))
    random = EpisodeRandom(episode_seed(5, episodes))
    randomizer = Randomizer(configured(names), world)
    randomizer.apply(ids, randomizer.draw(random).values)
    still = np.zeros((len(ids), 3))
    world.reset(ids, Start(still, still + 0.5), np.zeros((len(ids), 2)), random)
    trace = []
    for step in range(CONTROL_STEPS):
        # Slow turns to and fro, so that gears meet and part and joints stick and slip.
        target = np.array([0.6 * np.sin(0.15 * step), 0.3 * np.sin(0.2 * step)])
        now = np.full(len(ids), step + 1)
        world.advance(np.tile(target, (len(ids), 1)), random, now)
        trace.append(world.physics.position_trace.copy())
    return np.stack(trace)


ALL = tuple(PARAMETERS)
ALONE = [(name,) for name in ("backlash", "load_friction", "dead_zone", "stribeck_friction")]
CURVE = ("corner_speed", "no_load_speed", "effort_limit")


@pytest.mark.parametrize("names", [ALL, CURVE, *ALONE], ids=lambda names: names[0])
def test_it_is_the_same_between_steps_and_within_them(
    names: tuple[str, ...], make_robot: Callable[[str], Robot], monkeypatch: pytest.MonkeyPatch
) -> None:
    robot, episodes = make_robot(MODEL), np.arange(COUNT)
    within = motion(build_world(robot, COUNT, configured(names), {}, 100.0), names, episodes)
    monkeypatch.setattr("simreal.physics.engines.MujocoPhysics", Stopping)
    between = motion(build_world(robot, COUNT, configured(names), {}, 100.0), names, episodes)
    np.testing.assert_array_equal(within, between)
    plain = motion(build_world(robot, COUNT, {}, {}, 100.0), (), episodes)
    assert np.abs(within - plain).max() > 1e-5, "nothing has acted"


def test_an_episode_alone_is_that_of_a_batch(make_robot: Callable[[str], Robot]) -> None:
    robot, specification = make_robot(MODEL), configured(ALL)
    many = motion(build_world(robot, 64, specification, {}, 100.0), ALL, np.arange(64))
    assert np.isfinite(many).all()
    for episode in (0, 17, 63):
        world = build_world(robot, 1, specification, {}, 100.0, threads=1)
        alone = motion(world, ALL, np.array([episode]))
        np.testing.assert_array_equal(alone[:, 0], many[:, episode])


def test_the_fields_of_other_simulations_stay_as_they_were_written(
    make_robot: Callable[[str], Robot],
) -> None:
    world = build_world(make_robot(MODEL), COUNT, configured(ALL), {}, 100.0)
    motion(world, ALL, np.arange(COUNT))
    limits = world.physics.field("actuator_forcerange").copy()
    armature = world.physics.field("dof_armature").copy()
    world.physics.step(np.zeros((COUNT, 2)))
    np.testing.assert_array_equal(world.physics.field("dof_armature"), armature)
    np.testing.assert_array_equal(world.physics.field("actuator_forcerange"), limits)
