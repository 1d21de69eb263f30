"""An experiment in another engine than the one that it was made for."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from simreal.errors import UserError
from simreal.experiment import BaseExperiment, ExperimentConfig
from simreal.physics.engines import EngineName
from simreal.randomization.build import build_world
from simreal.randomization.followed import nominal_pins, refusal
from simreal.randomization.randomizer import Randomizer
from simreal.robots import load_robot


class Moved(NamedTuple):
    """An experiment in its new engine.

    Attributes:
        experiment: with the pins below.
        not_followed: column to the nominal value at which it is held, of what the engine cannot follow.
    """

    experiment: BaseExperiment
    not_followed: dict[str, float]


def engine_of(experiment: BaseExperiment) -> EngineName:
    """Which engine simulates an experiment; dm_control is MuJoCo's."""
    return experiment.engine if isinstance(experiment, ExperimentConfig) else "mujoco"


def move_to_engine(
    experiment: BaseExperiment,
    engine: EngineName,
    pins: Mapping[str, float] | None = None,
    swept: Collection[str] = (),
) -> Moved:
    """Let an engine simulate an experiment; hold what it cannot follow at its nominal value.

    Args:
        experiment: with a robot.
        engine: which.
        pins: what somebody asks for by name.
        swept: likewise, at several values.

    Raises:
        UserError: the engine cannot simulate the robot, or not follow what was asked for by name.
    """
    if engine == engine_of(experiment):
        return Moved(experiment, {})
    if not isinstance(experiment, ExperimentConfig):
        raise UserError(f"{experiment.task}: tasks of dm_control have engine mujoco alone, not {engine}")
    experiment = experiment.model_copy(update={"engine": engine})
    randomizer = _randomizer(experiment, experiment.pins | dict(pins or {}))
    parts = randomizer.not_followed()
    named = {*(pins or {}), *swept}
    asked = [part for part in parts if named & {part.entry, *randomizer.columns[part.columns]}]
    if asked:
        raise UserError(refusal(randomizer, asked, engine))
    held = nominal_pins(randomizer, parts)
    return Moved(experiment.model_copy(update={"pins": experiment.pins | held}), held)


def _randomizer(experiment: ExperimentConfig, pins: Mapping[str, float]) -> Randomizer:
    specification, rate = experiment.randomization, experiment.control_rate
    robot = load_robot(experiment.robot)
    world = build_world(robot, 1, specification, pins, rate, 1, experiment.scene, experiment.engine)
    return Randomizer(specification, world, pins)
