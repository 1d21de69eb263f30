"""Real-time scheduling of the loop's thread, as far as the kernel permits it to this user."""

import ctypes
import gc
import getpass
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4
PR_SET_TIMERSLACK = 29
FIRMWARE_PRIORITY = 10
"""SCHED_FIFO of emulated robots where it is allowed, below that of a control loop."""
LIMITS_FILE = "/etc/security/limits.d/99-simreal.conf"


@dataclass(frozen=True, slots=True)
class RealTime:
    """What the loop asks of the kernel.

    Attributes:
        priority: of SCHED_FIFO, 1 to 99; the kernel handles interrupts at 50.
        cpu: that the loop's thread stays on; any if None.
    """

    priority: int = 50
    cpu: int | None = None


def hurry(priority: int) -> bool:
    """Take the processor from ordinary programs, as firmware does, which shares it with none.

    Args:
        priority: of SCHED_FIFO; what the caller starts runs as usual.

    Returns:
        Whether the kernel permits it.
    """
    try:
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    except (OSError, OverflowError, AttributeError):
        return False
    return True


def _is_hurried() -> bool:
    return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO


def share_priority() -> list[int]:
    """Let threads of libraries be nearly as urgent as the caller, if that runs in real time.

    A library that receives for a driver does so on a thread of its own; as an ordinary one it waits on a
    busy machine, and the loop, however punctual, reads old states. Python's own threads stay as they
    are: they share the interpreter's lock.

    Returns:
        Their ids.
    """
    if not _is_hurried():
        return []
    urgent = os.sched_param(max(1, os.sched_getparam(0).sched_priority - 1))
    ours = {thread.native_id for thread in threading.enumerate()}
    theirs = [int(each.name) for each in Path("/proc/self/task").iterdir() if int(each.name) not in ours]
    for thread in theirs:
        with suppress(OSError):  # it may have ended
            os.sched_setscheduler(thread, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, urgent)
    return theirs


@contextmanager
def real_time(wanted: RealTime | None) -> Iterator[list[str]]:
    """Let the calling thread run in real time, with locked memory and no garbage collection.

    Threads of libraries share in that, see `share_priority`. Threads and processes that are started
    later run as usual; memory of all threads is locked.

    Args:
        wanted: nothing is asked of the kernel if None.

    Yields:
        What the kernel refused, each with the command that would allow it; the rest holds.
    """
    if wanted is None:
        yield []
        return
    affinity = os.sched_getaffinity(0)
    refused = [
        text
        for text in (_stay_on(wanted.cpu), _first_in_first_out(wanted.priority), _lock_memory())
        if text
    ]
    shared = share_priority()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0)
    collects = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield refused
    finally:
        gc.unfreeze()
        if collects:
            gc.enable()
        libc.prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(0), 0, 0, 0)  # 0 means the default
        libc.munlockall()
        if _is_hurried():
            shared.append(0)
        for thread in shared:
            with suppress(OSError):
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
        os.sched_setaffinity(0, affinity)


def warning(refused: list[str]) -> str:
    """One message for people about all that was refused."""
    listed = "\n  ".join(refused)
    return (
        "the loop runs without all of its real-time privileges: when other programs are busy, wake-ups "
        f"come late by milliseconds. What would allow them (then log in again):\n  {listed}\n"
        "In a container: --ulimit rtprio=99 --ulimit memlock=-1 --cap-add sys_nice. "
        "--no-real-time silences this"
    )


def allow_priority() -> str:
    """The command that permits SCHED_FIFO to this user."""
    return f"echo '{_user()} - rtprio 99' | sudo tee -a {LIMITS_FILE}"


def allow_memory() -> str:
    """The command that permits locked memory to this user."""
    return f"echo '{_user()} - memlock unlimited' | sudo tee -a {LIMITS_FILE}"


def _stay_on(cpu: int | None) -> str | None:
    if cpu is None:
        return None
    try:
        os.sched_setaffinity(0, {cpu})
    except (OSError, ValueError, OverflowError):
        allowed = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
        return f"--cpu with one of {allowed}: processor {cpu} is not there or not allowed"
    return None


def _first_in_first_out(priority: int) -> str | None:
    if not hurry(priority):  # nor must what the loop starts compete with it
        return f"{allow_priority()}   # SCHED_FIFO {priority} was refused"
    return None


def _lock_memory() -> str | None:
    libc = ctypes.CDLL(None, use_errno=True)
    # On fault: what was never touched, such as the stacks of threads, takes no memory.
    if libc.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0:
        return None
    return f"{allow_memory()}   # mlockall was refused"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
