"""Evaluation: the same worlds for every policy and number of episodes, and the same numbers twice."""

import dataclasses
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from simreal.cli.evaluate import parse_sweeps
from simreal.cli.main import cli
from simreal.cli_types import numbers_by_name
from simreal.deploy.policy import EXPERIMENT_KEY, sealed
from simreal.episode_random import episode_seed
from simreal.episodes import Episode
from simreal.errors import UserError
from simreal.evaluate import (
    LARGEST_BATCH,
    Candidate,
    as_json,
    evaluate,
    load_candidate,
    run_episodes,
    summarize,
    summary_rows,
)
from simreal.experiment import load_experiment
from simreal.images import NO_IMAGES, Images
from simreal.observation import Float32Array
from simreal.robots import Robot
from simreal.run import Run
from simreal.train import start_run

torch.set_num_threads(1)  # tests run beside each other: more threads would only wait for a core

SHORT = load_experiment("qube_swingup", ["episode_length=0.3", "initial_states={anywhere: 1}"])


def push(observation: Float32Array, images: Images = NO_IMAGES) -> NDArray[np.float32]:
    """A policy without a library behind it: the same bits for a row, whatever the batch."""
    return np.sign(observation[:, 4:5]) * np.float32(0.7)


def test_a_run_and_its_exported_policy_get_the_same_numbers(run_and_policy: tuple[Path, Path]) -> None:
    of_run, of_policy = (evaluate(load_candidate(path), 48, seed=3) for path in run_and_policy)
    for mine, theirs in zip(of_run.episodes, of_policy.episodes, strict=True):
        assert (mine.seed, mine.draw) == (theirs.seed, theirs.draw)
    first, second = of_run.summary, of_policy.summary
    assert first.mean_return.value == pytest.approx(second.mean_return.value, rel=0.01)
    assert first.goal_share.value == pytest.approx(second.goal_share.value, rel=0.01)
    assert first.mean_length == pytest.approx(second.mean_length, rel=0.01)


def test_the_same_evaluation_twice_gives_the_same_numbers(run_and_policy: tuple[Path, Path]) -> None:
    for path in run_and_policy:
        first, again = (evaluate(load_candidate(path), 16, seed=1) for _ in range(2))
        assert first == again


def test_a_robot_that_has_changed_since_the_training_is_told_of_a_run_and_of_its_policy(
    run_and_policy: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    note = "model or robot.yaml has changed since this policy was trained"
    asked = ["--episodes", "1", "--json"]
    for path in run_and_policy:
        assert note not in CliRunner().invoke(cli, ["evaluate", str(path), *asked]).stderr
    monkeypatch.setattr(Robot, "sha256", "of another")
    for path in run_and_policy:
        assert note in CliRunner().invoke(cli, ["evaluate", str(path), *asked]).stderr


def test_candidates_know_what_they_are(run_and_policy: tuple[Path, Path]) -> None:
    of_run, of_policy = map(load_candidate, run_and_policy)
    assert of_run.experiment == of_policy.experiment
    assert (of_run.name, of_policy.name) == (run_and_policy[0].name, run_and_policy[1].name)


@pytest.mark.parametrize("number", [1, 3, LARGEST_BATCH, LARGEST_BATCH + 3])
def test_an_episode_is_the_same_world_whatever_their_number(number: int) -> None:
    expected = run_episodes(push, SHORT, 40, seed=5)
    found = run_episodes(push, SHORT, number, seed=5)
    assert len(found) == number
    shared = min(number, 40)
    assert found[:shared] == expected[:shared]
    seeds = episode_seed(5, np.arange(number)).tolist()
    assert [episode.seed for episode in found] == seeds
    assert run_episodes(push, SHORT, shared, seed=6) != found[:shared]


def test_another_policy_meets_the_same_worlds() -> None:
    pushed = run_episodes(push, SHORT, 12, seed=5)
    idle = run_episodes(lambda observation, images: 0.0 * observation[:, :1], SHORT, 12, seed=5)
    assert [e.draw for e in idle] == [e.draw for e in pushed]
    assert [e.seed for e in idle] == [e.seed for e in pushed]
    assert [e.episode_return for e in idle] != [e.episode_return for e in pushed]


def test_episodes_begin_at_the_start_of_the_task() -> None:
    idle = run_episodes(lambda observation, images: 0.0 * observation[:, :1], SHORT, 50, seed=0)
    assert all(episode.ended_by == "time_limit" for episode in idle)
    assert max(episode.episode_return for episode in idle) < 0.01  # nobody starts in mid-swing


def test_pins_hold_and_sweeps_vary(run_and_policy: tuple[Path, Path]) -> None:
    candidate = dataclasses.replace(load_candidate(run_and_policy[1]), act=push, experiment=SHORT)
    heard: list[int] = []
    result = evaluate(
        candidate, 6, 2, {"mass": 1.05}, {"motor_strength": [0.5, 2.0], "mass": [0.9]}, heard.append
    )
    assert {e.draw["mass[arm]"] for e in result.episodes} == {1.05}
    assert len({e.draw["motor_strength[motor]"] for e in result.episodes}) == 6
    assert [value for value, _ in result.curves["motor_strength"]] == [0.5, 2.0]
    assert [value for value, _ in result.curves["mass"]] == [0.9]
    weak, strong = (summary for _, summary in result.curves["motor_strength"])
    assert weak.mean_return.value != strong.mean_return.value
    assert heard[-1] == 4 * 6
    assert heard == sorted(heard)


def test_a_pin_of_what_is_not_randomized_is_refused(run_and_policy: tuple[Path, Path]) -> None:
    candidate = load_candidate(run_and_policy[1])
    with pytest.raises(UserError, match="did you mean 'mass'"):
        evaluate(candidate, 2, pins={"masss": 1.0})
    with pytest.raises(UserError, match="did you mean 'mass'"):
        evaluate(candidate, 2, vary={"masss": [1.0]})


names = st.from_regex(r"[a-z_]{1,12}(\[[a-z]{1,8}\])?", fullmatch=True)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [("masss", [1.0], "did you mean 'mass'"), ("mass", [1.0, -1.0, 1.2], "makes mass")],
)
def test_a_bad_sweep_is_refused_before_the_first_episode(
    name: str, values: list[float], message: str, run_and_policy: tuple[Path, Path]
) -> None:
    told: list[int] = []
    with pytest.raises(UserError, match=message):
        evaluate(
            load_candidate(run_and_policy[1]),
            2,
            vary={"motor_strength": [1.0], name: values},
            listen=told.append,
        )
    assert told == []


