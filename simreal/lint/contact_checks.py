"""Contact parameters that never act: MuJoCo takes those of the other geom, of a pair, or fewer axes.

The rules are those of the chapter "Contact parameters" of MuJoCo's documentation: of two geoms the one
with the higher priority gives all parameters; at equal priority condim and friction are the larger
ones; an explicit pair has its own, and no contact beside it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from simreal.lint.finding import Finding
from simreal.lint.model_file import ModelFile
from simreal.lint.subject import Subject
from simreal.randomization.parameters import matching
from simreal.randomization.specification import Member, ParameterConfig, members
from simreal.randomization.world import World

CONTACT_FIELDS = ("geom_friction", "geom_solref", "geom_solimp")
COMPONENTS = {"friction": 0, "torsional_friction": 1, "rolling_friction": 2}
NEEDED_CONDIM = {"friction": 3, "torsional_friction": 4, "rolling_friction": 6}
"""1: no friction at all; 3: sliding; 4: torsional, too; 6: rolling, too."""


@dataclass(frozen=True, slots=True)
class Inert:
    """A geom on which a parameter does nothing.

    Attributes:
        name: of the geom.
        reason: why.
        mend: what would change that.
    """

    name: str
    reason: str
    mend: str


def check_contacts(
    subject: Subject, world: World, entries: Mapping[str, ParameterConfig]
) -> Iterator[Finding]:
    """Entries of contact parameters that do nothing on some geom that they name, or on all."""
    of_contacts = [
        (name, member)
        for name, entry in entries.items()
        for member in members(name, entry)
        if member.parameter.fields[0] in CONTACT_FIELDS
    ]
    for name, member in of_contacts:
        chosen = _geoms(world, member)
        same = [each for _, each in of_contacts if each.parameter is member.parameter]
        drawn = {geom for each in same for geom in _geoms(world, each)}
        found = [why_inert(subject.model, world.physics.model, geom, member, drawn) for geom in chosen]
        inert = [each for each in found if each is not None]
        # A pattern of everything means whatever touches anything.
        if inert and (len(inert) == len(chosen) or member.target != "*"):
            listed = ", ".join(each.name for each in inert)
            what = f"{member.parameter.name} of {listed} does nothing: {inert[0].reason}"
            yield Finding("error", "friction-axis", subject.entry(name, "target"), what, inert[0].mend)


def _geoms(world: World, member: Member) -> list[int]:
    """Those that a pattern means."""
    names = member.parameter.elements(world)
    chosen = [names[i] for i in matching(member.target, names)]
    model = world.physics.model
    return [geom for geom in range(model.ngeom) if _name(model, geom) in chosen]


def _name(model: mujoco.MjModel, geom: int) -> str:
    return model.geom(geom).name or f"geom{geom}"


def why_inert(
    file: ModelFile, model: mujoco.MjModel, geom: int, member: Member, drawn: set[int]
) -> Inert | None:
    """Why a parameter does nothing on a geom, if so; it is drawn on others, too."""
    name, needed = _name(model, geom), NEEDED_CONDIM.get(member.parameter.name, 1)
    if model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_CONTACT:
        return Inert(name, "the model disables contacts", '<flag contact="enable"/>')
    paired, partners = _partners(model, geom)
    if not partners:
        if paired:
            where = file.where(_pair_of(file, paired[0]))
            reason = f"it touches only in the explicit pair at {where}, which has its own"
            return Inert(name, reason, "give its parameters in the pair, or take the pair out")
        return Inert(name, "nothing can touch it", "see contype, conaffinity and <exclude>")
    heard = [other for other in partners if model.geom_priority[other] <= model.geom_priority[geom]]
    if not heard:
        other = _name(model, partners[0])
        reason = f"geom {other}, which it touches, has the higher priority"
        return Inert(name, reason, f"randomize {other} instead, or give both the same priority")
    condim = max(_condim(model, geom, other) for other in heard)
    if condim < needed:
        where = file.where(_spec_geom(file, geom))
        return Inert(name, f"its contacts have condim {condim}", f'condim="{needed}" at {where}')
    if member.parameter.fields[0] == "geom_friction" and not drawn & set(heard):
        return _outdone(model, geom, heard, member)
    return None


def _spec_geom(file: ModelFile, geom: int) -> Any:
    return next(each for each in file.spec.geoms if each.id == geom)


def _pair_of(file: ModelFile, pair: int) -> Any:
    return next(each for each in file.spec.pairs if each.id == pair)


def _condim(model: mujoco.MjModel, geom: int, other: int) -> int:
    """Of a contact in which the first geom has a say."""
    if model.geom_priority[geom] > model.geom_priority[other]:
        return int(model.geom_condim[geom])
    return int(max(model.geom_condim[geom], model.geom_condim[other]))


def _outdone(model: mujoco.MjModel, geom: int, heard: list[int], member: Member) -> Inert | None:
    """Frictions that stay below those of all that the geom touches, of which the larger one counts."""
    component = COMPONENTS[member.parameter.name]
    default = float(model.geom_friction[geom, component])
    ends = {"absolute": member.high, "scale": member.high * default, "add": member.high + default}
    others = model.geom_friction[heard, component]
    wins = model.geom_priority[geom] > model.geom_priority[heard]
    if wins.any() or ends[member.operation] > others.min():
        return None
    other, value = _name(model, heard[int(others.argmin())]), float(others.min())
    reason = (
        f"of two geoms the larger friction counts, and {other} has {value:g}, "
        f"never less than {ends[member.operation]:g}"
    )
    return Inert(_name(model, geom), reason, f"give it a priority, or {other} less friction")


def _partners(model: mujoco.MjModel, geom: int) -> tuple[list[int], list[int]]:
    """Explicit pairs of a geom, and geoms that it may touch otherwise."""
    first, second = model.pair_geom1, model.pair_geom2
    paired = np.flatnonzero((first == geom) | (second == geom)).tolist()
    fixed = {int(first[i] + second[i] - geom) for i in paired}
    others = [each for each in range(model.ngeom) if each not in fixed and _may_touch(model, geom, each)]
    return paired, others


def _may_touch(model: mujoco.MjModel, geom: int, other: int) -> bool:
    """Whether two geoms pass the filters of collisions."""
    kinds, affinities = model.geom_contype, model.geom_conaffinity
    if not (kinds[geom] & affinities[other] or kinds[other] & affinities[geom]):
        return False
    bodies = sorted(int(model.geom_bodyid[each]) for each in (geom, other))
    welded = [int(model.body_weldid[body]) for body in bodies]
    if welded[0] == welded[1] or (bodies[0] << 16) + bodies[1] in model.exclude_signature:
        return False
    if model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_FILTERPARENT or 0 in welded:
        return True
    parents = [int(model.body_weldid[model.body_parentid[body]]) for body in welded]
    return parents[0] != welded[1] and parents[1] != welded[0]
