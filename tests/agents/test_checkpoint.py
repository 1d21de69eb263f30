"""Checkpoints come back whole, and a file that is none is refused without running what is in it."""

import pickle
import resource
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.base_class import BaseAlgorithm

from simreal.agents.build import build_agent
from simreal.agents.checkpoint import (
    REPLAY_ARRAYS,
    Progress,
    load_checkpoint,
    save_checkpoint,
    save_tensors,
)
from simreal.agents.exported import find_normalizer
from simreal.agents.value.experience import ExperienceReplay
from simreal.env import BatchEnv
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.vec_env import SimrealVecEnv
from tests.forked import in_a_copy

torch.set_num_threads(1)  # tests run beside each other: more threads would only wait for a core

PROGRESS = Progress(steps=408, episodes_begun=23, wall_time=1.5, schedule={"width": 0.25})


def make(name: str, *overrides: str, seed: int = 0) -> BaseAlgorithm:
    settings_of_all = [f"agent={name}", f"{name}.simulations=8", f"{name}.batch_size=32"]
    own = (
        ["ppo.rollout_steps=16"]
        if name == "ppo"
        else [f"{name}.learning_starts=64", f"{name}.gradient_steps=1", f"{name}.replay_size=320"]
    )
    small = f"{name}.hidden_layers=[16]"
    chooses = name in ("dqn", "rainbow", "qrdqn")
    task = "qube_swingup_discrete" if chooses else "qube_swingup"
    experiment = load_experiment(task, [*settings_of_all, *own, small, *overrides])
    env = SimrealVecEnv(BatchEnv(experiment, 8, seed))
    return build_agent(experiment.agent_config, env, seed)


WITH_REPLAY = ("sac", "td3", "dqn", "rainbow", "qrdqn")


