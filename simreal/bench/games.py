"""The variants of the deep Q-network, and QR-DQN, on games of MinAtar, at one budget for all.

MinAtar (Young and Tian, 2019) has the rules of five Atari games on images of 10 x 10 pixels with a
channel for each kind of thing. Published scores are of 200 million frames of 57 whole games; what two
processors can do in an evening is a thousandth of that, where the order need not be the same.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib import QRDQN
from scipy.stats import bootstrap
from stable_baselines3 import DQN
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from simreal.agents.value.agent import ValueAgent
from simreal.agents.value.variants import variants
from simreal.bench.kept_results import kept
from simreal.callbacks import Tell
from simreal.errors import UserError, missing_extra, nearest

Images = NDArray[np.float32]

GAMES = ("asterix", "breakout", "freeway", "seaquest", "space_invaders")
LONGEST_EPISODE = 2500
"""Steps; freeway has as many, and an agent that plays well need not end the others."""
ATOM_RANGE = (-10.0, 10.0)
"""Of discounted returns, as published (Bellemare et al., 2017). Its middle is what an untrained network
expects of every action: a range around more than 0 begins too hopeful, and takes long to unlearn it."""
QUANTILES = "qrdqn"
"""sb3-contrib's (Dabney et al., AAAI 2018), with as many quantiles as C51 has atoms."""
EVALUATION_EPISODES = 30
TOGETHER, STEPS_PER_UPDATE = 8, 4
"""Games that an agent plays side by side, and steps of all of them for each update of its network."""
PUBLISHED_PERCENT = {"double": 111, "duelling": 117, "prioritized": 128, "rainbow": 230}
"""Median over 57 Atari games after 200 M frames, relative to DQN (Hessel et al., 2018, and sources)."""


class Game(gymnasium.Env[Images, np.int64]):
    """A game of MinAtar, its own random numbers seeded by the environment's."""

    def __init__(self, name: str) -> None:
        """Load a game.

        Raises:
            UserError: MinAtar is not installed.
        """
        try:
            from minatar import Environment
        except ModuleNotFoundError as error:
            raise missing_extra(str(error.name), "games") from None
        self._game = Environment(name)
        self._choices = self._game.minimal_action_set()
        height, width, channels = self._game.state_shape()
        self.observation_space = spaces.Box(0.0, 1.0, (channels, height, width), np.float32)
        self.action_space = spaces.Discrete(len(self._choices))
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Images, dict[str, Any]]:
        """Begin a game."""
        super().reset(seed=seed)
        if seed is not None:
            self._game.seed(seed)
        self._game.reset()
        self._steps = 0
        return self._seen(), {}

    def step(self, action: np.int64) -> tuple[Images, float, bool, bool, dict[str, Any]]:
        """Press a button; with a chance of 0.1 the last one sticks, as MinAtar has it."""
        reward, ended = self._game.act(self._choices[int(action)])
        self._steps += 1
        return self._seen(), float(reward), bool(ended), self._steps >= LONGEST_EPISODE, {}

    def _seen(self) -> Images:
        return np.asarray(self._game.state(), np.float32).transpose(2, 0, 1)


class SmallImages(BaseFeaturesExtractor):
    """16 filters of 3 x 3: the network of the MinAtar paper, before its layer of 128."""

    def __init__(self, observation_space: spaces.Box) -> None:
        """Make it for images of (channels, height, width)."""
        channels, height, width = observation_space.shape
        super().__init__(observation_space, 16 * (height - 2) * (width - 2))
        self._layers = nn.Sequential(nn.Conv2d(channels, 16, 3), nn.ReLU(), nn.Flatten())

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """(batch, features)."""
        features: torch.Tensor = self._layers(observations)
        return features


