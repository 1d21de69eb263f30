"""Benchmarks of randomization behind `simreal bench`: its cost, and whether it is physical."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.bench.timing import speed_of, spread
from simreal.env import BatchEnv
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.experiment import ExperimentConfig, load_experiment
from simreal.physics.interface import Start
from simreal.randomization.build import build_world
from simreal.randomization.parameters import PARAMETERS
from simreal.randomization.parameters.dynamics import DYNAMICS
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import ParameterConfig, Specification, members
from simreal.robots import load_robot

PHYSICS_STEPS = 500
TIMED_STEPS = 200
TOLERANCE = 1e-9
"""Of the largest inertia: what rounding may do to a triangle inequality that holds with equality."""
WIDEST: dict[str, dict[str, Any]] = {
    "mass": {"type": "log_uniform", "low": 0.1, "high": 10.0},
    "centre_of_mass": {"type": "uniform", "low": -0.2, "high": 0.2},
    "inertia_stretch": {"type": "log_uniform", "low": 0.1, "high": 10.0},
    "inertia_shear": {"type": "uniform", "low": -3.0, "high": 3.0},
    "payload_mass": {"type": "uniform", "low": 0.0, "high": 100.0},
    "payload_position": {"type": "uniform", "low": -1.0, "high": 1.0},
    "link_length": {"type": "log_uniform", "low": 0.1, "high": 10.0},
}
"""Far beyond what any robot differs by from its model."""


def _only_dynamics(specification: Specification) -> dict[str, ParameterConfig]:
    return {
        name: config
        for name, config in specification.items()
        if all(member.parameter in DYNAMICS for member in members(name, config))
    }


def reset_cost(experiment: str, batch: int, repeats: int) -> dict[str, Any]:
    """Time of a reset with all dynamics parameters drawn, in physics steps of the same model.

    Both per simulation, amortized over a batch, on the same threads: drawing, writing, `mj_setConst`
    and the new state, against stepping.
    """
    config = load_experiment(experiment)
    specification = _only_dynamics(config.randomization)
    scene, rate = config.scene, config.control_rate
    world = build_world(load_robot(config.robot), batch, specification, {}, rate, scene=scene)
    randomizer = Randomizer(specification, world)
    ids = np.arange(batch)
    joints, actuators = len(world.robot.joints), len(world.robot.actuators)
    still, command = np.zeros((batch, joints)), np.zeros((batch, actuators))
    numbers = iter(range(10**9))

    def reset() -> None:
        random = EpisodeRandom(episode_seed(next(numbers), ids))
        randomizer.apply(ids, randomizer.draw(random).values)
        world.reset(ids, Start(still, still), command, random)

    steps_each = PHYSICS_STEPS // world.physics.substeps

    def step() -> None:
        for _ in range(steps_each):
            world.physics.step(command)

    resets, steps, ratios = [], [], []
    for _ in range(repeats):
        of_reset = _seconds(reset) / batch
        of_step = _seconds(step) / (batch * steps_each * world.physics.substeps)
        resets.append(1e6 * of_reset)
        steps.append(1e6 * of_step)
        ratios.append(of_reset / of_step)
    return {
        "experiment": experiment,
        "robot": config.robot,
        "parameters": sorted(
            {m.parameter.name for n, c in specification.items() for m in members(n, c)}
        ),
        "columns": len(randomizer.columns),
        "batch": batch,
        "reset_us": spread(resets),
        "physics_step_us": spread(steps),
        "steps_per_reset": spread(ratios),
    }


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def randomization_speed(experiment: str, simulations: int, repeats: int) -> dict[str, Any]:
    """Steps/s of an environment with its randomization, against the same with none, in turn."""
    config = load_experiment(experiment)
    none = config.model_copy(update={"randomization": {}, "pins": {}})
    envs = [BatchEnv(each, simulations, seed=0) for each in (config, none)]
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1.0, 1.0, (TIMED_STEPS, simulations, envs[0].action_size))
    for env in envs:
        env.reset()
        speed_of(env.step, actions[:20])
    speeds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for env, measured in zip(envs, speeds, strict=True):
            measured.append(speed_of(env.step, actions))
    ratios = [full / bare for full, bare in zip(*speeds, strict=True)]
    return {
        "experiment": experiment,
        "simulations": simulations,
        "columns": len(envs[0].randomizer.columns),
        "parameters_without_effect_here": _not_randomized(config, envs[0]),
        "randomized_steps_per_second": spread(speeds[0]),
        "plain_steps_per_second": spread(speeds[1]),
        "ratio": spread(ratios),
    }


def _not_randomized(config: ExperimentConfig, env: BatchEnv) -> list[str]:
    """Parameters that the experiment does not draw, so that what was measured is not all."""
    drawn = {m.parameter.name for n, c in config.randomization.items() for m in members(n, c)}
    return sorted(PARAMETERS.keys() - drawn)


def inertia_consistency(robot: str, draws: int) -> dict[str, Any]:
    """Sample inertias over the widest ranges, and count those that no distribution of mass has."""
    specification = {
        name: ParameterConfig.model_validate({"distribution": distribution})
        for name, distribution in WIDEST.items()
    }
    world = build_world(load_robot(robot), draws, specification, {})
    randomizer = Randomizer(specification, world)
    ids = np.arange(draws)
    randomizer.apply(ids, randomizer.draw(EpisodeRandom(episode_seed(0, ids))).values)
    mass, inertia = world.array("body_mass")[:, 1:], world.array("body_inertia")[:, 1:]
    frame = world.array("body_iquat")[:, 1:]
    return {
        "robot": robot,
        "draws": draws,
        "bodies": int(mass.shape[1]),
        "inconsistent": int(inconsistent(mass, inertia, frame).sum()),
    }


def inconsistent(
    mass: NDArray[np.float64], inertia: NDArray[np.float64], frame: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(...) whether a mass, (..., 3) principal inertias and (..., 4) frames are of no rigid body."""
    largest = inertia.max(axis=-1)
    slack = inertia.sum(axis=-1) - 2.0 * largest
    sane = np.isfinite(inertia).all(axis=-1) & (mass > 0) & (inertia > 0).all(axis=-1)
    turned = np.abs(np.linalg.norm(frame, axis=-1) - 1.0) < TOLERANCE
    physical: NDArray[np.bool_] = sane & turned & (slack >= -TOLERANCE * largest)
    return ~physical
