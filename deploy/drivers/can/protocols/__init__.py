"""Protocols of CAN motors, each in a file of its own."""

from simreal.deploy.drivers.can.protocols.ak import Ak
from simreal.deploy.drivers.can.protocols.cybergear import CyberGear
from simreal.deploy.drivers.can.protocols.damiao import Damiao
from simreal.deploy.drivers.can.protocols.protocol import (
    EXTENDED,
    ZERO,
    Answer,
    FaultReport,
    Frame,
    MotorProtocol,
    Parameter,
    Reading,
    Setup,
    SetupError,
)
from simreal.deploy.drivers.can.protocols.robstride import RobStride
from simreal.robots.can_motors import Protocol
from simreal.robots.can_wire import CanMotorConfig

PROTOCOLS: dict[Protocol, type[MotorProtocol]] = {
    "damiao": Damiao,
    "robstride": RobStride,
    "cybergear": CyberGear,
    "ak": Ak,
}

__all__ = [
    "EXTENDED",
    "PROTOCOLS",
    "ZERO",
    "Answer",
    "FaultReport",
    "Frame",
    "MotorProtocol",
    "Parameter",
    "Reading",
    "Setup",
    "SetupError",
    "speak_to",
]


def speak_to(config: CanMotorConfig) -> MotorProtocol:
    """A motor, in its maker's way."""
    return PROTOCOLS[config.motor.protocol](config)
