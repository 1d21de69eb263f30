"""Worlds of a training that goes on: old ones and identified ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from simreal.adapt.worlds import experiment_in, mix_worlds
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.make_environment import make_environment
from simreal.randomization.posterior import (
    read_posterior,
    write_posterior,
)

torch.set_num_threads(1)


def test_worlds_are_old_ones_and_identified_ones(identified: Path) -> None:
    experiment = load_experiment("qube_swingup")
    worlds = mix_worlds(experiment, read_posterior(identified), identified, 0.25, rows=400)
    assert set(worlds.replaced) == {"mass", "action_latency_ms"}
    rows = np.array(worlds.posterior.samples)
    column = worlds.posterior.column
    old, new = rows[:100], rows[100:]
    assert np.ptp(old[:, column("mass[arm]")]) > 0.35  # the old range is 0.8 to 1.2
    assert np.all(np.abs(new[:, column("mass[arm]")] - 1.1) < 0.06)
    assert np.all(np.abs(new[:, column("action_latency_ms")] - 12.0) < 0.6)
    # Not identified: as before in every world. Not randomized before: as in the model in the old ones.
    assert np.ptp(new[:, column("mass[pendulum]")]) > 0.35
    assert np.all(old[:, column("joint_stiffness[arm]")] == old[0, column("joint_stiffness[arm]")])
    assert np.all(new[:, column("joint_stiffness[arm]")] > 0.0015)


def test_an_entry_in_another_operation_becomes_absolute(identified: Path) -> None:
    experiment = load_experiment(
        "qube_swingup",
        ["randomization.mass={operation: add, distribution: {type: uniform, low: 0.0, high: 0.01}}"],
    )
    worlds = mix_worlds(experiment, read_posterior(identified), identified, 0.5, rows=200)
    parameter = worlds.posterior.parameters[worlds.posterior.column("mass[arm]")]
    values = np.array(worlds.posterior.samples)[:, worlds.posterior.column("mass[arm]")]
    assert parameter.operation == "absolute"
    mass = float(values[:100].min())
    assert np.allclose(values[100:], 1.1 * mass, rtol=0.06)
    assert np.ptp(values[:100]) == pytest.approx(0.01, rel=0.1)


def test_pins_and_ranges_of_replaced_entries_go_with_them(identified: Path, tmp_path: Path) -> None:
    experiment = load_experiment("qube_swingup", ["pins={mass: 1.05, motor_strength: 0.9}"])
    worlds = mix_worlds(experiment, read_posterior(identified), identified, 0.5, rows=50)
    write_posterior(tmp_path / "worlds.yaml", worlds.posterior)
    changed = experiment_in(experiment, worlds, tmp_path / "worlds.yaml")
    assert changed.pins == {"motor_strength": 0.9}
    values = np.array(worlds.posterior.samples)
    assert np.all(values[:25, worlds.posterior.column("mass[arm]")] == 1.05)
    make_environment(changed, 2, threads=1).reset()


def test_another_robot_is_refused(identified: Path) -> None:
    experiment = load_experiment("go2_velocity")
    with pytest.raises(UserError, match="identified on robot qube, not on go2"):
        mix_worlds(experiment, read_posterior(identified), identified, 0.3)


def test_a_parameter_or_a_part_that_there_is_not_is_refused_by_the_file_s_name(identified: Path) -> None:
    whole, arm = identified.read_text(), "mass[arm]"
    for change, told in (
        ((arm, "mas[arm]"), "did you mean 'mass'"),
        ((arm, "mass[elbow]"), "qube has no 'elbow'"),
        (("unit: ms", "unit: s"), r"action_latency_ms: s is no unit of it \(absolute\), but ms"),
    ):
        text = whole.replace(*change)
        assert text != whole
        wrong = identified.with_name("wrong.yaml")
        wrong.write_text(text)
        with pytest.raises(UserError, match=rf"wrong\.yaml: .*{told}"):
            mix_worlds(load_experiment("qube_swingup"), read_posterior(wrong), wrong, 0.5)
