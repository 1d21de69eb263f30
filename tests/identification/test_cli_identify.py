"""`simreal identify` from files to a file, on a Qube whose parameters are known."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from simreal.bench.identify_truth import synthetic
from simreal.cli.main import cli
from simreal.errors import UserError
from simreal.identification.identify import posterior
from simreal.identification.simulator import Setup
from simreal.randomization.posterior import Posterior, read_posterior
from simreal.robots import load_robot
from simreal.robots.policies import find_policy

MAPPING = """
robot: qube
joints: [arm, pendulum]
actuators: {motor: arm}
time: {array: time}
channels:
  joint_position: {array: position}
  commanded_voltage: {array: command}
provenance_from_name: '(?P<excitation>[a-z]+)'
"""


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two logs of a robot with a stronger motor and more friction, and their mapping."""
    return recorded(tmp_path, np.array([1.15, 2.0]))


def recorded(folder: Path, truth: np.ndarray) -> list[str]:
    """Options for two logs of a Qube whose motor and friction are so many times the model's."""
    (folder / "mapping.yaml").write_text(MAPPING)
    options = ["--mapping", str(folder / "mapping.yaml")]
    names = ("torque_constant", "joint_frictionloss[arm]")
    for seed, name in enumerate(("sines", "others")):
        recording = synthetic(Setup(load_robot("qube")), names, truth, 4.0, np.random.default_rng(seed))
        path = folder / f"{name}.npz"
        np.savez(path, time=recording.time, position=recording.position, command=recording.command)
        options += ["--log", str(path)]
    return options


def test_from_logs_to_a_randomization(files: list[str], tmp_path: Path) -> None:
    output, report = tmp_path / "identified.yaml", tmp_path / "report.html"
    parameters = ["--parameters", "torque_constant,joint_frictionloss[arm]"]
    written = ["-o", str(output), "--report", str(report)]
    result = CliRunner().invoke(cli, ["identify", "qube", *files, *parameters, *written])
    assert result.exit_code == 0, result.output
    assert "held out: others" in result.output
    assert "model error" in result.output
    found = read_posterior(output)
    assert found.names == ["torque_constant[motor]", "joint_frictionloss[arm]"]
    assert np.mean(found.samples, axis=0) == pytest.approx([1.15, 2.0], rel=0.1)
    assert [source.file for source in found.sources] == ["sines.npz", "others.npz"]
    page = report.read_text()
    assert "Identification of qube" in page
    # Letters of a picture are drawn, and stand in comments.
    for said in ("arm, rad", "s since the window began", "measured", "predicted less measured, rad"):
        assert f"<!-- {said} -->" in page
    assert "by each second of a prediction" in result.output


@pytest.mark.long
def test_where_the_model_as_it_is_predicts_as_well_nothing_is_written(tmp_path: Path) -> None:
    files = recorded(tmp_path, np.ones(2))
    output, report = tmp_path / "identified.yaml", tmp_path / "report.html"
    arguments = ["--parameters", "torque_offset", "-o", str(output), "--report", str(report)]
    result = CliRunner().invoke(cli, ["identify", "qube", *files, *arguments])
    assert result.exit_code != 0
    assert "no model predicts the held-out logs better" in str(result.exception)
    assert "nothing written" in str(result.exception)
    assert not output.exists()
    assert "keep that one" in report.read_text()


def spoilt(files: list[str], change: Callable[[np.ndarray], np.ndarray]) -> list[str]:
    """The same options, for logs whose positions were changed."""
    for path in files[3::2]:
        held = dict(np.load(path))
        np.savez(path, **held | {"position": change(held["position"])})
    return files


@pytest.mark.long
@pytest.mark.filterwarnings("error")
def test_nobody_is_told_to_train_where_simulations_run_off(files: list[str], tmp_path: Path) -> None:
    """A pendulum that nothing limits, in units of nobody's."""
    files = spoilt(files, lambda position: position * np.array([1.0, 1e5]))
    output = tmp_path / "identified.yaml"
    arguments = ["--parameters", "torque_constant", "-o", str(output)]
    result = CliRunner().invoke(cli, ["identify", "qube", *files, *arguments])
    said = str(result.exception)
    assert "held-out windows the simulated robot runs off" in said
    assert "nothing written" in said
    assert "Train" not in said
    assert not output.exists()


def test_positions_in_degrees_are_refused_as_by_check_log(files: list[str], tmp_path: Path) -> None:
    files = spoilt(files, np.rad2deg)
    result = CliRunner().invoke(cli, ["identify", "qube", *files, "-o", str(tmp_path / "x.yaml")])
    said = str(result.exception)
    assert said.startswith("sines.npz: arm goes to ")
    assert "beyond its limits" in said
    assert "degrees?" in said
    assert "iteration" not in result.output


def test_a_log_that_is_given_twice_is_refused(files: list[str], tmp_path: Path) -> None:
    """It would be fitted to, and judge the fit."""
    again = tmp_path / "again.npz"
    again.write_bytes(Path(files[3]).read_bytes())
    written = ["-o", str(tmp_path / "identified.yaml")]
    result = CliRunner().invoke(cli, ["identify", "qube", *files, "--log", str(again), *written])
    assert str(result.exception).startswith(f"{again}: the same content as {files[3]}")


