"""What a check says: how bad, where, what is wrong, and what mends it."""

import re
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]

_HINT = re.compile(r": (?=did you mean |valid: |nearest: |none is valid )|; (?=nearest: )")


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault in an experiment or in the model of its robot.

    Attributes:
        severity: an error refuses a training, a warning does not.
        check: name of the check that found it.
        where: ``file:line``.
        what: the fault.
        mend: what to do; empty if the fault itself says it.
    """

    severity: Severity
    check: str
    where: str
    what: str
    mend: str

    def __str__(self) -> str:
        mend = f"; mend: {self.mend}" if self.mend else ""
        return f"{self.where}: {self.severity} [{self.check}]: {self.what}{mend}"


def refused(check: str, where: str, message: str, otherwise: str) -> Finding:
    """An error from the message of a `UserError`, whose hint, if it has one, is the mend.

    Args:
        check: that met it.
        where: ``file:line``.
        message: of the error.
        otherwise: the mend, if the message has none.
    """
    found = _HINT.search(message)
    if found is None:
        return Finding("error", check, where, message, otherwise)
    return Finding("error", check, where, message[: found.start()], message[found.end() :])


def sorted_findings(findings: list[Finding]) -> list[Finding]:
    """Each once, errors first, else in the order of the checks."""
    return sorted(dict.fromkeys(findings), key=lambda finding: finding.severity != "error")
