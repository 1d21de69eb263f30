"""Robots: a folder each, with `robot.yaml`, `model.xml` and the source of every number."""

from simreal.robots.loader import Robot, load_robot, robot_names

__all__ = ["Robot", "load_robot", "robot_names"]
