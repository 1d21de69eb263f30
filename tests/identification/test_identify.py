"""From logs of a known robot to a posterior that training reads."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simreal.errors import UserError
from simreal.identification.fitting import Cutting
from simreal.identification.held_out import split
from simreal.identification.identify import Identification, identify, posterior
from simreal.identification.page import _readable, combination_lines, model_rows, nominal_row, write_page
from simreal.identification.recording import Recording
from simreal.identification.simulator import Setup
from simreal.identification.unknowns import read_asked, resolve
from simreal.identification.verdict import verdict
from simreal.randomization.posterior import read_posterior, sources_of, write_posterior
from simreal.report import new_figure
from simreal.robots import Robot

Record = Callable[..., Recording]
TRUTH = {"joint_damping": 1.5, "joint_frictionloss": 0.6}


@pytest.fixture
def logs(record: Record) -> list[Recording]:
    return [record(TRUTH, 3.0, seed, group=f"multisine {seed // 2}") for seed in range(4)]


@pytest.fixture
def found(link: Robot, logs: list[Recording]) -> Identification:
    nested = [
        [read_asked("joint_damping")],
        [read_asked("joint_frictionloss")],
        [read_asked("torque_offset")],
    ]
    return identify(Setup(link), logs, nested, Cutting(0.5))


@pytest.mark.long
def test_the_simplest_model_that_predicts_is_offered_and_its_band_covers(
    found: Identification, tmp_path: Path
) -> None:
    assert found.chosen == 1  # friction is needed, the offset is nothing
    assert found.split.how == "held out: multisine 1"
    for name, value in TRUTH.items():
        assert found.best.fitted.by_name[f"{name}[hinge]"] == pytest.approx(value, rel=0.1)
    assert not found.nominal_suffices
    assert (found.ensemble.coverage >= 0.9).all()
    assert (found.ensemble.widening.joints < 5.0).all()
    assert not found.best.fitted.at_bounds
    source = tmp_path / "a.mcap"
    source.write_bytes(b"log")
    result = posterior(found, sources_of([source]))
    assert result.coverage == pytest.approx(found.ensemble.widening.coverage.min())
    write_posterior(tmp_path / "identified.yaml", result)
    again = read_posterior(tmp_path / "identified.yaml")
    assert again == result
    assert again.names == ["joint_damping[hinge]", "joint_frictionloss[hinge]"]
    written = np.array(again.samples)
    assert written.std(axis=0) == pytest.approx(found.deviations)
    middle = written.mean(axis=0)
    np.testing.assert_allclose(middle, list(TRUTH.values()), rtol=0.15)
    write_page(found, tmp_path / "report.html")
    assert "offered" in (tmp_path / "report.html").read_text()


def test_what_a_joint_does_at_rest_is_not_drawn_large() -> None:
    _, (axis,) = new_figure(1)
    axis.plot([0.0, 0.5], [0.3, 0.3 + 1e-5])
    _readable(axis)
    low, high = axis.get_ylim()
    assert (low + high) / 2 == pytest.approx(0.3, abs=1e-4)
    assert high - low == pytest.approx(0.01)
    assert not axis.yaxis.get_major_formatter().get_useOffset()


@pytest.mark.long
def test_a_log_that_is_nearly_all_rest_is_not_sound(found: Identification) -> None:
    """However small the deviations: held-out rest is predicted by any robot that stays where it is."""
    sound = verdict(found)
    assert sound.sound
    assert sound.resting < 0.5
    windows = found.best.prediction.windows
    still = windows.position.copy()
    still[1:] = still[1:, :1]
    prediction = replace(found.best.prediction, windows=replace(windows, position=still))
    candidates = list(found.candidates)
    candidates[found.chosen] = replace(found.best, prediction=prediction)
    resting = verdict(replace(found, candidates=candidates))
    assert not resting.sound
    assert resting.describe().startswith("all joints rest in ")


@pytest.mark.long
def test_a_model_that_predicts_no_better_is_not_offered(link: Robot, record: Record) -> None:
    """The robot is just as its model says; what is found is noise."""
    logs = [record({"mass": 1.0}, 3.0, seed, group=f"multisine {seed}") for seed in range(2)]
    found = identify(Setup(link), logs, [[read_asked("torque_offset")]], Cutting(0.5))
    assert found.nominal_suffices
    assert nominal_row(found)[-1] == "offered: no other is better"
    assert all(row[-1] == "" for row in model_rows(found))


def test_what_no_log_tells_apart_is_named(link: Robot, logs: list[Recording]) -> None:
    """All of the motion scales with the motor: gravity, inertia and friction along with it."""
    names = ["mass", "motor_strength", "joint_armature", "joint_damping", "joint_frictionloss"]
    result = identify(Setup(link), logs[:2], [[read_asked(name) for name in names]], Cutting(0.5))
    (line,) = combination_lines(result)
    assert "mass[link]" in line
    assert "motor_strength[motor]" in line


def test_parts_of_a_split_share_no_log(record: Record) -> None:
    logs = [record({"mass": 1.0}, 1.0, seed, group=f"chirp {seed}") for seed in range(3)]
    parts = split(logs, ["chirp 1"])
    assert [each.group for each in parts.fitted] == ["chirp 0", "chirp 2"]
    assert [each.group for each in parts.held_out] == ["chirp 1"]
    alone = split(logs[:1], [])
    assert alone.between == (0.7, 1.0)
    assert alone.fitted[0].time[-1] < 0.71
    with pytest.raises(UserError, match="--hold-out sine: no such log"):
        split(logs, ["sine"])
    with pytest.raises(UserError, match="holds out every log"):
        split(logs, ["chirp*"])


def test_a_parameter_is_asked_for_by_name_part_and_bounds(link: Robot) -> None:
    world = Setup(link).world(1, {})
    (unknown,) = resolve([read_asked("mass[li*]=0.5:2")], world)
    assert (unknown.name, unknown.columns, unknown.low, unknown.high) == (
        "mass[li*]",
        ("mass[link]",),
        0.5,
        2.0,
    )
    for text, said in (
        ("masss", "no parameter 'masss'"),
        ("encoder_noise", "no motion of the joints tells it"),
        ("mass=2:1", "LOW must be below HIGH"),
        ("mass=a:b", "expected bounds as LOW:HIGH"),
    ):
        with pytest.raises(UserError, match=said):
            read_asked(text)
    with pytest.raises(UserError, match="matches nothing"):
        resolve([read_asked("mass[arm]")], world)
    with pytest.raises(UserError, match="is also"):
        resolve([read_asked("mass"), read_asked("mass[link]")], world)
