import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simreal.contract import RobotDescription
from simreal.deploy.supervisor import Order, Phase, Supervisor
from simreal.robots.safety import CHECKS, SafetyConfig
from simreal.state import FloatArray, RobotCommand
from tests.deploy.two_joints import MOTORS, NOW, SAFETY, SERVOS, state

PERIOD = 0.01
LOWER, UPPER = np.array([-2.0, -0.5]), np.array([1.0, 3.0])
anything = st.floats(allow_nan=True, allow_infinity=True, width=64)
numbers = st.one_of(st.floats(-3.0, 3.0), anything)
pairs = st.tuples(numbers, numbers)
small = st.tuples(st.floats(-0.9, 0.4), st.floats(-0.9, 0.4))


class Robot:
    """A robot that moves as it is told, at once, and its supervisor."""

    def __init__(
        self, robot: RobotDescription = SERVOS, safety: SafetyConfig = SAFETY, shadow: bool = False
    ) -> None:
        self.supervisor = Supervisor(robot, safety, PERIOD, shadow)
        self.now, self.position, self.follows = NOW, np.array([0.1, -0.1]), True
        self.orders: list[Order] = []
        self.supervisor.connected()
        self.step()

    def step(self, action: FloatArray | None = None, dt: float = PERIOD, missed: int = 0) -> Order:
        """One cycle."""
        self.now += dt
        # The last bits of a measurement are never the same.
        jitter = 1e-9 * (len(self.orders) % 5)
        measured = state(tuple(self.position + jitter), (0.05, 0.05), self.now)
        self.supervisor.watch(measured, self.now, missed)
        if self.supervisor.running and action is not None:
            self.supervisor.propose(action, action, PERIOD)
        order = self.supervisor.order()
        self.orders.append(order)
        if order.command is not None and self.follows:
            self.position = order.command.target.copy()
        return order

    def run_until(self, phase: Phase, steps: int = 1000) -> int:
        """Steps until a phase."""
        for number in range(steps):
            if self.supervisor.phase is phase:
                return number
            self.step(np.zeros(2))
        raise AssertionError(f"{self.supervisor.phase}, {self.supervisor.fault}")


def _command(order: Order) -> RobotCommand:
    assert order.kind == "follow" and order.command is not None
    return order.command


def test_nothing_is_ordered_until_somebody_wants_the_robot_to_run() -> None:
    robot = Robot()
    assert robot.supervisor.phase is Phase.IDLE
    assert {robot.step(np.ones(2)).kind for _ in range(20)} == {"nothing"}


def test_servos_rise_slowly_from_where_they_are_with_growing_authority() -> None:
    robot = Robot()
    robot.supervisor.run()
    assert robot.supervisor.phase is Phase.RISING
    robot.run_until(Phase.RUNNING)
    commands = [order.command for order in robot.orders if order.command is not None]
    # The last one is the policy's first.
    targets = np.array([command.target for command in commands[:-1]])
    np.testing.assert_allclose(targets[0], [0.1, -0.1], atol=0.01)
    np.testing.assert_allclose(targets[-1], [0.5, -0.5], atol=1e-3)
    assert np.abs(np.diff(targets, axis=0)).max() <= 1.0 * PERIOD * 1.001  # rise_speed
    authorities = [command.authority for command in commands]
    assert authorities[0] == pytest.approx(0.2, abs=0.02)
    assert authorities[:-1] == sorted(authorities[:-1])
    assert authorities[-2] == 1.0


def test_motors_without_servos_do_not_rise_and_authority_is_a_share_of_the_command() -> None:
    robot = Robot(MOTORS)
    robot.supervisor.run()
    assert robot.supervisor.phase is Phase.RUNNING
    robot.follows = False
    targets = [
        _command(robot.step(np.array([0.0, 0.1 + 1e-3 * n]))).target[1] / (0.1 + 1e-3 * n)
        for n in range(55)
    ]
    assert targets[0] == pytest.approx(0.216)
    assert targets[-1] == pytest.approx(1.0)


