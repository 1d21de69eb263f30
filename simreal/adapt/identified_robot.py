"""Whether what an identification says is of a robot, and believable of it: before anything is drawn."""

from pathlib import Path

from simreal.adapt.outside_trained import default_value
from simreal.column_names import split_column
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig
from simreal.identification.unknowns import believable
from simreal.randomization.build import build_world
from simreal.randomization.posterior import Posterior
from simreal.randomization.specification import refuse_other_units
from simreal.randomization.world import World
from simreal.robots import load_robot


def world_of(experiment: ExperimentConfig) -> World:
    """One simulation of an experiment's robot, in its scene."""
    return build_world(
        load_robot(experiment.robot),
        1,
        experiment.randomization,
        experiment.pins,
        experiment.control_rate,
        1,
        experiment.scene,
        experiment.engine,
    )


def refuse_other_robot(posterior: Posterior, path: Path, robot: str) -> None:
    """Raise a `UserError`, by the posterior's file, if it was identified on another robot."""
    if posterior.robot != robot:
        raise UserError(f"{path}: identified on robot {posterior.robot}, not on {robot}")


def refuse_misfits(posterior: Posterior, path: Path, world: World) -> None:
    """Refuse what no robot of this model can be like.

    Args:
        posterior: what was identified.
        path: of its file, which messages name.
        world: of the robot, in the scene of what draws from it.

    Raises:
        UserError: another robot, a parameter in another unit, a part that the robot does not have, or a
            sample that is no plausible value of its parameter.
    """
    refuse_other_robot(posterior, path, world.robot.name)
    try:
        refuse_other_units(posterior)
        _refuse_unbelievable(posterior, world)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _refuse_unbelievable(posterior: Posterior, world: World) -> None:
    samples, _ = posterior.weighted_samples()
    for each, values in zip(posterior.parameters, samples.T, strict=True):
        default = default_value(world, each.name)
        if default is None:
            part = split_column(each.name)[1]
            lacks = f"no {part!r}" if part else "nothing that it acts on"
            raise UserError(f"{each.name}: robot {world.robot.name} has {lacks}")
        low, high = believable(
            each.name, each.operation, float(default[0]), world, (each.low, each.high)
        )
        for value in (float(values.min()), float(values.max())):
            if not low <= value <= high:
                raise UserError(
                    f"{each.name}: {each.operation} {value:g} is beyond any {world.robot.name} "
                    f"({low:.3g} to {high:.3g}): see simreal check-log, or mend the model"
                )
