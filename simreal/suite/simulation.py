"""One simulation of a task, stepped by dm_control itself."""

import contextlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.errors import UserError
from simreal.observation import Float32Array
from simreal.suite.model_fields import Changes, apply_changes, read_field
from simreal.suite.tasks import TIME_LIMIT_STEPS, load_task

GOES_ON, TERMINATED, TRUNCATED, DIVERGED = range(4)
"""How an episode stands after a step."""


class Outcome(NamedTuple):
    """What a control step of one simulation gives."""

    observation: Float32Array
    reward: float
    status: int


class Simulation:
    """A task's environment, in an episode that a seed and changes to its model determine.

    Attributes:
        environment: of dm_control.
        lower: (actions,) smallest action; -1 where the task sets no limit.
        upper: (actions,) largest action; 1 where the task sets no limit.
        step_limit: control steps of a full episode; None if the task counts time itself.
    """

    def __init__(self, name: str) -> None:
        """Load a task by name.

        Raises:
            UserError: dm_control lacks it, or it observes pictures.
        """
        self.name = name
        self.environment = load_task(name)
        self._composed = hasattr(self.environment, "add_extra_hook")
        self._changes: Changes = {}
        self._undo: Changes = {}
        if self._composed:
            self.environment.add_extra_hook("after_compile", self._after_compile)
        self._refuse_pictures()
        spec = self.environment.action_spec()
        bounded = (spec.minimum > -mujoco.mjMAXVAL) & (spec.maximum < mujoco.mjMAXVAL)
        self.lower = np.where(bounded, spec.minimum, -1.0)
        self.upper = np.where(bounded, spec.maximum, 1.0)
        self.step_limit = None if self._composed else self._suite_step_limit()
        self._last = np.zeros(0, dtype=np.float32)
        self._elapsed = 0

    def _suite_step_limit(self) -> int:
        limit = float(self.environment._step_limit)
        return int(np.ceil(limit)) if np.isfinite(limit) else TIME_LIMIT_STEPS

    def _refuse_pictures(self) -> None:
        for name, spec in self.environment.observation_spec().items():
            if len(spec.shape) >= 3 and spec.dtype == np.uint8:
                raise UserError(f"{self.name}: observes pictures ({name}), which are not supported")

    @property
    def model(self) -> mujoco.MjModel:
        """The model of the present episode; live."""
        return self.environment.physics.model.ptr

    @property
    def control_rate(self) -> float:
        """Hz."""
        return 1.0 / float(self.environment.control_timestep())

    @property
    def substeps(self) -> int:
        """Physics steps of a control step."""
        return int(self.environment._n_sub_steps)

    def begin(self, seed: int, changes: Changes) -> Float32Array:
        """Begin an episode.

        Args:
            seed: of everything random in it, 64 bits.
            changes: to the task's own model, before the task places anything.

        Returns:
            (size,) its first observation.
        """
        self._random_state().seed([seed & 0xFFFFFFFF, seed >> 32])
        self._changes, self._elapsed = changes, 0
        if not self._composed:
            # A composed environment compiles its model anew, and calls back.
            apply_changes(self.model, self._undo)
            self._undo = apply_changes(self.model, changes)
        self._last = _flat(self.environment.reset().observation)
        return self._last

    def _random_state(self) -> np.random.RandomState:
        owner = self.environment if self._composed else self.environment.task
        state: np.random.RandomState = owner._random_state if self._composed else owner.random
        return state

    def _after_compile(self, physics: Any, random_state: Any) -> None:
        model = physics.model.ptr
        for name, (places, _) in self._changes.items():
            if places.size and int(places[-1]) >= read_field(model, name).size:
                raise UserError(
                    f"{self.name}: builds another model for each episode, so that {name} cannot be drawn"
                )
        apply_changes(model, self._changes)

    def step(self, action: NDArray[np.float64]) -> Outcome:
        """Take (actions,) within the task's own bounds."""
        from dm_control.rl.control import PhysicsError

        self._elapsed += 1
        try:
            given = self.environment.step(action)
        except PhysicsError:
            return Outcome(self._last, 0.0, DIVERGED)
        observation, reward = _flat(given.observation), float(given.reward)
        if not (np.isfinite(reward) and np.isfinite(observation).all()):
            return Outcome(self._last, 0.0, DIVERGED)
        self._last = observation
        if given.last():
            return Outcome(observation, reward, TRUNCATED if given.discount else TERMINATED)
        late = self.step_limit is not None and self._elapsed >= self.step_limit
        return Outcome(observation, reward, TRUNCATED if late else GOES_ON)

    def close(self) -> None:
        """Give back what dm_control holds."""
        with contextlib.suppress(AttributeError):
            self.environment.close()


def _flat(observation: Mapping[str, Any]) -> Float32Array:
    """(size,) an observation's entries, in the order of the task."""
    rows = [np.asarray(each, dtype=np.float32).reshape(-1) for each in observation.values()]
    return np.concatenate(rows)
