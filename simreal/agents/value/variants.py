"""The deep Q-network, each of its improvements alone, and all together, as arguments of `ValueAgent`."""

from typing import Any


def variants(atom_range: tuple[float, float]) -> dict[str, dict[str, Any]]:
    """Arguments of each by its name.

    Args:
        atom_range: lowest and highest discounted return of the task.
    """
    rainbow = {"double": True, "duelling": True, "noisy": True, "n_steps": 3, "priority_exponent": 0.5}
    return {
        "dqn": {},
        "double": {"double": True},
        "duelling": {"duelling": True},
        "prioritized": {"priority_exponent": 0.6},
        "noisy": {"noisy": True},
        "n_step": {"n_steps": 3},
        "c51": {"atom_range": atom_range},
        "rainbow": rainbow | {"atom_range": atom_range},
    }
