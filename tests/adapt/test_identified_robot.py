"""What an identification may say of a robot."""

from pathlib import Path

import pytest

from simreal.adapt.identified_robot import refuse_misfits
from simreal.adapt.posterior_override import randomization_override
from simreal.adapt.residual_fit import known_robot
from simreal.adapt.worlds import mix_worlds
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.identification.identify import posterior_parameters
from simreal.identification.unknowns import read_asked, resolve
from simreal.make_environment import make_environment
from simreal.randomization.build import build_world
from simreal.randomization.parameters import PARAMETERS, Operation
from simreal.randomization.posterior import (
    Posterior,
    PosteriorParameter,
    read_posterior,
    write_posterior,
)
from simreal.robots import load_robot

FILE = Path("identified.yaml")


def posterior(name: str, operation: Operation, unit: str, value: float) -> Posterior:
    column = PosteriorParameter(name=name, unit=unit, operation=operation, low=-1e12, high=1e12)
    return Posterior(robot="qube", parameters=(column,), samples=((value,),))


@pytest.mark.parametrize(
    ("name", "operation", "unit", "sound", "nonsense"),
    [
        ("mass[arm]", "scale", "1", 2.5, 1e8),
        ("mass[arm]", "scale", "1", 0.4, 1e-6),
        ("joint_frictionloss[arm]", "absolute", "N·m", 0.05, 1e8),
        ("spring_reference[arm]", "absolute", "rad", -1.4, -1e8),
        ("action_latency_ms", "absolute", "ms", 35.0, 1e8),
        ("gravity", "add", "m/s²", 0.5, 1e8),
        ("joint_range[arm.upper]", "absolute", "rad", 2.5, 1e8),  # that no motion tells
    ],
)
def test_finite_nonsense_is_refused_by_its_name(
    name: str, operation: Operation, unit: str, sound: float, nonsense: float
) -> None:
    world = build_world(load_robot("qube"), 1, {}, {}, threads=1)
    refuse_misfits(posterior(name, operation, unit, sound), FILE, world)
    with pytest.raises(UserError, match=r"identified\.yaml: .*is beyond any qube \(") as refused:
        refuse_misfits(posterior(name, operation, unit, nonsense), FILE, world)
    assert f"{name}: {operation} {nonsense:g} " in str(refused.value)


def sought(robot: str, asked: str, *values: float) -> Posterior:
    """As `simreal identify --parameters` writes what it has found."""
    world = build_world(load_robot(robot), 1, {}, {}, threads=1)
    parameters = posterior_parameters(resolve([read_asked(asked)], world))
    rows = tuple((value,) * len(parameters) for value in values)
    return Posterior(robot=robot, parameters=parameters, samples=rows)


@pytest.mark.parametrize("name", ["kp", "kd", "joint_armature", "motor_strength", "joint_damping"])
def test_what_may_be_none_is_believed_at_a_bound_of_zero_wherever_it_is_drawn_from(
    name: str, tmp_path: Path
) -> None:
    file, experiment = tmp_path / "identified.yaml", load_experiment("can_leg_posture")
    found = sought("can_leg", f"{name}[*]=0:2", 0.0, 2e-4, 0.01)
    write_posterior(file, found)
    read = read_posterior(file)
    assert read == found
    mix_worlds(experiment, read, file, 0.0, rows=8)  # finetune and gate
    override, _ = randomization_override("can_leg_posture", (), file)
    make_environment(load_experiment("can_leg_posture", (override,)), 2, threads=1).reset()


@pytest.mark.parametrize(
    ("asked", "sound", "nonsense"),
    [
        ("mass[arm]=0.0001:2", 4e-4, 2e-4),
        ("mass[arm]=0.1:1e9", 2500.0, 3500.0),
        ("velocity_filter[arm]=0.0001:2", 3e-4, 1e-4),
        ("payload_mass[arm]=0:1e9", 4000.0, 6000.0),
        ("encoder_bias[arm]=-1e9:1e9", -150.0, -250.0),
    ],
)
def test_bounds_that_somebody_gave_are_believed_within_reason(
    asked: str, sound: float, nonsense: float
) -> None:
    world = build_world(load_robot("qube"), 1, {}, {}, threads=1)
    refuse_misfits(sought("qube", asked, sound), FILE, world)
    with pytest.raises(UserError, match="is beyond any qube"):
        refuse_misfits(sought("qube", asked, nonsense), FILE, world)


@pytest.mark.parametrize(
    "name", ["material_colour", "terrain_level", "residual_strength", "distractor_size", "kp"]
)
def test_a_parameter_that_acts_on_nothing_of_the_robot_is_refused(name: str) -> None:
    world = build_world(load_robot("qube"), 1, {}, {}, threads=1)
    unit = PARAMETERS[name].unit
    with pytest.raises(UserError, match=rf"{name}: robot qube has nothing that it acts on"):
        refuse_misfits(posterior(name, "absolute", unit, 0.5), FILE, world)


def test_whatever_draws_from_an_identification_refuses_nonsense(tmp_path: Path) -> None:
    file = tmp_path / "identified.yaml"
    wrong = posterior("mass[arm]", "scale", "1", 1e8)
    write_posterior(file, wrong)
    for use in (
        lambda: mix_worlds(load_experiment("qube_swingup"), wrong, file, 0.5),
        lambda: randomization_override("qube_swingup", (), file),
        lambda: known_robot(load_robot("qube"), False, file),
    ):
        with pytest.raises(UserError, match=r"identified\.yaml: mass\[arm\]: scale 1e\+08"):
            use()
