"""Rates, overruns, shadow mode, people at the controls: against the simulated robot in its process."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simreal.deploy.command_source import TrainedRanges, Wish
from simreal.deploy.loop import deploy
from simreal.deploy.loop_options import LoopOptions, steps_per_action
from simreal.deploy.policy import load_policy
from simreal.errors import UserError
from simreal.logs.formats import read_logs
from simreal.logs.messages import read_messages
from simreal.state import DriveReport, FloatArray, RobotState

WriteFile = Callable[..., Path]
MakeDriver = Callable[..., Any]


@dataclass
class Person:
    """Somebody at the controls, who wants things at times after the start."""

    wishes: list[tuple[float, Wish]]
    presses_button_at: float = 1e9
    person: bool = True
    emergency: str | None = None
    began: float = 0.0
    closed: bool = False
    heard: list[Wish] = field(default_factory=list)

    def asked(self, now: float) -> FloatArray:
        self.began = self.began or now
        if now - self.began > self.presses_button_at:
            self.emergency = "the red button"
            self.presses_button_at = 1e9
        elif self.emergency and self.wishes and self.wishes[0][1] is Wish.CLEAR:
            self.emergency = None
        return np.zeros(0)

    def wish(self) -> Wish | None:
        if self.wishes and time.monotonic() - self.began > self.wishes[0][0]:
            self.heard.append(self.wishes.pop(0)[1])
            return self.heard[-1]
        return None

    def close(self) -> None:
        self.closed = True


@pytest.mark.long
@pytest.mark.parametrize("between", ["hold", "interpolate"])
def test_a_driver_may_be_told_more_often_than_the_policy_acts(
    policy_file: WriteFile, witnessed_driver: MakeDriver, tmp_path: Path, between: Any
) -> None:
    log = tmp_path / "flight.mcap"
    options = LoopOptions(driver_rate=400.0, between=between)
    policy = load_policy(policy_file(bias=0.05, gain=-0.5))
    outcome = deploy(policy, witnessed_driver(), 1.0, log, options=options)
    assert outcome.ended_by == "duration", outcome.fault
    recorded = read_messages(log)
    # Of the driver's periods, not of the policy's: there is one more, in which the robot is idle.
    passed = len(recorded.messages["/timing"]) + outcome.overruns
    assert outcome.periods == passed and 396 <= passed <= 406
    assert outcome.overrun_share == outcome.overruns / passed
    commands, actions = recorded.array("/command")[:, 0], recorded.array("/action")[:, 0]
    assert 40 <= outcome.cycles == len(actions) <= 101
    assert 1.5 * len(actions) < len(commands) <= 4 * len(actions) + 4
    acted = np.isin(recorded.times["/command"], recorded.times["/action"])
    if between == "hold":
        np.testing.assert_array_equal(commands[acted], 4.0 * actions)
        held = np.repeat(commands[acted], np.diff(np.append(np.flatnonzero(acted), len(acted))))
        np.testing.assert_array_equal(commands, held)
    else:  # a period later, on the way there
        np.testing.assert_allclose(commands[acted][1:], 4.0 * actions[:-1])
        between_them = ~np.isclose(commands[:, None], 4.0 * actions).any(axis=1)
        assert between_them.sum() > 10
        assert commands.min() >= 4.0 * actions.min() and commands.max() <= 4.0 * actions.max()


@pytest.mark.parametrize(
    ("rate", "words"), [(250.0, "such as 200"), (50.0, "such as 100"), (2000.0, "10 to 1000 Hz")]
)
def test_a_rate_that_does_not_fit_is_refused(rate: float, words: str) -> None:
    with pytest.raises(UserError, match=words):
        steps_per_action(100.0, rate)
    with pytest.raises(UserError, match=r"a rate of 4 Hz: .*; give --driver-rate 12"):
        steps_per_action(4.0, None)
    assert steps_per_action(4.0, 12.0) == 3
    assert steps_per_action(100.0, None) == 1
    assert steps_per_action(50.0, 500.0) == 10


RATES = np.exp(np.random.default_rng(0).uniform(np.log(0.05), np.log(1000.0), 500)).tolist()


@pytest.mark.parametrize("asked", [None, 10.0, 333.3, 999.9])
def test_a_rate_that_is_advised_is_accepted(asked: float | None) -> None:
    """Whatever the policy's: 2 * 20/3 Hz is no number of six digits, and 2 * 600 Hz is too fast."""
    advised = 0
    for rate in (20.0 / 3.0, 10.0 / 3.0, 4.0, 600.0, 1000.0, *RATES):
        try:
            steps_per_action(rate, asked)
        except UserError as error:
            advised += 1
            number = re.search(r"(such as|give --driver-rate) (\S+)$", str(error))
            assert number is not None, error
            assert steps_per_action(rate, float(number[2])) >= 1
    assert advised > 100


def test_a_policy_faster_than_the_loop_is_advised_no_rate() -> None:
    with pytest.raises(UserError, match=r"of the policy's 1500 Hz: none is within 1000 Hz$"):
        steps_per_action(1500.0, 500.0)


