"""What a residual model adds to identification, on real logs of the Qube that neither has seen."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from simreal.adapt.residual_data import lessons
from simreal.adapt.residual_fit import Known, Predicted, fit_residual, predict
from simreal.bench.identify import QUBE
from simreal.bench.identify_shared import real_logs, refuse_unknown_parts
from simreal.callbacks import Tell
from simreal.evaluate import interval_json
from simreal.identification.fitting import Cutting, fit_model
from simreal.identification.recording import Recording, make_recording
from simreal.identification.simulator import Setup
from simreal.identification.unknowns import read_asked
from simreal.logs.formats import read_logs
from simreal.randomization.residual import ResidualModel
from simreal.robots import load_robot
from simreal.state import FloatArray
from simreal.statistics import bootstrap_interval

PERIOD = 0.01
"""s, of the Qube's experiments."""
HALF_SECOND = 0.5


def qube(
    folder: Path | None, days: Sequence[str], all_joints: bool, iterations: int, tell: Tell
) -> dict[str, Any]:
    """Hold each day out: identify on the other days, fit a residual to them, and predict that day.

    Args:
        folder: of real logs.
        days: to hold out; all if none.
        all_joints: whether the residual acts on the pendulum, too, which no motor drives.
        iterations: most of the identification.
        tell: is told how far it is.

    Raises:
        UserError: a day of which there is no log.
    """
    robot = load_robot("qube")
    setup = Setup(robot)
    recordings = [
        make_recording(log, robot.description)
        for file in sorted((real_logs(folder) / "quanser_qube").glob("*.npz"))
        if not file.name.startswith("sin_")  # they drift, and fail a check of logs
        for log in read_logs(file, "qube_simurlacra")
    ]
    known_days = sorted({each.group.split()[-1] for each in recordings})
    refuse_unknown_parts("--day", days, known_days)
    result: dict[str, Any] = {}
    for day in days or known_days:
        begin = time.perf_counter()
        rest = [each for each in recordings if day not in each.group]
        held = [each for each in recordings if day in each.group]
        known = identified(setup, rest, iterations, tell)
        model = fit_residual(known, rest, PERIOD, all_joints, tell)
        result[day] = compared(known, model, held) | {"seconds": round(time.perf_counter() - begin, 1)}
        tell(f"{day}: {result[day]}")
    return result


def identified(setup: Setup, recordings: Sequence[Recording], iterations: int, tell: Tell) -> Known:
    """The Qube as every second chirp and every third swing-up say."""
    asked = [read_asked(name) for name in QUBE]
    chirps = [each for each in recordings if "chirp" in each.group]
    swings = [each for each in recordings if "swingup" in each.group]
    chosen = [*chirps[::2], *swings[::3]]
    fitted = fit_model(setup, chosen, asked, Cutting(0.5, 0.7), None, tell, iterations)
    return Known(setup, tuple(asked), fitted.fit.values)


def compared(known: Known, model: ResidualModel, held: Sequence[Recording]) -> dict[str, Any]:
    """Errors of identification alone and with the residual, as it came and at full strength."""
    entry: dict[str, Any] = {"strength": model.strength}
    for kind in ("chirp", "swingup"):
        logs = [each for each in held if kind in each.group]
        if logs:
            entry[kind] = {
                "one_step_torque": _one_step(known, model, logs),
                "half_second": _half_second(known, model, logs),
            }
    return entry


def _one_step(known: Known, model: ResidualModel, logs: Sequence[Recording]) -> dict[str, Any]:
    """Torque that one control step from a smoothed state lacks, root mean square in mN·m."""
    found = lessons(known.setup, logs, known.asked, known.values, model)
    torque, _ = model.torque(found.features)
    return {
        "control_steps": len(found.torque),
        "identified": _rounded(1e3 * _size(found.torque)),
        "with_residual": _rounded(1e3 * _size(found.torque - model.strength * torque)),
        "with_full_residual": _rounded(1e3 * _size(found.torque - torque)),
    }


def _half_second(known: Known, model: ResidualModel, logs: Sequence[Recording]) -> dict[str, Any]:
    """Position after up to half a second open loop, root mean square in rad, and gains in pairs."""
    alone = predict(known, logs, None, HALF_SECOND)
    full = predict(known, logs, replace(model, strength=1.0), HALF_SECOND)
    chosen = alone if model.strength == 0.0 else predict(known, logs, model, HALF_SECOND)
    gain = np.sqrt(_by_window(alone)) - np.sqrt(_by_window(chosen))
    return {
        "windows": len(alone.windows),
        "identified": _rounded(_root(alone)),
        "with_residual": _rounded(_root(chosen)),
        "with_full_residual": _rounded(_root(full)),
        "gain_by_window": [
            {
                name: None if value is None else round(value, 5)
                for name, value in interval_json(bootstrap_interval(each)).items()
            }
            for each in gain.T.tolist()
        ],
    }


def _by_window(found: Predicted) -> FloatArray:
    """(windows, joints) mean squares."""
    count = np.maximum(1, found.windows.valid.sum(axis=1))[:, None]
    squares: FloatArray = np.sum(np.nan_to_num(found.error, nan=np.pi) ** 2, axis=1) / count
    return squares


def _root(found: Predicted) -> FloatArray:
    total, count = found.squares()
    root: FloatArray = np.sqrt(total / max(1, count))
    return root


def _size(values: FloatArray) -> FloatArray:
    size: FloatArray = np.sqrt((values**2).mean(axis=0))
    return size


def _rounded(values: FloatArray) -> list[float]:
    return [round(float(value), 4) for value in values]
