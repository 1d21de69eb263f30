"""Finds the trained policies that come with robots: `policies/NAME.onnx` in a robot's folder."""

from pathlib import Path

from simreal.errors import UserError, nearest
from simreal.robots.loader import robot_files


def shipped_policies() -> dict[str, Path]:
    """Name to file, of every robot that can be found; of two of a name, the first robot's."""
    return robot_files("policies/*.onnx")


def find_policy(given: Path) -> Path:
    """A policy's file: the path itself, or that of the shipped policy of this name.

    Raises:
        UserError: a plain name of which there is neither a file nor a policy.
    """
    if given.exists() or given.suffix or len(given.parts) > 1:
        return given
    shipped = shipped_policies()
    if given.name not in shipped:
        hint = nearest(given.name, shipped)
        raise UserError(
            f"{given}: no such file, and no shipped policy of that name: {hint} "
            "(one of your own is a file that `simreal export RUN` writes)"
        )
    return shipped[given.name]
