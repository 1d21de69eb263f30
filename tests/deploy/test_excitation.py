"""Excitations: what is refused, and that the loop's pipeline gives back what the file says."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simreal.action import ActionPipeline
from simreal.deploy.drivers import open_driver
from simreal.deploy.excitation import load_excitation
from simreal.deploy.loop import deploy
from simreal.errors import UserError
from simreal.logs.messages import read_messages
from simreal.robots import load_robot

ROBOT = load_robot("so101").description
PAN, ROLL = (ROBOT.actuator_names.index(name) for name in ("shoulder_pan", "wrist_roll"))


def whole(row: Sequence[float]) -> list[float]:
    """A row of all actuators, of which two leave the default posture."""
    targets = list(ROBOT.default_position)
    targets[PAN], targets[ROLL] = float(row[0]), float(row[1])
    return targets


def _write(folder: Path, **changes: object) -> Path:
    rows = [[0.2 * np.sin(0.1 * k), 0.1 * np.cos(0.1 * k) - 0.1] for k in range(50)]
    content: dict[str, object] = {
        "format": "simreal-excitation",
        "robot": "so101",
        "actuators": list(ROBOT.actuator_names),
        "units": ["rad"] * 6,
        "rate": 50.0,
        "targets": [whole(row) for row in rows],
    }
    path = folder / "excitation.yaml"
    path.write_text(yaml.safe_dump(content | changes))
    return path


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(st.floats(-0.05, 0.05), st.floats(-0.05, 0.05)), min_size=2, max_size=9))
def test_the_pipeline_commands_what_the_file_says(
    tmp_path: Path, rows: list[tuple[float, float]]
) -> None:
    policy = load_excitation(_write(tmp_path, targets=[whole(row) for row in rows]))
    player, to_command = policy.warmed_up(), ActionPipeline(policy.contract)
    for row in [*rows, rows[-1]]:
        target = to_command(player(np.zeros(6, np.float32)).astype(np.float64)).target
        assert target == pytest.approx(whole(row), abs=1e-6)
    player.begin()
    first = to_command(player(np.zeros(6, np.float32)).astype(np.float64)).target
    assert first == pytest.approx(whole(rows[0]), abs=1e-6)


def test_it_is_a_policy_of_its_robot_at_its_rate(tmp_path: Path) -> None:
    policy = load_excitation(_write(tmp_path))
    assert policy.contract.robot.name == "so101"
    assert policy.contract.control_rate == pytest.approx(50.0)
    assert policy.duration == pytest.approx(1.0)
    assert policy.golden_mismatch() is None
    assert len(policy.digest) == 64


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"robot": "so100"}, ["so100"]),
        ({"actuators": ["shoulder_pan"] * 6}, ["the excitation moves shoulder_pan"]),
        ({"units": ["V"] * 6}, ["actuator shoulder_pan: V in the file, rad here"]),
        ({"targets": [whole((0, 0)), whole((9, 0))]}, ["shoulder_pan", "to 9 rad, beyond"]),
        ({"targets": [whole((0, 0)), whole((0.5, 0))]}, ["shoulder_pan would move at 25 rad/s"]),
        ({"targets": [whole((0, 0)), [0.5]]}, ["row 1 has 1 numbers for 6 actuators"]),
        ({"targets": [whole((0, 0)), [float("nan")] * 6]}, ["targets"]),
        ({"format": "other"}, ["not an excitation"]),
        ({"rat": 0.1}, ["unknown key 'rat'", "'rate'"]),
    ],
)
def test_what_is_wrong_with_it_is_said(
    tmp_path: Path, changes: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        load_excitation(_write(tmp_path, **changes))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_it_is_played_under_the_supervisor_and_replays_in_the_log(tmp_path: Path) -> None:
    rows = [[0.1 * float(np.sin(0.2 * k)), 0.0] for k in range(30)]
    path = _write(tmp_path, targets=[whole(row) for row in rows])
    policy, log = load_excitation(path), tmp_path / "flight.mcap"
    outcome = deploy(policy, open_driver("sim", "so101"), policy.duration, log)
    read = read_messages(log)
    assert read.provenance["policy_sha256"] == policy.digest
    sent = read.array("/command")
    assert outcome.cycles > 10
    # A skipped period delays a row, and no row is left out.
    played = sent[-len(read.messages["/action"]) :, PAN]
    assert np.abs(played[-1] - rows[min(outcome.cycles, 30) - 1][0]) < 0.1
    assert outcome.fault is None
    assert np.ptp(sent[:, PAN]) > 0.05
