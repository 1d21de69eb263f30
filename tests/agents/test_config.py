"""Numbers of agents that would change nothing are refused."""

import pytest
from pydantic import ValidationError

from simreal.agents.config import DQNConfig, RainbowConfig
from simreal.errors import UserError
from simreal.experiment import load_experiment


@pytest.mark.parametrize(
    ("made", "values", "message"),
    [
        (RainbowConfig, {"exploration_share": 0.5}, "exploration_share: has no effect with noisy: true"),
        (RainbowConfig, {"final_exploration": 0.01}, "final_exploration: has no effect"),
        (DQNConfig, {"atoms": 21}, "atoms: has no effect with distributional: false"),
        (DQNConfig, {"atom_range": (0.0, 1.0)}, "atom_range: has no effect"),
        (DQNConfig, {"priority_exponent": 0.4}, "priority_exponent: has no effect with prioritized"),
    ],
)
def test_a_number_whose_switch_is_off_is_refused(
    made: type[DQNConfig], values: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        made(**values)


def test_it_is_taken_with_its_switch_and_where_all_is_spelled_out() -> None:
    assert DQNConfig(distributional=True, atoms=21).atoms == 21
    assert RainbowConfig(noisy=False, exploration_share=0.5).exploration_share == 0.5
    for config in (DQNConfig(), RainbowConfig(), RainbowConfig(distributional=False)):
        assert type(config)(**config.model_dump()) == config


def test_the_message_names_the_key() -> None:
    with pytest.raises(UserError, match=r"rainbow.*exploration_share: has no effect with noisy: true"):
        load_experiment("so101_line", ["rainbow.exploration_share=0.5"])
