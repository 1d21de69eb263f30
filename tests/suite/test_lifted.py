from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dm_control.utils import rewards
from hypothesis import given, settings
from hypothesis import strategies as st

from simreal.suite.lifted import STAND_INS, Lifted, lift

COUNT = 5
np_lifted = STAND_INS["np"]

# Of a vector (3,), a matrix (3, 3) and a number; as in the suite's code.
EXPRESSIONS: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "norm": lambda np_, v, m, x: np_.linalg.norm(v),
    "norm of a part": lambda np_, v, m, x: np_.linalg.norm(v[:2]),
    "frame": lambda np_, v, m, x: v.dot(m),
    "rows in a frame": lambda np_, v, m, x: m.dot(m.T),
    "square": lambda np_, v, m, x: np_.dot(v, v),
    "mean": lambda np_, v, m, x: m.mean() * v.min() + v.max(),
    "sum of rows": lambda np_, v, m, x: m.sum(axis=-1) - m.sum(axis=0),
    "product": lambda np_, v, m, x: (v * x).prod(),
    "ravel": lambda np_, v, m, x: m[:, [0, 2]].ravel(),
    "reshape": lambda np_, v, m, x: m.ravel().reshape(3, 3)[1],
    "constant": lambda np_, v, m, x: v - np.array([1.0, 2.0, 3.0]),
    "constant matrix": lambda np_, v, m, x: np.arange(9.0).reshape(3, 3) * v,
    "hstack": lambda np_, v, m, x: np_.hstack((x, v, np.array([1.0]))),
    "hstack of matrices": lambda np_, v, m, x: np_.hstack([m, m]).T,
    "vstack": lambda np_, v, m, x: np_.vstack([v, np_.sin(v)]).T,
    "concatenate": lambda np_, v, m, x: np_.concatenate((v, m[0])),
    "diff": lambda np_, v, m, x: np_.diff(m[[2, 0]], axis=0),
    "where": lambda np_, v, m, x: np_.where(v > x, 1.0, np_.tanh(v)),
    "asarray": lambda np_, v, m, x: np_.asarray(x) * v,
    "unpack": lambda np_, v, m, x: m[0] - list(m)[1],
    "mask": lambda np_, v, m, x: v[np.array([True, False, True])],
    "in place": lambda np_, v, m, x: _in_place(v),
    "tolerance": lambda np_, v, m, x: rewards.tolerance(x, bounds=(0, 1), margin=2),
    "linear": lambda np_, v, m, x: rewards.tolerance(
        v, bounds=(0, 1), margin=2, value_at_margin=0, sigmoid="linear"
    ).mean(),
}


def _in_place(vector: Any) -> Any:
    vector = vector.copy()
    vector *= 2.0
    vector += 1.0
    return vector


@pytest.mark.parametrize("name", EXPRESSIONS)
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_lifted_expression_gives_what_each_simulation_would(name: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    vector, matrix, number = (random.normal(size=shape) for shape in ((COUNT, 3), (COUNT, 3, 3), COUNT))
    lifted = [lift(np.moveaxis(each, 0, -1)) for each in (vector, matrix, number)]
    together = np.asarray(EXPRESSIONS[name](np_lifted, *lifted))
    for row in range(COUNT):
        alone = EXPRESSIONS[name](np, vector[row], matrix[row], number[row])
        np.testing.assert_allclose(together[..., row], alone, rtol=1e-12, atol=1e-12)


@settings(max_examples=30)
@given(st.lists(st.floats(-3, 3), min_size=COUNT, max_size=COUNT))
def test_stand_ins_of_builtins(values: list[float]) -> None:
    lifted = lift(np.array([values, np.zeros(COUNT)]))
    larger, smaller = STAND_INS["max"](lifted[0], lifted[1]), STAND_INS["min"](iter(lifted))
    below = STAND_INS["float"](STAND_INS["all"](lifted < 1.0))
    assert np.asarray(larger).tolist() == np.maximum(values, 0.0).tolist()
    assert np.asarray(smaller).tolist() == np.minimum(values, 0.0).tolist()
    assert np.asarray(below).tolist() == (np.array(values) < 1.0).tolist()
    assert STAND_INS["max"](values) == max(values) and STAND_INS["float"]("1.5") == 1.5
    assert STAND_INS["max"](1.0, 2.0) == 2.0


@pytest.mark.parametrize(
    "misuse",
    [
        lambda number: bool(number > 0),
        lambda number: float(number),
        lambda number: number[0],
        lambda number: list(number),
        lambda number: 1.0 if number < 0 else 2.0,
        lambda number: np.linalg.eigh(number),
        lambda number: np.add.reduce(number),
        lambda number: np.zeros(3)[number],
    ],
)
def test_what_needs_one_answer_for_all_simulations_is_refused(misuse: Callable[[Lifted], Any]) -> None:
    with pytest.raises((TypeError, IndexError)):
        misuse(lift(np.arange(COUNT, dtype=np.float64)))
