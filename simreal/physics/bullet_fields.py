"""Model fields with values per simulation, and which of them PyBullet can follow."""

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.physics.interface import NotFollowedError
from simreal.physics.layout import compiled_field
from simreal.state import Ids

OF_THE_BODIES = frozenset(
    {
        "body_mass",
        "body_inertia",
        "body_ipos",
        "body_iquat",
        "body_pos",
        "body_quat",
        "geom_friction",
        "geom_pos",
        "geom_quat",
        "geom_size",
        "jnt_axis",
        "jnt_pos",
        "jnt_range",
        "opt.gravity",
        "qpos0",
    }
)
"""A simulation is built anew with them."""
OF_THE_FORCES = frozenset(
    {
        "actuator_armature",
        "actuator_biasprm",
        "actuator_ctrlrange",
        "actuator_damping",
        "actuator_delay",
        "actuator_forcelimited",
        "actuator_forcerange",
        "actuator_gainprm",
        "dof_armature",
        "dof_damping",
        "dof_frictionloss",
        "jnt_actfrcrange",
        "jnt_stiffness",
        "qpos_spring",
    }
)
"""They are read at each physics step."""
_WITHOUT_EFFECT = ("cam_", "light_", "mat_", "site_", "name_", "geom_rgba", "geom_matid", "geom_rbound")
"""What is only looked at, or carried along by kinematics."""
_DERIVED = frozenset(mujoco.MjModel._setconst_outputs) | {"dof_simplenum", "body_simple", "geom_aabb"}


class Fields:
    """The fields of `count` simulations; one that nobody has asked for is as compiled in all of them."""

    def __init__(self, model: mujoco.MjModel, count: int) -> None:
        """Start with none."""
        self._model = model
        self._count = count
        self._values: dict[str, NDArray[Any]] = {}

    @property
    def names(self) -> list[str]:
        """Those with values per simulation."""
        return list(self._values)

    def expand(self, name: str) -> NDArray[Any]:
        """(count, ...) live values of a field."""
        if name not in self._values:
            compiled = np.asarray(compiled_field(self._model, name))
            self._values[name] = np.repeat(compiled[None], self._count, axis=0)
        return self._values[name]

    def all(self, name: str) -> NDArray[Any]:
        """(count, ...) values, or (1, ...) where all simulations have the compiled ones."""
        values = self._values.get(name)
        return np.asarray(compiled_field(self._model, name))[None] if values is None else values

    def of(self, simulation: int, name: str) -> NDArray[Any]:
        """(...) values in one simulation."""
        values = self._values.get(name)
        return np.asarray(compiled_field(self._model, name)) if values is None else values[simulation]

    def take(self, ids: Ids, source: "Fields", rows: Ids) -> None:
        """Copy the values of other simulations; what those have not is as compiled."""
        for name, values in source._values.items():
            self.expand(name)[ids] = values[rows]
        for name in self._values.keys() - source._values.keys():
            self._values[name][ids] = compiled_field(self._model, name)

    def refuse_unfollowed(self, ids: Ids) -> None:
        """Raise `NotFollowedError` if these simulations want what Bullet does not do.

        A value as compiled is fine, so that whoever pins a parameter at its nominal value may go on.
        """
        for name in self._values:
            if _is_followed(name):
                continue
            if (self._values[name][ids] != compiled_field(self._model, name)).any():
                raise NotFollowedError(_refusal(name))
        friction = self._values.get("geom_friction")
        if friction is not None and (friction[ids][..., 1:] != self._model.geom_friction[:, 1:]).any():
            raise NotFollowedError(_refusal("the torsional and rolling numbers of geom_friction"))


def _refusal(what: str) -> str:
    return (
        f"engine bullet cannot follow {what}: pin what is drawn for it at its nominal value, "
        "or use engine mujoco"
    )


def _is_followed(name: str) -> bool:
    known = OF_THE_BODIES | OF_THE_FORCES | _DERIVED
    return name in known or name.startswith(_WITHOUT_EFFECT)
