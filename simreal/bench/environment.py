"""How fast an environment steps, against a bare batch of the same robots."""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from mujoco.batch import Batch

from simreal.action import ActionPipeline
from simreal.bench.timing import speed_of, spread
from simreal.env import BatchEnv
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.physics import MujocoPhysics

TIMED_STEPS = 200


def environment_speed(
    experiment: str, simulations: int, repeats: int, envpool: str | None = None
) -> dict[str, Any]:
    """Steps/s of the environment and of bare `Batch.step`, in turn, under random actions.

    The bare batch has the same compiled model, the same per-simulation fields, the same number of
    simulations, threads and substeps. Before each step it is given the state of the environment, off
    the clock, so that both move the same robots in the same places.

    Args:
        experiment: to be timed.
        simulations: stepped together.
        repeats: of `TIMED_STEPS` each.
        envpool: an environment of EnvPool to time in turn with them, with as many simulations.
    """
    config = load_experiment(experiment)
    env = BatchEnv(config, simulations, seed=0)
    env.reset()
    pair = _Pair(env)
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1.0, 1.0, (TIMED_STEPS, simulations, env.action_size))
    other = None if envpool is None else _envpool_step(envpool, simulations)
    measured: dict[str, list[float]] = {"bare": [], "environment": [], "ratio": []}
    if other is not None:
        measured |= {"envpool": [], "to_envpool": []}
    for _ in range(repeats):
        bare, full = pair.seconds(actions)
        steps = TIMED_STEPS * simulations
        measured["bare"].append(steps / bare)
        measured["environment"].append(steps / full)
        measured["ratio"].append(bare / full)
        if other is not None:
            measured["envpool"].append(speed_of(other, rng.uniform(-1.0, 1.0, (50, simulations, 12))))
            measured["to_envpool"].append(measured["environment"][-1] / measured["envpool"][-1])
    return {
        "experiment": experiment,
        "simulations": simulations,
        "repeats": repeats,
        **{name: spread(values) for name, values in measured.items()},
    }


class _Pair:
    """An environment, and a bare batch of the same robots."""

    def __init__(self, env: BatchEnv) -> None:
        assert isinstance(env.physics, MujocoPhysics)
        self._env, self._physics = env, env.physics
        self._bare = Batch(env.physics.model, env.count)
        self._bare.reset()
        self._fields = {name: self._bare.expand(name) for name in env.physics.expanded_fields}
        self._to_command = ActionPipeline(env.contract, (env.count,))

    def seconds(self, actions: Any) -> tuple[float, float]:
        """Of the bare batch and of the environment, for the same (steps, count, size) actions."""
        bare = full = 0.0
        for action in actions:
            for name, values in self._fields.items():
                values[:] = self._physics.field(name)
            self._bare.state[:] = self._physics.state
            self._bare.ctrl[:] = self._to_command(action).target
            start = time.perf_counter()
            self._bare.step(nstep=self._physics.substeps)
            between = time.perf_counter()
            self._env.step(action)
            bare, full = bare + between - start, full + time.perf_counter() - between
        return bare, full


def _envpool_step(name: str, simulations: int) -> Callable[[Any], object]:
    """What steps an environment of EnvPool (C++), on every processor."""
    try:
        import envpool
    except ModuleNotFoundError:
        raise UserError(f"--envpool {name}: EnvPool is not installed: pip install envpool") from None
    pool = envpool.make(name, env_type="gymnasium", num_envs=simulations, num_threads=os.cpu_count())
    pool.reset()
    step: Callable[[Any], object] = pool.step
    return step
