"""What a terminal shows of a run: phase, commands, timing; from a process of its own, twice a second.

Started by `live_view` as ``python -m simreal.deploy.live``.
"""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from simreal.deploy.broadcast import Attached, Broadcast, attach
from simreal.deploy.cycle import Cycle, event_of
from simreal.deploy.outcome import Statistics
from simreal.deploy.supervisor import Phase

REFRESH_PERIOD = 0.5
"""s."""
STYLES = {Phase.RUNNING: "green", Phase.FAULT: "bold red"}
SHOWN = ("period", "late", "read", "inference", "write", "observation_age", "latency")


@contextmanager
def live_view(broadcast: Broadcast) -> Iterator[None]:
    """Show a run in the terminal of standard error while the context lasts."""
    process = broadcast.start("simreal.deploy.live")
    try:
        yield
    finally:
        process.communicate()


class View:
    """What has been heard of a run so far."""

    def __init__(self, attached: Attached) -> None:
        """Take the listener's end."""
        self._attached = attached
        self._statistics = Statistics()
        self._newest: Cycle | None = None
        self._event = ""

    def hear(self) -> None:
        """Take what is new."""
        while len(records := self._attached.cycles.take()):
            for record in records:
                cycle = self._attached.layout.cycle(record)
                before = None if self._newest is None else self._newest.woke_at
                self._statistics.add(cycle, before)
                self._newest = cycle
        for record in self._attached.events.take():
            event = event_of(record)
            self._event = f"{event.kind}: {event.text}"

    def render(self) -> Any:
        """What to show."""
        cycle = self._newest
        if cycle is None:
            return Text("waiting for the first cycle")
        robot = self._attached.layout.contract.robot
        head = Text.assemble(
            (cycle.phase.value, STYLES.get(cycle.phase, "yellow")),
            f"  cycle {cycle.number}, {cycle.overruns} overruns  {self._event}",
        )
        table = Table("ms", "p50", "p90", "p99", "max")
        for name, row in self._statistics.percentiles().items():
            if name in SHOWN:
                cells = (row["p50_ms"], row["p90_ms"], row["p99_ms"], row["max_ms"])
                table.add_row(name, *(f"{value:.3f}" for value in cells))
        joints = Table("joint", "position", "velocity", "command")
        sent = () if cycle.command is None else zip(robot.actuators, cycle.command.target, strict=True)
        told = {actuator.joint: f"{value:.3f} {actuator.unit}" for actuator, value in sent}
        state = cycle.state
        for name, position, velocity in zip(
            robot.joint_names, state.joint_position, state.joint_velocity, strict=True
        ):
            joints.add_row(name, f"{position:.3f}", f"{velocity:.3f}", told.get(name, ""))
        return Group(head, table, joints)


def main() -> None:
    """Show what standard input names, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    standard_input = os.fdopen(0, "rb", buffering=0)
    view = View(attach(standard_input))
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as screen:
        while not select.select([standard_input], [], [], REFRESH_PERIOD)[0]:
            view.hear()
            screen.update(view.render(), refresh=True)


if __name__ == "__main__":
    main()
