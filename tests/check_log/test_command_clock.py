"""Commands whose clock jumps or runs at another speed, and servos that only look so."""

from dataclasses import replace

import numpy as np
import pytest

from simreal.bench.log_faults import sound
from simreal.check_log.clock_checks import clock
from simreal.check_log.command_clock import command_clock
from simreal.check_log.finding import Finding
from simreal.check_log.subject import make_subject
from simreal.logs.robot_log import Channel, RobotLog
from simreal.state import FloatArray

PERIOD = 0.01
TIME = PERIOD * np.arange(1500)


def retimed(log: RobotLog, jump: float = 0.0, fast: float = 0.0) -> RobotLog:
    """The log with commands by a clock that jumps in its middle, s, or runs fast by a share."""
    for name, table in log.channels.items():
        if name.startswith("commanded"):
            later = table.time > table.time[len(table) // 2]
            log.channels[name] = replace(table, time=(1 + fast) * table.time + jump * later)
    return log


def found(log: RobotLog) -> Finding:
    finding = command_clock(make_subject(log))
    assert finding is not None
    return finding


def servos(command: FloatArray, stiffness: FloatArray, friction: float, fastest: float) -> FloatArray:
    """(n, joints) rad of servos with dry friction and a largest speed, under commands in rad."""
    position, speed, damping, parts = command[0].copy(), np.zeros(command.shape[1]), 20.0, 4
    places = np.empty_like(command)
    for row, asked in enumerate(command):
        for _ in range(parts):
            push = np.clip(stiffness * (asked - position), -fastest * damping, fastest * damping)
            push = push - damping * speed - friction * np.tanh(speed / 0.02)
            speed = speed + PERIOD / parts * push
            position = position + PERIOD / parts * speed
        places[row] = position
    return places + 1e-3 * np.random.default_rng(0).standard_normal(places.shape)


def log_of(asked: FloatArray, moved: FloatArray) -> RobotLog:
    """Of (n, joints) commands and positions, rad."""
    names = tuple(f"joint_{column}" for column in range(asked.shape[1]))
    units = ("rad",) * len(names)
    channels = {
        "commanded_position": Channel(TIME, asked, names, units),
        "joint_position": Channel(TIME, moved, names, units),
    }
    return RobotLog("servos", channels, names, {name: name for name in names})


def chirps(seed: int, growing: bool = False) -> FloatArray:
    """(n, 2) rad: from slow to fast, or from fast to slow and from small to large."""
    random = np.random.default_rng(seed)
    low, high = random.uniform(0.1, 0.4, 2), random.uniform(2.0, 5.0, 2)
    first, last = (high, low) if growing else (low, high)
    turns = first * TIME[:, None] + 0.5 * (last - first) * TIME[:, None] ** 2 / TIME[-1]
    size = TIME[:, None] / TIME[-1] + 0.1 if growing else 1.0
    return np.asarray(random.uniform(0.2, 0.5, 2) * size * np.sin(2 * np.pi * turns))


@pytest.mark.parametrize("base", ["arm", "qube"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_clock_of_commands_that_stays_with_measurements_is_sound(base: str, seed: int) -> None:
    assert command_clock(make_subject(sound(base, seed))) is None


@pytest.mark.parametrize("base", ["arm", "qube"])
@pytest.mark.parametrize("jump", [0.2, 1.0])
def test_a_clock_of_commands_that_jumps_alone_is_found(base: str, jump: float) -> None:
    finding = found(retimed(sound(base, 1), jump))
    assert finding.verdict == "fail" and finding.blocks
    assert finding.text.startswith("the clock of commanded_") and " jumps by " in finding.text
    assert finding.numbers["jump_s"] == pytest.approx(jump, abs=0.01)
    assert finding.numbers["at_s"] == pytest.approx(6.0 if base == "arm" else 5.0, abs=0.02)


@pytest.mark.parametrize(
    ("base", "fast"), [("arm", 0.05), ("arm", -0.05), ("qube", 0.05), ("qube", -0.05), ("arm", 0.01)]
)
def test_a_clock_of_commands_at_another_speed_is_found(base: str, fast: float) -> None:
    finding = found(retimed(sound(base, 1), fast=fast))
    assert finding.verdict == "fail" and finding.blocks
    assert (" % fast, " if fast > 0 else " % slow, ") in finding.text
    assert finding.numbers["rate"] == pytest.approx(fast, abs=0.001)


def test_half_a_percent_is_a_warning_in_a_short_log() -> None:
    finding = found(retimed(sound("arm", 0), fast=0.005))
    assert (finding.verdict, finding.blocks) == ("warn", False)
    assert finding.numbers["drift_s"] == pytest.approx(0.06, abs=0.015)


def test_one_joint_alone_tells_a_clock_that_leaves_what_servos_can_do() -> None:
    command = chirps(0)[:, :1]
    log = log_of(command, servos(command, np.array([400.0]), 0.5, 100.0))
    assert command_clock(make_subject(log)) is None
    finding = found(retimed(log, fast=0.05))
    assert finding.verdict == "fail"
    assert clock(make_subject(log)).text == finding.text


def test_a_pause_of_commands_is_no_jump_of_their_clock() -> None:
    log = sound("arm", 0)
    for name in ("commanded_position", "commanded_effort"):
        table = log[name]
        keep = np.ones(len(table), dtype=bool)
        keep[800:900] = keep[1500:1560] = False
        log.channels[name] = table.rows(keep)
    assert command_clock(make_subject(log)) is None


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("growing", [False, True])
@pytest.mark.parametrize(("friction", "fastest"), [(0.0, 1.0), (5.0, 100.0)])
def test_servos_that_are_later_where_a_chirp_is_fast_or_small_are_by_one_clock(
    seed: int, growing: bool, friction: float, fastest: float
) -> None:
    command = chirps(seed, growing)
    moved = servos(command, np.array([150.0, 400.0]), friction, fastest)
    finding = command_clock(make_subject(log_of(command, moved)))
    assert finding is None, finding.text


def test_a_servo_that_gets_softer_is_by_one_clock() -> None:
    command = chirps(3)
    moved = servos(np.tile(command[:, :1], 2), np.array([600.0, 150.0]), 0.5, 100.0)
    share = TIME / TIME[-1]
    softer = (1 - share) * moved[:, 0] + share * moved[:, 1]
    assert command_clock(make_subject(log_of(command[:, :1], softer[:, None]))) is None


def test_commands_that_are_all_late_alike_are_left_to_what_tells_by_how_much() -> None:
    log = sound("arm", 0)
    for name in ("commanded_position", "commanded_effort"):
        log.channels[name].time = log[name].time + 0.5
        assert command_clock(make_subject(log)) is None
    assert "before they are told" in clock(make_subject(log)).text
