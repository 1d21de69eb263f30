"""The options that drivers of servo buses have."""

from pathlib import Path

from simreal.deploy.drivers.options import numbers, whole_number
from simreal.deploy.drivers.servo.driver import BAUD, ServoDriver
from simreal.deploy.drivers.servo.port import LATENCY
from simreal.errors import UserError, nearest

REQUIRED = ("port", "calibration")
OPTIONS = (*REQUIRED, "baud", "latency_ms", "robot")


def make_driver(kind: type[ServoDriver], options: dict[str, str], robot: str) -> ServoDriver:
    """A driver by its options: ``port``, ``calibration``; also ``baud``, ``latency_ms``, ``robot``.

    Raises:
        UserError: one is missing, unknown, or cannot be read.
    """
    name = kind.protocol
    for key in options:
        if key not in OPTIONS:
            raise UserError(f"driver {name}: no option {key!r}: {nearest(key, OPTIONS)}")
    for key in REQUIRED:
        if key not in options:
            raise UserError(
                f"driver {name}: {key} is missing: "
                f"--driver {name}:port=/dev/ttyACM0,calibration=FILE (`simreal calibrate` makes one)"
            )
    baud = whole_number(name, "baud", options.get("baud", str(BAUD)))
    latency = numbers(name, {"latency_ms": options.get("latency_ms", str(1e3 * LATENCY))})["latency_ms"]
    if not 0.0 < latency <= 100.0:
        raise UserError(f"driver {name}: latency_ms={latency:g}: expected more than 0, at most 100")
    calibration = Path(options["calibration"])
    return kind(options.get("robot", robot), options["port"], calibration, baud, 1e-3 * latency)