@pytest.mark.long
def test_logs_that_tell_too_little_are_said_so_first_and_what_to_record(
    files: list[str], tmp_path: Path
) -> None:
    """Strength, resistance and torque constant of a motor and a joint's damping act as two numbers."""
    output = tmp_path / "identified.yaml"
    names = ("torque_constant", "motor_resistance", "motor_strength", "joint_damping[arm]")
    parameters = ["--parameters", ",".join(names), "-o", str(output)]
    result = CliRunner().invoke(cli, ["identify", "qube", *files, *parameters])
    assert result.exit_code == 0, result.output
    said = "of the 4 unknowns ("
    assert 0 < result.output.find(said) < result.output.index("held-out error")
    assert "simreal design qube --parameters '" in result.output
    assert "not yet: simreal train" in result.output
    assert "model 1 of 1, 8 windows of 0.25 s, at most 12 iterations: iteration 1" in result.output
    assert "widening, trial 1 of at most 9" in result.output


@pytest.mark.long
@pytest.mark.parametrize(("coverage", "enough"), [(0.2, False), (0.5, False), (0.7, True)])
def test_robots_that_finetune_refuses_are_recommended_to_nobody(
    files: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    coverage: float,
    enough: bool,
) -> None:
    def covers_little(*arguments: Any) -> Posterior:
        return posterior(*arguments).model_copy(update={"coverage": coverage})

    monkeypatch.setattr("simreal.identification.identify.posterior", covers_little)
    output = tmp_path / "identified.yaml"
    parameters = ["--parameters", "torque_constant,joint_frictionloss[arm]", "-o", str(output)]
    result = CliRunner().invoke(cli, ["identify", "qube", *files, *parameters])
    assert result.exit_code == 0, result.output
    assert f"{output} covers {100 * coverage:.0f} % of what was held out" in result.stderr
    train = f"simreal train EXPERIMENT --randomization {output}"
    assert (f"next:\n  {train}\n" in result.stdout) == enough
    assert (f"not yet: {train}: too little of what was held out" in result.stdout) != enough
    for other in ("simreal identify qube --log LOG... --parameters", "simreal fit-actuator LOG..."):
        assert (f"  {other}" in result.stdout) != enough


def test_a_file_that_is_there_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    output = tmp_path / "identified.yaml"
    output.write_text("from before")
    arguments = ["identify", "qube", "--log", str(tmp_path / "none.npz"), "-o", str(output)]
    result = CliRunner().invoke(cli, arguments)
    assert str(result.exception).startswith(f"{output}: exists already")
    assert output.read_text() == "from before"


@pytest.mark.parametrize("option", ["-o", "--report"])
def test_what_cannot_be_written_is_told_before_anything_is_read(option: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    arguments = ["identify", "qube", "--log", str(tmp_path / "none.npz")]
    for output, said in (("file/x", "file is no folder"), (".", "it is a folder")):
        result = CliRunner().invoke(cli, [*arguments, option, str(tmp_path / output)])
        assert isinstance(result.exception, UserError)
        assert said in str(result.exception) or "exists already" in str(result.exception)


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (["qube", "--parameters", "masss"], "no parameter 'masss': did you mean 'mass'"),
        (["cube"], "no robot or experiment 'cube'"),
    ],
)
def test_a_misspelt_name_is_told_though_a_file_is_there(
    mistake: list[str], said: str, tmp_path: Path
) -> None:
    output = tmp_path / "identified.yaml"
    output.write_text("from before")
    arguments = ["identify", *mistake, "--log", str(tmp_path / "none.npz"), "-o", str(output)]
    assert said in str(CliRunner().invoke(cli, arguments).exception)


def test_an_experiment_that_extends_none_is_told_as_such(files: list[str], tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: qube_swngup\n")
    said = str(CliRunner().invoke(cli, ["identify", str(mine), *files]).exception)
    assert "mine.yaml:1: extends: " in said and "did you mean 'qube_swingup'" in said


def test_what_is_wrong_is_told_in_one_message(files: list[str], tmp_path: Path) -> None:
    other = str(find_policy(Path("so101_lift")))
    for arguments, said in (
        (["identify", "cube", *files], "no robot or experiment 'cube': did you mean"),
        (["identify", "go2", *files], "a log of robot qube, not of go2"),
        (["identify", "qube", *files, "--parameters", "mas"], "no parameter 'mas'"),
        (["identify", "qube", *files, "--window", "9"], "no window of 9 s in the logs"),
        (["identify", "qube", *files, "--set", "friktion=1"], "no parameter 'friktion'"),
        (["identify", "qube", *files, "--velocities"], "--velocities, but no joint_velocity by"),
        (["identify", "qube", *files, "--policy", "none.onnx"], "none.onnx: no such file"),
        (["identify", "qube", *files, "--policy", other], "a policy of robot so101, not of qube"),
    ):
        result = CliRunner().invoke(cli, [*arguments, "-o", str(tmp_path / "x.yaml")])
        assert said in str(result.exception)


def test_a_base_that_is_free_is_not_predicted_from_joints(tmp_path: Path) -> None:
    arguments = ["design", "go2", "--parameters", "joint_damping", "-o", str(tmp_path / "e.yaml")]
    result = CliRunner().invoke(cli, arguments)
    assert "has a free base" in str(result.exception) and "--fixed-base" in str(result.exception)


def test_physics_steps_longer_than_a_measurement_are_refused(files: list[str], tmp_path: Path) -> None:
    arguments = ["--timestep", "1", "-o", str(tmp_path / "identified.yaml")]
    result = CliRunner().invoke(cli, ["identify", "qube", *files, *arguments])
    assert "nearest: --timestep 0.004" in str(result.exception)
