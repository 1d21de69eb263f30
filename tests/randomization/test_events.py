"""Events by what they do to the momentum and the motion of simulated machines."""

import math
from collections.abc import Callable, Iterator

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from simreal.env import BatchEnv
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.physics import MujocoPhysics
from simreal.physics.interface import Start
from simreal.randomization.build import build_world
from simreal.randomization.occurrences import LONGEST_GAP, SHORTEST_GAP, Occurrences
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import fixed
from simreal.robots import Robot, load_robot

Trace = NDArray[np.float64]
MakeRobot = Callable[[str], Robot]

CONTROL_PERIOD = 0.02
TOTAL_MASS = 2.5
BASE, LEG = 1, 2
WALKER = """
<mujoco model="walker">
  <compiler angle="radian"/>
  <option timestep="0.002" gravity="0 0 0" integrator="implicitfast"/>
  <worldbody>
    <body name="base" pos="0 0 1">
      <freejoint/>
      <geom type="box" size="0.2 0.1 0.05" mass="2"/>
      <body name="leg" pos="0.2 0 0">
        <joint name="joint" type="hinge" axis="0 1 0" damping="0.01"/>
        <geom type="capsule" size="0.02" fromto="0 0 0 0 0 -0.3" mass="0.5" contype="0" conaffinity="0"/>
      </body>
    </body>
  </worldbody>
  <actuator><motor name="motor" joint="joint"/></actuator>
</mujoco>"""

WHEEL_INERTIA = 0.02
TORQUE_PER_VOLT = 0.05
BACK_EMF = 0.01
WHEEL = f"""
<mujoco model="wheel">
  <option timestep="0.002" integrator="implicitfast"/>
  <worldbody>
    <body name="wheel">
      <joint name="joint" type="hinge" axis="0 0 1"/>
      <inertial pos="0 0 0" mass="1" diaginertia="0.02 0.02 {WHEEL_INERTIA}"/>
    </body>
  </worldbody>
  <actuator>
    <general name="motor" joint="joint" gainprm="{TORQUE_PER_VOLT}" biastype="affine"
             biasprm="0 0 -{BACK_EMF}"/>
  </actuator>
</mujoco>"""


class Run:
    """Episodes of a robot under constant parameters, one control step after another."""

    def __init__(
        self, robot: Robot, count: int, values: dict[str, float], period: float = CONTROL_PERIOD
    ) -> None:
        specification, pins = fixed(values)
        self.world = build_world(robot, count, specification, pins, 1.0 / period, threads=1)
        self.randomizer = Randomizer(specification, self.world, pins)
        self.random = EpisodeRandom(episode_seed(7, np.arange(count)))
        self.ids = np.arange(count)
        self.begin()

    def begin(self) -> None:
        still = np.zeros((len(self.ids), len(self.world.robot.joints)))
        self.randomizer.apply(self.ids, self.randomizer.draw(self.random).values)
        self.world.reset(self.ids, Start(still, still), np.zeros((len(self.ids), 1)), self.random)
        self.step = np.zeros(len(self.ids), dtype=np.int64)

    def advance(self, steps: int = 1, command: float = 0.0) -> None:
        target = np.full((len(self.ids), 1), command)
        for _ in range(steps):
            self.step += 1
            self.world.advance(target, self.random, self.step)

    def speeds(self, steps: int, command: float = 0.0) -> Trace:
        """(count, steps) of the first joint, after each control step."""
        found = []
        for _ in range(steps):
            self.advance(1, command)
            found.append(self.world.physics.joint_velocity[:, 0].copy())
        return np.stack(found, axis=1)

    def data(self) -> Iterator[mujoco.MjData]:
        """The state of each simulation, with the momenta of its bodies."""
        physics = self.world.physics
        assert isinstance(physics, MujocoPhysics)
        for row in self.ids.tolist():
            data = physics._batch.get_data(row)
            mujoco.mj_forward(physics.model, data)
            mujoco.mj_subtreeVel(physics.model, data)
            yield data

    def momentum(self) -> Trace:
        """(count, 3) of the whole robot, kg·m/s."""
        return np.array([TOTAL_MASS * data.subtree_linvel[BASE] for data in self.data()])

    def until_all(self, happened: Callable[[], Trace], steps: int) -> Trace:
        """What was seen in each simulation right after the control step in which it happened first."""
        seen = happened()
        for _ in range(steps):
            self.advance()
            fresh = (seen == 0).all(axis=1)
            seen[fresh] = happened()[fresh]
        assert (seen != 0).any(axis=1).all()
        return seen


