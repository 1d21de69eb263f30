"""Sensitivity: on a task whose failures are known to come from some columns, it names just these."""

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simreal.cli.main import main
from simreal.episode_random import episode_seed
from simreal.errors import UserError
from simreal.evaluate import Act, Candidate, load_candidate, run_episodes, run_given
from simreal.experiment import ExperimentConfig, load_experiment
from simreal.images import NO_IMAGES, Images
from simreal.observation import Float32Array
from simreal.randomization.schedules import WithinConfig
from simreal.report import Page
from simreal.sensitivity import (
    Sensitivity,
    Sweep,
    analyse,
    analysis,
    as_json,
    failure_text,
    find_columns,
    stages,
)
from simreal.sensitivity.analysis import drops, gaps
from simreal.sensitivity.page import add_sensitivity
from simreal.tasks import TASKS, Motion, qube_swingup

torch.set_num_threads(1)  # tests run beside each other: more threads would only wait for a core

TOLERANCE = 0.15
"""rad of the arm from its middle."""


def arm_error(motion: Motion) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.abs(motion.joint_position[:, 0])


HOLD = dataclasses.replace(
    qube_swingup.TASK,
    name="hold_arm",
    rewards={"near": lambda motion: np.exp(-arm_error(motion))},
    goal=lambda motion: arm_error(motion) < TOLERANCE,
)
"""Hold the arm in its middle: unlike a swing-up it fails where theory says, not by chaos."""


@pytest.fixture(scope="module", autouse=True)
def hold_arm() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, HOLD.name, HOLD)
        yield


def uniform(low: float, high: float, **entry: object) -> dict[str, object]:
    return {"distribution": {"type": "uniform", "low": low, "high": high}} | entry


def experiment(randomization: dict[str, object], *overrides: str) -> ExperimentConfig:
    return load_experiment(
        "qube_swingup",
        [
            "task=hold_arm",
            "rewards={near: 1}",
            "initial_states={}",
            "episode_length=0.8",
            "observation=[{source: joint_position}, {source: joint_velocity}]",
            "randomization=" + json.dumps(randomization),
            *overrides,
        ],
    )


def servo(observation: Float32Array, images: Images = NO_IMAGES) -> Float32Array:
    """A stiff servo of the arm, blind for the pendulum. Delayed by some 15 ms, it swings itself up."""
    action: Float32Array = -6.0 * observation[:, :1] - np.float32(0.1) * observation[:, 2:3]
    return action


LATENCY = {
    "mass": uniform(0.9, 1.1, target="arm"),
    "unseen": uniform(-0.05, 0.05, parameter="encoder_bias", target="pendulum"),
    "action_latency_ms": uniform(0.0, 40.0),
}


@pytest.fixture(scope="module")
def of_latency(hold_arm: None) -> Sensitivity:
    candidate = Candidate("servo", servo, experiment(LATENCY))
    return analyse(candidate, episodes=16, points=5, seed=1)


def sweeps(result: Sensitivity) -> dict[str, Sweep]:
    return {sweep.column.name: sweep for sweep in result.sweeps}


def test_the_column_that_makes_it_fail_comes_first(of_latency: Sensitivity) -> None:
    first = of_latency.sweeps[0]
    assert first.column.name == "action_latency_ms"
    assert first.drop.low > 0.4
    assert [value for value, _ in first.curve] == [0.0, 10.0, 20.0, 30.0, 40.0]
    shares = [summary.success.value for _, summary in first.curve]
    assert shares[:2] == [1.0, 1.0]
    assert max(shares[2:]) < 0.4
    assert first.ranked[0][0] >= 20.0
    assert first.ranked[-1][0] <= 10.0


def test_a_column_without_effect_has_none(of_latency: Sensitivity) -> None:
    unseen = sweeps(of_latency)["unseen[pendulum]"]
    assert unseen.drop.value == 0.0
    assert unseen.drop.low < 0.0 < unseen.drop.high
    assert unseen.return_drop.value == 0.0  # the very same episodes, whatever its value
    mass = sweeps(of_latency)["mass[arm]"]
    assert mass.drop.low < 0.0 < mass.drop.high
    assert mass.return_drop.value != 0.0


