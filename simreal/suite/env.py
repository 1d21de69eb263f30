"""A task of dm_control as a batched environment: what training and evaluation ask of `BatchEnv`."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from simreal.action import refuse_no_numbers
from simreal.contract import (
    ActionMapping,
    Actuator,
    Contract,
    ObservationTerm,
    Provenance,
    RobotDescription,
)
from simreal.episode_random import EpisodeRandom, SeedArray
from simreal.episodes import DIVERGED, MADE_READY, TIME_LIMIT, Environment, Step
from simreal.experiment import SuiteExperiment
from simreal.observation import Float32Array
from simreal.state import FloatArray, Ids
from simreal.suite import simulation
from simreal.suite.batched import BatchedSimulations, disagreement
from simreal.suite.drawn_models import DrawnModels
from simreal.suite.model_fields import Changes
from simreal.suite.one_by_one import OneByOne, Processes
from simreal.suite.simulation import Simulation
from simreal.suite.stepped import Stepped

CHECKED = 4
"""Drawn episodes on which a batch must agree with dm_control before it is used."""
GOAL_REWARD = 0.9
"""Reward from which on a task counts as done: most of dm_control's rewards reach 1 there and never more.
dm_control itself defines no success."""
SUCCESS_SHARE = 0.9
"""An episode is a success if the goal holds in this share of its second half, as for robots."""
CAUSES = {
    simulation.TERMINATED: "terminated",
    simulation.TRUNCATED: TIME_LIMIT,
    simulation.DIVERGED: DIVERGED,
}


class SuiteEnv(Environment):
    """`count` simulations of a task of dm_control.

    An action in [-1, 1] covers the task's own bounds. An observation is the task's own, in one row. The
    physics of all simulations is one batch, and the task's reward and observation run on all of them at
    once, where both give what dm_control gives; it is asked when the environment is made. Otherwise
    dm_control steps the simulations one by one, in processes if there are several.

    Attributes:
        contract: it names the task's joints and actuators, but an observation that no robot measures:
            such a policy cannot be deployed.
        privileged: (count, 0): no critic sees more.
        not_batched: why the simulations are stepped one by one; None where they are not.
    """

    def __init__(
        self,
        experiment: SuiteExperiment,
        count: int,
        seed: int = 0,
        pins: Mapping[str, float] | None = None,
        threads: int = 0,
    ) -> None:
        """Build the simulations; `reset` begins the first episodes.

        Args:
            experiment: what to simulate.
            count: number of simulations.
            seed: of the run.
            pins: randomized parameters to hold at a value.
            threads: of the batch's physics; 0 for every processor.

        Raises:
            UserError: dm_control lacks the task, or a randomization that does not fit it.
        """
        self.experiment = experiment
        apart = Simulation(experiment.task)
        observation_size = apart.begin(0, {}).size
        pins = experiment.pins | dict(pins or {})
        self._drawn = DrawnModels(
            experiment.task,
            apart.model,
            MADE_READY,
            experiment.randomization,
            pins,
            experiment.schedule,
        )
        self._middle = 0.5 * (apart.upper + apart.lower)
        self._reach = 0.5 * (apart.upper - apart.lower)
        steps = apart.step_limit or round(apart.environment._time_limit * apart.control_rate)
        super().__init__(
            self._make_contract(apart, seed),
            self._drawn.randomizer,
            count,
            seed,
            steps,
            observation_size,
            SUCCESS_SHARE,
        )
        self.not_batched: str | None = None
        self._stepped = self._make_stepped(apart, threads)
        self._ready_changes: list[Changes] = []

    @property
    def is_batched(self) -> bool:
        """Whether the physics of all simulations is one batch."""
        return self._stepped.is_batched

    def _make_stepped(self, apart: Simulation, threads: int) -> Stepped:
        """Simulations on a batch if that gives what dm_control gives, else one by one."""
        draws, _ = self.randomizer.draw(EpisodeRandom(np.arange(CHECKED, dtype=np.uint64)))
        changes = self._drawn.changes(draws)
        try:
            checked = BatchedSimulations(apart, CHECKED, set(self._drawn.fields), threads=1)
            different = disagreement(checked, Simulation(self.experiment.task), list(enumerate(changes)))
            if different is None:
                return BatchedSimulations(apart, self.count, set(self._drawn.fields), threads)
            self.not_batched = f"{different} on a batch is another"
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            # Whatever code for one simulation raises when it is given many.
            self.not_batched = str(error)
        name = self.experiment.task
        return OneByOne(name, self.count) if self.count == 1 else Processes(name, self.count)

    def _make_contract(self, apart: Simulation, seed: int) -> Contract:
        experiment, robot = self.experiment, self._drawn.robot
        scale, offset = self._reach.tolist(), self._middle.tolist()
        provenance = Provenance(
            task=experiment.task,
            agent=experiment.agent,
            seed=seed,
            training_steps=0,
            versions={},
        )
        return Contract(
            robot=robot if len(robot.actuators) == len(scale) else _with_actions(robot, apart),
            control_rate=apart.control_rate,
            observation=(ObservationTerm(source="task"),),
            action=ActionMapping(scale=tuple(scale), offset=tuple(offset)),
            trained_ranges=self._drawn.randomizer.trained_ranges(),
            provenance=provenance,
        )

    def _prepare(self, seeds: SeedArray, draws: FloatArray) -> None:
        self._ready_changes = self._drawn.changes(draws)

    def _start(self, ids: Ids, rows: Ids) -> tuple[Float32Array, Float32Array]:
        seeds = [int(seed) for seed in self._ready_seeds[rows]]
        changes = [self._ready_changes[row] for row in rows]
        return self._stepped.begin(ids, seeds, changes), self.privileged[ids]

    def step(self, action: NDArray[np.floating]) -> Step:
        """Take (count, actions) in [-1, 1]; see the base class."""
        refuse_no_numbers(action, self.contract.robot.actuator_names)
        clipped = np.minimum(np.maximum(action, -1.0), 1.0).astype(np.float64)
        observation, reward, status = self._stepped.step(self._middle + self._reach * clipped)
        self._observation = observation
        self._elapsed += 1
        self._count(reward, reward >= GOAL_REWARD)
        truncated = status == simulation.TRUNCATED
        terminated = (status == simulation.TERMINATED) | (status == simulation.DIVERGED)
        return self._conclude(reward, terminated, truncated, lambda row: CAUSES[int(status[row])])

    def close(self) -> None:
        """End the processes, if there are any."""
        self._stepped.close()


def _with_actions(robot: RobotDescription, apart: Simulation) -> RobotDescription:
    """A robot whose actuators are the numbers of a task's action, which are not those of its model."""
    ranges: Sequence[tuple[float, float]] = list(zip(apart.lower, apart.upper, strict=True))
    joint = robot.joints[0].name
    actuators = tuple(
        Actuator(
            name=f"action{i}",
            joint=joint,
            command="effort",
            unit="N·m",
            lower=float(low),
            upper=float(high),
        )
        for i, (low, high) in enumerate(ranges)
    )
    return robot.model_copy(update={"actuators": actuators})
