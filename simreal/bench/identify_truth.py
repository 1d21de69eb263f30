"""Figures of identification on made-up logs, whose truth is known."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from simreal.bench.identify_shared import asked_of, rounded
from simreal.callbacks import Tell
from simreal.identification.fitting import Cutting, fit_model
from simreal.identification.recording import Recording
from simreal.identification.simulator import Setup, Simulator
from simreal.identification.uncertainty import uncertainty
from simreal.identification.windows import Windows
from simreal.robots import load_robot
from simreal.state import FloatArray
from simreal.statistics import Z_90

LINK_TRUTH = ("torque_constant", "mass[arm]", "joint_frictionloss[arm]", "joint_stiffness[arm]")


def truth(draws: int, tell: Tell) -> dict[str, Any]:
    """How often the 90 % interval of an identification holds what the logs were made with."""
    robot = load_robot("qube")
    random = np.random.default_rng(0)
    asked = asked_of(LINK_TRUTH)
    inside = np.zeros((draws, len(asked)), dtype=bool)
    for draw in range(draws):
        values = np.array(
            [random.uniform(0.8, 1.2), random.uniform(0.7, 1.4), *random.uniform(0.5, 3.0, 2)]
        )
        recording = synthetic(Setup(robot), LINK_TRUTH, values, 10.0, random)
        fitted = fit_model(Setup(robot), [recording], asked, Cutting(0.5), None, None, 10)
        deviation = np.sqrt(np.diag(uncertainty(fitted).bounded_covariance))
        inside[draw] = np.abs(fitted.fit.values - values) <= Z_90 * deviation
        tell(f"{draw + 1} of {draws}: {100 * inside[: draw + 1].mean():.0f} % within")
    return {
        "draws": draws,
        "within": round(float(inside.mean()), 4),
        "by_parameter": dict(zip(LINK_TRUTH, rounded(inside.mean(axis=0)), strict=True)),
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
        fitted = fit_model(Setup(robot), [recording], asked_of(names), Cutting(0.5), None, None, 12)
        found[f"{value:g}"] = round(fitted.by_name[names[0]], 3)
        tell(f"{value:g} ms: {found[f'{value:g}']}")
    errors = [abs(estimate - float(true)) for true, estimate in found.items()]
    return {"true_to_found_ms": found, "largest_error_ms": round(max(errors), 3)}


def synthetic(
    setup: Setup, names: Sequence[str], values: FloatArray, seconds: float, random: np.random.Generator
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
    position = Simulator(setup, window, asked_of(names)).predict(values[None])[0, 0, :, 0]
    step = robot.config.sensing.encoder_resolution
    if step > 0.0:
        position = step * np.rint(position / step)
    return replace(silent, position=position)