@given(pins=st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False), max_size=4))
def test_pins_read_back(pins: dict[str, float]) -> None:
    assert numbers_by_name("--pin", [f"{name}={value!r}" for name, value in pins.items()]) == pins


@given(text=st.text(max_size=20))
def test_any_text_is_a_pin_or_a_readable_error(text: str) -> None:
    try:
        (value,) = numbers_by_name("--pin", [text]).values()
    except UserError as error:
        assert str(error).startswith(f"--pin {text}")
    else:
        assert isinstance(value, float)


@pytest.mark.parametrize(
    "text", ["mass", "mass=", "mass=heavy", "=", "mass=1=2", "mass:1", "mass=nan", "mass=inf"]
)
def test_bad_pins_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="expected name=number"):
        numbers_by_name("--pin", [text])


@given(name=names, low=st.floats(-1e6, 1e6), high=st.floats(-1e6, 1e6), count=st.integers(1, 50))
def test_sweeps_read_back(name: str, low: float, high: float, count: int) -> None:
    (values,) = parse_sweeps([f"{name}={low!r}:{high!r}:{count}"]).values()
    assert len(values) == count
    assert values[0] == low
    assert values[-1] == (high if count > 1 else low)


@given(text=st.text(st.sampled_from("mas=:.0123456789e+-infa "), max_size=24))
def test_any_text_is_a_sweep_of_finite_values_or_a_readable_error(text: str) -> None:
    try:
        (values,) = parse_sweeps([text]).values()
    except UserError as error:
        assert str(error).startswith(f"--vary {text}: expected name=low:high:count")
    else:
        assert values
        assert all(map(math.isfinite, values))


@pytest.mark.parametrize(
    "text",
    [
        "mass",
        "mass=1:2",
        "mass=1:2:0",
        "mass=1:2:-3",
        "mass=1:2:2.5",
        "mass=a:2:3",
        "=1:2:3",
        "mass=1:2:3:4",
        "mass=0:inf:3",
        "mass=nan:1:3",
        "mass=1:2:1000000000000",
        "mass=-1e308:1e308:3",
    ],
)
def test_bad_sweeps_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="expected name=low:high:count"):
        parse_sweeps([text])


def episode(success: bool, total: float, ended_by: str = "time_limit") -> Episode:
    return Episode(1, {"mass": 1.0}, -1, total, 100, float(success), success, ended_by)


