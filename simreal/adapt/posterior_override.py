"""An experiment whose robots are drawn from a posterior, in place of what it drew of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simreal.adapt.identified_robot import refuse_misfits, refuse_other_robot, world_of
from simreal.column_names import parameter_of
from simreal.config import FileAssignment
from simreal.experiment import parse_experiment, read_experiment
from simreal.randomization.posterior import Posterior, read_posterior

ENTRY = "identified"
"""Key of the posterior in an experiment's randomization."""
BANDWIDTH = 0.2
"""Of the kernel by which identified samples are multiplied."""


@dataclass(frozen=True, slots=True)
class Redrawn:
    """What becomes of the entries of a randomization when a posterior draws robots.

    Attributes:
        replaced: entries that the posterior draws instead.
        added: parameters of the posterior that no entry drew.
        kept: entries that are drawn as before.
        coverage: of what was held out, by the posterior, if known.
    """

    replaced: tuple[str, ...]
    added: tuple[str, ...]
    kept: tuple[str, ...]
    coverage: float | None

    def describe(self) -> str:
        """For people: ``instead of mass; new: encoder_bias; as before: kp``."""
        parts = (("instead of ", self.replaced), ("new: ", self.added), ("as before: ", self.kept))
        return "; ".join(said + ", ".join(names) for said, names in parts if names)


def redrawn(entries: Mapping[str, Any], posterior: Posterior) -> Redrawn:
    """What a posterior changes in the entries of a randomization."""
    replaced = replaced_entries(entries, posterior)
    drawn = {each for name, entry in entries.items() for each in _parameters(name, entry)}
    found = dict.fromkeys(parameter_of(name) for name in posterior.names)
    added = () if ENTRY in entries else tuple(name for name in found if name not in drawn)
    kept = tuple(name for name in entries if name not in replaced)
    return Redrawn(replaced, added, kept, posterior.coverage)


def randomization_override(
    experiment: str, overrides: Sequence[str], path: Path
) -> tuple[FileAssignment, Redrawn]:
    """An override by which an experiment draws robots from a posterior.

    Args:
        experiment: name or path.
        overrides: that come before it.
        path: of the posterior file.

    Returns:
        The override, and what it changes: entries that draw the same parameters are replaced.

    Raises:
        UserError: a file that is none, of another robot, or of one that cannot be; or an experiment
            that is none without it.
    """
    posterior = read_posterior(path)
    document = read_experiment(experiment)
    data = document.override(overrides)
    refuse_other_robot(posterior, path, str(data.get("robot", posterior.robot)))
    refuse_misfits(posterior, path, world_of(parse_experiment(data, document)))
    entries: dict[str, Any] = dict(data.get("randomization") or {})
    change = redrawn(entries, posterior)
    kept = {name: entries[name] for name in change.kept}
    entry = {"distribution": {"type": "posterior", "file": str(path.absolute()), "bandwidth": BANDWIDTH}}
    text = f"randomization={json.dumps({**kept, ENTRY: entry})}"
    return FileAssignment(text, str(path), (ENTRY,)), change


def replaced_entries(entries: Mapping[str, Any], posterior: Posterior) -> tuple[str, ...]:
    """Entries of a randomization that a posterior draws instead, since it draws what they do."""
    found = {parameter_of(name) for name in posterior.names}
    return tuple(
        name for name, entry in entries.items() if found & _parameters(name, entry) or name == ENTRY
    )


def _parameters(name: str, entry: Any) -> set[str]:
    """What an entry of a randomization draws."""
    content = entry if isinstance(entry, dict) else {}
    listed = content.get("parameters") or [content.get("parameter") or name]
    return {parameter_of(str(each)) for each in listed}
