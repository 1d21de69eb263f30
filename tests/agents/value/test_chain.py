"""A chain that separates replay by priority from even replay: the cliffwalk of Schaul et al., 2016.

Of all ways along it but one, each as often as chance would have it, none is ever rewarded; what the one
tells must travel back through the whole chain.
"""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from simreal.agents.value.agent import ValueAgent
from simreal.agents.value.variants import variants

LENGTH, DISCOUNT, LIMIT = 8, 0.9, 6000
RIGHT = np.random.default_rng(0).integers(0, 2, LENGTH)
PLACES = np.eye(LENGTH, dtype=np.float32)


class Nowhere(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Of the chain's shape; all experience is given."""

    observation_space = spaces.Box(0.0, 1.0, (LENGTH,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, **kwargs: Any) -> tuple[NDArray[np.float32], dict[str, Any]]:
        return PLACES[0], {}


def walk(agent: ValueAgent, until: int) -> None:
    """Store a way along the chain whose first wrong step is at a place; none if beyond the end."""
    for place in range(min(until + 1, LENGTH)):
        good = place < until
        end = not good or place == LENGTH - 1
        here, after = PLACES[place], PLACES[min(place + 1, LENGTH - 1)]
        action, reward = RIGHT[place] if good else 1 - RIGHT[place], float(good and end)
        given: list[Any] = [np.array([each]) for each in (here, after, action, reward, end)]
        agent.replay_buffer.add(*given, [{}])


def updates_until_solved(name: str, seed: int) -> int:
    """Until every choice is right and the start is worth what it is, to a fifth."""
    agent = ValueAgent(
        Nowhere(),
        seed=seed,
        buffer_size=5000,
        learning_rate=1e-3,
        gamma=DISCOUNT,
        policy_kwargs={"net_arch": [32]},
        **variants((0.0, 1.0))[name],
    )
    agent._setup_learn(1)
    for place in range(LENGTH):
        for _ in range(2 ** (LENGTH - 1 - place)):
            walk(agent, place)
    walk(agent, LENGTH)
    worth = DISCOUNT ** (LENGTH - 1)
    for update in range(25, LIMIT, 25):
        agent.train(25, 16)
        if update % 50 == 0:
            agent.q_net_target.load_state_dict(agent.q_net.state_dict())
        with torch.no_grad():
            values = agent.q_net(torch.from_numpy(PLACES)).numpy()
        if (values.argmax(axis=1) == RIGHT).all() and abs(values[0].max() - worth) < 0.2 * worth:
            return update
    return LIMIT


@pytest.mark.long
def test_replay_by_priority_needs_two_thirds_of_the_updates_of_even_replay_or_less() -> None:
    even, by_priority = (
        [updates_until_solved(name, seed) for seed in range(3)] for name in ("dqn", "prioritized")
    )
    assert max(even) < LIMIT
    assert np.median(by_priority) < np.median(even) / 1.5, (even, by_priority)
