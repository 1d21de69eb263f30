from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simreal.env import BatchEnv
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.randomization.inertial_unit import inertial_defaults
from simreal.randomization.sensing import Sensing
from simreal.randomization.tracker import tracker_defaults
from simreal.robots.loader import SensingConfig
from simreal.state import RobotState

TIMESTEP = 0.002
CORNER = 50.0
IDEAL = SensingConfig()
FILTERED = SensingConfig(velocity_filter=CORNER)


def random_of(count: int, run_seed: int = 0) -> EpisodeRandom:
    return EpisodeRandom(episode_seed(run_seed, np.arange(count)))


def begin(sensing: Sensing, position: NDArray[np.float64], random: EpisodeRandom) -> None:
    sensing.reset(np.arange(len(position)), position, np.zeros_like(position), random)


def follow(
    sensing: Sensing,
    motion: NDArray[np.float64],
    substeps: int = 1,
    random: EpisodeRandom | None = None,
    rate: NDArray[np.float64] | None = None,
) -> list[RobotState]:
    """Begin at motion[:, 0] and sense the rest, (count, steps + 1, joints), control step by step."""
    count, length, _ = motion.shape
    random = random or random_of(count)
    rate = np.zeros_like(motion) if rate is None else rate
    begin(sensing, motion[:, 0], random)
    states = [sensing.read(np.zeros(count))]
    for step in range(1, (length - 1) // substeps + 1):
        part = slice(1 + (step - 1) * substeps, 1 + step * substeps)
        steps = np.full(count, step)
        sensing.advance(motion[:, part], rate[:, part], random, steps)
        states.append(sensing.read(steps * substeps * TIMESTEP))
    return states


def one(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """One robot of one joint that moves so."""
    return signal[None, :, None]


def positions(states: list[RobotState]) -> NDArray[np.float64]:
    return np.array([state.joint_position[0, 0] for state in states])


def velocities(states: list[RobotState]) -> NDArray[np.float64]:
    return np.array([state.joint_velocity[0, 0] for state in states])


def test_an_ideal_sensor_tells_the_truth() -> None:
    motion = np.random.default_rng(0).normal(size=(3, 21, 2))
    rate = np.random.default_rng(1).normal(size=(3, 21, 2))
    states = follow(Sensing(IDEAL, 3, 2, TIMESTEP), motion, substeps=5, rate=rate)
    for step in range(1, 5):
        assert (states[step].joint_position == motion[:, 5 * step]).all()
        assert (states[step].joint_velocity == rate[:, 5 * step]).all()


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=4),
    st.integers(1, 7),
    st.integers(0, 5),
)
def test_a_latency_shifts_positions_and_velocities_by_that_time(
    steps_late: list[int], substeps: int, spare: int
) -> None:
    count, length = len(steps_late), 1 + 8 * substeps
    longest = (max(steps_late) + spare) * TIMESTEP
    sensing = Sensing(IDEAL, count, 1, TIMESTEP, longest)
    sensing.quantities["latency"][:, 0] = np.array(steps_late) * TIMESTEP
    motion = np.arange(1.0, count * length + 1).reshape(count, length, 1)
    states = follow(sensing, motion, substeps, rate=-motion)
    for row, late in enumerate(steps_late):
        for step, state in enumerate(states):
            moment = step * substeps - late
            # What was before the episode is as it was at its beginning.
            assert state.joint_position[row, 0] == motion[row, max(moment, 0), 0]
            assert state.joint_velocity[row, 0] == (-motion[row, moment, 0] if moment > 0 else 0.0)


@pytest.mark.parametrize(
    ("latency_ms", "steps_late"), [(0.9, 0), (1.1, 1), (4.0, 2), (6.9, 3), (8.0, 4)]
)
def test_a_latency_between_physics_steps_acts_as_the_nearest(latency_ms: float, steps_late: int) -> None:
    sensing = Sensing(IDEAL, 1, 1, TIMESTEP, 0.008)
    sensing.quantities["latency"][:] = 1e-3 * latency_ms
    motion = one(np.arange(20.0))
    assert positions(follow(sensing, motion))[-1] == 19.0 - steps_late


