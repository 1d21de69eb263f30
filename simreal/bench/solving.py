"""How long an agent trains until it meets the bar, behind `simreal bench solve`."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simreal.callbacks import Tell
from simreal.evaluate import Act, run_episodes, summarize
from simreal.experiment import load_experiment

SOLVED = 0.9
CHECK_EPISODES = 64
WORTH_A_CHECK = 0.2
"""Success of recent training episodes from which on the deterministic policy is checked."""


def time_to_solve(
    experiment: str,
    agent: str,
    seeds: Sequence[int],
    limit: float | None,
    tell: Tell,
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
    experiment: str, agent: str, seed: int, limit: float | None, tell: Tell
) -> dict[str, Any]:
    from simreal.agents.exported import acting, exported
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
