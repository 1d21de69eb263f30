"""Drivers: what stands between the loop and a machine."""

from simreal.deploy.drivers.driver import Driver, DriverError
from simreal.deploy.drivers.registry import DRIVERS, open_driver

__all__ = ["DRIVERS", "Driver", "DriverError", "open_driver"]
