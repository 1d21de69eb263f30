"""Policies that choose among actions, from the configuration to the exported file."""

import io
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import onnxruntime
import pytest
from rich.console import Console

import simreal  # noqa: F401 - registers the environments
from simreal.cli.contract_tables import describe_contract
from simreal.deploy.policy import load_policy
from simreal.errors import UserError
from simreal.evaluate import evaluate, load_candidate
from simreal.experiment import load_experiment
from simreal.experiment_contract import action_choices
from simreal.export import export
from simreal.logs.messages import read_messages
from simreal.run import Run
from simreal.train import start_run, train

TINY = {
    "ppo": ("ppo.simulations=8", "ppo.rollout_steps=16", "ppo.batch_size=32"),
    **{
        name: (f"{name}.simulations=8", f"{name}.learning_starts=64", f"{name}.gradient_steps=1")
        for name in ("dqn", "rainbow", "qrdqn")
    },
}


def choices(*overrides: str) -> dict[str, tuple[float, ...]]:
    config = load_experiment("qube_swingup", ("agent=dqn", *overrides)).action
    return {each.name: each.action for each in action_choices(config, 1)}


def test_bins_are_evenly_spaced_from_end_to_end() -> None:
    assert choices("action.bins=5") == {
        "-1": (-1.0,),
        "-0.5": (-0.5,),
        "+0": (0.0,),
        "+0.5": (0.5,),
        "+1": (1.0,),
    }


def test_bins_of_several_actuators_are_combined() -> None:
    config = load_experiment("qube_swingup_discrete").action
    two = config.model_copy(update={"bins": (3, 2)})
    assert [each.action for each in action_choices(two, 2)] == [
        (a, b) for a in (-1.0, 0.0, 1.0) for b in (-1.0, 1.0)
    ]
    with pytest.raises(UserError, match="531441 combinations"):
        action_choices(config.model_copy(update={"bins": 3}), 12)


def test_motions_have_names() -> None:
    assert choices("action.motions={left: -0.5, right: [0.25]}") == {"left": (-0.5,), "right": (0.25,)}


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("agent=dqn",), "dqn chooses among actions: give action.bins or action.motions"),
        (("agent=sac", "action.bins=3"), "sac cannot choose among actions"),
        (("action.bins=3", "action.motions={a: 0, b: 1}"), "either bins or motions"),
        (("action.bins=1",), "bins"),
    ],
)
def test_what_does_not_fit_is_refused(overrides: tuple[str, ...], words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_experiment("qube_swingup", overrides)


def test_a_motion_beyond_the_action_s_bounds_is_refused() -> None:
    with pytest.raises(UserError, match=r"action\.motions\.b: Input should be less than or equal to 1"):
        load_experiment("qube_swingup", ("action.motions={a: 0, b: 1.5}",))


def test_gymnasium_sees_numbers_of_choices() -> None:
    env = gymnasium.make("simreal/qube_swingup_discrete")
    assert env.action_space == gymnasium.spaces.Discrete(5)
    env.reset(seed=0)
    numbered = [env.step(4)[0] for _ in range(5)]
    same = gymnasium.make("simreal/qube_swingup")
    same.reset(seed=0)
    for observation in numbered:
        np.testing.assert_array_equal(same.step(np.ones(1, np.float32))[0], observation)


def trained(agent: str, folder: Path, *more: str) -> Run:
    overrides = (f"agent={agent}", f"{agent}.hidden_layers=[16]", "episode_length=0.3", *TINY[agent])
    experiment = load_experiment("qube_swingup_discrete", (*overrides, "train.total_steps=200", *more))
    run = start_run(experiment, 0, folder / "run")
    train(run)
    return run


@pytest.mark.parametrize(
    "agent",
    ["rainbow", *(pytest.param(name, marks=pytest.mark.long) for name in ("ppo", "dqn", "qrdqn"))],
)
def test_it_is_exported_with_its_choice_and_the_worth_of_each(agent: str, tmp_path: Path) -> None:
    run = trained(agent, tmp_path)
    made = export(run, tmp_path / "policy.onnx")
    assert made.parity < 1e-5
    policy = load_policy(made.path)
    assert policy.golden_mismatch() is None
    facts = Console(file=io.StringIO(), width=120)
    facts.print(describe_contract(policy.contract)[0])
    assert "-1, -0.5, +0, +0.5, +1" in facts.file.getvalue()  # type: ignore[attr-defined]
    assert [each.name for each in policy.contract.action.choices] == ["-1", "-0.5", "+0", "+0.5", "+1"]
    observations = np.random.default_rng(0).normal(0, 2, (50, 7)).astype(np.float32)
    session = onnxruntime.InferenceSession(made.path)
    action, choice, worth = session.run(None, {"observation": observations})
    np.testing.assert_array_equal(choice, worth.argmax(axis=1))
    np.testing.assert_allclose(action[:, 0], np.linspace(-1.0, 1.0, 5)[choice])
    np.testing.assert_array_equal(policy.act(observations), action)
    first, second = (evaluate(load_candidate(path), 16, seed=1) for path in (run.path, made.path))
    assert first.summary.mean_return.value == pytest.approx(second.summary.mean_return.value, rel=1e-6)


@pytest.mark.long
def test_it_flies_and_asks_the_robot_for_nothing_but_its_choices(tmp_path: Path) -> None:
    run = trained("dqn", tmp_path, "action={scale: 4.0, motions: {left: -0.2, right: 0.1}}")
    made, log = export(run, tmp_path / "policy.onnx"), tmp_path / "flight.mcap"
    begin = "from simreal.cli.main import main; main()"
    options = ("--driver", "sim", "--duration", "0.5", "--log", str(log))
    subprocess.run([sys.executable, "-P", "-c", begin, "deploy", str(made.path), *options], check=True)
    flight = read_messages(log)
    volts = flight.array("/command")
    assert len(volts) > 20
    assert np.minimum(abs(volts + 0.8), abs(volts - 0.4)).max() < 1e-6
    np.testing.assert_allclose(volts, 4.0 * flight.array("/action"), atol=1e-6)
