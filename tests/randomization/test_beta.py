from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import approx_fprime

from simreal.randomization import beta
from simreal.state import FloatArray

PARAMETER = st.floats(1.0, 100.0)
PARAMETERS = st.lists(st.tuples(PARAMETER, PARAMETER), min_size=1, max_size=4).map(
    lambda pairs: np.array(pairs).T
)


@given(PARAMETERS)
def test_entropy_and_density_are_those_of_scipy(parameters: FloatArray) -> None:
    reference = stats.beta(*parameters)
    np.testing.assert_allclose(beta.entropy(parameters), reference.entropy(), atol=1e-8)
    positions = np.random.default_rng(0).uniform(0.01, 0.99, (20, parameters.shape[1]))
    np.testing.assert_allclose(
        beta.log_density(parameters, beta.logarithms(positions)),
        reference.logpdf(positions).sum(axis=1),
        rtol=1e-9,
        atol=1e-9,
    )


@settings(max_examples=40)
@given(PARAMETERS, st.floats(0.5, 2.0))
def test_gradients_are_those_of_finite_differences(parameters: FloatArray, factor: float) -> None:
    parameters = parameters + 0.5
    other = parameters * factor + 0.1

    def numeric(function: Callable[[FloatArray], float]) -> FloatArray:
        flat = approx_fprime(
            parameters.ravel(),
            lambda x: function(x.reshape(parameters.shape)),
            1e-6 * parameters.ravel(),
        )
        return np.asarray(flat).reshape(parameters.shape)

    np.testing.assert_allclose(
        beta.entropy_gradient(parameters),
        numeric(lambda p: beta.entropy(p).sum()),
        rtol=1e-3,
        atol=1e-5,
    )
    np.testing.assert_allclose(
        beta.divergence_gradient(parameters, other),
        numeric(lambda p: beta.divergence(p, other)),
        rtol=1e-3,
        atol=1e-5,
    )


def test_divergence_is_the_mean_logarithm_of_the_density_ratio() -> None:
    one, other = np.array([[3.0, 1.0], [5.0, 20.0]]), np.array([[2.0, 1.5], [2.0, 9.0]])
    positions = beta.quantile(one, np.random.default_rng(1).random((200_000, 2)))
    at = beta.logarithms(positions)
    ratio = beta.log_density(one, at) - beta.log_density(other, at)
    assert beta.divergence(one, other) == pytest.approx(ratio.mean(), abs=0.01)
    assert beta.divergence(one, one) == pytest.approx(0.0, abs=1e-12)


@given(st.floats(0, 1), st.floats(2.1, 500))
def test_a_start_has_its_mode_where_it_is_told(mode: float, concentration: float) -> None:
    parameters = beta.around(np.array([mode]), concentration)
    assert parameters.min() >= 1.0
    assert parameters.sum() == pytest.approx(concentration)
    grid = np.linspace(0.0, 1.0, 1001)[:, None]
    peak = grid[np.argmax(beta.log_density(parameters, beta.logarithms(grid))), 0]
    assert peak == pytest.approx(mode, abs=1.1e-3)
