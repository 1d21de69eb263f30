"""Pieces of RLPD by hand: halves, targets of an ensemble, a residual that begins as nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from simreal.adapt.offline import Critics
from simreal.adapt.online_learner import (
    CRITICS,
    Experience,
    FrozenPolicy,
    OnlineLearner,
    half_and_half,
)
from simreal.adapt.transitions import Transitions
from simreal.agents.config import ResidualPolicyConfig
from simreal.agents.residual_policy import ResidualPolicy
from simreal.errors import UserError

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
        torch.tensor([DISCOUNT, 0.0]).repeat(count)[:count],
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


def test_targets_are_the_lower_of_two_of_ten_critics() -> None:
    made, batch = learner(), experience(8, 5.0)
    with torch.no_grad():
        made.targets.weights[-1].normal_()
    assert len(made.targets.weights[0]) == CRITICS == 10
    state = made._random.get_state()
    found = made.target(batch)
    made._random.set_state(state)
    with torch.no_grad():
        action = made.smoothed(batch.next_observation, batch.next_base)
    pair = torch.randperm(10, generator=made._random)[:2]
    values = made.targets(batch.next_observation, action).detach()
    assert values.shape == (10, 8)
    for row in range(8):
        lower = min(float(values[pair[0], row]), float(values[pair[1], row]))
        following = DISCOUNT * lower if row % 2 == 0 else 0.0
        assert float(found[row]) == pytest.approx((1 - DISCOUNT) * 5.0 + following, abs=1e-5)


class Idle(nn.Module):
    """A policy that does nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.normalizer, self.squash = nn.Identity(), nn.Identity()
        self.network = lambda seen: torch.zeros(len(seen), 1)


def steps_of(lengths: list[int], falls: bool = False, gap: int | None = None) -> Transitions:
    """Episodes in which the observation counts the steps, and the reward is that count."""
    parts = [np.arange(length, dtype=np.float32) + 100.0 * place for place, length in enumerate(lengths)]
    seen = np.concatenate(parts).astype(np.float32)
    run = np.repeat(np.arange(len(lengths)), lengths)
    terminated = np.zeros(len(seen), dtype=bool)
    terminated[-1] = falls
    data = Transitions(
        seen[:, None], np.zeros((len(seen), 1), np.float32), seen, seen[:, None] + 1.0, terminated, run
    )
    return data if gap is None else data.rows(np.arange(len(seen)) != gap)


def test_several_steps_are_counted_before_what_follows() -> None:
    policy = FrozenPolicy(Idle())  # type: ignore[arg-type]
    data = steps_of([6, 3])
    found = Experience.of(data, policy, 0.5, 3)
    first = 0.0 + 0.5 * 1.0 + 0.25 * 2.0
    assert float(found.reward[0]) == pytest.approx(first)
    assert float(found.next_observation[0, 0]) == 3.0 and float(found.discount[0]) == 0.125
    # At the end of an episode fewer steps are left, and its last state stands for what follows.
    assert [float(each) for each in found.next_observation[3:6, 0]] == [6.0, 6.0, 6.0]
    assert [float(each) for each in found.discount[3:6]] == [0.125, 0.25, 0.5]
    assert float(found.reward[8]) == 102.0
    one = Experience.of(data, policy, 0.5)
    np.testing.assert_array_equal(one.reward, data.reward)
    np.testing.assert_array_equal(one.discount, np.full(9, 0.5, np.float32))


def test_nothing_follows_a_fall_and_no_step_reaches_over_a_gap() -> None:
    policy = FrozenPolicy(Idle())  # type: ignore[arg-type]
    fallen = Experience.of(steps_of([5], falls=True), policy, 0.5, 3)
    assert [float(each) for each in fallen.discount] == [0.125, 0.125, 0.0, 0.0, 0.0]
    gapped = Experience.of(steps_of([6], gap=3), policy, 0.5, 3)
    assert [float(each) for each in gapped.next_observation[:, 0]] == [3.0, 3.0, 3.0, 6.0, 6.0]


def test_layer_norm_keeps_values_of_actions_far_from_data_bounded() -> None:
    torch.manual_seed(0)
    critics = Critics(SIZE + ACTUATORS, CRITICS, 16)
    near, far = (critics(torch.zeros(4, SIZE), scale * torch.ones(4, ACTUATORS)) for scale in (1.0, 1e4))
    assert far.abs().max() < 20.0 * near.abs().max() + 20.0


def test_learning_goes_on_where_it_was_written(tmp_path: Path) -> None:
    one, data = learner(), experience(300, 1.0)
    one.learn(data, data, 6, 32, True, lambda: True)
    one.save(tmp_path / "learner.pt")
    other = learner(seed=5)
    other.load(tmp_path / "learner.pt")
    for each in (one, other):
        each.learn(data, data, 12, 32, True, lambda: True)
    assert one.updates == other.updates == 12
    for left, right in zip(one.critics.parameters(), other.critics.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)
    for left, right in zip(one.residual.parameters(), other.residual.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)


def test_while_it_warms_up_the_policy_stays_as_it_is() -> None:
    made, data = learner(), experience(300, 1.0)
    before = [each.clone() for each in made.residual.parameters()]
    made.learn(data, data, 20, 32, False, lambda: True)
    assert all(torch.equal(*pair) for pair in zip(before, made.residual.parameters(), strict=True))
    stopped_at = made.updates
    made.learn(data, data, 1000, 32, True, lambda: False)
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
            unit = policy.residual.unit(place, base) + 0.5 * explores * torch.randn(base.shape)
            action = policy.residual.around(base, unit.clamp(-1.0, 1.0))
        after = place + 0.3 * action
        reward = -(after[:, 0] ** 2)
        total += float(reward.mean()) / steps
        rows.append(
            Experience(
                place,
                base,
                action,
                reward,
                after,
                (0.3 - after).clamp(-1, 1),
                torch.full((40,), DISCOUNT),
            )
        )
        place = after
    return Experience(*map(torch.cat, zip(*(each.parts() for each in rows), strict=True))), total


def test_it_takes_a_bias_from_a_frozen_policy_with_few_steps() -> None:
    torch.manual_seed(0)
    residual = ResidualPolicy(1, 1, ResidualPolicyConfig(width=0.4, hidden_layers=(16,)))
    made = OnlineLearner(residual, 1, 1, DISCOUNT, 3e-3, 0, hidden=16)
    robot, _ = drift(made, 20, explores=True)
    _, before = drift(made, 30, explores=False)
    made.learn(robot, robot, 300, 64, False, lambda: True)  # critics alone, at first
    for part in (1, 2):
        made.learn(robot, robot, 300 + 150 * part, 64, True, lambda: True)
        robot = robot.then(drift(made, 20, explores=True)[0])
    _, after = drift(made, 30, explores=False)
    assert before < -0.08
    assert after > 0.3 * before


@pytest.mark.parametrize("content", [b"", b"\x80\x04\x95 a pickle", None])
def test_a_damaged_or_hostile_state_is_one_message(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "learner.pt"
    if content is None:
        torch.save({"updates": 3}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"learner\.pt: cannot be read \(.*begin another --run"):
        learner().load(path)