def test_a_rate_that_is_refused_lets_go_of_the_person_s_device(
    policy_file: WriteFile, witnessed_driver: MakeDriver
) -> None:
    source, driver = Person([]), witnessed_driver()
    options = LoopOptions(driver_rate=333.0)
    with pytest.raises(UserError, match="such as 300"):
        deploy(load_policy(policy_file()), driver, source=source, options=options)
    assert source.closed and driver.asked == []


def test_a_shadow_sends_nothing_at_all(
    policy_file: WriteFile, witnessed_driver: MakeDriver, tmp_path: Path
) -> None:
    driver, log = witnessed_driver(), tmp_path / "flight.mcap"
    policy = load_policy(policy_file(bias=0.5))
    outcome = deploy(policy, driver, 0.5, log, options=LoopOptions(shadow=True))
    assert outcome.ended_by == "duration"
    assert set(driver.asked) == {"disconnect"}
    assert set(read_messages(log).array("/command")[:, 0]) == {2.0}
    assert read_logs(log)[0].provenance["shadow"] == "true"
    assert outcome.driven_travel == {"arm": 0.0}


def test_with_a_person_nothing_moves_before_run_and_a_fault_waits_to_be_cleared(
    policy_file: WriteFile, witnessed_driver: MakeDriver, tmp_path: Path
) -> None:
    wishes = [(0.3, Wish.RUN), (1.0, Wish.RUN), (1.2, Wish.CLEAR), (1.4, Wish.RUN), (1.7, Wish.HOLD)]
    source = Person([*wishes, (2.0, Wish.END)], presses_button_at=0.7)
    driver, log = witnessed_driver(), tmp_path / "flight.mcap"
    outcome = deploy(load_policy(policy_file(bias=0.02)), driver, 60.0, log, source)
    assert (outcome.ended_by, outcome.fault) == ("operator", None)
    assert source.closed
    phases = [event for event in read_messages(log).events() if event.startswith("phase")]
    assert phases == [
        "phase: idle",
        "phase: running",
        "phase: fault, off: emergency_stop: the red button",
        "phase: idle",
        "phase: running",
        "phase: holding",
    ]
    times = np.array(read_messages(log).times["/command"]) - read_messages(log).times["/state"][0]
    assert times[0] > 0.25e9
    assert not ((times > 0.8e9) & (times < 1.3e9)).any()


@pytest.mark.parametrize("persists", [False, True])
def test_clearing_forgets_what_the_robot_had_reported_but_not_what_it_still_reports(
    policy_file: WriteFile, witnessed_driver: MakeDriver, persists: bool
) -> None:
    class Latching(witnessed_driver):  # type: ignore[misc, valid-type]
        reported = ("elbow: overload",)

        def read(self) -> RobotState:
            return replace(super().read(), drives=DriveReport(faults=self.reported))

        def clear_faults(self) -> None:
            super().clear_faults()
            self.reported = self.reported if persists else ()

    source = Person([(0.3, Wish.CLEAR), (0.6, Wish.END)])
    outcome = deploy(load_policy(policy_file(bias=0.02)), Latching(), 60.0, None, source)
    assert source.heard == [Wish.CLEAR, Wish.END]
    assert (outcome.fault is not None) == persists


@pytest.mark.parametrize(
    ("on_overrun", "ended_by", "check"),
    [
        pytest.param("continue", "duration", None, marks=pytest.mark.long),
        ("stop", "fault", "overrun"),
        ("hold", "duration", None),
    ],
)
def test_what_follows_an_overrun_can_be_chosen(
    policy_file: WriteFile,
    witnessed_driver: MakeDriver,
    tmp_path: Path,
    on_overrun: Any,
    ended_by: str,
    check: str | None,
) -> None:
    driver, log = witnessed_driver(lambda driver: time.sleep(0.06)), tmp_path / "flight.mcap"
    options = LoopOptions(on_overrun=on_overrun)
    outcome = deploy(load_policy(policy_file(bias=0.02)), driver, 0.5, log, options=options)
    assert (outcome.ended_by, outcome.check) == (ended_by, check)
    assert outcome.overruns >= 1
    assert len(driver.targets) > 11 if on_overrun == "continue" else len(driver.targets) <= 11
    assert ("phase: holding" in read_messages(log).events()) is (on_overrun == "hold")


def test_what_is_asked_stays_within_the_trained_ranges_and_numbers() -> None:
    from simreal.contract import Command

    within = TrainedRanges((Command(name="a", unit="m/s", low=-1.0, high=2.0),) * 2)
    np.testing.assert_array_equal(within(np.array([5.0, -5.0])), [2.0, -1.0])
    np.testing.assert_array_equal(within(np.array([np.nan, 0.5])), [2.0, 0.5])
    np.testing.assert_array_equal(within(np.array([0.1, np.inf])), [0.1, 0.5])


