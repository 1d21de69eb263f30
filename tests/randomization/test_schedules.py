import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from simreal.config import Config, parse
from simreal.errors import UserError
from simreal.randomization.distributions import Distribution
from simreal.randomization.schedule_interface import NO_TAG, Schedule, Space
from simreal.randomization.schedules import FixedConfig, ScheduleConfig, build_schedule
from simreal.state import FloatArray

EDGE_OF_ONE = float(np.nextafter(1.0, 0.0))
UNIFORM = st.one_of(st.floats(0.0, EDGE_OF_ONE), st.sampled_from([0.0, 1e-300, EDGE_OF_ONE]))
DISTRIBUTION: TypeAdapter[Any] = TypeAdapter(Distribution)
CONFIG: TypeAdapter[Any] = TypeAdapter(ScheduleConfig)
KINDS: list[dict[str, Any]] = [
    {"type": "fixed"},
    {"type": "by_step", "steps": 1000, "start_width": 0.2},
    {"type": "by_success", "episodes": 20},
    {"type": "adr", "queue_length": 2},
    {"type": "doraemon", "episodes_per_update": 20, "episodes": 40},
]


def space_of(columns: dict[str, dict[str, Any]], nominal: dict[str, float] | None = None) -> Space:
    """Columns by their distributions; nominal is 1 unless said otherwise."""
    distributions = [DISTRIBUTION.validate_python(each) for each in columns.values()]
    low, high = np.array([each.support for each in distributions]).T
    wanted = np.array([(nominal or {}).get(name, 1.0) for name in columns])
    return Space(
        columns=tuple(columns),
        low=low,
        high=high,
        nominal=np.clip(wanted, low, high),
        logarithmic=np.array([each["type"] == "log_uniform" for each in columns.values()]),
        held=np.array([each["type"] == "choice" for each in columns.values()]),
        quantile=lambda uniform: np.stack(
            [each.quantile(u) for each, u in zip(distributions, uniform.T, strict=True)], axis=1
        ),
    )


MIXED = {
    "mass": {"type": "uniform", "low": 0.7, "high": 1.4},
    "damping": {"type": "log_uniform", "low": 0.1, "high": 20.0},
    "strength": {"type": "truncated_normal", "mean": 0.9, "std": 0.1, "low": 0.5, "high": 1.0},
    "latency": {"type": "uniform", "low": 0.0, "high": 40.0},
    "surface": {"type": "choice", "values": (1.0, 5.0, 9.0)},
    "pinned": {"type": "constant", "value": 3.7},
}


def mixed_space() -> Space:
    return space_of(MIXED, {"latency": 0.0})


def made(space: Space, **config: Any) -> Schedule:
    return build_schedule(CONFIG.validate_python(config), space)


def live(schedule: Schedule, episodes: int, success: float, seed: int, batch: int = 10) -> FloatArray:
    """Train: draw, succeed by chance, record, update. All values drawn, in order."""
    random = np.random.default_rng(seed)
    seen = [np.empty((0, len(schedule.space.columns)))]
    for step in range(0, episodes, batch):
        size = (batch, len(schedule.space.columns))
        drawn = schedule.draw(random.random(size), random.random((batch, 2)))
        schedule.record(drawn.tags, drawn.values, random.random(batch) < success)
        schedule.update(step)
        seen.append(drawn.values)
    return np.concatenate(seen)


def uniforms(columns: int) -> st.SearchStrategy[FloatArray]:
    row = st.lists(UNIFORM, min_size=columns, max_size=columns)
    return st.lists(row, min_size=1, max_size=8).map(np.array)


@pytest.mark.parametrize("config", KINDS, ids=lambda config: config["type"])
@settings(max_examples=20)
@given(uniform=uniforms(6), choice=uniforms(2), success=st.floats(0, 1), seed=st.integers(0, 99))
def test_draws_stay_within_the_ranges(
    config: dict[str, Any], uniform: FloatArray, choice: FloatArray, success: float, seed: int
) -> None:
    schedule = made(mixed_space(), **config)
    live(schedule, 100, success, seed)
    number = min(len(uniform), len(choice))
    values = schedule.draw(uniform[:number], choice[:number]).values
    low, high = schedule.ranges()
    space = schedule.space
    assert (space.low <= low).all()
    assert (low <= high).all()
    assert (high <= space.high).all()
    # The tails of entropy maximization reach beyond its ranges, up to the limits.
    ends = (space.low, space.high) if config["type"] == "doraemon" else (low, high)
    assert (ends[0] <= values).all()
    assert (values <= ends[1]).all()


@pytest.mark.parametrize("config", KINDS, ids=lambda config: config["type"])
def test_what_cannot_move_is_drawn_as_configured_and_never_probed(config: dict[str, Any]) -> None:
    schedule = made(mixed_space(), **config)
    values = live(schedule, 2000, 0.5, seed=1)
    surfaces, counts = np.unique(values[:, 4], return_counts=True)
    assert surfaces.tolist() == [1.0, 5.0, 9.0]
    assert (np.abs(counts / len(values) - 1 / 3) < 0.05).all()
    assert (values[:, 5] == 3.7).all()
    assert {row.column for row in schedule.history(0)} == {"mass", "damping", "strength", "latency"}
    low, high = schedule.ranges()
    assert (low[4], high[4]) == (1.0, 9.0)


@pytest.mark.parametrize("config", KINDS, ids=lambda config: config["type"])
def test_a_space_in_which_nothing_moves_is_only_drawn_from(config: dict[str, Any]) -> None:
    schedule = made(space_of({"mass": {"type": "constant", "value": 1.3}}), **config)
    assert (live(schedule, 200, 0.9, seed=2) == 1.3).all()
    assert schedule.entropy == 0.0


