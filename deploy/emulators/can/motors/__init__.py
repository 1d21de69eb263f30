"""Firmware of emulated CAN motors, each maker's in a file of its own."""

from simreal.deploy.emulators.can.motors.ak import AkFirmware
from simreal.deploy.emulators.can.motors.cybergear import CyberGearFirmware
from simreal.deploy.emulators.can.motors.damiao import DamiaoFirmware
from simreal.deploy.emulators.can.motors.motor import CanFrame, EmulatedMotor
from simreal.deploy.emulators.can.motors.robstride import RobStrideFirmware
from simreal.robots.can_motors import Protocol

FIRMWARE: dict[Protocol, type[EmulatedMotor]] = {
    "damiao": DamiaoFirmware,
    "robstride": RobStrideFirmware,
    "cybergear": CyberGearFirmware,
    "ak": AkFirmware,
}

__all__ = ["FIRMWARE", "CanFrame", "EmulatedMotor"]
