"""Export of real agents: one file that acts as they do, knows its contract and tells nothing else."""

import copy
import getpass
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner

import simreal.export as export_module
from simreal.agents.exported import ExportedPolicy
from simreal.cli.main import cli
from simreal.contract_differences import differences
from simreal.deploy.policy import CHECKSUM_KEY, CONTRACT_KEY, EXPERIMENT_KEY, GOLDEN_KEY, load_policy
from simreal.errors import UserError
from simreal.experiment import load_experiment, parse_experiment
from simreal.export import PARITY_TOLERANCE, Exported, export, largest_difference, to_onnx
from simreal.run import Run
from simreal.train import load_agent, start_run, train

torch.set_num_threads(1)  # tests run beside each other: more threads would only wait for a core

TINY = {
    "ppo": ["ppo.rollout_steps=16", "ppo.batch_size=32"],
    "sac": ["sac.learning_starts=64", "sac.gradient_steps=1", "sac.batch_size=32"],
    "td3": ["td3.learning_starts=64", "td3.gradient_steps=1", "td3.batch_size=32"],
}


@pytest.fixture(scope="module", params=["ppo", "sac", pytest.param("td3", marks=pytest.mark.long)])
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, Exported]:
    """A tiny training, and what its export made."""
    agent = request.param
    tiny = [f"agent={agent}", f"{agent}.simulations=8", *TINY[agent], "train.total_steps=300"]
    folder = tmp_path_factory.mktemp(agent)
    run = start_run(load_experiment("qube_swingup", [*tiny, "pins.mass=1.1"]), 4, folder / "run")
    train(run)
    return run, export(run, folder / "policy.onnx")


def test_the_graph_acts_as_the_agent_does_over_all_it_has_seen(exported: tuple[Run, Exported]) -> None:
    run, made = exported
    assert made.parity <= PARITY_TOLERANCE
    assert made.observations == 10_000
    policy = load_policy(made.path)
    agent, _ = load_agent(run)
    scale = 10.0 ** np.random.default_rng(0).uniform(-3, 3, (500, 7))
    observations = (scale * np.random.default_rng(1).standard_normal((500, 7))).astype(np.float32)
    expected, _ = agent.predict(observations, deterministic=True)
    found = policy.act(observations)
    np.testing.assert_allclose(found, expected, atol=PARITY_TOLERANCE)
    assert np.abs(found).max() <= 1.0
    for rows in (1, 3):
        np.testing.assert_allclose(policy.act(observations[:rows]), found[:rows], atol=1e-6)


def test_the_file_holds_the_contract_with_its_provenance(exported: tuple[Run, Exported]) -> None:
    run, made = exported
    contract = load_policy(made.path).contract
    assert contract == made.contract
    assert contract.provenance.training_steps == run.facts().steps
    assert contract.provenance.seed == 4
    assert contract.provenance.agent == run.experiment().agent
    assert contract.provenance.versions["torch"] == torch.__version__
    changed = {each.name for each in differences(run.contract(), contract)}
    assert all(name.startswith("provenance.") for name in changed)
    ranges = {each.name: (each.low, each.high) for each in contract.trained_ranges}
    assert ranges["mass[arm]"] == (1.1, 1.1)


def test_golden_vectors_come_out_again_from_pipeline_and_graph(exported: tuple[Run, Exported]) -> None:
    _, made = exported
    policy = load_policy(made.path)
    assert len(policy.golden.action) > 10
    assert policy.golden_mismatch() is None
    assert len(set(policy.golden.observation)) > 5


def test_the_experiment_leaves_with_the_policy(exported: tuple[Run, Exported]) -> None:
    run, made = exported
    text = load_policy(made.path).experiment
    assert text is not None
    assert parse_experiment(json.loads(text)) == run.experiment()


def test_the_file_is_a_sound_graph_of_its_own(exported: tuple[Run, Exported]) -> None:
    run, made = exported
    model = onnx.load(made.path)
    onnx.checker.check_model(model, full_check=True)
    keys = {entry.key for entry in model.metadata_props}
    assert keys == {CONTRACT_KEY, GOLDEN_KEY, EXPERIMENT_KEY, CHECKSUM_KEY}
    assert all(each.data_location == onnx.TensorProto.DEFAULT for each in model.graph.initializer)
    assert [path.name for path in made.path.parent.iterdir() if path != run.path] == [made.path.name]


