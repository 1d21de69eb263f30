import mujoco
import numpy as np
import pytest

from simreal.errors import UserError
from simreal.randomization.schedules import FixedConfig
from simreal.randomization.specification import ParameterConfig
from simreal.suite.drawn_models import DrawnModels, describe
from simreal.suite.model_fields import apply_changes
from simreal.suite.simulation import Simulation


def uniform(low: float, high: float, **more: object) -> ParameterConfig:
    distribution = {"type": "uniform", "low": low, "high": high}
    return ParameterConfig.model_validate({"distribution": distribution} | more)


def drawn(name: str, **entries: ParameterConfig) -> tuple[Simulation, DrawnModels]:
    simulation = Simulation(f"dm_control/{name}")
    simulation.begin(0, {})
    return simulation, DrawnModels(name, simulation.model, 4, entries, {}, FixedConfig())


def test_a_drawn_mass_scales_mass_and_inertia_and_what_follows_from_them() -> None:
    simulation, models = drawn("cheetah-run", mass=uniform(0.5, 2.0, target="torso"))
    torso = simulation.model.body("torso").id
    before = simulation.model.body_mass.copy(), simulation.model.body_inertia.copy()
    assert models.randomizer.columns == ["mass[torso]"]
    heavy = models.changes(np.array([[2.0], [1.0]]))[0]
    undo = apply_changes(simulation.model, heavy)
    assert simulation.model.body_mass[torso] == pytest.approx(2.0 * before[0][torso])
    np.testing.assert_allclose(simulation.model.body_inertia[torso], 2.0 * before[1][torso])
    others = np.delete(np.arange(simulation.model.nbody), torso)
    assert np.array_equal(simulation.model.body_mass[others], before[0][others])
    assert simulation.model.body_subtreemass[0] == pytest.approx(before[0].sum() + before[0][torso])
    apply_changes(simulation.model, undo)
    assert np.array_equal(simulation.model.body_mass, before[0])


def test_nominal_draws_change_nothing() -> None:
    _, models = drawn("walker-walk", mass=uniform(0.5, 2.0), friction=uniform(0.5, 2.0))
    assert models.changes(np.ones((1, len(models.randomizer.columns)))) == [{}]


def test_actuators_of_tendons_have_a_strength_too() -> None:
    simulation, models = drawn("point_mass-easy", motor_strength=uniform(0.5, 1.0))
    assert len(models.randomizer.columns) == simulation.model.nu == 2
    changes = models.changes(np.array([[0.5, 1.0]]))[0]
    before = simulation.model.actuator_gainprm[:, 0].copy()
    apply_changes(simulation.model, changes)
    np.testing.assert_allclose(simulation.model.actuator_gainprm[:, 0], before * [0.5, 1.0])


def test_gravity_is_drawn() -> None:
    simulation, models = drawn("pendulum-swingup", gravity=uniform(-1.0, 1.0, target="z"))
    apply_changes(simulation.model, models.changes(np.array([[1.0]]))[0])
    assert simulation.model.opt.gravity[2] == pytest.approx(-8.81)


def test_draws_count_from_the_model_of_the_task_whatever_was_drawn_before() -> None:
    simulation, models = drawn("cheetah-run", friction=uniform(0.5, 2.0))
    columns = len(models.randomizer.columns)
    once = models.changes(np.full((1, columns), 2.0))[0]
    simulation.begin(1, once)
    again = models.changes(np.full((1, columns), 2.0))[0]
    assert np.array_equal(once["geom_friction"][1], again["geom_friction"][1])


@pytest.mark.parametrize("name", ["encoder_noise", "action_latency_ms", "push_interval_s", "dead_zone"])
def test_what_does_not_act_on_a_task_is_refused_by_name(name: str) -> None:
    with pytest.raises(UserError, match=rf"randomization.{name}: {name} does not act on cheetah-run"):
        drawn("cheetah-run", **{name: uniform(0.1, 0.2)})


def test_a_pattern_that_matches_nothing_names_the_nearest() -> None:
    with pytest.raises(UserError, match="torso"):
        drawn("cheetah-run", mass=uniform(0.5, 2.0, target="torzo"))


def test_a_description_has_the_joints_that_turn_or_slide() -> None:
    model = Simulation("dm_control/fish-swim").model
    robot = describe("fish", model)
    scalar = (model.jnt_type >= int(mujoco.mjtJoint.mjJNT_SLIDE)).sum()
    assert len(robot.joints) == scalar == model.njnt - 1  # all but the free one
    assert len(robot.actuators) == model.nu
