"""Identification beside MuJoCo's own, on the same windows."""

import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from simreal.bench.identify_shared import asked_of, real_logs, rounded
from simreal.callbacks import Tell
from simreal.errors import UserError
from simreal.identification.least_squares import Search
from simreal.identification.recording import Recording, make_recording
from simreal.identification.residuals import Noise
from simreal.identification.simulator import Setup, Simulator
from simreal.identification.unknowns import starts
from simreal.identification.windows import Windows, cut
from simreal.logs.formats import read_logs
from simreal.robots import load_robot
from simreal.state import FloatArray

BESIDE = (
    "motor_strength",
    "mass[arm]",
    "joint_damping[arm]",
    "joint_frictionloss[arm]",
    "joint_stiffness[arm]",
)


def beside_sysid(folder: Path | None, windows: int, tell: Tell) -> dict[str, Any]:
    """The chirps of a Qube by simreal and by `mujoco.sysid`; see `side_by_side`.

    Raises:
        UserError: `mujoco.sysid` is not installed, or no logs.
    """
    files = sorted((real_logs(folder) / "quanser_qube").glob("chirp_*.npz"))
    robot = load_robot("qube")
    recordings = [
        make_recording(log, robot.description)
        for file in files
        for log in read_logs(file, "qube_simurlacra")
    ]
    return side_by_side(recordings, windows, tell)


def side_by_side(recordings: Sequence[Recording], windows: int, tell: Tell) -> dict[str, Any]:
    """The same windows, starts, unknowns and bounds by simreal and by `mujoco.sysid`, in turn.

    Args:
        recordings: of a Qube.
        windows: of 1 s, evenly chosen.
        tell: is told what each found.

    Raises:
        UserError: `mujoco.sysid` is not installed.
    """
    try:
        sysid = import_module("mujoco.sysid")
        optimize = sysid.optimize
    except (ImportError, AttributeError):
        raise UserError("mujoco.sysid needs its own extra: pip install 'mujoco[sysid]'") from None
    robot = load_robot("qube")
    resolution = robot.config.sensing.encoder_resolution
    chosen = cut(recordings, 1.0, resolution=resolution)
    chosen = chosen.rows(np.linspace(0, len(chosen) - 1, windows).astype(np.int64))
    simulator = Simulator(Setup(robot), chosen, asked_of(BESIDE))
    begin, cpu = time.perf_counter(), time.process_time()
    # Starts are given, all samples count alike: what the other side does.
    search = Search(simulator, starts_known=True)
    fit = search.run(starts(simulator.unknowns), Noise(np.ones(2)))
    ours = time.perf_counter() - begin, time.process_time() - cpu
    tell(f"simreal: {ours[0]:.1f} s, {fit.values}")
    begin, cpu = time.perf_counter(), time.process_time()
    theirs_values = _sysid(sysid, optimize, simulator, chosen)
    theirs = time.perf_counter() - begin, time.process_time() - cpu
    tell(f"mujoco.sysid: {theirs[0]:.1f} s, {theirs_values}")
    both = np.stack((fit.values, theirs_values))
    error = simulator.predict(both)[..., 0, :] - chosen.position
    cost = (np.where(chosen.valid[..., None], error, 0.0) ** 2).sum(axis=(1, 2, 3))
    return {
        "windows": len(chosen),
        "unknowns": simulator.names,
        "simreal": {
            "seconds": round(ours[0], 2),
            "cpu_seconds": round(ours[1], 2),
            "cost": round(float(cost[0]), 4),
            "values": rounded(both[0]),
        },
        "mujoco.sysid": {
            "seconds": round(theirs[0], 2),
            "cpu_seconds": round(theirs[1], 2),
            "cost": round(float(cost[1]), 4),
            "values": rounded(both[1]),
        },
        "times_faster": round(theirs[0] / ours[0], 1),
        "times_less_cpu": round(theirs[1] / ours[1], 1),
    }


def _sysid(sysid: Any, optimize: Any, simulator: Simulator, windows: Windows) -> FloatArray:
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
    values: FloatArray = np.array(found.as_vector(), dtype=np.float64)
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
