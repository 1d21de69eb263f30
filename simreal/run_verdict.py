"""Whether the policy of an adapted run may leave it: what made it, and what the gate said."""

import json
from typing import Any

from simreal.files import digest
from simreal.run import Run

BASE = "base"
"""Folder in an adapted run, itself a run, that holds the policy which it began from."""
VERDICT = "gate.json"


def reasons_against_export(run: Run) -> list[str]:
    """Why an adapted policy must not be exported; none if it was not adapted, or has passed the gate.

    Where the policy that it began from was adapted, too, that must have passed: not to be worse than
    what must not leave is nothing.
    """
    facts = run.facts()
    adapted, before = facts.adapted, facts.kept_back
    if adapted is None or before == ():
        return []
    robot = adapted.robot
    if robot is not None and not robot.better:  # whatever a simulator says of it
        return [f"{robot.trial}: its base policy is {run.path / BASE}"]
    kept = Run(run.path / BASE) if (run.path / BASE).is_dir() else None
    command = f"simreal gate {run.path}" + ("" if kept else f" --against {adapted.base}")
    try:
        verdict: dict[str, Any] = json.loads((run.path / VERDICT).read_text("utf-8"))
        passed, judged, reasons = verdict["passed"], verdict["policy_sha256"], list(verdict["reasons"])
        base, held_against = verdict["base"], verdict["base_sha256"]
    except FileNotFoundError:
        return [f"it was adapted and not compared with its base policy yet: {command}"]
    except KeyError as error:
        told = f"{run.path / VERDICT} does not say {error.args[0]}, as those of older versions"
        return [f"{told}: judge it again: {command}"]
    except (OSError, ValueError, TypeError):
        return [f"{run.path / VERDICT} cannot be read: judge it again: {command}"]
    if judged != digest(run.latest_checkpoint()):
        return [f"it was trained on since it was compared with its base policy: {command}"]
    began_from = {adapted.base_sha256, None if kept is None else digest(kept.latest_checkpoint())}
    if held_against not in began_from:
        return [f"it was compared with {base}, not with the policy that it began from: {command}"]
    if passed is not True or reasons:
        return [str(reason) for reason in reasons] or [f"it has not passed: {command}"]
    if kept is not None:
        return [f"{BASE}: {each}" for each in reasons_against_export(kept)]
    return [each for each in before or () if each.startswith(f"{BASE}: ")]
