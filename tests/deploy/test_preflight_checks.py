"""The checks before a policy moves a robot: as pure functions, and against emulated robots."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from simreal.cli.joint_directions import joint_directions
from simreal.cli.main import cli
from simreal.contract import Contract, TrainedRange
from simreal.deploy.drivers.sim import SimDriver
from simreal.deploy.histogram import Histogram
from simreal.deploy.policy import load_policy
from simreal.deploy.preflight import wiggle as wiggle_module
from simreal.deploy.preflight.hands import EmulatedHand, bar
from simreal.deploy.preflight.inertial import gravity_finding
from simreal.deploy.preflight.motion import UnsafeMotionError, motion_latency, onset_ms
from simreal.deploy.preflight.timing import BusTimes, bus_finding, latency_finding, trained_latency
from simreal.deploy.preflight.verdict import Finding, Verdict
from simreal.deploy.preflight.wiggle import Wiggle, judge, order_and_signs
from simreal.errors import UserError
from simreal.robots import load_robot
from simreal.state import FloatArray, RobotState

QUBE, ARM = load_robot("qube").description, load_robot("so101").description
LEVEL = np.array([1.0, 0.0, 0.0, 0.0])


def _imu(
    orientation: Any = LEVEL, felt: Any = (0.0, 0.0, 9.81), spin: Any = (0.0, 0.0, 0.0)
) -> RobotState:
    return RobotState(
        0.0, np.zeros(1), np.zeros(1), np.array(orientation), np.array(spin), np.array(felt)
    )


def test_a_level_robot_passes_and_says_where_down_is() -> None:
    found = gravity_finding([_imu()] * 5)
    assert found.result == "pass"
    assert found.numbers["down_in_body"] == pytest.approx([0, 0, -1])


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (_imu(felt=(0.0, 0.0, 1.0)), "1.00 m/s² at rest"),
        (_imu(felt=(0.0, 0.0, -9.81)), "180° apart"),
        (_imu(felt=(0.0, 9.81, 0.0)), "90° apart"),
        (_imu(orientation=(0.0, 0.0, 0.0, 1.0), felt=(0.0, 0.0, 9.81), spin=(0, 0, 5.0)), "5.00 rad/s"),
        (_imu(orientation=(0.7071, 0.7071, 0.0, 0.0), felt=(0.0, 9.81, 0.0)), "90° from (0, 0, -1)"),
        (_imu(orientation=(np.nan, 0.0, 0.0, 0.0)), "no number"),
        (_imu(orientation=(2.0, 0.0, 0.0, 0.0)), "unit quaternion"),
        (RobotState(0.0, np.zeros(1), np.zeros(1)), "reports none"),
    ],
)
def test_what_is_wrong_with_an_imu_is_said(state: RobotState, words: str) -> None:
    found = gravity_finding([state])
    assert found.result == "fail"
    assert words in found.text


@pytest.mark.parametrize(
    ("moved", "first", "along"),
    [
        ([0.0, 0.0, 0.0], None, None),
        ([0.1, 0.0, 0.0], None, None),
        ([0.13, 0.05, 0.0], 0, None),
        ([0.13, -0.12, 0.0], 0, None),  # it moved most
        ([-0.13, 0.0, 0.0], 0, None),
        ([-0.13, 0.1, 0.0], 0, 1),  # dragged backwards by the other, perhaps
        ([0.13, 0.3, 0.0], None, None),  # another may sag: the person goes on
        ([0.0, 0.4, np.nan], 1, None),
        ([0.05, 0.0, -0.4], 2, None),
        ([0.25, 0.0, -0.4], 2, 0),
    ],
)
def test_who_moves_is_plain_or_not_yet_said(
    moved: list[float], first: int | None, along: int | None
) -> None:
    found = judge(np.array([*moved, 0.0, 0.0, 0.0]), 0, ARM)
    assert (found and found.moved, found and found.along) == (first, along)


def test_distances_are_compared_in_shares_of_what_counts_as_moved() -> None:
    """A rail that goes a hand's breadth has moved, whatever a joint's tenth of a radian is beside it."""
    joints = (ARM.joints[0].model_copy(update={"unit": "m"}), *ARM.joints[1:])
    robot = ARM.model_copy(update={"joints": joints})
    found = judge(np.array([0.05, 0.1, 0.0, 0.0, 0.0, 0.0]), 0, robot)
    assert found is not None and found.right


@pytest.mark.parametrize(
    ("wiggle", "right", "accuses", "words"),
    [
        (Wiggle(0, 0, 0.2), True, False, "arm: +0.20 rad"),
        (Wiggle(0, 0, -0.2), False, True, "wrong sign"),
        (Wiggle(0, 1, 0.2), False, True, "pendulum moved instead"),
        (Wiggle(0, 1, 0.4, 0), False, False, "pendulum moved most, by +0.40 rad, and arm with it"),
        (Wiggle(0, None, 0.0), False, False, "no joint moved"),
    ],
)
def test_a_wiggle_says_what_it_showed(wiggle: Wiggle, right: bool, accuses: bool, words: str) -> None:
    assert (wiggle.right, wiggle.accuses) == (right, accuses)
    assert words in wiggle.describe(QUBE)


class Scripted:
    """A robot that stands still until a hand moves it, as far as a script says for each turn."""

    def __init__(self, *turns: list[float]) -> None:
        self.turns, self.held = list(turns), []
        self._moved = np.zeros(2)

    def off(self) -> None: ...

    def read(self) -> RobotState:
        return RobotState(0.0, self._moved.copy(), np.zeros(2))

    def move(self, joint: int, still: int | None) -> None:
        self.held.append((joint, still))
        self._moved = np.array(self.turns.pop(0))

    def look(self, joint: int, position: FloatArray, moved: FloatArray) -> bool:
        return True

    def rest(self) -> None:
        self._moved = np.zeros(2)


@pytest.mark.parametrize(
    ("turns", "result", "held"),
    [
        ([[0.2, 0.1], [0.1, 0.2]], "pass", [(0, None), (1, None)]),
        # Together, then alone once the other is held: nobody was wrong.
        ([[-0.2, 0.15], [0.2, 0.0], [0.0, 0.2]], "pass", [(0, None), (0, 1), (1, None)]),
        # One wrong turn is a hand that slipped; two are a wrong sign.
        ([[-0.2, 0.0], [0.2, 0.0], [0.0, 0.2]], "pass", [(0, None), (0, None), (1, None)]),
        ([[-0.2, 0.0], [-0.2, 0.0], [0.0, 0.2]], "fail", [(0, None), (0, None), (1, None)]),
        ([[0.0, 0.4], [0.0, 0.4], [0.0, 0.2]], "fail", [(0, None), (0, 1), (1, None)]),
        # Always together: not accused, not passed.
        ([[-0.2, 0.15]] * 3 + [[0.0, 0.2]], "not checked", [(0, None), (0, 1), (0, 1), (1, None)]),
    ],
)
def test_a_person_is_asked_again_rather_than_a_joint_accused(
    turns: list[list[float]], result: str, held: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiggle_module, "STILL_TIME", 0.02)
    robot = Scripted(*turns)
    found = order_and_signs(robot, QUBE, robot, 1.0, lambda text: None)  # type: ignore[arg-type]
    assert (found.result, robot.held) == (result, held), found.text


class Miswired(SimDriver):
    """A Qube whose readings are brought into another order, or turned around, on their way."""

    def __init__(self, order: list[int], signs: list[float]) -> None:
        super().__init__("qube", {}, 0)
        self._order, self._signs = order, np.array(signs)

    def read(self) -> RobotState:
        state = super().read()
        position, velocity = state.joint_position[self._order], state.joint_velocity[self._order]
        return RobotState(state.time, self._signs * position, self._signs * velocity)


@pytest.mark.long
@pytest.mark.parametrize(
    ("order", "signs", "result", "words"),
    [
        ([0, 1], [1.0, 1.0], "pass", "each of 2 joints"),
        # Arm and pendulum drag each other along: whether that can be told apart depends on the moment.
        ([1, 0], [1.0, 1.0], "fail|not checked", "(arm|pendulum): "),
        ([0, 1], [1.0, -1.0], "fail", "pendulum: moved by -"),
    ],
)
def test_an_emulated_hand_finds_wrong_order_and_signs(
    order: list[int], signs: list[float], result: str, words: str
) -> None:
    driver = Miswired(order, signs)
    try:
        robot = driver.connect()
        said: list[str] = []
        found = order_and_signs(driver, robot, EmulatedHand(driver, robot), 3.0, said.append)
    finally:
        driver.disconnect()
    assert found.result in result.split("|"), said
    assert re.search(words, found.text), found.text


def test_without_a_hand_nothing_is_known() -> None:
    driver = SimDriver("qube", {})
    assert order_and_signs(driver, QUBE, None, 1.0, print).result == "not checked"


@pytest.mark.long
@given(
    st.floats(0.0, 0.06),
    st.floats(5.0, 60.0),
    st.floats(0.0, 10.0),
    st.sampled_from([0.0, 1e-4, 1e-3]),
    st.sampled_from([1.0, -1.0]),
)
def test_the_beginning_of_a_motion_is_found_to_some_ms(
    begin: float, push: float, drag: float, resolution: float, sign: float
) -> None:
    times = np.arange(0.0, 0.25, 0.002)
    since = np.maximum(times - begin, 0.0)
    # A joint with inertia and drag under a constant effort.
    moved = (
        push * (since / drag - (1 - np.exp(-drag * since)) / drag**2)
        if drag > 0.1
        else 0.5 * push * since**2
    )
    if resolution:
        moved = np.round(moved / resolution) * resolution
    found = onset_ms(times, sign * moved, 0.01)
    assert found == pytest.approx(1e3 * begin, abs=8.0)


def test_a_joint_that_hardly_moved_tells_nothing() -> None:
    assert onset_ms(np.linspace(0, 0.2, 50), np.full(50, 1e-4), 0.01) is None


@pytest.mark.long
def test_a_motor_that_answers_late_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simreal.deploy.preflight.motion.TRIALS", 3)
    driver = SimDriver("so101", {"action_latency_ms": 40.0})
    try:
        robot = driver.connect()
        found = motion_latency(driver, robot, load_robot("so101").config.safety)
    finally:
        driver.disconnect()
    assert found.joint == "shoulder_pan"
    # On a busy machine the emulated robot itself comes late, or makes up for it.
    assert 20.0 < found.median < 80.0


def test_a_robot_that_strays_ends_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simreal.deploy.preflight.motion.FARTHEST", {"rad": 0.01, "m": 0.01})
    driver = SimDriver("so101", {})
    try:
        robot = driver.connect()
        with pytest.raises(UnsafeMotionError, match="strayed"):
            motion_latency(driver, robot, load_robot("so101").config.safety)
    finally:
        driver.disconnect()


def _times(trip: float, lost: int = 0) -> BusTimes:
    times = BusTimes(lost=lost)
    for name in ("round_trip", "write", "read", "age", "inference"):
        histogram: Histogram = getattr(times, name)
        histogram.add(trip)
    return times


def test_a_bus_that_is_slow_or_loses_answers_fails() -> None:
    assert bus_finding(_times(0.004), 100.0).result == "pass"
    assert "longer than the control period of 10 ms" in bus_finding(_times(0.02), 100.0).text
    assert bus_finding(_times(0.004, 3), 100.0).result == "fail"
    assert "3 of 4 rounds" in bus_finding(_times(0.004, 3), 100.0).text


def test_latency_is_held_against_what_was_trained(contract: Contract) -> None:
    ranges = (
        TrainedRange(name="action_latency_ms", unit="ms", operation="absolute", low=0.0, high=15.0),
        TrainedRange(name="sensor_latency_ms", unit="ms", operation="absolute", low=0.0, high=5.0),
        TrainedRange(name="mass", unit="", operation="scale", low=0.8, high=1.2),
    )
    trained = contract.model_copy(update={"trained_ranges": ranges})
    late = latency_finding(trained, _times(0.001), 32.0)
    assert late.result == "fail"
    assert late.text.startswith("trained 0 to 20 ms, measured 34 ms")
    assert latency_finding(trained, _times(0.001), 10.0).result == "pass"
    assert latency_finding(trained, _times(0.001), None).result == "not checked"
    assert latency_finding(trained, _times(0.01), None).result == "fail"
    assert latency_finding(contract, _times(0.001), 5.0).text.startswith("trained without latency")


def test_every_delay_between_a_joint_and_its_motor_counts_as_trained(contract: Contract) -> None:
    drawn = {
        "action_latency_ms": (2.0, 10.0),
        "action_latency_jitter_ms": (1.0, 3.0),
        "sensor_latency_ms": (1.0, 5.0),
        "sensor_latency_jitter_ms": (0.5, 2.0),
        "joint_latency_ms[arm]": (0.0, 4.0),
        "joint_latency_ms[pendulum]": (1.0, 7.0),
        "imu_latency_ms": (0.0, 100.0),
        "control_jitter_ms": (0.0, 100.0),
    }
    ranges = tuple(
        TrainedRange(name=name, unit="ms", operation="absolute", low=low, high=high)
        for name, (low, high) in drawn.items()
    )
    trained = trained_latency(contract.model_copy(update={"trained_ranges": ranges}))
    # Jitters may be none; each joint has its own delay.
    assert trained == (2.0 + 1.0 + 0.0, 10.0 + 3.0 + 5.0 + 2.0 + 7.0)


def test_a_verdict_is_ready_only_if_all_was_checked_and_passed() -> None:
    verdict = Verdict("qube", "0", "sim", "now")
    assert not verdict.ready
    verdict.findings.append(Finding("a", "pass", ""))
    assert verdict.ready
    verdict.findings.append(Finding("b", "not checked", ""))
    assert not verdict.ready and "not everything was checked: b" in verdict.sentence()
    verdict.findings.append(Finding("c", "fail", ""))
    assert verdict.sentence().startswith("do not run")


@given(st.floats(allow_nan=True))
def test_a_bar_has_one_width(share: float) -> None:
    assert len(bar(share)) == 41


def test_a_person_is_told_what_the_positive_direction_does() -> None:
    told = joint_directions("go2")
    assert told["FL_thigh_joint"] == "FL_calf moves backward"
    assert "up" in told["FL_hip_joint"] and "to the left" in told["FL_hip_joint"]
    assert set(joint_directions("qube")) == {"arm", "pendulum"}


def test_preflight_of_the_qube_on_the_command_line(
    policy_file: Callable[..., Path], tmp_path: Path
) -> None:
    report = tmp_path / "preflight.json"
    arguments = ["preflight", str(policy_file()), "--driver", "sim", "--hand", "emulated"]
    done = CliRunner().invoke(cli, [*arguments, "--output", str(report)])
    found = json.loads(report.read_text())
    results = {each["check"]: each["result"] for each in found["findings"]}
    assert results["golden vectors"] == results["contract"] == "pass"
    assert results["joint order and signs"] == "pass", done.output
    assert found["policy"] == load_policy(policy_file()).digest
    failed = "fail" in results.values()
    assert done.exit_code == (1 if failed else 0)
    assert f"verdict: {found['verdict']}".split()[:2] == done.output.splitlines()[-1].split()[:2]


@pytest.mark.long
def test_a_robot_beyond_its_bounds_fails(
    policy_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is read by the calibration of another: the first cycle of a run would be a fault."""
    read = SimDriver.read

    def with_another_zero(driver: SimDriver) -> RobotState:
        state = read(driver)
        state.joint_position = state.joint_position + np.array([3.0, 0.0])
        return state

    monkeypatch.setattr(SimDriver, "read", with_another_zero)
    arguments = ["preflight", str(policy_file()), "--driver", "sim", "--hand", "nobody"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 1
    assert "fail: bounds: joint_position: joint arm at 3" in done.output
    monkeypatch.undo()
    assert "pass: bounds: " in CliRunner().invoke(cli, arguments).output


@pytest.mark.long
def test_a_report_that_cannot_be_written_costs_nobody_the_verdict(
    policy_file: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    report = tmp_path / "file" / "preflight.json"
    arguments = ["preflight", str(policy_file()), "--driver", "sim", "--hand", "nobody"]
    done = CliRunner().invoke(cli, [*arguments, "--output", str(report)])
    assert isinstance(done.exception, UserError)
    assert "verdict: nothing failed" in done.output
