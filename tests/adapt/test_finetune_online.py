"""Sessions on a robot: real loop, supervisor and recorder; budgets that no kill forgets; refusals."""

import json
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from simreal.adapt.action_bounds import ActionBounds, BoundsConfig
from simreal.adapt.finetune_online import OnlineTuning, finetune_online
from simreal.adapt.online_learner import OnlineLearner
from simreal.adapt.online_session import (
    CUT_SHORT_IN_A_ROW,
    OnlineConfig,
    OnRobot,
    Session,
    cost_too_much,
    worse_than_base,
)
from simreal.adapt.robot_budget import Budget, FlownEpisode, Ledger
from simreal.adapt.robot_episode import transitions_of
from simreal.adapt.robot_trial import Trial
from simreal.adapt.transitions import Transitions, mean_reward
from simreal.cli.main import cli
from simreal.config import override, parse
from simreal.deploy.drivers import Driver, DriverError
from simreal.errors import UserError
from simreal.evaluate import load_candidate
from simreal.experiment import ExperimentConfig, load_experiment
from simreal.export import export
from simreal.logs.formats import read_logs
from simreal.observation import Float32Array
from simreal.run import Run
from simreal.run_facts import Adapted, RobotFacts
from simreal.run_verdict import reasons_against_export
from simreal.train import load_agent, start_run, train
from tests.adapt.toy_qube import ToyQube

torch.set_num_threads(1)
QUICK = (
    "critic_width=8",
    "batch_size=16",
    "updates_per_s=20",
    "hidden_layers=[8]",
    "base_every=3",
    "bounds.first=0.2",
    "bounds.evidence_s=0.5",
    "learning_rate=0.01",
    "trial_share=0",
)


def config(*more: str) -> OnlineConfig:
    return parse(OnlineConfig, override({}, [*QUICK, *more]))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Run:
    tiny = ["ppo.simulations=8", "ppo.rollout_steps=16", "ppo.batch_size=32", "ppo.hidden_layers=[16]"]
    experiment = load_experiment("qube_swingup", [*tiny, "train.total_steps=256", "episode_length=1.0"])
    made = start_run(experiment, 0, tmp_path_factory.mktemp("base") / "run")
    train(made)
    return made


def tune(
    base: Run, driver: Driver, path: Path, budget: Budget, *logs: Path, more: tuple[str, ...] = ()
) -> OnlineTuning:
    robot = OnRobot(driver, "toy", starts_anew=True)
    return finetune_online(base, robot, budget, logs, path, config(*more))


