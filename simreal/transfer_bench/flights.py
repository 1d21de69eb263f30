"""What a learner does with a hidden robot: it moves it and writes down what it measures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simreal.action import ActionPipeline
from simreal.adapt.recording import Recording
from simreal.contract import Contract, RobotDescription
from simreal.episodes import begin_episodes
from simreal.evaluate import Act
from simreal.images import NO_IMAGES
from simreal.observation import ObservationPipeline
from simreal.state import FloatArray, RobotCommand
from simreal.transfer_bench.hidden_robot import HiddenRobot

Values = NDArray[np.float64]

FREQUENCIES = (0.4, 0.9, 1.7, 2.9, 4.3)
"""Hz, of an excitation."""


@dataclass(frozen=True, slots=True)
class Flight:
    """One motion of the robot.

    Attributes:
        recording: commands and measurements.
        violations: control steps in which a joint was beyond what the robot describes as its limits.
    """

    recording: Recording
    violations: int


def excite(
    robot: HiddenRobot, description: RobotDescription, rate: float, seconds: float, seed: int
) -> Flight:
    """Move it by a sum of sines of random phases, a fourth of the actuators' range high at most."""
    random = np.random.default_rng([seed, 1])
    time = np.arange(round(seconds * rate)) / rate
    reach = np.array([each.upper for each in description.actuators])
    phase = random.uniform(0.0, 2.0 * np.pi, (len(FREQUENCIES), len(reach)))
    waves = np.sin(2.0 * np.pi * time[:, None, None] * np.array(FREQUENCIES)[:, None] + phase)
    targets = 0.25 * reach * waves.sum(axis=1) / np.sqrt(len(FREQUENCIES))
    track = _Track(robot)
    robot.restart(seed)
    for target in targets:
        if not track.measure():
            break
        track.command(RobotCommand(target))
    return track.flight("excitation", seed, description, rate)


def fly(robot: HiddenRobot, act: Act, contract: Contract, seconds: float, seed: int) -> Flight:
    """Let a policy move it."""
    observe, to_command = ObservationPipeline(contract), ActionPipeline(contract)
    begin_episodes(act)
    state = robot.restart(seed)
    to_command.begin(state.joint_position)
    previous, track = np.zeros(to_command.size), _Track(robot)
    for step in range(round(seconds * contract.control_rate)):
        if not track.measure():
            break
        see = observe.begin if step == 0 else observe
        observation = see(robot.read(), previous, command=np.zeros(0), target=to_command.target)
        previous = np.clip(act(observation[None], NO_IMAGES)[0].astype(np.float64), -1.0, 1.0)
        track.command(to_command(previous))
    return track.flight("policy", seed, contract.robot, contract.control_rate)


class _Track:
    """What was measured and commanded, step by step, until the robot has stopped."""

    def __init__(self, robot: HiddenRobot) -> None:
        self._robot = robot
        self._time: list[float] = []
        self._position: list[FloatArray] = []
        self._velocity: list[FloatArray] = []
        self._command: list[FloatArray] = []

    def measure(self) -> bool:
        """Take a measurement; False if time has not gone on."""
        state = self._robot.read()
        now = float(np.asarray(state.time))
        if self._time and now <= self._time[-1]:
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
        position, velocity = np.array(self._position), np.array(self._velocity)
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
        return Flight(recording, violations(description, position, velocity))


def violations(description: RobotDescription, position: FloatArray, velocity: FloatArray) -> int:
    """Steps in which a measured joint is beyond its limits of position or velocity."""
    beyond = np.zeros(len(position), dtype=bool)
    for place, joint in enumerate(description.joints):
        if joint.lower is not None:
            beyond |= position[:, place] < joint.lower
        if joint.upper is not None:
            beyond |= position[:, place] > joint.upper
        if joint.velocity_limit is not None:
            beyond |= np.abs(velocity[:, place]) > joint.velocity_limit
    return int(beyond.sum())
