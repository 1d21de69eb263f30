"""From a compiled model to the links of Bullet's multibodies: who hangs on whom, and why.

A Bullet link has at most one joint, one collision shape and one friction. So a body becomes a chain of
links, one for each of its joints, of which the last has the body's mass; and each geom that touches
anything becomes a link of its own, rigidly fixed to that.

Bullet has no armature. A rotor does what armature stands for: a massless link beside the driven one,
that turns about the same axis on the same parent, many times as fast, with the armature divided by the
square of that ratio as its inertia. A gear constraint holds the two together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

import mujoco
import numpy as np
from numpy.typing import NDArray

BASE = -1


class Role(Enum):
    """What a link is there for."""

    JOINT = auto()
    """To move about a joint; the last of a body has its mass."""
    FIXED = auto()
    """A body without joints: its mass."""
    GEOM = auto()
    """To touch."""
    ROTOR = auto()
    """Armature of a joint."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a multibody.

    Attributes:
        role: what it is there for.
        parent: place of the link that it hangs on, or `BASE`.
        body: id of the model's body that it belongs to.
        joint: id of its joint, of a rotor the joint that it belongs to; -1 if it has none.
        geom: id of its geom; -1 if it has none.
        has_mass: whether it carries the mass of its body.
    """

    role: Role
    parent: int
    body: int
    joint: int = -1
    geom: int = -1
    has_mass: bool = False


@dataclass(frozen=True, slots=True)
class Tree:
    """A multibody.

    Attributes:
        base: id of the body on a free joint that is its base; 0 for the world.
        links: parents before children.
    """

    base: int
    links: tuple[Link, ...]

    def places(self, role: Role) -> list[int]:
        """Where the links of a role stand."""
        return [place for place, link in enumerate(self.links) if link.role is role]


def find_trees(model: mujoco.MjModel, geared: NDArray[np.bool_]) -> list[Tree]:
    """The multibodies of a model.

    Args:
        model: of which.
        geared: (nv,) degrees of freedom that need a rotor.
    """
    moving = np.flatnonzero(model.body_weldid != 0)
    roots = [int(body) for body in moving if model.body_weldid[model.body_parentid[body]] == 0]
    return [_tree(model, root, geared) for root in roots]


def _tree(model: mujoco.MjModel, root: int, geared: NDArray[np.bool_]) -> Tree:
    links: list[Link] = []
    holder: dict[int, int] = {}
    first = int(model.body_jntadr[root])
    is_free = first >= 0 and model.jnt_type[first] == mujoco.mjtJoint.mjJNT_FREE
    for body in _descendants(model, root):
        parent = holder.get(int(model.body_parentid[body]), BASE)
        if not (is_free and body == root):
            parent = _add_joints(links, model, body, parent, geared)
        holder[body] = parent
        links += [Link(Role.GEOM, parent, body, geom=geom) for geom in _touching(model, body)]
    return Tree(root if is_free else 0, tuple(links))


def _add_joints(
    links: list[Link], model: mujoco.MjModel, body: int, parent: int, geared: NDArray[np.bool_]
) -> int:
    """Append the chain of a body; its last link is where the body's mass and children hang."""
    first, number = int(model.body_jntadr[body]), int(model.body_jntnum[body])
    if not number:
        links.append(Link(Role.FIXED, parent, body, has_mass=True))
        return len(links) - 1
    for joint in range(first, first + number):
        links.append(Link(Role.JOINT, parent, body, joint, has_mass=joint == first + number - 1))
        holder = len(links) - 1
        if geared[model.jnt_dofadr[joint]]:
            links.append(Link(Role.ROTOR, parent, body, joint))
        parent = holder
    return parent


def _descendants(model: mujoco.MjModel, root: int) -> list[int]:
    """A body and all that hang on it, parents first."""
    found = {root}
    for body in range(root + 1, model.nbody):
        if int(model.body_parentid[body]) in found:
            found.add(body)
    return sorted(found)


def _touching(model: mujoco.MjModel, body: int) -> Sequence[int]:
    first, number = int(model.body_geomadr[body]), int(model.body_geomnum[body])
    return [geom for geom in range(first, first + number) if touches(model, geom)]


def touches(model: mujoco.MjModel, geom: int) -> bool:
    """Whether a geom may touch anything at all."""
    contacts_off = model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_CONTACT
    return not contacts_off and bool(model.geom_contype[geom] or model.geom_conaffinity[geom])


def standing_geoms(model: mujoco.MjModel) -> list[int]:
    """Geoms that touch and never move: of the world, and of what is fixed to it."""
    still = model.body_weldid[model.geom_bodyid] == 0
    return [geom for geom in range(model.ngeom) if still[geom] and touches(model, geom)]