def test_a_latency_beyond_a_second_is_taken_for_a_mistake() -> None:
    Sensing(IDEAL, 1, 1, TIMESTEP, 1.0)
    for latency in (1.01, 1e9, float("inf")):
        with pytest.raises(UserError, match=r"sensor latency of .* at most 1000 ms"):
            Sensing(IDEAL, 1, 1, TIMESTEP, latency)


def test_a_state_that_was_read_stays_as_it_was() -> None:
    sensing = Sensing(IDEAL, 1, 1, TIMESTEP, 0.01)
    states = follow(sensing, one(np.arange(10.0)))
    assert positions(states).tolist() == list(range(10))


def test_a_bias_moves_every_reading_of_its_joint() -> None:
    motion = np.random.default_rng(0).normal(size=(2, 30, 2))
    sensing = Sensing(IDEAL, 2, 2, TIMESTEP)
    sensing.quantities["bias"][:] = [[0.1, 0.0], [0.0, -0.2]]
    for state, truth in zip(follow(sensing, motion), motion.swapaxes(0, 1), strict=True):
        np.testing.assert_allclose(state.joint_position - truth, sensing.quantities["bias"], atol=1e-12)


def test_a_bias_of_the_position_is_none_of_the_velocity() -> None:
    sensing = Sensing(FILTERED, 1, 1, TIMESTEP)
    sensing.quantities["bias"][:] = 0.3
    assert np.abs(velocities(follow(sensing, one(np.full(100, 1.0))))).max() < 1e-12


@given(st.floats(1e-5, 0.1), st.integers(0, 1000))
def test_readings_are_whole_counts_next_to_the_truth(resolution: float, seed: int) -> None:
    sensing = Sensing(SensingConfig(encoder_resolution=resolution), 2, 2, TIMESTEP)
    motion = np.random.default_rng(seed).uniform(-10, 10, (2, 50, 2))
    read = np.array([state.joint_position for state in follow(sensing, motion)]).swapaxes(0, 1)
    counts = read / resolution
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-6)
    assert np.abs(read - motion).max() <= resolution / 2 * (1 + 1e-9)


def test_a_joint_without_resolution_reads_continuously_beside_one_that_counts() -> None:
    sensing = Sensing(IDEAL, 1, 2, TIMESTEP)
    sensing.quantities["resolution"][:] = [[0.0, 0.5]]
    (state,) = follow(sensing, np.full((1, 1, 2), 0.3))
    assert state.joint_position.tolist() == [[0.3, 0.5]]


def test_bias_and_noise_act_before_the_count() -> None:
    """As in an encoder whose disk is mounted askew: its counts stay whole."""
    sensing = Sensing(SensingConfig(encoder_resolution=0.01), 1, 1, TIMESTEP)
    sensing.quantities["bias"][:], sensing.quantities["noise"][:] = 0.004, 0.02
    counts = positions(follow(sensing, one(np.zeros(200)))) / 0.01
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-9)
    assert len(set(np.rint(counts))) > 3


def noise_of(sensing: Sensing, steps: int, substeps: int, seed: int = 0) -> NDArray[np.float64]:
    """(count, steps + 1, joints) readings at standstill."""
    count, joints = sensing.quantities["noise"].shape
    still = np.zeros((count, 1 + steps * substeps, joints))
    states = follow(sensing, still, substeps, random_of(count, seed))
    return np.stack([state.joint_position for state in states], axis=1)


