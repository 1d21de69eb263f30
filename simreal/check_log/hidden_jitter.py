"""Check of time stamps against motion: stamps that were counted, not measured, hide uneven sampling."""

import numpy as np
from scipy.ndimage import uniform_filter1d

from simreal.check_log.finding import Finding, Picture, verdict_of
from simreal.check_log.rounded_stamps import steps_of
from simreal.check_log.sample_checks import quantum_of
from simreal.check_log.subject import Rows, Subject
from simreal.state import FloatArray

HIDDEN_WARN, HIDDEN_FAIL = 0.12, 0.5
"""Standard deviation of the true steps, in median steps."""
STEPS = 10.0
"""Encoder steps per sample, of all joints together, above which a row tells how long its step was."""
FINEST = 1e-4
"""Share of a joint's motion, of the step with which a column without visible steps is thought to
come."""
FASTEST = 0.3
"""Share of the fastest rows that is looked at."""
AROUND = 7
"""Steps whose mean a step is compared with."""
FEWEST = 100
"""Rows; fewer say nothing."""
TURNS = 0.1
"""Share of the fast rows in which joints turn around from one sample to the next, from which on their
speed itself changes within a step: uneven time makes no step go back."""


def hidden_jitter(subject: Subject) -> Finding:
    """All joints must move on as evenly as the time stamps do.

    Joints have inertia: from one sample to the next their speeds hardly change. If all of them move half
    as far again in one step, and then less, the step was longer than its stamps say.
    """
    if "joint_position" not in subject.log or len(subject.log["joint_position"]) < FEWEST:
        return Finding("hidden_jitter", "skip", "no joint_position, or too short")
    table = subject.log["joint_position"]
    rows, share, noise = step_shares(table.values, steps_of(table.time).of(table.time))
    if len(rows) < FEWEST:
        return Finding("hidden_jitter", "skip", "too little fast motion to see uneven sampling")
    back = turning_share(table.values, rows)
    if back > TURNS:
        text = (
            f"not to be told from this log: joints turn around from one sample to the next in "
            f"{100 * back:.0f} % of their fast motion, as under a command that chatters"
        )
        return Finding("hidden_jitter", "skip", text, {"turns": back}, unfit=True)
    spread = 0.5 * float(np.subtract(*np.percentile(share, (84, 16))))
    hidden = float(np.sqrt(max(spread**2 - noise**2, 0.0)))
    step = float(np.median(np.diff(table.time)))
    numbers = {"share": hidden, "hidden_ms": 1e3 * hidden * step}
    verdict = verdict_of(hidden, HIDDEN_WARN, HIDDEN_FAIL)
    if verdict == "pass":
        return Finding("hidden_jitter", "pass", "joints move on as evenly as the stamps do", numbers)
    text = (
        f"from sample to sample all joints together move unevenly: true steps vary by "
        f"{1e3 * hidden * step:.2g} ms (standard deviation, {100 * hidden:.0f} % of a step), "
        "which the time stamps do not show"
    )
    advice = (
        "record the time at which each sample was taken, not a counted one. A fit of this log "
        "has a floor of about speed times that; weigh fast motion less"
    )
    picture = Picture("step over those around", {"by all joints": (table.time[rows], share)})
    return Finding("hidden_jitter", verdict, text, numbers, advice, picture)


def step_shares(position: FloatArray, steps: FloatArray) -> tuple[Rows, FloatArray, float]:
    """How far all joints go in a step, over what its neighbours and the time stamps let expect.

    Args:
        position: (n, joints) rad.
        steps: (n - 1,) s.

    Returns:
        The rows that tell it, their shares, and the standard deviation that encoder steps alone cause.
    """
    moved = _moved(position)
    way = uniform_filter1d(moved, AROUND, axis=0, mode="nearest")
    expected = way * (steps / uniform_filter1d(steps, AROUND, mode="nearest"))[:, None]
    power = np.sum(expected**2, axis=1)
    rows = np.flatnonzero(power > max(STEPS**2, float(np.quantile(power, 1 - FASTEST))))
    share = np.sum(moved * expected, axis=1)[rows] / power[rows]
    # Both ends of a step are rounded, with a variance of 1/12 each.
    noise = float(np.sqrt(np.mean(1 / 6 / power[rows]))) if len(rows) else 0.0
    return rows, share, noise


def turning_share(position: FloatArray, rows: Rows) -> float:
    """Share of some steps that lead back where the step before came from, by all joints together."""
    moved, later = _moved(position), rows[rows > 0]
    return float(np.mean(np.sum(moved[later] * moved[later - 1], axis=1) < 0.0)) if len(later) else 0.0


def _moved(position: FloatArray) -> FloatArray:
    """(n - 1, joints) steps from sample to sample, in encoder steps."""
    # A finer column than this tells no more: its speed itself changes from sample to sample.
    finest = FINEST * np.ptp(position, axis=0) + 1e-12
    quanta = np.maximum([quantum_of(column) for column in position.T], finest)
    return np.asarray(np.diff(position, axis=0) / quanta)
