"""`simreal watch`."""

import socket
import time
from pathlib import Path

import click

from simreal.cli_types import PATH, console
from simreal.errors import UserError, missing_extra
from simreal.signals import interrupt_flag

FRESH = 3.0
"""s since a log was written, within which it counts as growing."""
PATIENCE = 30.0
"""s for which one is waited for."""


USUAL_PORT = 8080


@click.command()
@click.argument("log", type=PATH, required=False)
@click.option("--live", is_flag=True, help="Follow a log that grows; the newest one here without LOG.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Where it is served; 8080 if absent, or the next that is free.",
)
def watch(log: Path | None, live: bool, port: int | None) -> None:
    """Show LOG in a browser: states, commands, timing, events, and the robot.

    The page is served to this computer alone and needs no network. With --live it follows a running
    `simreal deploy --log` by its file, which the loop does not notice.
    """
    if port:
        _refuse_taken(port)
    if log is None:
        if not live:
            raise UserError("which log? Give one, or --live to follow the newest one in this folder")
        log = _growing(Path.cwd())
    try:
        from simreal.watch.follower import Follower
        from simreal.watch.page import Page
    except ModuleNotFoundError as error:
        raise missing_extra(str(error.name), "view") from None
    page = Page(log.name, Follower(log), live, USUAL_PORT if port is None else port)
    console.print(f"{log}: {page.url}\nCtrl-C ends", soft_wrap=True)
    try:
        with interrupt_flag() as interrupt:
            page.run(lambda: interrupt.requested)
    finally:
        page.close()


def _refuse_taken(port: int) -> None:
    """The server would go to another one without a word, where nobody looks."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was left is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(
                f"--port {port}: {error.strerror}; without it, a free one is taken"
            ) from None


def _growing(folder: Path) -> Path:
    """The log that is being written in a folder; waits a while for one."""
    console.print(f"waiting for a log that grows in {folder}", soft_wrap=True)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        written = {path: path.stat() for path in folder.glob("*.mcap")}
        fresh = [
            path
            for path, stat in written.items()
            # On either side: after a clock was set back, logs of before are from the future.
            if stat.st_size > 0 and abs(time.time() - stat.st_mtime) < FRESH
        ]
        if fresh:
            return max(fresh, key=lambda path: written[path].st_mtime)
        time.sleep(0.2)
    raise UserError(f"{folder}: no log grows here; start `simreal deploy ... --log flight.mcap`")
