"""Benchmarks of the adapter of dm_control, against stable-baselines3 on plain dm_control."""

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import SubprocVecEnv, VecEnv, VecNormalize

from simreal.agents.build import ACTIVATIONS
from simreal.agents.config import PPOConfig
from simreal.agents.normalizer import CLIP
from simreal.bench.kept_results import kept
from simreal.bench.timing import spread
from simreal.callbacks import Tell
from simreal.errors import UserError
from simreal.evaluate import interval_json, load_candidate, run_episodes
from simreal.experiment import SuiteExperiment, load_any_experiment
from simreal.images import NO_IMAGES
from simreal.spaces import unbounded_space
from simreal.statistics import mean_interval
from simreal.suite.env import SuiteEnv
from simreal.suite.simulation import DIVERGED, TERMINATED, TRUNCATED, Simulation
from simreal.suite.tasks import suite_task_names
from simreal.train import start_run, train

TIMED_S = 3.0
"""s of stepping in each measurement."""


class PlainTask(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """A task as dm_control steps it, one simulation, with gymnasium's interface and nothing else."""

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, name: str, seed: int) -> None:
        """Load a task; its episodes follow from the seed."""
        self._simulation = Simulation(name)
        self._seeds = np.random.default_rng(seed)
        self._middle = 0.5 * (self._simulation.upper + self._simulation.lower)
        self._reach = 0.5 * (self._simulation.upper - self._simulation.lower)
        self.observation_space = unbounded_space(self._simulation.begin(0, {}).size)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, self._middle.shape, np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode."""
        return self._simulation.begin(int(self._seeds.integers(2**63)), {}), {}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Take one action in [-1, 1]."""
        outcome = self._simulation.step(self._middle + self._reach * action.astype(np.float64))
        terminated = outcome.status in (TERMINATED, DIVERGED)
        return outcome.observation, outcome.reward, terminated, outcome.status == TRUNCATED, {}


def plain_tasks(name: str, count: int, seed: int) -> SubprocVecEnv:
    """A process of stable-baselines3 for each simulation of a task."""
    made = [partial(PlainTask, name, seed * 100_003 + number) for number in range(count)]
    return SubprocVecEnv(made, start_method="forkserver")  # type: ignore[arg-type]


def suite_tasks() -> dict[str, Any]:
    """Which tasks run on the batch, and why the others do not; those of composer never do."""
    found: dict[str, Any] = {}
    for name in suite_task_names():
        if "/manipulation-" in name or "/locomotion-" in name:
            found[name] = "one by one: of composer"
            continue
        try:
            env = SuiteEnv(load_suite_task(name), 1, threads=1)
        except Exception as error:  # of any kind: what dm_control cannot load is part of the answer
            found[name] = f"cannot be loaded here: {error}"
            continue
        found[name] = "batched" if env.is_batched else f"one by one: {env.not_batched}"
    return {"tasks": found, "batched": sum(each == "batched" for each in found.values())}


def suite_speed(
    tasks: Sequence[str], simulations: int, processes: int, repeats: int, tell: Tell
) -> dict[str, Any]:
    """Environment steps/s of the adapter and of `SubprocVecEnv` over the same tasks, in turn.

    Args:
        tasks: names.
        simulations: of the adapter.
        processes: of `SubprocVecEnv`, one simulation in each.
        repeats: of the pair of measurements.
        tell: hears of each task.
    """
    return {
        "simulations": simulations,
        "processes": processes,
        "tasks": {name: _task_speed(name, simulations, processes, repeats, tell) for name in tasks},
    }


def _task_speed(name: str, simulations: int, processes: int, repeats: int, tell: Tell) -> dict[str, Any]:
    env = SuiteEnv(load_suite_task(name), simulations)
    env.reset(seed=0)
    plain = plain_tasks(name, processes, seed=0)
    plain.reset()
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(repeats):
        theirs.append(_stepped_per_second(plain.step, processes, env.action_size))
        ours.append(_stepped_per_second(env.step, simulations, env.action_size))
    plain.close()
    env.close()
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    tell(f"{name}: {np.median(ours):.0f} against {np.median(theirs):.0f} steps/s")
    return {
        "batched": env.is_batched,
        "adapter_steps_per_second": spread(ours),
        "subproc_vec_env_steps_per_second": spread(theirs),
        "ratio": spread(ratios),
    }


def _stepped_per_second(step: Callable[[Any], object], count: int, action_size: int) -> float:
    rng = np.random.default_rng(0)
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < TIMED_S:
        step(rng.uniform(-1.0, 1.0, (count, action_size)).astype(np.float32))
        steps += count
    return steps / (time.perf_counter() - start)


def load_suite_task(name: str, overrides: Sequence[str] = ()) -> SuiteExperiment:
    """The experiment of a task of dm_control.

    Raises:
        UserError: the name is of something else.
    """
    experiment = load_any_experiment(name, overrides)
    if not isinstance(experiment, SuiteExperiment):
        raise UserError(f"{name}: not a task of dm_control")
    return experiment