def compare_on_games(
    games: Sequence[str],
    names: Sequence[str],
    seeds: Sequence[int],
    steps: int,
    results: Path,
    tell: Tell = lambda text: None,
) -> dict[str, Any]:
    """Scores of variants at equal budget; what stands in the file of results is not run again.

    Args:
        games: names of MinAtar.
        names: of `variants`, and `qrdqn`; all if empty.
        seeds: of trainings.
        steps: of each training.
        results: JSON, written after each training, so that a run can be stopped and continued.
        tell: hears of each training.

    Raises:
        UserError: a game or variant that there is not, or MinAtar is not installed.
    """
    known = (*variants(ATOM_RANGE), QUANTILES)
    names = names or known
    for what, given, valid in (("game", games, GAMES), ("variant", names, known)):
        for name in given:
            if name not in valid:
                raise UserError(f"no {what} {name!r}; {nearest(name, valid)}")
    scores: dict[str, dict[str, list[float]]] = {game: {name: [] for name in names} for game in games}
    for game in games:
        for seed in seeds:
            for name in names:
                key = f"{game}/{name}/{seed}/{steps}"
                score = kept(results, key, partial(_score, game, name, seed, steps))
                tell(f"{key}: {score:.2f}")
                scores[game][name].append(score)
    return {
        "steps": steps,
        "scores": scores,
        "percent_of_dqn": {game: _relative(each) for game, each in scores.items() if "dqn" in each},
        "published_percent_of_dqn": PUBLISHED_PERCENT,
    }


def _score(game: str, name: str, seed: int, steps: int) -> float:
    """Mean return of the best actions, at the end of a training."""
    agent = _untrained(game, name, seed)
    agent.learn(steps)
    env, total = Game(game), 0.0
    for episode in range(EVALUATION_EPISODES):
        seen, ended = env.reset(seed=100_000 + 1_000 * seed + episode)[0], False
        while not ended:
            action, _ = agent.predict(seen, deterministic=True)
            seen, reward, terminated, truncated, _ = env.step(np.int64(action))
            total, ended = total + reward, terminated or truncated
    return total / EVALUATION_EPISODES


def _untrained(game: str, name: str, seed: int) -> DQN | QRDQN:
    """All of them learn from as many steps, in batches as large, at the same rate.

    In sb3-contrib's QR-DQN all games explore at the same steps, Adam's epsilon is 0.01 / 32, and
    gradients are not clipped: a difference need not be one of quantiles.
    """
    env = DummyVecEnv([partial(Game, game)] * TOGETHER)
    common: dict[str, Any] = {
        "seed": seed,
        "buffer_size": 100_000,
        "learning_starts": 2_000,
        "learning_rate": 2.5e-4,
        "batch_size": 32,
        "train_freq": 1,
        "gradient_steps": TOGETHER // STEPS_PER_UPDATE,
        "target_update_interval": 1_000,
        "exploration_fraction": 0.3,
        "exploration_final_eps": 0.02,
    }
    network: dict[str, Any] = {"features_extractor_class": SmallImages, "net_arch": [128]}
    if name == QUANTILES:
        return QRDQN("MlpPolicy", env, policy_kwargs=network | {"n_quantiles": 51}, **common)
    return ValueAgent(env, policy_kwargs=network, **common, **variants(ATOM_RANGE)[name])


def _relative(scores: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Percent of DQN's mean, with 95 % intervals by bootstrap over the seeds of both."""
    of_dqn = np.array(scores["dqn"])

    def ratio(these: Any, those: Any, axis: int = -1) -> Any:
        return 100.0 * these.mean(axis=axis) / np.maximum(those.mean(axis=axis), 1e-9)

    found = {}
    for name, values in scores.items():
        mine = np.array(values)
        low = high = float("nan")
        if len(mine) > 1:
            made = bootstrap((mine, of_dqn), ratio, n_resamples=9999, method="percentile", rng=0)
            low, high = made.confidence_interval
        found[name] = {"value": float(ratio(mine, of_dqn)), "low": float(low), "high": float(high)}
    return found
