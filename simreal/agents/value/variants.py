"""The deep Q-network, each of its improvements alone, and all together, as arguments of `ValueAgent`."""

from typing import Any

from simreal.agents.config import DQNConfig, RainbowConfig

VARIANTS: dict[str, DQNConfig] = {
    "dqn": DQNConfig(),
    "double": DQNConfig(double=True),
    "duelling": DQNConfig(duelling=True),
    "prioritized": DQNConfig(prioritized=True),
    "noisy": DQNConfig(noisy=True),
    "n_step": DQNConfig(n_steps=3),
    "c51": DQNConfig(distributional=True),
    "rainbow": RainbowConfig(),
}


def arguments_of(config: DQNConfig) -> dict[str, Any]:
    """What a configuration's switches are to a `ValueAgent`."""
    return {
        "double": config.double,
        "duelling": config.duelling,
        "noisy": config.noisy,
        "n_steps": config.n_steps,
        "priority_exponent": config.priority_exponent if config.prioritized else 0.0,
        "importance_exponent": config.importance_exponent,
        "atom_range": config.atom_range if config.distributional else None,
        "atom_count": config.atoms,
    }


def variants(atom_range: tuple[float, float]) -> dict[str, dict[str, Any]]:
    """Arguments of each by its name.

    Args:
        atom_range: lowest and highest discounted return of the task.
    """
    return {
        name: arguments_of(config.model_copy(update={"atom_range": atom_range}))
        for name, config in VARIANTS.items()
    }
