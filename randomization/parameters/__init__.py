"""The quantities that can be randomized: name, unit, where each acts, and how.

A parameter acts on a `World`: model fields of the physics, or quantities of what stands around it. The
randomizer restores the compiled defaults of all that is written first, so that parameters compose.
"""

from simreal.randomization.parameters.actuators import ACTUATORS
from simreal.randomization.parameters.dynamics import DYNAMICS
from simreal.randomization.parameters.parameter import Operation, Parameter, Write, matching, operate
from simreal.randomization.parameters.sensors import SENSORS

PARAMETERS: dict[str, Parameter] = {
    parameter.name: parameter for parameter in (*DYNAMICS, *ACTUATORS, *SENSORS)
}

__all__ = ["PARAMETERS", "Operation", "Parameter", "Write", "matching", "operate"]