def test_failures_are_explained_by_their_cause(of_latency: Sensitivity) -> None:
    found = of_latency.attribution
    assert found.failures == of_latency.base.episodes * (1 - of_latency.base.success.value)
    assert found.failures > 25
    assert found.repeated == found.examined == min(found.failures, 64)
    assert found.columns["action_latency_ms"].value == 1.0
    assert found.columns["unseen[pendulum]"].value == 0.0
    assert found.columns["mass[arm]"].value < 0.1
    assert found.none_alone.value == 0.0
    assert found.several.value < 0.1
    assert found.together.value == 1.0
    assert found.chance.value < 0.3
    assert found.beyond_chance["action_latency_ms"].low > 0.5
    assert found.beyond_chance["unseen[pendulum]"].value == -found.chance.value


def test_the_base_is_what_evaluation_runs(of_latency: Sensitivity) -> None:
    episodes = run_episodes(servo, experiment(LATENCY), 5 * 16, seed=1)
    assert of_latency.base.mean_return.value == np.mean([e.episode_return for e in episodes])


BIASES = {
    "a": uniform(0.0, 0.1, parameter="encoder_bias", target="arm", operation="add"),
    "b": uniform(0.0, 0.1, parameter="encoder_bias", target="arm", operation="add"),
    "mass": uniform(0.9, 1.1, target="arm"),
}


@pytest.fixture(scope="module")
def of_biases(hold_arm: None) -> Sensitivity:
    """The arm stands off by a + b, and fails beyond some 0.15 rad, which neither reaches alone."""
    return analyse(Candidate("servo", servo, experiment(BIASES)), episodes=32, points=3, seed=2)


@pytest.mark.long
def test_a_pair_that_fails_together_stands_out(of_biases: Sensitivity) -> None:
    assert {sweep.column.name for sweep in of_biases.sweeps[:2]} == {"a[arm]", "b[arm]"}
    # In the unit square, a share d of b fails with a = 1, and the triangle of d * d / 2 in all.
    base = of_biases.base.success.value
    drop = np.sqrt(2.0 * (1.0 - base))
    for sweep in of_biases.sweeps[:2]:
        assert sweep.drop.low < drop < sweep.drop.high
        assert sweep.drop.value == pytest.approx(drop, abs=0.15)
    first = of_biases.pairs[0]
    assert {first.first.name, first.second.name} == {"a[arm]", "b[arm]"}
    assert first.success[-1, -1] == 0.0
    assert first.success[0, 0] == 1.0
    assert first.predicted[-1, -1] == pytest.approx((1.0 - drop) ** 2 / base, abs=0.15)
    for other in of_biases.pairs[1:]:
        assert other.gap.value < first.gap.value
        assert other.gap.low < 0.0 < other.gap.high


@pytest.mark.long
def test_failures_that_need_two_columns_are_explained_by_either(of_biases: Sensitivity) -> None:
    found = of_biases.attribution
    assert found.failures > 10
    assert found.columns["a[arm]"].value == found.columns["b[arm]"].value == 1.0
    assert found.several.value == 1.0
    assert found.columns["mass[arm]"].value < 0.2


def test_failures_that_no_column_explains_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = dataclasses.replace(HOLD, goal=lambda motion: arm_error(motion) < 0.05)
    monkeypatch.setitem(TASKS, HOLD.name, narrow)
    result = analyse(Candidate("servo", servo, experiment(BIASES)), 14, 2, 3, ("a", "b"))
    found = result.attribution
    # Of the unit square, beyond a + b = 1/2: 3/7 have b < 1/2, 2/7 both above.
    assert found.columns["a[arm]"].value == pytest.approx(3 / 7, abs=0.2)
    assert found.columns["b[arm]"].value == pytest.approx(3 / 7, abs=0.2)
    assert found.none_alone.value == pytest.approx(2 / 7, abs=0.2)
    assert found.together.value == 1.0
    assert found.columns.keys() == {"a[arm]", "b[arm]"}


