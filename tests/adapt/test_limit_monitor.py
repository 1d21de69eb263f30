"""The witness before the driver counts what must not be, and the measured end of a task."""

import numpy as np
import pytest

from simreal.adapt.limit_monitor import (
    MonitoredDriver,
    TaskEnd,
    beyond_limits,
    joint_limits,
    measured_limits,
)
from simreal.experiment import load_experiment
from simreal.robots import load_robot
from simreal.state import RobotCommand, RobotState
from tests.adapt.toy_qube import ToyQube


def witness() -> MonitoredDriver:
    made = MonitoredDriver(ToyQube(), load_robot("qube").config.safety)
    made.connect()
    return made


@pytest.mark.parametrize(
    ("volts", "beyond"), [(4.0, 0), (-4.0, 0), (4.001, 1), (-9.0, 1), (np.nan, 1), (np.inf, 1)]
)
def test_commands_beyond_a_range_are_counted_and_passed_on(volts: float, beyond: int) -> None:
    made = witness()
    made.write(RobotCommand(np.array([volts])))
    assert (made.commands, made.beyond_range) == (1, beyond)


def test_each_new_measurement_beyond_a_limit_counts_once() -> None:
    made = witness()
    driver = made._driver
    assert isinstance(driver, ToyQube)
    for position, velocity, expected in (
        ([2.0, 0.0], [0.0, 0.0], 0),
        ([2.1, 0.0], [0.0, 0.0], 1),
        ([-2.1, 9.0], [0.0, 0.0], 2),
        ([0.0, 99.0], [0.0, -63.0], 3),
    ):
        driver._state = RobotState(0.0, np.array(position), np.array(velocity))
        driver.time_source.sleep(10_000_000)
        made.read()
        made.read()
        assert made.beyond_limits == expected


def test_joints_without_a_limit_have_infinite_ones() -> None:
    lowest, highest, fastest = joint_limits(load_robot("qube").description)
    assert lowest.tolist() == [-2.094, -np.inf]
    assert highest.tolist() == [2.094, np.inf]
    assert fastest.tolist() == [62.8, 62.8]


def test_a_servo_that_sags_at_the_end_of_its_travel_violates_nothing() -> None:
    robot = load_robot("so101")
    limits = measured_limits(robot.description, robot.config.safety)
    position = np.array([robot.description.default_position] * 3)
    wrist = robot.description.joint_names.index("wrist_flex")
    position[:, wrist] = 1.658 + np.array([0.0, 0.01, 0.06])
    found = beyond_limits(limits, position, np.zeros_like(position))
    assert found.tolist() == [False, False, True]
    fast = np.zeros_like(position)
    fast[:, wrist] = 5.3, 6.4, 6.6
    assert beyond_limits(limits, 0.0 * position, fast).tolist() == [False, False, True]


def test_a_safety_within_the_limits_leaves_them() -> None:
    robot = load_robot("qube")
    for one, other in zip(
        joint_limits(robot.description),
        measured_limits(robot.description, robot.config.safety),
        strict=True,
    ):
        assert one.tolist() == other.tolist()


def test_a_task_is_over_where_its_terminations_say_so() -> None:
    over = TaskEnd(load_experiment("qube_swingup"), 1)
    for arm, expected in ((1.99, None), (2.01, "arm_beyond_limit"), (-2.5, "arm_beyond_limit")):
        state = RobotState(0.0, np.array([arm, 0.0]), np.zeros(2))
        assert over(state, np.zeros(0)) == expected
