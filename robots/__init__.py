"""Robots: a folder each, with `robot.yaml`, `model.xml` and the source of every number."""

from simreal.robots.loader import (
    MirrorConfig,
    Robot,
    RobotFolder,
    load_robot,
    robot_experiments,
    robot_folders,
    robot_names,
    where_robots_are,
)

__all__ = [
    "MirrorConfig",
    "Robot",
    "RobotFolder",
    "load_robot",
    "robot_experiments",
    "robot_folders",
    "robot_names",
    "where_robots_are",
]
