"""A hand that pushes a robot is found by the energy that no motor gave, and is left out of a fit."""

from collections.abc import Callable
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from simreal.errors import UserError
from simreal.identification.fitting import Cutting, fit_model, predict_windows
from simreal.identification.identify import describe_pushes, identify
from simreal.identification.pushes import mark_pushes
from simreal.identification.recording import Recording
from simreal.identification.simulator import Setup
from simreal.identification.unknowns import read_asked
from simreal.identification.windows import cut
from simreal.robots import Robot

Record = Callable[..., Recording]


def moved_by(
    link: Robot, recording: Recording, hand: Callable[[float], float], factor: float = 1.0
) -> Recording:
    """The link under the commands of a recording, and a hand's torque by time.

    Args:
        link: the robot.
        recording: whose commands are played.
        hand: N·m at a time.
        factor: on masses, friction and damping.
    """
    model = Setup(link).compiled()
    for field in ("body_mass", "body_inertia", "dof_frictionloss", "dof_damping"):
        getattr(model, field)[:] *= factor
    mujoco.mj_setConst(model, mujoco.MjData(model))
    data, position = mujoco.MjData(model), np.zeros_like(recording.position)
    for row, (time, command) in enumerate(zip(recording.time, recording.command, strict=True)):
        position[row] = data.qpos
        while data.time < time + recording.period - 1e-9:
            data.ctrl[:] = command
            data.qfrc_applied[:] = hand(float(data.time))
            mujoco.mj_step(model, data)
    noise = np.random.default_rng(0).normal(0.0, 1e-3, position.shape)
    return replace(recording, position=position + noise)


def pushed(link: Robot, recording: Recording) -> Recording:
    """The same with a push of 12 N·m for 0.15 s."""
    return moved_by(link, recording, lambda time: 12.0 if 3.0 <= time < 3.15 else 0.0)


def marked(link: Robot, recording: Recording) -> Recording:
    return mark_pushes(recording, link.description, Setup(link).compiled())


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_found_where_a_robot_is_only_not_as_its_model(
    link: Robot, record: Record, seed: int, factor: float
) -> None:
    recording = moved_by(link, record({"mass": 1.0}, 6.0, seed), lambda time: 0.0, factor)
    assert marked(link, recording).pushed == ()


def test_friction_stronger_motors_and_late_commands_are_no_push(link: Robot, record: Record) -> None:
    for truth in (
        {"joint_damping": 8.0, "joint_frictionloss": 5.0},
        {"motor_strength": 1.8},
        {"action_latency_ms": 35.0},
    ):
        assert marked(link, record(truth)).pushed == (), truth


def test_a_push_is_found_where_it_was(link: Robot, record: Record) -> None:
    (span,) = marked(link, pushed(link, record({"mass": 1.0}))).pushed
    assert 2.6 < span[0] < 3.2
    assert 3.0 < span[1] < 3.6


def test_energy_that_never_fits_is_no_push(link: Robot, record: Record) -> None:
    """As of a motor whose sign is wrong: nobody pushes all the time."""
    recording = record({"mass": 1.0})
    assert marked(link, replace(recording, command=-3.0 * recording.command)).pushed == ()


def test_windows_with_a_push_are_predicted_and_not_fitted_to(link: Robot, record: Record) -> None:
    recording = marked(link, pushed(link, record({"mass": 1.0})))
    windows = cut([recording], 0.5)
    touched = windows.start[windows.pushed]
    assert 1 <= len(touched) <= 3
    assert (np.abs(touched - 3.0) < 0.9).all()
    asked = [read_asked("joint_damping"), read_asked("joint_frictionloss")]
    fitted = fit_model(Setup(link), [recording], asked, Cutting(0.5))
    assert len(fitted.simulator.windows) == len(windows) - len(touched)
    assert fitted.fit.values == pytest.approx([1.0, 1.0], rel=0.05)
    found = predict_windows(Setup(link), [recording], asked, fitted.fit.values[None], Cutting(0.5))
    # Held-out errors count it; what they are without it can be asked.
    assert found.root_mean_square()[0, 0] > 0.2
    assert found.root_mean_square(~found.windows.pushed)[0, 0] < 0.02


def test_a_log_with_nothing_but_pushes_is_refused(link: Robot, record: Record) -> None:
    recording = replace(record({"mass": 1.0}), pushed=((0.0, 6.0),))
    with pytest.raises(UserError, match=r"synthetic: something pushed in each window of 0\.5 s"):
        fit_model(Setup(link), [recording], [read_asked("mass")], Cutting(0.5))


@pytest.mark.long
def test_identification_says_where_something_pushed(link: Robot, record: Record) -> None:
    truth = {"joint_damping": 1.5}
    logs = [
        replace(record(truth, 4.0, 0, group="sine 0"), name="first"),
        replace(pushed(link, record({"mass": 1.0}, 6.0, 1, group="sine 1")), name="second"),
    ]
    found = identify(Setup(link), logs, [[read_asked("joint_damping")]], Cutting(0.5))
    first, second, third = describe_pushes(found)
    assert first.startswith("second: something pushed that is not in the log, at 2.")
    assert "no window with a push was fitted to" in second
    assert third.startswith("held-out error without the ")
