"""A policy that goes on among identified robots, and the gate that it must pass. Tiny, but real."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner

from simreal.adapt.finetune import finetune, start_finetuning
from simreal.adapt.gate import Gate, Measure, Part, compare_actions, judge, write_verdict
from simreal.adapt.gate_page import write_page
from simreal.adapt.replayed import Acted, act_on, states_of
from simreal.adapt.worlds import experiment_in, mix_worlds
from simreal.agents.checkpoint import load_checkpoint
from simreal.agents.exported import find_normalizer
from simreal.cli.main import cli
from simreal.errors import UserError
from simreal.evaluate import load_candidate
from simreal.experiment import load_experiment
from simreal.export import export
from simreal.files import digest
from simreal.logs.robot_log import Channel, RobotLog
from simreal.make_environment import make_environment
from simreal.randomization.posterior import (
    Posterior,
    PosteriorParameter,
    Source,
    read_posterior,
    write_posterior,
)
from simreal.randomization.residual import write_residual
from simreal.run import Run
from simreal.run_verdict import reasons_against_export
from simreal.statistics import Interval
from simreal.train import load_agent, start_run, train
from tests.randomization.test_residual import model

torch.set_num_threads(1)

TINY = {
    "ppo": ["ppo.simulations=8", "ppo.rollout_steps=16", "ppo.batch_size=32"],
    "sac": ["sac.simulations=8", "sac.learning_starts=64", "sac.gradient_steps=1", "sac.batch_size=32"],
    "td3": ["td3.simulations=8", "td3.learning_starts=64", "td3.gradient_steps=1", "td3.batch_size=32"],
}


def trained(path: Path, agent: str, *more: str) -> Run:
    overrides = [
        f"agent={agent}",
        *TINY[agent],
        f"{agent}.hidden_layers=[16]",
        "episode_length=0.2",
        "train.total_steps=256",
        *more,
    ]
    run = start_run(load_experiment("qube_swingup", overrides), 0, path)
    train(run)
    return run


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("base") / "run", "ppo", "critic=[parameters]")


@pytest.fixture
def identified(tmp_path: Path) -> Path:
    """A Qube whose arm is heavier, whose joint has a spring, and which answers late."""
    random = np.random.default_rng(0)
    columns = (
        ("mass[arm]", "1", "scale", 1.1),
        ("joint_stiffness[arm]", "N·m/rad", "absolute", 0.002),
        ("action_latency_ms", "ms", "absolute", 12.0),
    )
    rows = np.array([each[-1] for each in columns]) * (1 + 0.01 * random.standard_normal((40, 3)))
    posterior = Posterior(
        robot="qube",
        parameters=tuple(
            PosteriorParameter(name=name, unit=unit, operation=operation, low=0.0, high=40.0)  # type: ignore[arg-type]
            for name, unit, operation, _ in columns
        ),
        samples=tuple(map(tuple, rows.tolist())),
    )
    write_posterior(tmp_path / "identified.yaml", posterior)
    return tmp_path / "identified.yaml"


def weights(run: Run) -> dict[str, torch.Tensor]:
    return dict(load_agent(run)[0].policy.state_dict())


def test_worlds_are_old_ones_and_identified_ones(identified: Path) -> None:
    experiment = load_experiment("qube_swingup")
    worlds = mix_worlds(experiment, read_posterior(identified), identified, 0.25, rows=400)
    assert set(worlds.replaced) == {"mass", "action_latency_ms"}
    rows = np.array(worlds.posterior.samples)
    column = worlds.posterior.column
    old, new = rows[:100], rows[100:]
    assert np.ptp(old[:, column("mass[arm]")]) > 0.35  # the old range is 0.8 to 1.2
    assert np.all(np.abs(new[:, column("mass[arm]")] - 1.1) < 0.06)
    assert np.all(np.abs(new[:, column("action_latency_ms")] - 12.0) < 0.6)
    # Not identified: as before in every world. Not randomized before: as in the model in the old ones.
    assert np.ptp(new[:, column("mass[pendulum]")]) > 0.35
    assert np.all(old[:, column("joint_stiffness[arm]")] == old[0, column("joint_stiffness[arm]")])
    assert np.all(new[:, column("joint_stiffness[arm]")] > 0.0015)


def test_an_entry_in_another_operation_becomes_absolute(identified: Path) -> None:
    experiment = load_experiment(
        "qube_swingup",
        ["randomization.mass={operation: add, distribution: {type: uniform, low: 0.0, high: 0.01}}"],
    )
    worlds = mix_worlds(experiment, read_posterior(identified), identified, 0.5, rows=200)
    parameter = worlds.posterior.parameters[worlds.posterior.column("mass[arm]")]
    values = np.array(worlds.posterior.samples)[:, worlds.posterior.column("mass[arm]")]
    assert parameter.operation == "absolute"
    mass = float(values[:100].min())
    assert np.allclose(values[100:], 1.1 * mass, rtol=0.06)
    assert np.ptp(values[:100]) == pytest.approx(0.01, rel=0.1)


def test_pins_and_ranges_of_replaced_entries_go_with_them(identified: Path, tmp_path: Path) -> None:
    experiment = load_experiment("qube_swingup", ["pins={mass: 1.05, motor_strength: 0.9}"])
    worlds = mix_worlds(experiment, read_posterior(identified), identified, 0.5, rows=50)
    write_posterior(tmp_path / "worlds.yaml", worlds.posterior)
    changed = experiment_in(experiment, worlds, tmp_path / "worlds.yaml")
    assert changed.pins == {"motor_strength": 0.9}
    values = np.array(worlds.posterior.samples)
    assert np.all(values[:25, worlds.posterior.column("mass[arm]")] == 1.05)
    make_environment(changed, 2, threads=1).reset()


def test_another_robot_is_refused(identified: Path) -> None:
    experiment = load_experiment("go2_velocity")
    with pytest.raises(UserError, match="identified on robot qube, not on go2"):
        mix_worlds(experiment, read_posterior(identified), identified, 0.3)


def test_a_finetuned_run_begins_as_its_base_acts(base: Run, identified: Path, tmp_path: Path) -> None:
    run = start_finetuning(base, identified, steps=1, path=tmp_path / "new").run
    run_steps = run.experiment().train.total_steps
    assert run_steps == 1
    before = load_candidate(base.path)
    finetune(run)
    first = Run.open(run.path)
    # Its very first checkpoint, before any update, is that of the base: same actions, same values.
    agent, env = load_agent(first)
    load_checkpoint(sorted(first.checkpoints.glob("*.pt"))[0], agent, with_replay=False)
    observation = np.random.default_rng(0).standard_normal((16, env.observation_size)).astype(np.float32)
    from simreal.agents.exported import act_with, exported

    assert np.array_equal(act_with(exported(agent, env.contract), observation), before.act(observation))
    old_agent, old_env = load_agent(base)
    _same_values(old_agent, old_env, agent, env)


def _same_values(old_agent, old_env, agent, env) -> None:  # type: ignore[no-untyped-def]
    """The critic thinks of a world in both ranges what it thought: what is new has no weight yet."""
    random, size = np.random.default_rng(1), env.observation_size
    seen = random.standard_normal((8, size))
    worlds = {
        name: random.uniform(0.9, 1.1, 8)
        for name in ("mass[arm]", "mass[pendulum]", "motor_strength[motor]")
    }

    def shown(environment):  # type: ignore[no-untyped-def]
        space = environment.randomizer.space
        values = np.array(
            [
                worlds.get(name, np.full(8, nominal))
                for name, nominal in zip(space.columns, space.nominal, strict=True)
            ]
        )
        if "action_latency_ms" in space.columns:
            values[space.columns.index("action_latency_ms")] = 5.0
        width = np.where(space.high > space.low, space.high - space.low, 1.0)
        scaled = 2.0 * (values.T - space.low) / width - 1.0
        return torch.from_numpy(np.concatenate((seen, scaled), axis=1).astype(np.float32))

    with torch.no_grad():
        one = old_agent.policy.predict_values(shown(old_env))
        other = agent.policy.predict_values(shown(env))
    assert torch.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("agent", ["ppo", "sac", "td3"])
def test_finetuning_trains_on_and_says_what_made_it(
    agent: str, identified: Path, tmp_path: Path
) -> None:
    base = trained(tmp_path / "base", agent)
    ready = start_finetuning(
        base, identified, 0.5, 256, tmp_path / "new", ["train.checkpoint_every=128"]
    )
    assert finetune(ready.run)
    moved, stood = weights(ready.run), weights(base)
    assert any(not torch.equal(moved[name], stood[name]) for name in stood)
    made = ready.run.facts()["adapted"]
    assert made["method"] == "finetune"
    assert made["old_share"] == 0.5
    assert made["identified"]["file"] == "identified.yaml"
    # Statistics of what is observed go on, too.
    count = [float(find_normalizer(load_agent(each)[0]).count) for each in (base, ready.run)]
    assert count[1] == pytest.approx(count[0] + 256, abs=8)
    kept = Run.open(ready.run.path / "base")
    assert all(torch.equal(value, stood[name]) for name, value in weights(kept).items())


def test_a_finetuned_run_is_whole_wherever_it_is_moved(
    base: Run, identified: Path, tmp_path: Path
) -> None:
    run = start_finetuning(base, identified, steps=128, path=tmp_path / "new").run
    finetune(run)
    identified.unlink()
    shutil.move(run.path, tmp_path / "moved")
    moved = Run.open(tmp_path / "moved")
    assert (
        yaml.safe_load((moved.path / "config.yaml").read_text())["randomization"]["identified"][
            "distribution"
        ]["file"]
        == "worlds.yaml"
    )
    assert load_candidate(moved.path).experiment.model_dump() == moved.experiment().model_dump()
    load_candidate(moved.path / "base")


def test_what_a_residual_was_fitted_to_is_kept(base: Run, identified: Path, tmp_path: Path) -> None:
    log = Source(file="a.mcap", sha256="0" * 64)
    write_residual(tmp_path / "actuator.npz", replace(model(), sources=(log,)))
    made = start_finetuning(
        base, identified, steps=128, path=tmp_path / "new", residual=tmp_path / "actuator.npz"
    )
    told = made.run.facts()["adapted"]["residual"]
    assert told == {
        "file": "actuator.npz",
        "sha256": digest(tmp_path / "actuator.npz"),
        "logs": [log.model_dump()],
    }


def test_sac_keeps_its_entropy_weight(tmp_path: Path) -> None:
    run = trained(tmp_path / "sac", "sac")
    agent, _ = load_agent(run)
    assert agent.log_ent_coef.item() != 0.0  # a fresh agent's


@pytest.fixture
def adapted(base: Run, identified: Path, tmp_path: Path) -> Run:
    run = start_finetuning(base, identified, steps=128, path=tmp_path / "adapted").run
    finetune(run)
    return run


@pytest.fixture
def log() -> Iterator[RobotLog]:
    time = np.arange(0.0, 3.0, 0.004)
    position = np.stack([0.3 * np.sin(2 * time), 0.1 * np.sin(5 * time)], axis=1)
    joints = ("arm", "pendulum")
    found = RobotLog("swing", joint_names=joints, robot="qube")
    found.channels["joint_position"] = Channel(time, position, joints, ("rad", "rad"))
    yield found


def test_a_policy_is_not_worse_than_itself(base: Run, identified: Path, log: RobotLog) -> None:
    found = judge(base, base.path, [log], identified, episodes=64)
    assert found.passed
    assert [part.name for part in found.parts] == ["old worlds", "identified robot", "real states"]
    assert {part.verdict for part in found.parts} == {"not worse"}
    assert found.not_judged == ()


def test_a_spoilt_policy_is_kept_back(adapted: Run, log: RobotLog, tmp_path: Path) -> None:
    path = adapted.latest_checkpoint()
    content = torch.load(path, weights_only=True)
    policy = content["parameters"]["policy"]
    policy["action_net.weight"] = 5.0 * torch.sign(policy["action_net.weight"])
    torch.save(content, path)
    assert "not compared" in reasons_against_export(adapted)[0]
    found = judge(adapted, logs=[log], episodes=32)
    assert not found.passed
    assert any(reason.startswith("real states") for reason in found.reasons)
    write_page(found, write_verdict(adapted, found).with_suffix(".html"))
    assert "kept back" in (adapted.path / "gate.html").read_text()
    runner = CliRunner()
    refused = runner.invoke(cli, ["export", str(adapted.path), "-o", str(tmp_path / "no.onnx")])
    assert isinstance(refused.exception, UserError)
    assert "real states" in str(refused.exception)
    assert not (tmp_path / "no.onnx").exists()
    forced = runner.invoke(
        cli, ["export", str(adapted.path), "-o", str(tmp_path / "yes.onnx"), "--force"]
    )
    assert forced.exit_code == 0
    assert (tmp_path / "yes.onnx").exists()
    export(Run.open(adapted.path / "base"), tmp_path / "base.onnx")


def test_the_gate_s_verdict_is_of_one_checkpoint(adapted: Run) -> None:
    found = judge(adapted, episodes=16)
    assert [each for each in found.not_judged if "no --log" in each]
    write_verdict(adapted, found)
    verdict = json.loads((adapted.path / "gate.json").read_text())
    assert verdict["passed"] == (reasons_against_export(adapted) == [])
    content = torch.load(adapted.latest_checkpoint(), weights_only=True)
    torch.save(content | {"wall_time": -1.0}, adapted.latest_checkpoint())
    assert "trained on since" in reasons_against_export(adapted)[0]


def test_runs_that_are_not_adapted_need_no_gate(base: Run) -> None:
    assert reasons_against_export(base) == []


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [
        (Interval(0.1, 0.01, 0.2), "better"),
        (Interval(0.0, -0.04, 0.04), "not worse"),
        (Interval(-0.02, -0.03, -0.01), "not worse"),
        (Interval(0.0, -0.2, 0.2), "undecided"),
        (Interval(-0.2, -0.3, -0.1), "worse"),
    ],
)
def test_verdicts_follow_from_the_interval_and_the_margin(gain: Interval, verdict: str) -> None:
    assert Measure("success", 0.0, 0.0, gain, 0.05).verdict == verdict


def test_undecided_passes_no_gate() -> None:
    wide = Measure("success", 0.5, 0.5, Interval(0.0, -0.2, 0.2), 0.05)
    better = Measure("return", 1.0, 2.0, Interval(1.0, 0.5, 1.5), 0.05)
    part = Part("old worlds", "", (better, wide))
    assert not Gate("a", "", "b", 2, 0, (part,), (), {}).passed


def test_actions_on_logged_states_are_measured(log: RobotLog) -> None:
    contract = make_environment(load_experiment("qube_swingup"), 1, threads=1).contract
    states, asked = states_of(log, contract)
    assert len(states) == 300
    assert states[50].joint_velocity[0] == pytest.approx(0.6 * np.cos(1.0), abs=0.02)
    steps = iter(range(1000))
    found = act_on(
        lambda seen, images: np.full((1, 1), 1.0 if next(steps) % 2 else -0.5), contract, states, asked
    )
    assert found.jump[1:] == pytest.approx(1.5)
    assert found.saturated.mean() == pytest.approx(0.5)
    calm = Acted(np.zeros((300, 1)), np.zeros(300))
    assert {each.verdict for each in compare_actions([found], [calm])} <= {"better", "not worse"}
    assert compare_actions([calm], [found])[0].verdict == "worse"


def test_a_log_of_another_robot_or_without_what_is_seen_is_refused(log: RobotLog) -> None:
    contract = make_environment(load_experiment("qube_swingup"), 1, threads=1).contract
    log.robot = "go2"
    with pytest.raises(UserError, match="a log of robot go2, not of qube"):
        states_of(log, contract)
    log.robot = None
    log.channels["joint_position"] = Channel(np.arange(3.0), np.zeros((3, 1)), ("arm",), ("rad",))
    with pytest.raises(UserError, match="has no 'pendulum'"):
        states_of(log, contract)


def test_the_commands_lead_from_a_run_to_a_verdict(base: Run, identified: Path, tmp_path: Path) -> None:
    runner, new = CliRunner(), tmp_path / "cli"
    trained_on = runner.invoke(
        cli,
        [
            "finetune",
            str(base.path),
            "--randomization",
            str(identified),
            "--steps",
            "128",
            "--run",
            str(new),
        ],
    )
    assert trained_on.exit_code == 0, trained_on.output
    assert "simreal gate" in trained_on.output
    judged = runner.invoke(cli, ["gate", str(new), "--episodes", "16", "--json"])
    assert judged.exit_code in (0, 1)
    verdict = json.loads((new / "gate.json").read_text())
    assert judged.exit_code == (0 if verdict["passed"] else 1)
    assert verdict["made_by"]["identified"]["file"] == "identified.yaml"
