"""Simulates the same episode with each column of a draw at its lowest and at its highest value.

What differs between the two acts. A further simulation, nudged a little at its start, tells how far
rounding errors have grown: differences of that size mean nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.beginnings import Beginnings
from simreal.commands import Commands
from simreal.contract import Contract
from simreal.episode_random import EpisodeRandom
from simreal.lint.dependency_checks import EARLIEST
from simreal.lint.subject import Subject
from simreal.observation import Float32Array
from simreal.privileged import Privileged
from simreal.randomization.build import build_world
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import Specification
from simreal.randomization.world import World
from simreal.tasks import find_task

Flags = NDArray[np.bool_]
Columns = NDArray[np.int64]

NUDGE = 1e-12
"""rad/s or m/s, of every velocity at the start of the nudged simulation."""
ABOVE_NUDGE = 1e3
"""What a parameter does must exceed what the nudge does that many times,"""
LEAST_CHANGE = 1e-5
"""and be more than this share of what the observed number has gone through."""
FEW = 64
"""Simulations, up to which a second thread costs more than it gains."""


@dataclass(frozen=True, slots=True)
class Excitation:
    """An episode, and what is done in it.

    Attributes:
        seed: of the episode and of the actions.
        hold: s, for which an action is held.
        full: whether the actions are the largest, to either side, and not any.
        early: whether events come as early as they may.
    """

    seed: int
    hold: float
    full: bool = False
    early: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """Simulations that differ in one column of the draw each, as a block for each excitation.

    Attributes:
        beginnings: makes the episodes ready; in each block of its world, 2 for each column, at its
            lowest and highest value, then a plain and a nudged one.
        randomizer: of the world.
        columns: (n,) indices of the columns.
        excitations: what is done in each block.
        contract: of the experiment.
    """

    beginnings: Beginnings
    randomizer: Randomizer
    columns: Columns
    excitations: tuple[Excitation, ...]
    contract: Contract

    @property
    def world(self) -> World:
        """Of the simulations."""
        return self.beginnings.world

    @property
    def period(self) -> float:
        """s, of a control step."""
        return 1.0 / self.contract.control_rate

    def blocks(self, values: NDArray[Any]) -> NDArray[Any]:
        """View (count, ...) values as (blocks, 2 n + 2, ...)."""
        return values.reshape(len(self.excitations), 2 * len(self.columns) + 2, *values.shape[1:])


@dataclass(slots=True)
class Seen:
    """What an episode has shown.

    Attributes:
        acts: (n,) columns that made a difference.
        diverges: (n,) columns of which one end alone left the finite numbers, or both where the rest
            of the draw did not.
        breaks: whether a simulation with nothing at an end left them.
        clipped: (size,) share of the observations at or beyond a limit.
    """

    acts: Flags
    diverges: Flags
    breaks: bool
    clipped: NDArray[np.float64]


def set_up(
    subject: Subject,
    entries: Specification,
    pins: Mapping[str, float],
    contract: Contract,
    columns: Columns,
    excitations: tuple[Excitation, ...],
) -> Setting:
    """Build the simulations.

    Args:
        subject: what is linted.
        entries: of the randomization.
        pins: of them.
        contract: of the experiment.
        columns: (n,) of the draw, to be put to their ends.
        excitations: what is done in each block.
    """
    experiment, task = subject.experiment, find_task(subject.experiment.task, subject.experiment.robot)
    count = (2 * len(columns) + 2) * len(excitations)
    threads = 1 if count <= FEW else 0
    rate = experiment.control_rate
    world = build_world(subject.robot, count, entries, pins, rate, threads, subject.scene)
    randomizer = Randomizer(entries, world, pins)
    commands, unseen = Commands(experiment, task), Privileged((), task, randomizer)
    beginnings = Beginnings(world, randomizer, contract, task, {task.start: 1.0}, commands, unseen)
    return Setting(beginnings, randomizer, columns, excitations, contract)


def run(
    setting: Setting, groups: Columns, least: float, length: float, limits: NDArray[np.float64]
) -> Seen:
    """Simulate the episodes, until some column of each group acts.

    Args:
        setting: the simulations.
        groups: (n,) label of each column.
        least: s, for which to simulate anyway.
        length: s, of the episodes.
        limits: (size,) absolute values from which on an observation is clipped.
    """
    world, pipeline, period = setting.world, setting.beginnings.pipeline, setting.period
    random = _begin(setting)
    observation = setting.beginnings.observation
    comparison = _Comparison(setting, observation)
    acts, to_command = comparison.differ(observation), setting.beginnings.to_command
    clipped, steps = np.zeros(observation.shape[1]), 0
    while steps * period < (least if _all_act(groups, acts) else length):
        steps += 1
        action = _actions(setting, random, to_command.size, steps)
        world.advance(to_command(action).target, random, np.full(len(action), steps))
        state = world.read(np.full(len(action), steps * period))
        observation = pipeline(state, action, setting.beginnings.command, to_command.target)
        acts |= comparison.differ(observation)
        clipped += (np.abs(observation) >= limits).mean(axis=0)
    diverged = setting.blocks(world.physics.diverged)
    breaks = bool(diverged[:, -2].any())
    return Seen(acts, _to_blame(diverged), breaks, clipped / max(1, steps))


def _to_blame(diverged: Flags) -> Flags:
    """(n,) columns whose value decides whether some of (blocks, 2 n + 2) simulations diverge."""
    lower, higher, plain = diverged[:, :-2:2], diverged[:, 1:-2:2], diverged[:, [-2]]
    found: Flags = ((lower != plain) | (higher != plain)).any(axis=0)
    return found


def _all_act(groups: Columns, acts: Flags) -> bool:
    """Whether some column of each group acts."""
    return np.isin(groups, groups[acts]).all().item()


def _begin(setting: Setting) -> EpisodeRandom:
    """Begin the episodes, and nudge one in each block."""
    world, count = setting.world, setting.beginnings.capacity
    seeds = np.array([each.seed for each in setting.excitations], dtype=np.uint64)
    random = EpisodeRandom(np.repeat(seeds, count // len(seeds)))
    setting.beginnings.prepare(random.seeds, _draws(setting, random))
    nudged = setting.blocks(np.arange(count))[:, -1]
    dofs = np.arange(world.physics.model.nv)
    world.physics.kick(nudged, dofs, np.full((len(nudged), len(dofs)), NUDGE))
    return random


def _draws(setting: Setting, random: EpisodeRandom) -> NDArray[np.float64]:
    """(count, columns) the same draw all over a block, but for a column at one of its ends."""
    space, columns = setting.randomizer.space, setting.columns
    draws = setting.randomizer.draw(random).values.copy()
    blocks = setting.blocks(draws)
    early = [each.early for each in setting.excitations]
    for part in setting.randomizer.parts:
        if part.parameter.name in EARLIEST:
            blocks[early, :, part.columns] = space.low[part.columns]
    rows = 2 * np.arange(len(columns))
    blocks[:, rows, columns], blocks[:, rows + 1, columns] = space.low[columns], space.high[columns]
    return draws


def _actions(setting: Setting, random: EpisodeRandom, size: int, step: int) -> NDArray[np.float64]:
    """(count, actuators) the same all over a block."""
    holds = [max(1, round(each.hold / setting.period)) for each in setting.excitations]
    period = np.repeat(holds, len(random.seeds) // len(holds))
    action = 2.0 * random.uniform("lint excitation", size, step // period) - 1.0
    full = [each.full for each in setting.excitations]
    setting.blocks(action)[full] = np.sign(setting.blocks(action)[full])
    return action


class _Comparison:
    """Tells a difference between two simulations from grown rounding errors."""

    def __init__(self, setting: Setting, observation: Float32Array) -> None:
        self._setting = setting
        self._low, self._high = observation.min(axis=0), observation.max(axis=0)
        self._nudged = np.zeros((len(setting.excitations), 1, observation.shape[1]))

    def differ(self, observation: Float32Array) -> Flags:
        """(n,) columns of which two simulations differ, by (count, size) observations."""
        self._low = np.fmin(self._low, observation.min(axis=0))
        self._high = np.fmax(self._high, observation.max(axis=0))
        blocks = self._setting.blocks(observation)
        self._nudged = np.fmax(self._nudged, np.abs(blocks[:, -1:] - blocks[:, -2:-1]))
        difference = np.abs(blocks[:, 1:-2:2] - blocks[:, :-2:2])
        least = LEAST_CHANGE * (self._high - self._low) + ABOVE_NUDGE * self._nudged
        sane = ~self._setting.blocks(self._setting.world.physics.diverged)
        both = sane[:, 1:-2:2] & sane[:, :-2:2]
        flags: Flags = ((difference > least).any(axis=2) & both).any(axis=0)
        return flags
