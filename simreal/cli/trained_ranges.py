"""Where values at which somebody holds a parameter lie, against the ranges that a policy has met."""

from collections.abc import Mapping, Sequence

from simreal.column_names import parameter_of
from simreal.contract import TrainedRange
from simreal.experiment import BaseExperiment
from simreal.make_environment import make_environment


def beyond_trained(experiment: BaseExperiment, held: Mapping[str, Sequence[float]]) -> list[str]:
    """Say which values lie outside of what a policy was trained under.

    Args:
        experiment: that it was trained in.
        held: a column's or an entry's name to the values at which it is held.

    Returns:
        A sentence for each name with such a value.
    """
    if not held:
        return []
    ranges = make_environment(experiment.from_start(), 1, threads=1).randomizer.trained_ranges()
    found = [_remark(name, values, ranges) for name, values in held.items()]
    return [remark for remark in found if remark is not None]


def _remark(name: str, values: Sequence[float], ranges: Sequence[TrainedRange]) -> str | None:
    low, high = min(values), max(values)
    meant = [each for each in ranges if name in (each.name, parameter_of(each.name))]
    outside = {f"{each.low:g} to {each.high:g}" for each in meant if low < each.low or high > each.high}
    if not outside:
        return None
    given = f"{name}={low:g}" if low == high else f"{name}={low:g}:{high:g}"
    return f"{given} is outside the trained range {' and '.join(sorted(outside))}"
