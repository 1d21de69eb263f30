"""Logs that a command fits to are refused where a fit could only mislead."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from simreal.bench.log_faults import sound
from simreal.cli.main import cli
from simreal.cli.recordings import read_recordings
from simreal.errors import UserError
from simreal.logs.parquet import write_parquet
from simreal.logs.robot_log import Channel
from simreal.robots import load_robot


def test_too_few_logs_are_refused_before_torch_is_loaded(tmp_path: Path) -> None:
    command = ["fit-actuator", *map(str, logged(tmp_path)), "--mapping", str(tmp_path / "mapping.yaml")]
    command += ["--robot", "qube", "--rate", "100", "-o", str(tmp_path / "actuator.npz")]
    program = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from simreal.cli.main import cli\n"
        f"result = CliRunner().invoke(cli, {command!r})\n"
        "print(result.exception, 'torch' in sys.modules)\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "2 logs: at least four are needed, to hold some out False"


@pytest.mark.parametrize(
    ("output", "told"), [("one.npz", "exists already"), ("one.npz/new", "cannot be")]
)
def test_an_output_without_a_place_is_told_before_anything_is_fitted(
    output: str, told: str, tmp_path: Path
) -> None:
    logged(tmp_path)
    command = ["fit-actuator", "no_such.npz", "--robot", "qube", "--rate", "100", "-o"]
    found = CliRunner().invoke(cli, [*command, str(tmp_path / output)])
    assert isinstance(found.exception, UserError) and f"{output}: {told}" in str(found.exception)


def test_times_in_milliseconds_are_refused(tmp_path: Path) -> None:
    path = logged(tmp_path)[0]
    arrays = dict(np.load(path))
    np.savez(path, **(arrays | {"time": 1e3 * arrays["time"]}))
    with pytest.raises(UserError, match="joint_position comes every 10 s: are its times in ms"):
        read_recordings([path], str(tmp_path / "mapping.yaml"), load_robot("qube"), None)


def test_joints_of_another_order_or_sign_are_refused(tmp_path: Path) -> None:
    for name, change in (("sound", [1, 1]), ("mirrored", [1, -1])):
        log = sound("qube", 0)
        for channel in ("joint_position", "joint_velocity"):
            log.channels[channel].values *= change
        write_parquet(log, tmp_path / f"{name}.parquet")
    robot = load_robot("qube")
    assert len(read_recordings([tmp_path / "sound.parquet"], None, robot, None)[0]) == 1
    with pytest.raises(
        UserError, match=r"far better with pendulum of the other sign: .*see simreal check"
    ):
        read_recordings([tmp_path / "mirrored.parquet"], None, robot, None)


@pytest.mark.parametrize(("authority", "fits"), [(0.0, True), (1.0, False)])
def test_joints_are_checked_where_they_are_fitted_to(
    authority: float, fits: bool, tmp_path: Path
) -> None:
    """A hand that moves a robot which is off is in no fit."""
    log = sound("qube", 0)
    time, position = log["joint_position"].time, log["joint_position"].values
    after = time > time[0] + 0.6 * (time[-1] - time[0])
    position[after, 0] += np.linspace(0.0, 10.0, int(after.sum()))
    log.channels["authority"] = Channel(time, np.where(after, authority, 1.0)[:, None], ("all",), ("",))
    write_parquet(log, tmp_path / "log.parquet")
    if fits:
        [recording], _ = read_recordings([tmp_path / "log.parquet"], None, load_robot("qube"), None)
        assert recording.time[-1] < time[after][0] + 0.1
    else:
        with pytest.raises(UserError, match=r"arm goes to .* beyond its limits"):
            read_recordings([tmp_path / "log.parquet"], None, load_robot("qube"), None)


def logged(folder: Path) -> list[Path]:
    """Two logs of a Qube."""
    (folder / "mapping.yaml").write_text(
        "{robot: qube, joints: [arm, pendulum], actuators: {motor: arm}, time: {array: time}, channels: "
        "{joint_position: {array: position}, commanded_voltage: {array: command}}}"
    )
    time = 0.01 * np.arange(200)
    paths = [folder / f"{name}.npz" for name in ("one", "two")]
    for rate, path in enumerate(paths, 1):
        swing = np.sin(rate * time)[:, None]
        np.savez(path, time=time, position=np.hstack((swing, 0.5 * swing)), command=swing)
    return paths


def test_logs_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
    paths = [tmp_path / day / "flight.parquet" for day in ("monday", "tuesday")]
    for seed, path in enumerate(paths):
        write_parquet(replace(sound("qube", seed), source="flight"), path)
    found, _ = read_recordings(paths, None, load_robot("qube"), None)
    assert [each.part("log") for each in found] == [f"{path.parent}/flight" for path in paths]
    [alone], _ = read_recordings(paths[:1], None, load_robot("qube"), None)
    assert alone.name == "flight"
