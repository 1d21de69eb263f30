"""From logs to a run that may be judged: real files of the loop, a tiny policy, and every refusal."""

import json
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from simreal.action import ActionPipeline
from simreal.adapt import coverage
from simreal.adapt.adapted_run import learnable
from simreal.adapt.finetune_offline import _write, finetune_offline
from simreal.adapt.gate import judge, write_verdict
from simreal.adapt.offline import OfflineConfig
from simreal.adapt.transitions import read_transitions
from simreal.agents.exported import act_with, exported
from simreal.cli.main import cli
from simreal.contract import Contract
from simreal.deploy.cycle import Cycle
from simreal.deploy.log_writer import LogWriter
from simreal.deploy.supervisor import Phase
from simreal.env import BatchEnv
from simreal.errors import UserError
from simreal.evaluate import load_candidate
from simreal.experiment import ExperimentConfig, load_experiment
from simreal.files import digest
from simreal.logs.formats import read_logs
from simreal.run import Run
from simreal.run_facts import Adapted
from simreal.run_verdict import reasons_against_export
from simreal.state import RobotCommand, RobotState
from simreal.train import load_agent, start_run, train

torch.set_num_threads(1)

QUICK = OfflineConfig(updates=300, batch_size=64)
STEPS = 900


@pytest.fixture(scope="module", params=[pytest.param("ppo", marks=pytest.mark.long), "td3"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    tiny = {
        "ppo": [
            "ppo.simulations=8",
            "ppo.rollout_steps=16",
            "ppo.batch_size=32",
            "ppo.hidden_layers=[16]",
        ],
        "td3": [
            "td3.simulations=8",
            "td3.learning_starts=64",
            "td3.gradient_steps=1",
            "td3.batch_size=32",
        ],
    }[request.param]
    experiment = load_experiment(
        "qube_swingup", [f"agent={request.param}", *tiny, "train.total_steps=256"]
    )
    made = start_run(experiment, 0, tmp_path_factory.mktemp(request.param) / "run")
    train(made)
    return made


def record(
    path: Path,
    run: Run,
    noise: float,
    seed: int = 0,
    steps: int = STEPS,
    pause_at: int = -1,
    limited: frozenset[int] = frozenset(),
) -> Path:
    """A log of the run's policy with noise on its actions, as the control loop writes it."""
    agent, env = load_agent(run)
    assert isinstance(env, BatchEnv)
    module, contract = exported(agent, env.contract), run.contract()
    rng, world = np.random.default_rng(seed), BatchEnv(env.experiment, 1, seed, threads=1)
    observation, writer = world.reset(seed), LogWriter(path, contract, {})
    pipeline = ActionPipeline(contract)
    for number in range(steps):
        state = world.measured_state()
        row = RobotState(0.0, state.joint_position[0], state.joint_velocity[0])
        action = act_with(module, observation)[0].astype(np.float64)  # type: ignore[arg-type]
        action = np.clip(action + noise * rng.standard_normal(action.shape), -1.0, 1.0)
        target = pipeline(action).target * (0.5 if number in limited else 1.0)
        at = 10**9 + 10**7 * (number + (50 if 0 <= pause_at <= number else 0))
        times = [at] * 7
        row.time = np.float64(at * 1e-9)
        writer.cycle(
            Cycle(
                number,
                Phase.RUNNING,
                *times,
                0,
                np.zeros(0),
                row,
                observation[0],
                action,
                RobotCommand(target),
            )
        )
        observation = world.step(action[None]).observation
    writer.finish(None)
    return path


def experiment_of(run: Run) -> ExperimentConfig:
    found = run.experiment()
    assert isinstance(found, ExperimentConfig)
    return found


def transitions(run: Run, *paths: Path):  # type: ignore[no-untyped-def]
    logs = [log for path in paths for log in read_logs(path)]
    return read_transitions(logs, experiment_of(run), run.contract())


def test_transitions_are_those_of_the_log_with_the_tasks_reward(run: Run, tmp_path: Path) -> None:
    path = record(tmp_path / "a.mcap", run, 0.3, steps=50)
    data, log = transitions(run, path), read_logs(path)[0]
    assert len(data) == 49 and data.limited == 0
    np.testing.assert_allclose(data.observation, log["observation"].values[:-1], atol=1e-6)
    np.testing.assert_allclose(data.next_observation, log["observation"].values[1:], atol=1e-6)
    np.testing.assert_allclose(data.action, log["action"].values[:-1], atol=1e-6)
    arm, pendulum = log["joint_position"].values[1:].T
    rates, action = log["joint_velocity"].values[1:], log["action"].values[:, 0]
    off = np.abs((pendulum - np.pi + np.pi) % (2 * np.pi) - np.pi)
    change = np.diff(action, prepend=0.0)[:-1] ** 2
    expected = 0.5 * 0.5 * (1 - np.cos(pendulum)) + 0.5 * np.exp(-((off / 0.3) ** 2)) - 0.1 * arm**2
    expected -= 0.001 * np.exp(-((off / 0.5) ** 2)) * (rates**2).sum(axis=1) + 0.02 * change
    np.testing.assert_allclose(data.reward, expected, atol=1e-5)


def test_pauses_and_limits_break_the_chain(run: Run, tmp_path: Path) -> None:
    path = record(tmp_path / "a.mcap", run, 0.3, steps=50, pause_at=20, limited=frozenset({30, 31}))
    data = transitions(run, path, path)
    assert (len(data), data.limited, data.broken) == (2 * 46, 4, 2)
    assert sorted(np.bincount(data.run).tolist()) == [19, 19, 27, 27]


def test_a_supported_change_is_a_run_of_its_own(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LARGEST_MOVE", "LARGEST_FAR_SHARE", "LARGEST_DISAGREEMENT"):
        monkeypatch.setattr(coverage, name, 100.0)  # so few updates are no test of these
    monkeypatch.setattr(coverage, "FEWEST", 500)
    paths = [record(tmp_path / f"{n}.mcap", run, 0.4, n) for n in range(2)]
    before = (run.latest_checkpoint().read_bytes(), (run.path / "run.json").read_text())
    found = None
    for seed in range(4):  # critics that learned so little may think anything
        try:
            found = finetune_offline(run, paths, tmp_path / "new", QUICK, seed)
            break
        except UserError as error:
            assert "gain" in str(error)
            assert not (tmp_path / "new").exists()
    assert found is not None
    assert found.run.contract() == run.contract()
    assert (run.latest_checkpoint().read_bytes(), (run.path / "run.json").read_text()) == before
    adapted = found.run.facts().adapted
    assert adapted is not None
    assert adapted.method == "finetune-offline"
    assert adapted.base_sha256 == digest(run.latest_checkpoint())
    assert [each.name for each in adapted.logs] == ["0.mcap", "1.mcap"]
    assert all(len(each.sha256) == 64 for each in adapted.logs)
    observation = np.random.default_rng(0).standard_normal((8, 7)).astype(np.float32)
    kept = Run.open(found.run.path / "base")
    old, new, back = (load_candidate(each.path).act(observation) for each in (run, found.run, kept))
    assert np.abs(new - old).max() > 1e-4
    np.testing.assert_array_equal(back, old)
    assert "not compared with its base policy yet" in reasons_against_export(found.run)[0]
    write_verdict(found.run, judge(found.run, logs=read_logs(paths[0]), episodes=4))
    verdict = json.loads((found.run.path / "gate.json").read_text("utf-8"))
    assert [each["name"] for each in verdict["parts"]] == ["old worlds", "real states"]
    assert verdict["made_by"] == adapted.as_json()
    assert bool(reasons_against_export(found.run)) != verdict["passed"]
    assert load_agent(found.run)[0].num_timesteps == load_agent(run)[0].num_timesteps


@pytest.mark.parametrize(
    ("noise", "steps", "reason"), [(0.3, 300, "at least 2000 are needed"), (0.0, 2700, "record with")]
)
def test_logs_that_cannot_teach_are_refused_and_nothing_is_written(
    run: Run, tmp_path: Path, noise: float, steps: int, reason: str
) -> None:
    path = record(tmp_path / "a.mcap", run, noise, steps=steps)
    with pytest.raises(UserError, match=reason):
        finetune_offline(run, [path], tmp_path / "new", QUICK)
    assert not (tmp_path / "new").exists()


def test_logs_of_another_policy_and_tasks_beyond_a_log_are_refused(run: Run, tmp_path: Path) -> None:
    path = record(tmp_path / "a.mcap", run, 0.3, steps=50)
    other: Contract = run.contract().model_copy(update={"control_rate": 50.0})
    logs = read_logs(path)
    with pytest.raises(UserError, match=r"of another policy .*\n.*control_rate: 100\.0 != 50\.0"):
        read_transitions(logs, experiment_of(run), other)
    logs[0].contract = None
    with pytest.raises(UserError, match="carries no contract"):
        read_transitions(logs, experiment_of(run), run.contract())


def test_a_policy_with_a_memory_is_refused(tmp_path: Path) -> None:
    tiny = ["agent=recurrent_ppo", "recurrent_ppo.simulations=4", "recurrent_ppo.rollout_steps=8"]
    made = start_run(
        load_experiment("qube_swingup", [*tiny, "train.total_steps=32"]), 0, tmp_path / "run"
    )
    train(made)
    with pytest.raises(UserError, match="carry no memory"):
        finetune_offline(made, [], tmp_path / "new")


def test_a_policy_that_sees_is_refused(tmp_path: Path) -> None:
    seeing = "cameras=[{name: overview, width: 8, height: 8}]"
    made = start_run(load_experiment("qube_swingup", [seeing]), 0, tmp_path / "run")
    with pytest.raises(UserError, match="logs hold no images"):
        finetune_offline(made, [], tmp_path / "new")


def test_the_command_says_what_speaks_against_it(run: Run, tmp_path: Path) -> None:
    path = record(tmp_path / "a.mcap", run, 0.3, steps=60)
    arguments = ["finetune-offline", str(run.path), "--log", str(path), "--run", str(tmp_path / "new")]
    result = CliRunner().invoke(cli, arguments)
    assert isinstance(result.exception, UserError)
    assert "do not support a change" in str(result.exception)
    wrong = CliRunner().invoke(cli, [*arguments, "-o", "algoritm=iql"])
    assert isinstance(wrong.exception, UserError) and "algorithm" in str(wrong.exception)
    assert json.loads((run.path / "run.json").read_text())["finished"]


def test_an_output_without_a_place_is_told_before_anything_is_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    for output, told in (("file", "exists already; give another --run"), ("file/new", "cannot be")):
        with pytest.raises(UserError, match=f"{output}: {told}"):
            finetune_offline(run, [tmp_path / "no_such.mcap"], tmp_path / output)


def test_a_log_that_is_given_twice_is_refused(run: Run, tmp_path: Path) -> None:
    """It would seem to hold twice the steps that a change needs."""
    path = record(tmp_path / "a.mcap", run, 0.3, steps=60)
    with pytest.raises(UserError, match="the same content as"):
        finetune_offline(run, [path, path], tmp_path / "new", QUICK)


def test_what_is_killed_while_it_is_written_is_known_as_adapted_and_no_room_leaves_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, agent, _ = learnable(run)
    for error, left in ((KeyboardInterrupt, True), (UserError, False)):
        monkeypatch.setattr("simreal.adapt.finetune_offline.save_checkpoint", Mock(side_effect=error))
        with pytest.raises(error):
            adapted = Adapted(method="finetune-offline")
            _write(run, tmp_path / error.__name__, experiment, agent, adapted)
        assert (tmp_path / error.__name__).exists() == left
    assert reasons_against_export(Run.open(tmp_path / "KeyboardInterrupt"))
