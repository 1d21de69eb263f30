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
"""Of control."""


PERIOD = 0.01
"""s, of control."""
DELAY = 0.025
"""s, the longest that the Qube's policies are trained for."""


def drive(
    filtered: bool,
    seed: int,
    stronger: float = 1.0,
    late: int = 0,
    share: float = 0.5,
    knows: bool = True,
) -> tuple[float, list[float]]:
    """The arm's largest angle, rad, under voltages that stay at an end for a while.

    Args:
        filtered: whether the filter stands between.
        seed: of the voltages.
        stronger: times the model's motor.
        late: control steps until a command acts.
        share: of the brake that is counted on.
        knows: whether the filter knows how late it acts.

    Returns:
        That, and its angles towards where it moved when a command was changed.
    """
    model = compile_model(QUBE)
    model.actuator_gainprm[:, 0] *= stronger
    model.jnt_limited[:] = 0  # nothing else holds it
    data, rng = mujoco.MjData(model), np.random.default_rng(seed)
    config = FilterConfig(brake_share=share)
    keeps = ActionFilter(QUBE.description, MujocoDynamics(QUBE), PERIOD, knows * late * PERIOD, config)
    largest, asked, places = 0.0, np.zeros(1), []
    on_their_way = [np.zeros(1)] * late
    for _ in range(STEPS):
        if rng.uniform() < 0.05:
            asked = rng.choice([-4.0, 4.0], 1)
        found = keeps(data.qpos, data.qvel, asked)
        if found.changed:
            places.append(float(data.qpos[0] * np.sign(data.qvel[0])))
        on_their_way.append(found.command if filtered else asked)
        data.ctrl[:] = on_their_way.pop(0)
        for _ in range(5):
            mujoco.mj_step(model, data)
        largest = max(largest, abs(float(data.qpos[0])))
    return largest, places


@pytest.mark.parametrize("seed", range(3))
def test_the_arm_stays_within_its_range_whatever_is_asked(seed: int) -> None:
    assert drive(False, seed)[0] > 2.5
    largest, places = drive(True, seed)
    assert largest < 2.05
    assert 0 < len(places) < STEPS


def test_a_share_that_is_counted_on_stands_for_what_the_model_is_wrong_by() -> None:
    careful, careless = (drive(True, 0, stronger=0.7, share=share)[0] for share in (0.5, 1.0))
    assert careful < careless


def test_a_delay_that_is_known_is_braked_for() -> None:
    known, unknown = (drive(True, 0, late=2, knows=knows)[0] for knows in (True, False))
    assert known < unknown


def test_a_joint_is_left_alone_until_a_late_brake_would_not_stop_it() -> None:
    """One mass, driven outwards with all that it has."""
    robot = two_masses()
    joints = tuple(each.model_copy(update={"velocity_limit": None}) for each in robot.joints)
    config = FilterConfig(approach_rate=10.0)
    keeps = ActionFilter(robot.model_copy(update={"joints": joints}), TwoMasses(), PERIOD, config=config)
    position, velocity, asked = np.array([-0.9, 0.0]), np.zeros(2), np.array([10.0, 0.0])
    brake, changed, furthest = 0.5 * 20.0, [], -1.0
    for _ in range(400):
        found = keeps(position, velocity, asked)
        changed.append(found.changed)
        if found.changed and not any(changed[:-1]):
            way, needed = 0.96 - position[0], velocity[0] ** 2 / (2.0 * brake)
            assert needed < way < needed + 0.2
        acceleration = TwoMasses.gain @ found.command - 0.1 * velocity
        position = position + PERIOD * velocity + 0.5 * PERIOD**2 * acceleration
        velocity = velocity + PERIOD * acceleration
        furthest = max(furthest, float(position[0]))
    assert 0.94 < furthest < 0.965  # to its bound, and no further
    assert abs(velocity[0]) < 0.05


@settings(deadline=None)
@given(st.floats(-1.0, 1.0), st.floats(-3.0, 3.0), st.floats(-4.0, 4.0))
def test_far_from_limits_nothing_is_changed(arm: float, speed: float, asked: float) -> None:
    keeps = ActionFilter(QUBE.description, MujocoDynamics(QUBE), PERIOD, DELAY)
    found = keeps(np.array([arm, 0.3]), np.array([speed, 0.0]), np.array([asked]))
    assert not found.changed and found.command[0] == asked


def test_what_does_no_harm_is_let_through() -> None:
    keeps = ActionFilter(QUBE.description, MujocoDynamics(QUBE), PERIOD)
    for asked in (-3.0, 0.0, 3.5):
        found = keeps(np.zeros(2), np.zeros(2), np.array([asked]))
        assert found.command.tolist() == [asked] and not found.changed
    assert keeps.changes == 0
    still = ActionFilter(two_masses(), TwoMasses(), PERIOD)
    beyond = still(np.zeros(2), np.zeros(2), np.array([40.0, 0.0]))
    assert beyond.command.tolist() == [10.0, 0.0] and beyond.changed


