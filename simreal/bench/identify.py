"""Figures of identification on real logs: how far held-out motion is predicted, and covered."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.bench.identify_shared import asked_of, real_logs, refuse_unknown_parts, rounded
from simreal.callbacks import Tell
from simreal.identification.ensemble import draw_members
from simreal.identification.fitting import Cutting, Fitted, Prediction, fit_model, predict_windows
from simreal.identification.pushes import mark_pushes
from simreal.identification.recording import Recording, make_recording
from simreal.identification.simulator import Setup
from simreal.identification.uncertainty import uncertainty
from simreal.identification.unknowns import Asked
from simreal.identification.widening import Cover, Logs
from simreal.logs.formats import read_logs
from simreal.robots import Robot, load_robot
from simreal.state import FloatArray

QUBE = (
    "torque_constant",
    "motor_resistance",
    "mass[arm]",
    "joint_frictionloss[arm]",
    "joint_stiffness[arm]",
    "spring_reference[arm]",
    "link_length[pendulum]",
    "inertia_stretch[pendulum.z]",
    "joint_frictionloss[pendulum]",
    "action_latency_ms",
    "encoder_bias[pendulum]@log",
)
"""Of the Furuta pendulum, without what its logs cannot tell apart: the arm's damping from back-EMF.

The zero of its pendulum differs from log to log by some steps of its encoder. Balanced, it reads 3 to 13
mrad off upright, and there a window of 0.5 s makes a hundred of one.
"""
JUDGED = ("2021-04-14", "2021-02-10")
"""Days whose coverage is judged: those with chirps and swing-ups."""
WIDENED_ON = "2021-05-25"
"""The day that is left out of the fit to widen on: another than any that is judged."""
KINDS = ("hip", "thigh", "calf")
LEGS = ("FL", "FR", "RL", "RR")
GO2 = (
    "joint_damping[*_hip_joint]",
    "joint_damping[*_thigh_joint]",
    *(f"joint_frictionloss[{leg}_{kind}_joint]" for leg in LEGS for kind in ("thigh", "calf")),
    "encoder_bias",
)
"""Of the Go2, what its slow sweeps tell. Each knee and thigh has a friction of its own, up to twice that
of another. What only trades places there stays as in the model: strength of motors, latency and load
friction against friction; rotors, which such slow motion hardly feels; of the hips, friction against
damping."""
PENDULUM = (
    "mass",
    "joint_armature=0.1:40",
    "joint_damping",
    "joint_frictionloss",
    "torque_offset",
    "load_friction",
    "action_latency_ms",
)


@dataclass(slots=True)
class _Pool:
    """Root mean squares over several predictions."""

    total: FloatArray | float = 0.0
    count: int = 0

    def add(self, error: FloatArray, valid: NDArray[np.bool_]) -> None:
        self.total = self.total + np.sum(np.nan_to_num(error, nan=np.pi) ** 2, axis=(0, 1))
        self.count += int(valid.sum())

    def rms(self) -> list[float]:
        return rounded(np.sqrt(self.total / max(1, self.count)))


def qube(
    folder: Path | None, hold_out: Sequence[str], tell: Tell, by_group: Sequence[str]
) -> dict[str, Any]:
    """Predict some of the Qube's logs with a model fitted to all others, for each part in turn.

    Args:
        folder: of real logs.
        hold_out: part of the names of what is predicted, such as a day; each day if there is none.
        tell: hears of the fit.
        by_group: unknowns that differ by group.

    Raises:
        UserError: no log's name has such a part.
    """
    robot = load_robot("qube")
    setup, asked = Setup(robot), asked_of(QUBE, by_group)
    recordings = _qube_recordings(folder, robot)
    names = [f"{each.group}, {each.name}" for each in recordings]
    refuse_unknown_parts("--hold-out", hold_out, names)
    days = sorted({each.group.split()[-1] for each in recordings})
    result: dict[str, Any] = {}
    pools = {(kind, what): _Pool() for kind in ("chirp", "swingup") for what in ("fit", "nominal")}
    for part in hold_out or days:
        begin = time.perf_counter()
        judged = [each for each, name in zip(recordings, names, strict=True) if part in name]
        rest = [each for each, name in zip(recordings, names, strict=True) if part not in name]
        fitted = _fit_qube(setup, rest, asked, tell)
        entry: dict[str, Any] = {
            "values": {name: round(value, 5) for name, value in fitted.by_name.items()},
            "spreads": [each.describe() for each in fitted.spreads],
            "at_bounds": [*fitted.at_bounds, *fitted.at_ends],
            "seconds": round(time.perf_counter() - begin, 1),
        }
        for kind, length in (("chirp", 1.0), ("swingup", 0.5)):
            held = [each for each in judged if kind in each.group]
            if held:
                entry[kind] = _predict_qube(setup, held, asked, fitted, length, kind, pools)
        result[part] = entry
        tell(f"{part}: {entry}")
    result["pooled"] = {
        f"{kind} {what}": pool.rms() for (kind, what), pool in pools.items() if pool.count
    }
    return result


def _qube_recordings(folder: Path | None, robot: Robot) -> list[Recording]:
    model = Setup(robot).compiled()
    return [
        mark_pushes(make_recording(log, robot.description), robot.description, model)
        for file in sorted((real_logs(folder) / "quanser_qube").glob("*.npz"))
        if not file.name.startswith("sin_")  # they drift, and fail a check of logs
        for log in read_logs(file, "qube_simurlacra")
    ]


def _fit_qube(
    setup: Setup, recordings: Sequence[Recording], asked: Sequence[Asked], tell: Tell
) -> Fitted:
    """Chirps of every log, swing-ups of every third: they are many, and much alike."""
    chirps = [each for each in recordings if "chirp" in each.group]
    swings = [each for each in recordings if "swingup" in each.group]
    return fit_model(setup, [*chirps[::2], *swings[::3]], asked, Cutting(0.5, 0.7), None, tell, 12)


def _predict_qube(
    setup: Setup,
    held: Sequence[Recording],
    asked: Sequence[Asked],
    fitted: Fitted,
    length: float,
    kind: str,
    pools: dict[tuple[str, str], _Pool],
) -> dict[str, Any]:
    cutting = Cutting(length)
    found = predict_windows(setup, held, asked, fitted.fit.values[None], cutting)
    bare = predict_windows(setup, held, (), np.zeros((1, 0)), cutting)
    for what, prediction in (("fit", found), ("nominal", bare)):
        pools[kind, what].add(prediction.error[0], prediction.windows.valid)
    return {
        "windows": len(found.windows),
        "fit": rounded(found.root_mean_square()[0]),
        "nominal": rounded(bare.root_mean_square()[0]),
        "by_log": {
            recording.name.partition(":")[2]: rounded(
                found.root_mean_square(found.windows.source == place)[0]
            )
            for place, recording in enumerate(held)
        },
    }


def go2(folder: Path | None, tell: Tell) -> dict[str, Any]:
    """Fit to the first 70 % of the chirp, predict the last 30 %, in mrad."""
    file = real_logs(folder) / "unitree_go2_chirp" / "chirp_200Hz.npz"
    robot = load_robot("go2")
    setup = Setup(robot, fixed_base=True, held={"kp": 20.0, "kd": 1.5})
    (log,) = read_logs(file, "go2_chirp")
    whole = make_recording(log, robot.description)
    part = round(0.7 * len(whole.time))
    first = replace(whole, time=whole.time[:part], position=whole.position[:part])
    begin = time.perf_counter()
    fitted = fit_model(setup, [first], asked_of(GO2), Cutting(1.0), None, tell, 10)
    result: dict[str, Any] = {
        "values": {name: round(value, 5) for name, value in fitted.by_name.items()},
        "at_bounds": [*fitted.at_bounds, *fitted.at_ends],
        "seconds": round(time.perf_counter() - begin, 1),
    }
    values = fitted.fit.values[None]
    for name, asked, candidates in (("fit", asked_of(GO2), values), ("nominal", [], np.zeros((1, 0)))):
        found = predict_windows(setup, [whole], asked, candidates, Cutting(1.0), (0.7, 1.0))
        each = found.root_mean_square()[0].reshape(4, 3)
        result[f"{name}_mrad"] = dict(
            zip(KINDS, rounded(1e3 * np.sqrt((each**2).mean(axis=0)), 2), strict=True)
        )
    return result


def pendulum(folder: Path | None, tell: Tell, by_group: Sequence[str] = ()) -> dict[str, Any]:
    """Predict each controller's log of the simple pendulum with a model fitted to all others."""
    files = sorted((real_logs(folder) / "dfki_simple_pendulum").glob("*_measured.csv*"))
    robot = load_robot("simple_pendulum")
    setup, asked = Setup(robot), asked_of(PENDULUM, by_group)
    # What the drive reports of its torque: the desired one was not delivered.
    model = setup.compiled()
    recordings = [
        mark_pushes(
            _thinned(make_recording(log, robot.description, "joint_effort")), robot.description, model
        )
        for file in files
        for log in read_logs(file, "simple_pendulum")
    ]
    result: dict[str, Any] = {}
    errors, unpushed = [], []
    for held in recordings:
        rest = [each for each in recordings if each is not held]
        fitted = fit_model(setup, rest, asked, Cutting(0.5, 1.0), None, tell, 12)
        found = predict_windows(setup, [held], asked, fitted.fit.values[None], Cutting(1.0))
        bare = predict_windows(setup, [held], (), np.zeros((1, 0)), Cutting(1.0))
        error, calm = (
            float(found.root_mean_square(rows)[0, 0]) for rows in (slice(None), ~found.windows.pushed)
        )
        errors.append(error)
        unpushed.append(calm)
        result[held.group] = {
            "fit": round(error, 4),
            "nominal": round(float(bare.root_mean_square()[0, 0]), 4),
            "windows": len(found.windows),
            "pushed": held.pushed,
            "fit_of_windows_without_a_push": round(calm, 4),
            "worst": _worst_window(found),
            "at_bounds": [*fitted.at_bounds, *fitted.at_ends],
            "values": {name: round(value, 4) for name, value in fitted.by_name.items()},
            "spreads": [each.describe() for each in fitted.spreads],
        }
        tell(f"{held.group}: {result[held.group]}")
    result["mean"] = round(float(np.mean(errors)), 4)
    result["mean_of_windows_without_a_push"] = round(float(np.mean(unpushed)), 4)
    return result


