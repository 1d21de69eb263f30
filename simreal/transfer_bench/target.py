"""What a hidden robot is."""

from dataclasses import dataclass

from simreal.physics.engines import EngineName


@dataclass(frozen=True, slots=True)
class Target:
    """A robot that differs from its model in a way.

    Attributes:
        name: on the command line.
        description: one line for people.
        engine: which is it.
        parameters: name or ``name[part]`` to operation and value.
    """

    name: str
    description: str
    engine: EngineName
    parameters: dict[str, tuple[str, float]]