def test_a_summary_counts_what_happened() -> None:
    summary = summarize(
        [episode(True, 10.0), episode(True, 14.0), episode(False, 3.0, "arm_beyond_limit")]
    )
    assert summary.episodes == 3
    assert summary.success.value == pytest.approx(2 / 3)
    assert summary.success.low < 2 / 3 < summary.success.high
    assert summary.mean_return.value == pytest.approx(9.0)
    assert summary.mean_return.low < 9.0 < summary.mean_return.high
    assert summary.ended_by == {"time_limit": 2, "arm_beyond_limit": 1}
    assert ("ended by", "time_limit 2, arm_beyond_limit 1") in summary_rows(summary)


@pytest.mark.parametrize("number", [1, 5])
def test_numbers_for_programs_are_strict_json(number: int, run_and_policy: tuple[Path, Path]) -> None:
    candidate: Candidate = dataclasses.replace(
        load_candidate(run_and_policy[1]), act=push, experiment=SHORT
    )
    result = evaluate(candidate, number, vary={"mass": [1.0, 1.1]})

    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is no JSON")

    content = json.loads(json.dumps(as_json(result)), parse_constant=refuse)
    assert content["episodes"] == number
    assert content["mean_return"]["value"] == result.summary.mean_return.value
    assert [point["value"] for point in content["curves"]["mass"]] == [1.0, 1.1]


@pytest.mark.parametrize(
    ("experiment", "message"),
    [
        (None, "no experiment"),
        ("{", "damaged experiment"),
        ("[]", "damaged experiment"),
        ("{}", "robot"),
    ],
)
def test_a_policy_without_a_sound_experiment_is_refused(
    experiment: str | None, message: str, run_and_policy: tuple[Path, Path], tmp_path: Path
) -> None:
    model = onnx.load(run_and_policy[1])
    kept = {each.key: each.value for each in model.metadata_props if each.key != EXPERIMENT_KEY}
    onnx.helper.set_model_props(model, kept | ({EXPERIMENT_KEY: experiment} if experiment else {}))
    (tmp_path / "policy.onnx").write_bytes(sealed(model.SerializeToString()))
    with pytest.raises(UserError, match=message):
        load_candidate(tmp_path / "policy.onnx")


def test_sections_of_agents_that_a_policy_is_not_of_may_be_of_another_version(
    run_and_policy: tuple[Path, Path], tmp_path: Path
) -> None:
    model = onnx.load(run_and_policy[1])
    kept = {each.key: each.value for each in model.metadata_props}
    experiment = json.loads(kept[EXPERIMENT_KEY])
    of_another = experiment | {"sac": {"of_old": 1}, "rma": {"of_old": 1}}
    onnx.helper.set_model_props(model, kept | {EXPERIMENT_KEY: json.dumps(of_another)})
    (tmp_path / "policy.onnx").write_bytes(sealed(model.SerializeToString()))
    assert load_candidate(tmp_path / "policy.onnx").experiment.agent == "ppo"
    of_another["ppo"] = {"of_old": 1}
    onnx.helper.set_model_props(model, kept | {EXPERIMENT_KEY: json.dumps(of_another)})
    (tmp_path / "policy.onnx").write_bytes(sealed(model.SerializeToString()))
    with pytest.raises(UserError, match="of_old"):
        load_candidate(tmp_path / "policy.onnx")


def test_what_is_neither_run_nor_policy_is_refused(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UserError, match="a PNG picture"):
        load_candidate(tmp_path / "picture.png")
    with pytest.raises(UserError, match="not a run folder"):
        load_candidate(tmp_path)
    with pytest.raises(UserError, match="no such run folder"):
        load_candidate(tmp_path / "none.onnx")
    start_run(SHORT, 0, tmp_path / "empty")
    with pytest.raises(UserError, match="no checkpoint"):
        load_candidate(tmp_path / "empty")


def test_a_run_whose_training_goes_on_is_evaluated_with_a_note(
    run_and_policy: tuple[Path, Path], tmp_path: Path
) -> None:
    run = Run(shutil.copytree(run_and_policy[0], tmp_path / "run"))
    with run.changing_facts() as facts:
        facts.finished, facts.total_steps = False, 10**6
    done = CliRunner().invoke(cli, ["evaluate", str(run.path), "--episodes", "2", "--json"])
    assert done.exit_code == 0, done.output
    assert "training has not finished" in done.stderr
    assert "of 1,000,000 steps" in done.stderr


def test_a_robot_that_has_changed_since_training_is_refused(
    run_and_policy: tuple[Path, Path], tmp_path: Path
) -> None:
    run = shutil.copytree(run_and_policy[0], tmp_path / "run")
    contract = run / "contract.json"
    contract.write_text(contract.read_text().replace("-2.094", "-1.5"))
    with pytest.raises(UserError, match=r"robot.joints\[arm\].lower: -1.5 != -2.094"):
        load_candidate(run)
