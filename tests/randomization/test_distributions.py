import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from simreal.config import Config, Document, parse
from simreal.errors import UserError
from simreal.randomization.distributions import Distribution, locate
from simreal.randomization.posterior import Posterior, PosteriorParameter, write_posterior

ADAPTER: TypeAdapter[Any] = TypeAdapter(Distribution)
NUMBERS = st.floats(-1e12, 1e12)
EDGE_OF_ONE = np.nextafter(1.0, 0.0)
GRID = np.unique(np.concatenate((np.linspace(0.0, EDGE_OF_ONE, 2001), [1e-300, 1e-17, EDGE_OF_ONE])))
EVEN = (np.arange(20_000) + 0.5) / 20_000


def made(kind: str, **options: Any) -> Any:
    return ADAPTER.validate_python({"type": kind, **options})


INTERVALS = st.tuples(NUMBERS, NUMBERS).map(sorted)


@st.composite
def truncated_normals(draw: st.DrawFn) -> Any:
    """Cut within five standard deviations of the mean, with something left."""
    std = draw(st.floats(1e-6, 1e6))
    mean = std * draw(st.floats(-100, 100))
    low = draw(st.floats(-5, 4.9))
    high = low + draw(st.floats(0.01, 10))
    return made("truncated_normal", mean=mean, std=std, low=mean + std * low, high=mean + std * high)


@st.composite
def log_uniforms(draw: st.DrawFn) -> Any:
    low, high = sorted(draw(st.tuples(st.floats(1e-100, 1e100), st.floats(1e-100, 1e100))))
    return made("log_uniform", low=low, high=high)


CONTINUOUS = st.one_of(
    INTERVALS.map(lambda ends: made("uniform", low=ends[0], high=ends[1])),
    log_uniforms(),
    truncated_normals(),
    NUMBERS.map(lambda value: made("constant", value=value)),
)
CHOICES = st.lists(st.tuples(NUMBERS, st.floats(0, 10)), min_size=1, max_size=6)


@st.composite
def choices(draw: st.DrawFn) -> Any:
    pairs = draw(CHOICES.filter(lambda pairs: sum(weight for _, weight in pairs) > 1e-6))
    return made("choice", values=[v for v, _ in pairs], weights=[weight for _, weight in pairs])


