"""What a long computation tells of itself while it goes on."""

from collections.abc import Callable

Tell = Callable[[str], object]
"""Hears a line of text."""