def _worst_window(prediction: Prediction) -> dict[str, float]:
    """Where the largest error is, and what is left without it: a hand may have struck the pendulum."""
    square = np.nan_to_num(prediction.error[0, ..., 0], nan=np.pi) ** 2
    worst = int(np.argmax(square.sum(axis=1)))
    rest = np.arange(len(square)) != worst
    counts = prediction.windows.valid.sum(axis=1)
    return {
        "at_s": round(float(prediction.windows.start[worst]), 2),
        "fit": round(float(np.sqrt(square[worst].sum() / counts[worst])), 4),
        "fit_of_the_others": round(float(np.sqrt(square[rest].sum() / counts[rest].sum())), 4),
    }


def _thinned(recording: Recording, period: float = 0.004) -> Recording:
    """Measurements no denser than a period: at 1 kHz they say little more than at 200 Hz."""
    every = max(1, int(period / recording.period))
    velocity = None if recording.velocity is None else recording.velocity[::every]
    return replace(
        recording,
        time=recording.time[::every],
        position=recording.position[::every],
        velocity=velocity,
    )


def band_coverage(
    folder: Path | None, days: Sequence[str], tell: Tell, by_group: Sequence[str]
) -> dict[str, Any]:
    """Fit to some days of the Qube's logs, widen on another, then see how much of a third is covered.

    Args:
        folder: of real logs.
        days: whose coverage is judged, or other parts of their groups' names; `JUDGED` if there is none.
        tell: hears of the fit.
        by_group: unknowns that differ by group.

    Raises:
        UserError: no group's name has such a part.
    """
    robot = load_robot("qube")
    setup, asked = Setup(robot), asked_of(QUBE, by_group)
    recordings = _qube_recordings(folder, robot)
    refuse_unknown_parts("--hold-out", days, [each.group for each in recordings])
    result: dict[str, Any] = {}
    for day in days or JUDGED:
        rest = [each for each in recordings if day not in each.group]
        left_out = [each for each in rest if WIDENED_ON in each.group]
        fitted = _fit_qube(setup, [each for each in rest if WIDENED_ON not in each.group], asked, tell)
        known = uncertainty(fitted)
        draw = partial(draw_members, fitted.fit.values, known, fitted.simulator.unknowns)
        cover = Cover(setup, asked, fitted, draw)
        ensemble = cover.widened(Logs(left_out, Cutting(0.5, 1.0)))
        entry: dict[str, Any] = {
            "spreads": [each.describe() for each in fitted.spreads],
            "factors": rounded(ensemble.widening.joints, 2),
            "widened_members_alone": rounded(ensemble.widening.coverage),
            "model_error_rad_per_s": rounded(ensemble.model_error),
            "widened": rounded(ensemble.coverage),
        }
        tell(f"{day}: {entry}")
        for kind in ("chirp", "swingup"):
            held = [each for each in recordings if day in each.group and kind in each.group]
            entry[kind] = rounded(cover.judged(ensemble, Logs(held, Cutting(0.5, 1.0))))
        result[day] = entry
        tell(f"{day}: {entry}")
    return result
