"""Who moves the joints: a person who is shown what to do, or an emulated robot's own push."""

import os
import select
import sys
from collections.abc import Mapping
from typing import Self

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

from simreal.contract import RobotDescription
from simreal.deploy.drivers.sim import SimDriver
from simreal.deploy.preflight.wiggle import MOVED
from simreal.state import FloatArray

BAR = 20
"""Letters on either side of where a joint was."""
GENTLE, STRONGEST = 1e-3, 30.0
"""N·m or N at which an emulated push begins and ends."""
GROWTH = 1.15
"""By which it grows each time that it is looked at."""


class EmulatedHand:
    """Pushes an emulated joint harder and harder until it moves, and holds one that went along."""

    def __init__(self, driver: SimDriver, robot: RobotDescription) -> None:
        self._driver, self._robot, self._joints = driver, robot, len(robot.joints)
        self._still: int | None = None
        self._effort = GENTLE

    def move(self, joint: int, still: int | None) -> None:
        """See `Hand`."""
        self._effort, self._still = GENTLE, still

    def look(self, joint: int, position: FloatArray, moved: FloatArray) -> bool:
        """See `Hand`."""
        self._effort = min(self._effort * GROWTH, STRONGEST)
        push = np.zeros(self._joints)
        push[joint] = self._effort
        if self._still is not None:  # as hard as it pushes, where that one has gone a share
            unit = self._robot.joints[self._still].unit
            push[self._still] = -self._effort * np.clip(moved[self._still] / MOVED[unit], -1.0, 1.0)
        self._driver.push(push)
        return True

    def rest(self) -> None:
        """See `Hand`."""
        self._driver.push(np.zeros(self._joints))


class Person:
    """Shows a person which joint to move and what all of them read, until Enter skips the joint."""

    def __init__(self, robot: RobotDescription, directions: Mapping[str, str], console: Console) -> None:
        """Take what to show.

        Args:
            robot: whose joints they are.
            directions: joint to what its positive direction does, in words.
            console: a terminal.
        """
        self._robot, self._directions = robot, directions
        self._still: int | None = None
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def move(self, joint: int, still: int | None) -> None:
        """See `Hand`."""
        self._still = still

    def look(self, joint: int, position: FloatArray, moved: FloatArray) -> bool:
        """See `Hand`."""
        self._live.update(self._table(joint, position, moved), refresh=True)
        if not select.select([sys.stdin], [], [], 0)[0]:
            return True
        os.read(sys.stdin.fileno(), 1024)
        return False

    def rest(self) -> None:
        """See `Hand`."""

    def _table(self, joint: int, position: FloatArray, moved: FloatArray) -> Table:
        name = self._robot.joint_names[joint]
        direction = self._directions.get(name, "in its positive direction")
        held = "" if self._still is None else f", and hold {self._robot.joint_names[self._still]} still"
        title = f"move {name} by hand so that {direction}{held}; Enter skips it"
        table = Table("joint", "reads", "moved", title=title)
        for place, each in enumerate(self._robot.joints):
            style = "bold green" if place == joint else "bold" if place == self._still else None
            share = moved[place] / MOVED[each.unit]
            table.add_row(each.name, f"{position[place]:+.3f} {each.unit}", bar(share), style=style)
        return table


def bar(share: float) -> str:
    """How far a joint has gone, of what counts as moved: to the left where it is negative."""
    length = round(BAR * min(1.0, abs(share))) if np.isfinite(share) else 0
    left, right = ("", "█" * length) if share >= 0 else ("█" * length, "")
    return f"{left:>{BAR}}│{right:<{BAR}}"
