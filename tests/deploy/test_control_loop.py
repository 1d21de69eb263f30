"""What a person wishes at odd moments, of an arm in stepped time: no test waits."""

import os
import signal
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from simreal.contract import ActionMapping, Contract, ObservationTerm, Provenance, RobotDescription
from simreal.deploy.clock import SteppedTime
from simreal.deploy.command_source import Wish
from simreal.deploy.drivers import Driver
from simreal.deploy.loop import deploy
from simreal.deploy.loop_options import LoopOptions
from simreal.deploy.policy import Policy, load_policy
from simreal.logs.formats import read_logs
from simreal.logs.messages import read_messages
from simreal.robots import load_robot
from simreal.state import FloatArray, RobotCommand, RobotState

RATE = 50.0
ARM = load_robot("so101")
SETTLED = round(ARM.config.safety.settle_s * RATE)
"""Cycles."""


class Arm(Driver):
    """Is wherever it is told to be, and notes what it was told."""

    def __init__(self) -> None:
        self.time_source = SteppedTime()
        self.told: list[str] = []
        self._position = np.array(ARM.description.default_position)

    def connect(self) -> RobotDescription:
        return ARM.description

    def read(self) -> RobotState:
        return RobotState(1e-9 * self.time_source.now(), self._position, np.zeros(6))

    def write(self, command: RobotCommand) -> None:
        self.told.append("follow")
        self._position = command.target.copy()

    def hold(self) -> None:
        self.told.append("hold")

    def damp(self) -> None:
        self.told.append("damp")

    def off(self) -> None:
        self.told.append("off")

    def disconnect(self) -> None: ...


class Person:
    """Wishes one thing in each cycle, or nothing."""

    def __init__(self, *wishes: Wish | None) -> None:
        self.person = True
        self.emergency: str | None = None
        self._wishes = iter(wishes)

    def asked(self, now: float) -> FloatArray:
        return np.zeros(0)

    def wish(self) -> Wish | None:
        return next(self._wishes, None)

    def close(self) -> None: ...


@pytest.fixture
def policy(policy_file: Callable[..., Path]) -> Policy:
    """Of an arm."""
    contract = Contract(
        robot=ARM.description,
        control_rate=RATE,
        observation=(ObservationTerm(source="joint_position"),),
        action=ActionMapping(scale=(0.1,) * 6, offset=ARM.description.default_position),
        provenance=Provenance(task="any", agent="none", seed=0, training_steps=0, versions={}),
    )
    return load_policy(policy_file(contract=contract))


@pytest.fixture
def told(policy: Policy) -> Callable[..., list[tuple[str, int]]]:
    """What an arm is told by a person's wishes: what, and how many times in a row."""

    def run(*wishes: Wish | None) -> list[tuple[str, int]]:
        arm = Arm()
        assert deploy(policy, arm, source=Person(*wishes)).ended_by == "operator"
        return [(what, len(list(times))) for what, times in groupby(arm.told)]

    return run


PATIENTLY = (None,) * 100
"""Until it has risen, and runs."""


@pytest.mark.parametrize("wish", Wish)
def test_a_robot_that_settles_is_not_let_go_of_before_it_has_settled(
    told: Callable[..., list[tuple[str, int]]], wish: Wish
) -> None:
    (first, _), (second, cycles), *rest = told(Wish.RUN, *PATIENTLY, Wish.END, None, None, wish)
    assert (first, second) == ("follow", "damp")
    assert cycles == pytest.approx(SETTLED, abs=1)
    assert [what for what, _ in rest] == ["off"]


def test_where_there_is_no_fault_to_clear_the_motors_are_left_as_they_are(
    told: Callable[..., list[tuple[str, int]]],
) -> None:
    found = told(Wish.RUN, *PATIENTLY, Wish.CLEAR, None, Wish.HOLD, None, Wish.CLEAR, None, Wish.END)
    assert [what for what, _ in found] == ["follow", "hold", "damp", "off"]


class Hasty(Person):
    """Presses the button, and takes it back in the cycle that hears of it."""

    def asked(self, now: float) -> FloatArray:
        self._next = next(self._wishes, None)
        self.emergency = "the button" if self._next is Wish.CLEAR else None
        return np.zeros(0)

    def wish(self) -> Wish | None:
        return self._next


def test_a_fault_that_is_cleared_in_its_own_cycle_is_in_the_log(policy: Policy, tmp_path: Path) -> None:
    person = Hasty(Wish.RUN, *PATIENTLY, Wish.CLEAR, None, Wish.END)
    deploy(policy, Arm(), log=tmp_path / "log.mcap", source=person)
    events = read_messages(tmp_path / "log.mcap").events()
    running = events.index("phase: running")
    assert events[running + 1] == "phase: fault, damp: emergency_stop: the button"
    assert events[running + 2] == "phase: idle"
    [log] = read_logs(tmp_path / "log.mcap")
    assert [event.check for event in log.events][running : running + 3] == [None, "emergency_stop", None]


@pytest.mark.parametrize("rate", [50.0, 150.0, 450.0])
def test_the_policy_acts_for_its_duration_and_no_cycle_more(policy: Policy, rate: float) -> None:
    """Periods are whole ns: 450 of them may be a little shorter than a second, or longer."""
    assert deploy(policy, Arm(), 1.0, options=LoopOptions(driver_rate=rate)).cycles == 50


def test_without_servos_to_rise_with_all_cycles_are_the_policy_s(policy: Policy) -> None:
    """So that the last row of an excitation is played; a shadow does not rise either."""
    assert deploy(policy, Arm(), 1.0, options=LoopOptions(shadow=True)).cycles == 50


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGTSTP])
def test_ctrl_backslash_and_ctrl_z_do_not_leave_the_motors_with_their_last_command(
    policy: Policy, number: signal.Signals
) -> None:
    class Frightened(Person):
        def wish(self) -> Wish | None:
            wish = super().wish()
            if wish is Wish.HOLD:  # in place of that
                assert signal.getsignal(number) is not signal.SIG_DFL
                os.kill(os.getpid(), number)
                return None
            return wish

    arm, before = Arm(), signal.getsignal(number)
    outcome = deploy(policy, arm, source=Frightened(Wish.RUN, *PATIENTLY, Wish.HOLD))
    assert outcome.ended_by == "interrupt" and "damp" in arm.told and arm.told[-1] == "off"
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("duration", [1e308, np.inf])
def test_a_run_may_be_asked_to_last_for_ever(policy: Policy, duration: float) -> None:
    """Nanoseconds of it are no number, which a robot must not learn while it moves."""
    person = Person(Wish.RUN, *PATIENTLY, Wish.END)
    assert deploy(policy, Arm(), duration, source=person).ended_by == "operator"