def suite_return(
    tasks: Sequence[str],
    seeds: Sequence[int],
    steps: int,
    simulations: int,
    episodes: int,
    results: Path,
    tell: Tell = lambda text: None,
) -> dict[str, Any]:
    """Return of PPO through the adapter against stable-baselines3 on plain dm_control.

    Both have the hyperparameters of ``configs/dm_control.yaml``, the same number of simulations and
    the same budget; both normalise observations by running statistics and clip them at 10. What is
    compared is the deterministic policy at the end, over fresh episodes. Trainings differ much by
    their seeds, and so each policy of the adapter's is also judged on plain dm_control: what it is
    worth there must not differ from what it is worth here.

    Args:
        tasks: names.
        seeds: of trainings, each of both kinds.
        steps: environment steps of each training.
        simulations: of each.
        episodes: of each evaluation.
        results: JSON, written after each training, so that a run can be stopped and continued.
        tell: hears of each training.
    """
    overrides = [f"train.total_steps={steps}", f"ppo.simulations={simulations}"]
    trained = {"adapter": _returns_of_adapter, "plain": _returns_of_plain}
    found: dict[str, Any] = {}
    for name in tasks:
        experiment = load_suite_task(name, overrides)
        returns: dict[str, list[float]] = {"adapter": [], "adapter's on plain": [], "plain": []}
        for seed in seeds:
            for kind, train_and_judge in trained.items():
                key = f"{name}/{kind}/{seed}/{steps}/{simulations}/{episodes}"
                judged = kept(results, key, partial(train_and_judge, experiment, seed, episodes))
                tell(f"{key}: {', '.join(f'{what} {value:.1f}' for what, value in judged.items())}")
                for what, value in judged.items():
                    returns[what].append(value)
        means = {kind: mean_interval(values) for kind, values in returns.items()}
        found[name] = {
            "returns": returns,
            "mean": {kind: interval_json(mean) for kind, mean in means.items()},
            "relative_difference": means["adapter"].value / means["plain"].value - 1.0,
            "relative_difference_of_one_policy": [
                here / there - 1.0
                for here, there in zip(returns["adapter"], returns["adapter's on plain"], strict=True)
            ],
        }
    return {"steps": steps, "simulations": simulations, "seeds": list(seeds), "tasks": found}


def _returns_of_adapter(experiment: SuiteExperiment, seed: int, episodes: int) -> dict[str, float]:
    """Mean returns of a policy that is trained through the adapter: there, and on plain dm_control."""
    with tempfile.TemporaryDirectory() as folder:
        run = start_run(experiment, seed, Path(folder) / "run")
        if not train(run):
            raise KeyboardInterrupt  # which the training took for a wish to save and end
        act = load_candidate(run.path).act
        done = run_episodes(act, experiment, episodes, seed=10_000 + seed)
    env = plain_tasks(experiment.task, experiment.ppo.simulations, 10_000 + seed)
    there = _mean_return(env, lambda seen: act(seen, NO_IMAGES), episodes)
    env.close()
    return {
        "adapter": float(np.mean([episode.episode_return for episode in done])),
        "adapter's on plain": there,
    }


def _returns_of_plain(experiment: SuiteExperiment, seed: int, episodes: int) -> dict[str, float]:
    """Mean return of a policy that stable-baselines3 trains and evaluates on plain dm_control."""
    config = experiment.ppo
    env = VecNormalize(
        plain_tasks(experiment.task, config.simulations, seed), norm_reward=False, clip_obs=CLIP
    )
    agent = PPO("MlpPolicy", env, seed=seed, device="cpu", **_plain_arguments(config))
    agent.learn(experiment.total_steps)
    env.training = False
    found = _mean_return(env, lambda seen: agent.predict(seen, deterministic=True)[0], episodes)
    env.close()
    return {"plain": found}


def _mean_return(env: VecEnv, act: Callable[[Any], Any], episodes: int) -> float:
    """Over the first episodes that end."""
    observation: Any = env.reset()
    running, ended = np.zeros(env.num_envs), list[float]()
    while len(ended) < episodes:
        observation, reward, done, _ = env.step(act(observation))
        running += reward
        ended += running[done].tolist()
        running[done] = 0.0
    return float(np.mean(ended[:episodes]))


def _plain_arguments(config: PPOConfig) -> dict[str, Any]:
    """The hyperparameters of a configuration, as stable-baselines3 names them."""
    first, last = config.learning_rate, config.learning_rate * config.final_learning_rate_share
    return {
        "learning_rate": lambda remaining: last + (first - last) * remaining,
        "n_steps": config.rollout_steps,
        "batch_size": min(config.batch_size, config.rollout_steps * config.simulations),
        "n_epochs": config.epochs,
        "gamma": config.discount,
        "gae_lambda": config.gae_lambda,
        "clip_range": config.clip_range,
        "ent_coef": config.entropy_coefficient,
        "vf_coef": config.value_coefficient,
        "max_grad_norm": config.gradient_norm,
        "target_kl": config.target_kl,
        "policy_kwargs": {
            "net_arch": list(config.hidden_layers),
            "activation_fn": ACTIVATIONS[config.activation],
            "log_std_init": config.initial_log_std,
        },
    }
