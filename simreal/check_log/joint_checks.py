"""Checks of what joints are: their units, signs and order, against commands, limits and the model."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np

from simreal.check_log.finding import ORDER, Finding, Picture
from simreal.check_log.following import CLEARLY, against_commands
from simreal.check_log.motion import INPUTS, InverseModel, Motion, inverse_model, within_limits
from simreal.check_log.pictures import fastest_stretch
from simreal.check_log.subject import Subject
from simreal.logs.robot_log import Channel
from simreal.state import FloatArray

BEYOND = 0.1
"""rad or share of the range, by which a position may lie beyond its limit, and a speed beyond its
own."""
NO_SPEED = 100.0
"""rad/s: no joint of a robot that nobody described is thought to turn faster."""
NO_WAY = 6 * np.pi
"""rad: no joint that positions command is thought to be sent over three turns; in degrees it is 19."""
EXPLAINED = 0.6
"""Share of the forces that may be unexplained for another pairing to be believed."""
NOTHING = 2.0
"""Times the forces of a motion that are unexplained, from which on the model explains nothing of it."""
SAMPLES = 400
"""At which the model is asked about each other pairing."""
SHIFTS = np.arange(0.15, 1.01, 0.05)
"""s, by which commands are tried to be stamped wrong: by more than efforts and voltages are late."""
GRAVITY = 9.81
GRAVITY_TOLERANCE = 0.25
"""Share by which the mean of an accelerometer may differ from gravity."""
NORM_TOLERANCE = 0.02
"""By which a quaternion's norm may differ from 1."""


def position_range(subject: Subject) -> Finding:
    """Positions and speeds must be possible for the robot."""
    log = subject.log
    if "joint_position" not in log:
        return Finding("position_range", "skip", "no joint_position")
    faults = [*_beyond_limits(subject), *_too_fast(subject), *_too_far(subject)]
    if faults:
        return faults[0]
    if subject.robot is None:
        return Finding("position_range", "skip", f"no speed is beyond belief; {subject.unknown_robot}")
    return Finding("position_range", "pass", "positions and speeds are within the robot's limits")


def _beyond_limits(subject: Subject) -> Iterator[Finding]:
    if subject.robot is None:
        return
    table = subject.log["joint_position"]
    for joint in subject.robot.description.joints:
        if joint.name not in table.names:
            continue
        name, position = joint.name, table.column(joint.name)
        low = -np.inf if joint.lower is None else joint.lower
        high = np.inf if joint.upper is None else joint.upper
        beyond = max(low - float(np.nanmin(position)), float(np.nanmax(position)) - high)
        if beyond <= BEYOND:
            continue
        degrees = (
            low - BEYOND <= np.deg2rad(position.min()) and np.deg2rad(position.max()) <= high + BEYOND
        )
        hint = ": degrees?" if degrees and beyond > 1.0 else ""
        yield Finding(
            "position_range",
            "fail",
            f"{name} goes to {position[np.argmax(np.abs(position))]:.4g} rad, {beyond:.3g} beyond its "
            f"limits of {low:.4g} to {high:.4g}{hint}",
            {"beyond": beyond},
            "mend unit, offset or order of joints in the mapping; is it the robot that --robot names?",
            Picture("rad", {name: (table.time, position)}),
        )


def _too_fast(subject: Subject) -> Iterator[Finding]:
    if "joint_velocity" not in subject.log:
        return
    table = subject.log["joint_velocity"]
    known = {j.name: j.velocity_limit for j in subject.robot.description.joints} if subject.robot else {}
    for name, velocity in zip(table.names, table.values.T, strict=True):
        fastest, limit = float(np.nanmax(np.abs(velocity))), known.get(name) or NO_SPEED
        if fastest > (1 + BEYOND) * limit:
            yield Finding(
                "position_range",
                "fail" if name in known else "warn",
                f"{name} turns at {fastest:.4g} rad/s, the most is {limit:.4g}: degrees, or rpm?",
                {"fastest": fastest},
                "mend the unit in the mapping",
                Picture("rad/s", {name: (table.time, velocity)}),
            )


def _too_far(subject: Subject) -> Iterator[Finding]:
    """Servos of a robot that nobody described, which seem to turn several times to and fro."""
    log = subject.log
    if subject.robot is not None or "commanded_position" not in log:
        return
    table, told = log["joint_position"], log["commanded_position"]
    for column, name in enumerate(log.joints_of("commanded_position")):
        if name not in table.names or table.units[table.names.index(name)] not in ("rad", ""):
            continue  # "": of a log that tells no units
        way = min(float(np.ptp(told.values[:, column])), float(np.ptp(table.column(name))))
        if way > NO_WAY:
            yield Finding(
                "position_range",
                "warn",
                f"{name} is told to go {way:.4g} rad to and fro, and does: degrees?",
                {"way": way},
                "mend the unit in the mapping",
                Picture("rad", {name: (table.time, table.column(name))}),
            )


