"""Measured faults: what changes nothing observable, what diverges, observations at their clip."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from simreal.contract import Contract
from simreal.experiment_contract import make_contract
from simreal.lint.dependency_checks import EARLIEST, all_needed, parameters_of
from simreal.lint.experiment_checks import widths
from simreal.lint.finding import Finding
from simreal.lint.measurement import Columns, Excitation, Setting, run, set_up
from simreal.lint.subject import Subject
from simreal.physics.drives import is_undamped, read_drives
from simreal.randomization.build import build_world
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import ParameterConfig, Specification, members
from simreal.tasks import find_task

SHORT, LONG = 0.5, 20.0
"""s, of the first episode, and at most of the further ones for what has not been seen by then."""
NOMINAL = 2.0
"""s, at most, of the episodes with nothing randomized."""
LEAST_STEPS = 5
"""Control steps, below which nothing is said."""
LATEST = 1.5
"""Share of its mean interval after which an event has come."""
MOST_PHYSICS_STEPS = 500_000
"""Of all simulations together: some seconds. What would take longer is cut short."""
ALWAYS = 0.95
"""Share of the observations, from which on a clip cuts them always."""

FIRST = (Excitation(0, 0.05),)
FURTHER = (Excitation(1, 0.1, full=True), Excitation(2, 0.4, full=True), Excitation(3, 0.05, early=True))


def check_motion(
    subject: Subject, entries: Specification, pins: Mapping[str, float]
) -> Iterator[Finding]:
    """Simulate an experiment without faults.

    Args:
        subject: what is linted.
        entries: of the randomization, without those that are known to do nothing.
        pins: of them.
    """
    experiment = subject.experiment
    task = find_task(experiment.task, subject.robot.name)
    contract = make_contract(experiment, subject.robot.description, task)
    alone = list(_diverges_alone(subject, contract))
    yield from alone or _measured(subject, entries, pins, contract)


def _diverges_alone(subject: Subject, contract: Contract) -> Iterator[Finding]:
    """The model under random commands, with nothing randomized."""
    none = np.zeros(0, dtype=np.int64)
    setting = set_up(subject, {}, {}, contract, none, (*FIRST, *FURTHER))
    length = min(NOMINAL, subject.experiment.episode_length, _affordable(setting))
    if run(setting, none, length, length, _limits(contract)).breaks:
        step = 1e3 * setting.world.physics.timestep
        what = (
            f"the model itself diverges: within {length:.3g} s of random commands it leaves the finite "
            "numbers, with nothing randomized"
        )
        mend = (
            f"{_damp_first(subject)}a timestep of less than {step:g} ms, or softer springs, servos and "
            "contacts, and more mass, armature or damping where those are stiff"
        )
        yield Finding("error", "diverges", f"{subject.model.path}:1", what, mend)


def _measured(
    subject: Subject, entries: Specification, pins: Mapping[str, float], contract: Contract
) -> Iterator[Finding]:
    """What the ends of each range do."""
    limits = _limits(contract)
    owners = _owners(subject, entries, pins)
    columns = np.array(sorted(owners), dtype=np.int64)
    groups = _groups(entries, owners, columns)
    setting = set_up(subject, entries, pins, contract, columns, FIRST)
    length = min(SHORT, _affordable(setting))
    if length < LEAST_STEPS * setting.period:
        return
    seen = run(setting, groups, length, length, limits)
    yield from _clips(subject, contract, seen.clipped)
    breaks, settled = seen.breaks, set(columns[seen.acts | seen.diverges].tolist())
    diverging = set(columns[seen.diverges].tolist())
    left = ~np.isin(groups, groups[seen.acts | seen.diverges])
    if left.any():
        columns, groups = columns[left], groups[left]
        setting = set_up(subject, entries, pins, contract, columns, FURTHER)
        length = min(LONG, subject.experiment.episode_length, _affordable(setting))
        seen = run(setting, groups, SHORT, length, limits)
        breaks |= seen.breaks
        settled |= set(columns[seen.acts | seen.diverges].tolist())
        diverging |= set(columns[seen.diverges].tolist())
    names = setting.randomizer.columns
    yield from _divergences(subject, owners, names, diverging, breaks)
    if breaks:
        return  # what diverges anyway tells of no other column whether it acts
    unsure = _not_sure_to_come(entries, length)
    judged = {column: name for column, name in owners.items() if name not in unsure}
    yield from _idle(subject, entries, judged, names, settled, length)


def _affordable(setting: Setting) -> float:
    """s, for which the simulations may run."""
    physics = setting.world.physics
    return MOST_PHYSICS_STEPS * physics.timestep / physics.count


def _not_sure_to_come(entries: Specification, length: float) -> set[str]:
    """Entries of events, and of what needs them, that some episodes of a length (s) do without."""
    late = {
        each.parameter.name
        for name, entry in entries.items()
        for each in members(name, entry)
        if each.parameter.name in EARLIEST and LATEST * each.low > length
    }
    return {name for name, entry in entries.items() if late & all_needed(parameters_of(name, entry))}


def _owners(subject: Subject, entries: Specification, pins: Mapping[str, float]) -> dict[int, str]:
    """The columns that can be measured, and the entries that draw them.

    Not a change of parameters in mid-episode: the environment draws anew, and not the world.
    """
    world = build_world(subject.robot, 1, entries, pins, threads=1, scene=subject.scene)
    randomizer = Randomizer(entries, world, pins)
    varies = randomizer.space.low < randomizer.space.high
    return {
        column: part.entry
        for part in randomizer.parts
        if not part.parameter.name.startswith("change_")
        for column in range(part.columns.start, part.columns.stop)
        if varies[column]
    }


def _groups(entries: Specification, owners: Mapping[int, str], columns: Columns) -> Columns:
    """(n,) labels of columns of which one that acts is enough: those of a pattern of everything."""
    names = [owners[column] for column in columns.tolist()]
    labels = [
        name if _means_all(entries[name]) else str(column)
        for name, column in zip(names, columns, strict=True)
    ]
    groups: Columns = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return groups


def _means_all(entry: ParameterConfig) -> bool:
    return entry.target == "*" and not entry.is_joint


def _limits(contract: Contract) -> NDArray[np.float64]:
    """(size,) absolute values at which a clip cuts; infinite where none would be noticed."""
    limits = []
    for term in contract.observation:
        bounded = term.source in ("joint_position_sin", "joint_position_cos", "previous_action")
        cuts = term.clip is not None and not (bounded and abs(term.scale) <= term.clip)
        limits.append(term.clip * (1.0 - 1e-6) if cuts and term.clip is not None else np.inf)
    return np.repeat(limits, widths(contract))


def _clips(subject: Subject, contract: Contract, clipped: NDArray[np.float64]) -> Iterator[Finding]:
    """Terms that are cut nearly always, but for a close look at what another term shows whole."""
    ends = np.cumsum(widths(contract))
    whole = [(term.source, term.tool) for term in contract.observation if term.clip is None]
    for index, shares in enumerate(np.split(clipped, ends[:-1])):
        if shares.max() >= ALWAYS:
            term = subject.experiment.observation[index]
            if (term.source, term.tool) in whole:
                continue
            where = subject.document.where(("observation", index))
            what = (
                f"observation {term.source}: {100 * shares.max():.0f} % of the values stand at the clip "
                f"of {term.clip:g} under random actions"
            )
            yield Finding("warning", "saturation", where, what, "lower the scale, or raise the clip")


def _divergences(
    subject: Subject, owners: dict[int, str], names: list[str], diverging: set[int], breaks: bool
) -> Iterator[Finding]:
    """Columns to blame, or all of them together."""
    if breaks and not diverging:
        where = subject.document.where(("randomization",))
        what = (
            "with everything drawn at once the simulation leaves the finite numbers; alone, nothing does"
        )
        mend = f"{_damp_first(subject)}narrow the ranges, or shorten the timestep"
        yield Finding("warning", "diverges", where, what, mend)
    for column in sorted(diverging):
        where = subject.entry(owners[column], "distribution")
        what = f"{names[column]}: at an end of its range the simulation leaves the finite numbers"
        mend = f"{_damp_first(subject)}narrow the range, or shorten the timestep"
        yield Finding("warning", "diverges", where, what, mend)


def _damp_first(subject: Subject) -> str:
    """The likeliest cause, where it is there: servos without damping."""
    model = subject.model.compiled
    drives = () if model is None else read_drives(model)[0]
    names = [each.name for each in drives if model is not None and is_undamped(model, each)]
    return f"give damping to {', '.join(names)} (kv or dampratio), which have none; or " if names else ""


def _idle(
    subject: Subject,
    entries: Specification,
    owners: Mapping[int, str],
    names: list[str],
    seen: set[int],
    length: float,
) -> Iterator[Finding]:
    """Entries of which all columns, or some that were named, change nothing in episodes of a length."""
    if len(set(owners.values())) > 1 and not seen & owners.keys():
        yield _blind(subject, length)
        return
    for entry in dict.fromkeys(owners.values()):
        mine = [column for column, owner in owners.items() if owner == entry]
        idle = [names[column] for column in mine if column not in seen]
        if idle and (len(idle) == len(mine) or not _means_all(entries[entry])):
            what = (
                f"{', '.join(idle)}: nothing observed differs from one end of the range to the other in "
                f"{length:.3g} s of random commands"
            )
            mend = "take it out, or see whether what it acts on moves, touches or is observed at all"
            yield Finding("warning", "no-effect", subject.entry(entry), what, mend)


def _blind(subject: Subject, length: float) -> Finding:
    """No entry at all changes what is observed: that is not to be blamed on each of them."""
    resolution = subject.robot.config.sensing.encoder_resolution
    what = (
        f"nothing observed differs from one end to the other of any range in {length:.3g} s of random "
        "commands"
    )
    mend = (
        f"see what is observed, and sensing in robot.yaml (encoder_resolution {resolution:g}), before "
        "anything is taken out"
    )
    return Finding("warning", "no-effect", subject.document.where(("randomization",)), what, mend)
