"""The body behind every emulator: drives that follow the law of MIT mode, sensors, faults."""

import numpy as np
import pytest

from simreal.deploy.emulators.body import AMBIENT, Body
from simreal.errors import UserError

IDEAL = {"encoder_resolution": 0.0}
KNEE = 2
"""Place of the Go2's left front knee among actuators and joints."""


def _body(parameters: dict[str, float] | None = None) -> Body:
    return Body("so101", IDEAL | (parameters or {}))


def _run(body: Body, steps: int) -> np.ndarray:
    """(joints,) positions after some steps."""
    for _ in range(steps):
        state = body.advance()
    return state.joint_position


def test_it_is_a_function_of_its_commands() -> None:
    first, second = (_body({"encoder_noise": 1e-3}) for _ in range(2))
    for body in (first, second):
        body.command(position=np.full(6, 0.2))
    np.testing.assert_array_equal(_run(first, 50), _run(second, 50))


def test_a_drive_alone_obeys_its_own_command() -> None:
    body = _body()
    default = np.array(body.description.default_position)
    body.command(0, default[0] + 0.4)
    moved = np.abs(_run(body, 300) - default)
    assert moved[0] > 0.3
    assert moved[1:].max() < 0.1


def test_the_effort_is_that_of_the_law() -> None:
    """Checked at the joint itself, from where it truly is and how fast."""
    body = _body()
    law = {"stiffness": 3.0, "damping": 0.2, "velocity": 0.5, "feedforward": 0.1}
    body.command(0, 0.1, **law)
    for _ in range(30):
        position, velocity = body.position[0], body.velocity[0]
        body.advance()
        expected = 0.1 + 3.0 * (0.1 - position) + 0.2 * (0.5 - velocity)
        assert body.effort[0] == pytest.approx(expected, rel=0.02, abs=0.005)


def test_a_spring_may_pull_to_beyond_the_range_of_commands() -> None:
    body = _body()
    body.command(0, 3.0, stiffness=0.5, damping=0.0)
    position = body.position[0]
    body.advance()
    assert body.effort[0] == pytest.approx(0.5 * (3.0 - position), rel=0.01)


def test_feedforward_alone_is_a_torque() -> None:
    body = _body()
    body.command(0, stiffness=0.0, damping=0.0, feedforward=0.3)
    body.advance()
    assert body.effort[0] == pytest.approx(0.3)


def test_off_is_no_effort_and_what_is_no_number_is_off() -> None:
    for spoil in (lambda body: body.off(), lambda body: body.command(position=np.nan)):
        body = _body()
        spoil(body)
        body.advance()
        np.testing.assert_array_equal(body.effort, np.zeros(6))


def test_a_voltage_is_a_feedforward_within_its_limits() -> None:
    """Torque = kt/R * voltage at rest (robots/qube/README.md)."""
    body = Body("qube", IDEAL)
    body.command(feedforward=100.0)
    body.advance()
    assert body.effort[0] == pytest.approx(0.005 * 4.0, rel=0.01)


def test_a_blocked_joint_does_not_move_and_moves_again_when_it_is_free() -> None:
    body = _body()
    body.stall(0)
    body.command(0, 0.5)
    assert abs(_run(body, 200)[0]) < 0.01
    body.stall(0, stalled=False)
    assert _run(body, 300)[0] > 0.4


def test_a_frozen_encoder_shows_the_same_for_ever_while_the_joint_runs_away() -> None:
    body = _body()
    shown = body.advance().joint_position[0]
    body.freeze_encoder(0)
    body.command(0, 0.5)
    assert _run(body, 200)[0] == shown
    assert body.position[0] > 1.0
    body.freeze_encoder(0, frozen=False)
    assert _run(body, 1)[0] == pytest.approx(body.position[0], abs=1e-6)


def test_a_motor_that_pushes_a_stop_grows_hot_and_cools_afterwards() -> None:
    body = _body()
    body.stall(0)
    body.command(0, 1.0)
    temperatures = []
    for _ in range(1500):
        drives = body.advance().drives
        assert drives is not None
        assert drives.temperature is not None
        temperatures.append(drives.temperature[0])
    assert np.all(np.diff(temperatures) > 0)
    assert temperatures[-1] > AMBIENT + 1.0
    body.off()
    _run(body, 500)
    assert body.temperature[0] < temperatures[-1]
    body.heat(0, 90.0)
    assert body.advance().drives.temperature[0] == pytest.approx(90.0, abs=0.1)  # type: ignore[union-attr,index]


def test_a_supply_that_falls_takes_its_share_of_the_effort() -> None:
    body = _body()
    body.command(0, stiffness=0.0, damping=0.0, feedforward=0.4)
    body.advance()
    body.brown_out(6.0)
    drives = body.advance().drives
    assert drives is not None
    assert drives.supply_voltage == 6.0
    assert body.effort[0] == pytest.approx(0.1)
    body.brown_out()
    body.advance()
    assert body.effort[0] == pytest.approx(0.4)


def test_what_brakes_sinks_slower_than_what_is_off() -> None:
    sunk = []
    for damping in (0.0, 2.0):
        body = Body("go2", {}, 0, "go2_velocity")
        default = np.array(body.description.default_position)
        body.damp(damping=damping)
        sunk.append(abs(_run(body, 60)[KNEE] - default[KNEE]))
    assert sunk[1] < 0.8 * sunk[0]


def test_a_drive_is_found_by_its_name_or_its_joint_s() -> None:
    body = Body("qube", IDEAL)
    assert body.actuator("motor") == body.actuator("arm") == 0
    with pytest.raises(UserError, match="'motr': did you mean 'motor'"):
        body.actuator("motr")
