"""Training on robots that are drawn from a posterior."""

from pathlib import Path

import pytest

from simreal.adapt.posterior_override import randomization_override
from simreal.errors import UserError
from simreal.experiment import load_experiment, read_experiment
from simreal.make_environment import make_environment
from simreal.randomization.posterior import Posterior, PosteriorParameter, write_posterior
from tests.adapt.posteriors import damped_arm


def test_training_draws_robots_from_what_was_identified(tmp_path: Path) -> None:
    path = tmp_path / "identified.yaml"
    write_posterior(path, damped_arm(2.0))
    override, change = randomization_override("qube_swingup", (), path)
    assert {"mass", "joint_damping"} <= set(change.replaced)
    assert "motor_strength" in change.kept
    assert change.describe().startswith("instead of mass, ")
    assert "; as before: " in change.describe()
    experiment = load_experiment("qube_swingup", (override,))
    environment = make_environment(experiment, 64, threads=1)
    environment.reset()
    ranges = {each.name: each for each in environment.randomizer.trained_ranges()}
    assert ranges["mass[arm]"].low > 1.0
    assert ranges["action_latency_ms"].high < 6.5
    assert "mass[pendulum]" not in ranges


def test_a_fault_of_what_was_identified_is_told_by_its_file(tmp_path: Path) -> None:
    """And what the experiment says beside it keeps its place."""
    path = tmp_path / "identified.yaml"
    write_posterior(path, damped_arm(2.0))
    override, _ = randomization_override("qube_swingup", (), path)
    document = read_experiment("qube_swingup")
    document.override((override,))
    assert document.where(("randomization", "identified", "distribution")) == str(path)
    assert "qube_swingup.yaml:" in document.where(("randomization", "motor_strength"))
    assert "qube_swingup.yaml:" in document.where(("randomization",))


def test_what_stands_in_the_scene_of_the_experiment_may_be_identified_too(tmp_path: Path) -> None:
    path = tmp_path / "identified.yaml"
    cube = PosteriorParameter(name="mass[cube]", unit="1", operation="scale", low=0.5, high=2.0)
    write_posterior(path, Posterior(robot="so101", parameters=(cube,), samples=((1.2,), (1.3,))))
    override, change = randomization_override("so101_push", (), path)
    assert "cube_mass" in change.replaced
    environment = make_environment(load_experiment("so101_push", (override,)), 4, threads=1)
    ranges = {each.name: each for each in environment.randomizer.trained_ranges()}
    assert 1.0 < ranges["mass[cube]"].low < ranges["mass[cube]"].high < 1.5
    with pytest.raises(UserError, match=r"identified\.yaml: mass\[cube\]: robot so101 has no 'cube'"):
        randomization_override("so101_reach", (), path)


def test_another_robot_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "identified.yaml"
    write_posterior(path, damped_arm(1.0, robot="go2"))
    with pytest.raises(UserError, match="identified on robot go2, not on qube"):
        randomization_override("qube_swingup", (), path)
