"""One finding about this computer, and all checks in their order."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Status = Literal["ok", "note", "warning", "problem"]
Fitness = Literal["real time", "slow rates", "nothing"]
"""What a control loop on this computer may be: 100 Hz and more, 10 Hz and more, or none."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a check found.

    Attributes:
        status: a problem breaks something, a warning makes a robot worse, a note is good to know.
        check: what was looked at.
        what: was found.
        mend: a command for a shell, or empty where nothing needs one.
        fit: the most that a control loop can be after this; None of what has nothing to do with it.
    """

    status: Status
    check: str
    what: str
    mend: str = ""
    fit: Fitness | None = None


Check = Callable[[Path], Iterable[Diagnosis]]
"""Looks at the computer whose files stand below a root, which is ``/`` but for tests."""


def diagnose() -> Iterator[Diagnosis]:
    """Everything that there is to say of this computer, one after the other; some take a second."""
    from simreal.doctor.devices import can_interfaces, input_devices, modem_manager, serial_ports
    from simreal.doctor.disk import disk
    from simreal.doctor.graphics import graphics
    from simreal.doctor.installation import clashes, requirements, versions
    from simreal.doctor.real_time import (
        governor,
        idle_states,
        kernel,
        locked_memory,
        priority,
        throttling,
    )
    from simreal.doctor.wake_test import timers

    checks: tuple[Check, ...] = (
        kernel,
        priority,
        locked_memory,
        throttling,
        governor,
        idle_states,
        timers,
        serial_ports,
        modem_manager,
        can_interfaces,
        input_devices,
        graphics,
        versions,
        requirements,
        clashes,
        disk,
    )
    for check in checks:
        yield from check(Path("/"))


def verdict(found: Sequence[Diagnosis]) -> str:
    """What the computer is fit for, and because of what no better."""
    limits: dict[Fitness, list[str]] = {fitness: [] for fitness in get_args(Fitness)}
    for each in found:
        if each.fit is not None:
            limits[each.fit].append(each.check)
    if limits["nothing"]:
        return f"not fit to control a robot: {', '.join(limits['nothing'])}"
    if limits["slow rates"]:
        return f"fit for slow rates, some 10 Hz, not for real time: {', '.join(limits['slow rates'])}"
    return "fit for real time, 100 Hz and more, as far as so short a test tells"
