"""The real loop, supervisor and recorder on a hidden robot, faster than the wall's time."""

import time
from pathlib import Path

import numpy as np
import pytest

from simreal.deploy.excitation import PlayedExcitation
from simreal.deploy.loop import deploy
from simreal.excitation_file import Excitation
from simreal.logs.formats import read_logs
from simreal.transfer_bench.stepped_robot import STOPPED, SteppedRobot


def course(volts: float, seconds: float, hertz: float = 0.0) -> PlayedExcitation:
    phase = 2.0 * np.pi * hertz * np.arange(round(100 * seconds)) / 100.0
    played = Excitation(
        robot="qube",
        actuators=("motor",),
        units=("V",),
        rate=100.0,
        targets=tuple((volts * float(np.cos(each)),) for each in phase),
    )
    return PlayedExcitation(played, "0" * 64, "course")


@pytest.mark.long
def test_the_loop_flies_it_in_its_own_time(tmp_path: Path) -> None:
    robot, log = SteppedRobot("qube", "c", 100.0), tmp_path / "flight.mcap"
    try:
        deploy(course(0.5, 0.1), robot, 0.1)  # its process starts
        began = time.process_time()
        outcome = deploy(course(0.8, 20.0, 1.0), robot, 20.0, log)
        assert time.process_time() - began < 19.0  # of 20 s of its own time
    finally:
        robot.close()
    assert (outcome.ended_by, outcome.overruns) == ("duration", 0)
    assert outcome.cycles >= 1999
    assert (outcome.dropped, robot.resets) == (0, 2)
    assert robot.seconds == pytest.approx(20.1, abs=0.05)
    position = read_logs(log)[0]["joint_position"]
    assert np.ptp(position.values[:, 0]) > 0.05
    assert position.time[-1] - position.time[0] == pytest.approx(20.0, abs=0.05)


@pytest.mark.long
def test_at_its_stop_it_reports_a_fault_and_is_put_back() -> None:
    robot = SteppedRobot("qube", "c", 100.0)
    try:
        outcome = deploy(course(4.0, 10.0), robot, 10.0)
        assert (outcome.ended_by, outcome.check) == ("fault", "motor_fault")
        assert outcome.fault == STOPPED
        assert outcome.cycles < 500
        assert deploy(course(0.1, 0.2), robot, 0.2).ended_by == "duration"
    finally:
        robot.close()
