from collections.abc import Iterator
from pathlib import Path

import pytest

from simreal.bench.lint import find_planted, is_found
from simreal.bench.lint_faults import CASES, EXPERIMENT, MODEL, ROBOT, Planted
from simreal.config import Document, parse
from simreal.configs import FOLDER, shipped_experiments
from simreal.errors import UserError
from simreal.experiment import load_experiment, parse_experiment, read_experiment
from simreal.lint import Finding, lint, lint_experiment
from simreal.lint.linter import _guarded
from simreal.robots import Robot, load_robot
from simreal.robots.loader import RobotConfig


def lint_text(folder: Path, experiment: str, model: str = MODEL) -> list[Finding]:
    (folder / "model.xml").write_text(model, encoding="utf-8")
    robot = Robot(parse(RobotConfig, ROBOT), folder / "model.xml")
    return lint(Document(experiment, "mine.yaml"), robot=robot)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_planted_fault_is_found_where_it_stands(case: Planted, tmp_path: Path) -> None:
    found, where = find_planted(case, tmp_path)
    assert is_found(case, found, where), (where, [str(each) for each in found])
    assert all(each.what and each.mend for each in found)


def test_the_experiment_and_the_model_that_faults_are_planted_in_are_sound(tmp_path: Path) -> None:
    assert lint_text(tmp_path, EXPERIMENT) == []


LINTED_FOR_SECONDS = ("qube_everything", "go2_rough")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long) if name in LINTED_FOR_SECONDS else name
        for name in shipped_experiments()
    ],
)
def test_a_shipped_experiment_is_clean(name: str) -> None:
    assert [str(each) for each in lint_experiment(name)] == []


def test_all_faults_of_a_broken_experiment_are_found_at_once(tmp_path: Path) -> None:
    broken = (
        EXPERIMENT.replace("target: arm,", "target: amr,")
        .replace("  friction:", "  fricton:")
        .replace("low: 0, high: 0.002", "low: -1, high: 0.002")
        .replace("upright: 1", "upright: 1, upwrong: 2")
    )
    noisy = MODEL.replace("<jointpos ", '<jointpos noise="0.1" ')
    found = lint_text(tmp_path, broken, noisy)
    assert {(each.check, each.where.rpartition("/")[2]) for each in found} == {
        ("unreadable", "mine.yaml:5"),
        ("name", "mine.yaml:11"),
        ("unreadable", "mine.yaml:12"),
        ("bounds", "mine.yaml:14"),
        ("sensor-noise", "model.xml:28"),
    }
    assert [each.severity for each in found] == ["error"] * 4 + ["warning"]


def test_a_fault_that_leaves_no_experiment_leaves_the_checks_of_the_model(tmp_path: Path) -> None:
    noisy = MODEL.replace("<jointpos ", '<jointpos noise="0.1" ')
    found = lint_text(tmp_path, EXPERIMENT.replace("control_rate: 100\n", ""), noisy)
    assert [each.check for each in found] == ["unreadable", "sensor-noise"]


def test_an_override_is_where_a_fault_stands() -> None:
    override = "randomization.mass.distribution.low=-1"
    (found,) = lint_experiment("qube_swingup", [override])
    assert (found.check, found.where) == ("bounds", f"override {override!r}")


def test_a_robot_that_does_not_exist_is_one_finding() -> None:
    (found,) = lint_experiment("qube_swingup", ["robot=qub"])
    assert (found.severity, found.mend) != ("warning", "")
    assert "qub" in found.what


def test_what_is_no_experiment_at_all_is_a_user_error() -> None:
    with pytest.raises(UserError, match="did you mean 'qube_swingup'"):
        lint_experiment("qube_swingip")


def test_findings_do_not_depend_on_when_they_are_asked_for(tmp_path: Path) -> None:
    idle = EXPERIMENT.replace("episode_length: 4", "episode_length: 1").replace(
        "pins: {}",
        "  wind: {distribution: {type: uniform, low: 0, high: 1}}\n"
        "  air_density: {distribution: {type: uniform, low: 0, high: 1.0e-12}}\npins: {}",
    )
    first, second = (lint_text(tmp_path, idle) for _ in range(2))
    assert first == second
    assert [each.check for each in first] == ["no-effect", "no-effect"]


@pytest.mark.long
def test_an_event_that_some_episodes_do_without_is_not_said_to_do_nothing(tmp_path: Path) -> None:
    kicks = """\
  push_interval_s: {{distribution: {{type: uniform, low: {0}, high: {1}}}}}
  joint_kick_velocity: {{target: arm, distribution: {{type: uniform, low: 0, high: {2:.0e}}}}}
pins: {{}}"""
    for low, high, speed, idle in ((3.5, 7, 1e-15, False), (1, 2, 1e-15, True), (1, 2, 5, False)):
        text = EXPERIMENT.replace("pins: {}", kicks.format(low, high, speed))
        assert bool(lint_text(tmp_path, text)) == idle


