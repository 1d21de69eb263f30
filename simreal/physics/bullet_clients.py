"""Connections to Bullet: one simulation in each, kept for whoever wants one next.

A connection costs up to 0.1 s and 30 MB, and a process may have 1024 of them.
"""

from collections.abc import Iterable
from pathlib import Path

import pybullet

from simreal.errors import UserError

KEPT_FREE_MB = 200
"""Connections are refused while no more than this is left of the machine's memory."""
_free: list[int] = []


def acquire() -> int:
    """A connection with nothing in it."""
    if _free:
        client = _free.pop()
        pybullet.resetSimulation(physicsClientId=client)
        return client
    if _available_mb() < KEPT_FREE_MB:
        raise UserError(
            "engine bullet: out of memory, each simulation takes 30 MB; nearest: fewer, such as "
            "ppo.simulations=16"
        )
    client = int(pybullet.connect(pybullet.DIRECT))
    if client < 0:
        raise UserError("engine bullet: no more than 1024 simulations in a process; nearest: fewer")
    return client


def _available_mb() -> float:
    """What Linux could still give; of another system, nothing is known."""
    try:
        text = Path("/proc/meminfo").read_text("ascii")
        return float(text.partition("MemAvailable:")[2].split()[0]) / 1e3
    except (OSError, IndexError):
        return float("inf")


def release(clients: Iterable[int]) -> None:
    """Give connections back."""
    _free.extend(clients)
