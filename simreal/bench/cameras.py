"""How many images of a camera there are in a second, behind `simreal bench cameras`."""

import time
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np

from simreal.bench.timing import spread
from simreal.cameras.open_gl import OpenGLCamera
from simreal.cameras.posed import Posed
from simreal.cameras.ray_cast import RayCaster
from simreal.env import BatchEnv
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.physics.mujoco_engine import MujocoPhysics

IMAGES_BY_GL = 32
"""Drawn one after another in each repeat."""


def camera_speed(experiment: str, size: int, simulations: int, repeats: int) -> dict[str, Any]:
    """Colour images/s of the first camera of an experiment, with its randomized visuals.

    In turns: the ray caster, with and without what a lens and a sensor do; the lean OpenGL camera; and
    `mujoco.Renderer` as it comes, of the same model. The ray caster uses every processor, as does what
    draws OpenGL in software.

    Args:
        experiment: with a camera.
        size: pixels each way.
        simulations: that the ray caster draws together.
        repeats: of each.
    """
    config = load_experiment(experiment)
    if not config.cameras:
        raise UserError(f"{experiment}: has no cameras")
    name = config.cameras[0].name
    env = BatchEnv(config, simulations)
    env.reset(seed=0)
    physics, effects = env.physics, env.camera_effects
    assert isinstance(physics, MujocoPhysics)
    posed, ids = Posed(physics), np.arange(simulations)
    rays = RayCaster(posed, name, size, size)
    random, few = EpisodeRandom(episode_seed(0, ids)), ids[:IMAGES_BY_GL]
    posed.pose(ids, physics.configuration)

    def ray_cast() -> int:
        posed.pose(ids, physics.configuration)
        return len(rays.colour(ids))

    def as_taken() -> int:
        posed.pose(ids, physics.configuration)
        return len(effects.apply(rays.colour(ids), random, 1, name))

    ways: dict[str, Callable[[], int]] = {"ray_cast": ray_cast, "ray_cast_as_taken": as_taken}
    try:
        lean = OpenGLCamera(posed, name, size, size)
        ways["lean_open_gl"] = lambda: len(lean.colour(few))
        ways["mujoco_renderer"] = _default_renderer(physics, name, size, few)
    except UserError as error:
        return {"no_open_gl": str(error), **_speeds(ways, repeats)}
    speeds = _speeds(ways, repeats)
    reference = np.array(speeds["mujoco_renderer"]["each"])
    times = {way: np.array(speeds[way]["each"]) / reference for way in ways if way != "mujoco_renderer"}
    for way in speeds.values():
        del way["each"]
    ratios = {f"{way}_times": spread(found.tolist()) for way, found in times.items()}
    return {"experiment": experiment, "size": size, "simulations": simulations, **speeds, **ratios}


def _default_renderer(
    physics: MujocoPhysics, camera: str, size: int, ids: np.ndarray[Any, Any]
) -> Callable[[], int]:
    """`mujoco.Renderer` as it comes; what is drawn is made ready beforehand."""
    data = []
    for simulation in ids:
        each = mujoco.MjData(physics.model)
        each.qpos[:] = physics.configuration[simulation]
        mujoco.mj_forward(physics.model, each)
        data.append(each)
    renderer = mujoco.Renderer(physics.model, size, size)

    def draw() -> int:
        for each in data:
            renderer.update_scene(each, camera)
            renderer.render()
        return len(data)

    return draw


def _speeds(ways: dict[str, Callable[[], int]], repeats: int) -> dict[str, Any]:
    """Images/s of each way, in turns; the first of each only warms up."""
    found: dict[str, list[float]] = {way: [] for way in ways}
    for repeat in range(repeats + 1):
        for way, draw in ways.items():
            began = time.perf_counter()
            number = draw()
            if repeat:
                found[way].append(number / (time.perf_counter() - began))
    return {way: {**spread(speeds), "each": speeds} for way, speeds in found.items()}
