"""Finds a driver by what the user wrote: ``sim`` or ``sim:mass=1.2,action_latency_ms=8``."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from simreal.deploy.drivers.driver import Driver
from simreal.errors import UserError, missing_extra, nearest

Open = Callable[[dict[str, str], str, str | None], Driver]
"""Makes a driver of options, the name of a robot, and the name of a task."""


@dataclass(frozen=True, slots=True)
class DriverEntry:
    """A driver that can be asked for.

    Attributes:
        description: one line for people.
        module: below `simreal.deploy.drivers`, with a function `open_driver` of the type `Open`; it is
            imported when the driver is asked for.
        extra: of the package, that brings what the module imports.
    """

    description: str
    module: str
    extra: str | None = None


DRIVERS = {
    "sim": DriverEntry("simulated robot in another process, in real time", "sim"),
    "feetech": DriverEntry(
        "Feetech STS servos on a serial bus, such as an SO-101's", "servo.feetech", "serial"
    ),
    "dynamixel": DriverEntry(
        "Dynamixel X servos on a serial bus, protocol 2.0", "servo.dynamixel", "serial"
    ),
    "can": DriverEntry("CAN motors in MIT mode: Damiao, RobStride, CyberGear, AK", "can.driver", "can"),
    "unitree": DriverEntry("Unitree Go2 or G1 at its low level, over DDS", "unitree", "dds"),
}


def open_driver(specification: str, robot: str, task: str | None = None) -> Driver:
    """Make a driver; nothing is connected yet.

    Args:
        specification: ``NAME`` or ``NAME:key=value,key=value``.
        robot: name of the robot that the policy is for.
        task: what the policy does; a simulated robot stands in its surroundings.

    Raises:
        UserError: no such driver, an extra that it needs is not installed, or options that cannot be
            read.
    """
    name, _, text = specification.partition(":")
    if name not in DRIVERS:
        raise UserError(f"no driver {name!r}: {nearest(name, DRIVERS)}")
    return _opener(DRIVERS[name])(_options(name, text), robot, task)


def _opener(entry: DriverEntry) -> Open:
    try:
        found: Open = import_module(f"simreal.deploy.drivers.{entry.module}").open_driver
    except ModuleNotFoundError as error:
        if entry.extra is None:
            raise
        raise missing_extra(str(error.name), entry.extra) from None
    return found


def _options(driver: str, text: str) -> dict[str, str]:
    options = {}
    for part in filter(None, text.split(",")):
        key, separator, value = part.partition("=")
        if not separator or not key.strip() or not value.strip():
            raise UserError(f"driver {driver}: {part!r}: expected key=value")
        if key.strip() in options:
            raise UserError(f"driver {driver}: {key.strip()} stands there twice")
        options[key.strip()] = value.strip()
    return options
