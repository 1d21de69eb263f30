"""Pieces of RLPD by hand: halves, targets of an ensemble, a residual that begins as nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from simreal.adapt.offline import Critics
from simreal.adapt.online_learner import CRITICS, Experience, OnlineLearner, half_and_half
from simreal.agents.config import ResidualPolicyConfig
from simreal.agents.residual import ResidualPolicy

torch.set_num_threads(1)
SIZE, ACTUATORS, DISCOUNT = 3, 2, 0.9


def experience(
    count: int, mark: float = 0.0, size: int = SIZE, actuators: int = ACTUATORS
) -> Experience:
    random = torch.Generator().manual_seed(int(mark) + count)
    return Experience(
        torch.randn(count, size, generator=random),
        torch.rand(count, actuators, generator=random) - 0.5,
        torch.rand(count, actuators, generator=random) - 0.5,
        torch.full((count,), mark),
        torch.randn(count, size, generator=random),
        torch.rand(count, actuators, generator=random) - 0.5,
        torch.tensor([1.0, 0.0]).repeat(count)[:count],
    )


def learner(seed: int = 0, width: float = 0.3) -> OnlineLearner:
    torch.manual_seed(seed)
    residual = ResidualPolicy(SIZE, ACTUATORS, ResidualPolicyConfig(width=width, hidden_layers=(16,)))
    return OnlineLearner(residual, SIZE, ACTUATORS, DISCOUNT, 1e-3, seed, hidden=16)


@pytest.mark.parametrize(
    ("logs", "robot", "from_logs"), [(500, 30, 32), (0, 30, 0), (500, 0, 64), (1, 10_000, 32)]
)
def test_half_of_a_batch_is_from_logs_and_half_from_the_robot(
    logs: int, robot: int, from_logs: int
) -> None:
    random = torch.Generator().manual_seed(0)
    batch = half_and_half(experience(logs, 1.0), experience(robot, 2.0), 64, random)
    assert len(batch) == 64
    assert int((batch.reward == 1.0).sum()) == from_logs


def test_a_residual_begins_as_nothing_and_never_leaves_its_width() -> None:
    residual = ResidualPolicy(SIZE, ACTUATORS, ResidualPolicyConfig(width=0.3))
    batch = experience(200)
    torch.testing.assert_close(residual(batch.observation, batch.base), batch.base)
    torch.nn.init.normal_(residual.out.weight, std=10.0)
    moved = residual(batch.observation, 3.0 * batch.base)
    assert moved.abs().max() <= 1.0
    assert (moved - (3.0 * batch.base).clamp(-1, 1)).abs().max() <= 0.3 + 1e-6
    assert (moved - 3.0 * batch.base).abs().max() > 0.2


def test_targets_are_the_lower_of_two_of_ten_critics_less_the_entropys_share() -> None:
    made, batch = learner(), experience(8, 5.0)
    assert len(made.targets.weights[0]) == CRITICS == 10
    state = made._random.get_state()
    found = made.target(batch)
    made._random.set_state(state)
    with torch.no_grad():
        action, log_density = made.sample(batch.next_observation, batch.next_base)
    pair = torch.randperm(10, generator=made._random)[:2]
    values = made.targets(batch.next_observation, action).detach()
    assert values.shape == (10, 8)
    for row in range(8):
        lower = min(float(values[pair[0], row]), float(values[pair[1], row]))
        following = lower - 0.1 * (1 - DISCOUNT) * float(log_density[row])
        expected = (1 - DISCOUNT) * 5.0 + DISCOUNT * (following if row % 2 == 0 else 0.0)
        assert float(found[row]) == pytest.approx(expected, abs=1e-5)


def test_the_density_is_that_of_the_tanh() -> None:
    made = learner()
    observation, base = torch.zeros(1, SIZE), torch.zeros(1, ACTUATORS)
    many = (observation.expand(200_000, -1), base.expand(200_000, -1))
    action, log_density = made.sample(*many)
    unit = action / made.residual.width
    # Of a density, the mean of 1/density over its own samples is the size of where it lives: [-1, 1]².
    inside = unit.abs().max(dim=1).values < 0.5
    assert float((inside / log_density.detach().exp()).mean()) == pytest.approx(1.0, abs=0.05)


def test_layer_norm_keeps_values_of_actions_far_from_data_bounded() -> None:
    torch.manual_seed(0)
    critics = Critics(SIZE + ACTUATORS, CRITICS, 16)
    near, far = (critics(torch.zeros(4, SIZE), scale * torch.ones(4, ACTUATORS)) for scale in (1.0, 1e4))
    assert far.abs().max() < 20.0 * near.abs().max() + 20.0


def test_learning_goes_on_where_it_was_written(tmp_path: Path) -> None:
    one, data = learner(), experience(300, 1.0)
    one.learn(data, data, 6, 32, 2, lambda: True)
    one.save(tmp_path / "learner.pt")
    other = learner(seed=5)
    other.load(tmp_path / "learner.pt")
    for each in (one, other):
        each.learn(data, data, 12, 32, 2, lambda: True)
    assert one.updates == other.updates == 12
    for left, right in zip(one.critics.parameters(), other.critics.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)
    for left, right in zip(one.residual.parameters(), other.residual.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)


def test_while_it_warms_up_the_policy_stays_as_it_is() -> None:
    made, data = learner(), experience(300, 1.0)
    before = [each.clone() for each in made.residual.parameters()]
    made.learn(data, data, 20, 32, None, lambda: True)
    assert all(torch.equal(*pair) for pair in zip(before, made.residual.parameters(), strict=True))
    stopped_at = made.updates
    made.learn(data, data, 1000, 32, 1, lambda: False)
    assert made.updates - stopped_at < 60
    assert not all(torch.equal(*pair) for pair in zip(before, made.residual.parameters(), strict=True))


def drift(policy: OnlineLearner, steps: int, explores: bool) -> tuple[Experience, float]:
    """A tiny robot: masses on a line, which the frozen policy brings beside where they shall be."""
    random = np.random.default_rng(steps)
    place = torch.from_numpy(random.uniform(-1, 1, (40, 1))).float()
    rows, total = [], 0.0
    for _ in range(steps):
        base = (-place + 0.3).clamp(-1, 1)
        with torch.no_grad():
            action = policy.sample(place, base)[0] if explores else policy.residual(place, base)
        after = place + 0.3 * action
        reward = -(after[:, 0] ** 2)
        total += float(reward.mean()) / steps
        rows.append(
            Experience(place, base, action, reward, after, (0.3 - after).clamp(-1, 1), torch.ones(40))
        )
        place = after
    return Experience(*map(torch.cat, zip(*(each.parts() for each in rows), strict=True))), total


def test_it_takes_a_bias_from_a_frozen_policy_with_few_steps() -> None:
    torch.manual_seed(0)
    residual = ResidualPolicy(1, 1, ResidualPolicyConfig(width=0.4, hidden_layers=(16,)))
    made = OnlineLearner(residual, 1, 1, DISCOUNT, 3e-3, 0, hidden=16)
    robot, _ = drift(made, 20, explores=True)
    _, before = drift(made, 30, explores=False)
    made.learn(robot, robot, 300, 64, None, lambda: True)  # critics alone, at first
    for part in (1, 2):
        made.learn(robot, robot, 300 + 150 * part, 64, 1, lambda: True)
        robot = robot.then(drift(made, 20, explores=True)[0])
    _, after = drift(made, 30, explores=False)
    assert before < -0.08
    assert after > 0.3 * before
