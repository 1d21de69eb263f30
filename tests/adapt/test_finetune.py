"""A policy that goes on among identified robots. Tiny, but real."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner

from simreal.adapt.adapted_run import start_from
from simreal.adapt.finetune import finetune, start_finetuning
from simreal.agents.checkpoint import load_checkpoint
from simreal.agents.exported import find_normalizer
from simreal.cli.main import cli
from simreal.cli.train import conclude
from simreal.errors import UserError
from simreal.evaluate import load_candidate
from simreal.files import digest
from simreal.randomization.posterior import Source, read_posterior, write_posterior
from simreal.randomization.residual import write_residual
from simreal.run import Run
from simreal.train import load_agent, start_run, train
from tests.adapt.adapted_runs import trained
from tests.constant_residual import constant_residual

torch.set_num_threads(1)


def weights(run: Run) -> dict[str, torch.Tensor]:
    return dict(load_agent(run)[0].policy.state_dict())


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
    shown = _shown(old_env, env)
    with torch.no_grad():
        one, other = (
            each.policy.predict_values(seen)
            for each, seen in zip((old_agent, agent), shown, strict=True)
        )
    assert torch.allclose(one, other, atol=1e-4)


def _shown(*environments):  # type: ignore[no-untyped-def]
    """What each shows of the same states in the same worlds."""
    random, size = np.random.default_rng(1), environments[0].observation_size
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

    return [shown(each) for each in environments]


def test_an_adaptive_policy_goes_on_with_what_its_encoder_says_and_on_estimates(
    identified: Path, tmp_path: Path
) -> None:
    rma = ("adaptation=rma", "rma.history=8", "rma.channels=4", "rma.latent=3")
    base = trained(tmp_path / "base", "ppo", *rma)
    run = start_finetuning(base, identified, steps=1, path=tmp_path / "new").run
    assert run.experiment().rma.estimated_share(0.0) == 1.0  # type: ignore[union-attr]
    finetune(run)
    agent, env = load_agent(run)
    load_checkpoint(sorted(run.checkpoints.glob("*.pt"))[0], agent, with_replay=False)
    old_agent, old_env = load_agent(base)
    assert old_env.randomizer.space.columns != env.randomizer.space.columns
    _same_values(old_agent, old_env, agent, env)
    shown = _shown(old_env, env)
    with torch.no_grad():
        one, other = old_agent.policy.encode(shown[0]), agent.policy.encode(shown[1])
    assert torch.allclose(one, other, atol=1e-4) and one.std() > 0.0


@pytest.mark.parametrize(("overrides", "rate"), [((), 5e-4), (("ppo.learning_rate=2e-4",), 2e-4)])
def test_ppo_goes_on_in_smaller_steps_unless_told_otherwise(
    base: Run, identified: Path, tmp_path: Path, overrides: tuple[str, ...], rate: float
) -> None:
    assert base.experiment().ppo.learning_rate == 1.5e-3
    made = start_finetuning(base, identified, 0.5, 64, tmp_path / "new", overrides)
    assert made.run.experiment().ppo.learning_rate == rate


def test_a_rate_that_never_fell_is_made_smaller_too(base: Run, identified: Path, tmp_path: Path) -> None:
    experiment = base.experiment()
    constant = experiment.ppo.model_copy(update={"final_learning_rate_share": 1.0})
    steady = start_run(experiment.model_copy(update={"ppo": constant}), 0, tmp_path / "steady")
    train(steady)
    made = start_finetuning(steady, identified, 0.5, 64, tmp_path / "new")
    assert made.run.experiment().ppo.learning_rate == pytest.approx(constant.learning_rate / 3, rel=1e-2)


def test_networks_that_do_not_fit_are_named_and_leave_no_folder(
    base: Run, identified: Path, tmp_path: Path
) -> None:
    made = start_finetuning(base, identified, 0.5, 64, tmp_path / "new", ("ppo.hidden_layers=[8]",))
    with pytest.raises(
        UserError, match=r"is 16 x \d+ there and 8 x \d+ here; the agent's hidden_layers"
    ):
        finetune(made.run)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("cause", ["make_environment", "refuse_differences", "build_agent"])
@pytest.mark.parametrize("is_there", [False, True])
def test_why_a_finetuning_cannot_begin_is_told_and_nothing_is_left_of_it(
    base: Run,
    identified: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cause: str,
    is_there: bool,
) -> None:
    if is_there:
        (tmp_path / "new").mkdir()
    run = start_finetuning(base, identified, steps=128, path=tmp_path / "new").run
    monkeypatch.setattr(f"simreal.train.{cause}", Mock(side_effect=UserError("the reason")))
    with pytest.raises(UserError, match="the reason"):
        finetune(run)
    assert (tmp_path / "new").exists() == is_there
    assert not is_there or not list((tmp_path / "new").iterdir())


def test_what_was_broken_off_goes_on_with_the_learning_rate_that_it_had(
    base: Run, identified: Path, tmp_path: Path
) -> None:
    half = start_run(base.experiment(), 0, tmp_path / "half")
    train(half, stop_early=lambda agent: agent.num_timesteps >= 128)
    done = half.steps_kept() / half.total_steps
    assert 0.5 <= done < 0.6
    config = half.experiment().ppo
    rate = config.learning_rate * (1.0 - done * (1.0 - config.final_learning_rate_share))
    made = start_finetuning(half, identified, 0.5, 64, tmp_path / "new")
    assert made.run.experiment().ppo.learning_rate == pytest.approx(rate, rel=1e-2)


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
    made = ready.run.facts().adapted
    assert made is not None and made.identified is not None
    assert (made.method, made.old_share) == ("finetune", 0.5)
    assert made.identified.file == "identified.yaml"
    # Statistics of what is observed go on, too.
    count = [float(find_normalizer(load_agent(each)[0]).count) for each in (base, ready.run)]
    assert count[1] == pytest.approx(count[0] + 256, abs=8)
    kept = Run.open(ready.run.path / "base")
    assert all(torch.equal(value, stood[name]) for name, value in weights(kept).items())


def test_a_robot_that_is_not_covered_is_to_be_flown(base: Run, identified: Path, tmp_path: Path) -> None:
    doubtful = read_posterior(identified).model_copy(update={"coverage": 0.897})
    write_posterior(tmp_path / "doubtful.yaml", doubtful)
    arguments = f"--randomization {tmp_path}/doubtful.yaml --steps 128 --run {tmp_path}/run"
    found = CliRunner().invoke(cli, f"finetune {base.path} {arguments}")
    assert found.exit_code == 0, found.output
    told = " ".join(found.stderr.split())
    assert "covers 89 % of what was held out, where it is to cover 90 %: the robot may have" in told
    assert "simreal identify may find it with more --parameters" in told
    assert "only flights of both policies on it tell" in told


@pytest.mark.parametrize(
    ("coverage", "share"), [(None, 0.3), (0.97, 0.3), (0.85, 0.3), (0.675, 0.65), (0.51, 0.98)]
)
def test_the_less_is_covered_the_more_of_the_old_worlds_stay(
    base: Run, identified: Path, tmp_path: Path, coverage: float | None, share: float
) -> None:
    found = read_posterior(identified).model_copy(update={"coverage": coverage})
    write_posterior(identified, found)
    made = start_finetuning(base, identified, steps=128, path=tmp_path / "new")
    assert made.old_share == pytest.approx(share, abs=1e-9)
    adapted = made.run.facts().adapted
    assert adapted is not None and adapted.old_share == made.old_share
    worlds = read_posterior(made.run.path / "worlds.yaml")
    assert f"{round(600 * (1 - share))} worlds as identified" in worlds.provenance


@pytest.mark.parametrize("coverage", [0.2, 0.5])
def test_robots_that_do_not_cover_the_real_one_are_not_trained_on_unless_told_to(
    base: Run, identified: Path, tmp_path: Path, coverage: float
) -> None:
    found = read_posterior(identified).model_copy(update={"coverage": coverage})
    write_posterior(identified, found)
    with pytest.raises(
        UserError, match=rf"covers {100 * coverage:.0f} % .* held out, no more than half"
    ):
        start_finetuning(base, identified, steps=128, path=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    made = start_finetuning(base, identified, 0.3, 128, tmp_path / "new")
    assert made.old_share == 0.3
    # What the parameters lack, a residual is there for.
    write_residual(tmp_path / "actuator.npz", constant_residual())
    residual = tmp_path / "actuator.npz"
    other = start_finetuning(base, identified, None, 128, tmp_path / "other", residual=residual)
    assert other.old_share == 0.3


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
    write_residual(tmp_path / "actuator.npz", replace(constant_residual(), sources=(log,)))
    made = start_finetuning(
        base, identified, steps=128, path=tmp_path / "new", residual=tmp_path / "actuator.npz"
    )
    told = json.loads((made.run.path / "run.json").read_text())["adapted"]["residual"]
    assert told == {
        "file": "actuator.npz",
        "sha256": digest(tmp_path / "actuator.npz"),
        "logs": [log.model_dump()],
    }


def test_sac_keeps_its_entropy_weight(tmp_path: Path) -> None:
    run = trained(tmp_path / "sac", "sac")
    agent, _ = load_agent(run)
    assert agent.log_ent_coef.item() != 0.0  # a fresh agent's


def test_what_went_on_after_an_interrupt_is_held_beside_its_base_too(
    adapted: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    conclude(adapted)
    told = capsys.readouterr().out
    assert "the policy that it began from" in told and f"simreal gate {adapted.path}" in told
    assert "simreal export" not in told  # which would refuse


@pytest.mark.long
def test_a_base_with_a_residual_model_is_kept_with_it(
    base: Run, identified: Path, tmp_path: Path
) -> None:
    write_residual(tmp_path / "actuator.npz", constant_residual())
    first = start_finetuning(
        base, identified, steps=128, path=tmp_path / "first", residual=tmp_path / "actuator.npz"
    ).run
    finetune(first)
    second = start_finetuning(first, identified, steps=128, path=tmp_path / "second").run
    shutil.move(first.path, tmp_path / "elsewhere")
    assert finetune(second)
    load_candidate(second.path / "base")


def test_a_run_that_is_killed_while_it_is_made_is_known_as_adapted(
    base: Run, identified: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simreal.adapt.adapted_run.copy_file", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        start_finetuning(base, identified, steps=128, path=tmp_path / "new")
    run = Run.open(tmp_path / "new")
    adapted = run.facts().adapted
    assert adapted is not None and adapted.method == "finetune"
    assert not (run.path / "base").exists()
    with pytest.raises(UserError, match="delete the folder, and give the command"):
        train(run, resume=True)


def test_a_base_that_finds_no_room_leaves_no_folder(
    base: Run, identified: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = Mock(side_effect=UserError("No space left on device"))
    monkeypatch.setattr("simreal.adapt.adapted_run.copy_file", refusal)
    with pytest.raises(UserError, match="No space left"):
        start_finetuning(base, identified, steps=128, path=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_another_process_trains_in_meanwhile_is_left_to_it(
    base: Run, identified: Path, tmp_path: Path
) -> None:
    run = start_finetuning(base, identified, steps=128, path=tmp_path / "new").run
    with Run(run.path).lock(), pytest.raises(UserError, match="another process is training here"):
        finetune(run)
    assert Run.open(run.path).experiment()


def test_a_policy_of_no_numbers_is_refused_before_a_folder_is_made(
    base: Run, identified: Path, tmp_path: Path
) -> None:
    shutil.copytree(base.path, tmp_path / "spoilt")
    spoilt = Run.open(tmp_path / "spoilt")
    content = torch.load(spoilt.latest_checkpoint(), weights_only=True)
    content["parameters"]["policy"]["action_net.bias"][0] = float("nan")
    torch.save(content, spoilt.latest_checkpoint())
    with pytest.raises(UserError, match=r"action_net\.bias holds what is no finite number"):
        start_finetuning(spoilt, identified, steps=128, path=tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("damage", [b"", b"\x80\x04\x95 no pickle", b"PK\x03\x04 cut"])
def test_a_kept_base_that_was_damaged_is_told_by_its_file(
    base: Run, identified: Path, tmp_path: Path, damage: bytes
) -> None:
    run = start_finetuning(base, identified, steps=128, path=tmp_path / "new").run
    Run(run.path / "base").latest_checkpoint().write_bytes(damage)
    with pytest.raises(UserError, match=r"base/checkpoints/step_\d+\.pt: not a usable checkpoint: \S"):
        finetune(run)
    assert not run.path.exists()
    shutil.copytree(base.path, tmp_path / "damaged")
    Run(tmp_path / "damaged").latest_checkpoint().write_bytes(damage)
    with pytest.raises(UserError, match=r"step_\d+\.pt: not a usable checkpoint: \S"):
        start_from(Run(tmp_path / "damaged"), base.experiment(), 128, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_what_goes_on_from_a_policy_that_may_not_leave_is_told_at_once(
    adapted: Run, identified: Path, tmp_path: Path
) -> None:
    arguments = f"--randomization {identified} --steps 128 --run {tmp_path}/run"
    found = CliRunner().invoke(cli, f"finetune {adapted.path} {arguments}")
    assert found.exit_code == 0, found.output
    assert "may not be exported, nor what goes on from it: it was adapted and not" in found.stderr
