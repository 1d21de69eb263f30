"""Measured faults: parameters that change nothing observable, and observations at their clip.

The same episode, with the same seed, draw and actions, is simulated with each parameter at its lowest
and at its highest value. What differs between the two acts. A further simulation, nudged a little at its
start, tells how far rounding errors have grown: differences of that size mean nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.action import ActionPipeline
from simreal.beginnings import Beginnings
from simreal.commands import Commands
from simreal.contract import Contract
from simreal.episode_random import EpisodeRandom
from simreal.experiment_contract import make_contract
from simreal.lint.experiment_checks import widths
from simreal.lint.finding import Finding
from simreal.lint.range_checks import EARLIEST, NEEDS
from simreal.lint.subject import Subject
from simreal.observation import Float32Array
from simreal.privileged import Privileged
from simreal.randomization.build import build_world
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import ParameterConfig, members
from simreal.randomization.world import World
from simreal.tasks import find_task

Entries = Mapping[str, ParameterConfig]
Flags = NDArray[np.bool_]
Columns = NDArray[np.int64]

SHORT, LONG = 0.5, 20.0
"""s, of the first episode, and at most of the further ones for what has not been seen by then."""
LEAST_STEPS = 5
"""Control steps, below which nothing is said."""
LATEST = 1.5
"""Share of its mean interval after which an event has come."""
NUDGE = 1e-12
"""rad/s or m/s, of every velocity at the start of the nudged simulation."""
ABOVE_NUDGE = 1e3
"""What a parameter does must exceed what the nudge does that many times,"""
LEAST_CHANGE = 1e-5
"""and be more than this share of what the observed number has gone through."""
MOST_PHYSICS_STEPS = 500_000
"""Of all simulations together: some seconds. What would take longer is cut short."""
FEW = 64
"""Simulations, up to which a second thread costs more than it gains."""
ALWAYS = 0.95
"""Share of the observations, from which on a clip cuts them always."""


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


FIRST = (Excitation(0, 0.05),)
FURTHER = (Excitation(1, 0.1, full=True), Excitation(2, 0.4, full=True), Excitation(3, 0.05, early=True))


@dataclass(frozen=True, slots=True)
class Setting:
    """Simulations that differ in one column of the draw each, as a block for each excitation.

    Attributes:
        world: in each block, 2 for each column, at its lowest and highest value, then a plain and a
            nudged one.
        beginnings: makes the episodes ready in them.
        randomizer: of the world.
        columns: (n,) indices of the columns.
        excitations: what is done in each block.
        contract: of the experiment.
        period: s, of a control step.
    """

    world: World
    beginnings: Beginnings
    randomizer: Randomizer
    columns: Columns
    excitations: tuple[Excitation, ...]
    contract: Contract
    period: float

    def blocks(self, values: NDArray[Any]) -> NDArray[Any]:
        """View (count, ...) values as (blocks, 2 n + 2, ...)."""
        return values.reshape(len(self.excitations), 2 * len(self.columns) + 2, *values.shape[1:])


@dataclass(slots=True)
class Seen:
    """What an episode has shown.

    Attributes:
        acts: (n,) columns that made a difference.
        diverges: (n,) columns at whose end a simulation left the finite numbers.
        clipped: (size,) share of the observations at or beyond a limit.
    """

    acts: Flags
    diverges: Flags
    clipped: NDArray[np.float64]


def check_motion(subject: Subject, entries: Entries, pins: Mapping[str, float]) -> Iterator[Finding]:
    """Simulate an experiment without faults.

    Args:
        subject: what is linted.
        entries: of the randomization, without those that are known to do nothing.
        pins: of them.
    """
    experiment, robot = subject.experiment, subject.robot
    task = find_task(experiment.task, robot.name)
    contract = make_contract(experiment, robot.description, task)
    limits = _limits(contract)
    owners = _owners(subject, entries, pins)
    columns = np.array(sorted(owners), dtype=np.int64)
    groups = _groups(entries, owners, columns)
    setting = _set_up(subject, entries, pins, contract, columns, FIRST)
    length = min(SHORT, _affordable(setting))
    if length < LEAST_STEPS * setting.period:
        return
    seen = _run(setting, groups, length, limits)
    yield from _clips(subject, contract, seen.clipped)
    settled = set(columns[seen.acts | seen.diverges].tolist())
    diverging = set(columns[seen.diverges].tolist())
    left = ~np.isin(groups, groups[seen.acts | seen.diverges])
    if left.any():
        columns, groups = columns[left], groups[left]
        setting = _set_up(subject, entries, pins, contract, columns, FURTHER)
        length = min(LONG, subject.experiment.episode_length, _affordable(setting))
        seen = _run(setting, groups, length, limits)
        settled |= set(columns[seen.acts | seen.diverges].tolist())
        diverging |= set(columns[seen.diverges].tolist())
    names = setting.randomizer.columns
    yield from _divergences(subject, owners, names, diverging)
    unsure = _not_sure_to_come(entries, length)
    judged = {column: name for column, name in owners.items() if name not in unsure}
    yield from _idle(subject, entries, judged, names, settled, length)


def _affordable(setting: Setting) -> float:
    """s, for which the simulations may run."""
    physics = setting.world.physics
    return MOST_PHYSICS_STEPS * physics.timestep / physics.count


def _not_sure_to_come(entries: Entries, length: float) -> set[str]:
    """Entries of events, and of what needs them, that some episodes of a length (s) do without."""
    of = {name: members(name, entry) for name, entry in entries.items()}
    late = {
        each.parameter.name
        for found in of.values()
        for each in found
        if each.parameter.name in EARLIEST and LATEST * each.low > length
    }
    return {
        name
        for name, found in of.items()
        for each in found
        if late & {each.parameter.name, *NEEDS.get(each.parameter.name, ())}
    }


def _owners(subject: Subject, entries: Entries, pins: Mapping[str, float]) -> dict[int, str]:
    """The columns that can be measured, and the entries that draw them.

    Not a change of parameters in mid-episode: the environment draws anew, and not the world.
    """
    world = build_world(subject.robot, 1, entries, pins, threads=1, scene=subject.scene)
    randomizer = Randomizer(entries, world, pins)
    space, owners, first = randomizer.space, {}, 0
    for name, entry in entries.items():
        last = len(Randomizer({name: entry}, world).columns) + first
        change = any(each.parameter.name.startswith("change_") for each in members(name, entry))
        for column in range(first, last):
            if not change and space.low[column] < space.high[column]:
                owners[column] = name
        first = last
    return owners


def _groups(entries: Entries, owners: Mapping[int, str], columns: Columns) -> Columns:
    """(n,) labels of columns of which one that acts is enough: those of a pattern of everything."""
    names = [owners[column] for column in columns.tolist()]
    whole = [entries[name].target == "*" and not entries[name].is_joint for name in names]
    labels = [
        name if all_ else str(column) for name, all_, column in zip(names, whole, columns, strict=True)
    ]
    groups: Columns = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return groups


def _set_up(
    subject: Subject,
    entries: Entries,
    pins: Mapping[str, float],
    contract: Contract,
    columns: Columns,
    excitations: tuple[Excitation, ...],
) -> Setting:
    experiment, task = subject.experiment, find_task(subject.experiment.task, subject.experiment.robot)
    rate, scene = experiment.control_rate, subject.scene
    count = (2 * len(columns) + 2) * len(excitations)
    threads = 1 if count <= FEW else 0
    world = build_world(subject.robot, count, entries, pins, rate, threads, scene)
    randomizer = Randomizer(entries, world, pins)
    commands, unseen = Commands(experiment, task), Privileged((), task, randomizer)
    beginnings = Beginnings(world, randomizer, contract, task, {task.start: 1.0}, commands, unseen)
    return Setting(world, beginnings, randomizer, columns, excitations, contract, 1.0 / rate)


def _run(setting: Setting, groups: Columns, length: float, limits: NDArray[np.float64]) -> Seen:
    """Simulate the episodes, until some column of each group acts, but not less than a short one.

    Args:
        setting: the simulations.
        groups: (n,) label of each column.
        length: s, of the episodes.
        limits: (size,) absolute values from which on an observation is clipped.
    """
    world, pipeline, period = setting.world, setting.beginnings.pipeline, setting.period
    random = _begin(setting)
    observation = setting.beginnings.observation
    comparison = _Comparison(setting, observation)
    acts, to_command = comparison.differ(observation), ActionPipeline(setting.contract)
    clipped, steps = np.zeros(observation.shape[1]), 0
    while steps * period < (SHORT if _all_act(groups, acts) else length):
        steps += 1
        action = _actions(setting, random, to_command.size, steps)
        world.advance(to_command(action).target, random, np.full(len(action), steps))
        state = world.read(np.full(len(action), steps * period))
        observation = pipeline(state, action, setting.beginnings.command)
        acts |= comparison.differ(observation)
        clipped += (np.abs(observation) >= limits).mean(axis=0)
    return Seen(acts, _of_columns(setting, world.physics.diverged), clipped / max(1, steps))


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


def _of_columns(setting: Setting, flags: Flags) -> Flags:
    """(n,) whether any of the simulations that a column has is flagged, of (count,)."""
    pairs = setting.blocks(flags)[:, :-2]
    found: Flags = (pairs[:, ::2] | pairs[:, 1::2]).any(axis=0)
    return found


def _draws(setting: Setting, random: EpisodeRandom) -> NDArray[np.float64]:
    """(count, columns) the same draw all over a block, but for a column at one of its ends."""
    space, columns = setting.randomizer.space, setting.columns
    draws = setting.randomizer.draw(random).values.copy()
    blocks = setting.blocks(draws)
    for column, name in enumerate(setting.randomizer.columns):
        if name.partition("[")[0] in EARLIEST:
            blocks[[each.early for each in setting.excitations], :, column] = space.low[column]
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


def _limits(contract: Contract) -> NDArray[np.float64]:
    """(size,) absolute values at which a clip cuts; infinite where none would be noticed."""
    limits = []
    for term in contract.observation:
        bounded = term.source in ("joint_position_sin", "joint_position_cos", "previous_action")
        cuts = term.clip is not None and not (bounded and abs(term.scale) <= term.clip)
        limits.append(term.clip * (1.0 - 1e-6) if cuts and term.clip is not None else np.inf)
    return np.repeat(limits, widths(contract))


def _clips(subject: Subject, contract: Contract, clipped: NDArray[np.float64]) -> Iterator[Finding]:
    """Terms that are cut nearly always."""
    ends = np.cumsum(widths(contract))
    for index, shares in enumerate(np.split(clipped, ends[:-1])):
        if shares.max() >= ALWAYS:
            term = subject.experiment.observation[index]
            where = subject.document.where(("observation", index))
            what = (
                f"observation {term.source}: {100 * shares.max():.0f} % of the values stand at the clip "
                f"of {term.clip:g} under random actions"
            )
            yield Finding("warning", "saturation", where, what, "lower the scale, or raise the clip")


def _divergences(
    subject: Subject, owners: dict[int, str], names: list[str], diverging: set[int]
) -> Iterator[Finding]:
    for column in sorted(diverging):
        where = subject.entry(owners[column], "distribution")
        what = f"{names[column]}: at an end of its range the simulation leaves the finite numbers"
        yield Finding("warning", "diverges", where, what, "narrow the range, or shorten the timestep")


def _idle(
    subject: Subject,
    entries: Entries,
    owners: Mapping[int, str],
    names: list[str],
    seen: set[int],
    length: float,
) -> Iterator[Finding]:
    """Entries of which all columns, or some that were named, change nothing in episodes of a length."""
    for entry in dict.fromkeys(owners.values()):
        mine = [column for column, owner in owners.items() if owner == entry]
        idle = [names[column] for column in mine if column not in seen]
        whole = entries[entry].target == "*" and not entries[entry].is_joint
        if idle and (len(idle) == len(mine) or not whole):
            what = (
                f"{', '.join(idle)}: nothing observed differs from one end of the range to the other in "
                f"{length:.3g} s of random commands"
            )
            mend = "take it out, or see whether what it acts on moves, touches or is observed at all"
            yield Finding("warning", "no-effect", subject.entry(entry), what, mend)
