"""The filter keeps a robot within its limits whatever is asked, and lets through what does no harm."""

import mujoco
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simreal.adapt.action_filter import ActionFilter, FilterConfig, MujocoDynamics
from simreal.errors import UserError
from simreal.physics.model import compile_model
from simreal.robots import load_robot

QUBE = load_robot("qube")
STEPS = 1000
"""Of 10 ms."""


def drive(filtered: bool, seed: int, stronger: float = 1.0, margin: float = 0.0) -> tuple[float, int]:
    """The arm's largest angle, rad, under voltages that stay at an end for a while; and changes."""
    model = compile_model(QUBE)
    model.actuator_gainprm[:, 0] *= stronger
    model.jnt_limited[:] = 0  # nothing else holds it
    data, rng = mujoco.MjData(model), np.random.default_rng(seed)
    keeps = ActionFilter(
        QUBE.description, MujocoDynamics(QUBE), FilterConfig(position_rate=6.0, margin=margin)
    )
    largest, asked = 0.0, np.zeros(1)
    for _ in range(STEPS):
        if rng.uniform() < 0.05:
            asked = rng.choice([-4.0, 4.0], 1)
        command = keeps(data.qpos, data.qvel, asked).command if filtered else asked
        data.ctrl[:] = command
        for _ in range(5):
            mujoco.mj_step(model, data)
        largest = max(largest, abs(float(data.qpos[0])))
    return largest, keeps.changes


@pytest.mark.parametrize("seed", range(3))
def test_the_arm_stays_within_its_range_whatever_is_asked(seed: int) -> None:
    assert drive(False, seed)[0] > 2.5
    largest, changes = drive(True, seed)
    assert largest < 2.05
    assert 0 < changes < STEPS


def test_a_stronger_motor_than_the_models_is_what_the_margin_is_for() -> None:
    assert drive(True, 0, stronger=1.2, margin=20.0)[0] < 2.05


def test_what_does_no_harm_is_let_through() -> None:
    keeps = ActionFilter(QUBE.description, MujocoDynamics(QUBE))
    for asked in (-3.0, 0.0, 3.5):
        found = keeps(np.zeros(2), np.zeros(2), np.array([asked]))
        assert found.command.tolist() == [asked] and not found.changed
    found = keeps(np.zeros(2), np.zeros(2), np.array([3.5]))
    assert not found.changed
    assert (keeps.changes, keeps.calls) == (0, 4)
    still = ActionFilter(two_masses(), TwoMasses())
    beyond = still(np.zeros(2), np.zeros(2), np.array([40.0, 0.0]))
    assert beyond.command.tolist() == [10.0, 0.0] and beyond.changed


class TwoMasses:
    """Two joints, each pushed by a command of its own and a bit by the other's."""

    gain = np.array([[2.0, 0.3], [-0.2, 1.5]])

    def __call__(self, position, velocity):  # type: ignore[no-untyped-def]
        return -0.1 * velocity, self.gain


def two_masses(limit: float = 1.0):  # type: ignore[no-untyped-def]
    robot = load_robot("can_leg").description
    joints = tuple(
        each.model_copy(update={"lower": -limit, "upper": limit, "velocity_limit": 3.0})
        for each in robot.joints[:2]
    )
    actuators = tuple(
        each.model_copy(update={"lower": -10.0, "upper": 10.0}) for each in robot.actuators[:2]
    )
    return robot.model_copy(update={"joints": joints, "actuators": actuators})


@settings(max_examples=60)
@given(st.lists(st.floats(-1, 1), min_size=6, max_size=6))
def test_the_answer_is_the_nearest_command_that_obeys(numbers: list[float]) -> None:
    """Against a dense search of the commands."""
    config = FilterConfig()
    keeps = ActionFilter(two_masses(), TwoMasses(), config)
    position, velocity = 0.9 * np.array(numbers[:2]), 2.0 * np.array(numbers[2:4])
    asked = 10.0 * np.array(numbers[4:])
    matrix, least = keeps._constraints(position, velocity)
    axis = np.linspace(-10.0, 10.0, 201)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    obeys = (grid @ matrix.T >= least).all(axis=1)
    assume(obeys.sum() > 20)
    found = keeps(position, velocity, asked)
    assert (matrix @ found.command >= least - 1e-3).all()
    best = np.linalg.norm(grid[obeys] - asked, axis=1).min()
    assert np.linalg.norm(found.command - asked) <= best + 1e-2
    assert found.slack == 0.0


def test_where_nothing_obeys_it_brakes_as_hard_as_it_can_and_says_so() -> None:
    keeps = ActionFilter(two_masses(), TwoMasses())
    found = keeps(np.array([0.97, 0.0]), np.array([3.0, 0.0]), np.array([10.0, 0.0]))
    assert found.slack > 1.0
    assert found.command[0] < -9.9


def test_a_filter_needs_limits_and_a_fixed_base() -> None:
    go2 = load_robot("go2")
    with pytest.raises(UserError, match="fixed base"):
        MujocoDynamics(go2)
    free = two_masses()
    joints = tuple(
        each.model_copy(update={"lower": None, "upper": None, "velocity_limit": None})
        for each in free.joints
    )
    with pytest.raises(UserError, match="no joint has a limit"):
        ActionFilter(free.model_copy(update={"joints": joints}), TwoMasses())


@settings(deadline=None)
@given(st.floats(-2.0, 2.0), st.floats(-20.0, 20.0), st.floats(-4.0, 4.0), st.floats(-4.0, 4.0))
def test_a_trusted_command_passes_and_others_lead_no_further_out_than_it(
    arm: float, speed: float, asked: float, trusted: float
) -> None:
    keeps = ActionFilter(QUBE.description, MujocoDynamics(QUBE), FilterConfig(position_rate=6.0))
    position, velocity = np.array([arm, 0.3]), np.array([speed, 0.0])
    known = np.array([trusted])
    assert keeps(position, velocity, known, known).command[0] == pytest.approx(trusted, abs=1e-6)
    alone = keeps(position, velocity, np.array([asked])).command[0]
    beside = keeps(position, velocity, np.array([asked]), known).command[0]
    ends = sorted((alone, trusted, asked))
    assert ends[0] - 1e-4 <= beside <= ends[-1] + 1e-4
    if alone == asked:  # what needs no change without it needs none with it
        assert beside == asked