def test_events_come_early_whatever_their_entry_is_called(tmp_path: Path) -> None:
    """Drawn anywhere in its range, the interval would be far too long for any push to come."""
    kicks = """\
  {0}: {{parameter: push_interval_s, distribution: {{type: uniform, low: 2, high: 1.0e+5}}}}
  joint_kick_velocity: {{target: arm, distribution: {{type: uniform, low: 0, high: 5}}}}
pins: {{}}"""
    for name in ("push_interval_s", "shoves"):
        assert lint_text(tmp_path, EXPERIMENT.replace("pins: {}", kicks.format(name))) == []


def test_a_change_within_an_episode_may_stand_before_its_time(tmp_path: Path) -> None:
    time = "change_time_s: {distribution: {type: uniform, low: 1, high: 2}}"
    entries = ["mass: {target: arm,", f"{time}\n  mass: {{target: arm,"]
    for entry in entries:
        text = EXPERIMENT.replace("mass: {target: arm,", f"{entry} within_episode: true,")
        if entry == entries[0]:
            text = text.replace("pins: {}", f"  {time}\npins: {{}}")
        assert lint_text(tmp_path, text) == []


def test_a_fault_of_the_robot_is_told_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.xml").write_text(MODEL)
    (tmp_path / "mine" / "robot.yaml").write_text(
        "description:\n  name: mine\n  joints:\n    - {name: arm, unit: degree}\n"
        "  actuators: [{name: motor, joint: arm, command: effort, unit: N·m, lower: -1, upper: 1}]\n"
    )
    monkeypatch.setenv("SIMREAL_ROBOTS", str(tmp_path))
    text = EXPERIMENT.replace("robot: qube\ntask: qube_swingup", "robot: mine\ntask: posture")
    document = Document(text, "mine.yaml")
    (found,) = lint(document)
    assert found.where == f"{tmp_path}/mine/robot.yaml:4"
    assert "unit" in found.what
    with pytest.raises(UserError) as error:
        parse_experiment(document.data, document)
    assert str(error.value).startswith(f"{tmp_path}/mine/robot.yaml:4: ")
    assert "\n" not in str(error.value)


def test_a_robot_that_is_misspelt_is_hinted_at() -> None:
    (found,) = lint_experiment("qube_swingup", ["robot=qubee"])
    assert found.where == "override 'robot=qubee'"
    assert found.mend.startswith("did you mean 'qube'?\n  looked for in ")
    with pytest.raises(UserError, match="did you mean 'qube'"):
        load_experiment("qube_swingup", ["robot=qubee"])


def test_a_value_that_is_out_of_range_says_itself_what_to_do() -> None:
    (found,) = lint_experiment("qube_swingup", ["episode_length=-5"])
    assert found.mend == ""
    assert str(found).endswith("greater than 0 (given: -5)")


def test_friction_of_what_touches_nothing_hints_at_that_of_joints() -> None:
    entry = "{distribution: {type: uniform, low: 0.5, high: 1.5}}"
    (found,) = lint_experiment("qube_swingup", [f"randomization.friction={entry}"])
    assert found.check == "name"
    assert "joint_frictionloss" in found.mend


def test_places_are_those_of_the_files_that_people_edit() -> None:
    (found,) = lint_experiment("qube_swingup", ["randomization.mass.distribution.low=3"])
    assert found.where.startswith(f"{FOLDER}/qube_swingup.yaml:")
    document = read_experiment("qube_swingup")
    for path in (Path(document.source), load_robot("qube").model_path):
        assert path == path.resolve()


def test_a_check_that_cannot_be_made_is_a_finding_and_keeps_what_was_found() -> None:
    first = Finding("warning", "unit", "mine.yaml:1", "odd", "do")

    def check() -> Iterator[Finding]:
        yield first
        raise UserError("no joint 'amr': did you mean 'arm'?")

    found = _guarded("mine.yaml", check)
    assert found[0] == first
    assert (found[1].check, found[1].severity) == ("unchecked", "error")
    assert found[1].mend == "did you mean 'arm'?"


@pytest.mark.long
def test_a_simulation_that_would_take_ages_is_not_begun(tmp_path: Path) -> None:
    slow = MODEL.replace('timestep="0.002"', 'timestep="1e-7"')
    latency = EXPERIMENT.replace("low: 0, high: 10", "low: 0, high: 1.0e-4")
    assert lint_text(tmp_path, latency, slow) == []


def test_steps_are_mended_by_what_a_joint_moves_in_one() -> None:
    (found,) = lint_experiment("so101_reach", ["action.scale=6"])[:1]
    assert found.what.startswith("actions mean steps of -6 to 6 rad")
    assert found.mend.startswith("scale 0.21, velocity_limit over control_rate")


def test_a_command_may_change_where_success_leaves_time_for_it() -> None:
    """By 10 % of the second half: half a second for each change."""
    for experiment, interval, length, late in (
        ("so101_reach", 2.0, 4.0, True),
        ("so101_reach", 1.5, 4.0, True),
        ("so101_reach", 5.0, 20.0, False),
        ("so101_reach", 3.0, 20.0, True),
        ("so101_reach", 9.9, 10.0, False),
        ("qube_swingup", 2.0, 4.0, False),  # which is asked nothing
    ):
        overrides = [f"command_interval={interval}", f"episode_length={length}", "randomization={}"]
        found = [each.check for each in lint_experiment(experiment, overrides)]
        assert ("success" in found) == late, (interval, length)
