"""Fields of a MuJoCo model by name, and what an episode changes in them."""

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.physics.layout import compiled_field

Changes = dict[str, tuple[NDArray[np.int64], NDArray[Any]]]
"""Field to the flat places at which an episode's model differs from the task's own, and the values."""

OF_OPTIONS = "opt."


def read_field(model: mujoco.MjModel, name: str) -> NDArray[Any]:
    """A field's value; live, but for a single number of the options."""
    return np.asarray(compiled_field(model, name))


def write_field(model: mujoco.MjModel, name: str, values: NDArray[Any]) -> None:
    """Set a field to values of its shape."""
    if name.startswith(OF_OPTIONS) and not values.ndim:
        setattr(model.opt, name.removeprefix(OF_OPTIONS), values.item())
    else:
        read_field(model, name)[...] = values


def apply_changes(model: mujoco.MjModel, changes: Changes) -> Changes:
    """Write changes into a model.

    Returns:
        What undoes them.
    """
    before: Changes = {}
    for name, (places, values) in changes.items():
        field = read_field(model, name).copy()
        before[name] = (places, field.reshape(-1)[places])
        field.reshape(-1)[places] = values
        write_field(model, name, field)
    return before
