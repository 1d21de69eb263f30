"""The same commands for many robots, to see how differently they move."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from simreal.action import ActionPipeline
from simreal.contract import Contract
from simreal.episode_random import EpisodeRandom
from simreal.figure import WireFigure, wire_figure
from simreal.physics import MujocoPhysics
from simreal.physics.interface import Start
from simreal.randomization.world import World
from simreal.state import FloatArray

SECONDS = 2.0
PAUSE = 0.1
"""s of rest, or a little more, before the first command, so that delays can be seen."""
AMPLITUDE = 0.5
"""Of the action's range."""
LOWEST, HIGHEST = 2.0, 8.0
"""Hz, between which the frequency rises evenly."""
FRAME_RATE = 25
"""Pictures per second, about."""


@dataclass(frozen=True, slots=True)
class Motions:
    """How some robots moved under the same actions.

    Attributes:
        time: (steps + 1,) s, at the beginning and after each control step.
        command: (steps, actuators) what was commanded, in the actuators' units.
        position: (robots, steps + 1, joints) rad or m, true; not a number once a robot has diverged.
        reading: (robots, steps + 1, joints) the same as the controllers knew it.
        figures: each robot as lines in space, at `frame_rate` frames per second.
        frame_rate: Hz.
    """

    time: FloatArray
    command: FloatArray
    position: FloatArray
    reading: FloatArray
    figures: list[WireFigure]
    frame_rate: float


@dataclass(frozen=True, slots=True)
class Response:
    """The sampled robots under an excitation, and the one on which nothing is randomized."""

    sampled: Motions
    nominal: Motions

    @property
    def distance(self) -> FloatArray:
        """(robots, joints) root mean square of the difference from the nominal robot's motion."""
        difference = self.sampled.position - self.nominal.position
        distance: FloatArray = np.sqrt(np.mean(difference**2, axis=1))
        return distance


def chirp(control_rate: float) -> FloatArray:
    """(steps,) actions in [-1, 1]: a pause, then a cosine of rising frequency, which begins with a step.

    A cosine, since a motor's torque that begins as a sine leaves a drift.

    Args:
        control_rate: Hz; no frequency goes above a quarter of it.
    """
    rest = np.ceil(PAUSE * control_rate - 1e-9)
    time = (np.arange(round(SECONDS * control_rate)) - rest) / control_rate
    lowest, highest = (min(limit, control_rate / 4.0) for limit in (LOWEST, HIGHEST))
    cycles = lowest * time + 0.5 * (highest - lowest) / (SECONDS - PAUSE) * time**2
    wave: FloatArray = np.where(time >= 0.0, AMPLITUDE * np.cos(2.0 * np.pi * cycles), 0.0)
    return wave


def chirp_commands(contract: Contract) -> FloatArray:
    """(steps + 1, actuators) the chirp on all actuators at once; before it, one of rest."""
    waves = np.concatenate((np.zeros(1), chirp(contract.control_rate)))
    to_command, actuators = ActionPipeline(contract), len(contract.robot.actuators)
    return np.stack([to_command(np.full(actuators, value)).target for value in waves])


def steps_of_chirp(world: World, contract: Contract, random: EpisodeRandom) -> Iterator[int]:
    """Move robots by the chirp, from rest at their default positions.

    Args:
        world: the robots, with everything that is randomized on them applied.
        contract: maps actions to commands, and names the control rate.
        random: of their episodes: what they sense and what happens to them.

    Yields:
        The number of control steps that have passed, from 0.
    """
    count, commands = world.physics.count, chirp_commands(contract)
    start = np.tile([joint.default_position for joint in contract.robot.joints], (count, 1))
    target = np.tile(commands[0], (count, 1))
    world.reset(np.arange(count), Start(start, np.zeros_like(start)), target, random)
    yield 0
    for step, command in enumerate(commands[1:], 1):
        world.advance(np.tile(command, (count, 1)), random, np.full(count, step))
        yield step


def excite(world: World, contract: Contract, random: EpisodeRandom) -> Motions:
    """Move robots by the chirp and record how; see `steps_of_chirp`."""
    physics, rate = world.physics, contract.control_rate
    film, position, reading = _Film(world, rate), [], []
    for step in steps_of_chirp(world, contract, random):
        position.append(np.where(physics.diverged[:, None], np.nan, physics.joint_position))
        reading.append(world.read(np.full(physics.count, step / rate)).joint_position.copy())
        film.take(step)
    return Motions(
        np.arange(len(position)) / rate,
        chirp_commands(contract)[1:],
        np.stack(position, axis=1),
        np.stack(reading, axis=1),
        film.figures(),
        film.rate,
    )


class _Film:
    """Pictures of each robot of a world as lines in space."""

    def __init__(self, world: World, control_rate: float) -> None:
        assert isinstance(world.physics, MujocoPhysics)
        self._physics = world.physics
        self._every = max(1, round(control_rate / FRAME_RATE))
        self._models = [copy.copy(world.physics.model) for _ in range(world.physics.count)]
        self._data = mujoco.MjData(world.physics.model)
        self._frames: list[FloatArray] = []
        self.rate = control_rate / self._every

    def take(self, step: int) -> None:
        if step % self._every == 0:
            self._frames.append(np.stack([self._configuration(i) for i in range(len(self._models))]))

    def _configuration(self, robot: int) -> FloatArray:
        self._physics.copy_simulation(robot, self._models[robot], self._data)
        qpos: FloatArray = self._data.qpos.copy()
        return qpos

    def figures(self) -> list[WireFigure]:
        frames = np.stack(self._frames, axis=1)
        pairs = zip(self._models, frames, strict=True)
        return [wire_figure(model, configurations) for model, configurations in pairs]
