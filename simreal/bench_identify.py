"""Figures of identification: on real logs, on synthetic truth, and beside MuJoCo's own."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.adapt.ensemble import MEMBERS, coverage, draw_members, widen
from simreal.adapt.fitting import Cutting, Fitted, Prediction, fit_model, predict_windows
from simreal.adapt.least_squares import Search
from simreal.adapt.recording import Recording, make_recording
from simreal.adapt.residuals import Noise
from simreal.adapt.simulator import Setup, Simulator
from simreal.adapt.uncertainty import uncertainty
from simreal.adapt.unknowns import Asked, read_asked, starts
from simreal.adapt.windows import Windows, cut
from simreal.errors import UserError
from simreal.logs.formats import read_logs
from simreal.robots import load_robot

Values = NDArray[np.float64]
Tell = Callable[[str], None]

LOGS_VARIABLE = "SIMREAL_REAL_LOGS"
DEFAULT_LOGS = Path("../shared/data/real")

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
)
"""Of the Furuta pendulum, without what its logs cannot tell apart: the arm's damping from back-EMF."""
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


def real_logs(folder: Path | None) -> Path:
    """The folder of real logs.

    Raises:
        UserError: it is not there.
    """
    path = folder or Path(os.environ.get(LOGS_VARIABLE, DEFAULT_LOGS))
    if not path.is_dir():
        raise UserError(f"{path}: no real logs; name their folder by --data or {LOGS_VARIABLE}")
    return path


def _asked(names: Sequence[str]) -> list[Asked]:
    return [read_asked(name) for name in names]


def _rounded(values: Values, digits: int = 4) -> list[float]:
    return [round(float(value), digits) for value in values]


@dataclass(slots=True)
class _Pool:
    """Root mean squares over several predictions."""

    total: Values | float = 0.0
    count: int = 0

    def add(self, error: Values, valid: NDArray[np.bool_]) -> None:
        self.total = self.total + np.sum(np.nan_to_num(error, nan=np.pi) ** 2, axis=(0, 1))
        self.count += int(valid.sum())

    def rms(self) -> list[float]:
        return _rounded(np.sqrt(self.total / max(1, self.count)))


def qube(folder: Path | None, days: Sequence[str], tell: Tell) -> dict[str, Any]:
    """Predict each day's logs of the Qube with a model fitted to those of all other days."""
    files = sorted((real_logs(folder) / "quanser_qube").glob("*.npz"))
    robot = load_robot("qube")
    setup = Setup(robot)
    recordings = [
        make_recording(log, robot.description)
        for file in files
        if not file.name.startswith("sin_")  # they drift, and fail a check of logs
        for log in read_logs(file, "qube_simurlacra")
    ]
    known = sorted({each.group.split()[-1] for each in recordings})
    result: dict[str, Any] = {}
    pools = {(kind, what): _Pool() for kind in ("chirp", "swingup") for what in ("fit", "nominal")}
    for day in days or known:
        begin = time.perf_counter()
        rest = [each for each in recordings if day not in each.group]
        fitted = _fit_qube(setup, rest, tell)
        entry: dict[str, Any] = {
            "values": {name: round(value, 5) for name, value in fitted.by_name.items()},
            "at_bounds": fitted.at_bounds,
            "seconds": round(time.perf_counter() - begin, 1),
        }
        for kind, length in (("chirp", 1.0), ("swingup", 0.5)):
            held = [each for each in recordings if day in each.group and kind in each.group]
            if held:
                entry[kind] = _predict_qube(setup, held, fitted, length, kind, pools)
        result[day] = entry
        tell(f"{day}: {entry}")
    result["pooled"] = {
        f"{kind} {what}": pool.rms() for (kind, what), pool in pools.items() if pool.count
    }
    return result


