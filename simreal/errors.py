"""The one kind of error that a person at the keyboard is meant to read."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that its message alone lets the user mend.

    The command line prints the message and exits with status 2; a library caller catches it.
    """


def nearest(name: str, valid: Iterable[str], shown: int = 8) -> str:
    """Say which of the valid names is meant, or list them.

    Args:
        name: what was given.
        valid: the names that would have been right.
        shown: how many names to list when none is close.

    Returns:
        A phrase such as ``did you mean 'mass'?`` or ``valid: mass, friction``.
    """
    names = sorted(set(valid))
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.55)
    if close:
        return "did you mean " + " or ".join(repr(match) for match in close) + "?"
    if not names:
        return "none is valid here"
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return "valid: " + ", ".join(names[:shown]) + more


def missing_extra(module: str, extra: str) -> UserError:
    """The error for an optional dependency that is not installed."""
    return UserError(f"this needs {module}: pip install 'simreal[{extra}]'")
