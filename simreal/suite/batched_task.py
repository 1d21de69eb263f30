"""A suite task's own reward and observation, for all simulations of a batch at once."""

import copy
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

import numpy as np
from mujoco.batch import DATA_FIELDS, Batch
from numpy.typing import NDArray

from simreal.observation import Float32Array
from simreal.suite.lifted import STAND_INS, Lifted, is_lifted, lift


class BatchedTask:
    """Code of a task of `dm_control.suite` that runs on `Lifted` arrays instead of one simulation's.

    The task's module is loaded a second time, with stand-ins for the names that cannot tell a lifted
    array (`lifted.STAND_INS`); nothing of dm_control itself is changed.
    """

    def __init__(self, environment: Any, batch: Batch, varying: set[str]) -> None:
        """Let a task look at a batch.

        Args:
            environment: of the suite, with an episode begun: what the task remembers of it counts for
                all simulations.
            batch: of its model, whose fields in `varying` are expanded.
            varying: model fields that differ between simulations.

        Raises:
            TypeError: the task acts on the physics by itself, so that it cannot run on a batch.
        """
        from dm_control.suite.base import Task

        task = environment.task
        for hook in ("before_step", "after_step"):
            if getattr(type(task), hook) is not getattr(Task, hook):
                raise TypeError(f"{type(task).__name__} has a {hook} of its own")
        module = _loaded_again(type(task).__module__)
        self._count = batch.nsim
        self._task = copy.copy(task)
        self._task.__class__ = getattr(module, type(task).__name__)
        self._physics = _batched_physics(module, environment.physics, batch, varying)

    def observe(self) -> Float32Array:
        """(count, size) observations of where the simulations stand."""
        entries = self._task.get_observation(self._physics).values()
        columns = [_columns(each, self._count) for each in entries]
        observation: Float32Array = np.concatenate(columns).T.astype(np.float32, order="C")
        return observation

    def reward(self) -> NDArray[np.float64]:
        """(count,) rewards."""
        reward = np.asarray(self._task.get_reward(self._physics), dtype=np.float64)
        return np.broadcast_to(reward.reshape(-1), (self._count,))

    def terminates(self) -> bool:
        """Whether the task ends the episodes, in all simulations alike."""
        return self._task.get_termination(self._physics) is not None


def _loaded_again(name: str) -> ModuleType:
    """A module of its own from the code of another, under whose names lifted arrays pass."""
    spec = find_spec(name)
    assert isinstance(spec, ModuleSpec) and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module).update(STAND_INS)
    return module


def _columns(value: Any, count: int) -> NDArray[np.float64]:
    """(size, count) numbers of one entry of an observation."""
    if is_lifted(value):
        return np.asarray(value).reshape(-1, count)
    return np.broadcast_to(np.asarray(value, dtype=np.float64).reshape(-1, 1), (np.size(value), count))


def _batched_physics(module: ModuleType, physics: Any, batch: Batch, varying: set[str]) -> Any:
    """A physics with the domain's own methods, whose data and model are lifted arrays of a batch."""
    domain = getattr(module, type(physics).__name__)
    data, model = _Data(batch), _Model(physics.model, batch, varying)
    named = _Named(_NamedFields(physics.named.data, data), _NamedFields(physics.named.model, model))
    members = {"data": data, "model": model, "named": named}
    lifted: Any = type(f"Batched{domain.__name__}", (domain,), members)
    made = lifted.__new__(lifted)
    vars(made).update(vars(physics))  # such as the names that quadruped looks up once
    return made


class _Data:
    """`MjData` of all simulations; its arrays live, and lifted."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Lifted:
        if name.startswith("_") or name not in DATA_FIELDS:
            raise AttributeError(f"{name} of a batch")
        array = lift(np.moveaxis(self._batch.bind(name), 0, -1))
        setattr(self, name, array)  # found at once from now on
        return array


class _Model:
    """`MjModel` of all simulations: fields that vary are lifted, all others the task's own."""

    def __init__(self, model: Any, batch: Batch, varying: set[str]) -> None:
        self._own, self._batch, self._varying = model, batch, varying

    def __getattr__(self, name: str) -> Any:
        if name in self._varying:
            return lift(np.moveaxis(self._batch.expand(name), 0, -1))
        return getattr(self._own, name)


class _Named:
    """Access by the model's names, as `physics.named`."""

    def __init__(self, data: "_NamedFields", model: "_NamedFields") -> None:
        self.data, self.model = data, model


class _NamedFields:
    """Fields that are indexed by names: dm_control's own indexers say where those stand."""

    def __init__(self, indexers: Any, fields: Any) -> None:
        self._indexers, self._fields = indexers, fields

    def __getattr__(self, name: str) -> "_NamedField":
        field = _NamedField(getattr(self._indexers, name), getattr(self._fields, name))
        setattr(self, name, field)
        return field


class _NamedField:
    def __init__(self, indexer: Any, field: Any) -> None:
        self._indexer, self._field = indexer, field

    def __getitem__(self, key: Any) -> Any:
        return self._field[self._indexer._convert_key(key)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._field, name)