@pytest.mark.parametrize("config", KINDS, ids=lambda config: config["type"])
@settings(max_examples=8)
@given(episodes=st.integers(0, 250), success=st.floats(0, 1), seed=st.integers(0, 2**31))
def test_a_restored_schedule_goes_on_as_the_saved_one(
    config: dict[str, Any], episodes: int, success: float, seed: int
) -> None:
    first = made(mixed_space(), **config)
    live(first, episodes, success, seed)
    second = made(mixed_space(), **config)
    second.restore(json.loads(json.dumps(first.state())))
    assert second.history(0) == first.history(0)
    again = [live(schedule, 150, success, seed + 1) for schedule in (first, second)]
    np.testing.assert_array_equal(*again)
    assert first.state() == second.state()


def test_a_state_of_another_schedule_or_of_other_columns_is_refused() -> None:
    space = mixed_space()
    state = made(space, type="by_success").state()
    with pytest.raises(UserError, match=r"'by_success'.*'adr'"):
        made(space, type="adr").restore(state)
    with pytest.raises(UserError, match=r"columns differ.*in .*latency"):
        made(space_of({"mass": MIXED["mass"]}), type="by_success").restore(state)


def test_fixed_draws_the_configured_distributions() -> None:
    space = mixed_space()
    uniform = np.random.default_rng(3).random((500, 6))
    drawn = build_schedule(FixedConfig(), space).draw(uniform, uniform[:, :2])
    np.testing.assert_array_equal(drawn.values, space.quantile(uniform))
    assert (drawn.tags == NO_TAG).all()


def test_by_step_leads_from_nominal_to_the_configured_distributions() -> None:
    space = mixed_space()
    schedule = made(space, type="by_step", steps=1000)
    uniform = np.random.default_rng(4).random((300, 6))
    target = space.quantile(uniform)
    moved = space.moved

    def draw() -> FloatArray:
        return schedule.draw(uniform, uniform[:, :2]).values

    np.testing.assert_array_equal(draw()[:, moved], np.tile(space.nominal[moved], (300, 1)))
    assert schedule.update(500)
    assert not schedule.update(500)
    halfway = draw()
    np.testing.assert_allclose(halfway[:, 0], (1.0 + target[:, 0]) / 2)
    np.testing.assert_allclose(halfway[:, 1], np.sqrt(target[:, 1]))  # factors, from a nominal of 1
    assert schedule.update(1000)
    np.testing.assert_array_equal(draw(), target)
    assert not schedule.update(5000)


def test_entropy_is_the_logarithm_of_how_much_narrower_draws_are() -> None:
    space = space_of({"mass": MIXED["mass"]})
    uniform = np.random.default_rng(5).random((20_000, 1))
    widest = build_schedule(FixedConfig(), space).draw(uniform, np.ones((20_000, 2))).values.std()
    for config in ({"type": "by_step", "steps": 9, "start_width": 0.3}, {"type": "adr"}):
        schedule = made(space, **config)
        width = schedule.draw(uniform, np.ones((20_000, 2))).values.std()
        assert np.log(width / widest) == pytest.approx(schedule.entropy, abs=0.01)


@pytest.mark.parametrize(
    ("reach", "least", "most"), [(2.0, 1.0, 1.0), (0.6, 0.6, 0.85), (0.0, 0.0, 0.1)]
)
def test_by_success_settles_where_the_policy_begins_to_fail(
    reach: float, least: float, most: float
) -> None:
    # Succeeds if mass is within a share of its range: at a width w a share reach / w of episodes.
    space = space_of({"mass": {"type": "uniform", "low": 0.5, "high": 1.5}})
    schedule = made(space, type="by_success", episodes=100, grow_above=0.9, shrink_below=0.7, step=0.05)
    random = np.random.default_rng(6)
    for _ in range(300):
        drawn = schedule.draw(random.random((50, 1)), random.random((50, 2)))
        schedule.record(drawn.tags, drawn.values, np.abs(drawn.values[:, 0] - 1.0) < 0.5 * reach)
        schedule.update(0)
    assert least <= np.exp(schedule.entropy) <= most + 1e-9


def test_faults_in_a_configuration_name_the_place_and_the_mend() -> None:
    class Outer(Config):
        schedule: ScheduleConfig = FixedConfig()

    with pytest.raises(UserError, match=r"schedule.*adr"):
        parse(Outer, {"schedule": {"type": "adrr"}})
    with pytest.raises(UserError, match="unknown key 'queue_lenght': did you mean 'queue_length'"):
        parse(Outer, {"schedule": {"type": "adr", "queue_lenght": 3}})
    for kind in ("adr", "by_success"):
        with pytest.raises(UserError, match=r"shrink_below 0\.9 is not below grow_above"):
            parse(Outer, {"schedule": {"type": kind, "shrink_below": 0.9}})
    with pytest.raises(ValidationError, match="episodes 50 is less than episodes_per_update 200"):
        CONFIG.validate_python({"type": "doraemon", "episodes": 50})


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.floats(0, 1), st.booleans())
def test_positions_are_the_inverse_of_going_between_the_limits(
    one: float, other: float, share: float, logarithmic: bool
) -> None:
    low, high = sorted((one, max(other, one * 1.001)))
    kind = "log_uniform" if logarithmic else "uniform"
    space = space_of({"x": {"type": kind, "low": low, "high": high}})
    value = space.between(space.low, space.high, np.array([[share]]))
    assert low <= value[0, 0] <= high
    assert space.position(value)[0, 0] == pytest.approx(share, abs=1e-6)
