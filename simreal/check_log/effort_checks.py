"""Checks of commands against what actuators can do, and of delivered against desired effort."""

import numpy as np

from simreal.check_log.finding import Finding, Picture, verdict_of
from simreal.check_log.subject import COMMANDS, Subject
from simreal.logs.robot_log import Channel
from simreal.state import FloatArray

LOST_FAIL = 0.01
"""Root mean square of what limits take away, over that of the command: from here on it spoils a fit."""
ROUNDING = 1e-3
"""Share of the range by which a command may exceed it."""
DIFFERS = 0.02
"""Share of the range by which what was applied may differ from the command within its limits."""
EFFORT_WARN, EFFORT_FAIL = 0.1, 0.3
"""Root mean square of delivered minus desired effort, after the best lag, over that of the desired."""
LONGEST_LAG = 0.05
"""s, searched."""
CLEARLY = 0.5
"""Share of the difference that is left with the other sign, below which the sign is asked about."""
UNITS = {"mN·m beside N·m": 1e3, "N·cm beside N·m": 1e2, "N·m beside mN·m": 1e-3}
"""Delivered over desired effort, where one of them is in another unit."""
UNIT_TOLERANCE = 0.2
"""Share within which a ratio is taken for that of two units."""


def command_limits(subject: Subject) -> Finding:
    """Commands must be within what the actuator can do, or what was applied be logged, too."""
    log = subject.log
    asked = next((name for name in COMMANDS if name in log and name in _limited(subject)), None)
    if asked is None:
        return Finding("command_limits", "skip", "no command with known limits (is the robot known?)")
    table, (low, high) = log[asked], _limits(subject, log[asked])
    if not np.isfinite(high - low).any():
        text = f"no limit is known of {', '.join(table.names)}"
        return Finding("command_limits", "skip", text)
    margin = ROUNDING * (high - low)
    beyond = (table.values < low - margin) | (table.values > high + margin)
    share = float(beyond.any(axis=1).mean())
    excess = np.maximum(low - table.values, table.values - high)
    gravest = excess if beyond.any() else np.abs(table.values)
    row, column = np.unravel_index(np.nanargmax(gravest), table.values.shape)
    largest = float(table.values[row, column])
    unit, name = table.units[column], table.names[column]
    numbers = {"largest": largest, "share": share, "upper": float(high[column])}
    applied = asked.replace("commanded", "applied")
    if not beyond.any():
        text = f"commands of up to {abs(largest):.3g} {unit} are within the actuators' limits"
        return Finding("command_limits", "pass", text, numbers)
    text = (
        f"{name} is asked for up to {largest:.3g} {unit}, it can do {low[column]:g} to "
        f"{high[column]:g}; {100 * share:.2g} % of the commands are beyond"
    )
    curves = {f"{name}, asked": (table.time, table.column(name))}
    for limit in (low[column], high[column]):
        curves[f"limit {limit:g}"] = (table.time[[0, -1]], np.array([limit, limit]))
    if applied not in log:
        advice = (
            "the log does not say what was applied: clip the command at the limits in force on that day "
            "before any replay, and record what leaves the amplifier"
        )
        lost = np.sum((table.values - np.clip(table.values, low, high)) ** 2) / np.sum(table.values**2)
        verdict = verdict_of(float(np.sqrt(lost)), 0.0, LOST_FAIL)
        return Finding("command_limits", verdict, text, numbers, advice, Picture(unit, curves))
    clipped = np.clip(log.at(asked, log[applied].time, hold=True), low, high)
    differs = np.abs(log[applied].values - clipped)
    numbers["applied_differs"] = float(differs.max())
    curves[f"{name}, applied"] = (log[applied].time, log[applied].values[:, column])
    if np.mean(differs > DIFFERS * (high - low)) > 0.01:
        text += (
            f"; what was applied differs from a clip at these limits by up to {differs.max():.3g} {unit}"
        )
        advice = "use what was applied; are the limits of the robot's description those of that day?"
    else:
        text += "; what was applied is logged, and is the command within its limits"
        advice = "use what was applied, not what was asked"
    return Finding("command_limits", "warn", text, numbers, advice, Picture(unit, curves))


def _limited(subject: Subject) -> set[str]:
    """Names of the command channels that the robot's limits are for."""
    if subject.robot is None:
        return set()
    return {f"commanded_{actuator.command}" for actuator in subject.robot.description.actuators}


def _limits(subject: Subject, table: Channel) -> tuple[FloatArray, FloatArray]:
    """(columns,) lower and upper limits of a command channel; infinite where none is known."""
    assert subject.robot is not None
    known = {each.name: (each.lower, each.upper) for each in subject.robot.description.actuators}
    pairs = np.array([known.get(name, (-np.inf, np.inf)) for name in table.names])
    return pairs[:, 0], pairs[:, 1]


def delivered_effort(subject: Subject) -> Finding:
    """The effort that joints deliver must be what was desired."""
    log = subject.log
    desired = log.first(("applied_effort", "commanded_effort"))
    if desired is None or "joint_effort" not in log:
        return Finding("delivered_effort", "skip", "no commanded_effort with joint_effort")
    table, delivered = log[desired], log["joint_effort"]
    step = float(np.median(np.diff(delivered.time)))
    worst: Finding | None = None
    for column, name in enumerate(table.names):
        joint = log.actuator_joints.get(name, name)
        if joint not in delivered.names:
            continue
        got = delivered.column(joint)
        lags = step * np.arange(round(LONGEST_LAG / step) + 1)
        sent = [log.at(desired, delivered.time - lag, hold=True)[:, column] for lag in lags]
        rests = [float(np.sqrt(np.mean((got - each) ** 2))) for each in sent]
        best = int(np.argmin(rests))
        asked = float(np.sqrt(np.mean(sent[best] ** 2)))
        share = rests[best] / max(asked, 1e-9)
        slope = float(np.sum(got * sent[best]) / max(np.sum(sent[best] ** 2), 1e-12))
        if worst is not None and share <= worst.numbers["share"]:
            continue
        numbers = {"share": share, "rms": rests[best], "lag_ms": 1e3 * lags[best], "ratio": slope}
        verdict = verdict_of(share, EFFORT_WARN, EFFORT_FAIL)
        text = (
            f"{joint} delivers {slope:.2f} times what is desired, {1e3 * lags[best]:.3g} ms later; they "
            f"differ by {rests[best]:.3g} N·m of {asked:.3g} N·m (root mean square)"
        )
        if verdict == "fail":
            mirrored = min(float(np.sqrt(np.mean((got + each) ** 2))) for each in sent)
            text += ": of the other sign?" if mirrored < CLEARLY * rests[best] else _unit(slope)
        curves = {"desired": (delivered.time, sent[0]), "delivered": (delivered.time, got)}
        advice = (
            "fit with the delivered effort. The motor adds its own feedback, or its friction and torque "
            "constant are not compensated: log its gains and targets, or its current"
        )
        passes = verdict == "pass"
        worst = Finding(
            "delivered_effort",
            verdict,
            text,
            numbers,
            "" if passes else advice,
            None if passes else Picture("N·m", curves),
        )
    return worst or Finding("delivered_effort", "skip", "commands and efforts are of different joints")


def _unit(ratio: float) -> str:
    """What a ratio of delivered to desired effort says of their units."""
    return next((f": {unit}?" for unit, r in UNITS.items() if abs(ratio / r - 1) < UNIT_TOLERANCE), "")
