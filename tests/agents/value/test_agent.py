"""Targets by hand, and agents that solve what they should."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib import QRDQN
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import EvalCallback, StopTrainingOnRewardThreshold
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.torch_layers import NatureCNN

from simreal.agents.value.agent import ValueAgent
from simreal.agents.value.experience import Experience
from simreal.agents.value.image_replay import ImageReplay
from simreal.agents.value.variants import variants

ARGUMENTS = variants((0.0, 100.0))


class Corridor(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Two observations, three actions: nothing to learn, shapes to try."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(3)

    def reset(self, **kwargs: Any) -> tuple[NDArray[np.float32], dict[str, Any]]:
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros(2, np.float32), 0.0, True, False, {}


def agent(**arguments: Any) -> ValueAgent:
    network = {"net_arch": [4]}
    return ValueAgent(Corridor(), seed=0, buffer_size=10, policy_kwargs=network, **arguments)


def tell(network: Any, values: list[list[float]]) -> None:
    """Make a network say these values of observations (1, 0), (0, 1), whatever is in it."""
    table = torch.tensor(values)
    network.forward = lambda seen: seen @ table
    network.logits = lambda seen: (seen @ table)[..., None]


def transitions(rewards: list[float], discounts: list[float]) -> Experience:
    count = len(rewards)
    seen, after = torch.tensor([[1.0, 0.0]] * count), torch.tensor([[0.0, 1.0]] * count)
    column = [torch.tensor(x)[:, None] for x in (rewards, discounts, [1.0] * count)]
    actions = torch.tensor([[1]] * count)
    return Experience(seen, actions, column[0], after, column[1], column[2], np.arange(count))


def test_the_target_of_a_plain_network_by_hand() -> None:
    made = agent()
    tell(made.q_net, [[0.0, 1.5, 0.0], [9.0, 0.0, 0.0]])
    tell(made.q_net_target, [[0.0, 0.0, 0.0], [1.0, 5.0, 2.0]])
    drawn = transitions([1.0, 1.0], [0.9, 0.0])
    assert made.targets(drawn)[:, 0].tolist() == pytest.approx([1.0 + 0.9 * 5.0, 1.0])
    error, loss = made.errors_and_loss(drawn)
    assert error.tolist() == pytest.approx([4.0, 0.5])
    assert float(loss) == pytest.approx(0.5 * (3.5 + 0.125))  # Huber: |e| - 1/2 and e^2 / 2


def test_a_double_network_chooses_by_one_and_values_by_the_other() -> None:
    made = agent(double=True)
    tell(made.q_net, [[0.0, 0.0, 0.0], [9.0, 0.0, 0.0]])
    tell(made.q_net_target, [[0.0, 0.0, 0.0], [1.0, 5.0, 2.0]])
    assert made.targets(transitions([1.0], [0.9])).item() == pytest.approx(1.0 + 0.9 * 1.0)


def test_a_duelling_network_has_advantages_of_mean_zero_beside_a_value() -> None:
    made = agent(duelling=True)
    seen = torch.randn(5, 2)
    network = made.q_net
    features = network.body(seen)
    values = network(seen)
    torch.testing.assert_close(values.mean(dim=1), network.value(features)[:, 0])
    spread = network.advantage(features)
    torch.testing.assert_close(
        values - values.mean(1, keepdim=True), spread - spread.mean(1, keepdim=True)
    )


def test_weights_weigh_the_loss_and_not_the_errors() -> None:
    made = agent()
    tell(made.q_net, [[0.0, 0.0, 0.0]] * 2)
    tell(made.q_net_target, [[0.0, 0.0, 0.0]] * 2)
    drawn = transitions([2.0, 2.0], [0.0, 0.0])._replace(weights=torch.tensor([[1.0], [0.5]]))
    error, loss = made.errors_and_loss(drawn)
    assert error.tolist() == [2.0, 2.0]
    assert float(loss) == pytest.approx((1.5 + 0.75) / 2)


def test_the_target_of_a_distribution_by_hand() -> None:
    made = agent(atom_range=(0.0, 2.0), atom_count=3)
    certain = torch.tensor([[[9e9, 0.0, 0.0], [0.0, 0.0, 9e9], [0.0, 9e9, 0.0]]])
    made.q_net_target.logits = lambda seen: certain.expand(len(seen), 3, 3)  # type: ignore[method-assign]
    target = made.targets(transitions([0.25, 0.25], [0.5, 0.0]))
    np.testing.assert_allclose(target, [[0.0, 0.75, 0.25], [0.75, 0.25, 0.0]], atol=1e-6)
    flat = torch.zeros(1, 3, 3)
    made.q_net.logits = lambda seen: flat.expand(len(seen), 3, 3)  # type: ignore[method-assign]
    error, _ = made.errors_and_loss(transitions([0.25], [0.5]))
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert error.item() == pytest.approx(np.log(3.0) - entropy)  # divergence of an even distribution
    learnt = torch.log(torch.tensor([[[1e-12, 0.75, 0.25]] * 3]))
    made.q_net.logits = lambda seen: learnt.expand(len(seen), 3, 3)  # type: ignore[method-assign]
    error, _ = made.errors_and_loss(transitions([0.25], [0.5]))
    assert error.item() == pytest.approx(
        0.0, abs=1e-6
    )  # what is known is not drawn again for its spread


def test_the_target_of_rainbow_by_hand() -> None:
    """It chooses by its own means, and moves the distribution of the target network."""
    made = agent(**variants((0.0, 2.0))["rainbow"] | {"atom_count": 3})
    made.q_net.forward = lambda seen: torch.tensor([[2.0, 1.0, 0.0]])  # type: ignore[method-assign]
    split, certain = [0.0, -9e9, 0.0], [-9e9, -9e9, 0.0]
    theirs = torch.tensor([[split, certain, certain]])
    made.q_net_target.logits = lambda seen: theirs  # type: ignore[method-assign]
    target = made.targets(transitions([0.25], [0.5]))
    np.testing.assert_allclose(target, [[0.375, 0.5, 0.125]], atol=1e-6)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_variant_learns_and_moves_every_parameter(name: str) -> None:
    made = ValueAgent(
        gymnasium.make("CartPole-v1"),
        seed=0,
        buffer_size=500,
        learning_starts=50,
        policy_kwargs={"net_arch": [8, 8]},
        **ARGUMENTS[name],
    )
    before = [each.clone() for each in made.q_net.parameters()]
    made.learn(200)
    changed = zip(made.q_net.parameters(), before, strict=True)
    assert all((new != old).any() for new, old in changed)
    assert all(torch.isfinite(each).all() for each in made.q_net.parameters())


class Blinking(gymnasium.Env[NDArray[np.uint8], np.int64]):
    """A lamp, on or off, in the newest of two images of 36 x 36; the action that names it is right."""

    observation_space = spaces.Box(0, 255, (2, 36, 36), np.uint8)
    action_space = spaces.Discrete(2)

    def reset(self, seed: int | None = None, **kwargs: Any) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        super().reset(seed=seed)
        self._images = np.zeros((2, 36, 36), np.uint8)
        self._steps = 0
        return self._next(), {}

    def _next(self) -> NDArray[np.uint8]:
        self._on = int(self.np_random.integers(2))
        self._images = np.stack([self._images[1], np.full((36, 36), 200 * self._on, np.uint8)])
        return self._images

    def step(self, action: Any) -> Any:
        reward, self._steps = float(int(action) == self._on), self._steps + 1
        return self._next(), reward, False, self._steps == 20, {}


def test_an_agent_that_sees_images_stores_each_once_and_learns_from_them() -> None:
    made = ValueAgent(
        Blinking(),
        seed=0,
        buffer_size=300,
        learning_starts=40,
        learning_rate=1e-3,
        train_freq=2,
        gamma=0.0,
        exploration_fraction=0.3,
        exploration_final_eps=0.0,
        double=True,
        policy_kwargs={"features_extractor_class": NatureCNN, "net_arch": [16]},
    )
    assert isinstance(made.replay_buffer, ImageReplay)
    made.learn(400)
    right = 0
    env = Blinking()
    seen, _ = env.reset(seed=1)
    for _ in range(19):
        action, _ = made.predict(seen, deterministic=True)
        seen, reward, *_ = env.step(action)
        right += reward
    assert right >= 18


def test_a_noisy_agent_explores_without_chance_and_not_when_asked_for_its_best() -> None:
    made = agent(noisy=True)
    with torch.no_grad():
        made.q_net.advantage[-1].weight_sigma.fill_(1.0)
        made.q_net.advantage[-1].bias_sigma.fill_(1.0)
    assert made.exploration_rate == 0.0
    seen = np.ones((200, 2), np.float32)
    assert len(set(made.predict(seen)[0].tolist())) > 1
    assert len(set(made.predict(seen, deterministic=True)[0].tolist())) == 1


def cart_pole_agent(name: str, seed: int) -> DQN | QRDQN:
    common: dict[str, Any] = {
        "env": gymnasium.make("CartPole-v1"),
        "seed": seed,
        "buffer_size": 50_000,
        "learning_starts": 1_000,
        "learning_rate": 1e-3,
        "batch_size": 64,
        "train_freq": 4,
        "gradient_steps": 2,
        "target_update_interval": 200,
        "exploration_fraction": 0.2,
        "exploration_final_eps": 0.04,
    }
    network: dict[str, Any] = {"net_arch": [128, 128]}
    if name == "qrdqn":
        return QRDQN("MlpPolicy", policy_kwargs=network | {"n_quantiles": 51}, **common)
    return ValueAgent(policy_kwargs=network, **common, **ARGUMENTS[name])


@pytest.mark.long
@pytest.mark.parametrize("name", [*ARGUMENTS, "qrdqn"])
def test_every_variant_solves_cartpole(name: str) -> None:
    """A mean return of 475 over 20 episodes, at some time in one of three trainings."""
    best = []
    for seed in range(3):
        solved = StopTrainingOnRewardThreshold(475.0)
        judge = Monitor(gymnasium.make("CartPole-v1"))
        judged = EvalCallback(judge, solved, n_eval_episodes=20, eval_freq=4_000, verbose=0)
        cart_pole_agent(name, seed).learn(50_000, judged)
        best.append(judged.best_mean_reward)
        if best[-1] >= 475.0:
            return
    pytest.fail(f"best mean returns {best}")
