"""The robot of known parameters that logs are made of."""

from tests.hanging_link import link, record

__all__ = ["link", "record"]
