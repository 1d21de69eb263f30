"""Benchmarks behind `simreal bench`: each returns numbers that its caller prints."""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mujoco.batch import Batch

from simreal.action import ActionPipeline
from simreal.deploy.drivers import open_driver
from simreal.deploy.loop import deploy
from simreal.deploy.policy import load_policy
from simreal.env import BatchEnv
from simreal.environment import make_environment
from simreal.episodes import begin_episodes
from simreal.errors import UserError
from simreal.evaluate import Act, evaluate, goal_share_of_log, load_candidate, run_episodes, summarize
from simreal.experiment import ExperimentConfig, load_experiment
from simreal.logs.messages import read_messages
from simreal.physics import MujocoPhysics

TIMED_STEPS = 200
SOLVED = 0.9
CHECK_EPISODES = 64
WORTH_A_CHECK = 0.2
"""Success of recent training episodes from which on the deterministic policy is checked."""


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


def speed_of(step: Callable[[Any], object], actions: Any) -> float:
    """Environment steps/s of a function that steps all simulations, over given actions."""
    start = time.perf_counter()
    for action in actions:
        step(action)
    steps = int(actions.shape[0] * actions.shape[1])
    return steps / (time.perf_counter() - start)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": float(np.median(values)), "min": min(values), "max": max(values)}


def percentiles_ms(seconds: Sequence[float], shares: Sequence[int] = (50, 90, 99)) -> dict[str, float]:
    """Percentiles in ms of times in s, as ``p50`` and so on."""
    return {f"p{share}": 1e3 * float(np.percentile(seconds, share)) for share in shares}


def time_to_solve(
    experiment: str,
    agent: str,
    seeds: Sequence[int],
    limit: float | None,
    tell: Callable[[str], object] = lambda text: None,
) -> dict[str, Any]:
    """Wall time from the start of training until the deterministic policy meets the bar.

    The bar: the goal holds in 90 % of the second half of evaluation episodes, in the mean over
    `CHECK_EPISODES` randomized episodes from the task's start. The checks count as training time;
    they begin once the training's own episodes look like it.
    Afterwards 200 fresh episodes confirm it. `tell` hears of each check.
    """
    results = [_solve_once(experiment, agent, seed, limit, tell) for seed in seeds]
    return {"experiment": experiment, "agent": agent, "bar": SOLVED, "runs": results}


def _solve_once(
    experiment: str, agent: str, seed: int, limit: float | None, tell: Callable[[str], object]
) -> dict[str, Any]:
    from simreal.agents.build import acting, exported
    from simreal.train import start_run, train

    config = load_experiment(experiment, [f"agent={agent}"])
    began = time.monotonic()
    state: dict[str, Any] = {"next_check": 5.0, "solved_after": None, "history": []}

    def act_of(algorithm: Any) -> Act:
        return acting(exported(algorithm, algorithm.get_env().batch.contract))

    def stop(algorithm: Any) -> bool:
        elapsed = time.monotonic() - began
        promising = np.mean(algorithm.ep_success_buffer or [0.0]) > WORTH_A_CHECK
        if elapsed < state["next_check"]:
            return limit is not None and elapsed > limit
        if not promising:
            state["next_check"] = elapsed + 10.0
            tell(f"seed {seed}: {elapsed:.0f} s, {algorithm.num_timesteps} steps, not promising yet")
            return limit is not None and elapsed > limit
        episodes = run_episodes(act_of(algorithm), config, CHECK_EPISODES, seed=10_000 + seed)
        share = summarize(episodes).goal_share.value
        elapsed = time.monotonic() - began
        state["history"].append([round(elapsed, 1), algorithm.num_timesteps, round(share, 4)])
        tell(f"seed {seed}: {elapsed:.0f} s, {algorithm.num_timesteps} steps, goal held {share:.3f}")
        state["next_check"] = elapsed + max(3.0, 0.05 * elapsed)
        if share >= SOLVED:
            state["solved_after"] = elapsed
            episodes = run_episodes(act_of(algorithm), config, 200, seed=20_000 + seed)
            state["confirmed"] = summarize(episodes).goal_share.value
        return share >= SOLVED or (limit is not None and elapsed > limit)

    with tempfile.TemporaryDirectory() as folder:
        run = start_run(config, seed, Path(folder) / "run")
        train(run, stop_early=stop)
    return {
        "seed": seed,
        "solved_after_s": state["solved_after"],
        "goal_share_200_fresh_episodes": state.get("confirmed"),
        "steps": state["history"][-1][1] if state["history"] else None,
        "history_s_steps_share": state["history"],
    }


