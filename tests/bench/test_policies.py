"""The benchmarks give sane numbers; how large they are is not a matter of tests."""

import json
from pathlib import Path

import pytest
import torch

from simreal.bench.environment import environment_speed
from simreal.bench.policies import export_parity, replay_identity
from simreal.bench.solving import time_to_solve
from simreal.experiment import load_experiment
from simreal.export import export
from simreal.train import start_run, train

torch.set_num_threads(1)  # tests run beside each other: more threads would only wait for a core


def test_environment_speed_compares_with_the_bare_batch() -> None:
    found = environment_speed("qube_swingup", 4, 2)
    assert (found["experiment"], found["simulations"], found["repeats"]) == ("qube_swingup", 4, 2)
    environment, bare, ratio = (found[name] for name in ("environment", "bare", "ratio"))
    rounding = 1.0 + 1e-9
    assert environment["min"] / bare["max"] <= ratio["min"] * rounding
    assert ratio["max"] <= environment["max"] / bare["min"] * rounding
    assert ratio["min"] < 1.5  # doing more cannot be much faster
    json.dumps(found)


def test_recorded_episodes_replay_identically(run_and_policy: tuple[Path, Path]) -> None:
    for path in run_and_policy:
        found = replay_identity(path, 12)
        assert found == found | {"episodes": 12, "different": [], "identical": True}


def test_parity_compares_agent_and_file(run_and_policy: tuple[Path, Path]) -> None:
    found = export_parity(*run_and_policy, episodes=8)
    assert found["observations"] >= 10_000
    assert found["largest_action_difference"] <= 1e-5
    assert found["return"]["relative_difference"] <= 0.01
    json.dumps(found, allow_nan=False)


@pytest.mark.long
def test_parity_of_a_policy_that_chooses_is_that_of_what_it_thinks_choices_worth(tmp_path: Path) -> None:
    tiny = ["agent=dqn", "dqn.simulations=8", "dqn.learning_starts=16", "dqn.hidden_layers=[8]"]
    experiment = load_experiment("qube_swingup_discrete", [*tiny, "episode_length=0.3"])
    run = start_run(experiment, 0, tmp_path / "run")
    train(run, total_steps=40)
    policy = export(run, tmp_path / "policy.onnx").path
    found = export_parity(run.path, policy, episodes=8)
    assert found["largest_worth_difference"] <= 1e-5


def test_time_to_solve_gives_up_at_its_limit() -> None:
    heard: list[str] = []
    found = time_to_solve("qube_swingup", "ppo", [3], 0.01, heard.append)
    (run,) = found["runs"]
    assert (run["seed"], run["solved_after_s"], run["goal_share_200_fresh_episodes"]) == (3, None, None)
    json.dumps(found, allow_nan=False)