def _fit_qube(setup: Setup, recordings: Sequence[Recording], tell: Tell) -> Fitted:
    """Chirps of every log, swing-ups of every third: they are many, and much alike."""
    chirps = [each for each in recordings if "chirp" in each.group]
    swings = [each for each in recordings if "swingup" in each.group]
    return fit_model(
        setup, [*chirps[::2], *swings[::3]], _asked(QUBE), Cutting(0.5, 0.7), None, tell, 12
    )


def _predict_qube(
    setup: Setup,
    held: Sequence[Recording],
    fitted: Fitted,
    length: float,
    kind: str,
    pools: dict[tuple[str, str], _Pool],
) -> dict[str, Any]:
    cutting = Cutting(length)
    found = predict_windows(setup, held, _asked(QUBE), fitted.fit.values[None], cutting)
    bare = predict_windows(setup, held, (), np.zeros((1, 0)), cutting)
    for what, prediction in (("fit", found), ("nominal", bare)):
        pools[kind, what].add(prediction.error[0], prediction.windows.valid)
    return {
        "windows": len(found.windows),
        "fit": _rounded(found.root_mean_square()[0]),
        "nominal": _rounded(bare.root_mean_square()[0]),
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
    fitted = fit_model(setup, [first], _asked(GO2), Cutting(1.0), None, tell, 10)
    result: dict[str, Any] = {
        "values": {name: round(value, 5) for name, value in fitted.by_name.items()},
        "at_bounds": fitted.at_bounds,
        "seconds": round(time.perf_counter() - begin, 1),
    }
    values = fitted.fit.values[None]
    for name, asked, candidates in (("fit", _asked(GO2), values), ("nominal", [], np.zeros((1, 0)))):
        found = predict_windows(setup, [whole], asked, candidates, Cutting(1.0), (0.7, 1.0))
        each = found.root_mean_square()[0].reshape(4, 3)
        result[f"{name}_mrad"] = dict(
            zip(KINDS, _rounded(1e3 * np.sqrt((each**2).mean(axis=0)), 2), strict=True)
        )
    return result


def pendulum(folder: Path | None, tell: Tell) -> dict[str, Any]:
    """Predict each controller's log of the simple pendulum with a model fitted to all others."""
    files = sorted((real_logs(folder) / "dfki_simple_pendulum").glob("*_measured.csv*"))
    robot = load_robot("simple_pendulum")
    setup = Setup(robot)
    # What the drive reports of its torque: the desired one was not delivered.
    recordings = [
        _thinned(make_recording(log, robot.description, "joint_effort"))
        for file in files
        for log in read_logs(file, "simple_pendulum")
    ]
    result: dict[str, Any] = {}
    errors = []
    for held in recordings:
        rest = [each for each in recordings if each is not held]
        fitted = fit_model(setup, rest, _asked(PENDULUM), Cutting(0.5, 1.0), None, tell, 12)
        found = predict_windows(setup, [held], _asked(PENDULUM), fitted.fit.values[None], Cutting(1.0))
        bare = predict_windows(setup, [held], (), np.zeros((1, 0)), Cutting(1.0))
        error = float(found.root_mean_square()[0, 0])
        errors.append(error)
        result[held.group] = {
            "fit": round(error, 4),
            "nominal": round(float(bare.root_mean_square()[0, 0]), 4),
            "windows": len(found.windows),
            "worst": _worst_window(found),
            "at_bounds": fitted.at_bounds,
            "values": {name: round(value, 4) for name, value in fitted.by_name.items()},
        }
        tell(f"{held.group}: {result[held.group]}")
    result["mean"] = round(float(np.mean(errors)), 4)
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


LINK_TRUTH = ("torque_constant", "mass[arm]", "joint_frictionloss[arm]", "joint_stiffness[arm]")


def truth(draws: int, tell: Tell, seed: int = 0) -> dict[str, Any]:
    """How often the 90 % interval of an identification holds what the logs were made with."""
    robot = load_robot("qube")
    random = np.random.default_rng(seed)
    asked = _asked(LINK_TRUTH)
    inside = np.zeros((draws, len(asked)), dtype=bool)
    for draw in range(draws):
        values = np.array(
            [random.uniform(0.8, 1.2), random.uniform(0.7, 1.4), *random.uniform(0.5, 3.0, 2)]
        )
        recording = synthetic(Setup(robot), LINK_TRUTH, values, 10.0, random)
        fitted = fit_model(Setup(robot), [recording], asked, Cutting(0.5), None, None, 10)
        deviation = np.sqrt(np.diag(uncertainty(fitted).bounded_covariance))
        inside[draw] = np.abs(fitted.fit.values - values) <= 1.645 * deviation
        tell(f"{draw + 1} of {draws}: {100 * inside[: draw + 1].mean():.0f} % within")
    return {
        "draws": draws,
        "within": round(float(inside.mean()), 4),
        "by_parameter": dict(zip(LINK_TRUTH, _rounded(inside.mean(axis=0)), strict=True)),
    }


def latency(values_ms: Sequence[float], tell: Tell) -> dict[str, Any]:
    """Recover the latency of a synthetic Qube whose other parameters are wrong in the model."""
    robot = load_robot("qube")
    names = ("action_latency_ms", "torque_constant", "joint_frictionloss[arm]")
    random = np.random.default_rng(0)
    found = {}
    for value in values_ms:
        # Made with a finer timestep than it is identified with.
        fine = Setup(robot, timestep=0.0005)
        recording = synthetic(fine, names, np.array([value, 1.1, 1.6]), 8.0, random)
        fitted = fit_model(Setup(robot), [recording], _asked(names), Cutting(0.5), None, None, 12)
        found[f"{value:g}"] = round(fitted.by_name[names[0]], 3)
        tell(f"{value:g} ms: {found[f'{value:g}']}")
    errors = [abs(estimate - float(true)) for true, estimate in found.items()]
    return {"true_to_found_ms": found, "largest_error_ms": round(max(errors), 3)}


def synthetic(
    setup: Setup, names: Sequence[str], values: Values, seconds: float, random: np.random.Generator
) -> Recording:
    """A log of a simulated robot at 250 Hz under a multisine, with the encoder's steps."""
    robot, period = setup.robot, 0.004
    stamps = np.asarray(period * np.arange(round(seconds / period) + 1), dtype=np.float64)
    joints, actuators = len(robot.description.joints), robot.description.actuators
    frequency = np.array([0.7, 1.3, 2.1, 3.4])
    phase = random.uniform(0.0, 2.0 * np.pi, (4, len(actuators)))
    waves = np.sin(2.0 * np.pi * stamps[:, None, None] * frequency[:, None] + phase).sum(axis=1)
    command = 0.12 * waves * np.array([each.upper for each in actuators])
    nothing = np.zeros((len(stamps), joints))
    silent = Recording("synthetic", "multisine", stamps, command, stamps, nothing, None)
    count = np.ones((1, len(stamps)), dtype=bool)
    rest, unit = np.zeros((1, 2, joints)), np.ones((1, 2, joints))
    window = Windows(
        (silent,),
        np.zeros(1, dtype=np.int64),
        np.zeros(1),
        seconds,
        stamps[None],
        nothing[None],
        None,
        count,
        rest,
        unit,
        None,
    )
    position = Simulator(setup, window, _asked(names)).predict(values[None])[0, 0, :, 0]
    step = robot.config.sensing.encoder_resolution
    if step > 0.0:
        position = step * np.rint(position / step)
    return replace(silent, position=position)


def band_coverage(folder: Path | None, tell: Tell) -> dict[str, Any]:
    """Widen on one day of the Qube's logs, then see how much of another day the band covers."""
    files = sorted((real_logs(folder) / "quanser_qube").glob("chirp_*.npz"))
    robot = load_robot("qube")
    setup, asked = Setup(robot), _asked(QUBE)
    recordings = [
        make_recording(log, robot.description)
        for file in files
        for log in read_logs(file, "qube_simurlacra")
    ]
    early = [each for each in recordings if "2021-02-10" in each.group]
    late = [each for each in recordings if "2021-04-14" in each.group]
    # Three parts that share no log: to fit, to widen on, to judge by.
    result = {}
    negative = [each for each in early if "neg" in each.name]
    positive = [each for each in early if "pos" in each.name]
    for name, fit, calibrate, judge in (
        ("judged by 2021-04-14", positive, negative, late),
        ("judged by 2021-02-10 pos", late, negative, positive),
    ):
        fitted = fit_model(setup, fit, asked, Cutting(0.5), None, tell, 10)
        known = uncertainty(fitted)
        noise = 3.0 * np.median(fitted.simulator.windows.start_deviation[:, 0], axis=0)

        def share(
            factor: float,
            logs: Sequence[Recording],
            fitted: Fitted = fitted,
            known: Any = known,
            noise: Values = noise,
        ) -> Values:
            members = draw_members(fitted.fit.values, known, fitted.simulator.unknowns, factor, MEMBERS)
            found = predict_windows(
                setup, logs, asked, members, Cutting(0.5, 1.0), (0.0, 1.0), np.random.default_rng(1)
            )
            return coverage(
                found.predicted[..., 0, :], found.windows.position, found.windows.valid, noise
            )

        factor, calibrated = widen(partial(share, logs=calibrate))
        result[name] = {
            "factor": round(factor, 3),
            "calibrated": _rounded(calibrated),
            "held_out": _rounded(share(factor, judge)),
        }
        tell(f"{name}: {result[name]}")
    return result


BESIDE = (
    "motor_strength",
    "mass[arm]",
    "joint_damping[arm]",
    "joint_frictionloss[arm]",
    "joint_stiffness[arm]",
)


def beside_sysid(folder: Path | None, windows: int, tell: Tell) -> dict[str, Any]:
    """The same windows, starts, unknowns and bounds by simreal and by `mujoco.sysid`, in turn.

    Raises:
        UserError: `mujoco.sysid` is not installed.
    """
    try:
        sysid = import_module("mujoco.sysid")
        optimize = sysid.optimize
    except (ImportError, AttributeError):
        raise UserError("mujoco.sysid needs its own extra: pip install 'mujoco[sysid]'") from None
    files = sorted((real_logs(folder) / "quanser_qube").glob("chirp_*.npz"))
    robot = load_robot("qube")
    recordings = [
        make_recording(log, robot.description)
        for file in files
        for log in read_logs(file, "qube_simurlacra")
    ]
    resolution = robot.config.sensing.encoder_resolution
    chosen = cut(recordings, 1.0, resolution=resolution)
    chosen = chosen.rows(np.linspace(0, len(chosen) - 1, windows).astype(np.int64))
    # Starts are given, all samples count alike: what the other side does.
    fixed = replace(chosen, start_deviation=np.full_like(chosen.start_deviation, 1e-9))
    simulator = Simulator(Setup(robot), fixed, _asked(BESIDE))
    begin, cpu = time.perf_counter(), time.process_time()
    fit = Search(simulator).run(starts(simulator.unknowns), Noise(np.ones(2)))
    ours = time.perf_counter() - begin, time.process_time() - cpu
    tell(f"simreal: {ours[0]:.1f} s, {fit.values}")
    begin, cpu = time.perf_counter(), time.process_time()
    theirs_values = _sysid(sysid, optimize, simulator, fixed)
    theirs = time.perf_counter() - begin, time.process_time() - cpu
    tell(f"mujoco.sysid: {theirs[0]:.1f} s, {theirs_values}")
    both = np.stack((fit.values, theirs_values))
    error = simulator.predict(both)[..., 0, :] - fixed.position
    cost = (np.where(fixed.valid[..., None], error, 0.0) ** 2).sum(axis=(1, 2, 3))
    return {
        "windows": len(fixed),
        "unknowns": simulator.names,
        "simreal": {
            "seconds": round(ours[0], 2),
            "cpu_seconds": round(ours[1], 2),
            "cost": round(float(cost[0]), 4),
            "values": _rounded(both[0]),
        },
        "mujoco.sysid": {
            "seconds": round(theirs[0], 2),
            "cpu_seconds": round(theirs[1], 2),
            "cost": round(float(cost[1]), 4),
            "values": _rounded(both[1]),
        },
        "times_faster": round(theirs[0] / ours[0], 1),
    }


def _sysid(sysid: Any, optimize: Any, simulator: Simulator, windows: Windows) -> Values:
    spec = mujoco.MjSpec.from_file(str(simulator.setup.robot.model_path))
    for joint in ("arm", "pendulum"):
        spec.add_sensor(
            name=f"{joint}_position",
            type=mujoco.mjtSensor.mjSENS_JOINTPOS,
            objtype=mujoco.mjtObj.mjOBJ_JOINT,
            objname=joint,
        )
    model = spec.compile()
    joint, body, motor = model.joint("arm"), model.body("arm"), model.actuator("motor")
    damping, friction, stiffness = joint.damping[0], joint.frictionloss[0], joint.stiffness[0]
    mass, inertia = float(body.mass[0]), np.array(body.inertia)
    gain, back = float(motor.gainprm[0]), float(motor.biasprm[2])

    def strength(spec: Any, parameter: Any) -> None:
        actuator, value = spec.actuator("motor"), parameter.value[0]
        actuator.gainprm[0], actuator.biasprm[2] = gain * value, back * value

    def arm_mass(spec: Any, parameter: Any) -> None:
        changed, value = spec.body("arm"), parameter.value[0]
        changed.mass, changed.inertia = mass * value, inertia * value

    def of_joint(name: str, nominal: float) -> Callable[[Any, Any], None]:
        def modify(spec: Any, parameter: Any) -> None:
            value = getattr(spec.joint("arm"), name)
            if np.ndim(value):  # of a polynomial, the linear term
                value[0] = nominal * parameter.value[0]
            else:
                setattr(spec.joint("arm"), name, float(nominal * parameter.value[0]))

        return modify

    modifiers = (
        strength,
        arm_mass,
        of_joint("damping", damping),
        of_joint("frictionloss", friction),
        of_joint("stiffness", stiffness),
    )
    parameters = sysid.ParameterDict()
    for unknown, modifier in zip(simulator.unknowns, modifiers, strict=True):
        parameters.add(
            sysid.Parameter(
                unknown.name,
                nominal=1.0,
                min_value=unknown.low,
                max_value=unknown.high,
                modifier=modifier,
            )
        )
    sequences = _sequences(sysid, spec, model, simulator, windows)
    residual = sysid.build_residual_fn(models_sequences=[sequences])
    found, _ = optimize(
        initial_params=parameters, residual_fn=residual, optimizer="mujoco", verbose=False
    )
    values: Values = np.array(found.as_vector(), dtype=np.float64)
    return values


def _sequences(sysid: Any, spec: Any, model: Any, simulator: Simulator, windows: Windows) -> Any:
    """The windows as that package wants them: starts, commands at each physics step, measurements."""
    commands = simulator._arriving(0.0)
    steps = simulator.timestep * np.arange(len(commands) + 1)
    states, controls, measured = [], [], []
    for row in range(len(windows)):
        start = windows.start_state[row]
        states.append(sysid.create_initial_state(model, start[0], start[1]))
        held = np.concatenate((commands[:, row], commands[-1:, row]))
        controls.append(sysid.TimeSeries.from_control_names(steps, held, model))
        keep = windows.valid[row]
        measured.append(
            sysid.TimeSeries.from_names(windows.time[row][keep], windows.position[row][keep], model)
        )
    names = [f"window{row}" for row in range(len(windows))]
    return sysid.ModelSequences("qube", spec, names, states, controls, measured)