def test_nothing_in_the_file_tells_of_this_machine(exported: tuple[Run, Exported]) -> None:
    run, made = exported
    content = made.path.read_bytes()
    checkout = Path(__file__).resolve().parent.parent
    telling = [str(Path.home()), str(checkout), str(run.path), sys.prefix, os.path.realpath(sys.prefix)]
    telling += ["site-packages", "dist-packages", '.py"', 'File "', "/lib/python", str(made.path.parent)]
    telling += [f"/home/{getpass.getuser()}", str(checkout.parent)]
    assert [text for text in telling if text.encode() in content] == []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    experiment = load_experiment(
        "qube_swingup", ["ppo.simulations=8", *TINY["ppo"], "train.total_steps=128"]
    )
    made = start_run(experiment, 0, tmp_path_factory.mktemp("ppo") / "run")
    train(made)
    return made


def disturb(graph: onnx.ModelProto, by: float) -> onnx.ModelProto:
    """A graph with one weight of its last layer moved."""
    graph = copy.deepcopy(graph)
    bias = next(each for each in graph.graph.initializer if list(each.dims) == [1])
    values = onnx.numpy_helper.to_array(bias) + np.float32(by)
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    return graph


def test_parity_measures_the_difference(run: Run) -> None:
    agent, env = load_agent(run, 4)
    module = ExportedPolicy(agent).eval()
    inputs = {"observation": env.reset(0)}
    graph = to_onnx(module, env.observation_size)
    for by in (0.0, 1e-3, 0.1):
        found = largest_difference(module, disturb(graph, by).SerializeToString(), inputs)
        assert found == pytest.approx(by, rel=0.02, abs=1e-6)


def test_a_policy_whose_graph_differs_is_refused_and_no_file_made(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "to_onnx", lambda *given: disturb(to_onnx(*given), 1e-4))
    with pytest.raises(UserError, match=r"policy\.onnx: not written: graph and agent differ by"):
        export(run, tmp_path / "policy.onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_old_policy_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "policy.onnx"
    path.write_text("the old one")
    with pytest.raises(UserError, match="exists already"):
        export(run, path)
    assert path.read_text() == "the old one"


def test_a_policy_that_has_become_no_number_is_refused(run: Run, tmp_path: Path) -> None:
    spoilt = Run(tmp_path / "run")
    spoilt.checkpoints.mkdir(parents=True)
    for name in ("config.yaml", "run.json", "contract.json"):
        (spoilt.path / name).write_bytes((run.path / name).read_bytes())
    content = torch.load(run.latest_checkpoint(), weights_only=True)
    content["parameters"]["policy"]["action_net.weight"] *= torch.nan
    torch.save(content, spoilt.checkpoint_path(128))
    with pytest.raises(UserError, match="holds what is no finite number"):
        export(spoilt, tmp_path / "policy.onnx")
    assert not (tmp_path / "policy.onnx").exists()


def test_a_place_that_cannot_be_written_is_a_readable_error(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exists already"):
        export(run, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_policy_of_a_training_that_goes_on_is_exported_with_a_note(run: Run, tmp_path: Path) -> None:
    still = Run(shutil.copytree(run.path, tmp_path / "run"))
    with still.changing_facts() as facts:
        facts.finished, facts.total_steps = False, 4096
    for path, told in ((still.path, True), (run.path, False)):
        made = CliRunner().invoke(cli, ["export", str(path), "-o", str(tmp_path / f"{told}.onnx")])
        assert made.exit_code == 0, made.output
        assert ("training has not finished: 128 of 4,096 steps" in " ".join(made.stderr.split())) == told


def test_a_run_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    empty = start_run(load_experiment("qube_swingup"), 0, tmp_path / "run")
    with pytest.raises(UserError, match="no checkpoint"):
        export(empty, tmp_path / "policy.onnx")
