"""Whether a policy file does what its run did: episodes again, exported actions, and a deployment."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from simreal.agents.exported import exported
from simreal.deploy.drivers import open_driver
from simreal.deploy.inference import IMAGE
from simreal.deploy.loop import deploy
from simreal.deploy.policy import load_policy
from simreal.env import BatchEnv
from simreal.episodes import begin_episodes
from simreal.errors import UserError
from simreal.evaluate import evaluate, load_candidate
from simreal.experiment import ExperimentConfig
from simreal.export import largest_difference
from simreal.goal_in_log import goal_share_of_log
from simreal.images import Images
from simreal.logs.messages import read_messages
from simreal.make_environment import make_environment
from simreal.observation import Float32Array
from simreal.robots.policies import find_policy
from simreal.run import Run
from simreal.train import load_agent


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
    rng, worth = np.random.default_rng(0), _worth_difference(run, policy)
    observation, largest, number = env.reset(), 0.0, 0
    of_worth = 0.0
    while number < 10_000:
        if worth is not None:
            of_worth = max(of_worth, worth(observation, env.images))
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
        **({} if worth is None else {"largest_worth_difference": of_worth}),
        "episodes": episodes,
        "return": {
            "run": mean,
            "policy": of_exported.mean_return.value,
            "relative_difference": abs(of_exported.mean_return.value - mean) / abs(mean),
        },
        "success": {"run": of_agent.success.value, "policy": of_exported.success.value},
        "goal_share": {"run": of_agent.goal_share.value, "policy": of_exported.goal_share.value},
    }


def _worth_difference(run: Path, policy: Path) -> Callable[[Float32Array, Images], float] | None:
    """Of a policy that chooses: by how much agent and file differ in what they think choices worth.

    Relative to the largest: see `largest_difference`. Actions alone are alike until a choice turns over.
    """
    agent, env = load_agent(Run.open(find_policy(run)))
    if not env.contract.action.choices:
        return None
    module, graph = exported(agent, env.contract), find_policy(policy).read_bytes()

    def difference(observation: Float32Array, images: Images) -> float:
        seen = {IMAGE + name: values for name, values in images.items()}
        return largest_difference(module, graph, {"observation": observation, **seen})

    return difference


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
        "overrun_share": outcome.overrun_share,
        "log_entries_dropped": outcome.dropped,
        "goal_share_second_half": goal_share_of_log(
            log, loaded.contract.provenance.task, round(duration * loaded.contract.control_rate)
        ),
        "timing": outcome.timing,
    }
