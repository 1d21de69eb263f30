from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from simreal.config import Config, Document, parse
from simreal.errors import UserError
from simreal.randomization.joint_distributions import JointDistribution
from simreal.randomization.posterior import Posterior, PosteriorParameter, write_posterior

ADAPTER: TypeAdapter[Any] = TypeAdapter(JointDistribution)
Array = NDArray[np.float64]
Write = Callable[..., Path]
COUNT = 20_000
CUT = {"type": "truncated_normal", "mean": 1, "std": 0.1, "low": 0.9, "high": 1.3}
FLAT = {"type": "uniform", "low": 5, "high": 8}
WIDE = {"type": "log_uniform", "low": 0.01, "high": 100}


def uniforms(columns: int, count: int = COUNT) -> Array:
    return np.random.default_rng(11).random((count, columns))


def correlated(marginals: list[Any], correlation: Any) -> Any:
    rows = np.asarray(correlation).tolist()
    return ADAPTER.validate_python({"type": "correlated", "marginals": marginals, "correlation": rows})


def equal(size: int, value: float) -> Array:
    """A correlation matrix with one value off the diagonal."""
    return np.full((size, size), value) + (1.0 - value) * np.eye(size)


@st.composite
def correlations(draw: st.DrawFn, size: int) -> Array:
    """Any correlation matrix: of unit vectors, fewer than it takes (singular) or more."""
    rank = draw(st.integers(1, size + 1))
    entries = st.floats(-1, 1).map(lambda value: round(value, 3))
    vectors = np.array(
        draw(st.lists(st.lists(entries, min_size=rank, max_size=rank), min_size=size, max_size=size))
    )
    vectors[:, 0] += np.where(np.abs(vectors).sum(axis=1) == 0, 1.0, 0.0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    matrix = np.clip(vectors @ vectors.T, -1, 1)
    matrix = (matrix + matrix.T) / 2
    np.fill_diagonal(matrix, 1.0)
    return matrix


@st.composite
def any_correlated(draw: st.DrawFn) -> Any:
    size = draw(st.integers(1, 5))
    choice = {"type": "choice", "values": [-1, 0, 4], "weights": [1, 0, 2]}
    apart = {
        "type": "mixture",
        "components": [
            {"weight": 2, "distribution": FLAT},
            {"weight": 1, "distribution": CUT | {"mean": 9, "low": 8, "high": 9}},
        ],
    }
    kinds = st.sampled_from([CUT, FLAT, WIDE, choice, apart, {"type": "constant", "value": 3}])
    marginals = draw(st.lists(kinds, min_size=size, max_size=size))
    return correlated(marginals, draw(correlations(size)))


CORNERS = np.array([0.0, 2.0**-53, 0.3, 0.5, 0.9, np.nextafter(1.0, 0.0)])


@settings(max_examples=50)
@given(any_correlated())
def test_correlated_values_stay_in_the_support_and_each_row_stands_alone(distribution: Any) -> None:
    size = distribution.size
    corners = np.stack(np.meshgrid(*[CORNERS[[0, 1, -1]]] * size), axis=-1).reshape(-1, size)
    uniform = np.concatenate((corners, uniforms(size, 50)))
    values = distribution.quantile(uniform)
    low, high = distribution.support
    assert values.shape == uniform.shape
    assert np.isfinite(values).all()
    assert (low <= values).all()
    assert (values <= high).all()
    for row in range(0, len(uniform), 7):
        assert distribution.quantile(uniform[row : row + 1])[0].tolist() == values[row].tolist()


class Entry(Config):
    distribution: JointDistribution


@settings(max_examples=50)
@given(any_correlated())
def test_a_written_joint_distribution_reads_back_the_same(distribution: Any) -> None:
    uniform = uniforms(distribution.size, 20)
    before = distribution.quantile(uniform)
    text = Entry(distribution=distribution).model_dump_json()
    again = parse(Entry, Document(text, "here.yaml").data).distribution
    assert again == distribution
    assert again.quantile(uniform).tolist() == before.tolist()


@settings(max_examples=15)
@given(correlations(3))
def test_each_column_keeps_its_distribution_and_the_normal_numbers_their_correlation(
    correlation: Array,
) -> None:
    distribution = correlated([CUT, FLAT, WIDE], correlation)
    values = distribution.quantile(uniforms(3))
    references = (
        stats.truncnorm(-1, 3, loc=1, scale=0.1),
        stats.uniform(5, 3),
        stats.loguniform(0.01, 100),
    )
    for column, reference in zip(values.T, references, strict=True):
        # 1.95 / sqrt(n) is exceeded once in a thousand times.
        assert stats.kstest(column, reference.cdf).statistic < 2.5 / np.sqrt(COUNT)
    ranks = stats.spearmanr(values).statistic
    np.testing.assert_allclose(ranks, 6 / np.pi * np.arcsin(correlation / 2), atol=5 / np.sqrt(COUNT))


def test_nothing_is_heaped_onto_the_cuts() -> None:
    values = correlated([CUT, CUT], equal(2, 0.9)).quantile(uniforms(2))
    assert (values == 0.9).mean() < 1e-3
    assert (values == 1.3).mean() < 1e-3


def test_no_correlation_leads_to_what_has_no_weight() -> None:
    last_is_never = {"type": "choice", "values": [1, 2], "weights": [1, 0]}
    for uniform in (np.zeros((1, 4)), np.full((1, 4), np.nextafter(1.0, 0.0))):
        # The last normal number is the sum of four extreme ones.
        assert (correlated([last_is_never] * 4, equal(4, 0.2)).quantile(uniform) == 1).all()


def test_a_wide_cut_leaves_a_multivariate_normal_distribution() -> None:
    correlation = np.array([[1, 0.8, -0.3], [0.8, 1, 0.1], [-0.3, 0.1, 1]])
    means, stds = np.array([1.0, -2.0, 30.0]), np.array([0.1, 4.0, 1.0])
    marginals = [
        {"type": "truncated_normal", "mean": m, "std": s, "low": m - 9 * s, "high": m + 9 * s}
        for m, s in zip(means, stds, strict=True)
    ]
    values = correlated(marginals, correlation).quantile(uniforms(3))
    np.testing.assert_allclose(values.mean(axis=0), means, atol=5 * stds.max() / np.sqrt(COUNT))
    np.testing.assert_allclose(values.std(axis=0), stds, rtol=5 / np.sqrt(2 * COUNT))
    np.testing.assert_allclose(np.corrcoef(values.T), correlation, atol=5 / np.sqrt(COUNT))
    # Mahalanobis distances follow the chi-squared law: it is normal jointly, not only by column.
    scaled = (values - means) / stds
    distances = np.einsum("ni,ij,nj->n", scaled, np.linalg.inv(correlation), scaled)
    assert stats.kstest(distances, stats.chi2(3).cdf).statistic < 2.5 / np.sqrt(COUNT)


@pytest.mark.parametrize("sign", [1, -1])
def test_full_correlation_makes_one_column_a_function_of_the_other(sign: int) -> None:
    values = correlated([FLAT, WIDE], equal(2, sign)).quantile(uniforms(2, 1000))
    assert stats.spearmanr(values).statistic == pytest.approx(sign, abs=1e-9)


def test_without_correlation_the_columns_are_what_they_are_alone() -> None:
    distribution = correlated([CUT, FLAT, WIDE], np.eye(3))
    uniform = uniforms(3, 1000)
    alone = np.stack(
        [m.quantile(u) for m, u in zip(distribution.marginals, uniform.T, strict=True)], axis=1
    )
    np.testing.assert_allclose(distribution.quantile(uniform), alone, rtol=1e-9)


def test_a_changed_copy_has_the_changed_correlation() -> None:
    before = correlated([FLAT, FLAT], equal(2, 0.9))
    before.quantile(uniforms(2))
    after = before.model_copy(update={"correlation": ((1.0, -0.9), (-0.9, 1.0))})
    assert stats.spearmanr(after.quantile(uniforms(2))).statistic < -0.8


OVERLAP = {"type": "mixture", "components": [{"weight": 1, "distribution": FLAT}] * 2}


@pytest.mark.parametrize(
    ("marginals", "correlation", "reason"),
    [
        ([FLAT], [[1, 0], [0, 1]], "expected 1 rows of 1 numbers, for 1 marginals"),
        ([FLAT, FLAT], [[1, 0], [0]], "expected 2 rows of 2 numbers"),
        ([FLAT, FLAT], [[1, 0.5], [0.4, 1]], r"\[0\]\[1\] is 0.5, but \[1\]\[0\] is 0.4"),
        ([FLAT, FLAT], [[1, 0.5], [0.5, 2]], r"\[1\]\[1\] is 2, but .* itself is 1"),
        ([FLAT, FLAT], [[1, 1.5], [1.5, 1]], r"\[0\]\[1\] is 1.5, outside -1 to 1"),
        ([FLAT] * 3, equal(3, -0.7).tolist(), "smallest eigenvalue -0.4.* to 0.714 of these"),
        ([FLAT, OVERLAP], [[1, 0], [0, 1]], "the mixture at 1 does not rise"),
        ([{"type": "choice", "values": [2, 1]}], [[1]], "the choice at 0 does not rise"),
        ([], [], "needs at least one"),
        ([FLAT, FLAT], [[1, float("nan")], [0, 1]], "finite"),
    ],
)
def test_a_correlation_that_cannot_be_is_refused(marginals: Any, correlation: Any, reason: str) -> None:
    options = {"type": "correlated", "marginals": marginals, "correlation": correlation}
    with pytest.raises(ValidationError, match=reason):
        ADAPTER.validate_python(options)


def test_the_advised_shrinkage_makes_a_correlation_possible() -> None:
    correlated([FLAT] * 3, equal(3, -0.7 * 0.714))
    with pytest.raises(ValidationError):
        correlated([FLAT] * 3, equal(3, -0.7 * 0.716))


# Posterior samples


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Writes samples as a posterior file."""

    def written(samples: Array, weights: Array | None = None) -> Path:
        path = tmp_path_factory.mktemp("posterior") / "identified.yaml"
        bounds = {"low": float(samples.min()) - 1, "high": float(samples.max()) + 1}
        parameters = tuple(
            PosteriorParameter(name=f"p{index}", unit="1", operation="scale", **bounds)
            for index in range(samples.shape[1])
        )
        posterior = Posterior(
            robot="qube",
            parameters=parameters,
            samples=tuple(map(tuple, samples.tolist())),
            weights=None if weights is None else tuple(weights.tolist()),
        )
        write_posterior(path, posterior)
        return path

    return written


def posterior(path: Path, bandwidth: float = 0.0) -> Any:
    return ADAPTER.validate_python({"type": "posterior", "file": str(path), "bandwidth": bandwidth})


def cloud(count: int = 400) -> tuple[Array, Array]:
    """Three columns of very different size, two of them hard to tell apart, with weights."""
    random = np.random.default_rng(5)
    mass = random.normal(1.0, 0.1, count)
    strength = 200 * mass + random.normal(0, 4, count)
    return np.column_stack((mass, strength, random.gamma(2.0, 1e-3, count))), random.random(count)


@pytest.mark.parametrize("weighted", [False, True])
def test_without_bandwidth_whole_samples_come_as_often_as_they_weigh(
    write: Write, weighted: bool
) -> None:
    samples, weights = cloud(20)
    weights[7] = 0.0
    distribution = posterior(write(samples, weights if weighted else None))
    values = distribution.quantile(uniforms(3))
    shares = weights / weights.sum() if weighted else np.full(20, 1 / 20)
    came = np.array([(values == sample).all(axis=1).mean() for sample in samples])
    assert came.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(came, shares, atol=5 * np.sqrt(0.1 / COUNT))
    assert came[7] == 0.0 or not weighted


@pytest.mark.parametrize("bandwidth", [0.0, 0.1, 0.3, 1.0])
def test_a_posterior_keeps_the_samples_mean_spread_and_correlation(
    write: Write, bandwidth: float
) -> None:
    samples, weights = cloud()
    values = posterior(write(samples, weights), bandwidth).quantile(uniforms(3))
    mean = np.average(samples, axis=0, weights=weights)
    covariance = np.cov(samples.T, aweights=weights, ddof=0)
    std = np.sqrt(np.diag(covariance))
    # What would leave the range is reflected, so a normal number (1.0) ends at about 3 of its std, and
    # at one and a half where the samples begin steeply, as the third column does.
    slack = 0.01 if bandwidth < 0.5 else 0.15
    np.testing.assert_allclose(values.mean(axis=0) / std, mean / std, atol=0.02 + slack)
    np.testing.assert_allclose(values.std(axis=0) / std, np.ones(3), atol=0.02 + slack)
    np.testing.assert_allclose(
        np.corrcoef(values.T), covariance / np.outer(std, std), atol=0.02 + slack / 3
    )


def test_a_bandwidth_fills_the_gaps_between_samples(write: Write) -> None:
    samples, _ = cloud(50)
    drawn = uniforms(3, 2000)
    assert len(np.unique(posterior(write(samples)).quantile(drawn)[:, 0])) == 50
    smooth = posterior(write(samples), 0.3).quantile(drawn)
    assert len(np.unique(smooth[:, 0])) > 1990
    # The columns that go together still do: the residual of their relation stays as small.
    before = np.std(samples[:, 1] - 200 * samples[:, 0])
    assert np.std(smooth[:, 1] - 200 * smooth[:, 0]) == pytest.approx(before, rel=0.1)


def test_reflection_moves_no_mass_to_the_edges(write: Write) -> None:
    even = np.linspace(0.0, 1.0, 101)[:, None]
    values = posterior(write(even), 0.4).quantile(uniforms(1))
    assert values.min() >= 0.0
    assert values.max() <= 1.0
    counts, _ = np.histogram(values, bins=20, range=(0, 1))
    share = counts / COUNT * 20
    assert 0.5 < share.min() < share.max() < 1.5  # clipping would put 3 or 4 in the outer bins


ROWS = st.integers(1, 4).flatmap(
    lambda columns: st.lists(
        st.lists(st.floats(-1e6, 1e6), min_size=columns, max_size=columns), min_size=1, max_size=6
    )
)


@settings(max_examples=50)
@given(ROWS, st.sampled_from([0.0, 0.01, 0.5, 1.0]), st.booleans())
def test_posterior_draws_stay_in_the_samples_range_and_each_row_stands_alone(
    write: Write, rows: list[list[float]], bandwidth: float, weighted: bool
) -> None:
    samples = np.array(rows)
    weights = np.arange(len(rows)) + (len(rows) == 1.0) if weighted else None
    distribution = posterior(write(samples, weights), bandwidth)
    possible = samples[1:] if weighted and len(rows) > 1 else samples
    size = distribution.size
    corners = np.stack(np.meshgrid(*[CORNERS[[0, 1, -1]]] * size), axis=-1).reshape(-1, size)
    uniform = np.concatenate((corners, uniforms(size, 50)))
    values = distribution.quantile(uniform)
    low, high = distribution.support
    assert low.tolist() == possible.min(axis=0).tolist()
    assert high.tolist() == possible.max(axis=0).tolist()
    assert values.shape == uniform.shape
    assert (low <= values).all()
    assert (values <= high).all()
    for row in range(0, len(uniform), 7):
        assert distribution.quantile(uniform[row : row + 1])[0].tolist() == values[row].tolist()
    again = parse(
        Entry, Document(Entry(distribution=distribution).model_dump_json(), "").data
    ).distribution
    assert again == distribution
    assert again.quantile(uniform).tolist() == values.tolist()


def test_a_posterior_says_what_it_is_of(write: Write) -> None:
    distribution = posterior(write(cloud(20)[0]), 0.2)
    assert distribution.posterior.names == ["p0", "p1", "p2"]
    assert distribution.describe() == "20 samples of 3 in identified.yaml, bandwidth 0.2"
    assert correlated([FLAT, WIDE], np.eye(2)).describe() == (
        "correlated: uniform 5 to 8; log-uniform 0.01 to 100"
    )


def test_faults_are_named_with_their_line(tmp_path: Path) -> None:
    def refused(text: str) -> str:
        document = Document(text, "mine.yaml")
        with pytest.raises(UserError) as error:
            parse(Entry, document.data, document)
        return str(error.value)

    missing = refused("distribution:\n  type: posterior\n  file: gone.yaml\n")
    assert missing.startswith("mine.yaml:1: ")
    assert "gone.yaml: no such file (relative paths start at " in missing
    broken = tmp_path / "broken.yaml"
    broken.write_text("format: simreal-posterior\nversion: 1\nrobot: qube\n")
    assert f"{broken}: parameters: Field required" in refused(
        f"distribution:\n  type: posterior\n  file: {broken}\n"
    )
    below = refused(
        "distribution:\n  type: correlated\n  correlation: [[1]]\n  marginals:\n"
        "  - {type: uniform, low: 2, high: 1}\n"
    )
    assert below.startswith("mine.yaml:5: ")
    assert len(below.splitlines()) == 1
    matrix = refused(
        "distribution:\n  type: correlated\n"
        "  marginals: [{type: constant, value: 1}, {type: uniform, low: 0, high: 1}]\n"
        "  correlation: [[1, 2], [2, 1]]\n"
    )
    assert matrix.startswith("mine.yaml:4: ")
    assert "[0][1] is 2, outside -1 to 1" in matrix
