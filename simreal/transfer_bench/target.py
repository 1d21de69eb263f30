"""What a hidden robot is."""

from dataclasses import dataclass
from pathlib import Path

from simreal.physics.engines import EngineName


@dataclass(frozen=True, slots=True)
class Target:
    """A robot that differs from its model in a way.

    Attributes:
        name: on the command line.
        description: one line for people.
        engine: which is it.
        parameters: name or ``name[part]`` to operation and value.
        network: whether a network stands for what its drives do beyond their model.
    """

    name: str
    description: str
    engine: EngineName
    parameters: dict[str, tuple[str, float]]
    network: bool = False


def network_file(robot: str) -> Path:
    """Where the network of a hidden robot's drives stands: see `drive_network`, which wrote it."""
    return Path(__file__).parent / "networks" / f"{robot}.npz"
