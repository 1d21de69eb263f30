"""Simulations of a suite task on MuJoCo's batch, where the task's own code runs on all of them."""

from collections.abc import Sequence

import mujoco
import numpy as np
from mujoco.batch import MODEL_FIELDS, Batch, SimulationError
from numpy.typing import NDArray

from simreal.observation import Float32Array
from simreal.state import Ids
from simreal.suite.batched_task import BatchedTask
from simreal.suite.model_fields import Changes, read_field
from simreal.suite.simulation import DIVERGED, GOES_ON, TERMINATED, TRUNCATED, Simulation
from simreal.suite.stepped import Given, Stepped

STATE = mujoco.mjtState.mjSTATE_INTEGRATION.value
CHECKED_EPISODES = 8
CHECKED_STEPS = 20
REWARD_TOLERANCE = 1e-9
"""Absolute up to 1, relative above: sums are taken in another order."""
OBSERVATION_TOLERANCE = 2.0**-22
"""Likewise: a difference as small as that may be rounded to the next number of float32."""


class BatchedSimulations:
    """`count` simulations of a task; `Stepped` has the methods.

    Each episode is begun by dm_control itself, in a simulation apart, and goes on in the batch.
    """

    is_batched = True

    def __init__(self, apart: Simulation, count: int, drawn: set[str], threads: int) -> None:
        """Make the batch.

        Args:
            apart: begins the episodes; an episode has begun in it.
            count: number of simulations.
            drawn: model fields that the randomization changes.
            threads: of the physics; 0 for every processor.

        Raises:
            TypeError: the task's code does not run on a batch.
        """
        self._apart = apart
        self._varying = drawn | _written_by(apart)
        fixed = self._varying - set(MODEL_FIELDS)
        if fixed:
            raise TypeError(f"{', '.join(sorted(fixed))} cannot differ between simulations of a batch")
        # Of a simulation that goes on from its own data, positions are computed once and not twice.
        self._batch = Batch(apart.model, count, threads, persistent=True)
        self._fields = {name: self._batch.expand(name) for name in self._varying}
        self._task = BatchedTask(apart.environment, self._batch, self._varying)
        self._stage = int(mujoco.mjtStage.mjSTAGE_VEL)
        self._elapsed = np.zeros(count, dtype=np.int64)
        self._batch.reset()
        self._warnings = self._batch.warning[:, :, 1]
        self._observation = self._task.observe()
        if not np.shape(self._task.reward()) == (count,) or self._task.terminates():
            raise TypeError("a reward or an end that is not one for each simulation")

    @property
    def count(self) -> int:
        """Number of simulations."""
        return int(self._batch.nsim)

    def begin(self, ids: Ids, seeds: Sequence[int], changes: Sequence[Changes]) -> Float32Array:
        """Begin episodes in some simulations; (len(ids), size) their first observations."""
        if self._warnings[ids].any():
            self._batch.reset(ids)  # clears their warnings
        first = [self._begin_one(*each) for each in zip(ids.tolist(), seeds, changes, strict=True)]
        self._observation = self._observation.copy()
        self._observation[ids] = np.stack(first)
        self._elapsed[ids] = 0
        return self._observation[ids]

    def _begin_one(self, row: int, seed: int, changes: Changes) -> Float32Array:
        observation = self._apart.begin(seed, changes)
        model, data = self._apart.model, self._apart.environment.physics.data.ptr
        for name, values in self._fields.items():
            values[row] = read_field(model, name)
        mujoco.mj_getState(model, data, self._batch.state[row], STATE)
        return observation

    def step(self, action: NDArray[np.float64]) -> Given:
        """Take (count, actions); give observations, rewards and how each episode stands."""
        self._batch.ctrl[:] = action
        failed = self._advance()
        observation, reward = self._task.observe(), self._task.reward()
        limit = self._apart.step_limit
        self._elapsed += 1
        status = np.where(self._elapsed >= (limit or np.inf), TRUNCATED, GOES_ON)
        if self._task.terminates():
            status[:] = TERMINATED
        failed |= (
            self._warnings.any(axis=1) | ~np.isfinite(reward) | ~np.isfinite(observation).all(axis=1)
        )
        if failed.any():
            observation[failed], reward = self._observation[failed], np.where(failed, 0.0, reward)
            status[failed] = DIVERGED
        self._observation = observation
        return observation, reward, status

    def _advance(self) -> NDArray[np.bool_]:
        """Let a control step pass; (count,) whether the engine has given a simulation up."""
        failed = np.zeros(self.count, dtype=bool)
        try:
            self._batch.step(nstep=self._apart.substeps, stage=self._stage)
        except SimulationError as error:
            failed[error.ids] = True
        return failed

    def close(self) -> None:
        """Nothing to release: the threads end with the batch."""


def _written_by(apart: Simulation) -> set[str]:
    """Model fields that the task itself writes when an episode begins, such as a target's place."""
    before = {name: _value(apart, name) for name in _array_fields(apart.model)}
    found = set()
    for seed in range(1, 1 + CHECKED_EPISODES):
        apart.begin(seed, {})
        changed = [name for name, value in before.items() if (_value(apart, name) != value).any()]
        found |= set(changed)
    return found


def _array_fields(model: mujoco.MjModel) -> list[str]:
    names = [name for name in dir(model) if not name.startswith("_")]
    return [name for name in names if isinstance(getattr(model, name), np.ndarray)]


def _value(apart: Simulation, name: str) -> NDArray[np.generic]:
    return read_field(apart.model, name).copy()


def disagreement(
    batched: Stepped, single: Simulation, episodes: Sequence[tuple[int, Changes]]
) -> str | None:
    """Where simulations on a batch and dm_control itself differ, if they do.

    Both take the same random actions from the same beginnings.

    Args:
        batched: of the task; its first simulations are begun.
        single: of the same task.
        episodes: their seeds and changes.
    """
    number = len(episodes)
    random = np.random.default_rng(0)
    shape = (CHECKED_STEPS, batched.count, single.lower.size)
    actions = random.uniform(single.lower, single.upper, shape)
    seeds, changes = [each[0] for each in episodes], [each[1] for each in episodes]
    first = batched.begin(np.arange(number), seeds, changes)
    given = [batched.step(action) for action in actions]
    for row, (seed, changed) in enumerate(episodes):
        if not _same(first[row], single.begin(seed, changed), OBSERVATION_TOLERANCE):
            return "the first observation"
        for number_of_step, (observation, reward, status) in enumerate(given):
            outcome = single.step(actions[number_of_step, row])
            if outcome.status != status[row]:
                return "the end of an episode"
            if not _same(observation[row], outcome.observation, OBSERVATION_TOLERANCE):
                return "the observation"
            if not _same(reward[row], outcome.reward, REWARD_TOLERANCE):
                return "the reward"
            if outcome.status != GOES_ON:
                break
    return None


def _same(one: object, other: object, tolerance: float) -> bool:
    a, b = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= tolerance * np.maximum(1.0, np.abs(b))))
