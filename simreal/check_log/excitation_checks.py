"""Checks of what a log can teach: is anything excited, by its own commands, and which parameters."""

import copy
from collections.abc import Callable

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.check_log.finding import Finding, Picture, Verdict
from simreal.check_log.motion import INPUTS, InverseModel, Motion, inverse_model, smooth_motion
from simreal.check_log.sample_checks import quantum_of
from simreal.check_log.subject import COMMANDS, Subject
from simreal.state import FloatArray

CONSTANT = 0.01
"""Share of its largest magnitude within which a command counts as constant."""
RESTING_WARN = 0.75
"""Share of the time that all joints rest."""
REST_SPEED = 0.05
"""Share of the largest speed below which a joint rests, as long as it is below a few encoder steps."""
KNOWN, UNKNOWN = 0.1, 0.5
"""Relative standard error of a parameter: below, the log determines it; above, it does not."""
PERTURBATION = 0.01
"""Share by which a parameter is changed to see what that does."""
TWINS = 0.995
"""Cosine between the effects of two parameters from which on only their sum is known."""
INDEPENDENT = 0.15
"""Share of a regressor that no other one explains, below which a friction or inertia has no say of its
own."""
FEW_REVERSALS = 4
"""Reversals: fewer do not separate Coulomb friction from gravity and offsets."""

Change = Callable[[mujoco.MjModel, float], None]


def excitation(subject: Subject) -> Finding:
    """The motion must determine the parameters of the robot: with its model, one by one."""
    motion = smooth_motion(subject)
    if motion is None:
        return Finding("excitation", "skip", "no joint_position, or too short")
    free = _swings_freely(subject, motion)
    still = (None if free else _constant_command(subject)) or _mostly_rest(motion)
    if still is not None:
        return still
    asked = inverse_model(subject)
    if asked is not None:
        return _by_model(*asked)
    if subject.model is not None and subject.stuck and subject.log.first(INPUTS) is not None:
        return Finding("excitation", "skip", f"the position of {subject.stuck[0]} stands still")
    return _by_joint(motion)


def _swings_freely(subject: Subject, motion: Motion) -> bool:
    """Whether it moves while nothing drives it: a swing that fades tells of inertia and friction."""
    drives = [subject.log[name] for name in INPUTS if name in subject.log]
    undriven = bool(drives) and not any(table.values.any() for table in drives)
    return undriven and "commanded_position" not in subject.log and not resting(motion).all()


def _constant_command(subject: Subject) -> Finding | None:
    tables = [subject.log[name] for name in COMMANDS if name in subject.log]
    if not tables:
        return None
    for table in tables:
        span = np.ptp(table.values, axis=0)
        if np.any(span > CONSTANT * np.maximum(np.abs(table.values).max(axis=0), 1e-12)):
            return None
    table = tables[0]
    return Finding(
        "excitation",
        "fail",
        f"the command is constant, {table.values[0, 0]:.3g} {table.units[0]} from beginning to "
        "end: the log determines no more than where the robot comes to rest",
        {"command_span": 0.0},
        "record a chirp or a sum of sines from some Hz down to a fraction of one, at several amplitudes",
        Picture(table.units[0], {table.names[0]: (table.time, table.values[:, 0])}),
    )


def _mostly_rest(motion: Motion) -> Finding | None:
    rests = resting(motion).all(axis=1)
    share = float(rests.mean())
    if share < RESTING_WARN:
        return None
    fastest = int(np.argmax(np.max(np.abs(motion.velocity), axis=0)))
    return Finding(
        "excitation",
        "warn",
        f"all joints rest for {100 * share:.0f} % of the log",
        {"resting": share},
        "cut the rest out, and record more motion",
        Picture("rad", {motion.names[fastest]: (motion.time, motion.position[:, fastest])}),
    )


