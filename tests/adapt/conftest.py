"""The robot of known parameters that logs are made of, and runs that were adapted."""

from tests.adapt.adapted_runs import adapted, base, identified, log
from tests.hanging_link import link, record

__all__ = ["adapted", "base", "identified", "link", "log", "record"]
