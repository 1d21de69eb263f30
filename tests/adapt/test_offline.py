"""Learning from transitions alone, on a problem whose best policy is known: to go home."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from simreal.adapt.coverage import amount, exploration, split, support, tried
from simreal.adapt.offline import Actor, Critics, Learner, OfflineConfig
from simreal.adapt.transitions import Transitions
from simreal.config import parse
from simreal.errors import UserError

torch.set_num_threads(1)

DISCOUNT = 0.9


def advance(place: np.ndarray, action: np.ndarray) -> np.ndarray:
    return np.clip(place + 0.3 * action, -2.0, 2.0)


def recorded(spread: float, number: int = 4000, seed: int = 0) -> Transitions:
    """A policy that does nothing, with noise of a spread on it, in stretches of 40 steps."""
    rng = np.random.default_rng(seed)
    places, actions, following = [], [], []
    for _ in range(number // 40):
        place = rng.uniform(-1.5, 1.5, 1)
        for _ in range(40):
            action = np.clip(spread * rng.standard_normal(1), -1.0, 1.0)
            places.append(place)
            actions.append(action)
            place = advance(place, action)
            following.append(place)
    arrays = [np.array(each, dtype=np.float32) for each in (places, actions, following)]
    return Transitions(
        arrays[0],
        arrays[1],
        (-(arrays[2] ** 2)[:, 0]).astype(np.float32),
        arrays[2],
        np.zeros(len(places), dtype=bool),
        np.repeat(np.arange(number // 40), 40),
    )


def still() -> Actor:
    """The policy that was recorded: nothing."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    for parameter in network[2].parameters():
        nn.init.zeros_(parameter)
    return Actor(network, nn.Hardtanh(-1.0, 1.0))


def cost(actor: Actor) -> float:
    """Mean squared distance from home over 20 steps."""
    place = np.linspace(-1.5, 1.5, 31)[:, None]
    total = 0.0
    for _ in range(20):
        with torch.no_grad():
            action = actor(torch.as_tensor(place, dtype=torch.float32)).numpy()
        place = advance(place, np.clip(action, -1.0, 1.0))
        total += float(np.mean(place**2)) / 20
    return total


@pytest.mark.long
@pytest.mark.parametrize("algorithm", ["td3_bc", "iql"])
def test_both_go_home_and_the_logs_support_a_step_of_it(algorithm: str) -> None:
    data, actor = recorded(0.5), still()
    base = copy.deepcopy(actor)
    learned, kept = split(data)
    config = OfflineConfig(algorithm=algorithm, updates=1500, batch_size=128, learning_rate=1e-3)  # type: ignore[arg-type]
    learner = Learner(actor, learned, DISCOUNT, config, 0)
    learner.learn()
    assert cost(actor) < 0.6 * cost(base)
    # Both go as far as actions reach, where little was recorded; a fifth of the way is supported.
    coverage = support(learned, kept, base, lambda seen: 0.2 * actor(seen), learner.critics)
    assert not coverage.objections
    assert exploration(learned, base).passed and amount(learned).passed


def test_what_was_kept_is_the_end_of_each_stretch() -> None:
    data = recorded(0.5, 400)
    learned, kept = split(data)
    assert (len(learned), len(kept)) == (320, 80)
    for run in range(10):
        whole = data.observation[data.run == run]
        np.testing.assert_array_equal(learned.observation[learned.run == run], whole[:32])
        np.testing.assert_array_equal(kept.observation[kept.run == run], whole[32:])


def test_logs_in_which_nothing_else_was_tried_support_nothing() -> None:
    data = recorded(0.0)
    check = exploration(data, still())
    assert not check.passed and "record with" in check.text
    few = amount(replace(recorded(0.5, 400), limited=30, broken=2))
    assert not few.passed
    assert (
        "30 left out since a limit stood between" in few.text and "2 left out since the next" in few.text
    )


class Always(nn.Module):
    """Whatever it sees, the same action."""

    def __init__(self, action: float) -> None:
        super().__init__()
        self.action = action

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        return torch.full((len(observation), 1), self.action)


def test_a_change_to_what_was_not_tried_is_not_supported() -> None:
    learned, kept = split(recorded(0.1))
    coverage = support(learned, kept, still(), Always(1.0), Critics(2, 5))
    failed = {check.name for check in coverage.checks if not check.passed}
    assert {"move", "neighbours"} <= failed
    assert any("the logs tried" in each for each in coverage.objections)


def test_no_change_is_near_what_is_recorded_and_no_gain() -> None:
    learned, kept = split(recorded(0.3))
    base = still()
    coverage = {each.name: each for each in support(learned, kept, base, base, Critics(2, 5)).checks}
    assert coverage["move"].found == 0.0 and coverage["move"].passed
    assert coverage["neighbours"].passed
    assert not coverage["gain"].passed


def test_exploration_is_what_actions_leave_the_policy_by() -> None:
    assert tried(recorded(0.2, 8000), still()) == pytest.approx(0.2, rel=0.05)


def test_critics_share_nothing_and_each_sees_observation_and_action() -> None:
    torch.manual_seed(1)
    critics = Critics(3, 4)
    observation, action = torch.randn(6, 2), torch.randn(6, 1)
    before = critics(observation, action)
    assert before.shape == (4, 6)
    with torch.no_grad():
        critics.weights[0][2] += 1.0
    after = critics(observation, action)
    assert torch.equal(before[[0, 1, 3]], after[[0, 1, 3]])
    assert not torch.equal(before[2], after[2])
    assert not torch.equal(after, critics(observation, action + 1.0))


def test_a_policy_beyond_its_limits_can_come_back() -> None:
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, 0.0)
    nn.init.constant_(network.bias, 3.0)
    actor = Actor(network, nn.Hardtanh(-1.0, 1.0))
    action = actor(torch.zeros(2, 1))
    assert action.tolist() == [[1.0], [1.0]]
    action.sum().backward()
    assert network.bias.grad is not None and float(network.bias.grad) == 2.0


def test_a_batch_of_one_which_has_no_spread_is_refused() -> None:
    with pytest.raises(UserError, match="batch_size"):
        parse(OfflineConfig, {"batch_size": 1})