def size(vectors: Trace) -> Trace:
    norm: Trace = np.linalg.norm(vectors, axis=-1)
    return norm


class TestPushes:
    def test_a_push_gives_the_whole_robot_a_velocity_at_once(self, make_robot: MakeRobot) -> None:
        run = Run(make_robot(WALKER), 20, {"push_interval_s": 0.4, "push_velocity": 0.7})
        momentum = run.until_all(run.momentum, 31)
        np.testing.assert_allclose(size(momentum), TOTAL_MASS * 0.7, rtol=1e-6)
        np.testing.assert_allclose(momentum[:, 2], 0.0, atol=1e-9)

    def test_it_moves_all_bodies_alike_and_turns_none(self, make_robot: MakeRobot) -> None:
        run = Run(make_robot(WALKER), 20, {"push_interval_s": 0.4, "push_velocity": 0.7})

        def spins() -> Trace:
            return np.array([data.subtree_angmom[BASE] for data in run.data()])

        run.advance(31)
        np.testing.assert_allclose(spins(), 0.0, atol=1e-9)

    def test_every_horizontal_direction_is_as_likely(self, make_robot: MakeRobot) -> None:
        run = Run(make_robot(WALKER), 150, {"push_interval_s": 0.1, "push_velocity": 0.5})
        momentum = run.until_all(run.momentum, 9)
        angle = np.arctan2(momentum[:, 1], momentum[:, 0])
        assert stats.kstest(angle, stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > 0.01

    @pytest.mark.parametrize("duration", [0.005, 0.02, 0.037, 0.1])
    def test_an_impulse_is_given_in_full_however_long_it_takes(
        self, make_robot: MakeRobot, duration: float
    ) -> None:
        values = {"push_interval_s": 0.8, "push_impulse[leg]": 0.2, "push_duration_s": duration}
        run = Run(make_robot(WALKER), 5, values)
        begun = np.zeros(5, dtype=np.int64)
        given = np.zeros((5, 3))
        takes = max(1, math.ceil(duration / CONTROL_PERIOD - 1e-9))
        for _ in range(61 + takes):
            run.advance()
            begun += (begun > 0) | (run.momentum() != 0).any(axis=1)
            given[begun == takes] = run.momentum()[begun == takes]
        # The integrator turns the swinging leg with an error of this size, events or none.
        np.testing.assert_allclose(size(given), 0.2, rtol=1e-3)
        np.testing.assert_allclose(given[:, 2], 0.0, atol=1e-3)

    def test_an_impulse_acts_at_the_centre_of_mass_of_its_body(self, make_robot: MakeRobot) -> None:
        values = {"push_interval_s": 0.1, "push_impulse[leg]": 0.1, "push_duration_s": 0.002}
        run = Run(make_robot(WALKER), 12, values, period=0.002)

        def momenta() -> Trace:
            return np.array([(*d.subtree_linvel[BASE], *d.subtree_angmom[BASE]) for d in run.data()])

        seen = run.until_all(momenta, 76)
        at_rest = mujoco.MjData(run.world.physics.model)
        mujoco.mj_forward(run.world.physics.model, at_rest)
        arm = at_rest.xipos[LEG] - at_rest.subtree_com[BASE]
        np.testing.assert_allclose(seen[:, 3:], np.cross(arm, TOTAL_MASS * seen[:, :3]), atol=1e-5)

    def test_a_pushed_robot_is_left_alone_until_the_next_push(self, make_robot: MakeRobot) -> None:
        run = Run(make_robot(WALKER), 3, {"push_interval_s": 1.0, "push_impulse[base]": 1.0})
        changes = []
        before = run.momentum()
        for _ in range(300):
            run.advance()
            now = run.momentum()
            changes.append(size(now - before) > 1e-4)
            before = now
        acting = np.array(changes)
        for row in acting.T:
            starts = np.flatnonzero(row & ~np.append(False, row[:-1]))
            ends = np.flatnonzero(~row & np.append(False, row[:-1]))
            assert 4 <= len(starts) <= 11
            assert (ends - starts[: len(ends)] == 5).all()  # 0.1 s of 20 ms each

    def test_a_robot_without_a_free_base_cannot_be_pushed_by_velocity(self) -> None:
        with pytest.raises(UserError, match="push_velocity"):
            Run(load_robot("qube"), 1, {"push_velocity": 1.0})

    def test_an_episode_that_follows_a_push_begins_without_its_force(
        self, make_robot: MakeRobot
    ) -> None:
        values = {"push_interval_s": 0.4, "push_impulse[base]": 1.0, "push_duration_s": 10.0}
        ahead, run = (Run(make_robot(WALKER), 6, values) for _ in range(2))
        run.advance(31)
        assert (size(run.momentum()) > 0).all()
        run.world.take(run.ids, ahead.world, ahead.ids)
        run.step[:] = 0
        run.advance(9)  # the first push does not come before 0.2 s
        np.testing.assert_array_equal(run.momentum(), 0.0)


class TestTimes:
    def kicks(self, robot: Robot, count: int, interval: float, seconds: float) -> list[Trace]:
        """Control steps at which each wheel was kicked."""
        run = Run(robot, count, {"push_interval_s": interval, "joint_kick_velocity": 1.0})
        run.world.physics.field("actuator_biasprm")[:] = 0.0
        speed = np.append(np.zeros((count, 1)), run.speeds(round(seconds / CONTROL_PERIOD)), axis=1)
        change = np.diff(speed, axis=1)
        np.testing.assert_allclose(np.abs(change[change != 0]), 1.0, rtol=1e-9)
        return [np.flatnonzero(np.abs(row) > 0.5).astype(np.float64) for row in change]

    def test_as_many_pushes_come_as_the_interval_says(self, make_robot: MakeRobot) -> None:
        steps = self.kicks(make_robot(WHEEL), 40, 0.5, 10.0)
        # Gaps of 0.5 to 1.5: the count in a time T is T - 1/2 + variance / 2 on average, for large T.
        expected = 10.0 / 0.5 - 0.5 + 1.0 / 24.0
        assert np.mean([len(each) for each in steps]) == pytest.approx(expected, abs=1.0)

    def test_gaps_are_half_to_one_and_a_half_of_it(self, make_robot: MakeRobot) -> None:
        steps = self.kicks(make_robot(WHEEL), 40, 0.5, 10.0)
        gaps = CONTROL_PERIOD * np.concatenate([np.diff(each) for each in steps])
        assert 0.25 - CONTROL_PERIOD <= gaps.min() < 0.27
        assert 0.73 < gaps.max() <= 0.75 + CONTROL_PERIOD
        assert gaps.mean() == pytest.approx(0.5, rel=0.02)

    def test_each_joint_is_kicked_both_ways(self, make_robot: MakeRobot) -> None:
        run = Run(make_robot(WHEEL), 400, {"push_interval_s": 0.2, "joint_kick_velocity": 2.0})
        first = run.until_all(lambda: run.world.physics.joint_velocity.copy(), 16)[:, 0]
        # The motor is a generator at once, and brakes within that control step.
        braked = 2.0 * math.exp(-BACK_EMF / WHEEL_INERTIA * CONTROL_PERIOD)
        np.testing.assert_allclose(np.abs(first), braked, rtol=1e-4)
        assert stats.binomtest(int((first > 0).sum()), 400).pvalue > 0.01

    @given(
        st.floats(0.0, 50.0),
        st.lists(st.sampled_from([1.0, 3.7, 20.0, math.inf]), max_size=6),
        st.data(),
    )
    def test_occurrences_follow_each_other(
        self, first: float, intervals: list[float], data: st.DataObject
    ) -> None:
        occurrences = Occurrences("test", 3)
        random, row = EpisodeRandom(episode_seed(data.draw(st.integers(0, 99)), np.arange(3))), [1]
        occurrences.reset_at(np.array(row), np.array([first]))
        assert occurrences.start[0] == occurrences.start[2] == math.inf
        assert -1e-5 < occurrences.start[1] - first < 1
        for number, interval in enumerate(intervals, start=1):
            before = occurrences.start[1]
            if before == math.inf:
                break
            step = np.full(3, int(before) + 1)
            ids, age = occurrences.begun(step)
            assert (ids.tolist(), age.tolist()) == (row, [0])
            assert occurrences.number[1] == number
            occurrences.move_on(ids, np.array([interval]), step, random)
            after = occurrences.start[1]
            assert occurrences.begun(step)[0].size == 0
            if interval < math.inf:
                assert (
                    max(1, SHORTEST_GAP * interval - 1) <= after - before <= LONGEST_GAP * interval + 1
                )
            else:
                assert after == math.inf


class TestTorquePulses:
    @pytest.mark.parametrize("duration", [0.007, 0.02, 0.05, 0.2])
    def test_a_pulse_spins_a_wheel_by_its_angular_impulse(
        self, make_robot: MakeRobot, duration: float
    ) -> None:
        values = {"pulse_interval_s": 1.0, "torque_pulse": 0.3, "pulse_duration_s": duration}
        run = Run(make_robot(WHEEL), 40, values | {"motor_strength": 0.0})
        speed = run.speeds(76 + 10)
        spun = 0.3 * duration / WHEEL_INERTIA
        begun = (speed != 0).argmax(axis=1)
        after = speed[np.arange(40), np.minimum(begun + math.ceil(duration / CONTROL_PERIOD), 85)]
        np.testing.assert_allclose(np.abs(after), spun, rtol=1e-9)
        assert 8 <= (after > 0).sum() <= 32

    def test_pulses_and_pushes_do_not_know_of_each_other(self, make_robot: MakeRobot) -> None:
        robot = make_robot(WHEEL)
        pulse = {"pulse_interval_s": 0.5, "torque_pulse": 0.3, "motor_strength": 0.0}
        push = {"push_interval_s": 0.7, "joint_kick_velocity": 1.0, "motor_strength": 0.0}
        both, pulsed, pushed = (Run(robot, 8, each) for each in (pulse | push, pulse, push))
        together = both.speeds(150)
        np.testing.assert_allclose(together, pulsed.speeds(150) + pushed.speeds(150), atol=1e-9)


class TestMotorFailure:
    TIME = 0.5
    BEFORE = round(TIME / CONTROL_PERIOD)

    def settling(self, strength: float, voltage: float, steps: int, start: float = 0.0) -> Trace:
        """Speed of the wheel under a motor of some strength, in closed form."""
        final = voltage * TORQUE_PER_VOLT / BACK_EMF
        time = CONTROL_PERIOD * np.arange(1, steps + 1)
        settled: Trace = final + (start - final) * np.exp(-strength * BACK_EMF / WHEEL_INERTIA * time)
        return settled

    def test_a_dead_motor_neither_drives_nor_brakes(self, make_robot: MakeRobot) -> None:
        run = Run(make_robot(WHEEL), 2, {"motor_failure_time_s": self.TIME})
        driven = run.speeds(self.BEFORE, command=2.0)
        np.testing.assert_allclose(driven[0], self.settling(1.0, 2.0, self.BEFORE), rtol=1e-3)
        coasting = run.speeds(100, command=2.0)
        np.testing.assert_allclose(coasting[0], driven[0, -1], rtol=1e-12)

    @pytest.mark.parametrize(
        "motor",
        [
            {},
            {"motor_strength": 0.8},
            {"supply_sag": 0.1},
            {"effort_limit": 0.002},
            {"load_friction": 0.1},
            {"backlash": 0.01},
            {"stribeck_friction": 1.5},
            {"dead_zone": 0.3},
            {"action_latency_ms": 15.0},
        ],
    )
    def test_a_machine_whose_motor_is_dead_does_not_know_what_is_commanded(
        self, motor: dict[str, float]
    ) -> None:
        values = {"motor_failure_time_s": self.TIME} | motor
        one, other = (Run(load_robot("qube"), 1, values) for _ in range(2))
        np.testing.assert_array_equal(one.speeds(self.BEFORE, 1.0), other.speeds(self.BEFORE, 1.0))
        coasting = one.speeds(50, command=1.0)
        np.testing.assert_array_equal(coasting, other.speeds(50, command=-3.0))
        assert np.ptp(coasting) > 0.1

    @pytest.mark.parametrize("motor", [{}, {"motor_strength": 0.8}, {"supply_sag": 0.1}])
    def test_it_coasts_as_a_machine_that_has_no_motor(self, motor: dict[str, float]) -> None:
        robot = load_robot("qube")
        failing = Run(robot, 1, {"motor_failure_time_s": self.TIME} | motor)
        without = Run(robot, 1, {})
        failing.advance(self.BEFORE, command=1.0)
        for law in ("actuator_gainprm", "actuator_biasprm"):
            without.world.physics.field(law)[:] = 0.0
        physics, off = failing.world.physics, np.zeros((1, 1))
        without.world.physics.reset(
            without.ids, Start(physics.joint_position, physics.joint_velocity), off
        )
        coasting = failing.speeds(100, command=1.0)
        np.testing.assert_allclose(coasting, without.speeds(100), rtol=1e-6, atol=1e-6)
        assert np.ptp(coasting) > 0.1

    def test_what_remains_of_a_motor_is_a_share_of_what_it_was(self, make_robot: MakeRobot) -> None:
        values = {"motor_failure_time_s": self.TIME, "failed_motor_strength": 0.5}
        run = Run(make_robot(WHEEL), 1, values | {"motor_strength": 0.8})
        driven = run.speeds(self.BEFORE, command=2.0)[0]
        np.testing.assert_allclose(driven, self.settling(0.8, 2.0, self.BEFORE), rtol=1e-3)
        weak = run.speeds(100, command=2.0)[0]
        np.testing.assert_allclose(weak, self.settling(0.4, 2.0, 100, start=driven[-1]), rtol=1e-3)

    def test_the_next_episode_has_its_motor_back(self, make_robot: MakeRobot) -> None:
        ahead, run = (Run(make_robot(WHEEL), 2, {"motor_failure_time_s": self.TIME}) for _ in range(2))
        first = run.speeds(2 * self.BEFORE, command=2.0)
        run.world.take(run.ids, ahead.world, ahead.ids)
        run.step[:] = 0
        np.testing.assert_array_equal(run.speeds(2 * self.BEFORE, command=2.0), first)
        run.begin()
        np.testing.assert_array_equal(run.speeds(2 * self.BEFORE, command=2.0), first)


class TestChanges:
    def changes(self, robot: Robot, values: dict[str, float], steps: int) -> list[tuple[int, int, int]]:
        """Control step, simulation and number of each change."""
        run, found = Run(robot, 3, values), []
        for step in range(1, steps + 1):
            ids, numbers = run.world.events.changing(run.random, np.full(3, step))
            found += [(step, *each) for each in zip(ids.tolist(), numbers.tolist(), strict=True)]
        return found

    def test_parameters_change_once(self, make_robot: MakeRobot) -> None:
        found = self.changes(make_robot(WHEEL), {"change_time_s": 0.2}, 200)
        assert found == [(11, 0, 1), (11, 1, 1), (11, 2, 1)]

    def test_or_again_and_again(self, make_robot: MakeRobot) -> None:
        values = {"change_time_s": 0.2, "change_interval_s": 0.4}
        found = self.changes(make_robot(WHEEL), values, 500)
        for simulation in range(3):
            steps = [step for step, row, _ in found if row == simulation]
            numbers = [number for _, row, number in found if row == simulation]
            assert numbers == list(range(1, len(numbers) + 1))
            assert steps[0] == 11
            assert np.mean(np.diff(steps)) == pytest.approx(20.0, rel=0.2)
        assert len({step for step, _, _ in found}) > len(found) / 2

    def test_or_never(self, make_robot: MakeRobot) -> None:
        assert self.changes(make_robot(WHEEL), {}, 100) == []

    def test_a_dead_motor_stays_dead_through_a_change(self, make_robot: MakeRobot) -> None:
        values = {"motor_failure_time_s": 0.1, "change_time_s": 0.5, "motor_strength": 0.7}
        run = Run(make_robot(WHEEL), 2, values)
        run.advance(25, command=2.0)
        ids, _ = run.world.events.changing(run.random, run.step + 1)
        run.randomizer.apply(ids, run.randomizer.draw(run.random).values)
        speed = run.speeds(20, command=2.0)
        assert speed[0, 0] > 0.1
        np.testing.assert_allclose(speed, speed[:, :1].repeat(20, axis=1), rtol=1e-12)


EVERYTHING = {
    "push_interval_s": 0.3,
    "push_impulse": 0.01,
    "push_duration_s": 0.05,
    "joint_kick_velocity": 0.5,
    "pulse_interval_s": 0.25,
    "torque_pulse": 0.002,
    "pulse_duration_s": 0.03,
    "motor_failure_time_s": 1.0,
    "failed_motor_strength": 0.3,
    "change_time_s": 0.5,
    "change_interval_s": 0.2,
}


class TestReplay:
    def test_until_the_first_event_nothing_is_different(self) -> None:
        robot = load_robot("qube")
        eventful, undisturbed = Run(robot, 8, EVERYTHING), Run(robot, 8, {})
        first = np.minimum(eventful.world.events._pushes.start, eventful.world.events._pulses.start)
        one, other = (run.speeds(100, command=1.0) for run in (eventful, undisturbed))
        for row, steps in enumerate(first.astype(int)):
            assert (one[row, :steps] == other[row, :steps]).all()
            assert one[row, steps] != other[row, steps]

    def test_an_episode_replays_in_another_batch_at_another_place(self) -> None:
        robot = load_robot("qube")
        many, few, ahead = (Run(robot, count, EVERYTHING) for count in (32, 3, 32))
        rows = np.array([30, 4, 17])
        few.random = EpisodeRandom(many.random.seeds[rows])
        for place, row in enumerate(rows):
            few.world.take(np.array([place]), ahead.world, np.array([row]))
        np.testing.assert_array_equal(few.speeds(150, command=1.0), many.speeds(150, command=1.0)[rows])

    def test_an_environment_replays_its_eventful_episodes(self) -> None:
        entries = ", ".join(
            f"{name}: {{distribution: {{type: uniform, low: {value}, high: {2 * value}}}}}"
            for name, value in EVERYTHING.items()
            if not name.startswith("change")
        )
        experiment = load_experiment(
            "qube_swingup", ["episode_length=2", f"randomization={{{entries}}}"]
        )
        actions = np.random.default_rng(0).uniform(-0.2, 0.2, (200, 1))
        env = BatchEnv(experiment, 12, seed=3, threads=2)
        env.reset()
        seeds = env._random.seeds[:3].copy()
        episodes = self.episodes(env, actions)
        alone = BatchEnv(experiment, 3, seed=99, threads=1)
        alone.reset()
        alone.begin(np.arange(3), seeds)
        again = self.episodes(alone, actions)
        for seed in seeds.tolist():
            assert again[seed] == episodes[seed]

    def episodes(self, env: BatchEnv, actions: Trace) -> dict[int, tuple[float, int, dict[str, float]]]:
        """The first episodes to end, by seed: return, length and draw."""
        found: dict[int, tuple[float, int, dict[str, float]]] = {}
        for action in actions:
            for episode in env.step(np.full((env.count, 1), action)).episodes:
                found.setdefault(episode.seed, (episode.episode_return, episode.length, episode.draw))
        return found
