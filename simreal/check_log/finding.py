"""What a check of a log has found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from simreal.state import FloatArray

Verdict = Literal["skip", "pass", "warn", "fail"]
"""`skip`: the log does not hold what the check looks at, or is not fit for it."""
ORDER: tuple[Verdict, ...] = ("skip", "pass", "warn", "fail")


@dataclass(frozen=True, slots=True)
class Picture:
    """Curves that show a finding.

    Attributes:
        unit: of the vertical axis.
        curves: label to (n,) times in s and (n,) values.
        spans: s, where the finding is.
    """

    unit: str
    curves: Mapping[str, tuple[FloatArray, FloatArray]]
    spans: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check on one log.

    Attributes:
        check: name of the check.
        verdict: how bad it is.
        text: what was found and where, in one sentence.
        numbers: measured, by name; the unit stands in the name where it is not SI.
        advice: what to do, or to record next; empty if nothing is wrong.
        picture: what shows it, if a picture does.
        blocks: whether checks that compute with the log's values would only say this again.
        unfit: whether a skipped check has its channels, but not the motion that it needs.
    """

    check: str
    verdict: Verdict
    text: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    advice: str = ""
    picture: Picture | None = None
    blocks: bool = False
    unfit: bool = False


def worst(findings: Sequence[Finding]) -> Verdict:
    """The gravest verdict; `pass` if nothing could be checked."""
    gravest = max((ORDER.index(finding.verdict) for finding in findings), default=0)
    return ORDER[max(gravest, ORDER.index("pass"))]


def verdict_of(value: float, warn: float, fail: float) -> Verdict:
    """`warn` from one threshold on, `fail` from another one on."""
    return "fail" if value >= fail else "warn" if value >= warn else "pass"
