"""Whether `simreal check-log` finds planted faults: one at a time in sound logs of simulated robots.

A fault must be found by the check that is meant for it, and no other check may find anything, but for
those that the fault is bound to disturb, which stand beside it.
"""

from typing import Any

from simreal.bench.log_faults import FAULTS, MAKERS, planted, sound
from simreal.check_log.checker import CHECKS, check_log
from simreal.check_log.finding import Finding
from simreal.check_log.subject import make_subject
from simreal.logs.robot_log import RobotLog


def planted_logs(seeds: int) -> dict[str, Any]:
    """Each fault in logs of several seeds: how often each check found something.

    Returns:
        The table of faults by checks, and counts of those found by the right check, missed, and of
        findings elsewhere.
    """
    table: dict[str, dict[str, int]] = {}
    missed, elsewhere = 0, 0
    for base in MAKERS:
        counts = table[f"none ({base})"] = {}
        for seed in range(seeds):
            for finding in alarms(sound(base, seed)):
                counts[finding.check] = counts.get(finding.check, 0) + 1
                elsewhere += 1
    for fault in FAULTS:
        counts = table[f"{fault.name} ({fault.base})"] = {}
        for seed in range(seeds):
            found = {finding.check for finding in alarms(planted(fault, seed))}
            missed += fault.check not in found
            elsewhere += len(found - {fault.check, *fault.also})
            for check in found:
                counts[check] = counts.get(check, 0) + 1
    return {
        "faults": len(FAULTS),
        "seeds": seeds,
        "checks": list(CHECKS),
        "found": len(FAULTS) * seeds - missed,
        "missed": missed,
        "found_elsewhere": elsewhere,
        "table": table,
    }


def alarms(log: RobotLog) -> list[Finding]:
    """The findings that are no pass."""
    return [each for each in check_log(make_subject(log)) if each.verdict in ("warn", "fail")]