@pytest.mark.parametrize("substeps", [1, 5])
def test_noise_is_white_with_the_standard_deviation_that_is_set(substeps: int) -> None:
    sensing = Sensing(IDEAL, 50, 2, TIMESTEP)
    sensing.quantities["noise"][:] = [0.001, 0.01]
    read = noise_of(sensing, 400, substeps)
    assert read.std(axis=(0, 1)) == pytest.approx([0.001, 0.01], rel=0.02)
    tolerance = 5 / np.sqrt(read[..., 0].size)
    assert np.abs(read.mean(axis=(0, 1)) / [0.001, 0.01]).max() < tolerance
    scaled = read / [0.001, 0.01]
    assert abs((scaled[..., 0] * scaled[..., 1]).mean()) < tolerance
    assert abs((scaled[:, 1:] * scaled[:, :-1]).mean()) < tolerance
    assert abs((scaled[1:] * scaled[:-1]).mean()) < tolerance


def test_noise_differs_at_every_physics_step() -> None:
    sensing = Sensing(IDEAL, 1, 1, TIMESTEP, 4 * TIMESTEP)
    sensing.quantities["noise"][:] = 1.0
    random = random_of(1)
    begin(sensing, np.zeros((1, 1)), random)
    sensing.advance(np.zeros((1, 5, 1)), np.zeros((1, 5, 1)), random, np.array([1]))
    readings = []
    for late in range(5):
        sensing.quantities["latency"][:] = late * TIMESTEP
        readings.append(sensing.read(np.zeros(1)).joint_position[0, 0])
    assert len(set(readings)) == 5


def test_noise_is_the_episodes_own_wherever_it_runs() -> None:
    together, alone = (Sensing(IDEAL, count, 2, TIMESTEP) for count in (4, 1))
    together.quantities["noise"][:], alone.quantities["noise"][:] = 0.1, 0.1
    together.quantities["noise"][1] = 0.0
    random = random_of(4)
    whole = np.array([s.joint_position for s in follow(together, np.zeros((4, 21, 2)), 5, random)])
    own = EpisodeRandom(random.seeds[[2]])
    single = np.array([s.joint_position for s in follow(alone, np.zeros((1, 21, 2)), 5, own)])
    assert (whole[:, 2] == single[:, 0]).all()
    assert (whole[:, 1] == 0.0).all()


def test_the_filter_answers_a_step_as_its_equation_says() -> None:
    signal = np.concatenate(([0.0], np.ones(200)))
    answer = velocities(follow(Sensing(FILTERED, 1, 1, TIMESTEP), one(signal)))
    steps = np.arange(200)
    # Forward Euler of w s / (s + w), exactly; the continuous filter decays as exp(-w t).
    np.testing.assert_allclose(answer[1:], CORNER * (1.0 - CORNER * TIMESTEP) ** steps, atol=1e-9)
    time_constant = np.argmax(answer[1:] < CORNER / np.e) * TIMESTEP
    assert time_constant == pytest.approx(1.0 / CORNER, abs=2 * TIMESTEP)


@pytest.mark.parametrize("slope", [0.5, -8.0])
def test_the_filter_finds_the_speed_of_a_ramp(slope: float) -> None:
    time = np.arange(301) * TIMESTEP
    answer = velocities(follow(Sensing(FILTERED, 1, 1, TIMESTEP), one(2.0 + slope * time)))
    expected = slope * (1.0 - (1.0 - CORNER * TIMESTEP) ** np.arange(301))
    np.testing.assert_allclose(answer, expected, atol=1e-9)
    assert answer[-1] == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("frequency", [5.0, 20.0, 50.0])
