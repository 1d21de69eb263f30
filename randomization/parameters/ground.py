"""Parameters of the ground, where an experiment has terrain."""

from simreal.randomization.ground import BY_SHARES
from simreal.randomization.parameters.parameter import ArrayParameter, Parameter

GROUND: tuple[Parameter, ...] = (
    ArrayParameter(
        name="terrain_level",
        unit="1",
        description="difficulty of the terrain on which an episode starts, from 0, rounded down",
        operation="absolute",
        fields=("ground.level",),
        part="ground",
    ),
    ArrayParameter(
        name="terrain_kind",
        unit="1",
        description="kind of that terrain by number, from 0, rounded down; -1 by the shares",
        operation="absolute",
        fields=("ground.kind",),
        part="ground",
        lower=BY_SHARES,
    ),
)
