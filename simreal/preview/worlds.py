"""What a configuration's randomization comes to, before anything is trained: sampled worlds and ranges.

The draws are those of the environment: world k is episode k of the same seed in `simreal train` (but
for a schedule that narrows the ranges at first) and in `simreal evaluate`.
"""

from dataclasses import dataclass

import numpy as np

from simreal.contract import Contract
from simreal.env import BatchEnv
from simreal.episode_random import EpisodeRandom, SeedArray, episode_seed
from simreal.experiment import ExperimentConfig
from simreal.preview.excited_motion import Response, excite
from simreal.randomization.build import build_world
from simreal.randomization.randomizer import DrawnPart, Randomizer
from simreal.randomization.schedule_interface import Schedule, Space
from simreal.randomization.schedules import FixedConfig, build_schedule
from simreal.randomization.world import World
from simreal.robots import load_robot
from simreal.state import FloatArray

SAMPLES = 2000
"""Draws for histograms."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Sampled worlds of an experiment.

    Attributes:
        name: of the experiment, for people.
        experiment: whose randomization it is.
        seed: that the worlds follow from.
        env: an environment with the sampled worlds, each at the beginning of its episode.
        seeds: (worlds,) of their episodes.
        space: the drawn columns, with their limits.
        parts: what each of them means.
        samples: (SAMPLES, columns) draws; the first rows are the worlds'.
        response: the worlds under one excitation.
        schedule: at its beginning, where the experiment has one that moves.
    """

    name: str
    experiment: ExperimentConfig
    seed: int
    env: BatchEnv
    seeds: SeedArray
    space: Space
    parts: list[DrawnPart]
    samples: FloatArray
    response: Response
    schedule: Schedule | None

    @property
    def draws(self) -> FloatArray:
        """(worlds, columns) of the sampled worlds."""
        return self.samples[: len(self.seeds)]

    @property
    def units(self) -> list[str]:
        """Of each column."""
        return [unit for part in self.parts for unit in part.drawn_units]

    @property
    def nominal(self) -> FloatArray:
        """(columns,) numbers that mean "as in the model", whether or not they can be drawn."""
        return np.array([value for part in self.parts for value in part.nominal])

    def label(self, column: int) -> str:
        """A column's name and unit."""
        unit = self.units[column]
        return self.space.columns[column] + ("" if unit == "1" else f" [{unit}]")


def after_number(unit: str) -> str:
    """A unit as it stands behind a number; a mere number has none."""
    return "" if unit == "1" else f" {unit}"


def sample_worlds(experiment: ExperimentConfig, name: str, worlds: int = 12, seed: int = 0) -> Preview:
    """Sample worlds and let them move.

    Args:
        experiment: what to preview, pins included.
        name: of it, for people.
        worlds: how many to show.
        seed: of the run whose first episodes they are.

    Raises:
        UserError: names or ranges of the experiment that fit neither robot nor task.
    """
    still = unmoved(experiment)
    env = BatchEnv(still, worlds, seed)
    env.reset()
    seeds = episode_seed(seed, np.arange(max(worlds, SAMPLES)))
    world, randomizer = excited_world(still, worlds)
    samples = randomizer.draw(EpisodeRandom(seeds)).values
    randomizer.apply(np.arange(worlds), samples[:worlds])
    response = _respond(still, world, env.contract, seeds[:worlds])
    moves = still.schedule != experiment.schedule
    schedule = build_schedule(experiment.schedule, randomizer.space) if moves else None
    return Preview(
        name,
        experiment,
        seed,
        env,
        seeds[:worlds],
        randomizer.space,
        randomizer.parts,
        samples,
        response,
        schedule,
    )


def unmoved(experiment: ExperimentConfig) -> ExperimentConfig:
    """The experiment with its ranges as configured, whatever a schedule makes of them in training."""
    return experiment.model_copy(update={"schedule": experiment.from_start().schedule})


def excited_world(experiment: ExperimentConfig, count: int) -> tuple[World, Randomizer]:
    """Robots of an experiment with nobody's task, and what randomizes them."""
    robot, pins, rate = load_robot(experiment.robot), experiment.pins, experiment.control_rate
    world = build_world(robot, count, experiment.randomization, pins, rate, scene=experiment.scene)
    return world, Randomizer(experiment.randomization, world, pins, experiment.schedule)


def _respond(
    experiment: ExperimentConfig, world: World, contract: Contract, seeds: SeedArray
) -> Response:
    """Move the sampled worlds, and the one on which nothing is randomized, by the same actions."""
    unchanged = experiment.model_copy(
        update={"randomization": {}, "pins": {}, "schedule": FixedConfig()}
    )
    nominal, _ = excited_world(unchanged, 1)
    return Response(
        excite(world, contract, EpisodeRandom(seeds)),
        excite(nominal, contract, EpisodeRandom(seeds[:1])),
    )