@pytest.mark.long
@pytest.mark.parametrize("kind", ["by hand", "run", "exported"])
def test_a_replay_without_a_change_is_the_same_to_the_bit(
    kind: str, run_and_policy: tuple[Path, Path]
) -> None:
    act: Act = servo
    setting = experiment(LATENCY)
    if kind != "by hand":
        candidate = load_candidate(run_and_policy[kind == "exported"])
        act, setting = candidate.act, candidate.experiment
    base = run_episodes(act, setting, 40, seed=4)
    some = np.array([31, 2, 2, 17, 39])
    draws = np.array([list(base[number].draw.values()) for number in some])
    again = run_given(act, setting, episode_seed(4, some), draws)
    keys = ("seed", "draw", "episode_return", "length", "goal_share")
    for number, episode in zip(some, again, strict=True):
        for key in keys:
            assert getattr(episode, key) == getattr(base[number], key)


def test_the_drop_of_noise_is_nothing_on_average() -> None:
    noise = (np.random.default_rng(0).random((400, 7, 40)) < 0.8).astype(float)
    means = noise.mean(axis=2)
    assert np.mean(means.max(axis=1) - means.min(axis=1)) > 0.15  # best less worst, naively
    assert np.mean([drops(each).mean() for each in noise]) == pytest.approx(0.0, abs=0.01)


def test_the_drop_of_an_effect_is_its_size() -> None:
    random = np.random.default_rng(0)
    chances = np.array([0.9, 0.9, 0.5, 0.8])[:, None]
    found = [drops((random.random((4, 80)) < chances).astype(float)).mean() for _ in range(300)]
    assert np.mean(found) == pytest.approx(0.4, abs=0.02)


