"""What flies while a policy learns: bounds, recovery near limits, and a filter of what is added."""

import numpy as np
import pytest
import torch
from torch import nn

from simreal.adapt.action_bounds import ActionBounds, BoundsConfig
from simreal.adapt.action_filter import FilterConfig, Filtered
from simreal.adapt.explorer import CommandFilter, Explorer, Noise
from simreal.adapt.limit_monitor import MonitoredDriver
from simreal.adapt.online_learner import FrozenPolicy
from simreal.agents.config import ResidualPolicyConfig
from simreal.agents.residual_policy import ResidualPolicy
from simreal.contract import Contract
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.make_environment import make_environment
from simreal.robots.safety import SafetyConfig
from simreal.state import RobotState
from tests.adapt.toy_qube import ToyQube

torch.set_num_threads(1)
OBSERVATION = np.zeros(7, np.float32)


class Constant(nn.Module):
    """A base policy that always does the same."""

    def __init__(self, action: float) -> None:
        super().__init__()
        self.normalizer, self.squash = nn.Identity(), nn.Hardtanh(-1.0, 1.0)
        self.network = lambda seen: torch.full((len(seen), 1), action)


@pytest.fixture(scope="module")
def contract() -> Contract:
    return make_environment(load_experiment("qube_swingup"), 1, threads=1).contract


def explorer(
    contract: Contract,
    base: float,
    arm: float,
    explores: bool = True,
    keeps: CommandFilter | None = None,
    width: float = 0.2,
    velocity: float = 0.0,
) -> Explorer:
    residual = ResidualPolicy(7, 1, ResidualPolicyConfig(width=width))
    witness = MonitoredDriver(ToyQube(), SafetyConfig())
    witness.newest = RobotState(0.0, np.array([arm, 0.0]), np.array([velocity, 0.0]))
    bounds = ActionBounds(BoundsConfig(first=width, largest=max(width, 0.5)))
    policy = FrozenPolicy(Constant(base))  # type: ignore[arg-type]
    noise = Noise(1, 0.5, 0.0, 3)
    return Explorer(
        contract, policy, "0" * 64, residual if explores else None, bounds, witness, keeps, 0.8, noise
    )


@pytest.mark.parametrize("base", [-1.0, 0.0, 0.95, 7.0])
def test_actions_stay_within_the_bounds_and_the_range(contract: Contract, base: float) -> None:
    made = explorer(contract, base, 0.0)
    actions = np.array([made(OBSERVATION)[0] for _ in range(200)])
    middle = np.clip(base, -1, 1)
    assert np.abs(actions).max() <= 1.0
    assert 0.05 < np.abs(actions - middle).max() <= 0.2 + 1e-6
    assert made.furthest == pytest.approx(np.abs(actions - middle).max(), abs=1e-6)


def test_without_a_residual_and_near_a_limit_the_base_acts_alone(contract: Contract) -> None:
    for made, recovered in (
        (explorer(contract, 0.3, 0.0, explores=False), 0),
        (explorer(contract, 0.3, 1.7), 50),
        (explorer(contract, 0.3, -1.7), 50),
    ):
        actions = [made(OBSERVATION)[0] for _ in range(50)]
        np.testing.assert_allclose(actions, 0.3, rtol=1e-6)
        assert (made.recovered, made.furthest) == (recovered, 0.0)


def test_the_log_can_tell_what_flew(contract: Contract) -> None:
    alone, other = explorer(contract, 0.0, 0.0, explores=False), explorer(contract, 0.0, 0.0)
    assert len(alone.digest) == 64 and alone.digest != other.digest


def test_the_filter_takes_back_what_the_residual_adds_and_leaves_the_base(contract: Contract) -> None:
    pytest.importorskip("qpsolvers")
    keeps = CommandFilter(contract, FilterConfig())
    position, velocity = np.array([1.2, 0.0]), np.array([3.7, 0.0])  # on its way out
    for base, wanted in ((0.0, 0.4), (0.5, 1.0)):  # the base leads out, too, and is left to it
        found = keeps(np.array([wanted]), np.array([base]), position, velocity)
        assert found[0] == pytest.approx(base, abs=1e-6)
    found = keeps(np.array([0.1]), np.array([-0.5]), position, velocity)
    assert -0.5 < found[0] < 0.0  # as far as the model lets it
    inward = keeps(np.array([-0.9]), np.array([-0.5]), position, velocity)
    assert inward[0] == -0.9
    assert keeps.changes == 3


def test_steps_from_the_last_target_cannot_be_filtered(contract: Contract) -> None:
    mapping = contract.action.model_copy(update={"relative_to": "previous_target"})
    with pytest.raises(UserError, match="steps from the last target"):
        CommandFilter(contract.model_copy(update={"action": mapping}), FilterConfig())


def test_noise_lasts_as_long_as_it_is_told_and_is_as_large() -> None:
    noise = Noise(1, 0.5, 8.0, 0)
    values = np.array([float(noise()[0, 0]) for _ in range(40_000)])
    assert values.std() == pytest.approx(0.5, rel=0.05)
    later = np.corrcoef(values[:-8], values[8:])[0, 1]
    assert later == pytest.approx(np.exp(-1.0), abs=0.05)
    unlasting = Noise(1, 0.5, 0.0, 0)
    fresh = np.array([float(unlasting()[0, 0]) for _ in range(10_000)])
    assert abs(np.corrcoef(fresh[:-1], fresh[1:])[0, 1]) < 0.05


@pytest.mark.parametrize("state", [(np.nan, 0.0), (0.0, np.inf)])
def test_what_is_no_number_is_left_to_the_supervisor(
    contract: Contract, state: tuple[float, float]
) -> None:
    keeps, none, action = CommandFilter(contract, FilterConfig()), np.zeros(2), np.array([0.3])
    position, velocity = (np.array([each, 0.0]) for each in state)
    assert keeps(action, action, position, velocity) == action
    assert np.isnan(keeps(np.array([np.nan]), action, none, none)).all()
    assert keeps.changes == 0


def test_position_servos_have_no_filter_and_it_says_why() -> None:
    servos = make_environment(load_experiment("can_leg_posture"), 1, threads=1).contract
    with pytest.raises(UserError, match="position servos: hip, knee"):
        CommandFilter(servos, FilterConfig())


def test_only_steps_that_used_the_width_are_evidence_for_it(contract: Contract) -> None:
    """Neither those of the base alone, nor what a filter or the actions' range took back."""
    filters = CommandFilter(contract, FilterConfig())
    filters._filter = lambda *given: Filtered(given[3], changed=True)  # type: ignore[assignment]
    free, clipped = explorer(contract, 0.0, 0.0), explorer(contract, 1.0, 0.0)
    silent = [
        explorer(contract, 0.3, 1.7),
        explorer(contract, 0.3, 0.0, explores=False),
        explorer(contract, 0.3, 0.0, keeps=filters),
    ]
    for made in (free, clipped, *silent):
        for _ in range(200):
            made(OBSERVATION)
    assert 100 < free.explored < 150
    assert 0.3 * free.explored < clipped.explored < 0.7 * free.explored
    assert [each.explored for each in silent] == [0, 0, 0]
