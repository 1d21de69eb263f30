import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simreal.state import RobotState


@given(st.data(), st.integers(1, 6), st.integers(1, 3))
def test_rows_are_the_same_robots_on_their_own(data: st.DataObject, count: int, joints: int) -> None:
    state = RobotState(
        np.arange(count) * 0.1,
        np.random.default_rng(0).normal(size=(count, joints)),
        np.random.default_rng(1).normal(size=(count, joints)),
    )
    ids = np.array(data.draw(st.lists(st.integers(0, count - 1), max_size=5)), dtype=np.int64)
    rows = state.rows(ids)
    assert rows.joint_position.shape == (len(ids), joints)
    for place, row in enumerate(ids):
        assert rows.time[place] == state.time[row]
        assert (rows.joint_position[place] == state.joint_position[row]).all()
        assert (rows.joint_velocity[place] == state.joint_velocity[row]).all()


def test_rows_keep_a_time_that_all_share() -> None:
    state = RobotState(1.5, np.zeros((3, 2)), np.zeros((3, 2)))
    assert state.rows(np.array([2, 0])).time == 1.5


def test_rows_are_not_changed_with_the_batch() -> None:
    state = RobotState(np.zeros(2), np.zeros((2, 1)), np.zeros((2, 1)))
    rows = state.rows(np.array([1]))
    state.joint_position[1] = 7.0
    assert rows.joint_position[0, 0] == 0.0