@pytest.fixture(scope="module")
def tuned(base: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[OnlineTuning, ToyQube]:
    driver = ToyQube()
    return tune(base, driver, tmp_path_factory.mktemp("tuned") / "run", Budget(5.0)), driver


def test_a_session_ends_with_its_budget_and_keeps_the_limits(
    tuned: tuple[OnlineTuning, ToyQube],
) -> None:
    found, driver = tuned
    ledger = found.ledger
    assert "5 s on the robot are used up" in found.stopped
    assert 4.0 < ledger.seconds <= 5.0
    assert [each.kind for each in ledger.episodes[:4]] == ["base", "explore", "explore", "base"]
    assert len(driver.sent) == sum(each.steps for each in ledger.episodes)
    assert np.abs(driver.sent).max() <= 4.0
    for each in ledger.episodes:
        assert (each.beyond_range, each.beyond_limits, each.reset) == (0, 0, True)
        assert each.furthest <= each.width + 1e-6
    assert ledger.episodes[0].furthest == 0.0 < ledger.episodes[1].furthest
    assert ledger.bounds.width > 0.2
    assert driver.off_calls >= 2 * len(ledger.episodes)


def test_what_it_learned_from_stands_in_the_folder(
    base: Run, tuned: tuple[OnlineTuning, ToyQube]
) -> None:
    found, _ = tuned
    folder = found.run.path / "robot"
    assert Ledger.read(folder / "ledger.json") == found.ledger
    adapted = found.run.facts().adapted
    assert adapted is not None and adapted.robot is not None
    assert adapted.method == "finetune-online" and adapted.robot.drivers == ("toy",)
    assert adapted.robot.seconds == pytest.approx(found.ledger.seconds)
    assert adapted.base_sha256 and adapted.logs == ()
    logs = sorted(folder.glob("*.mcap"))
    assert len(logs) == len(found.ledger.episodes)
    experiment = base.experiment()
    assert isinstance(experiment, ExperimentConfig)
    steps = [len(transitions_of(each, experiment, base.contract()) or ()) for each in logs]
    # Twice as many once the policy learns, too.
    assert 0.2 * sum(steps) < adapted.robot.updates <= 2 * 20 * found.ledger.seconds
    names = {read_logs(each)[0].contract == base.contract() for each in logs}
    assert names == {True}


def acts(path: Path, observation: Float32Array) -> Float32Array:
    return np.asarray(load_candidate(path).act(observation))  # type: ignore[call-arg]


def test_what_no_trial_has_shown_to_be_better_is_not_used(
    base: Run, tuned: tuple[OnlineTuning, ToyQube], tmp_path: Path
) -> None:
    run = tuned[0].run
    assert "not tried beside its base policy" in reasons_against_export(run)[0]
    refused = CliRunner().invoke(cli, ["export", str(run.path), "-o", str(tmp_path / "no.onnx")])
    assert isinstance(refused.exception, UserError) and str(run.path / "base") in str(refused.exception)
    observation = np.random.default_rng(0).standard_normal((64, 7)).astype(np.float32)
    for path in (run.path, run.path / "base"):
        np.testing.assert_array_equal(
            np.clip(acts(path, observation), -1, 1), np.clip(acts(base.path, observation), -1, 1)
        )


@pytest.mark.long
def test_what_has_been_shown_to_be_better_is_used_and_kept_by_the_gate_until_it_has_passed(
    base: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trial, "better", True)
    found = tune(base, ToyQube(), tmp_path / "run", Budget(11.0), more=("trial_share=0.5",))
    ledger, run = found.ledger, found.run
    trial = [each for each in ledger.episodes if each.pair is not None]
    assert [(each.pair, each.kind) for each in trial] == [
        (0, "learned"), (0, "base"), (1, "base"), (1, "learned")
    ]  # fmt: skip
    assert len({each.updates for each in trial}) == 1 < trial[0].updates  # nothing is learned meanwhile
    assert trial[0].furthest > 0.0 == trial[1].furthest
    assert found.trial.pairs == 2 and "too few for another pair" in found.stopped
    assert "not compared with its base policy yet" in reasons_against_export(run)[0]
    observation = np.random.default_rng(0).standard_normal((64, 7)).astype(np.float32)
    before, after = acts(base.path, observation), acts(run.path, observation)
    moved = np.abs(after - np.clip(before, -1, 1)).max()
    assert 1e-5 < moved <= ledger.bounds.width + 1e-6
    made = export(run, tmp_path / "tuned.onnx")
    np.testing.assert_allclose(acts(made.path, observation), after, atol=1e-5)
    judged = CliRunner().invoke(cli, ["gate", str(run.path), "--episodes", "4", "--json"])
    verdict = json.loads(judged.stdout)
    assert verdict["made_by"]["method"] == "finetune-online"
    assert verdict["passed"] is (judged.exit_code == 0)


@pytest.mark.long
def test_the_same_command_goes_on_and_a_larger_budget_is_used(base: Run, tmp_path: Path) -> None:
    first = tune(base, ToyQube(), tmp_path / "run", Budget(1.5)).ledger
    driver = ToyQube()
    again = tune(base, driver, tmp_path / "run", Budget(1.5))
    assert driver.sent == [] and again.ledger == first
    more = tune(base, driver, tmp_path / "run", Budget(3.5)).ledger
    assert more.episodes[: len(first.episodes)] == first.episodes
    assert 2.5 < more.seconds <= 3.5
    assert len(driver.sent) == sum(each.steps for each in more.episodes[len(first.episodes) :])


@pytest.mark.long
def test_a_robot_that_was_not_there_yet_costs_nothing(base: Run, tmp_path: Path) -> None:
    driver = ToyQube(silent=True)
    for _ in range(2):
        with pytest.raises(DriverError, match="cable"):
            tune(base, driver, tmp_path / "run", Budget(1.5))
        assert not (tmp_path / "run").exists()
    driver.silent = False
    assert tune(base, driver, tmp_path / "run", Budget(1.5)).ledger.episodes[0].number == 0


@pytest.mark.long
def test_a_wrong_parameter_of_the_driver_leaves_no_new_folder_and_takes_none_away(
    base: Run, tmp_path: Path
) -> None:
    arguments = ["finetune-online", str(base.path), "--budget-seconds", "2", "--no-real-time"]
    given = [part for each in QUICK for part in ("-o", each)]
    command = [*arguments, *given, "--run", str(tmp_path / "run"), "--driver"]
    wrong = CliRunner().invoke(cli, [*command, "sim:mas=1.1"])
    assert isinstance(wrong.exception, UserError) and "no parameter 'mas'" in str(wrong.exception)
    assert not (tmp_path / "run").exists()
    flown = tune(base, ToyQube(), tmp_path / "run", Budget(1.5)).ledger
    wrong = CliRunner().invoke(cli, [*command, "sim:mas=1.1", "--budget-seconds", "4"])
    assert isinstance(wrong.exception, UserError)
    assert Ledger.read(tmp_path / "run" / "robot" / "ledger.json").episodes == flown.episodes


def test_what_another_process_has_made_or_begun_meanwhile_is_left_to_it(
    base: Run, tuned: tuple[OnlineTuning, ToyQube], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = Run(shutil.copytree(tuned[0].run.path, tmp_path / "made"))
    shutil.rmtree(theirs.path / "robot")
    looks = iter([False])  # before the other one made it, and from then on
    monkeypatch.setattr("simreal.adapt.finetune_online.is_taken", lambda path: next(looks, True))
    with theirs.lock(), pytest.raises(UserError, match="exists already"):
        tune(base, ToyQube(), theirs.path, Budget(1.5))
    assert theirs.experiment()
    monkeypatch.undo()

    with ExitStack() as held:

        def begin(*arguments: Any, **facts: Any) -> Run:
            run = start_run(*arguments, **facts)
            held.enter_context(Run(run.path).lock())
            return run

        monkeypatch.setattr("simreal.adapt.finetune_online.start_run", begin)
        with pytest.raises(UserError, match="another process is training here"):
            tune(base, ToyQube(), tmp_path / "begun", Budget(1.5))
    assert Run.open(tmp_path / "begun").experiment()


@pytest.mark.long
def test_a_log_that_cannot_be_read_is_told_and_left_out(base: Run, tmp_path: Path) -> None:
    tune(base, ToyQube(), tmp_path / "run", Budget(1.5))
    (tmp_path / "run" / "robot" / "episode_00000.mcap").write_bytes(b"")
    told: list[str] = []
    robot = OnRobot(ToyQube(), "toy", starts_anew=True)
    again = finetune_online(base, robot, Budget(3.0), (), tmp_path / "run", config(), warn=told.append)
    assert again.ledger.seconds > 2.0
    assert "nothing that is learned will be used" in told[0]
    assert any(
        "nothing is learned from this episode" in each and "episode_00000" in each for each in told
    )


def steps_of(number: int, reward: float, limited: int = 0) -> Transitions:
    each = np.zeros((number, 1), np.float32)
    over = np.zeros(number, dtype=bool)
    return Transitions(each, each, np.full(number, reward), each, over, np.zeros(number, int), limited)


@given(st.floats(-5.0, 5.0), st.integers(1, 100), st.integers(0, 50))
def test_to_fall_or_to_be_limited_is_never_worth_more(reward: float, flown: int, limited: int) -> None:
    whole, fallen = (mean_reward(steps_of(number, reward), 150) for number in (150, flown))
    assert whole == pytest.approx(reward)
    assert fallen <= whole + 1e-9
    assert mean_reward(steps_of(150 - limited, reward, limited), 150) == pytest.approx(whole)


KILLED = """
from pathlib import Path
from simreal.run import Run
from tests.adapt.test_finetune_online import Budget, tune
from tests.adapt.toy_qube import ToyQube
tune(Run.open(Path({base!r})), ToyQube(kill_at=150), Path({run!r}), Budget(4.0))
"""


@pytest.mark.long
def test_after_a_kill_the_whole_episode_counts_and_what_was_flown_is_learned_from(
    base: Run, tmp_path: Path
) -> None:
    program = KILLED.format(base=str(base.path), run=str(tmp_path / "run"))
    root = Path(__file__).resolve().parent.parent.parent
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    left = Ledger.read(tmp_path / "run" / "robot" / "ledger.json")
    assert len(left.episodes) == 1 and left.in_flight is not None
    assert (left.in_flight.kind, left.in_flight.seconds) == ("explore", 1.0)
    assert left.seconds == pytest.approx(2.0)
    driver = ToyQube()
    found = tune(base, driver, tmp_path / "run", Budget(4.0)).ledger
    assert found.episodes[1].ended_by == "killed" and found.episodes[1].seconds == 1.0
    assert found.seconds <= 4.0
    assert len(driver.sent) <= 100 * (4.0 - 2.0)
    killed_log = tmp_path / "run" / "robot" / "episode_00001.mcap"
    experiment = base.experiment()
    assert isinstance(experiment, ExperimentConfig)
    part = transitions_of(killed_log, experiment, base.contract())
    assert part is not None and 20 < len(part) < 60


@pytest.mark.long
def test_falls_stop_it_and_narrow_the_bounds(base: Run, tmp_path: Path) -> None:
    found = tune(base, ToyQube(push=200.0), tmp_path / "run", Budget(60.0), more=("base_every=2",))
    episodes = found.ledger.episodes
    assert f"{CUT_SHORT_IN_A_ROW} episodes in a row" in found.stopped
    assert {each.ended_by for each in episodes} == {"supervisor: joint_position"}
    assert found.ledger.bounds.width == pytest.approx(0.05)  # halved by two that explored
    assert found.ledger.bounds.violations == 2
    experiment = base.experiment()
    assert isinstance(experiment, ExperimentConfig)
    last = transitions_of(found.run.path / "robot" / "episode_00001.mcap", experiment, base.contract())
    assert last is not None and last.terminated[-1] and not last.terminated[:-1].any()
    assert sum(each.recovered for each in episodes if each.kind == "explore") > 0
    # Who begins another session has seen to the robot.
    again = tune(base, ToyQube(push=200.0), tmp_path / "run", Budget(60.0), more=("base_every=2",))
    assert len(again.ledger.episodes) > len(episodes)


@pytest.mark.parametrize(
    ("budget", "words"),
    [(Budget(60.0, falls=1), "1 falls"), (Budget(60.0, resets=2), "2 resets")],
)
def test_falls_and_resets_have_budgets_of_their_own(
    base: Run, tmp_path: Path, budget: Budget, words: str
) -> None:
    push = 35.0 if budget.falls else 0.0
    found = tune(base, ToyQube(push=push), tmp_path / "run", budget)
    expected = "arm_beyond_limit" if budget.falls else "duration"
    assert found.ledger.episodes[0].ended_by == expected
    assert words in found.stopped
    assert len(found.ledger.episodes) == (budget.falls or budget.resets)


def test_after_a_fall_a_person_is_asked(base: Run, tmp_path: Path) -> None:
    robot = OnRobot(ToyQube(push=200.0), "toy", put_back=lambda: False)
    found = finetune_online(base, robot, Budget(60.0), (), tmp_path / "run", config())
    assert found.stopped == "nobody put the robot back"
    assert len(found.ledger.episodes) == 1


def test_half_of_what_it_learns_from_may_be_logs(
    base: Run, tuned: tuple[OnlineTuning, ToyQube], tmp_path: Path
) -> None:
    log = tuned[0].run.path / "robot" / "episode_00001.mcap"
    found = tune(base, ToyQube(), tmp_path / "run", Budget(1.0), log)
    adapted = found.run.facts().adapted
    assert adapted is not None
    [named] = adapted.logs
    assert named.name == log.name and len(named.sha256) == 64
    with pytest.raises(UserError, match="begun with other logs"):
        tune(base, ToyQube(), tmp_path / "run", Budget(2.0))
    with pytest.raises(UserError, match="begun with other numbers"):
        tune(base, ToyQube(), tmp_path / "run", Budget(2.0), log, more=("batch_size=32",))


@pytest.mark.long
def test_what_cannot_learn_on_a_robot_is_refused(
    base: Run, tuned: tuple[OnlineTuning, ToyQube], tmp_path: Path
) -> None:
    run, driver = tuned[0].run, ToyQube()
    for refused in (
        lambda: tune(run, driver, tmp_path / "run", Budget(2.0)),
        lambda: train(run, resume=True),
    ):
        with pytest.raises(UserError, match="changed on a robot"):
            refused()
    resumed = CliRunner().invoke(cli, ["train", "--resume", "--run", str(run.path)])
    assert isinstance(resumed.exception, UserError) and resumed.output == ""
    with pytest.raises(UserError, match="none of finetune-online"):
        tune(base, driver, base.path, Budget(2.0))
    bad = tmp_path / "bad"
    tune(base, driver, bad, Budget(1.0))
    (bad / "robot" / "ledger.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        tune(base, driver, bad, Budget(2.0))
    for lost in ("ledger.json", "learner.pt"):
        tune(base, driver, tmp_path / lost, Budget(1.0))
        kept = {each.name for each in (tmp_path / lost / "robot").iterdir()}
        (tmp_path / lost / "robot" / lost).unlink()
        with pytest.raises(
            UserError, match=rf"robot/{lost}: cannot be read \(No such file.*another --run"
        ):
            tune(base, driver, tmp_path / lost, Budget(2.0))
        assert {each.name for each in (tmp_path / lost / "robot").iterdir()} == kept - {lost}
    arguments = ["finetune-online", str(base.path), "--driver", "simm", "--budget-seconds", "5"]
    result = CliRunner().invoke(cli, [*arguments, "--run", str(tmp_path / "x")])
    assert isinstance(result.exception, UserError) and "no driver 'simm'" in str(result.exception)
    assert not (tmp_path / "x").exists()


def test_a_policy_without_a_gain_on_the_robot_is_kept_back_whatever_the_gate_says(
    base: Run, tmp_path: Path
) -> None:
    robot = RobotFacts(better=False, trial="not shown to be better")
    run = Run.create(tmp_path / "run", base.experiment(), 0, Adapted(robot=robot))
    (run.path / "gate.json").write_text('{"passed": true, "policy_sha256": "", "reasons": []}')
    [reason] = reasons_against_export(run)
    assert reason == f"not shown to be better: its base policy is {run.path / 'base'}"


def test_a_policy_that_has_become_worse_on_the_robot_is_stopped() -> None:
    def episode(kind: str, reward: float | None) -> FlownEpisode:
        return FlownEpisode(0, kind, 1, 100, reward, "duration", 0.1, 0.1, 0, 0, 0, 0, 0, False)

    good = [episode("base", 0.5 + 0.01 * place) for place in range(4)]
    bad = [episode("explore", 0.3 + 0.01 * place) for place in range(4)]
    assert worse_than_base(good + bad[:3]) is None
    assert "worse on the robot" in str(worse_than_base(good + bad))
    # Not one whole step of them was flown: they are neither worse nor better.
    nothing = [episode(kind, None) for kind in ("base", "explore")]
    assert worse_than_base(good + bad[:3] + nothing) is None
    assert "worse on the robot" in str(worse_than_base(good + bad + nothing))
    assert nothing[0].told_reward == "-" and good[1].told_reward == "0.510"
    assert not cost_too_much(nothing[1], good) and cost_too_much(bad[0], good + nothing)
    assert worse_than_base([*good, *bad, *(episode("explore", 0.55) for _ in range(4))]) is None


def test_the_command_flies_the_simulated_robot_in_real_time(base: Run, tmp_path: Path) -> None:
    arguments = [str(base.path), "--driver", "sim", "--budget-seconds", "2", "--no-real-time"]
    given = [part for each in QUICK for part in ("-o", each)]
    result = CliRunner().invoke(
        cli, ["finetune-online", *arguments, *given, "--run", str(tmp_path / "run")]
    )
    assert result.exit_code == 0, result.output
    assert "stopped: " in result.output and "0 commands beyond a range" in result.output
    agent, _ = load_agent(Run.open(tmp_path / "run"))
    assert agent.policy.residual is not None


def test_a_learner_whose_numbers_run_off_ends_the_session_with_the_base_policy(
    base: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_off(learner: OnlineLearner, *_: object) -> None:
        torch.nn.init.constant_(learner.residual.out.bias, float("nan"))

    monkeypatch.setattr(OnlineLearner, "learn", run_off)
    for _ in range(2):
        found = tune(base, ToyQube(), tmp_path / "run", Budget(11.0))
        assert "a smaller learning_rate" in found.stopped
        assert not found.ledger.episodes  # nothing moves
        observation = np.random.default_rng(0).standard_normal((64, 7)).astype(np.float32)
        np.testing.assert_array_equal(
            acts(found.run.path, observation), np.clip(acts(base.path, observation), -1, 1)
        )
        shutil.rmtree(found.run.path / "base")  # as if a kill had come before it was kept
    tune(base, ToyQube(), tmp_path / "run", Budget(11.0))
    load_candidate(found.run.path / "base")


@pytest.mark.parametrize(
    ("ended", "explored", "width", "fell"),
    [
        ("supervisor: stale_state", 900, 0.2, False),
        ("supervisor: overrun", 900, 0.2, False),
        ("supervisor: lost_driver", 900, 0.2, False),
        ("interrupt", 900, 0.2, False),
        ("supervisor: tilt", 900, 0.1, True),
        ("supervisor: policy_output", 900, 0.1, True),
        ("duration", 900, 0.3, False),
        ("duration", 899, 0.2, False),  # the others say nothing of the width
    ],
)
def test_a_silent_robot_moves_no_bounds_and_is_no_fall(
    ended: str, explored: int, width: float, fell: bool
) -> None:
    """A busy machine is no evidence, neither against exploration nor for it."""
    reward = 0.5 if ended == "duration" else -9.0
    flown = FlownEpisode(
        0, "explore", 9, 900, reward, ended, 0.2, 0.1, 0, 0, 0, 0, 0, False, explored=explored
    )
    base = replace(flown, kind="base", mean_reward=0.5, ended_by="duration")
    bounds = ActionBounds(BoundsConfig(first=0.2, evidence_s=9.0, growth=1.5, largest=0.5))
    ledger = Ledger(bounds.state, [base])
    session = SimpleNamespace(
        _bounds=bounds, ledger=ledger, _residual=Mock(), _contract=Mock(control_rate=100.0)
    )
    Session._judge_bounds(session, flown)  # type: ignore[arg-type]
    assert bounds.state.width == pytest.approx(width)
    assert flown.fell is fell
    # A person puts it back whoever was to blame, and four in a row end the session.
    assert flown.cut_short is ended.startswith("supervisor")
