"""What a preflight found, and whether the robot may run."""

from dataclasses import dataclass, field
from typing import Any, Literal

Result = Literal["pass", "fail", "not checked"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        check: its name.
        result: of it.
        text: for people.
        numbers: for programs.
    """

    check: str
    result: Result
    text: str
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Verdict:
    """Of one robot and one policy.

    Attributes:
        robot: its name.
        policy: SHA-256 of the policy's file.
        driver: as it was asked for.
        when: wall time, ISO 8601 with its zone.
        findings: in order of the checks.
    """

    robot: str
    policy: str
    driver: str
    when: str
    findings: list[Finding] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether every check was made and passed."""
        return bool(self.findings) and all(each.result == "pass" for each in self.findings)

    def sentence(self) -> str:
        """The verdict in words."""
        failed = [each.check for each in self.findings if each.result == "fail"]
        left = [each.check for each in self.findings if each.result == "not checked"]
        if failed:
            return f"do not run this policy on this robot: {', '.join(failed)} failed"
        if left:
            return f"nothing failed, but not everything was checked: {', '.join(left)}"
        return "everything was checked and passed"
