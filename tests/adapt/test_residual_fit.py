"""A residual model finds what a robot's model lacks, and says so where it finds nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from simreal.adapt.residual_data import blank_model, lessons, smooth_motion
from simreal.adapt.residual_fit import Known, fit_residual, known_robot, predict
from simreal.adapt.residual_simulator import ResidualSimulator, sent_commands
from simreal.adapt.residual_split import hold_out
from simreal.errors import UserError
from simreal.identification.recording import Recording
from simreal.identification.simulator import Setup, Simulator
from simreal.identification.unknowns import read_asked
from simreal.identification.windows import cut
from simreal.randomization.posterior import PosteriorParameter, read_posterior, write_posterior
from simreal.robots import Robot, load_robot

Record = Callable[..., Recording]

torch.set_num_threads(1)


def known(link: Robot) -> Known:
    return Known(Setup(link), (), np.zeros(0))


def logs(record: Record, truth: dict[str, float], count: int = 5) -> list[Recording]:
    found = [record(truth, seconds=4.0, seed=seed, noise=2e-4) for seed in range(count)]
    return [replace(each, name=f"log {n}") for n, each in enumerate(found)]


def test_motion_between_measurements_is_smooth(record: Record) -> None:
    (recording,) = logs(record, {}, 1)
    exact = replace(recording, position=np.sin(3.0 * recording.time)[:, None])
    motion = smooth_motion(exact, 0.01)
    assert motion.velocity[:, 0] == pytest.approx(3.0 * np.cos(3.0 * motion.time), abs=2e-3)


def test_commands_hold_until_the_next(record: Record) -> None:
    (recording,) = logs(record, {}, 1)
    late = sent_commands(recording, recording.command_time[3:5] + 1e-4)
    assert np.array_equal(late, recording.command[3:5])
    assert np.array_equal(sent_commands(recording, np.array([-1.0])), recording.command[:1])


def test_lessons_are_the_torque_that_the_model_lacks(link: Robot, record: Record) -> None:
    recordings = logs(record, {"torque_offset": 0.3}, 2)
    blank = blank_model(Setup(link), 0.01, 3, all_joints=False)
    found = lessons(Setup(link), recordings, (), np.zeros(0), blank)
    assert np.median(found.torque) == pytest.approx(0.3, abs=0.03)


def test_lessons_know_what_was_identified(link: Robot, record: Record) -> None:
    recordings = logs(record, {"torque_offset": 0.3, "joint_damping": 6.0}, 2)
    blank = blank_model(Setup(link), 0.01, 3, all_joints=False)
    found = lessons(Setup(link), recordings, [read_asked("joint_damping")], np.array([6.0]), blank)
    assert found.torque == pytest.approx(0.3, abs=0.2)
    assert np.median(found.torque) == pytest.approx(0.3, abs=0.03)


def test_a_spring_that_the_model_lacks_is_found(link: Robot, record: Record) -> None:
    recordings = logs(record, {"joint_stiffness": 1.0}, 6)
    model = fit_residual(known(link), recordings[:5], 0.01)
    assert model.strength >= 0.75
    alone = predict(known(link), recordings[5:], None, 0.5)
    better = predict(known(link), recordings[5:], model, 0.5)
    assert better.squares()[0][0] < 0.1 * alone.squares()[0][0]


def test_a_residual_of_nothing_predicts_as_no_residual(link: Robot, record: Record) -> None:
    recordings = logs(record, {}, 1)
    blank = blank_model(Setup(link), 0.01, 3, all_joints=True)
    features = blank.features(np.zeros((1, 1)), np.zeros((1, 3, 1)), np.zeros((1, 3, 1))).shape[1]
    nothing = replace(
        blank,
        mean=np.zeros(features),
        deviation=np.ones(features),
        weights=((np.zeros((1, features, 1)), np.zeros((1, 1))),),
        scale=np.ones(1),
        limit=np.ones(1),
    )
    windows = cut(recordings, 0.5)
    asked, values = [read_asked("joint_damping")], np.array([[1.0], [3.0]])
    plain = Simulator(Setup(link), windows, asked).predict(values)
    stepped = ResidualSimulator(Setup(link), windows, asked, nothing).predict(values)
    assert not np.allclose(plain[0], plain[1], atol=1e-3)
    assert np.allclose(plain, stepped, atol=1e-9)


def test_a_control_step_is_whole_physics_steps(link: Robot, record: Record) -> None:
    windows = cut(logs(record, {}, 1), 0.5)
    blank = blank_model(Setup(link), 0.003, 3, all_joints=True)
    with pytest.raises(UserError, match="no whole number of physics steps"):
        ResidualSimulator(Setup(link), windows, (), blank)


def test_judges_are_of_every_group_and_never_fitted(record: Record) -> None:
    recordings = [replace(each, group=f"day {n % 2}") for n, each in enumerate(logs(record, {}, 8))]
    fitted, judges = hold_out(recordings, 0)
    assert len(judges) == 2
    assert {each.name for each in judges}.isdisjoint(each.name for each in fitted)
    assert {each.group for each in judges} == {"day 0", "day 1"}


def test_few_logs_are_refused(link: Robot, record: Record) -> None:
    with pytest.raises(UserError, match="at least four"):
        fit_residual(known(link), logs(record, {}, 3), 0.01)


def test_a_rate_far_above_the_logs_own_is_refused(link: Robot, record: Record) -> None:
    with pytest.raises(UserError, match=r"1e\+09 Hz: the logs have .* rows a second; .* Hz at most"):
        fit_residual(known(link), logs(record, {}, 4), 1e-9)


def test_an_identified_file_that_says_values_for_factors_is_refused(identified: Path) -> None:
    """A mass of 0.1 kg would be taken for a tenth of the model's."""
    robot, found = load_robot("qube"), read_posterior(identified)
    mass, _, latency = found.parameters
    rows = tuple((row[0], row[2]) for row in found.samples)

    def written(first: PosteriorParameter) -> Path:
        update = {"parameters": (first, latency), "samples": rows}
        write_posterior(identified, found.model_copy(update=update))
        return identified

    assert known_robot(robot, False, written(mass)).values[0] == pytest.approx(1.1, rel=0.02)
    absolute = mass.model_copy(update={"operation": "absolute", "unit": "kg"})
    with pytest.raises(UserError, match=r"mass\[arm\] is absolute, in kg; .* writes scale, in 1"):
        known_robot(robot, False, written(absolute))
