"""Batched physics engines behind one interface."""

from simreal.physics.interface import Physics
from simreal.physics.mujoco_engine import MujocoPhysics

__all__ = ["MujocoPhysics", "Physics"]
