"""Faults for `simreal check-log` to find: what is spoilt in sound logs of simulated robots."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from simreal.bench.synthetic_logs import arm_log, leg_log, qube_log
from simreal.logs.robot_log import Channel, RobotLog
from simreal.state import FloatArray

Edit = Callable[[RobotLog, np.random.Generator], None]
Retime = Callable[[FloatArray, np.random.Generator], FloatArray]

MAKERS: dict[str, Callable[[int], RobotLog]] = {
    "qube": qube_log,
    "arm": arm_log,
    "leg": leg_log,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One planted fault.

    Attributes:
        name: of it.
        base: of which sound log.
        check: that must find it.
        edit: plants it.
        also: checks that it is bound to disturb, too.
    """

    name: str
    base: str
    check: str
    edit: Edit
    also: tuple[str, ...] = ()


def planted(fault: Fault, seed: int) -> RobotLog:
    """A sound log with one fault in it."""
    log = sound(fault.base, seed)
    fault.edit(log, np.random.default_rng(seed))
    return log


def sound(base: str, seed: int) -> RobotLog:
    """A copy of a log without a fault; which takes a second to simulate."""
    return copy.deepcopy(_made(base, seed))


@cache
def _made(base: str, seed: int) -> RobotLog:
    return MAKERS[base](seed)


def _edit_values(channel: str, change: Callable[[FloatArray], FloatArray]) -> Edit:
    def edit(log: RobotLog, random: np.random.Generator) -> None:
        log.channels[channel].values = change(log.channels[channel].values.copy())

    return edit


def _scaled(channel: str, factor: float) -> Edit:
    return _edit_values(channel, lambda values: factor * values)


def _retimed(change: Retime, channels: str = "") -> Edit:
    """New time stamps for channels whose names begin so, on the clock of the joint positions."""

    def edit(log: RobotLog, random: np.random.Generator) -> None:
        time = change(log["joint_position"].time.copy(), random)
        for name, table in log.channels.items():
            if name.startswith(channels):
                table.time = time

    return edit


def _resampled(change: Retime) -> Edit:
    """Measurements taken at other times than their stamps say."""

    def edit(log: RobotLog, random: np.random.Generator) -> None:
        time = log["joint_position"].time
        true = change(time.copy(), random)
        for name in ("joint_position", "joint_velocity"):
            log.channels[name].values = log.at(name, true)

    return edit


def _ended(log: RobotLog, random: np.random.Generator) -> None:
    """As of a file that was copied in part."""
    end = float(random.uniform(5.0, 7.0))
    for name, table in log.channels.items():
        log.channels[name] = table.rows(table.time < end)
    log.complete = False


