"""Excitations: what is refused, and that the loop's pipeline gives back what the file says."""

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


def _write(folder: Path, **changes: object) -> Path:
    rows = [[0.2 * np.sin(0.1 * k), 0.1 * np.cos(0.1 * k) - 0.1] for k in range(50)]
    content: dict[str, object] = {
        "robot": "so101",
        "joints": ["shoulder_pan", "wrist_roll"],
        "unit": "rad",
        "period": 0.02,
        "targets": [[float(value) for value in row] for row in rows],
    }
    path = folder / "excitation.yaml"
    path.write_text(yaml.safe_dump(content | changes))
    return path


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(st.floats(-0.05, 0.05), st.floats(-0.05, 0.05)), min_size=2, max_size=9))
def test_the_pipeline_commands_what_the_file_says(
    tmp_path: Path, rows: list[tuple[float, float]]
) -> None:
    policy = load_excitation(_write(tmp_path, targets=[list(row) for row in rows]))
    player, to_command = policy.warmed_up(), ActionPipeline(policy.contract)
    robot = policy.contract.robot
    driven = [each.joint for each in robot.actuators]
    pan, roll = driven.index("shoulder_pan"), driven.index("wrist_roll")
    rest = dict(zip(robot.joint_names, robot.default_position, strict=True))
    for row in [*rows, rows[-1]]:
        target = to_command(player(np.zeros(6, np.float32)).astype(np.float64)).target
        assert target[[pan, roll]] == pytest.approx(row, abs=1e-6)
        others = [place for place in range(len(driven)) if place not in (pan, roll)]
        assert target[others] == pytest.approx([rest[driven[place]] for place in others], abs=1e-6)
    player.begin()
    assert to_command(player(np.zeros(6, np.float32)).astype(np.float64)).target[pan] == pytest.approx(
        rows[0][0], abs=1e-6
    )


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
        ({"joints": ["shoulder_pan", "wrist_rol"]}, ["'wrist_rol'", "'wrist_roll'"]),
        ({"unit": "V"}, ["shoulder_pan takes rad", "in V"]),
        ({"targets": [[0.0, 0.0], [9.0, 0.0]]}, ["shoulder_pan goes to 9 rad in row 1", "outside"]),
        ({"targets": [[0.0, 0.0], [0.5, 0.0]]}, ["shoulder_pan would move at 25 rad/s"]),
        ({"targets": [[0.0, 0.0], [0.5]]}, ["row 1 has 1 numbers for 2 joints"]),
        ({"targets": [[0.0, 0.0], [float("nan"), 0.0]]}, ["targets"]),
        ({"joints": ["wrist_roll", "wrist_roll"]}, ["stands twice"]),
        ({"perod": 0.1}, ["unknown key 'perod'", "'period'"]),
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
    policy, log = load_excitation(_write(tmp_path, targets=rows)), tmp_path / "flight.mcap"
    outcome = deploy(policy, open_driver("sim", "so101"), policy.duration, log)
    read = read_messages(log)
    assert read.provenance["policy_sha256"] == policy.digest
    sent = read.array("/command")
    robot = policy.contract.robot
    pan = robot.actuator_names.index(robot.actuators[0].name)
    assert outcome.cycles > 10
    # A skipped period delays a row, and no row is left out.
    played = sent[-len(read.messages["/action"]) :, pan]
    assert np.abs(played[-1] - rows[min(outcome.cycles, 30) - 1][0]) < 0.1
    assert np.ptp(sent[:, pan]) > 0.05 or outcome.fault is not None
