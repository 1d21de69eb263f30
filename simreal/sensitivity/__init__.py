"""Sensitivity: on which randomized parameters a policy depends, and which explain its failures."""

from simreal.sensitivity.analysis import EPISODES, POINTS, analyse, stages
from simreal.sensitivity.columns import Column, find_columns
from simreal.sensitivity.results import Attribution, Pair, Sensitivity, Sweep, as_json
from simreal.sensitivity.tables import (
    COLUMN_HEADER,
    FAILURE_HEADER,
    PAIR_HEADER,
    column_rows,
    failure_rows,
    failure_text,
    pair_rows,
)

__all__ = [
    "COLUMN_HEADER",
    "EPISODES",
    "FAILURE_HEADER",
    "PAIR_HEADER",
    "POINTS",
    "Attribution",
    "Column",
    "Pair",
    "Sensitivity",
    "Sweep",
    "analyse",
    "as_json",
    "column_rows",
    "failure_rows",
    "failure_text",
    "find_columns",
    "pair_rows",
    "stages",
]