def _cut(log: RobotLog, random: np.random.Generator) -> None:
    count = len(log["joint_position"])
    first = int(random.integers(count // 4, count // 2))
    keep = np.ones(count, dtype=bool)
    keep[first : first + 9] = False
    for name, table in log.channels.items():
        log.channels[name] = table.rows(keep)


def _stale(log: RobotLog, random: np.random.Generator) -> None:
    """One reading in four does not come: the one before stands."""
    values = log["joint_position"].values.copy()
    for row in np.flatnonzero(random.random(len(values) - 1) < 0.25) + 1:
        values[row] = values[row - 1]
    log.channels["joint_position"].values = values


def _not_a_number(log: RobotLog, random: np.random.Generator) -> None:
    values = log["joint_velocity"].values
    values[int(random.integers(len(values))), 0] = np.nan


def _dropping_out(log: RobotLog, random: np.random.Generator) -> None:
    """As of a bus whose failed answers are taken for zeros."""
    values = log["joint_position"].values
    values[random.choice(len(values) - 40, 20, replace=False) + 20, 1] = 0.0


def _spiked(log: RobotLog, random: np.random.Generator) -> None:
    values = log["joint_position"].values
    leap = 2 * np.pi * 326 / 2048  # whole steps of either encoder
    values[int(random.integers(len(values) // 4, len(values) // 2)), 0] += leap


def _wrapped(log: RobotLog, random: np.random.Generator) -> None:
    """The pendulum hangs where its angle wraps."""
    values = log["joint_position"].values
    values[:, 1] = np.remainder(values[:, 1], 2 * np.pi)


def _stuck(log: RobotLog, random: np.random.Generator) -> None:
    """A sensor that is not read for 0.7 s of fast motion; what tells the velocity may be another one."""
    table = log["joint_position"]
    fastest = np.abs(np.gradient(table.values[:, 0]))[: len(table) // 2]
    first = int(fastest.argmax())
    table.values[first : first + round(0.7 / (table.time[1] - table.time[0])), 0] = table.values[
        first, 0
    ]


def _dead(log: RobotLog, random: np.random.Generator) -> None:
    """From some time on a joint's position and velocity no longer come."""
    count = len(log["joint_position"])
    first = int(random.integers(count // 2, 2 * count // 3))
    position, velocity = log["joint_position"].values, log["joint_velocity"].values
    first += int(np.abs(position[first : first + 400, 2] - np.median(position[:, 2])).argmin())
    position[first:, 2], velocity[first:, 2] = position[first, 2], 0.0


def _constant(values: FloatArray) -> FloatArray:
    values[:, -1] = values[0, -1]
    return values


def _clipped(values: FloatArray) -> FloatArray:
    limit = 0.5 * np.abs(values[:, 0]).max()
    values[:, 0] = np.clip(values[:, 0], -limit, limit)
    return values


def _coarse(values: FloatArray) -> FloatArray:
    step = 2 * np.pi / 500
    return np.asarray(step * np.round(values / step))


def _swapped(values: FloatArray) -> FloatArray:
    order = np.arange(values.shape[1])
    order[[0, 1]] = 1, 0
    return values[:, order]


def _of_other_sign(values: FloatArray) -> FloatArray:
    return np.asarray(values * np.where(np.arange(values.shape[1]) == 1, -1.0, 1.0))


def _both(change: Callable[[FloatArray], FloatArray]) -> Edit:
    """The same mistake in positions and velocities, as of a mapping."""

    def edit(log: RobotLog, random: np.random.Generator) -> None:
        for name in ("joint_position", "joint_velocity"):
            log.channels[name].values = change(log.channels[name].values.copy())

    return edit


def _drifting(log: RobotLog, random: np.random.Generator) -> None:
    """An encoder that loses counts of a motion's one direction."""
    table = log["joint_position"]
    lost = 0.3 * np.clip((table.time - 3.0) / 4.0, 0.0, 1.0)
    step = 2 * np.pi / 2048
    table.values[:, 1] += step * np.round(lost / step)


def _servo_drifting(log: RobotLog, random: np.random.Generator) -> None:
    table = log["joint_position"]
    step = 2 * np.pi / 16384
    table.values[:, 0] += step * np.round(0.3 * table.time / table.time[-1] / step)


def _late(seconds: float) -> Edit:
    """Velocities of a time before; after, if negative."""

    def edit(log: RobotLog, random: np.random.Generator) -> None:
        table = log["joint_velocity"]
        table.values = log.at("joint_velocity", table.time - seconds)

    return edit


def _velocity_clock(log: RobotLog, random: np.random.Generator) -> None:
    table = log["joint_velocity"]
    table.time = table.time + float(random.uniform(0.2, 0.5))


def _filtered(log: RobotLog, random: np.random.Generator) -> None:
    table, smooth = log["joint_velocity"], np.zeros(log["joint_velocity"].values.shape[1])
    step, corner = float(table.time[1] - table.time[0]), 40.0
    values = np.empty_like(table.values)
    for row, reading in enumerate(table.values):
        smooth = smooth + (1 - np.exp(-corner * step)) * (reading - smooth)
        values[row] = smooth
    table.values = values


def _beyond(log: RobotLog, random: np.random.Generator) -> None:
    """The controller asks for more than the amplifier gives; the motion is that of what it gives."""
    table = log["commanded_voltage"]
    strong = np.abs(table.values) > 0.6 * np.abs(table.values).max()
    table.values = np.where(strong, table.values + 6.0 * np.sign(table.values), table.values)


def _held(log: RobotLog, random: np.random.Generator) -> None:
    for name in ("commanded_position", "commanded_effort"):
        log.channels.pop(name)
    table = log["joint_position"]
    constant = np.full((len(table), len(table.names)), 0.9)
    log.channels["commanded_effort"] = Channel(table.time, constant, table.names, ("N·m",) * 3)
    log.channels.pop("joint_effort")


def _flicked(log: RobotLog, random: np.random.Generator) -> None:
    """While the motor goes on, a finger flicks the pendulum."""
    log.channels = qube_log(int(random.integers(1000)), float(random.uniform(3.0, 7.0))).channels


def _pushed(log: RobotLog, random: np.random.Generator) -> None:
    """After a rest with one torque in force, somebody moves it by hand."""
    log.channels = arm_log(int(random.integers(1000)), 5.0, 8.5).channels
    # As of a motor that is told a torque, which does not see where the joint is.
    table = log.channels["commanded_effort"]
    table.values[table.time > 8.0] = table.values[table.time <= 8.0][-1]
    del log.channels["joint_effort"], log.channels["commanded_position"]


def _other_clock(log: RobotLog, random: np.random.Generator) -> None:
    table = log.channels["commanded_effort" if "commanded_effort" in log else "commanded_voltage"]
    table.time = table.time + 1.7e9


def _fast(time: FloatArray, random: np.random.Generator) -> FloatArray:
    return np.asarray(time * (1.0 + 0.05 * random.choice([-1.0, 1.0])))


def _jump(low: float, high: float) -> Retime:
    """From some place on, all stamps are later by so many seconds; sooner, if negative."""

    def change(time: FloatArray, random: np.random.Generator) -> FloatArray:
        first = int(random.integers(len(time) // 3, len(time) // 2))
        time[first:] += float(random.uniform(low, high))
        return time

    return change


def _uneven(time: FloatArray, random: np.random.Generator) -> FloatArray:
    step = float(time[1] - time[0])
    return np.sort(time + 0.3 * step * random.uniform(-1, 1, len(time)))


def _uneven_sampling(log: RobotLog, random: np.random.Generator) -> None:
    """Samples at uneven times, and stamps that say so."""
    true = _uneven(log["joint_position"].time, random)
    for name, table in log.channels.items():
        table.values = log.at(name, true)
    for table in log.channels.values():
        table.time = true


def _resting(log: RobotLog, random: np.random.Generator) -> None:
    log.channels = arm_log(int(random.integers(1000)), 1.0).channels


def _other_effort(log: RobotLog, random: np.random.Generator) -> None:
    """The motor adds a feedback of its own, which nobody logs."""
    own = 3.0 * (log["commanded_position"].values - log["joint_position"].values)
    log.channels["joint_effort"].values = log["joint_effort"].values - 6.0 * own


def _column_times(channel: str, factor: float) -> Edit:
    """The second joint of a channel in another unit, or of the other sign."""

    def edit(log: RobotLog, random: np.random.Generator) -> None:
        log.channels[channel].values[:, 1] *= factor

    return edit


def _offset(log: RobotLog, random: np.random.Generator) -> None:
    """A zero that was calibrated wrong, in whole steps of the encoder."""
    log["joint_position"].values[:, 1] += 0.0003834952 * round(0.12 / 0.0003834952)


FAULTS = (
    Fault("a file that is cut off", "arm", "whole", _ended),
    Fault("a value is no number", "arm", "values", _not_a_number),
    Fault(
        "a joint's reading is constant",
        "arm",
        "values",
        _edit_values("joint_effort", _constant),
        ("delivered_effort",),
    ),
    Fault("commands on another clock", "arm", "clock", _other_clock),
    Fault("the clock jumps by 5 s", "qube", "clock", _retimed(_jump(5.0, 5.0))),
    Fault("the clock jumps by 5 s", "arm", "clock", _retimed(_jump(5.0, 5.0))),
    Fault("the clock of commands jumps", "qube", "clock", _retimed(_jump(0.2, 1.0), "commanded")),
    Fault("the clock of commands jumps", "arm", "clock", _retimed(_jump(0.2, 1.0), "commanded")),
    Fault("the clock of commands is 5 % off", "qube", "clock", _retimed(_fast, "commanded")),
    Fault("the clock of commands is 5 % off", "arm", "clock", _retimed(_fast, "commanded")),
    Fault("the clock goes back", "qube", "clock", _retimed(_jump(-0.5, -0.5))),
    Fault("9 samples are lost", "qube", "gaps", _cut),
    Fault("9 samples are lost", "arm", "gaps", _cut),
    Fault("uneven sampling", "arm", "jitter", _uneven_sampling),
    Fault("uneven sampling, counted stamps", "arm", "hidden_jitter", _resampled(_uneven)),
    Fault("stale readings", "arm", "repeats", _stale, ("hidden_jitter",)),
    Fault("stale readings", "qube", "repeats", _stale, ("hidden_jitter", "velocity_lag", "disturbance")),
    Fault("20 zeros among the positions", "arm", "spikes", _dropping_out),
    Fault(
        "20 zeros among the positions",
        "qube",
        "spikes",
        _dropping_out,
        ("velocity_lag", "disturbance"),
    ),
    Fault("a position that leaps once", "arm", "spikes", _spiked),
    Fault("a position that leaps once", "qube", "spikes", _spiked, ("disturbance",)),
    Fault("an angle that wraps", "qube", "wrapped", _wrapped),
    Fault("a sensor stuck for 0.7 s", "arm", "stuck", _stuck),
    Fault("a sensor stuck for 0.7 s", "qube", "stuck", _stuck, ("disturbance",)),
    Fault("a sensor that dies", "arm", "stuck", _dead),
    Fault(
        "velocity clipped",
        "qube",
        "clipping",
        _edit_values("joint_velocity", _clipped),
        ("velocity_scale", "velocity_lag"),
    ),
    Fault(
        "position clipped",
        "arm",
        "clipping",
        _edit_values("joint_position", _clipped),
        ("velocity_scale", "velocity_lag", "hidden_jitter", "joint_order"),
    ),
    Fault(
        "another encoder", "qube", "encoder", _edit_values("joint_position", _coarse), ("velocity_lag",)
    ),
    Fault(
        "velocity in deg/s",
        "arm",
        "velocity_scale",
        _scaled("joint_velocity", 180 / np.pi),
        ("position_range",),
    ),
    Fault("velocity in rpm", "arm", "velocity_scale", _scaled("joint_velocity", 60 / (2 * np.pi))),
    Fault(
        "velocity of the other sign",
        "arm",
        "velocity_scale",
        _edit_values("joint_velocity", _of_other_sign),
    ),
    Fault(
        "velocities of two joints swapped",
        "arm",
        "velocity_scale",
        _edit_values("joint_velocity", _swapped),
    ),
    Fault("velocity late by 20 ms", "arm", "velocity_lag", _late(0.02)),
    Fault("velocity that leads by 20 ms", "arm", "velocity_lag", _late(-0.02)),
    Fault("velocities by another clock", "arm", "velocity_lag", _velocity_clock),
    Fault("velocity through 40 s / (s + 40)", "arm", "velocity_lag", _filtered),
    Fault("accelerometer in g", "arm", "imu_units", _scaled("linear_acceleration", 1 / 9.81)),
    Fault("gyroscope in deg/s", "arm", "imu_units", _scaled("angular_velocity", 180 / np.pi)),
    Fault(
        "positions in degrees",
        "qube",
        "position_range",
        _both(lambda values: values * 180 / np.pi),
        ("encoder", "joint_order", "drift", "excitation"),
    ),
    Fault("two joints swapped", "arm", "joint_order", _both(_swapped), ("drift",)),
    Fault("two joints swapped", "qube", "joint_order", _both(_swapped), ("drift", "excitation")),
    Fault("a joint of the other sign", "arm", "joint_order", _both(_of_other_sign), ("drift",)),
    Fault(
        "a joint of the other sign",
        "qube",
        "joint_order",
        _both(_of_other_sign),
        ("drift", "disturbance", "excitation"),
    ),
    Fault(
        "command of the other sign",
        "qube",
        "joint_order",
        _scaled("commanded_voltage", -1.0),
        ("disturbance", "excitation"),
    ),
    Fault(
        "a free joint's zero moves by 0.3 rad",
        "qube",
        "drift",
        _drifting,
        ("velocity_lag", "disturbance", "excitation"),
    ),
    Fault("a servo's zero moves by 0.3 rad", "arm", "drift", _servo_drifting),
    Fault(
        "commands beyond the amplifier",
        "qube",
        "command_limits",
        _beyond,
        ("joint_order", "disturbance", "excitation"),
    ),
    Fault("the motor adds its own effort", "arm", "delivered_effort", _other_effort),
    Fault("an effort of the other sign", "leg", "measured_effort", _column_times("joint_effort", -1.0)),
    Fault("efforts in mN·m", "leg", "measured_effort", _scaled("joint_effort", 1e3)),
    Fault("a servo's zero is off by 0.12 rad", "leg", "servo_offset", _offset),
    Fault(
        "command in mV",
        "qube",
        "joint_order",
        _scaled("commanded_voltage", 1e3),
        ("command_limits", "disturbance", "excitation"),
    ),
    Fault("pushed by hand", "arm", "disturbance", _pushed, ("drift", "excitation")),
    Fault("flicked with a finger", "qube", "disturbance", _flicked, ("excitation",)),
    Fault("constant command", "arm", "excitation", _held),
    Fault("rest but for a second", "arm", "excitation", _resting),
)