def test_the_filter_passes_a_vibration_as_its_transfer_function_says(frequency: float) -> None:
    time = np.arange(4001) * TIMESTEP
    answer = velocities(follow(Sensing(FILTERED, 1, 1, TIMESTEP), one(np.sin(frequency * time))))
    shift = (np.exp(1j * frequency * TIMESTEP) - 1.0) / TIMESTEP  # forward Euler's s
    gain = CORNER * shift / (shift + CORNER)
    expected = np.abs(gain) * np.sin(frequency * time + np.angle(gain))
    np.testing.assert_allclose(answer[-1000:], expected[-1000:], atol=1e-6 * frequency)
    # And that is the continuous filter's to a few per cent.
    continuous = np.abs(1j * frequency * CORNER / (1j * frequency + CORNER))
    assert np.abs(gain) == pytest.approx(continuous, rel=0.06)


def test_the_filter_sees_the_counts_not_the_truth() -> None:
    config = SensingConfig(velocity_filter=CORNER, encoder_resolution=0.01)
    crawl = 0.001 * np.arange(301) * TIMESTEP  # 0.6 thousandths: less than half a count
    answer = velocities(follow(Sensing(config, 1, 1, TIMESTEP), one(crawl)))
    assert (answer == 0.0).all()


@given(st.integers(2, 6), st.integers(0, 100))
def test_control_steps_of_any_length_sense_alike(substeps: int, seed: int) -> None:
    config = SensingConfig(velocity_filter=CORNER, encoder_resolution=0.003)
    motion = np.random.default_rng(seed).normal(size=(2, 1 + 6 * substeps, 2)).cumsum(axis=1) * 0.01
    sensors = [Sensing(config, 2, 2, TIMESTEP, 0.01) for _ in range(2)]
    for sensing in sensors:
        sensing.quantities["latency"][:] = 0.006
    coarse, fine = follow(sensors[0], motion, substeps), follow(sensors[1], motion)
    for step, state in enumerate(coarse):
        assert (state.joint_position == fine[step * substeps].joint_position).all()
        assert (state.joint_velocity == fine[step * substeps].joint_velocity).all()


def test_an_episode_that_begins_leaves_the_others_their_past() -> None:
    config = SensingConfig(velocity_filter=CORNER)

    def sense(begins_again: bool) -> list[Any]:
        sensing = Sensing(config, 3, 1, TIMESTEP, 0.01)
        sensing.quantities["latency"][:] = 0.008
        sensing.quantities["noise"][:] = 0.01
        motion = np.random.default_rng(5).normal(size=(3, 11, 1))
        random = random_of(3)
        follow(sensing, motion, 5, random)
        if begins_again:
            ids = np.array([1])
            sensing.reset(ids, np.full((1, 1), 9.0), np.zeros((1, 1)), EpisodeRandom(random.seeds[ids]))
        moved, steps = np.full((3, 3, 1), 0.5), np.full(3, 3)
        sensing.advance(moved, np.zeros_like(moved), random, steps)
        return [sensing.read(np.zeros(3)).joint_position, sensing.read(np.zeros(3)).joint_velocity]

    for undisturbed, disturbed in zip(sense(False), sense(True), strict=True):
        assert (undisturbed[[0, 2]] == disturbed[[0, 2]]).all()
        assert undisturbed[1] != disturbed[1]


def test_a_robot_at_rest_reports_no_speed_from_its_first_reading_on() -> None:
    config = SensingConfig(velocity_filter=CORNER, encoder_resolution=0.003)
    sensing = Sensing(config, 1, 1, TIMESTEP, 0.02)
    sensing.quantities["bias"][:], sensing.quantities["latency"][:] = 0.02, 0.013
    states = follow(sensing, one(np.full(50, np.pi)))
    assert np.abs(velocities(states)).max() < 1e-9
    assert len(set(positions(states))) == 1


def staircase(count: int, steps: int, joints: int = 2) -> NDArray[np.float64]:
    """Positions that tell the physics step at which they were true."""
    return np.broadcast_to(np.arange(steps + 1.0)[None, :, None], (count, steps + 1, joints))


def told(states: list[RobotState]) -> NDArray[np.float64]:
    """(count, steps + 1, joints) positions."""
    return np.stack([state.joint_position for state in states], axis=1)