def test_standing_still_is_what_of_a_velocity_s_range_is_nearest_to_none() -> None:
    from simreal.contract import Command

    speeds = [Command(name="a", unit="m/s", low=-1.0, high=2.0)]
    speeds += [Command(name="b", unit="rad/s", low=0.5, high=2.0)]
    height = Command(name="c", unit="m", low=0.1, high=0.3)
    within = TrainedRanges((*speeds, height))
    np.testing.assert_array_equal(within(np.array([1.0, 1.0, 0.2])), [1.0, 1.0, 0.2])
    assert within.stand_still()
    np.testing.assert_array_equal(within(np.array([np.nan, 1.0, 0.3])), [0.0, 0.5, 0.3])
    assert not TrainedRanges((height,)).stand_still()
    assert not TrainedRanges(()).stand_still()


@dataclass
class Rider(Person):
    """Somebody who asks for a speed and a height."""

    def asked(self, now: float) -> FloatArray:
        super().asked(now)
        return np.array([0.7, 0.3])


RIDDEN = "halt: velocities of zero are asked for 1 s"


def _ride(
    policy_file: WriteFile, contract: Any, driver: Any, log: Path, source: Any, **policy: Any
) -> tuple[Any, Any]:
    """A flight of 0.5 s with a policy that follows a speed and a height."""
    from simreal.contract import Command

    commands = (
        Command(name="speed", unit="m/s", low=-1.0, high=1.0),
        Command(name="height", unit="m", low=0.1, high=0.4),
    )
    contract = contract.model_copy(update={"commands": commands})
    outcome = deploy(load_policy(policy_file(contract=contract, **policy)), driver, 0.5, log, source)
    return outcome, read_messages(log)


@pytest.mark.long
def test_who_follows_velocities_is_asked_for_none_before_the_end(
    policy_file: WriteFile, contract: Any, witnessed_driver: MakeDriver, tmp_path: Path
) -> None:
    driver, source = witnessed_driver(), Rider([], person=False)
    outcome, log = _ride(policy_file, contract, driver, tmp_path / "log.mcap", source, bias=0.02)
    assert (outcome.ended_by, outcome.fault) == ("duration", None)
    assert log.events() == [
        "start: policy of qube_swingup",
        "phase: idle",
        "phase: running",
        RIDDEN,
        "end: duration",
    ]
    asked = log.array("/asked")[np.isin(log.times["/asked"], log.times["/action"])]
    assert 30 < (asked[:, 0] == 0.7).sum() <= 50 < (asked[:, 0] == 0.0).sum() <= 101
    assert (np.diff(asked[:, 0]) != 0.0).sum() == 1 and set(asked[:, 1]) == {0.3}
    assert len(driver.targets) == len(asked) and driver.left_off


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("button", marks=pytest.mark.long),
        "fault",
        pytest.param("end", marks=pytest.mark.long),
    ],
)
def test_while_it_comes_to_a_stand_everything_else_ends_it_at_once(
    policy_file: WriteFile, contract: Any, witnessed_driver: MakeDriver, tmp_path: Path, how: str
) -> None:
    source = Rider([], presses_button_at=0.8 if how == "button" else 1e9, person=False)
    if how == "end":
        source.wishes = [(0.8, Wish.END)]
    driver = witnessed_driver(lambda driver: driver.process.kill() if how == "fault" else None, 80)
    outcome, log = _ride(policy_file, contract, driver, tmp_path / "log.mcap", source, bias=0.02)
    check = {"button": "emergency_stop", "fault": "lost_driver", "end": None}[how]
    assert (outcome.ended_by, outcome.check) == ("duration" if how == "end" else "fault", check)
    assert RIDDEN in log.events()
    assert 60 < len(driver.targets) < 95 and driver.left_off


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """Tests that run in the background of a shell are born with an ignored SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_the_first_ctrl_c_brings_to_a_stand_and_the_second_lets_go_at_once(
    policy_file: WriteFile, contract: Any, witnessed_driver: MakeDriver, tmp_path: Path
) -> None:
    def press_twice(driver: Any) -> None:
        driver.after += 30  # commands: well before it stands
        os.kill(os.getpid(), signal.SIGINT)

    driver, log = witnessed_driver(press_twice), tmp_path / "log.mcap"
    with pytest.raises(KeyboardInterrupt):
        _ride(policy_file, contract, driver, log, Rider([], person=False), bias=0.02)
    assert RIDDEN in read_messages(log).events()
    assert 20 < len(driver.targets) < 60 and driver.left_off


@pytest.mark.long
@pytest.mark.parametrize("how", ["button", "policy"])
def test_nobody_comes_to_a_stand_after_a_fault(
    policy_file: WriteFile, contract: Any, witnessed_driver: MakeDriver, tmp_path: Path, how: str
) -> None:
    source = Rider([], presses_button_at=0.2 if how == "button" else 1e9, person=False)
    policy = {"bias": 0.1, "then": "nan"} if how == "policy" else {"bias": 0.02}
    driver = witnessed_driver()
    outcome, log = _ride(policy_file, contract, driver, tmp_path / "log.mcap", source, **policy)
    assert outcome.check == {"button": "emergency_stop", "policy": "policy_output"}[how]
    assert RIDDEN not in log.events() and len(driver.targets) < 45 and driver.left_off
