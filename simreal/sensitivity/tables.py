"""A result of sensitivity as rows of tables."""

from simreal.column_names import axis_label
from simreal.sensitivity.columns import Column
from simreal.sensitivity.results import Pair, Sensitivity, Sweep
from simreal.statistics import Interval

Row = tuple[str, ...]
FEW = 20
"""Failures, of which a share is known to some 20 % at best."""
COLUMN_HEADER = ("column", "worst", "best", "drop of success", "drop of return")
PAIR_HEADER = ("pair", "worst", "predicted", "gap")
FAILURE_HEADER = ("succeeds with", "share of failures", "beyond chance")


def column_rows(result: Sensitivity) -> list[Row]:
    """What each column does alone, below `COLUMN_HEADER`; worst first."""
    return [_column_row(sweep) for sweep in result.sweeps]


def _column_row(sweep: Sweep) -> Row:
    worst, best = (
        f"{summary.success.value:.0%} at {describe(sweep.column, value)}"
        for value, summary in (sweep.ranked[0], sweep.ranked[-1])
    )
    return sweep.column.name, worst, best, _share(sweep.drop), sweep.return_drop.told


def pair_rows(result: Sensitivity) -> list[Row]:
    """What pairs do beyond their single effects, below `PAIR_HEADER`; the greatest gap first."""
    return [_pair_row(pair) for pair in result.pairs]


def _pair_row(pair: Pair) -> Row:
    row, column = pair.worst
    first = describe(pair.first, pair.first_values[row])
    second = describe(pair.second, pair.second_values[column])
    return (
        f"{pair.first.name}, {pair.second.name}",
        f"{pair.success[row, column]:.0%} at {first}, {second}",
        f"{pair.predicted[row, column]:.0%}",
        _share(pair.gap),
    )


def failure_rows(result: Sensitivity) -> list[Row]:
    """What explains the failures, below `FAILURE_HEADER`; columns by their share."""
    found = result.attribution
    names = sorted(found.columns, key=lambda name: found.columns[name].value, reverse=True)
    return [
        *(
            (f"{name} nominal", _share(found.columns[name]), _share(found.beyond_chance[name]))
            for name in names
        ),
        ("all of these nominal", _share(found.together), ""),
        ("no column alone", _share(found.none_alone), ""),
        ("each of several columns alone", _share(found.several), ""),
        ("another start and noise (chance)", _share(found.chance), ""),
    ]


def failure_text(result: Sensitivity) -> str:
    """Which failures `failure_rows` is about."""
    found, base = result.attribution, result.base.episodes
    if not found.failures:
        return f"None of {base} episodes failed."
    text = f"{found.failures} of {base} episodes failed"
    if found.examined < found.failures:
        text += f", {found.examined} of them were replayed"
    if found.repeated < found.examined:
        text += f", {found.repeated} of these failed again unchanged"
    return text + (", too few to tell what explains them." if found.examined < FEW else ".")


def describe(column: Column, value: float) -> str:
    """A column's value for people."""
    if column.operation == "scale":
        return f"{value:.3g} x"
    return f"{value:.3g} {column.unit}".removesuffix(" 1")


def label(column: Column) -> str:
    """A column with its unit, for axes."""
    return axis_label(column.name, column.operation, column.unit)


def _share(share: Interval) -> str:
    value, low, high = (round(100 * each, 0) + 0.0 for each in share)  # no -0
    return f"{value:.0f} % ({low:.0f} to {high:.0f})"