def test_a_joint_is_late_by_its_own_latency_on_top_of_the_robots() -> None:
    sensing = Sensing(IDEAL, 2, 2, TIMESTEP, 0.02)
    sensing.quantities["latency"][:, 0] = [0.004, 0.0]
    sensing.quantities["joint_latency"][:] = [[0.006, 0.0], [0.0, 0.01]]
    late = staircase(2, 40) - told(follow(sensing, staircase(2, 40), rate=-staircase(2, 40)))
    assert late[:, -1].tolist() == [[5.0, 2.0], [0.0, 5.0]]
    velocity = sensing.read(np.zeros(2)).joint_velocity
    assert velocity.tolist() == [[-35.0, -38.0], [-40.0, -35.0]]


def test_a_controller_that_looks_early_reads_what_was_then() -> None:
    sensing = Sensing(IDEAL, 3, 2, TIMESTEP, 0.02)
    sensing.quantities["latency"][:] = 0.004
    follow(sensing, staircase(3, 40))
    early = sensing.read(np.zeros(3), np.array([0.0, 0.002, 0.016])).joint_position
    assert early.tolist() == [[38.0, 38.0], [37.0, 37.0], [30.0, 30.0]]
    with pytest.raises(UserError, match="10 are remembered"):
        sensing.read(np.zeros(3), np.array([0.0, 0.002, 0.018]))


def test_jitter_spreads_ages_evenly_between_none_and_all_of_it() -> None:
    count, steps = 40, 400
    sensing = Sensing(IDEAL, count, 2, TIMESTEP, 0.03)
    sensing.quantities["latency"][:], sensing.quantities["jitter"][:] = 0.01, 0.02
    motion = staircase(count, steps)
    late = (motion - told(follow(sensing, motion)))[:, 20:]
    # To the nearest step: half as often at each end.
    shares = np.bincount(late[..., 0].astype(int).ravel(), minlength=16) / late[..., 0].size
    expected = np.r_[np.zeros(5), 0.05, np.full(9, 0.1), 0.05]
    np.testing.assert_allclose(shares, expected, atol=0.01)
    assert late.mean() * TIMESTEP == pytest.approx(0.01 + 0.02 / 2, rel=0.02)
    assert (late[..., 0] == late[..., 1]).all()  # one message brings them all
    centred = late[..., 0] - late.mean()
    tolerance = 5 / np.sqrt(centred.size)
    assert abs((centred[:, 1:] * centred[:, :-1]).mean() / centred.var()) < tolerance
    assert abs((centred[1:] * centred[:-1]).mean() / centred.var()) < tolerance


@pytest.mark.parametrize("probability", [0.1, 0.7])
def test_a_share_of_the_readings_drops_out_and_leaves_the_one_before(probability: float) -> None:
    count, steps = 50, 500
    sensing = Sensing(IDEAL, count, 2, TIMESTEP)
    sensing.quantities["drop"][:] = [probability, 0.0]
    motion = staircase(count, steps)
    states = follow(sensing, motion, rate=-motion)
    position = told(states)
    velocity = np.stack([state.joint_velocity for state in states], axis=1)
    assert (position == -velocity).all()
    assert (position[..., 1] == motion[..., 1]).all()
    dropped = position[:, 1:, 0] != motion[:, 1:, 0]
    assert (position[:, 1:, 0][dropped] == position[:, :-1, 0][dropped]).all()
    deviation = np.sqrt(probability * (1 - probability) / dropped.size)
    assert abs(dropped.mean() - probability) < 5 * deviation
    # After a drop-out, the next is as likely as ever.
    assert abs(dropped[:, 1:][dropped[:, :-1]].mean() - probability) < 10 * deviation