def _pair_of(random: np.random.Generator, together: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The gap of two columns that halve success each, at their second point."""
    alone = random.random(200) < 0.9
    single = (random.random((2, 200)) < np.array([0.9, 0.45])[:, None]).astype(float)
    other = (random.random((2, 200)) < np.array([0.9, 0.45])[:, None]).astype(float)
    chances = np.array([[0.9, 0.45], [0.45, together]])[..., None]
    both = (random.random((2, 2, 200)) < chances).astype(float)
    return gaps(alone.astype(float), single[:, None], other[None], both)


@pytest.mark.parametrize(("together", "gap"), [(0.225, 0.0), (0.0, 0.225)])
def test_a_gap_is_what_independence_does_not_explain(together: float, gap: float) -> None:
    random = np.random.default_rng(0)
    found = [_pair_of(random, together).mean() for _ in range(300)]
    assert np.mean(found) == pytest.approx(gap, abs=0.02)


def test_a_policy_that_always_fails_has_no_gap() -> None:
    nothing = np.zeros(10)
    assert not gaps(nothing, nothing[None, None], nothing[None, None], nothing[None, None]).any()


def columns(setting: ExperimentConfig, **options: Any) -> dict[str, tuple[float, ...]]:
    return {column.name: column.values for column in find_columns(setting, **options)}


def test_what_does_not_vary_is_left_out() -> None:
    held = experiment(
        {
            "mass": uniform(0.8, 1.2),
            "motor_strength": uniform(1.0, 1.0),
            "joint_damping": {"distribution": {"type": "constant", "value": 2.0}},
            "action_latency_ms": uniform(0.0, 10.0),
        },
        "pins={'mass[arm]': 1.1}",
    )
    assert columns(held, points=3).keys() == {"mass[pendulum]", "action_latency_ms"}
    pinned = held.model_copy(update={"pins": {"mass": 1.0, "action_latency_ms": 3.0}})
    with pytest.raises(UserError, match="nothing varies"):
        find_columns(pinned)


def test_points_lie_in_the_ranges_where_the_schedule_stands() -> None:
    setting = experiment(
        {
            "mass": uniform(0.5, 2.0),
            "joint_damping": {"distribution": {"type": "log_uniform", "low": 0.25, "high": 4.0}},
            "encoder_resolution": {"distribution": {"type": "choice", "values": [4, 1, 2, 2]}},
        }
    )
    assert columns(setting, points=3)["joint_damping[arm]"] == pytest.approx((0.25, 1.0, 4.0))
    assert columns(setting, points=9, beyond=0.5)["encoder_resolution[arm]"] == (1.0, 2.0, 4.0)
    assert columns(setting, points=2)["encoder_resolution[arm]"] == (1.0, 4.0)
    arrived = setting.model_copy(
        update={"schedule": WithinConfig(ranges={"mass[arm]": (0.9, 1.3), "mass[pendulum]": (1.0, 1.0)})}
    )
    found = columns(arrived, points=3)
    assert found["mass[arm]"] == pytest.approx((0.9, 1.1, 1.3))
    assert "mass[pendulum]" not in found
    wider = columns(arrived, points=3, beyond=0.25, patterns=("mass[[]arm]", "joint_damping[arm]"))
    assert wider == {
        "mass[arm]": pytest.approx((0.8, 1.1, 1.4)),
        "joint_damping[arm]": pytest.approx((0.125, 1.0, 8.0)),
    }


def test_beyond_a_range_it_goes_as_far_as_is_physical() -> None:
    setting = experiment(
        {
            "mass": uniform(0.1, 1.1, target="arm"),
            "encoder_noise": uniform(0.0, 0.001, target="arm"),
            "action_latency_ms": uniform(2.0, 10.0),
        }
    )
    found = columns(setting, points=2, beyond=0.5)
    assert found["encoder_noise[arm]"] == pytest.approx((0.0, 0.0015))
    assert found["action_latency_ms"] == pytest.approx((0.0, 14.0))  # half of the 4 ms asked for
    low, high = found["mass[arm]"]
    assert 0.1 - 0.5 < low <= 0.1
    assert high == pytest.approx(1.6)


LATENCY_ALONE = {"action_latency_ms": uniform(0.0, 10.0)}
LATENCY_WITH_MASS = {
    "both": {
        "parameters": ["action_latency_ms", "mass[arm]"],
        "distribution": {
            "type": "correlated",
            "marginals": [uniform(0.0, 10.0)["distribution"], uniform(0.9, 1.1)["distribution"]],
            "correlation": [[1.0, 0.5], [0.5, 1.0]],
        },
    }
}


@pytest.mark.parametrize("randomization", [LATENCY_ALONE, LATENCY_WITH_MASS])
def test_beyond_a_range_a_latency_acts_in_full(randomization: dict[str, object]) -> None:
    """Longer than any history that the range itself needs."""
    setting = experiment(randomization)
    result = analyse(Candidate("servo", servo, setting), 10, 3, 0, ("action_latency_ms",), 2.0)
    assert not result.attribution.failures
    assert result.pairs == []
    (sweep,) = result.sweeps
    assert [value for value, _ in sweep.curve] == [0.0, 15.0, 30.0]
    expected = run_episodes(servo, setting, 10, 0, {"action_latency_ms": 30.0})
    returns = np.mean([episode.episode_return for episode in expected])
    assert sweep.curve[-1][1].mean_return.value == pytest.approx(returns, rel=1e-12)


def test_beyond_a_range_a_sensor_may_be_slower() -> None:
    """A reading grows older than within the range, although the value is smaller."""
    setting = experiment({"sensor_rate_hz": uniform(50.0, 100.0)})
    result = analyse(Candidate("servo", servo, setting), 10, 4, beyond=0.6)
    (sweep,) = result.sweeps
    assert [value for value, _ in sweep.curve] == pytest.approx([20.0, 56.667, 93.333, 130.0], abs=1e-3)
    slow, *_, fast = (summary.mean_return.value for _, summary in sweep.curve)
    assert slow < fast


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (("mass",), {"mass[arm]"}),
        (("*latency*", "unseen[pendulum]"), {"action_latency_ms", "unseen[pendulum]"}),
    ],
)
def test_patterns_choose_columns(patterns: tuple[str, ...], found: set[str]) -> None:
    assert columns(experiment(LATENCY), patterns=patterns).keys() == found


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'mass"):
        find_columns(experiment(LATENCY), ("masss[arm]",))


def test_it_tells_how_far_it_is() -> None:
    heard: list[tuple[int, int]] = []
    candidate = Candidate("servo", servo, experiment(LATENCY))
    unimportant = ("mass", "unseen")
    analyse(candidate, 10, 4, 0, unimportant, 0.0, lambda done, total: heard.append((done, total)))
    done, totals = zip(*heard, strict=True)
    assert list(done) == sorted(done)
    assert list(totals) == sorted(totals, reverse=True)
    assert done[-1] == totals[-1]


@pytest.mark.long
def test_what_is_known_grows_until_it_is_complete(of_latency: Sensitivity) -> None:
    candidate = Candidate("servo", servo, experiment(LATENCY))
    known = list(stages(candidate, 16, 5, 1))
    assert [(len(each.sweeps), len(each.pairs)) for each in known] == [
        *((number, 0) for number in range(4)),
        *((3, number) for number in range(1, 4)),
    ]
    assert [each.is_complete for each in known] == 6 * [False] + [True]
    assert known[0].attribution == of_latency.attribution
    assert as_json(known[-1]) == as_json(of_latency)


@pytest.mark.long
def test_an_interrupted_analysis_prints_and_writes_what_is_known(
    run_and_policy: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real, report = analysis.stages, tmp_path / "sensitivity.html"

    def interrupted(*arguments: Any) -> Iterator[Sensitivity]:
        for known in real(*arguments):
            yield known
            if len(known.sweeps) == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr("simreal.sensitivity.stages", interrupted)
    options = ["--quick", "--columns", "mass", "--columns", "motor_strength", "--report", str(report)]
    for extra in ([], ["--json"]):
        arguments = ["simreal", "sensitivity", str(run_and_policy[1]), *options, *extra]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 130
        captured = capsys.readouterr()
        assert "at most 3 values for each column, 24 episodes at each" in captured.err
        assert "interrupted" in captured.err
        if extra:
            data = json.loads(captured.out)
            assert (data["complete"], len(data["columns"]), data["pairs"]) == (False, 1, [])
        else:
            assert "120 of 120 episodes failed" in captured.out
            assert "1 of 3 columns, each alone" in captured.out
    assert "Interrupted" in report.read_text("utf-8")


def refuse(constant: str) -> float:
    raise AssertionError(f"{constant} is no JSON")


def test_json_and_page_hold_every_column(of_latency: Sensitivity, tmp_path: Path) -> None:
    data = json.loads(json.dumps(as_json(of_latency), allow_nan=False))
    assert [each["name"] for each in data["columns"]] == [s.column.name for s in of_latency.sweeps]
    assert len(data["pairs"]) == 3
    assert data["failures"]["explained_by"]["action_latency_ms"]["value"] == 1.0
    page = Page("sensitivity")
    add_sensitivity(page, of_latency)
    page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert text.count("<svg") == 3
    assert all(sweep.column.name in text for sweep in of_latency.sweeps)
    assert failure_text(of_latency) in text
    assert "nan" not in text.lower().replace("dominant", "")


def test_the_command_prints_writes_and_tells_the_time(
    run_and_policy: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = tmp_path / "sensitivity.html"
    options = ["--episodes", "10", "--points", "2", "--columns", "mass[arm]", "--report", str(report)]
    monkeypatch.setattr(sys, "argv", ["simreal", "sensitivity", str(run_and_policy[1]), *options])
    main()
    captured = capsys.readouterr()
    assert "mass[arm]" in captured.out
    assert "50 of 50 episodes failed" in captured.out  # nobody swings up in half a second
    assert "to go" in captured.err
    assert captured.err.count(" of at most ") > 1  # lines of progress, where there is no terminal
    assert captured.out.index("episodes failed") < captured.out.index("each column alone")
    assert report.exists()
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--json"])
    main()
    data = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert {each["name"] for each in data["columns"]} == {"mass[arm]"}


def test_without_failures_nothing_is_explained_and_nothing_is_nan() -> None:
    candidate = Candidate("servo", servo, experiment({"mass": uniform(0.9, 1.1)}))
    result = analyse(candidate, 10, 2)
    assert failure_text(result) == "None of 50 episodes failed."
    data = json.loads(json.dumps(as_json(result), allow_nan=False))
    assert data["failures"]["explained_by"]["mass[arm]"] == {"value": None, "low": None, "high": None}
