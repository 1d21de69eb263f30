"""What an episode's log says of its end: by what the supervisor's events name, whatever they say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simreal.adapt.robot_budget import OF_MOTION
from simreal.adapt.robot_episode import stopped_for, transitions_of
from simreal.adapt.transitions import NoTransitionError, read_transitions
from simreal.experiment import ExperimentConfig
from simreal.logs.formats import read_logs
from simreal.logs.robot_log import LogEvent, RobotLog
from simreal.observation import ObservationPipeline
from simreal.run import Run
from tests.logs.flights import cycle, write_flight


def log_of(*events: LogEvent) -> RobotLog:
    return RobotLog("flight.mcap", events=list(events))


def test_a_fault_is_told_by_its_check_and_not_by_its_words() -> None:
    assert stopped_for(log_of(LogEvent(1.0, "phase", "in other words", "tilt")), OF_MOTION)
    assert not stopped_for(log_of(LogEvent(1.0, "phase", "fault, damp: tilt: 1 rad")), OF_MOTION)
    assert not stopped_for(log_of(LogEvent(1.0, "phase", "it waits", "lost_driver")), OF_MOTION)


def test_a_log_without_two_steps_in_a_row_has_no_transitions(base: Run, tmp_path: Path) -> None:
    experiment, contract = base.experiment(), base.contract()
    assert isinstance(experiment, ExperimentConfig)
    seen = np.zeros(ObservationPipeline(contract).size, np.float32)
    apart = [
        replace(cycle(each, each * 10**9, float(each), np.zeros(2)), observation=seen)
        for each in range(3)
    ]
    write_flight(tmp_path / "flight.mcap", contract, apart)
    with pytest.raises(NoTransitionError):
        read_transitions(read_logs(tmp_path / "flight.mcap"), experiment, contract)
    assert transitions_of(tmp_path / "flight.mcap", experiment, contract) is None
