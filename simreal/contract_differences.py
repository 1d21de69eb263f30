"""Where two contracts differ, term by term, and which of it changes what a policy does."""

from dataclasses import dataclass
from typing import Any

from simreal.config import Config
from simreal.contract import Contract
from simreal.errors import UserError


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which two contracts differ."""

    name: str
    left: Any
    right: Any

    def __str__(self) -> str:
        return f"{self.name}: {_shown(self.left)} != {_shown(self.right)}"


class _Absent:
    def __str__(self) -> str:
        return "absent"


ABSENT = _Absent()


def refuse_differences(recorded: Contract, rebuilt: Contract, source: str) -> None:
    """Raise a `UserError` if what a policy was trained on is not what is installed now.

    All counts but ranges, provenance and a policy's memory.

    Args:
        recorded: at training.
        rebuilt: from the installed robot and the recorded experiment.
        source: the run or the file, for the message.
    """
    found = behaviour_differences(recorded, rebuilt)
    if found:
        listed = "\n  ".join(str(difference) for difference in found)
        raise UserError(
            f"{source}: was trained on another robot than the one that is installed now "
            f"(trained != installed):\n  {listed}"
        )


def behaviour_differences(left: Contract, right: Contract) -> list[Difference]:
    """Compare what acts while a policy runs: all but the ranges, the provenance, and a policy's memory.

    The memory is a policy's own, which export alone writes down.
    """
    rest = {"trained_ranges", "provenance", "hidden_states"}
    return list(_compare("", left.model_dump(exclude=rest), right.model_dump(exclude=rest)))


def differences(left: Config, right: Config) -> list[Difference]:
    """Compare two contracts, or two parts of them, by name.

    Returns:
        The differences, empty where both say the same; a list of named things is compared name by
        name, and its order once.
    """
    return list(_compare("", left.model_dump(), right.model_dump()))


def _compare(name: str, left: Any, right: Any) -> list[Difference]:
    if isinstance(left, dict) and isinstance(right, dict):
        prefix = f"{name}." if name else ""
        keys = [*left, *(key for key in right if key not in left)]
        return [
            found
            for key in keys
            for found in _compare(f"{prefix}{key}", left.get(key, ABSENT), right.get(key, ABSENT))
        ]
    if isinstance(left, tuple | list) and isinstance(right, tuple | list):
        return _compare_sequences(name, left, right)
    return [] if left == right else [Difference(name, left, right)]


def _compare_sequences(name: str, left: Any, right: Any) -> list[Difference]:
    left_labels, right_labels = _labels(left), _labels(right)
    found = []
    left_order = [label for label in left_labels if label in right_labels]
    right_order = [label for label in right_labels if label in left_labels]
    if left_order != right_order:
        found.append(Difference(f"{name} (order)", left_order, right_order))
    left_by, right_by = (
        dict(zip(left_labels, left, strict=True)),
        dict(zip(right_labels, right, strict=True)),
    )
    for label in [*left_labels, *(each for each in right_labels if each not in left_by)]:
        found += _compare(f"{name}[{label}]", left_by.get(label, ABSENT), right_by.get(label, ABSENT))
    return found


def _labels(items: Any) -> list[str]:
    """A label for each item: its name or source, made unique by a count, else its index."""
    labels: list[str] = []
    for index, item in enumerate(items):
        name = item.get("name", item.get("source")) if isinstance(item, dict) else None
        first = label = str(index) if name is None else str(name)
        again = 1
        while label in labels:
            again += 1
            label = f"{first}#{again}"
        labels.append(label)
    return labels


def _shown(value: Any) -> str:
    """A value for people: of a whole joint or actuator only that it is there."""
    match value:
        case dict():
            return "present"
        case list() | tuple():
            return ", ".join(map(str, value))
        case None:
            return "none"
    return str(value)