def test_joints_drop_out_independently() -> None:
    sensing = Sensing(IDEAL, 50, 2, TIMESTEP)
    sensing.quantities["drop"][:] = 0.5
    motion = staircase(50, 400)
    dropped = (told(follow(sensing, motion)) != motion)[:, 1:].reshape(-1, 2)
    assert abs(np.corrcoef(dropped.T)[0, 1]) < 5 / np.sqrt(len(dropped))


def test_a_sensor_that_always_drops_out_knows_but_the_first_reading() -> None:
    sensing = Sensing(IDEAL, 1, 2, TIMESTEP, 0.004)
    sensing.quantities["drop"][:], sensing.quantities["latency"][:] = 1.0, 0.004
    assert (told(follow(sensing, 7.0 + staircase(1, 50))) == 7.0).all()


def test_what_drops_out_first_leaves_what_was_before_the_episode() -> None:
    """Also if nobody has looked at that."""
    sensing, random = Sensing(IDEAL, 2, 1, TIMESTEP), random_of(2)
    sensing.quantities["drop"][:] = 1.0
    begin(sensing, np.array([[3.0], [4.0]]), random)
    sensing.advance(np.zeros((2, 1, 1)), np.zeros((2, 1, 1)), random, np.array([1, 1]))
    assert sensing.read(np.zeros(2)).joint_position.tolist() == [[3.0], [4.0]]


def test_to_look_twice_shows_the_same() -> None:
    sensing = Sensing(IDEAL, 20, 2, TIMESTEP, 0.02)
    sensing.quantities["drop"][:], sensing.quantities["jitter"][:] = 0.5, 0.02
    random, motion = random_of(20), np.random.default_rng(0).normal(size=(20, 30, 2))
    begin(sensing, motion[:, 0], random)
    for step in range(1, 30):
        part = motion[:, step : step + 1]
        sensing.advance(part, part, random, np.full(20, step))
        once, twice = sensing.read(np.zeros(20)), sensing.read(np.zeros(20))
        assert (once.joint_position == twice.joint_position).all()


def test_readings_come_at_the_rate_and_hold_in_between() -> None:
    count, steps = 200, 500
    sensing = Sensing(IDEAL, count, 2, TIMESTEP, 0.01)
    sensing.quantities["rate"][:] = 100.0
    motion = staircase(count, steps)
    reading = told(follow(sensing, motion))
    fresh = reading[:, 1:] == motion[:, 1:]
    changed = reading[:, 1:] != reading[:, :-1]
    assert (fresh == changed).all()
    phases = np.argmax(fresh[..., 0], axis=1)
    for row, phase in enumerate(phases):
        assert np.flatnonzero(fresh[row, :, 0]).tolist() == list(range(phase, steps, 5))
    # Each episode has a phase of its own, which all of its joints share.
    assert (fresh[..., 0] == fresh[..., 1]).all()
    np.testing.assert_allclose(np.bincount(phases) / count, 0.2, atol=0.13)


def test_jitter_delays_readings_that_were_taken_at_the_rate() -> None:
    sensing = Sensing(IDEAL, 20, 1, TIMESTEP, 0.04)
    sensing.quantities["rate"][:], sensing.quantities["jitter"][:] = 100.0, 0.03
    motion = staircase(20, 1000, 1)
    reading = told(follow(sensing, motion))
    for row in reading[..., 0]:
        moments = np.unique(row)[1:]  # without that of the beginning
        assert (np.diff(moments) % 5.0 == 0.0).all()
        assert len(moments) > 190
    assert (motion - reading).max() == 19.0


