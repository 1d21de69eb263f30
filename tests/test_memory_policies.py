"""Policies that carry a memory, from training to the robot: recurrent, and adaptive ones."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from simreal.agents.adaptive_ppo import AdaptivePPO
from simreal.deploy.drivers import open_driver
from simreal.deploy.loop import deploy
from simreal.deploy.policy import load_policy
from simreal.deploy.replay import replay
from simreal.errors import UserError
from simreal.evaluate import evaluate, load_candidate
from simreal.experiment import load_experiment
from simreal.export import PARITY_TOLERANCE, Exported, export
from simreal.logs.messages import read_messages
from simreal.make_environment import make_environment
from simreal.run import Run
from simreal.train import load_agent, start_run, train

torch.set_num_threads(1)

TINY = {
    "rma": [
        "adaptation=rma",
        "ppo.simulations=8",
        "ppo.rollout_steps=16",
        "ppo.batch_size=32",
        "ppo.hidden_layers=[16]",
        "rma.history=10",
        "rma.channels=4",
        "rma.latent=2",
    ],
    "recurrent": [
        "agent=recurrent_ppo",
        "recurrent_ppo.simulations=8",
        "recurrent_ppo.rollout_steps=16",
        "recurrent_ppo.batch_size=32",
        "recurrent_ppo.memory=8",
        "recurrent_ppo.hidden_layers=[16]",
    ],
}
SHAPES = {"rma": {"history": (10, 8)}, "recurrent": {"output": (8,), "cell": (8,)}}


def begin(path: Path, kind: str, steps: int = 512) -> Run:
    overrides = [*TINY[kind], f"train.total_steps={steps}", "episode_length=0.4"]
    return start_run(load_experiment("qube_swingup", overrides), 4, path)


@pytest.fixture(scope="module", params=["rma", pytest.param("recurrent", marks=pytest.mark.long)])
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Run, Exported]:
    """A tiny training, and what its export made."""
    folder = tmp_path_factory.mktemp(request.param)
    run = begin(folder / "run", request.param)
    train(run)
    return request.param, run, export(run, folder / "policy.onnx")


def test_one_file_holds_the_policy_with_its_memory(made: tuple[str, Run, Exported]) -> None:
    kind, _, exported = made
    assert exported.parity <= PARITY_TOLERANCE and exported.observations == 10_000
    onnx.checker.check_model(onnx.load(exported.path), full_check=True)
    policy = load_policy(exported.path)
    states = {each.name: each.shape for each in policy.contract.hidden_states}
    assert states == SHAPES[kind]
    assert policy.golden_mismatch() is None
    assert len(policy.golden.action) > 20


def test_what_it_does_depends_on_what_it_saw(made: tuple[str, Run, Exported]) -> None:
    policy = load_policy(made[2].path)
    act, fresh = policy.batch(), policy.batch()
    rng = np.random.default_rng(0)
    for _ in range(5):
        observation = rng.standard_normal((3, len(policy.golden.observation[0]))).astype(np.float32)
        action = act(observation)
    assert (action != fresh(observation)).all()
    act.begin(np.array([1]))
    fresh.begin()
    again, first = act(observation), fresh(observation)
    np.testing.assert_allclose(again[1], first[1], atol=1e-6)
    assert (again[[0, 2]] != first[[0, 2]]).all()


def test_a_robot_and_a_row_of_a_batch_act_alike(made: tuple[str, Run, Exported]) -> None:
    policy = load_policy(made[2].path)
    act, infer = policy.batch(), policy.inference()
    for observation in np.array(policy.golden.observation, dtype=np.float32):
        rows = np.stack([0.5 * observation, observation])
        np.testing.assert_allclose(act(rows)[1], infer(observation), atol=1e-6)


def test_run_and_file_give_the_same_evaluation(made: tuple[str, Run, Exported]) -> None:
    _, run, exported = made
    found = [evaluate(load_candidate(path), 20) for path in (run.path, exported.path)]
    returns = [[each.episode_return for each in one.episodes] for one in found]
    np.testing.assert_allclose(*returns, rtol=1e-4)
    again = evaluate(load_candidate(exported.path), 20)
    assert [each.episode_return for each in again.episodes] == returns[1]


def test_episodes_do_not_depend_on_what_was_run_before(made: tuple[str, Run, Exported]) -> None:
    candidate = load_candidate(made[2].path)
    few, many = evaluate(candidate, 5), evaluate(candidate, 20)
    for one, other in zip(few.episodes, many.episodes, strict=False):
        assert one.episode_return == pytest.approx(other.episode_return, rel=1e-5)


def test_a_flight_replays_bit_for_bit(made: tuple[str, Run, Exported], tmp_path: Path) -> None:
    policy = load_policy(made[2].path)
    path = tmp_path / "flight.mcap"
    outcome = deploy(policy, open_driver("sim", "qube", "qube_swingup"), 0.5, path)
    found = replay(read_messages(path), policy)
    assert found.identical and found.other_policy is False, found.first
    assert found.cycles == outcome.cycles > 20


def test_a_file_without_its_memory_is_refused(made: tuple[str, Run, Exported], tmp_path: Path) -> None:
    model = onnx.load(made[2].path)
    for entry in model.metadata_props:
        if entry.key == "simreal.contract":
            contract = load_policy(made[2].path).contract.model_copy(update={"hidden_states": ()})
            entry.value = contract.to_json()
    path = tmp_path / "policy.onnx"
    onnx.save(model, path)
    with pytest.raises(UserError, match="the graph has inputs observation, hidden"):
        load_policy(path)


@pytest.mark.parametrize("cut", [128, 384], ids=["on the latent", "on estimates"])
def test_an_adaptation_goes_on_after_a_stop(cut: int, tmp_path: Path) -> None:
    run = begin(tmp_path / "run", "rma")
    train(run, stop_early=lambda agent: agent.num_timesteps >= cut)
    assert run.facts().steps == cut + 8  # it is asked at the beginning of a rollout
    stopped, _ = load_agent(run)
    before = {name: value.clone() for name, value in stopped.policy.state_dict().items()}
    optimizer = stopped.policy.estimator_optimizer.state_dict()["state"]
    assert optimizer
    assert train(run, resume=True)
    agent, _ = load_agent(run)
    assert isinstance(agent, AdaptivePPO)
    after = agent.policy.state_dict()
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert {"action_net.weight", "estimator.latent.weight"} <= changed


def test_an_adaptation_that_was_finished_can_be_made_longer(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", "rma", 256)
    assert train(run)
    assert train(run, resume=True, total_steps=768)
    agent, _ = load_agent(run)
    assert agent.num_timesteps == 768


def test_a_memory_has_no_mirror_image() -> None:
    with pytest.raises(UserError, match="no mirror image"):
        load_experiment("go2_velocity", ["agent=recurrent_ppo", "recurrent_ppo.symmetric=true"])


def test_an_environment_tells_the_robot_nothing_of_its_parameters(tmp_path: Path) -> None:
    experiment = load_experiment("qube_swingup", TINY["rma"])
    plain = load_experiment("qube_swingup")
    contracts = [make_environment(each, 1, threads=1).contract for each in (experiment, plain)]
    assert contracts[0] == contracts[1]
