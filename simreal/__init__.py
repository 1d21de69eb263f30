"""simreal: policies that work in simulation, working on the robot."""

__version__ = "0.1.0"
