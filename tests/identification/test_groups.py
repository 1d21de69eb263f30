"""Parameters that differ by group of logs: each group's value, and honesty about groups not seen."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from simreal.errors import UserError
from simreal.identification.ensemble import MEMBERS, Ensemble, Widening, draw_members
from simreal.identification.fitting import Cutting, Fitted, fit_model
from simreal.identification.groups import spread_over
from simreal.identification.identify import identify, posterior
from simreal.identification.recording import Recording
from simreal.identification.simulator import Setup
from simreal.identification.uncertainty import uncertainty
from simreal.identification.unknowns import read_asked
from simreal.identification.widening import Cover, Logs
from simreal.randomization.posterior import sources_of
from simreal.robots import Robot

Record = Callable[..., Recording]
VARYING = [read_asked("joint_damping"), read_asked("torque_offset@group")]
FIXED = [read_asked("joint_damping"), read_asked("torque_offset")]
OFFSETS = np.array([-0.10, 0.06, 0.02, -0.04, 0.11, -0.02])
"""N·m, of six days; their mean is 0.005, their standard deviation 0.076."""


def days(record: Record, offsets: np.ndarray, first: int = 0) -> list[Recording]:
    return [
        record(
            {"joint_damping": 1.5, "torque_offset": offset}, 2.0, first + day, group=f"day {first + day}"
        )
        for day, offset in enumerate(offsets)
    ]


@pytest.fixture
def fitted(link: Robot, record: Record) -> Fitted:
    return fit_model(Setup(link), days(record, OFFSETS), VARYING, Cutting(0.5))


@pytest.mark.long
def test_each_days_value_is_found_and_what_does_not_differ_is_one(fitted: Fitted) -> None:
    assert fitted.simulator.names == ["joint_damping[hinge]", "torque_offset[motor]"]
    assert fitted.by_name["joint_damping[hinge]"] == pytest.approx(1.5, rel=0.05)
    (spread,) = fitted.spreads
    assert spread.parts == tuple(f"day {day}" for day in range(6))
    np.testing.assert_allclose(spread.values, OFFSETS, atol=0.01)
    assert spread.mean == pytest.approx(OFFSETS.mean(), abs=0.005)
    assert spread.between == pytest.approx(OFFSETS.std(ddof=1), rel=0.1)


@pytest.mark.long
def test_unseen_days_are_covered_at_the_stated_rate_and_not_with_one_value(
    link: Robot, record: Record, fitted: Fitted
) -> None:
    setup = Setup(link)
    offsets = norm.ppf((np.arange(20) + 0.5) / 20, scale=0.08)  # what 20 days are like on the mean
    unseen = Logs(days(record, offsets, first=10), Cutting(0.5))

    def covered(fit: Fitted) -> float:
        draw = partial(draw_members, fit.fit.values, uncertainty(fit), fit.simulator.unknowns)
        ones = np.ones(len(fit.fit.values))
        ensemble = Ensemble(
            draw(ones, MEMBERS), Widening(np.ones(1), ones, ones), np.zeros(1), np.ones(1)
        )
        return float(Cover(setup, VARYING, fit, draw).judged(ensemble, unseen)[0])

    assert 0.85 <= covered(fitted) <= 0.98
    assert covered(fit_model(setup, days(record, OFFSETS), FIXED, Cutting(0.5))) < 0.75


@pytest.mark.long
def test_the_spread_is_told_and_drawn_in_training(link: Robot, record: Record, tmp_path: Path) -> None:
    found = identify(Setup(link), days(record, OFFSETS), [VARYING], Cutting(0.5))
    source = tmp_path / "a.mcap"
    source.write_bytes(b"log")
    result = posterior(found, sources_of([source]))
    assert "torque_offset[motor] differs by group of logs: -0.1" in result.provenance
    drawn = np.array(result.samples)[:, result.names.index("torque_offset[motor]")]
    assert drawn.std() > 0.06


def test_each_logs_value_is_found_where_one_of_the_day_would_not_do(link: Robot, record: Record) -> None:
    zeros = [0.05, -0.02, 0.01, -0.04]
    logs = [
        replace(
            record({"joint_damping": 1.5, "encoder_bias": zero}, 2.0, seed, group="one day"),
            name=f"log {seed}",
        )
        for seed, zero in enumerate(zeros)
    ]
    asked = [read_asked("joint_damping"), read_asked("encoder_bias@log")]
    fitted = fit_model(Setup(link), logs, asked, Cutting(0.5))
    assert fitted.by_name["joint_damping[hinge]"] == pytest.approx(1.5, rel=0.05)
    (spread,) = fitted.spreads
    assert spread.parts == tuple(each.name for each in logs)
    np.testing.assert_allclose(spread.values, zeros, atol=0.005)
    assert spread.describe().startswith("encoder_bias[hinge] differs by log: 0.0")
    with pytest.raises(UserError, match=r"all that is fitted to is one log"):
        fit_model(Setup(link), logs[:1], asked, Cutting(0.5))


def test_a_log_without_a_window_has_no_value_and_parts_of_one_log_share_theirs(
    link: Robot, record: Record
) -> None:
    short = record({"joint_damping": 1.5}, 0.4, 7)
    logs = [
        replace(record({"encoder_bias": zero}, 2.0, seed), name=name, of_log=log)
        for seed, (name, log, zero) in enumerate(
            [("a 0 to 2 s", "a", 0.05), ("a 3 to 5 s", "a", 0.05), ("b", "", -0.03)]
        )
    ]
    asked = [read_asked("joint_damping"), read_asked("encoder_bias@log")]
    fitted = fit_model(Setup(link), [replace(short, name="short"), *logs], asked, Cutting(0.5))
    assert fitted.spreads[0].parts == ("a", "b")
    np.testing.assert_allclose(fitted.spreads[0].values, [0.05, -0.03], atol=0.005)
    with pytest.raises(UserError, match=r"all that is fitted to is one log \(a\); at least two"):
        fit_model(Setup(link), logs[:2], asked, Cutting(0.5))


def test_what_cannot_differ_is_refused_before_the_first_model_is_fitted(
    link: Robot, record: Record
) -> None:
    told: list[str] = []
    logs = [replace(record({}, 2.0, seed), name=f"log {seed}") for seed in range(2)]
    nested = [[read_asked("joint_damping")], [read_asked("encoder_bias@log")]]
    with pytest.raises(UserError, match=r"all that is fitted to is one log \(log 0\)"):
        identify(Setup(link), logs, nested, Cutting(0.5), tell=told.append)
    assert not told


def test_of_many_values_the_lowest_and_the_highest_are_told() -> None:
    spread = spread_over(
        "x", "log", [f"log {number}" for number in range(12)], np.arange(12.0), np.full(12, 1e-6)
    )
    assert (
        "x differs by log: 0 (log 0) to 11 (log 11); mean 5.5, between 12 of them" in spread.describe()
    )


def test_a_spread_counts_what_is_hardly_known_hardly() -> None:
    values, names = np.array([1.0, 2.0, 3.0, 40.0]), tuple("abcd")
    spread = spread_over("x", "group", names, values, np.array([1e-9, 1e-9, 1e-9, 1e6]))
    assert spread.mean == pytest.approx(2.0, abs=0.01)
    assert spread.between == pytest.approx(np.sqrt(2.0 / 3.0 * 1.5), rel=0.3)
    alike = spread_over("x", "group", names[:2], np.array([1.0, 1.1]), np.array([0.04, 0.04]))
    assert alike.between == 0.0
    assert alike.error == pytest.approx(np.sqrt(0.02))


def test_an_unseen_value_lies_within_the_interval_as_often_as_it_says() -> None:
    """Student's, since four days tell little of how far days lie apart."""
    random, inside = np.random.default_rng(0), []
    for _ in range(2000):
        values, unseen = random.normal(size=4), random.normal()
        spread = spread_over("x", "group", tuple("abcd"), values, np.full(4, 1e-6))
        inside.append(abs(unseen - spread.mean) <= 1.645 * spread.unseen)
    assert np.mean(inside) == pytest.approx(0.9, abs=0.02)


def test_what_cannot_differ_by_group_is_refused(link: Robot, record: Record) -> None:
    with pytest.raises(UserError, match="a latency is one for all logs"):
        read_asked("action_latency_ms@group")
    with pytest.raises(UserError, match="by @group, that is excitation and day, or by @log; got @day"):
        read_asked("torque_offset@day")
    with pytest.raises(
        UserError, match=r"all that is fitted to are of one group \(day 0\); at least two"
    ):
        fit_model(Setup(link), days(record, OFFSETS[:1]), VARYING, Cutting(0.5))
    with pytest.raises(UserError, match="--simulations knows no value that differs"):
        identify(Setup(link), days(record, OFFSETS[:3]), [VARYING], Cutting(0.5), simulations=100)
