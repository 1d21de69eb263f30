"""On a problem that both can do, simreal and MuJoCo's own identification agree."""

import numpy as np
import pytest

from simreal.bench.identify_sysid import side_by_side
from simreal.bench.identify_truth import synthetic
from simreal.identification.simulator import Setup
from simreal.robots import load_robot

TRUTH = {
    "torque_constant": 1.1,
    "mass[arm]": 1.2,
    "joint_frictionloss[arm]": 1.6,
    "joint_stiffness[arm]": 1.5,
}


@pytest.mark.long
def test_both_find_the_same_robot() -> None:
    if not hasattr(pytest.importorskip("mujoco.sysid"), "optimize"):
        pytest.skip("mujoco.sysid without its extra: pip install 'mujoco[sysid]'")
    values = np.array(list(TRUTH.values()))
    recording = synthetic(Setup(load_robot("qube")), tuple(TRUTH), values, 9.0, np.random.default_rng(0))
    result = side_by_side([recording], 6, print)
    ours, theirs = result["simreal"], result["mujoco.sysid"]
    assert result["unknowns"][0].startswith("motor_strength")
    assert ours["cost"] <= theirs["cost"]
    # Damping and friction of so slow an arm trade places; motor, mass and spring do not.
    for place in (0, 1, 4):
        assert ours["values"][place] == pytest.approx(theirs["values"][place], rel=0.1)