def resting(motion: Motion) -> NDArray[np.bool_]:
    """(n, joints) which joints rest, as far as their encoders tell."""
    step = float(motion.time[1] - motion.time[0])
    quanta = np.array([quantum_of(column) for column in motion.position.T])
    floor = np.maximum(0.02 * quanta / step, REST_SPEED * np.abs(motion.velocity).max(axis=0))
    return np.asarray(np.abs(motion.velocity) < floor)


def _by_model(model: InverseModel, motion: Motion, command: FloatArray) -> Finding:
    """Relative standard errors that a fit of the model's parameters to this motion would have."""
    changes = _changes(model.model, motion.names)
    nominal = model.lacking(motion, command)
    weight = 1 / (model.scale(motion) + 1e-12)
    columns = []
    for change in changes.values():
        changed = InverseModel(_copied(model.model, change), motion.names, _actuator_names(model.model))
        columns.append(((changed.lacking(motion, command) - nominal) * weight / PERTURBATION).ravel())
    matrix, target = np.stack(columns, axis=1), -(nominal * weight).ravel()
    names, twins = list(changes), _twins(matrix)
    kept = [row for row in range(len(names)) if row not in twins]
    errors = dict(zip(kept, _relative_errors(matrix[:, kept], target, len(motion.time)), strict=True))
    labels = {
        row: " + ".join([names[row], *(names[twin] for twin, of in twins.items() if of == row)])
        for row in kept
    }
    numbers = {f"error_{labels[row]}": float(errors[row]) for row in kept}
    told = [labels[row] for row in kept if errors[row] < KNOWN]
    weak = [labels[row] for row in kept if KNOWN <= errors[row] < UNKNOWN]
    lost = [labels[row] for row in kept if not errors[row] < UNKNOWN]
    text = f"relative to the motors, determined to {100 * KNOWN:.0f} %: {', '.join(told) or 'nothing'}"
    text += f"; weakly: {', '.join(weak)}" if weak else ""
    text += f"; not: {', '.join(lost)}" if lost else ""
    verdict: Verdict = "pass" if told else "warn" if weak else "fail"
    advice = _advice(lost + weak) if lost or weak else ""
    return Finding("excitation", verdict, text, numbers, advice)


def _twins(matrix: FloatArray) -> dict[int, int]:
    """Columns that act as an earlier one does, so that only their sum can be known."""
    unit = matrix / (np.linalg.norm(matrix, axis=0) + 1e-15)
    alike = np.abs(unit.T @ unit) > TWINS
    firsts = {column: int(np.argmax(row)) for column, row in enumerate(alike)}
    return {column: first for column, first in firsts.items() if first != column}


def _changes(model: mujoco.MjModel, joints: tuple[str, ...]) -> dict[str, Change]:
    """Parameters, by the names of randomization, and how to raise them by a share of their value.

    The strength of motors is not among them: all forces in proportion make the same motion, so that
    every other parameter is known relative to it.
    """
    changes: dict[str, Change] = {}
    for joint in joints:
        dof, place = int(model.joint(joint).dofadr[0]), int(model.joint(joint).id)
        body = int(model.jnt_bodyid[place])
        fields = {
            "joint_damping": ("dof_damping", dof),
            "joint_frictionloss": ("dof_frictionloss", dof),
            "joint_armature": ("dof_armature", dof),
            "joint_stiffness": ("jnt_stiffness", place),
        }
        name = model.body(body).name or str(body)
        changes[f"mass[{name}]"] = _scale((("body_mass", body), ("body_inertia", body)))
        for parameter, field in fields.items():
            if getattr(model, field[0])[field[1]] > 0:
                changes[f"{parameter}[{joint}]"] = _scale((field,))
    return changes


def _scale(fields: tuple[tuple[str, int], ...]) -> Change:
    def change(model: mujoco.MjModel, factor: float) -> None:
        for field, index in fields:
            getattr(model, field)[index] *= factor

    return change


def _copied(model: mujoco.MjModel, change: Change) -> mujoco.MjModel:
    copied = copy.copy(model)
    change(copied, 1 + PERTURBATION)
    mujoco.mj_setConst(copied, mujoco.MjData(copied))
    return copied


