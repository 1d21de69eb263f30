"""What an identification may say of a robot."""

from pathlib import Path

import pytest

from simreal.adapt.identified_robot import refuse_misfits
from simreal.adapt.posterior_override import randomization_override
from simreal.adapt.residual_fit import known_robot
from simreal.adapt.worlds import mix_worlds
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.randomization.build import build_world
from simreal.randomization.parameters import Operation
from simreal.randomization.posterior import Posterior, PosteriorParameter, write_posterior
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
