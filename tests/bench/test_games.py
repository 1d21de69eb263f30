"""The comparison of value-based agents on games, cut short."""

import json
from pathlib import Path

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from simreal.bench.games import Game, compare_on_games
from simreal.errors import UserError


def test_a_game_is_an_environment_of_its_own_rules_and_the_same_for_the_same_seed() -> None:
    check_env(Game("breakout"), skip_render_check=True)

    def played(seed: int) -> list[float]:
        game, actions = Game("asterix"), np.random.default_rng(0)
        game.reset(seed=seed)
        seen = [game.step(actions.integers(5))[0] for _ in range(50)]
        return [float((image * np.arange(image.size).reshape(image.shape)).sum()) for image in seen]

    assert played(1) == played(1) != played(2)


def test_a_comparison_goes_on_from_its_file_and_relates_scores_to_dqn(tmp_path: Path) -> None:
    results = tmp_path / "games.json"
    results.write_text(
        json.dumps({"freeway/dqn/0/99": 2.0, "freeway/dqn/1/99": 4.0, "freeway/double/0/99": 6.0})
    )
    with pytest.raises(UserError, match="no game 'pong'"):
        compare_on_games(["pong"], ["dqn"], [0], 99, results)
    with pytest.raises(UserError, match="did you mean 'double'"):
        compare_on_games(["freeway"], ["doubel"], [0], 99, results)
    done = json.loads(results.read_text()) | {"freeway/double/1/99": 6.0}
    results.write_text(json.dumps(done))
    found = compare_on_games(["freeway"], ["dqn", "double"], [0, 1], 99, results)
    double = found["percent_of_dqn"]["freeway"]["double"]
    assert double["value"] == pytest.approx(200.0)
    assert double["low"] == pytest.approx(150.0) and double["high"] == pytest.approx(300.0)