@settings(max_examples=25)
@given(st.floats(5.0, 1000.0), st.integers(0, 6), st.integers(0, 1000))
def test_a_reading_is_never_older_than_its_period_and_its_latency(
    rate: float, late: int, seed: int
) -> None:
    sensing = Sensing(IDEAL, 4, 1, TIMESTEP, 1.0 / rate + late * TIMESTEP)
    sensing.quantities["rate"][:] = rate
    sensing.quantities["latency"][:] = late * TIMESTEP
    motion = staircase(4, 400, 1)
    reading = told(follow(sensing, motion, 4, random_of(4, seed)))
    moments = motion[:, ::4]
    age = (moments - reading)[moments > late]
    assert age.min() >= late
    assert age.max() <= late + 1.0 / (rate * TIMESTEP)
    at_every_step = told(follow(sensing, motion, 1, random_of(4, seed)))
    assert (at_every_step[:, ::4] == reading).all()
    number = min(rate, 500.0) * (400 - late) * TIMESTEP
    for row in at_every_step[..., 0]:
        assert abs(len(set(row.tolist())) - number) <= 2


def everything(count: int) -> Sensing:
    config = SensingConfig(velocity_filter=CORNER, encoder_resolution=0.003)
    sensing = Sensing(config, count, 2, TIMESTEP, 0.05)
    values = {
        "scale": 1.01, "bias": 0.01, "drift": 0.01, "noise": 0.01, "saturation": 2.0,
        "resolution": 0.002, "velocity_noise": 0.1, "latency": 0.007, "joint_latency": 0.004,
        "jitter": 0.008, "rate": 170.0, "drop": 0.5, "filter_corner": CORNER,
    }  # fmt: skip
    others = inertial_defaults().keys() | tracker_defaults().keys() | {"imu_latency", "tracker_latency"}
    assert values.keys() == sensing.quantities.defaults.keys() - others
    for name, value in values.items():
        sensing.quantities[name][:] = value
    return sensing


@pytest.mark.parametrize("looks_at_once", [True, False])
def test_an_episode_goes_on_elsewhere_as_if_nothing_had_happened(looks_at_once: bool) -> None:
    """Also in mid-course, and at another place of the other's delay line."""
    here, there = everything(20), everything(30)
    motion = np.random.default_rng(0).normal(scale=0.05, size=(20, 201, 2)).cumsum(axis=1)
    random, elsewhere = random_of(20), random_of(30, run_seed=7)
    follow(here, motion[:, :101], 5, random)
    follow(there, np.zeros((30, 50, 2)), 7, elsewhere)
    ids, rows = np.array([1, *range(5, 23)]), np.arange(19)[::-1]
    there.take(ids, here, rows)

    def compare() -> None:
        expected, found = here.read(np.zeros(20)), there.read(np.zeros(30))
        assert (found.joint_position[ids] == expected.joint_position[rows]).all()
        assert (found.joint_velocity[ids] == expected.joint_velocity[rows]).all()

    if looks_at_once:
        compare()
    seeds = elsewhere.seeds.copy()
    seeds[ids] = random.seeds[rows]
    both, moved = EpisodeRandom(seeds), np.zeros((30, 5, 2))
    for step in range(21, 41):
        part = motion[:, 1 + 5 * (step - 1) : 1 + 5 * step]
        moved[ids] = part[rows]
        steps = np.full(30, 7)
        steps[ids] = step
        here.advance(part, part, random, np.full(20, step))
        there.advance(moved, moved, both, steps)
        compare()


@pytest.mark.parametrize("operation", ["scale", "add"])
def test_a_sensor_rate_relative_to_the_physics_has_history_enough(operation: str) -> None:
    low = 0.1 if operation == "scale" else -450.0
    distribution = f"{{type: uniform, low: {low}, high: {0.2 if operation == 'scale' else -400.0}}}"
    entry = f"sensor_rate_hz: {{operation: {operation}, distribution: {distribution}}}"
    env = BatchEnv(load_experiment("qube_swingup", [f"randomization={{{entry}}}"]), 4)
    env.reset(seed=0)
    seen = [env.step(np.full((4, 1), 0.5)).observation[:, 0] for _ in range(30)]
    # Between two readings the arm's angle stands still for the controller.
    held = np.diff(np.array(seen), axis=0) == 0.0
    assert held.any(axis=0).all()
    assert not held.all(axis=0).any()
