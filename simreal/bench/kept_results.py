"""Results of long benchmarks in a file, so that one that was stopped goes on where it was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from simreal.files import write_text

Result = TypeVar("Result")


def kept(path: Path, key: str, make: Callable[[], Result]) -> Result:
    """What stands in a file of JSON under a key; made, and written there, if nothing does."""
    done: dict[str, Result] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if key not in done:
        done[key] = make()
        write_text(path, json.dumps(done, indent=1))
    return done[key]
