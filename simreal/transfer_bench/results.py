"""Results of the benchmark: one line each in a file, which is all that is needed to go on elsewhere."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from simreal.callbacks import Tell
from simreal.errors import UserError
from simreal.files import write_text

RESULTS = "results.jsonl"
"""In the folder of a benchmark."""
Key = tuple[str, str, str, int]
"""Robot, target, arm and seed."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a job came to.

    Attributes:
        robot: its name.
        target: which of its hidden ones.
        arm: which way.
        seed: of it.
        steps: environment steps of training.
        episodes: by which it was judged, on the target.
        mean_return: by the experiment's rewards.
        success: share.
        ended_early: share of episodes that something ended before their time.
        robot_seconds: s that the robot was moved to adapt.
        resets: how often it was put back meanwhile.
        violations: control steps beyond the robot's limits meanwhile.
        policy_sha256: of the checkpoint.
        notes: what else is worth telling.
        seconds: s of wall time that it took, without what came before an interruption.
    """

    robot: str
    target: str
    arm: str
    seed: int
    steps: int
    episodes: int
    mean_return: float
    success: float
    ended_early: float
    robot_seconds: float
    resets: int
    violations: int
    policy_sha256: str
    notes: tuple[str, ...]
    seconds: float

    @property
    def key(self) -> Key:
        """What it is of."""
        return self.robot, self.target, self.arm, self.seed


def results_in(folder: Path, warn: Tell | None = None) -> list[Result]:
    """All results that stand in the folder of a benchmark.

    A last line that was cut, as by a copy that was stopped, is left out: its job is done again.

    Args:
        folder: of the benchmark.
        warn: is told of such a line.

    Raises:
        UserError: the file is damaged otherwise, or cannot be read.
    """
    path = folder / RESULTS
    if not path.is_file():
        return []
    try:
        content = path.read_bytes()
        whole = content if _is_json(_last_line(content)) else content[: content.rfind(b"\n") + 1]
        lines = whole.decode("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    if whole != content and warn is not None:
        warn(f"{path}: its last line was cut and is left out: that job is done again")
    return [_parse(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line]


def _last_line(content: bytes) -> bytes:
    """What stands behind the last line's end; nothing, if the file is whole."""
    return content[content.rfind(b"\n") + 1 :]


def _is_json(line: bytes) -> bool:
    """Whether a line is whole; so is an empty one."""
    try:
        json.loads(line or b"null")
    except ValueError:
        return False
    return True


def _parse(line: str, where: str) -> Result:
    names = {each.name for each in fields(Result)}
    try:
        data = json.loads(line)
        if missing := names - set(data):
            raise ValueError(f"{', '.join(sorted(missing))} is missing")
        return Result(**data | {"notes": tuple(data["notes"])})
    except (ValueError, TypeError) as error:
        raise UserError(f"{where}: not a result: {error}") from None


def add_result(folder: Path, result: Result) -> None:
    """Keep one more, in place of an older one of the same job; other processes may do so, too."""
    with _alone(folder):
        others = [each for each in results_in(folder) if each.key != result.key]
        lines = [json.dumps(asdict(each)) for each in sorted([*others, result], key=lambda one: one.key)]
        write_text(folder / RESULTS, "\n".join(lines) + "\n")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process writes there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