def mixtures(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    component = st.tuples(st.floats(1e-9, 1e9), parts).map(
        lambda pair: {"weight": pair[0], "distribution": pair[1]}
    )
    return st.lists(component, min_size=1, max_size=4).map(
        lambda components: made("mixture", components=components)
    )


ANY = st.recursive(CONTINUOUS | choices(), mixtures, max_leaves=6)


@settings(max_examples=300)
@given(CONTINUOUS)
def test_a_quantile_rises_within_the_support_from_end_to_end(distribution: Any) -> None:
    values = distribution.quantile(GRID)
    low, high = distribution.support
    assert values.shape == GRID.shape
    assert np.isfinite(values).all()
    assert (np.diff(values) >= 0).all()
    assert low <= values[0]
    assert values[-1] <= high
    assert values[0] == pytest.approx(low, rel=1e-6, abs=1e-6 * (high - low))


@given(ANY, st.sampled_from([(), (3,), (2, 3)]))
def test_a_quantile_treats_each_number_alone(distribution: Any, shape: tuple[int, ...]) -> None:
    uniform = np.random.default_rng(0).random(shape)
    values = distribution.quantile(uniform)
    assert values.shape == shape
    for index in np.ndindex(shape):
        assert values[index] == distribution.quantile(uniform[index][None])[0]


@given(ANY)
def test_values_stay_in_the_support_and_rise_where_they_are_said_to(distribution: Any) -> None:
    values = distribution.quantile(GRID)
    low, high = distribution.support
    assert values.shape == GRID.shape
    assert low <= values.min()
    assert values.max() <= high
    if distribution.rises:
        assert (np.diff(values) >= 0).all()
    assert distribution.describe()


class Entry(Config):
    distribution: Distribution


@settings(max_examples=50)
@given(ANY)
def test_a_written_distribution_reads_back_the_same(distribution: Any) -> None:
    before = distribution.quantile(EVEN[::100])
    text = Entry(distribution=distribution).model_dump_json()
    again = parse(Entry, Document(text, "here.yaml").data).distribution
    assert again == distribution
    assert hash(again) == hash(distribution)
    assert again.quantile(EVEN[::100]).tolist() == before.tolist()
    assert pickle.loads(pickle.dumps(again)).quantile(EVEN[::100]).tolist() == before.tolist()


@pytest.mark.parametrize(
    ("distribution", "changes"),
    [
        (made("truncated_normal", mean=0, std=1, low=-1, high=1), {"mean": 0.5, "low": 0.0}),
        (made("choice", values=[1, 2, 3]), {"values": (5.0, 6.0, 9.0), "weights": (1.0, 1.0, 6.0)}),
        (
            made(
                "mixture", components=[{"weight": 1, "distribution": {"type": "constant", "value": 1}}]
            ),
            {
                "components": made(
                    "mixture",
                    components=[
                        {"weight": w, "distribution": {"type": "uniform", "low": w, "high": 2 * w}}
                        for w in (1, 3)
                    ],
                ).components
            },
        ),
    ],
)
@pytest.mark.parametrize("deep", [False, True])
def test_a_changed_copy_draws_from_the_changed_distribution(
    distribution: Any, changes: dict[str, Any], deep: bool
) -> None:
    distribution.quantile(EVEN)
    copied = distribution.model_copy(update=changes, deep=deep)
    fresh = ADAPTER.validate_python(copied.model_dump())
    assert copied.quantile(EVEN).tolist() == fresh.quantile(EVEN).tolist()
    assert copied.quantile(EVEN).tolist() != distribution.quantile(EVEN).tolist()


def test_a_constant_is_always_the_same() -> None:
    assert set(made("constant", value=-0.3).quantile(GRID).tolist()) == {-0.3}


@given(st.floats(-100, 100), st.floats(0.01, 100))
def test_uniform_numbers_spread_evenly(low: float, width: float) -> None:
    values = made("uniform", low=low, high=low + width).quantile(EVEN)
    assert values.mean() == pytest.approx(low + width / 2, abs=1e-4 * width)
    assert values.std() == pytest.approx(width / math.sqrt(12), rel=1e-4)


@given(st.floats(1e-6, 1e6), st.floats(1.01, 1e6))
def test_log_uniform_numbers_spread_evenly_over_factors(low: float, ratio: float) -> None:
    distribution = made("log_uniform", low=low, high=low * ratio)
    values = distribution.quantile(EVEN)
    assert np.median(values) == pytest.approx(low * math.sqrt(ratio), rel=1e-3)
    reference = stats.loguniform(low, low * ratio)
    assert values.mean() == pytest.approx(reference.mean(), rel=1e-3)
    np.testing.assert_allclose(distribution.quantile(GRID), reference.ppf(GRID), rtol=1e-6)


@settings(max_examples=50)
@given(truncated_normals())
def test_truncated_normal_numbers_are_those_of_the_cut_density(distribution: Any) -> None:
    mean, std = distribution.mean, distribution.std
    low, high = ((end - mean) / std for end in distribution.support)
    reference = stats.truncnorm(low, high, loc=mean, scale=std)
    values = distribution.quantile(EVEN)
    assert values.mean() == pytest.approx(reference.mean(), abs=2e-3 * std)
    assert values.std() == pytest.approx(reference.std(), rel=1e-2, abs=1e-4 * std)
    # The cut is made by selection, not by heaping what lies outside onto the ends.
    assert (values == distribution.low).mean() < 1e-3
    assert (values == distribution.high).mean() < 1e-3


@given(CHOICES)
@example([(1.0, 1.0), (1.0, 7.160139282900103), (0.0, 0.0)])
def test_choices_come_as_often_as_they_weigh(pairs: list[tuple[float, float]]) -> None:
    weights = np.array([weight for _, weight in pairs])
    assume(weights.sum() > 1e-6)
    distribution = made("choice", values=[v for v, _ in pairs], weights=weights.tolist())
    values = distribution.quantile(EVEN)
    for value in {v for v, _ in pairs}:
        share = sum(weight for v, weight in pairs if v == value) / weights.sum()
        assert (values == value).mean() == pytest.approx(share, abs=1e-3)
    assert set(distribution.quantile(GRID).tolist()) <= {v for v, weight in pairs if weight > 0}


def test_choices_without_weights_are_equally_likely() -> None:
    values = made("choice", values=[1.0, 5.0, 2.0, -3.0]).quantile(EVEN)
    assert [(values == each).mean() for each in (1.0, 5.0, 2.0, -3.0)] == [0.25] * 4


@given(CHOICES)
def test_the_support_of_a_choice_holds_all_of_them(pairs: list[tuple[float, float]]) -> None:
    distribution = made("choice", values=[v for v, _ in pairs])
    low, high = distribution.support
    values = distribution.quantile(EVEN)
    assert (low, high) == (values.min(), values.max())


PARTS = [
    {"weight": 1, "distribution": {"type": "uniform", "low": 0.9, "high": 1.1}},
    {
        "weight": 2,
        "distribution": {"type": "truncated_normal", "mean": 3, "std": 1, "low": 2, "high": 5},
    },
    {
        "weight": 5,
        "distribution": {
            "type": "mixture",
            "components": [
                {"weight": 1, "distribution": {"type": "constant", "value": -1}},
                {"weight": 3, "distribution": {"type": "log_uniform", "low": 10, "high": 100}},
            ],
        },
    },
]


def test_a_mixture_has_the_shares_and_the_shapes_of_its_components() -> None:
    mixture = made("mixture", components=PARTS)
    values = mixture.quantile(EVEN)
    assert mixture.support == (-1.0, 100.0)
    for low, high, share, reference in (
        (0.9, 1.1, 1 / 8, stats.uniform(0.9, 0.2)),
        (2, 5, 2 / 8, stats.truncnorm(-1, 2, loc=3)),
        (10, 100, 5 / 8 * 3 / 4, stats.loguniform(10, 100)),
    ):
        part = values[(values >= low) & (values <= high)]
        assert len(part) / len(values) == pytest.approx(share, abs=1e-4)
        # Even uniform numbers give even quantiles: the distance to the theory is that of the grid.
        assert stats.kstest(part, reference.cdf).statistic < 1e-3
    assert (values == -1).mean() == pytest.approx(5 / 8 / 4, abs=1e-4)


def test_the_rest_of_a_number_stays_below_one() -> None:
    """Both differences round to the same here, and a quantile function is not defined at 1."""
    ends = np.array([0.0, 0.25000000000000006, 0.7500000000000003, 1.0])
    index, rest = locate(np.nextafter(ends[2:3], 0.0), ends)
    assert index.tolist() == [1]
    assert 0.99 < rest[0] < 1.0


def test_a_mixture_knows_whether_it_rises() -> None:
    def mixture(*intervals: tuple[float, float]) -> Any:
        parts = [{"type": "uniform", "low": low, "high": high} for low, high in intervals]
        return made("mixture", components=[{"weight": 1, "distribution": part} for part in parts])

    assert mixture((0, 1), (1, 2), (5, 6)).rises
    assert not mixture((0, 1.5), (1, 2)).rises
    assert not mixture((5, 6), (0, 1)).rises


@pytest.fixture(scope="module")
def identified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A posterior of a skewed column, weighted, and a plain one."""
    random = np.random.default_rng(3)
    samples = np.column_stack((random.gamma(3.0, 0.1, 500), random.normal(size=500)))
    path = tmp_path_factory.mktemp("posterior") / "identified.yaml"
    parameters = [
        PosteriorParameter(name=name, unit="1", operation="scale", low=-9, high=9)
        for name in ("mass[arm]", "joint_damping[arm]")
    ]
    posterior = Posterior(
        robot="qube",
        parameters=tuple(parameters),
        samples=tuple(map(tuple, samples.tolist())),
        weights=tuple(random.random(500).tolist()),
    )
    write_posterior(path, posterior)
    return path


def of_samples(folder: Path, samples: list[float], weights: list[float] | None = None) -> Any:
    path = folder / "samples.yaml"
    parameter = PosteriorParameter(name="x", unit="1", operation="scale", low=-1e9, high=1e9)
    rows = tuple((value,) for value in samples)
    posterior = Posterior(robot="qube", parameters=(parameter,), samples=rows, weights=weights)
    write_posterior(path, posterior)
    return made("empirical", file=str(path), column="x")


def test_an_empirical_distribution_has_its_samples_moments(identified: Path) -> None:
    distribution = made("empirical", file=str(identified), column="mass[arm]")
    data = Document(identified.read_text(), "").data
    samples, weights = np.array(data["samples"])[:, 0], np.array(data["weights"])
    values = distribution.quantile(EVEN)
    mean = np.average(samples, weights=weights)
    assert values.mean() == pytest.approx(mean, rel=2e-3)
    assert values.std() == pytest.approx(
        np.sqrt(np.average((samples - mean) ** 2, weights=weights)), rel=0.01
    )
    assert np.average(samples, weights=weights) != pytest.approx(
        samples.mean(), rel=4e-3
    )  # else no test
    assert distribution.support == (samples.min(), samples.max())
    for level in (0.1, 0.5, 0.9):
        below = weights[samples <= distribution.quantile(np.array([level]))].sum() / weights.sum()
        assert below == pytest.approx(level, abs=2 / 500)


WEIGHTS = st.just(0.0) | st.floats(1e-6, 1e6)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.floats(-1e9, 1e9), WEIGHTS), min_size=1, max_size=8).filter(
        lambda pairs: any(weight for _, weight in pairs)
    )
)
def test_an_empirical_quantile_rises_from_its_first_sample_to_its_last(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[float, float]]
) -> None:
    samples, weights = map(list, zip(*pairs, strict=True))
    distribution = of_samples(tmp_path_factory.mktemp("any"), samples, weights)
    drawn = [value for value, weight in pairs if weight > 0]
    values = distribution.quantile(GRID)
    assert distribution.support == (min(drawn), max(drawn))
    assert values[0] == min(drawn)
    assert values.max() <= max(drawn)
    assert (np.diff(values) >= 0).all()


def test_each_sample_of_an_empirical_distribution_keeps_its_weight(tmp_path: Path) -> None:
    values = of_samples(tmp_path, [4.0, 0.0, 1.0], [1.0, 7.0, 2.0]).quantile(EVEN)
    assert (values < 0.5).mean() == pytest.approx(0.7, abs=1e-4)
    assert ((values > 0.5) & (values < 2.5)).mean() == pytest.approx(0.2, abs=1e-4)
    assert (values > 2.5).mean() == pytest.approx(0.1, abs=1e-4)
    assert (values == 4.0).mean() < 1e-3


def test_an_empirical_distribution_says_which_file_or_column_is_wrong(
    identified: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def refused(file: str | Path, column: str) -> str:
        text = f"distribution:\n  type: empirical\n  file: {file}\n  column: {column}\n"
        document = Document(text, "mine.yaml")
        with pytest.raises(UserError) as error:
            parse(Entry, document.data, document)
        return str(error.value)

    missing = refused("runs/identified.yaml", "mass[arm]")
    assert missing.startswith("mine.yaml:1: ")
    assert f"runs/identified.yaml: no such file (relative paths start at {tmp_path})" in missing
    assert "did you mean 'mass[arm]'" in refused(identified, "mass[am]")
    Path("other.yaml").write_text("robot: qube\n")
    assert "other.yaml: not a posterior file" in refused("other.yaml", "mass[arm]")
    assert "no such file" not in refused(tmp_path, "mass[arm]")  # a folder


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"type": "uniform", "low": 0.8, "high": 1.2}, "uniform 0.8 to 1.2"),
        ({"type": "choice", "values": [1, 2, 3]}, "one of 1, 2, 3"),
        ({"type": "choice", "values": list(range(9))}, "one of 9 values, 0 to 8"),
        ({"type": "mixture", "components": PARTS}, "mixture of 3, -1 to 100"),
        (
            {"type": "truncated_normal", "mean": 0.9, "std": 0.1, "low": 0.5, "high": 1},
            "normal 0.9 ± 0.1, cut to 0.5 to 1",
        ),
    ],
)
def test_a_distribution_describes_itself_in_a_line(options: dict[str, Any], line: str) -> None:
    assert ADAPTER.validate_python(options).describe() == line


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"type": "mixture", "components": []}, "needs at least one"),
        ({"type": "mixture", "components": [{**PARTS[0], "weight": 0}]}, "greater than 0"),
        ({"type": "mixture", "components": [{**PARTS[0], "wieght": 1}]}, "did you mean 'weight'"),
        ({"type": "empirical", "file": "/nowhere/x.yaml", "column": "mass"}, "/nowhere/x.yaml: no such"),
        ({"type": "uniform", "low": 2, "high": 1}, "low 2 is above high 1"),
        ({"type": "log_uniform", "low": 0, "high": 1}, "needs low > 0"),
        ({"type": "log_uniform", "low": -1, "high": 1}, "needs low > 0"),
        ({"type": "truncated_normal", "mean": 0, "std": 0, "low": -1, "high": 1}, "greater than 0"),
        (
            {"type": "truncated_normal", "mean": 0, "std": 1, "low": 50, "high": 60},
            "nothing of a normal",
        ),
        ({"type": "truncated_normal", "mean": 0, "std": 1, "low": 1, "high": -1}, "low 1 is above"),
        ({"type": "choice", "values": []}, "at least 1"),
        ({"type": "choice", "values": [1, 2], "weights": [1]}, "one for each value"),
        ({"type": "choice", "values": [1, 2], "weights": [0, 0]}, "not all zero"),
        ({"type": "choice", "values": [1, 2], "weights": [2, -1]}, "greater than or equal to 0"),
        ({"type": "constant", "value": math.nan}, "finite"),
        ({"type": "uniform", "low": 0, "high": math.inf}, "finite"),
        ({"type": "uniform", "low": 0, "hihg": 1}, "did you mean 'high'"),
        ({"type": "normal", "mean": 0}, "'truncated_normal'"),
        ({"low": 0, "high": 1}, "type"),
    ],
)
def test_a_distribution_that_makes_no_sense_is_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ADAPTER.validate_python(options)
