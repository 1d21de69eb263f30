"""Old and identified worlds in one posterior file, from which episodes draw whole rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simreal.adapt.identified_robot import refuse_misfits, refuse_other_robot, world_of
from simreal.adapt.outside_trained import default_value
from simreal.adapt.posterior_override import BANDWIDTH, ENTRY, replaced_entries
from simreal.column_names import parameter_of, split_column
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError
from simreal.experiment import BaseExperiment, ExperimentConfig, parse_any_experiment
from simreal.randomization.joint_distributions import PosteriorSamples
from simreal.randomization.parameters import PARAMETERS, Operation, operate
from simreal.randomization.posterior import Posterior, PosteriorParameter
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.world import World
from simreal.state import FloatArray

ROWS = 600
"""Of a file of worlds."""


@dataclass(frozen=True, slots=True)
class Worlds:
    """Robots for a training or an evaluation.

    Attributes:
        posterior: a row for each.
        replaced: entries of the old randomization that it draws instead.
    """

    posterior: Posterior
    replaced: tuple[str, ...]


def mix_worlds(
    base: BaseExperiment, identified: Posterior, path: Path, old_share: float, rows: int = ROWS
) -> Worlds:
    """Worlds of which a share is drawn as before, the rest as a robot was identified.

    What the identification does not name is drawn as before in every world. What it names and the old
    randomization does not is as in the model in the old ones.

    Args:
        base: the experiment that drew the old worlds.
        identified: on its robot.
        path: where that stands.
        old_share: of the rows, 0 to 1.
        rows: how many.

    Raises:
        UserError: a posterior of another robot, of what this one does not have, or of what none has.
    """
    experiment = robot_experiment(base)
    refuse_other_robot(identified, path, experiment.robot)
    world, randomizer = _old_randomizer(experiment)
    refuse_misfits(identified, path, world)
    replaced = replaced_entries(base.model_dump(mode="json")["randomization"], identified)
    old = _old_columns(randomizer, world, replaced, rows)
    new = _identified_columns(identified, path, rows)
    number = round(old_share * rows)
    columns = [_joined(name, new.get(name), old.get(name), world, number) for name in {**new, **old}]
    posterior = Posterior(
        robot=identified.robot,
        parameters=tuple(column.described for column in columns),
        samples=tuple(map(tuple, np.stack([column.values for column in columns], axis=1).tolist())),
        sources=identified.sources,
        provenance=(
            f"{rows - number} worlds as identified ({identified.provenance or path.name}), "
            f"{number} as {base.task} was trained before"
        ),
    )
    return Worlds(posterior, replaced)


def experiment_in(base: BaseExperiment, worlds: Worlds, path: Path) -> ExperimentConfig:
    """The experiment in other worlds, which stand in a file at `path`."""
    data = base.model_dump(mode="json")
    entries: dict[str, Any] = data["randomization"]
    gone = [entries.pop(name) for name in worlds.replaced]
    entries[ENTRY] = {"distribution": {"type": "posterior", "file": str(path.absolute())}}
    if any(entry["within_episode"] for entry in gone):
        entries[ENTRY]["within_episode"] = True
    drawn = set(worlds.replaced) | set(worlds.posterior.names)
    data["pins"] = {name: value for name, value in data["pins"].items() if not _is_of(name, drawn)}
    ranges = data["schedule"].get("ranges")
    if ranges:
        kept = {name: ends for name, ends in ranges.items() if not _is_of(name, drawn)}
        data["schedule"]["ranges"] = kept
    return robot_experiment(parse_any_experiment(data))


def robot_experiment(experiment: BaseExperiment) -> ExperimentConfig:
    """The experiment, if a robot stands behind it.

    Raises:
        UserError: it is a task of dm_control.
    """
    if not isinstance(experiment, ExperimentConfig):
        raise UserError(f"{experiment.task}: a task of dm_control has no robot to adapt to")
    return experiment


def _is_of(name: str, drawn: set[str]) -> bool:
    """Whether a column's or an entry's name is among what a file of worlds draws."""
    return name in drawn or parameter_of(name) in drawn


@dataclass(frozen=True, slots=True)
class _Column:
    """One parameter of one part, (rows,) values of it."""

    described: PosteriorParameter
    values: FloatArray


@dataclass(frozen=True, slots=True)
class _Old:
    """What old entries do to one parameter of one part, in their order."""

    operations: tuple[Operation, ...]
    values: tuple[FloatArray, ...]

    def absolute(self, default: FloatArray) -> FloatArray:
        """(rows,) results on the compiled value."""
        result = np.full(len(self.values[0]), float(default[0]))
        for operation, values in zip(self.operations, self.values, strict=True):
            result = operate(operation, result, values)
        return result


def _old_randomizer(experiment: ExperimentConfig) -> tuple[World, Randomizer]:
    still = experiment.from_start()
    world = world_of(still)
    return world, Randomizer(still.randomization, world, still.pins, still.schedule)


def _old_columns(
    randomizer: Randomizer, world: World, replaced: Sequence[str], rows: int
) -> dict[str, _Old]:
    """Draws of the replaced entries: ``parameter[part]`` to what they do to it."""
    drawn = randomizer.draw(EpisodeRandom(episode_seed(0, np.arange(rows)))).values
    found: dict[str, _Old] = {}
    for part in randomizer.parts:
        if part.entry not in replaced:
            continue
        names = [f"{part.parameter.name}[{each}]" for each in part.parts] or [part.parameter.name]
        for name, values in zip(names, drawn[:, part.columns].T, strict=True):
            before = found.get(name, _Old((), ()))
            found[name] = _Old((*before.operations, part.operation), (*before.values, values))
    return found


def _identified_columns(identified: Posterior, path: Path, rows: int) -> dict[str, _Column]:
    kernel = PosteriorSamples(type="posterior", file=path, bandwidth=BANDWIDTH)
    uniform = np.random.default_rng(0).random((rows, kernel.size))
    values = kernel.quantile(uniform)
    return {
        each.name: _Column(each, column)
        for each, column in zip(identified.parameters, values.T, strict=True)
    }


def _joined(name: str, new: _Column | None, old: _Old | None, world: World, number: int) -> _Column:
    """One column: its first `number` rows as before, the others as identified, where it is."""
    default = default_value(world, name)
    assert default is not None  # of all names, somebody has seen to it
    if new is None:
        assert old is not None
        if len(old.operations) == 1:
            return _described(name, world, old.operations[0], old.values[0])
        return _described(name, world, "absolute", old.absolute(default))
    operation, values = new.described.operation, new.values
    if old is None:
        nominal = {"absolute": float(default[0]), "scale": 1.0, "add": 0.0}[operation]
        # What a robot has no value of, such as a limit, is as identified in the old worlds, too.
        before = np.full(len(values), nominal) if np.isfinite(nominal) else values
    elif old.operations == (operation,):
        before = old.values[0]
    else:
        values = operate(operation, np.full(len(values), float(default[0])), values)
        operation, before = "absolute", old.absolute(default)
    return _described(name, world, operation, np.concatenate((before[:number], values[number:])))


def _described(name: str, world: World, operation: Operation, values: FloatArray) -> _Column:
    parameter, part = split_column(name)
    unit = "1" if operation == "scale" else PARAMETERS[parameter].unit_of(part, world.robot)
    low, high = float(values.min()), float(values.max())
    return _Column(
        PosteriorParameter(name=name, unit=unit, operation=operation, low=low, high=high), values
    )
