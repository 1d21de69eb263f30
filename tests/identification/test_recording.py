"""What identification takes from logs, and what it refuses."""

import numpy as np
import pytest

from simreal.check_log.clock_checks import clock
from simreal.check_log.subject import Subject
from simreal.errors import UserError
from simreal.identification.recording import make_recording
from simreal.identification.windows import cut
from simreal.logs.robot_log import Channel, RobotLog
from simreal.robots import load_robot

QUBE = load_robot("qube").description
TIME = 0.004 * np.arange(500)


def log(**changes: Channel) -> RobotLog:
    both = np.stack((np.sin(TIME), np.cos(3.0 * TIME)), axis=1)
    channels = {
        "joint_position": Channel(TIME, both, ("arm", "pendulum"), ("rad", "rad")),
        "commanded_voltage": Channel(TIME, both[:, :1], ("motor",), ("V",)),
    }
    provenance = {"excitation": "chirp", "day": "2021-02-10"}
    return RobotLog("a.npz:1", channels | changes, robot="qube", provenance=provenance)


def test_columns_come_in_the_order_of_the_robot() -> None:
    swapped = log()["joint_position"]
    recording = make_recording(
        log(joint_position=Channel(TIME, swapped.values[:, ::-1], ("pendulum", "arm"), ("rad", "rad"))),
        QUBE,
    )
    np.testing.assert_array_equal(recording.position, swapped.values)
    assert recording.group == "chirp 2021-02-10"
    assert recording.velocity is None


def test_a_command_that_bears_the_name_of_its_joint_is_its_actuators() -> None:
    """As in ROS."""
    command = log()["commanded_voltage"].values
    recording = make_recording(log(commanded_voltage=Channel(TIME, command, ("arm",), ("V",))), QUBE)
    np.testing.assert_array_equal(recording.command, command)


def test_what_was_applied_says_more_than_what_was_asked() -> None:
    applied = Channel(TIME, np.full((500, 1), 2.0), ("motor",), ("V",))
    assert (make_recording(log(applied_voltage=applied), QUBE).command == 2.0).all()


def broken_position(row: int, value: float) -> Channel:
    values = log()["joint_position"].values.copy()
    values[row, 1] = value
    return Channel(TIME, values, ("arm", "pendulum"), ("rad", "rad"))


def constant_position(column: int) -> Channel:
    values = log()["joint_position"].values.copy()
    values[:, column] = 0.3
    return Channel(TIME, values, ("arm", "pendulum"), ("rad", "rad"))


def test_a_joint_may_stand_still_where_nothing_drives_it() -> None:
    idle = Channel(TIME, np.zeros((500, 1)), ("motor",), ("V",))
    changes = {"joint_position": constant_position(0), "commanded_voltage": idle}
    assert (make_recording(log(**changes), QUBE).position[:, 0] == 0.3).all()


def stale(channel: str, *rows: int) -> Channel:
    """A channel in which some rows are the one before once more, stamp and all."""
    table = log()[channel]
    shown = np.arange(len(table))
    shown[list(rows)] -= 1
    return table.rows(shown)


def test_rows_that_repeat_the_one_before_are_dropped_as_check_log_does() -> None:
    """A bus that lost an answer leaves the state as it was."""
    repeating = log(
        joint_position=stale("joint_position", 19, 200), commanded_voltage=stale("commanded_voltage", 50)
    )
    recording = make_recording(repeating, QUBE)
    assert recording.repeated == 2
    np.testing.assert_array_equal(recording.time, np.delete(TIME, [19, 200]))
    np.testing.assert_array_equal(
        recording.position, np.delete(log()["joint_position"].values, [19, 200], 0)
    )
    assert clock(Subject(repeating)).verdict == "pass"


def test_new_values_at_an_old_time_are_refused_as_check_log_does() -> None:
    standing = TIME.copy()
    standing[100] = standing[99]
    table = log()["joint_position"]
    broken = log(joint_position=Channel(standing, table.values, table.names, table.units))
    assert clock(Subject(broken)).verdict == "fail"
    with pytest.raises(UserError, match="joint_position does not advance in row 100"):
        make_recording(broken, QUBE)


BACKWARDS = TIME.copy()
BACKWARDS[100] = BACKWARDS[98]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"joint_position": broken_position(7, np.nan)}, "pendulum is no number in row 7"),
        ({"joint_position": broken_position(7, 1e30)}, "pendulum is 1e.30, beyond belief, in row 7"),
        (
            {"joint_position": Channel(TIME, np.zeros((500, 1)), ("arm",), ("rad",))},
            "joint_position has no 'pendulum'",
        ),
        (
            {"commanded_voltage": Channel(BACKWARDS, np.zeros((500, 1)), ("motor",), ("V",))},
            "does not advance in row 100",
        ),
        (
            {"commanded_voltage": Channel(TIME + 1.7e9, np.ones((500, 1)), ("motor",), ("V",))},
            r"two clocks: commanded_voltage from 1700000000\.0.* joint_position from 0\.000 to 1\.996",
        ),
        (
            {
                "joint_position": constant_position(0),
                "commanded_voltage": Channel(TIME, np.sin(TIME)[:, None], ("motor",), ("V",)),
            },
            "joint_position of arm is constant, 0.3, while motor is driven",
        ),
        (
            {"joint_position": constant_position(1)},
            "joint_position of pendulum is constant, 0.3, while arm moves and no motor holds it",
        ),
        (
            {"joint_position": Channel(TIME, np.ones((500, 2)), ("arm", "pendulum"), ("rad", "rad"))},
            "joint_position is constant from the first row to the last",
        ),
    ],
)
def test_a_fault_is_told_with_its_place(changes: dict[str, Channel], said: str) -> None:
    with pytest.raises(UserError, match=said):
        make_recording(log(**changes), QUBE)


def test_a_log_of_another_robot_or_without_commands_is_refused() -> None:
    other = log()
    other.robot = "go2"
    with pytest.raises(UserError, match="a log of robot go2, not of qube"):
        make_recording(other, QUBE)
    silent = log()
    del silent.channels["commanded_voltage"]
    with pytest.raises(UserError, match="no applied_voltage and no commanded_voltage"):
        make_recording(silent, QUBE)


def test_windows_start_with_the_velocity_of_the_motion() -> None:
    recording = make_recording(log(), QUBE)
    windows = cut([recording], 0.5, lead=0.1)
    for row in range(len(windows)):
        start = windows.start[row]
        np.testing.assert_allclose(
            windows.start_state[row],
            [[np.sin(start), np.cos(3 * start)], [np.cos(start), -3 * np.sin(3 * start)]],
            atol=2e-4,
        )
    assert windows.length == pytest.approx(0.6)
    assert windows.leads.sum(axis=1) == pytest.approx(25, abs=1)
    with pytest.raises(UserError, match=r"no window of 5 s in the logs with 0.024 s.*longest has 2 s"):
        cut([recording], 5.0)
    with pytest.raises(UserError, match=r"no window of 0.7 s in the logs, within 70 to 100 % of each,"):
        cut([recording], 0.7, between=(0.7, 1.0))
