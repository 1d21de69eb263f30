"""Finds a driver by what the user wrote: ``sim`` or ``sim:mass=1.2,action_latency_ms=8``."""

import math
from collections.abc import Callable

from simreal.deploy.drivers.driver import Driver
from simreal.deploy.drivers.sim import SimDriver
from simreal.errors import UserError, nearest


def _open_sim(options: dict[str, str], robot: str, task: str | None) -> Driver:
    robot = options.pop("robot", robot)
    seed = options.pop("seed", "0")
    if not seed.isdecimal():
        raise UserError(f"driver sim: seed={seed}: expected a whole number")
    return SimDriver(robot, _numbers("sim", options), int(seed), task)


Open = Callable[[dict[str, str], str, str | None], Driver]
DRIVERS: dict[str, tuple[str, Open]] = {
    "sim": ("simulated robot in another process, in real time", _open_sim),
}


def open_driver(specification: str, robot: str, task: str | None = None) -> Driver:
    """Make a driver; nothing is connected yet.

    Args:
        specification: ``NAME`` or ``NAME:key=value,key=value``.
        robot: name of the robot that the policy is for.
        task: what the policy does; a simulated robot stands in its surroundings.

    Raises:
        UserError: no such driver, or options that cannot be read.
    """
    name, _, text = specification.partition(":")
    if name not in DRIVERS:
        raise UserError(f"no driver {name!r}: {nearest(name, DRIVERS)}")
    options = {}
    for part in filter(None, text.split(",")):
        key, separator, value = part.partition("=")
        if not separator or not key.strip() or not value.strip():
            raise UserError(f"driver {name}: {part!r}: expected key=value")
        if key.strip() in options:
            raise UserError(f"driver {name}: {key.strip()} stands there twice")
        options[key.strip()] = value.strip()
    return DRIVERS[name][1](options, robot, task)


def _numbers(driver: str, options: dict[str, str]) -> dict[str, float]:
    numbers = {}
    for key, value in options.items():
        try:
            numbers[key] = float(value)
        except ValueError:
            raise UserError(f"driver {driver}: {key}={value}: expected a number") from None
        if not math.isfinite(numbers[key]):
            raise UserError(f"driver {driver}: {key}={value}: expected a finite number")
    return numbers