def _actuator_names(model: mujoco.MjModel) -> tuple[str, ...]:
    return tuple(model.actuator(index).name for index in range(model.nu))


def _relative_errors(matrix: FloatArray, target: FloatArray, samples: int) -> FloatArray:
    """Standard errors of a least-squares fit; residuals are correlated, so rows count as fewer."""
    scale = np.linalg.norm(matrix, axis=0) + 1e-15
    unit = matrix / scale
    solution, *_ = np.linalg.lstsq(unit, target, rcond=None)
    residual = (target - unit @ solution).reshape(samples, -1)
    variance = float(np.mean(residual**2))
    length = max(_correlation_length(column) for column in residual.T)
    information = unit.T @ unit + 1e-12 * np.eye(unit.shape[1])
    return np.asarray(np.sqrt(variance * length * np.diag(np.linalg.inv(information))) / scale)


def _correlation_length(series: FloatArray) -> float:
    """Samples that count as one: the sum of the autocorrelation up to its first zero."""
    centred = series - series.mean()
    power = float(centred @ centred)
    if power == 0:
        return 1.0
    spectrum = np.abs(np.fft.rfft(centred, 2 * len(centred))) ** 2
    correlation = np.fft.irfft(spectrum)[: len(centred)] / power
    below = np.flatnonzero(correlation <= 0)
    return float(1 + 2 * correlation[1 : below[0] if len(below) else None].sum())


def _by_joint(motion: Motion) -> Finding:
    """Without a model: does each joint's motion tell inertia, viscous and Coulomb friction apart?"""
    numbers, weak, advice = {}, [], []
    for joint, name in enumerate(motion.names):
        velocity = motion.velocity[:, joint]
        fastest = float(np.abs(velocity).max())
        if fastest < 1e-6:
            weak.append(f"{name} does not move")
            advice.append(f"move {name}")
            continue
        regressors = {
            "inertia": motion.acceleration[:, joint],
            "viscous friction": velocity,
            "Coulomb friction": np.tanh(velocity / (REST_SPEED * fastest)),
            "gravity or stiffness": motion.position[:, joint] - motion.position[:, joint].mean(),
        }
        matrix = np.stack([each / (np.std(each) + 1e-15) for each in regressors.values()], axis=1)
        reversals = int(np.sum(np.diff(np.sign(velocity[np.abs(velocity) > REST_SPEED * fastest])) != 0))
        numbers[f"reversals_{name}"] = float(reversals)
        for column, parameter in enumerate(regressors):
            others = np.column_stack([np.delete(matrix, column, axis=1), np.ones(len(matrix))])
            fit, *_ = np.linalg.lstsq(others, matrix[:, column], rcond=None)
            free = float(np.std(matrix[:, column] - others @ fit))
            numbers[f"independent_{parameter}_{name}"] = free
            if free < INDEPENDENT:
                weak.append(f"{parameter} of {name}")
        if reversals < FEW_REVERSALS:
            weak.append(f"Coulomb friction of {name} ({reversals} reversals)")
    if not weak:
        text = "each joint's inertia, friction and stiffness act at different times"
        return Finding("excitation", "pass", text, numbers)
    shown = ", ".join(weak[:5]) + (f" and {len(weak) - 5} more" if len(weak) > 5 else "")
    return Finding("excitation", "warn", f"not told apart: {shown}", numbers, _advice(weak))


def _advice(parameters: list[str]) -> str:
    """What to record next for the sake of parameters."""
    wanted = " ".join(parameters)
    advice = []
    if "friction" in wanted or "damping" in wanted:
        advice.append("slow motion with many reversals, and fast motion, of those joints")
    if "armature" in wanted or "inertia" in wanted or "mass" in wanted:
        advice.append("faster and larger motion: a chirp to higher frequencies, several amplitudes")
    if "stiffness" in wanted or "gravity" in wanted:
        advice.append("the whole range of motion, with rests at its ends")
    return "record " + "; ".join(advice) if advice else "record larger and more varied motion"
