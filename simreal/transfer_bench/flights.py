"""What a learner does with a hidden robot: it moves it and writes down what it measures."""

from dataclasses import dataclass

import numpy as np

from simreal.action import ActionPipeline
from simreal.adapt.limit_monitor import beyond_limits, measured_limits
from simreal.commands import Commands
from simreal.contract import Contract, RobotDescription
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.episodes import begin_episodes
from simreal.evaluate import Act
from simreal.identification.recording import Recording
from simreal.images import NO_IMAGES
from simreal.observation import ObservationPipeline
from simreal.robots import load_robot
from simreal.state import FloatArray, RobotCommand
from simreal.transfer_bench.hidden_robot import HiddenRobot
from simreal.transfer_bench.meetings import Meeting

RAMP = 0.5
"""s, in which an excitation swells."""


@dataclass(frozen=True, slots=True)
class Flight:
    """One motion of the robot.

    Attributes:
        recording: commands and measurements.
        violations: control steps in which a joint was beyond what it may be measured at.
        fell: whether its task ended it before its time: it fell, or ran into its stop.
    """

    recording: Recording
    violations: int
    fell: bool = False


def excite(
    robot: HiddenRobot, contract: Contract, meeting: Meeting, seconds: float, seed: int
) -> Flight:
    """Move it by sums of sines of random phases, within its limits, as fast as its actions may."""
    rate, to_command = contract.control_rate, ActionPipeline(contract)
    mapping = contract.action
    scale, offset = np.array(mapping.scale), np.array(mapping.offset)
    state = robot.restart(seed)
    to_command.begin(state.joint_position)
    track = _Track(robot)
    for target in excitation(contract.robot, meeting, rate, seconds, seed):
        if not track.measure():
            break
        base = to_command.target if mapping.relative_to == "previous_target" else offset
        track.command(to_command((target - base) / scale))
    return track.flight("excitation", seed, contract.robot, rate)


def excitation(
    robot: RobotDescription, meeting: Meeting, rate: float, seconds: float, seed: int
) -> FloatArray:
    """(steps, actuators) targets about a robot's centre, in the actuators' units."""
    random = np.random.default_rng([seed, 1])
    time = np.arange(round(seconds * rate)) / rate
    begin, centre, amplitude = _places(robot, meeting)
    phase = random.uniform(0.0, 2.0 * np.pi, (len(meeting.frequencies), len(centre)))
    waves = np.sin(2.0 * np.pi * time[:, None, None] * np.array(meeting.frequencies)[:, None] + phase)
    swell = np.minimum(1.0, time / RAMP)[:, None]
    moved = centre - begin + amplitude * waves.sum(axis=1) / np.sqrt(len(meeting.frequencies))
    targets: FloatArray = begin + swell * moved
    return targets


def _places(robot: RobotDescription, meeting: Meeting) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(actuators,) where an excitation begins, about what it moves, and the amplitude of its sines."""
    home = dict(zip(robot.joint_names, robot.default_position, strict=True))
    rows = []
    for each in robot.actuators:
        if each.command != "position":
            rows.append((0.0, 0.0, meeting.amplitude * each.upper))
            continue
        centre = meeting.centre.get(each.joint, home[each.joint])
        room = min(each.upper - centre, centre - each.lower) / np.sqrt(len(meeting.frequencies))
        rows.append((home[each.joint], centre, min(meeting.amplitude, room)))
    begin, about, amplitude = np.array(rows).T
    return begin, about, amplitude


def fly(
    robot: HiddenRobot, act: Act, contract: Contract, commands: Commands, seconds: float, seed: int
) -> Flight:
    """Let a policy move it, as it is asked to; it is put back if it falls."""
    observe, to_command = ObservationPipeline(contract), ActionPipeline(contract)
    begin_episodes(act)
    state = robot.restart(seed)
    to_command.begin(state.joint_position)
    random = EpisodeRandom(episode_seed(seed, np.arange(1)))
    asked = commands.draw(random, np.zeros(1, dtype=np.int64))
    previous, track = np.zeros(to_command.size), _Track(robot)
    for step in range(round(seconds * contract.control_rate)):
        if not track.measure():
            robot.restart(seed)
            break
        changing, number = commands.changing(np.array([step]))
        if step and changing.size:
            asked = commands.draw(random, number)
        see = observe.begin if step == 0 else observe
        observation = see(robot.read(), previous, command=asked[0], target=to_command.target)
        previous = np.clip(act(observation[None], NO_IMAGES)[0].astype(np.float64), -1.0, 1.0)
        track.command(to_command(previous))
    return track.flight("policy", seed, contract.robot, contract.control_rate)


class _Track:
    """What was measured and commanded, step by step, until the robot has stopped."""

    def __init__(self, robot: HiddenRobot) -> None:
        self._robot = robot
        self._fell = False
        self._time: list[float] = []
        self._position: list[FloatArray] = []
        self._velocity: list[FloatArray] = []
        self._command: list[FloatArray] = []

    def measure(self) -> bool:
        """Take a measurement; False if time has not gone on."""
        state = self._robot.read()
        now = float(np.asarray(state.time))
        if self._time and now <= self._time[-1]:
            self._fell = True
            self._command.pop()
            for series in (self._time, self._position, self._velocity):
                series.pop()
            return False
        self._time.append(now)
        self._position.append(state.joint_position)
        self._velocity.append(state.joint_velocity)
        return True

    def command(self, command: RobotCommand) -> None:
        """Command one step."""
        self._command.append(command.target.copy())
        self._robot.write(command)

    def flight(self, kind: str, seed: int, description: RobotDescription, rate: float) -> Flight:
        """All of it."""
        time = np.arange(len(self._command)) / rate
        shape = -1, len(description.joints)  # of a flight that ended at once, too
        position, velocity = (
            np.array(values).reshape(shape) for values in (self._position, self._velocity)
        )
        count = min(len(time), len(position))
        command = np.array(self._command)[:count]
        recording = Recording(
            f"{kind} {seed}",
            kind,
            time[:count],
            command,
            time[:count],
            position[:count],
            velocity[:count],
        )
        limits = measured_limits(description, load_robot(description.name).config.safety)
        beyond = beyond_limits(limits, position, velocity)
        return Flight(recording, int(beyond.sum()), self._fell)