def test_authority_begins_anew_with_each_run() -> None:
    robot = Robot(MOTORS)
    robot.follows = False
    for _ in range(2):
        robot.supervisor.run()  # between the cycle's measurement and its command
        robot.supervisor.propose(np.array([0.0, 0.5]), np.array([0.0, 0.5]), PERIOD)
        assert _command(robot.supervisor.order()).target[1] == pytest.approx(0.2 * 0.5)
        for step in range(60):
            robot.step(np.array([0.0, 0.5 + 1e-3 * (step % 2)]))
        assert robot.supervisor.authority == 1.0
        robot.supervisor.fail("tilt", "a fall")
        robot.supervisor.clear()


def test_a_servo_that_does_not_follow_while_it_rises_is_a_fault() -> None:
    robot = Robot()
    robot.follows = False
    robot.supervisor.run()
    robot.run_until(Phase.FAULT)
    fault = robot.supervisor.fault
    assert fault is not None and fault.check == "rise" and "shoulder" in fault.reason
    assert fault.phase is Phase.RISING


@pytest.mark.parametrize(
    ("check", "reaction", "kind"),
    [("joint_position", "damp", "damp"), ("tilt", "off", "off"), ("stall", "hold", "hold")],
)
def test_a_fault_does_what_the_configuration_says_and_stays(
    check: str, reaction: str, kind: str
) -> None:
    robot = Robot()
    robot.supervisor.run()
    robot.run_until(Phase.RUNNING)
    robot.step(np.zeros(2))
    robot.supervisor.fail(check, "first")  # type: ignore[arg-type]
    robot.supervisor.fail("gap", "second")
    fault = robot.supervisor.fault
    assert fault is not None and (fault.check, fault.reason, fault.reaction) == (
        check,
        "first",
        reaction,
    )
    for wish in (robot.supervisor.run, robot.supervisor.hold, robot.supervisor.stop):
        wish()
        assert robot.step(np.zeros(2)).kind == kind
    robot.supervisor.clear()
    assert (robot.supervisor.phase, robot.supervisor.fault) == (Phase.IDLE, None)
    assert robot.step(np.zeros(2)).kind == "nothing"


def test_a_fault_before_the_first_command_moves_nothing() -> None:
    robot = Robot()
    robot.supervisor.fail("tilt", "it lies")
    assert robot.step().kind == "nothing"


def test_holding_and_going_on_rises_again() -> None:
    robot = Robot()
    robot.supervisor.run()
    robot.run_until(Phase.RUNNING)
    robot.step(np.zeros(2))
    robot.supervisor.hold()
    assert robot.step(np.ones(2)).kind == "hold"
    robot.supervisor.run()
    assert robot.supervisor.phase is Phase.RISING
    robot.run_until(Phase.RUNNING)
    robot.supervisor.stop()
    assert robot.step(np.zeros(2)).kind == "off"


@pytest.mark.parametrize(
    ("dt", "missed", "check"), [(0.15, 14, "gap"), (PERIOD, 11, "deadline_misses"), (PERIOD, 9, None)]
)
def test_lateness_is_a_fault_where_it_is_too_much(dt: float, missed: int, check: str | None) -> None:
    robot = Robot()
    robot.supervisor.run()
    robot.run_until(Phase.RUNNING)
    robot.step(np.array([0.1, 0.1]))
    robot.step(np.array([0.1, 0.1]), dt, missed)
    fault = robot.supervisor.fault
    assert (None if fault is None else fault.check) == check


def test_an_emergency_stop_comes_before_everything() -> None:
    robot = Robot()
    robot.supervisor.run()
    robot.run_until(Phase.RUNNING)
    robot.supervisor.watch(state((9.0, 9.0), time=0.0), robot.now, 99, "the red button")
    assert robot.supervisor.fault is not None
    assert robot.supervisor.fault.check == "emergency_stop"
    assert robot.supervisor.fault.reason == "the red button"


def test_a_command_that_jumps_and_an_action_that_stays_at_its_end_are_faults() -> None:
    for actions, check in (
        ([np.array([0.0, 0.9]), np.array([0.0, -1.2])], "command_jump"),
        ([np.array([0.0, 1.0])] * 60, "saturated_action"),
    ):
        robot = Robot()
        robot.supervisor.run()
        robot.run_until(Phase.RUNNING)
        robot.position[:] = 0.0
        robot.follows = False
        for action in actions:
            robot.step(action)
        fault = robot.supervisor.fault
        assert fault is not None and fault.check == check and "fore" in fault.reason


