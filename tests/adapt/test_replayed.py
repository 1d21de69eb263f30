"""What policies would have done in states of a log."""

import numpy as np
import pytest
import torch

from simreal.adapt.gate_measures import compare_actions
from simreal.adapt.replayed import Acted, act_on, states_of
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.logs.robot_log import Channel, RobotLog
from simreal.make_environment import make_environment

torch.set_num_threads(1)


def test_actions_on_logged_states_are_measured(log: RobotLog) -> None:
    contract = make_environment(load_experiment("qube_swingup"), 1, threads=1).contract
    states, asked = states_of(log, contract)
    assert len(states) == 300
    assert states[50].joint_velocity[0] == pytest.approx(0.6 * np.cos(1.0), abs=0.02)
    steps = iter(range(1000))
    found = act_on(
        lambda seen, images: np.full((1, 1), 1.0 if next(steps) % 2 else -0.5), contract, states, asked
    )
    assert found.jump[1:] == pytest.approx(1.5)
    assert found.saturated.mean() == pytest.approx(0.5)
    calm = Acted(np.zeros((300, 1)), np.zeros(300))
    assert {each.verdict for each in compare_actions([found], [calm])} <= {"better", "not worse"}
    assert compare_actions([calm], [found])[0].verdict == "worse"


def test_a_log_of_another_robot_or_without_what_is_seen_is_refused(log: RobotLog) -> None:
    contract = make_environment(load_experiment("qube_swingup"), 1, threads=1).contract
    log.robot = "go2"
    with pytest.raises(UserError, match="a log of robot go2, not of qube"):
        states_of(log, contract)
    log.robot = None
    log.channels["joint_position"] = Channel(np.arange(3.0), np.zeros((3, 1)), ("arm",), ("rad",))
    with pytest.raises(UserError, match="has no 'pendulum'"):
        states_of(log, contract)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_a_log_of_a_moment_is_refused(rows: int, log: RobotLog) -> None:
    contract = make_environment(load_experiment("qube_swingup"), 1, threads=1).contract
    log.channels["joint_position"] = log["joint_position"].rows(slice(rows))
    with pytest.raises(UserError, match=r"swing: joint_position lasts .* s: nothing to replay"):
        states_of(log, contract)