def joint_order(subject: Subject) -> Finding:
    """Joints must answer their own commands, with the right sign, and obey the robot's model."""
    found = [each for each in (against_commands(subject), _against_model(subject)) if each is not None]
    if not found:
        text = "neither position commands nor a model of a fixed robot to ask"
        return Finding("joint_order", "skip", text)
    return max(found, key=lambda each: ORDER.index(each.verdict))


def _against_model(subject: Subject) -> Finding | None:
    asked = inverse_model(subject)
    if asked is None:
        return None
    model, motion, command = asked
    channel, robot = subject.log.first(INPUTS), subject.robot
    assert channel is not None and robot is not None
    table = subject.log[channel]
    sent = subject.log.at(channel, motion.time, hold=True)  # beyond what the motors follow
    mistakes = {label: within_limits(robot, table, each) for label, each in _other_commands(table, sent)}
    some = np.arange(0, len(motion.time), -(-len(motion.time) // SAMPLES))
    mistakes |= dict(_at_other_times(motion, command))
    commands = {label: each[some] for label, each in mistakes.items()}
    motion, command = motion.rows(some), command[some]

    def unexplained(moved: Motion, sent: FloatArray) -> float:
        lacking = np.sqrt(np.mean(model.lacking(moved, sent) ** 2, axis=0))
        return float(np.sqrt(np.mean((lacking / (model.scale(moved) + 1e-12)) ** 2)))

    given = unexplained(motion, command)
    alternatives = dict(_alternatives(motion, command))
    alternatives |= {label: (motion, each) for label, each in commands.items()}
    others = {label: unexplained(*each) for label, each in alternatives.items()}
    label = min(others, key=others.__getitem__)
    numbers = {"unexplained": given, "unexplained_otherwise": others[label]}
    if others[label] < CLEARLY * given and others[label] < EXPLAINED:
        return Finding(
            "joint_order",
            "fail",
            f"the robot's model explains the motion far better with {label}: "
            f"{100 * others[label]:.0f} % of the forces are unexplained then, {100 * given:.0f} % now",
            numbers,
            "mend sign, order or unit in the mapping or the driver, or the clock that stamps commands",
            _lacking_picture(model, (motion, command), alternatives[label], label),
        )
    if given > NOTHING:
        text = f"the robot's model explains nothing of the motion: it lacks {given:.2g} times the forces"
        advice = "is it that robot, and are its positions and commands in rad and in N·m or V?"
        picture = _lacking_picture(model, (motion, command), alternatives[label], label)
        return Finding("joint_order", "warn", text, numbers, advice, picture)
    text = f"no other sign, order, unit or time suits the model better ({100 * given:.0f} % unexplained)"
    return Finding("joint_order", "pass", text, numbers)


def _lacking_picture(
    model: InverseModel, given: tuple[Motion, FloatArray], other: tuple[Motion, FloatArray], label: str
) -> Picture:
    """What the model lacks to explain the motion, of the joint that it explains worst."""
    now, otherwise = model.lacking(*given), model.lacking(*other)
    gained = np.mean(now**2, axis=0) - np.mean(otherwise**2, axis=0)
    joint, time = int(np.argmax(gained / (model.scale(given[0]) + 1e-12) ** 2)), given[0].time
    name = given[0].names[joint]
    return Picture(
        "N·m",
        {
            f"lacking to explain {name}, as it is": (time, now[:, joint]),
            f"with {label}": (time, otherwise[:, joint]),
        },
    )


def _alternatives(
    motion: Motion, command: FloatArray
) -> Iterator[tuple[str, tuple[Motion, FloatArray]]]:
    """Single mistakes that a mapping may hold, undone."""
    count = len(motion.names)
    for joint, name in enumerate(motion.names):
        signs = np.where(np.arange(count) == joint, -1.0, 1.0)
        yield f"{name} of the other sign", (_transformed(motion, np.diag(signs)), command)
        degrees = np.diag(np.where(np.arange(count) == joint, np.pi / 180, 1.0))
        yield f"{name} in degrees", (_transformed(motion, degrees), command)
    for one, two in combinations(range(count), 2):
        order = np.arange(count)
        order[[one, two]] = two, one
        label = f"{motion.names[one]} and {motion.names[two]} swapped"
        yield label, (_transformed(motion, np.eye(count)[order]), command)
    yield "all joints in degrees", (_transformed(motion, np.pi / 180 * np.eye(count)), command)


def _other_commands(table: Channel, sent: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    """Single mistakes in (n, actuators) commands, undone."""
    yield "the command of the other sign", -sent
    if len(table.names) > 1:
        for column, name in enumerate(table.names):
            signs = np.where(np.arange(len(table.names)) == column, -1.0, 1.0)
            yield f"the command of {name} of the other sign", signs * sent
    yield f"the command in m{table.units[0]}", 1e-3 * sent
    yield f"the command in k{table.units[0]}", 1e3 * sent


def _at_other_times(motion: Motion, command: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    """Commands as they would be if they were stamped by another clock."""
    for apart in SHIFTS:
        for label, at in (
            (f"commands {apart:.2f} s later", -apart),
            (f"commands {apart:.2f} s sooner", apart),
        ):
            rows = np.searchsorted(motion.time, motion.time + at)
            yield label, command[np.minimum(rows, len(command) - 1)]


def _transformed(motion: Motion, matrix: FloatArray) -> Motion:
    return replace(
        motion,
        position=motion.position @ matrix.T,
        velocity=motion.velocity @ matrix.T,
        acceleration=motion.acceleration @ matrix.T,
    )


def imu_units(subject: Subject) -> Finding:
    """An IMU's orientation must be a unit quaternion, turn as its gyroscope says, and feel gravity."""
    log, numbers = subject.log, dict[str, float]()
    if not any(name in log for name in ("orientation", "angular_velocity", "linear_acceleration")):
        return Finding("imu_units", "skip", "no IMU")
    faults, pictures = [], list[Picture]()
    if "linear_acceleration" in log:
        felt = float(np.linalg.norm(np.nanmean(log["linear_acceleration"].values, axis=0)))
        numbers["gravity"] = felt
        if abs(felt / GRAVITY - 1) > GRAVITY_TOLERANCE:
            hint = ": in g?" if abs(felt - 1) < GRAVITY_TOLERANCE else ""
            faults.append(f"the accelerometer feels {felt:.3g} m/s² in the mean, not {GRAVITY}{hint}")
            pictures.append(_gravity_picture(log["linear_acceleration"]))
    if "orientation" in log:
        norm = np.linalg.norm(log["orientation"].values, axis=1)
        numbers["norm"] = float(norm[np.argmax(np.abs(norm - 1))])
        if abs(numbers["norm"] - 1) > NORM_TOLERANCE:
            faults.append(f"a quaternion's norm is {numbers['norm']:.3g}")
            pictures.append(Picture("", {"norm of orientation": (log["orientation"].time, norm)}))
        elif "angular_velocity" in log:
            turning = _turning(subject)
            if turning is not None:
                time, turned, gyro = turning
                ratio = float(np.sum(turned * gyro) / np.sum(turned**2))
                numbers["gyro_scale"] = ratio
                if abs(ratio - 1) > GRAVITY_TOLERANCE:
                    hint = ": in deg/s?" if abs(ratio * np.pi / 180 - 1) < GRAVITY_TOLERANCE else ""
                    faults.append(
                        f"the gyroscope turns {ratio:.3g} times as fast as the orientation{hint}"
                    )
                    sizes = [np.linalg.norm(each, axis=1) for each in (turned, gyro)]
                    curves = {"by the orientation": sizes[0], "by the gyroscope": sizes[1]}
                    pictures.append(fastest_stretch(time, curves, "rad/s", sizes[0]))
    if faults:
        advice = "mend units, order (w, x, y, z) or sign in the mapping"
        return Finding("imu_units", "fail", "; ".join(faults), numbers, advice, pictures[0])
    return Finding("imu_units", "pass", "the IMU's readings agree with each other and gravity", numbers)


def _gravity_picture(table: Channel) -> Picture:
    """The size of what the accelerometer feels, and of gravity."""
    felt, ends = np.linalg.norm(table.values, axis=1), table.time[[0, -1]]
    curves = {"linear_acceleration": (table.time, felt), "gravity": (ends, np.full(2, GRAVITY))}
    return Picture("m/s²", curves)


def _turning(subject: Subject) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """(n,) s, (n, 3) rad/s by the orientation and by the gyroscope, about the IMU's own axes."""
    time, quaternion = subject.evenly("orientation")
    if len(time) < 20:
        return None
    span = max(1, round(0.05 / float(time[1] - time[0])))
    before, after = quaternion[:-span], quaternion[span:]
    w, vector = before[:, :1], -before[:, 1:]  # conjugate: the turn in the body's own axes
    turned = w * after[:, 1:] + after[:, :1] * vector + np.cross(vector, after[:, 1:])
    scalar = w[:, 0] * after[:, 0] - np.sum(vector * after[:, 1:], axis=1)
    rate = 2 * turned * np.sign(scalar)[:, None] / (span * float(time[1] - time[0]))
    middle = time[:-span] + 0.5 * (time[span] - time[0])
    if float(np.sum(rate**2)) < 1e-4 * len(rate):
        return None  # it does not turn
    return middle, rate, subject.log.at("angular_velocity", middle)