def replay_identity(policy: Path, episodes: int) -> dict[str, Any]:
    """Record episodes in a batch; replay each alone from seed, draw and actions; compare bits."""
    candidate = load_candidate(policy)
    experiment = candidate.experiment
    if not isinstance(experiment, ExperimentConfig):
        raise UserError(f"{policy}: of dm_control; what is replayed here are robots")
    env = BatchEnv(experiment, episodes, seed=3)
    observation = env.reset()
    actions, positions, observations = [], [], [observation]
    ended: dict[int, tuple[Any, int]] = {}
    for step_number in range(experiment.episode_steps):
        action = candidate.act(observation, env.images)
        step = env.step(action)
        observation = step.observation
        actions.append(action)
        positions.append(env.physics.position_trace.copy())
        observations.append(observation)
        rows = np.flatnonzero(step.terminated | step.truncated).tolist()
        begin_episodes(candidate.act, np.array(rows, dtype=np.intp))
        for row, episode in zip(rows, step.episodes, strict=True):
            ended.setdefault(row, (episode, step_number + 1))
    different = []
    alone = BatchEnv(experiment, 1, seed=99, threads=1)
    for row, (episode, length) in ended.items():
        draw = np.array([list(episode.draw.values())])
        first = alone.begin(np.array([0]), np.array([episode.seed], dtype=np.uint64), draw)
        same = np.array_equal(first[0], observations[0][row])
        for number in range(length):
            step = alone.step(actions[number][row : row + 1])
            trace = alone.physics.position_trace[0]
            same &= np.array_equal(trace, positions[number][row])
            if number + 1 < length:
                same &= np.array_equal(step.observation[0], observations[number + 1][row])
        if not same:
            different.append(row)
    return {
        "policy": candidate.name,
        "episodes": len(ended),
        "different": different,
        "identical": not different,
    }


def export_parity(run: Path, policy: Path, episodes: int) -> dict[str, Any]:
    """Agent against exported policy: largest action difference, and both evaluations."""
    agent, exported = load_candidate(run), load_candidate(policy)
    env = make_environment(agent.experiment, 64, seed=7)
    rng = np.random.default_rng(0)
    observation, largest, number = env.reset(), 0.0, 0
    while number < 10_000:
        action = agent.act(observation, env.images)
        largest = max(largest, float(np.abs(action - exported.act(observation, env.images)).max()))
        number += len(observation)
        step = env.step(action + 0.3 * rng.standard_normal(action.shape))
        observation, ended = step.observation, np.flatnonzero(step.terminated | step.truncated)
        for candidate in (agent, exported):
            begin_episodes(candidate.act, ended)
    of_agent, of_exported = (evaluate(candidate, episodes).summary for candidate in (agent, exported))
    mean = of_agent.mean_return.value
    return {
        "observations": number,
        "largest_action_difference": largest,
        "episodes": episodes,
        "return": {
            "run": mean,
            "policy": of_exported.mean_return.value,
            "relative_difference": abs(of_exported.mean_return.value - mean) / abs(mean),
        },
        "success": {"run": of_agent.success.value, "policy": of_exported.success.value},
        "goal_share": {"run": of_agent.goal_share.value, "policy": of_exported.goal_share.value},
    }


def deployment(policy: Path, driver: str, duration: float) -> dict[str, Any]:
    """Deploy in real time; from the log, the share of the second half in which the goal held."""
    loaded = load_policy(policy)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flight.mcap"
        outcome = deploy(
            loaded,
            open_driver(driver, loaded.contract.robot.name, loaded.contract.provenance.task),
            duration,
            path,
        )
        log = read_messages(path)
    return {
        "driver": driver,
        "duration_s": duration,
        "control_rate_hz": loaded.contract.control_rate,
        "ended_by": outcome.ended_by,
        "fault": outcome.fault,
        "cycles": outcome.cycles,
        "overruns": outcome.overruns,
        "overrun_share": outcome.overruns / max(1, outcome.cycles + outcome.overruns),
        "log_entries_dropped": outcome.dropped,
        "goal_share_second_half": goal_share_of_log(
            log, loaded.contract.provenance.task, round(duration * loaded.contract.control_rate)
        ),
        "timing": outcome.timing,
    }
