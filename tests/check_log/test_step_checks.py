"""Steps between stamps: rounded, uneven, with samples left out."""

from dataclasses import replace

import numpy as np
import pytest

from simreal.bench.log_faults import sound
from simreal.bench.logs import alarms
from simreal.check_log.finding import Finding
from simreal.check_log.rounded_stamps import steps_of
from simreal.check_log.step_checks import gaps, jitter
from simreal.check_log.subject import make_subject
from simreal.logs.robot_log import Channel, RobotLog
from simreal.state import FloatArray


def at_rate(rate: float, uneven: float = 0.0, rows: int = 4000) -> FloatArray:
    """(rows,) s, each up to `uneven` steps away from its place."""
    away = np.random.default_rng(0).uniform(-uneven, uneven, rows)
    return np.asarray((np.arange(rows) + away) / rate)


def rounded(time: FloatArray, unit: float = 1e-3) -> FloatArray:
    return np.asarray(unit * np.round(time / unit))


def log_at(time: FloatArray) -> RobotLog:
    swing = np.sin(2 * np.pi * time[:, None])
    return RobotLog("log", {"joint_position": Channel(time, swing, ("elbow",), ("rad",))}, ("elbow",))


def jitter_at(time: FloatArray) -> Finding:
    return jitter(make_subject(log_at(time)))


@pytest.mark.parametrize("rate", [30.0, 90.0, 99.7, 240.0, 300.0, 333.3, 450.0, 600.0, 700.0, 900.0])
@pytest.mark.parametrize("start", [0.0, 1.7e9])
def test_an_even_clock_whose_stamps_are_rounded_to_ms_does_not_jitter(rate: float, start: float) -> None:
    time = start + rounded(at_rate(rate))
    finding = jitter_at(time)
    assert finding.verdict == "pass", finding.text
    assert finding.text.endswith(" Hz, as far as stamps rounded to 1 ms tell")
    assert finding.numbers["rate_hz"] == pytest.approx(rate, rel=1e-3)
    assert gaps(make_subject(log_at(time))).verdict == "pass"


@pytest.mark.parametrize("rate", [90.0, 300.0, 450.0])
@pytest.mark.parametrize(("uneven", "verdict"), [(0.02, "pass"), (0.1, "warn"), (0.3, "fail")])
def test_an_uneven_clock_is_told_through_rounded_stamps(
    rate: float, uneven: float, verdict: str
) -> None:
    time = np.unique(rounded(at_rate(rate, uneven)))
    finding = jitter_at(time)
    assert finding.verdict == verdict, finding.text
    assert "1 ms" in finding.text


def test_an_even_rate_of_whole_ms_is_not_called_rounded() -> None:
    time = at_rate(200.0)
    assert jitter_at(rounded(time)).text == "even steps of 200 Hz, stamps counted rather than measured"
    some = np.delete(rounded(time), [500, 900, 901])
    assert "rounded" not in jitter_at(some).text


@pytest.mark.parametrize("rate", [100.0, 200.0, 450.0, 600.0])
def test_samples_that_are_left_out_are_counted_through_rounded_stamps(rate: float) -> None:
    time = np.delete(rounded(at_rate(rate)), np.r_[500:505, 900, 1800:1802])
    finding = gaps(make_subject(log_at(time)))
    assert finding.verdict == "warn"
    assert 7 <= finding.numbers["lost"] <= 8  # of one, the stamps may not show it


def test_a_few_longer_steps_of_the_unit_itself_have_lost_samples() -> None:
    """Stamps in whole steps of 10 ms, as they are counted at 100 Hz."""
    time = np.delete(rounded(at_rate(100.0), 0.01), np.arange(50, 3900, 97))
    assert steps_of(time).unit == 0.0
    assert gaps(make_subject(log_at(time))).numbers["lost"] == len(np.arange(50, 3900, 97))


def test_a_sound_log_whose_stamps_are_rounded_passes_all_checks() -> None:
    log = sound("arm", 0)
    time = at_rate(300.0, rows=3500)
    for name, table in log.channels.items():
        hold = name.startswith("commanded")
        log.channels[name] = replace(table, time=rounded(time), values=log.at(name, time, hold=hold))
    assert [(each.check, each.text) for each in alarms(log)] == []