class TwoMasses:
    """Two joints, each pushed by a command of its own and a bit by the other's."""

    gain = np.array([[2.0, 0.3], [-0.2, 1.5]])

    def __call__(self, position, velocity):  # type: ignore[no-untyped-def]
        return -0.1 * velocity, self.gain

    def at_rest(self, position):  # type: ignore[no-untyped-def]
        return np.zeros(2), self.gain


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
    keeps = ActionFilter(two_masses(), TwoMasses(), PERIOD)
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


def test_where_nothing_obeys_it_brakes_as_hard_as_it_can() -> None:
    keeps = ActionFilter(two_masses(), TwoMasses(), PERIOD)
    position, velocity = np.array([0.97, 0.0]), np.array([3.0, 0.0])
    found = keeps(position, velocity, np.array([10.0, 0.0]))
    matrix, least = keeps._constraints(position, velocity)
    assert (matrix @ found.command < least - 1.0).any()
    assert found.command[0] < -9.9


def test_a_limit_that_no_command_keeps_gives_up_none_of_the_others() -> None:
    """The first mass is lost; the second, whose command is its own, is held all the same."""
    apart = TwoMasses()
    apart.gain = np.diag([2.0, 1.5])
    keeps = ActionFilter(two_masses(), apart, PERIOD)
    position, velocity = np.array([0.97, 0.93]), np.array([3.0, 0.2])
    found = keeps(position, velocity, np.array([10.0, 10.0])).command
    matrix, least = keeps._constraints(position, velocity)
    can_be_kept = np.abs(matrix).sum(axis=1) * 10.0 >= least
    assert not can_be_kept.all()
    assert (matrix @ found >= least - 0.01)[can_be_kept].all()


@pytest.mark.parametrize("name", ["can_leg", "so101"])
def test_position_servos_are_refused_by_name(name: str) -> None:
    with pytest.raises(UserError, match=f"robot {name}: .*effort or a voltage; position servos: "):
        MujocoDynamics(load_robot(name))


def test_commands_act_by_what_they_do_between_the_ends_of_their_range() -> None:
    """A model whose range leaves zero and one out, and whose force is cut off within it."""
    dynamics, position, velocity = MujocoDynamics(QUBE), np.array([0.3, 0.2]), np.array([1.0, 0.5])
    dynamics._model.actuator_ctrlrange[:] = (-4.0, -2.0)
    dynamics._model.actuator_forcelimited[:] = 1
    dynamics._model.actuator_forcerange[:] = (-0.018, 0.018)
    rest, gain = dynamics(position, velocity)
    for end in (-4.0, -2.0):
        dynamics._data.ctrl[:] = end
        mujoco.mj_forward(dynamics._model, dynamics._data)
        assert rest + gain[:, 0] * end == pytest.approx(dynamics._data.qacc, rel=1e-6)
    assert abs(gain[0, 0]) > 0.0


@pytest.mark.parametrize(("place", "what"), [*enumerate(("position", "velocity", "command", "trusted"))])
def test_no_numbers_lead_to_no_command(place: int, what: str) -> None:
    given = [np.zeros(2), np.zeros(2), np.zeros(1), np.zeros(1)]
    given[place] = np.full_like(given[place], np.nan)
    keeps = ActionFilter(QUBE.description, MujocoDynamics(QUBE), PERIOD)
    with pytest.raises(UserError, match=f"given a {what}.* no finite number"):
        keeps(*given)


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
        ActionFilter(free.model_copy(update={"joints": joints}), TwoMasses(), PERIOD)


@settings(deadline=None)
@given(st.floats(-2.0, 2.0), st.floats(-20.0, 20.0), st.floats(-4.0, 4.0), st.floats(-4.0, 4.0))
def test_a_trusted_command_passes_and_others_lead_no_further_out_than_it(
    arm: float, speed: float, asked: float, trusted: float
) -> None:
    keeps = ActionFilter(QUBE.description, MujocoDynamics(QUBE), PERIOD, DELAY)
    position, velocity = np.array([arm, 0.3]), np.array([speed, 0.0])
    known = np.array([trusted])
    assert keeps(position, velocity, known, known).command[0] == pytest.approx(trusted, abs=1e-6)
    alone = keeps(position, velocity, np.array([asked])).command[0]
    beside = keeps(position, velocity, np.array([asked]), known).command[0]
    ends = sorted((alone, trusted, asked))
    assert ends[0] - 1e-4 <= beside <= ends[-1] + 1e-4
    if alone == asked:  # what needs no change without it needs none with it
        assert beside == asked
