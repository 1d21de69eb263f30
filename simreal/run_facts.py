"""What ``run.json`` says of a run: how it was begun, how far it came, and what it was adapted from.

A run's folder may be of another version, or sent by somebody: what a file does not say has a default,
keys that are not known here are kept as they are, and a value of another type is refused.
"""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simreal.config import faults
from simreal.errors import UserError
from simreal.files import write_text

LARGEST_SEED = 2**32 - 1
"""That NumPy's and stable-baselines3's generators take."""


class Facts(BaseModel):
    """Base of what stands in ``run.json``."""

    model_config = ConfigDict(
        extra="allow", strict=True, validate_assignment=True, ser_json_inf_nan="constants"
    )

    def as_json(self) -> dict[str, Any]:
        """What was said, and nothing of what was not."""
        return self.model_dump(mode="json", exclude_unset=True)


class LogFacts(Facts):
    """A log that a policy learned from."""

    name: str = ""
    sha256: str = ""


class SourceFacts(Facts):
    """A log that a robot was identified from."""

    file: str = ""
    sha256: str = ""


class FileFacts(Facts):
    """A file that says something of the robot, and the logs that it was made from."""

    file: str = ""
    sha256: str = ""
    logs: tuple[SourceFacts, ...] = ()


class RobotFacts(Facts):
    """What a policy did on a robot while it learned there."""

    seconds: float = 0.0
    episodes: int = 0
    falls: int = 0
    resets: int = 0
    beyond_range: int = 0
    beyond_limits: int = 0
    width: float = 0.0
    """Of the bounds of exploration, now."""
    drivers: tuple[str, ...] = ()
    updates: int = 0
    better: bool = False
    """Whether a trial has shown what was learned to be better than the base policy."""
    trial: str = "no trial on the robot is told of"
    """What it came to, for people."""


class Adapted(Facts):
    """What made an adapted policy; which of it is said depends on the method."""

    method: str = ""
    base: str | None = None
    """Path of the run that it began from."""
    base_sha256: str | None = None
    base_steps: int | None = None
    identified: FileFacts | None = None
    """Of `finetune`, as are the next two."""
    old_share: float | None = None
    residual: FileFacts | None = None
    config: dict[str, Any] = {}
    """Of `finetune-offline` and `finetune-online`, as are the next two."""
    seed: int | None = None
    logs: tuple[LogFacts, ...] = ()
    transitions: int | None = None
    """Of `finetune-offline`, as is the next."""
    coverage: dict[str, tuple[float, float]] = {}
    """Name of a check to what was found and its bound."""
    robot: RobotFacts | None = None
    """Of `finetune-online`."""


class RunFacts(Facts):
    """The content of ``run.json``."""

    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)]
    versions: dict[str, str] = {}
    adapted: Adapted | None = None
    """Of a policy that began from another; the gate applies to it."""
    total_steps: int | None = None
    """Environment steps that it is to have, if not those of its experiment."""
    steps: int | None = None
    """That it has."""
    finished: bool | None = None
    """Whether it has come to its end; None of a training that has not begun."""
    stopped: str | None = None
    """Why learning on a robot has ended."""
    kept_back: tuple[str, ...] | None = None
    """Of a kept base: why it was not to leave when it was kept. What it began from itself is not kept
    with it, and cannot be asked any more."""


def read_facts(path: Path) -> RunFacts:
    """Read a ``run.json``.

    Raises:
        UserError: it cannot be read, or says something of another type.
    """
    try:
        text = path.read_text("utf-8")
        data = json.loads(text)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    try:
        return RunFacts.model_validate_json(text)  # which knows that JSON has lists and no tuples
    except ValidationError as error:
        told = "; ".join(what for _, what in faults(error, data if isinstance(data, dict) else {}))
        raise UserError(f"{path}: cannot be read: {told}") from None


def write_facts(path: Path, facts: RunFacts) -> None:
    """Write a ``run.json``, whole or not at all."""
    write_text(path, json.dumps(facts.as_json(), indent=2) + "\n")
