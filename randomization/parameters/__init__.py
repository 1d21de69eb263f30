"""The quantities that can be randomized: name, unit, where each acts, and how.

A parameter acts on a `World`: model fields of the physics, or quantities of what stands around it. The
randomizer restores the compiled defaults of all that is written first, so that parameters compose.
"""

from simreal.randomization.parameters.actuators import ACTUATORS
from simreal.randomization.parameters.dynamics import BODIES, CONTACTS, JOINTS, SURROUNDINGS
from simreal.randomization.parameters.events import EVENTS
from simreal.randomization.parameters.ground import GROUND
from simreal.randomization.parameters.imu import IMU
from simreal.randomization.parameters.parameter import Operation, Parameter, Write, matching, operate
from simreal.randomization.parameters.sensors import SENSORS
from simreal.randomization.parameters.tracker import TRACKER
from simreal.randomization.parameters.visuals import VISUALS

GROUPS: dict[str, tuple[Parameter, ...]] = {
    "bodies": BODIES,
    "joints": JOINTS,
    "contacts": CONTACTS,
    "surroundings": SURROUNDINGS,
    "actuators": ACTUATORS,
    "sensors": (*SENSORS, *IMU, *TRACKER),
    "ground": GROUND,
    "events": EVENTS,
    "visuals": VISUALS,
}
PARAMETERS: dict[str, Parameter] = {each.name: each for group in GROUPS.values() for each in group}

__all__ = ["GROUPS", "PARAMETERS", "Operation", "Parameter", "Write", "matching", "operate"]
