import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from simreal.bench.log_faults import FAULTS, planted, sound
from simreal.cli.main import cli
from simreal.errors import UserError
from simreal.logs.formats import read_logs, write_logs


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound log, and one whose accelerometer is in g."""
    path = tmp_path_factory.mktemp("logs")
    write_logs([sound("arm", 0)], path / "sound.parquet")
    [fault] = [fault for fault in FAULTS if fault.name == "accelerometer in g"]
    write_logs([planted(fault, 0)], path / "faulty.parquet")
    return path


def test_a_sound_log(folder: Path) -> None:
    result = run("check-log", folder / "sound.parquet")
    assert result.exit_code == 0, result.output
    assert "arm_0: pass" in result.output
    assert result.output.startswith("arm_0: limits and model are not asked (--robot NAME): the robot is")


def test_a_failing_check_is_exit_status_1(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = run(
        "check-log", folder / "faulty.parquet", folder / "sound.parquet", "--report", page, "--json"
    )
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert [each["verdict"] for each in content.values()] == ["fail", "pass"]
    faulty = next(iter(content.values()))["checks"]["imu_units"]
    assert faulty["numbers"]["gravity"] == pytest.approx(1, abs=0.02)
    assert faulty["verdict"] == "fail" and faulty["advice"]
    text = page.read_text("utf-8")
    assert "imu_units" in text and "in g?" in text


def test_a_finding_is_shown_in_a_picture(folder: Path, tmp_path: Path) -> None:
    [fault] = [fault for fault in FAULTS if fault.name == "velocity late by 20 ms"]
    write_logs([planted(fault, 0)], tmp_path / "late.parquet")
    result = run("check-log", tmp_path / "late.parquet", "--report", tmp_path / "page.html")
    assert result.exit_code == 0  # a warning
    assert "a pure delay" in " ".join(result.output.split())
    assert "<svg" in (tmp_path / "page.html").read_text("utf-8")


def test_a_log_is_not_written_over_by_its_report(folder: Path) -> None:
    path = folder / "sound.parquet"
    before = path.read_bytes()
    found = run("check-log", path, "--report", path)
    assert isinstance(found.exception, UserError)
    assert "exists already, and is no page that simreal wrote" in str(found.exception)
    assert path.read_bytes() == before


def test_the_log_of_another_robot(folder: Path) -> None:
    result = run("check-log", folder / "sound.parquet", "--robot", "qube")
    assert isinstance(result.exception, UserError)
    assert str(result.exception) == "arm_0: joint 'base' is not one of qube: valid: arm, pendulum"
    write_logs([sound("qube", 0)], folder / "qube.parquet")
    result = run("check-log", folder / "qube.parquet", "--robot", "so101")
    assert isinstance(result.exception, UserError)
    assert str(result.exception) == "qube_0: a log of robot qube, not of so101"
    result = run("check-log", folder / "sound.parquet", "--robot", "qbue")
    assert "did you mean 'qube'?" in str(result.exception)


def test_conversion(folder: Path, tmp_path: Path) -> None:
    for target in ("log.mcap", "set"):
        result = run("convert-log", folder / "sound.parquet", tmp_path / target)
        assert result.exit_code == 0, result.output
        [log] = read_logs(tmp_path / target)
        for name, table in sound("arm", 0).channels.items():
            np.testing.assert_array_equal(log[name].values, table.values)
            np.testing.assert_array_equal(log[name].time, table.time)
    assert "exists already" in str(
        run("convert-log", folder / "sound.parquet", tmp_path / "set").exception
    )


def test_a_target_that_is_taken_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    """A log of an hour is read for minutes."""
    (tmp_path / "taken.mcap").write_text("from before")
    for target, said in (("taken.mcap", "exists already"), ("taken.mcap/x", "is no folder")):
        found = run("convert-log", tmp_path / "none.parquet", tmp_path / target)
        assert isinstance(found.exception, UserError)
        assert said in str(found.exception)


def test_conversion_says_what_is_lost(folder: Path, tmp_path: Path) -> None:
    [log] = read_logs(folder / "sound.parquet")
    command = log.channels["commanded_effort"]
    log.channels["commanded_effort"] = command.rows(slice(None, None, 2))
    write_logs([log], tmp_path / "slow.parquet")
    result = run("convert-log", tmp_path / "slow.parquet", tmp_path / "set")
    assert "not kept: commanded_effort: its own times" in result.output


def test_csv_needs_a_mapping(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("t,q\n0,1\n")
    assert "--mapping" in str(run("check-log", tmp_path / "log.csv").exception)
