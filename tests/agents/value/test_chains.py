"""Short chains that separate improvements of the deep Q-network from plain DQN.

But for the noisy agent, experience is given.
"""

from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from simreal.agents.value.agent import ValueAgent
from simreal.agents.value.variants import variants

Step = tuple[int, int, float, int | None]
"""Place, action, reward, and the next place; none after an end."""


class Given(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Some places and actions; nobody goes there, all experience is given."""

    def __init__(self, places: int, actions: int) -> None:
        self.observation_space = spaces.Box(0.0, 1.0, (places,), np.float32)
        self.action_space = spaces.Discrete(actions)

    def reset(self, **kwargs: Any) -> tuple[NDArray[np.float32], dict[str, Any]]:
        return np.eye(self.observation_space.shape[0], dtype=np.float32)[0], {}


def made(
    name: str,
    seed: int,
    size: tuple[int, int],
    steps: Iterable[Step],
    returns: tuple[float, float] = (0.0, 1.0),
    hidden: tuple[int, ...] = (32,),
    **arguments: Any,
) -> ValueAgent:
    """An agent that remembers steps among (places, actions), and has learnt nothing yet."""
    agent = ValueAgent(
        Given(*size),
        seed=seed,
        buffer_size=20_000,
        policy_kwargs={"net_arch": list(hidden)},
        **{"learning_rate": 1e-3, "gamma": 0.9} | arguments,
        **variants(returns)[name],
    )
    agent._setup_learn(1)
    places = np.eye(size[0], dtype=np.float32)
    for place, action, reward, after in steps:
        then = places[0] if after is None else places[after]
        given: list[Any] = [places[place], then, action, reward, after is None]
        agent.replay_buffer.add(*(np.array([each]) for each in given), [{}])
    return agent


def learn(agent: ValueAgent, updates: int, batch: int = 16) -> None:
    """And let the target network follow."""
    agent.train(updates, batch)
    agent.q_net_target.load_state_dict(agent.q_net.state_dict())


def worth(agent: ValueAgent) -> NDArray[np.float32]:
    """(places, actions) what the agent thinks, without noise."""
    agent.policy.set_training_mode(False)
    with torch.no_grad():
        places = torch.eye(agent.observation_space.shape[0])  # type: ignore[index]
        values: NDArray[np.float32] = agent.q_net(places).numpy()
    return values


LENGTH = 9


def corridor() -> list[Step]:
    """Both actions lead to the next place; only the last step is rewarded."""
    ways = []
    for number in range(300):
        for place in range(LENGTH):
            end = place == LENGTH - 1
            ways.append((place, (number >> (place % 8)) % 2, float(end), None if end else place + 1))
    return ways


def known_start(name: str, seed: int) -> float:
    """What a start eight steps before the reward is thought worth after the target's fifth copy.

    As a share of what it is worth: by single steps news cannot have come so far.
    """
    agent = made(name, seed, (LENGTH, 2), corridor(), learning_rate=3e-3)
    for _ in range(5):
        learn(agent, 150)
    return float(worth(agent)[0].mean()) / 0.9 ** (LENGTH - 1)


@pytest.mark.long
@pytest.mark.parametrize("name", ["n_step", "rainbow"])
def test_rewards_of_several_steps_come_back_sooner(name: str) -> None:
    assert known_start("dqn", 0) < 0.5
    assert abs(known_start(name, 0) - 1.0) < 0.25


CLIFF, LIMIT = 8, 6000
ALONG = np.random.default_rng(0).integers(0, 2, CLIFF)


def walk(until: int) -> list[Step]:
    """A way along a cliff whose first wrong step is at a place; none if beyond the end."""
    steps: list[Step] = []
    for place in range(min(until + 1, CLIFF)):
        good = place < until
        end = not good or place == CLIFF - 1
        action = int(ALONG[place] if good else 1 - ALONG[place])
        steps.append((place, action, float(good and end), None if end else place + 1))
    return steps


def cliff() -> list[Step]:
    """The cliffwalk of Schaul et al., 2016: of ways as often as chance has them, one alone is rewarded.

    What the one tells must travel back through the whole chain.
    """
    failures = [walk(place) for place in range(CLIFF) for _ in range(2 ** (CLIFF - 1 - place))]
    return [step for way in (*failures, walk(CLIFF)) for step in way]


def updates_until_solved(name: str, seed: int) -> int:
    """Until every choice is right and the start is worth what it is, to a fifth."""
    agent = made(name, seed, (CLIFF, 2), cliff())
    true = 0.9 ** (CLIFF - 1)
    for update in range(25, LIMIT, 25):
        agent.train(25, 16)
        if update % 50 == 0:
            agent.q_net_target.load_state_dict(agent.q_net.state_dict())
        values = worth(agent)
        if (values.argmax(axis=1) == ALONG).all() and abs(values[0].max() - true) < 0.2 * true:
            return update
    return LIMIT


@pytest.mark.long
def test_replay_by_priority_needs_two_thirds_of_the_updates_of_even_replay_or_less() -> None:
    even, by_priority = (
        [updates_until_solved(name, seed) for seed in range(3)] for name in ("dqn", "prioritized")
    )
    assert max(even) < LIMIT
    assert np.median(by_priority) < np.median(even) / 1.5, (even, by_priority)


SHORT = 4


def noise(seed: int, actions: int) -> list[Step]:
    """All actions lead to the next place; rewards are noise of mean 0."""
    random = np.random.default_rng(seed)
    return [
        (place, int(random.integers(actions)), float(random.normal()), (place + 1) % SHORT or None)
        for _ in range(1500)
        for place in range(SHORT)
    ]


def worth_of_noise(name: str, seed: int) -> float:
    """What the start is thought worth, over the later half of a training whose steps are large."""
    agent = made(
        name, seed, (SHORT, 8), noise(seed, 8), hidden=(), learning_rate=0.05, max_grad_norm=1e9
    )
    thought = []
    for _ in range(8):
        for _ in range(20):
            agent.train(10, 32)
            thought.append(worth(agent)[0].mean())
        learn(agent, 1)
    return float(np.mean(thought[len(thought) // 2 :]))


@pytest.mark.long
def test_noise_that_is_worth_nothing_is_thought_worth_less_by_two_networks() -> None:
    """The best of noisy estimates is too good; another network need not agree (van Hasselt, 2016)."""
    one, two = (np.mean([worth_of_noise(name, seed) for seed in range(3)]) for name in ("dqn", "double"))
    assert one > 0.4
    assert abs(two) < 0.5 * one


def alike(seed: int, actions: int) -> list[Step]:
    """Twenty ways along a corridor, of more actions than steps; the end is rewarded."""
    random = np.random.default_rng(seed)
    ends = [(float(place == SHORT - 1), (place + 1) % SHORT or None) for place in range(SHORT)]
    return [
        (place, int(random.integers(actions)), *end) for _ in range(20) for place, end in enumerate(ends)
    ]


def error_where_all_are_alike(name: str, seed: int, actions: int = 128) -> float:
    """Root of the mean square over all places and actions, most of which were never tried."""
    agent = made(name, seed, (SHORT, actions), alike(seed, actions), learning_rate=2e-3)
    for _ in range(8):
        learn(agent, 50, 32)
    true = 0.9 ** (SHORT - 1 - np.arange(SHORT))[:, None]
    return float(np.sqrt(((worth(agent) - true) ** 2).mean()))


@pytest.mark.long
def test_a_duelling_network_learns_a_place_from_whichever_action_was_tried() -> None:
    plain, duelling = (
        np.median([error_where_all_are_alike(name, seed) for seed in range(3)])
        for name in ("dqn", "duelling")
    )
    assert duelling < 0.67 * plain


LOTTERY = 1


def draws(seed: int) -> list[Step]:
    """One action pays 1 for certain, another 20 one time in ten; a step before them."""
    random = np.random.default_rng(seed)
    steps: list[Step] = []
    for _ in range(1500):
        steps += [(0, action, 0.0, 1) for action in (0, 1)]
        steps += [(1, 0, 1.0, None), (1, LOTTERY, 20.0 * float(random.random() < 0.1), None)]
    return steps


@pytest.mark.long
@pytest.mark.parametrize("name", ["c51", "rainbow"])
def test_a_distribution_knows_the_mean_of_a_lottery_that_a_clipped_error_takes_for_nothing(
    name: str,
) -> None:
    for each, chosen in (("dqn", 0), (name, LOTTERY)):
        agent = made(each, 0, (2, 2), draws(0), (0.0, 20.0))
        for _ in range(8):
            learn(agent, 100, 32)
        assert worth(agent)[1].argmax() == chosen, each


class Ledge(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Each right step is rewarded, a wrong one is the last; there are so many that chance falls."""

    LENGTH = 20
    observation_space = spaces.Box(0.0, 1.0, (LENGTH,), np.float32)
    action_space = spaces.Discrete(2)
    RIGHT = np.random.default_rng(0).integers(0, 2, LENGTH)

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def reset(self, **kwargs: Any) -> tuple[NDArray[np.float32], dict[str, Any]]:
        self._place = 0
        return np.eye(self.LENGTH, dtype=np.float32)[0], {}

    def step(self, action: Any) -> Any:
        right = int(action) == self.RIGHT[self._place]
        self._place += int(right)
        end = not right or self._place == self.LENGTH
        if end:
            self.lengths.append(self._place)
        here = min(self._place, self.LENGTH - 1)
        return np.eye(self.LENGTH, dtype=np.float32)[here], float(right), end, False, {}


def last_ways(name: str, seed: int) -> float:
    """Mean share of the ledge that is walked in the last 30 episodes of a training, exploring."""
    env = Ledge()
    agent = ValueAgent(
        env,
        seed=seed,
        buffer_size=10_000,
        learning_starts=100,
        learning_rate=2e-3,
        gamma=0.9,
        train_freq=1,
        target_update_interval=50,
        exploration_fraction=0.3,
        exploration_final_eps=0.1,
        policy_kwargs={"net_arch": [32]},
        **variants((0.0, 10.0))[name],
    )
    agent.learn(4_000)
    return float(np.mean(env.lengths[-30:])) / Ledge.LENGTH


@pytest.mark.long
def test_noise_that_is_learnt_leaves_a_ledge_alone_where_chance_falls() -> None:
    assert last_ways("dqn", 0) < 0.8
    assert last_ways("noisy", 0) > 0.9
