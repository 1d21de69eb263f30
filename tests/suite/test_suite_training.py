from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simreal.bench.suite import PlainTask, load_suite_task, suite_return, suite_tasks
from simreal.errors import UserError
from simreal.evaluate import evaluate, load_candidate
from simreal.export import export
from simreal.run import Run
from simreal.suite.env import SuiteEnv
from simreal.suite.tasks import load_task
from simreal.train import start_run, train

SMALL = (
    "ppo.simulations=4",
    "ppo.rollout_steps=32",
    "ppo.epochs=1",
    "ppo.hidden_layers=[8]",
    "train.total_steps=512",
    "randomization.mass={distribution: {type: uniform, low: 0.8, high: 1.2}}",
)


@pytest.fixture
def short_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes of 100 steps; all that dm_control has take 1000."""

    def load(name: str) -> Any:
        environment = load_task(name)
        environment._step_limit = 100
        return environment

    monkeypatch.setattr("simreal.suite.simulation.load_task", load)


@pytest.mark.usefixtures("short_episodes")
def test_a_run_is_trained_resumed_and_evaluated_but_not_exported(tmp_path: Path) -> None:
    run = start_run(load_suite_task("dm_control/pendulum-swingup", SMALL), 3, tmp_path / "run")
    assert train(run) and train(run, resume=True, total_steps=1024)
    again = start_run(load_suite_task("dm_control/pendulum-swingup", SMALL), 3, tmp_path / "again")
    train(again)
    rows = run.episodes.read_text("utf-8").splitlines()
    assert rows[0].endswith("mass[pole]") and len(rows) == 1 + 4 + 4
    assert rows[:5] == again.episodes.read_text("utf-8").splitlines()
    assert any((run.path / "tensorboard").rglob("events*"))
    candidate = load_candidate(Run.open(run.path).path)
    found = evaluate(candidate, episodes=3, vary={"mass": [0.9, 1.1]})
    assert found.summary.episodes == 3 and [value for value, _ in found.curves["mass"]] == [0.9, 1.1]
    with pytest.raises(UserError, match="no robot to export it for"):
        export(run, tmp_path / "policy.onnx")


def test_the_plain_task_of_the_benchmark_is_the_same_problem() -> None:
    plain = PlainTask("dm_control/cheetah-run", seed=0)
    env = SuiteEnv(load_suite_task("dm_control/cheetah-run"), 1, threads=1)
    first, _ = plain.reset()
    seed = np.array([np.random.default_rng(0).integers(2**63)], dtype=np.uint64)
    assert np.array_equal(env.begin(np.array([0]), seed)[0], first)
    for action in np.random.default_rng(1).uniform(-1, 1, (20, 6)).astype(np.float32):
        observation, reward, *_ = plain.step(action)
        step = env.step(action[None])
        np.testing.assert_allclose(step.observation[0], observation, rtol=1e-6)
        assert step.reward[0] == pytest.approx(reward, abs=1e-9)


@pytest.mark.long
def test_returns_are_compared_and_what_was_trained_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = (["dm_control/cartpole-balance"], [0], 256, 2, 2, tmp_path / "returns.json")
    found = suite_return(*plan)["tasks"]["dm_control/cartpole-balance"]
    # Balancing pays from 0 to 1000; who has learnt next to nothing still gets some of it.
    assert all(0.0 < value < 1000.0 for values in found["returns"].values() for (value,) in [values])
    monkeypatch.setattr("simreal.bench.suite.train", None)
    assert suite_return(*plan)["tasks"]["dm_control/cartpole-balance"] == found


def test_the_benchmark_knows_only_dm_control() -> None:
    with pytest.raises(UserError, match="not a task of dm_control"):
        load_suite_task("qube_swingup")


@pytest.mark.long
def test_nearly_all_tasks_of_the_suite_are_batched() -> None:
    assert suite_tasks()["batched"] >= 46