def test_a_shadow_blames_nothing_on_commands_that_nobody_got() -> None:
    robot = Robot(shadow=True)
    robot.follows = False
    robot.supervisor.run()
    assert robot.supervisor.phase is Phase.RUNNING
    for _ in range(200):
        robot.step(np.array([0.9, 0.1]), dt=PERIOD)
    robot.step(np.array([0.9, 0.1]), dt=0.5, missed=49)
    assert robot.supervisor.fault is None or robot.supervisor.fault.check == "deadline_misses"


@settings(max_examples=150)
@given(st.lists(st.tuples(pairs, small, st.floats(0.001, 0.05)), max_size=40), st.booleans())
def test_no_limit_is_ever_exceeded_whatever_a_policy_gives(
    history: list[tuple[tuple[float, float], tuple[float, float], float]], servos: bool
) -> None:
    """Within the range always; within the rate and the effort, the weightier first."""
    robot = Robot(SERVOS if servos else MOTORS)
    robot.follows = False
    robot.supervisor.run()
    robot.supervisor.phase = Phase.RUNNING
    lower, upper = (np.array([-1.0] * 2), np.array([1.5] * 2)) if servos else (LOWER, UPPER)
    previous: FloatArray | None = None
    for wanted, position, dt in history:
        robot.position = np.array(position)
        order = robot.step(np.array(wanted), dt)
        if order.command is None:
            assert order.kind in ("nothing", "damp", "hold", "off")
            assert robot.supervisor.fault is not None
            continue
        assert all(map(math.isfinite, wanted))
        sent, authority = order.command.target, order.command.authority
        assert ((sent >= lower) & (sent <= upper)).all()
        assert 0.0 <= authority <= 1.0
        if servos:
            asked = 20.0 * (sent[0] - position[0]) - 0.05
            assert abs(asked) <= 5.0 + 1e-6 or sent[0] in (-1.0, 1.5)
        if servos and previous is not None:
            assert abs(sent[1] - previous[1]) <= 20.0 * min(dt, 2 * PERIOD) + 1e-9
        previous = sent


@given(st.lists(st.sampled_from(["run", "hold", "stop", "clear", "fail", "step"]), max_size=30))
def test_only_clearing_leaves_a_fault_and_nothing_follows_without_run(wishes: list[str]) -> None:
    robot = Robot()
    asked_to_run = False
    for wish in wishes:
        before = robot.supervisor.fault
        if wish == "fail":
            robot.supervisor.fail("tilt", "a fall")
        elif wish == "step":
            order = robot.step(np.array([0.2, 0.2]))
            assert order.kind != "follow" or asked_to_run
        else:
            getattr(robot.supervisor, wish)()
            ends = wish in ("hold", "stop") or (wish == "clear" and before is not None)
            asked_to_run = wish == "run" or (asked_to_run and not ends)
        if before is not None and wish != "clear":
            assert robot.supervisor.fault is before
            assert robot.supervisor.phase is Phase.FAULT


def test_every_check_has_a_reaction() -> None:
    assert {SAFETY.reaction_to(check) for check in CHECKS} == {"damp", "hold", "off"}


def test_every_check_is_documented_and_raised_by_the_module_that_the_list_of_them_names() -> None:
    checkout = Path(__file__).resolve().parent.parent.parent
    page = (checkout / "docs" / "deployment.md").read_text("utf-8")
    table = "".join(re.findall(r"^\|(.*?)\|", page, re.MULTILINE))
    assert [check for check in CHECKS if f"`{check}`" not in table and check != "end"] == []
    modules = dict.fromkeys(CHECKS[: CHECKS.index("stale_state") + 1], "bounds")
    modules |= dict.fromkeys(CHECKS[CHECKS.index("stale_state") + 1 :], "supervisor")
    modules |= dict.fromkeys(("frozen_state", "inconsistent_state"), "persistence")
    modules |= dict.fromkeys(("stall", "saturated_action"), "persistence")
    modules |= dict.fromkeys(("overrun", "lost_driver"), "control_loop")
    for check, module in modules.items():
        assert f'"{check}"' in (checkout / "deploy" / f"{module}.py").read_text("utf-8")
