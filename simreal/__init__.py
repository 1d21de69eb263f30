"""simreal: policies that work in simulation, working on the robot."""

from simreal.registration import register_with_gymnasium

__version__ = "0.1.0"

register_with_gymnasium()
