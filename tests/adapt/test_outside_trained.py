"""A robot outside of what a policy has met."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from simreal.adapt.outside_trained import outside_trained
from simreal.cli.main import cli
from simreal.contract import Contract
from simreal.experiment import load_experiment
from simreal.make_environment import make_environment
from simreal.randomization.posterior import Posterior, PosteriorParameter, write_posterior
from simreal.robots.policies import shipped_policies
from tests.adapt.posteriors import damped_arm


@pytest.fixture
def contract() -> Contract:
    experiment = load_experiment("qube_swingup")
    return make_environment(experiment, 1, threads=1).contract


def test_a_robot_outside_of_what_a_policy_has_met_is_named(contract: Contract) -> None:
    (remark,) = outside_trained(damped_arm(9.0), contract)
    assert remark.startswith(
        "your robot lies outside the range this policy was trained for: joint damping of arm is "
    )
    assert outside_trained(damped_arm(1.0), contract) == []


def test_what_matters_comes_first_and_the_rest_in_a_line_each(contract: Contract) -> None:
    """Of a log that tells little: see the stranger's robot, whose encoder was "outside" by 2e-6 rad."""
    random = np.random.default_rng(1)
    columns = (
        ("encoder_bias[arm]", "rad", "absolute", -0.2, 0.2, 0.0, 2e-6),
        ("encoder_bias[pendulum]", "rad", "absolute", -0.2, 0.2, 0.05, 1e-3),
        ("joint_damping[arm]", "1", "scale", 0.0, 40.0, 30.0, 0.1),
        ("torque_offset[motor]", "N·m", "absolute", -0.5, 0.5, 0.0, 0.1),
    )
    parameters = tuple(
        PosteriorParameter(name=name, unit=unit, operation=operation, low=low, high=high)  # type: ignore[arg-type]
        for name, unit, operation, low, high, _, _ in columns
    )
    centre, spread = np.array([each[-2:] for each in columns]).T
    rows = centre + spread * random.standard_normal((200, 4))
    posterior = Posterior(robot="qube", parameters=parameters, samples=tuple(map(tuple, rows.tolist())))
    remarks = outside_trained(posterior, contract.model_copy(update={"trained_ranges": ()}))
    outside = "your robot lies outside the range this policy was trained for: "
    assert [remark.startswith(outside) for remark in remarks] == [True, True, False, False]
    assert "joint damping of arm" in remarks[0]
    assert "encoder bias of pendulum" in remarks[1]
    assert remarks[2].startswith(
        "the logs leave open whether your robot lies outside: torque offset of motor"
    )
    assert remarks[3] == "outside by less than is noticeable: encoder bias of arm"


def test_a_shipped_policy_is_held_against_a_robot_by_command(tmp_path: Path) -> None:
    column = PosteriorParameter(
        name="joint_damping[FL_calf_joint]", unit="1", operation="scale", low=0.0, high=40.0
    )
    for factor, said in (
        (30.0, "outside the range this policy was trained for: joint damping of FL_calf_joint is 3.6"),
        (1.0, "your robot lies within the ranges this policy was trained for"),
    ):
        path = tmp_path / f"{factor}.yaml"
        write_posterior(path, Posterior(robot="go2", parameters=(column,), samples=((factor,),) * 3))
        policy = str(shipped_policies()["go2_velocity"])
        result = CliRunner().invoke(cli, ["inspect", policy, "--identified", str(path)])
        assert result.exit_code == 0, result.output
        assert said in result.output