@pytest.fixture(scope="module", params=["ppo", *WITH_REPLAY])
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An agent that has learned a little, and its checkpoint."""
    agent = make(request.param, seed=3)
    agent.learn(408)
    find_normalizer(agent).update(np.random.default_rng(0).normal(2, 3, (50, 7)))
    path = tmp_path_factory.mktemp(request.param) / "step.pt"
    save_checkpoint(path, agent, PROGRESS)
    expected = torch.rand(3), np.random.standard_normal(3)
    return request.param, agent, path, expected


def flatten(content: Any) -> list[Any]:
    if isinstance(content, dict):
        return [each for key in sorted(content, key=str) for each in flatten(content[key])]
    return (
        [each for item in content for each in flatten(item)] if isinstance(content, list) else [content]
    )


def test_everything_that_training_goes_on_from_comes_back(saved: Any) -> None:
    name, agent, path, (from_torch, from_numpy) = saved
    other = make(name, seed=4)
    assert load_checkpoint(path, other) == PROGRESS
    assert torch.equal(torch.rand(3), from_torch)
    np.testing.assert_array_equal(np.random.standard_normal(3), from_numpy)
    mine, theirs = (flatten(each.get_parameters()) for each in (agent, other))
    assert len(mine) == len(theirs) > 10
    for first, second in zip(mine, theirs, strict=True):
        assert torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second
    assert other.num_timesteps == PROGRESS.steps
    assert other._n_updates == agent._n_updates > 0
    observations = np.random.default_rng(1).normal(0, 3, (20, 7)).astype(np.float32)
    np.testing.assert_array_equal(
        other.predict(observations, deterministic=True)[0],
        agent.predict(observations, deterministic=True)[0],
    )


@pytest.mark.parametrize("saved", WITH_REPLAY, indirect=True)
def test_the_replay_buffer_comes_back(saved: Any) -> None:
    name, agent, path, _ = saved
    other = make(name, seed=4)
    load_checkpoint(path, other)
    mine, theirs = agent.replay_buffer, other.replay_buffer
    assert (mine.full, mine.pos) == (theirs.full, theirs.pos)
    assert mine.full  # 320 transitions are held, 408 were seen
    for array in REPLAY_ARRAYS:
        ours, here = getattr(theirs, array), getattr(mine, array)
        if array in ("dones", "timeouts") and isinstance(mine, ExperienceReplay):
            over = mine.dones[mine.pos - 1] > 0.0  # by themselves; those that went on are cut off there
            assert (ours[mine.pos - 1] > 0.0)[~over].all()
            ours, here = (np.delete(each, mine.pos - 1, axis=0) for each in (ours, here))
        np.testing.assert_array_equal(ours, here)
    if name == "rainbow":
        priorities = mine.stored_priorities()[0]
        assert len(set(priorities.tolist())) > 10
        np.testing.assert_array_equal(theirs.stored_priorities()[0], priorities)
    without = make(name, seed=4)
    load_checkpoint(path, without, with_replay=False)
    assert without.replay_buffer.pos == 0
    other.learn(64, reset_num_timesteps=False)
    assert np.isfinite(theirs.observations).all()


def test_a_buffer_that_is_not_full_comes_back(tmp_path: Path) -> None:
    agent, other = make("sac", "sac.replay_size=4000"), make("sac", "sac.replay_size=4000", seed=1)
    agent.learn(80)
    save_checkpoint(tmp_path / "step.pt", agent, PROGRESS)
    load_checkpoint(tmp_path / "step.pt", other)
    assert (other.replay_buffer.pos, other.replay_buffer.full) == (10, False)
    np.testing.assert_array_equal(
        other.replay_buffer.observations[:10], agent.replay_buffer.observations[:10]
    )


def test_a_checkpoint_of_another_agent_or_shape_is_refused(saved: Any) -> None:
    name, _, path, _ = saved
    another = "sac" if name != "sac" else "td3"
    kind = "ValueAgent" if name in ("dqn", "rainbow") else name.upper()
    with pytest.raises(UserError, match=f"checkpoint of {kind}.*expected {another.upper()}"):
        load_checkpoint(path, make(another))
    with pytest.raises(UserError, match="not a usable checkpoint"):
        load_checkpoint(path, make(name, f"{name}.hidden_layers=[17]"))


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self._target, "boom")


@pytest.mark.parametrize("container", ["torch", "pickle", "inside"])
def test_a_checkpoint_that_would_run_code_is_refused_unrun(container: str, tmp_path: Path) -> None:
    target, path = tmp_path / "executed", tmp_path / "step.pt"
    if container == "pickle":
        path.write_bytes(pickle.dumps(Bomb(target)))
    elif container == "torch":
        torch.save(Bomb(target), path)
    else:
        agent = make("ppo")
        save_checkpoint(path, agent, PROGRESS)
        content = torch.load(path, weights_only=True)
        torch.save(content | {"wall_time": Bomb(target)}, path)
    with pytest.raises(UserError, match=r"not a usable checkpoint: it is damaged, or holds more than"):
        load_checkpoint(path, make("ppo"))
    assert not target.exists()
    if container != "pickle":  # the trap does work where pickle is trusted
        torch.load(path, weights_only=False)
        assert target.read_text() == "boom"


@pytest.fixture(scope="module")
def fresh() -> BaseAlgorithm:
    return make("ppo")


@pytest.fixture(scope="module")
def content(fresh: BaseAlgorithm, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("whole") / "step.pt"
    save_checkpoint(path, fresh, PROGRESS)
    return path, path.read_bytes()


@settings(max_examples=60)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_checkpoint_is_refused(
    share: float, fresh: BaseAlgorithm, content: tuple[Path, bytes]
) -> None:
    path, whole = content
    cut = path.with_name("cut.pt")
    cut.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match=r"cut\.pt: not a usable checkpoint: \S"):
        load_checkpoint(cut, fresh)


@settings(max_examples=60)
@given(place=st.floats(0, 1, exclude_max=True), junk=st.binary(min_size=1, max_size=40))
def test_a_damaged_checkpoint_is_a_readable_error_at_worst(
    place: float, junk: bytes, fresh: BaseAlgorithm, content: tuple[Path, bytes]
) -> None:
    path, whole = content
    damaged, at = path.with_name("damaged.pt"), int(place * len(whole))
    damaged.write_bytes(whole[:at] + junk + whole[at + len(junk) :])
    try:
        load_checkpoint(damaged, fresh)
    except UserError as error:
        assert str(error).startswith(f"{damaged}: ")


@pytest.mark.parametrize("other", [[], {}, 3.0, {"format": 1}, {"format": 2, "algorithm": "PPO"}])
def test_a_torch_file_that_is_no_checkpoint_is_refused(other: Any, fresh: Any, tmp_path: Path) -> None:
    torch.save(other, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"other\.pt: "):
        load_checkpoint(tmp_path / "other.pt", fresh)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": "x"},
        {"steps": -1},
        {"steps": True},
        {"episodes_begun": 1.5},
        {"wall_time": float("nan")},
        {"wall_time": "long"},
        {"schedule": "[]"},
        {"updates": "x"},
    ],
)
def test_progress_of_another_type_is_refused_by_name(
    change: dict[str, Any], fresh: BaseAlgorithm, tmp_path: Path
) -> None:
    """Steps that were text went into the contract of an exported policy, which nothing could load."""
    path = tmp_path / "changed.pt"
    save_checkpoint(path, fresh, Progress(1, 2, 3.0, {}))
    torch.save(torch.load(path, weights_only=True) | change, path)
    with pytest.raises(
        UserError, match=rf"changed\.pt: not a usable checkpoint: its {next(iter(change))} is"
    ):
        load_checkpoint(path, fresh)


def test_a_missing_checkpoint_is_a_readable_error(fresh: BaseAlgorithm, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        load_checkpoint(tmp_path / "none.pt", fresh)


def test_saving_leaves_the_old_file_where_it_cannot_write(fresh: BaseAlgorithm, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        save_checkpoint(tmp_path / "file" / "step.pt", fresh, PROGRESS)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_disk_that_is_full_leaves_the_old_file_and_one_message(tmp_path: Path) -> None:
    """A limit on the size of files stands in for it; torch's writer says nothing of a cause."""
    path = tmp_path / "step_1.pt"
    path.write_text("old")

    def save() -> str:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        with pytest.raises(UserError) as raised:
            save_tensors(path, {"weights": torch.zeros(10_000)})
        return str(raised.value)

    status, said = in_a_copy(save)
    assert status == 0, said
    assert f"{path}: cannot be written; is the disk full?" in said
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
