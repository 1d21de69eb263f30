import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.randomization.randomizer import NothingToActOnError, OutOfBoundsError, Randomizer
from simreal.randomization.schedules import ByStepConfig, WithinConfig
from simreal.randomization.specification import ParameterConfig, fixed, reach
from simreal.randomization.world import World

MakeWorld = Callable[..., World]
Specification = dict[str, ParameterConfig]

EVERYTHING: dict[str, Any] = {
    "mass": {"distribution": {"type": "uniform", "low": 0.8, "high": 1.2}},
    "joint_damping": {"distribution": {"type": "log_uniform", "low": 0.3, "high": 3.0}},
    "joint_frictionloss": {
        "target": "arm",
        "distribution": {"type": "uniform", "low": 0.0, "high": 4.0},
    },
    "motor_strength": {"distribution": {"type": "uniform", "low": 0.8, "high": 1.2}},
    "action_latency_ms": {"distribution": {"type": "uniform", "low": 0.0, "high": 15.0}},
    "sensor_latency_ms": {"distribution": {"type": "uniform", "low": 0.0, "high": 10.0}},
    "encoder_noise": {"distribution": {"type": "uniform", "low": 0.0, "high": 0.001}},
    "encoder_bias": {
        "distribution": {
            "type": "truncated_normal",
            "mean": 0.0,
            "std": 0.01,
            "low": -0.02,
            "high": 0.02,
        }
    },
    "encoder_resolution": {"distribution": {"type": "choice", "values": [1.0, 2.0]}},
}


def specify(entries: dict[str, Any]) -> Specification:
    return {name: ParameterConfig.model_validate(entry) for name, entry in entries.items()}


def constant(value: float, **options: Any) -> dict[str, Any]:
    return {"distribution": {"type": "constant", "value": value}} | options


def uniform(low: float, high: float, **options: Any) -> dict[str, Any]:
    return {"distribution": {"type": "uniform", "low": low, "high": high}} | options


def episodes(count: int, run_seed: int = 0) -> EpisodeRandom:
    return EpisodeRandom(episode_seed(run_seed, np.arange(count)))


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(4, action_latency=0.02, sensor_latency=0.02)


def touched(world: World) -> dict[str, np.ndarray]:
    """Copies of everything that any parameter writes."""
    fields = ("body_mass", "body_inertia", "dof_damping", "dof_frictionloss")
    fields += ("actuator_gainprm", "actuator_biasprm", "actuator_delay")
    arrays = {name: world.physics.field(name) for name in fields}
    arrays |= {
        name: world.sensing.quantities[name] for name in ("latency", "noise", "bias", "resolution")
    }
    return {name: array.copy() for name, array in arrays.items()}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all((one[name] == other[name]).all() for name in one)


def test_columns_are_named_after_the_parts(world: World) -> None:
    randomizer = Randomizer(specify(EVERYTHING), world)
    assert randomizer.columns == [
        "mass[arm]",
        "mass[pendulum]",
        "joint_damping[arm]",
        "joint_damping[pendulum]",
        "joint_frictionloss[arm]",
        "motor_strength[motor]",
        "action_latency_ms",
        "sensor_latency_ms",
        "encoder_noise[arm]",
        "encoder_noise[pendulum]",
        "encoder_bias[arm]",
        "encoder_bias[pendulum]",
        "encoder_resolution[arm]",
        "encoder_resolution[pendulum]",
    ]


def test_a_thousand_draws_leave_no_trace(world: World) -> None:
    before = touched(world)
    randomizer = Randomizer(specify(EVERYTHING), world)
    ids = np.arange(4)
    first = randomizer.draw(episodes(4)).values
    randomizer.apply(ids, first)
    once = touched(world)
    assert not same(once, before)
    for run_seed in range(250):
        randomizer.apply(ids, randomizer.draw(episodes(4, run_seed)).values)
    randomizer.apply(ids, first)
    assert same(touched(world), once)
    neutral = {"scale": 1.0, "absolute": 0.0, "add": 0.0}
    undo = [neutral[each.operation] for each in randomizer.trained_ranges()]
    randomizer.apply(ids, np.tile(undo, (4, 1)))
    assert same(touched(world), before)


def test_each_simulation_gets_its_own_row(world: World) -> None:
    together, alone = Randomizer(specify(EVERYTHING), world), Randomizer(specify(EVERYTHING), world)
    values = together.draw(episodes(4)).values
    together.apply(np.arange(4), values)
    whole = touched(world)
    for row in (2, 0, 3, 1):
        alone.apply(np.array([row]), values[[row]])
    assert same(touched(world), whole)
    together.apply(np.array([1, 3]), values[[1, 3]])
    assert same(touched(world), whole)


def test_each_column_acts_on_the_part_that_it_names(world: World) -> None:
    names = ("mass", "joint_damping", "encoder_bias", "encoder_noise", "encoder_resolution")
    randomizer = Randomizer(specify({name: EVERYTHING[name] for name in names}), world)
    values = np.linspace(0.1, 1.0, len(randomizer.columns))
    randomizer.apply(np.array([2]), values[None])
    given = randomizer.named(values)
    physics, sensing = world.physics, world.sensing
    for joint, part in enumerate(("arm", "pendulum")):
        body, dof = physics.model.body(part).id, physics.model.joint(part).dofadr[0]
        mass = given[f"mass[{part}]"] * physics.model.body_mass[body]
        damping = given[f"joint_damping[{part}]"] * physics.model.dof_damping[dof]
        assert physics.field("body_mass")[2, body] == pytest.approx(mass)
        assert physics.field("dof_damping")[2, dof] == pytest.approx(damping)
        assert sensing.quantities["bias"][2, joint] == given[f"encoder_bias[{part}]"]
        assert sensing.quantities["noise"][2, joint] == given[f"encoder_noise[{part}]"]
        count = given[f"encoder_resolution[{part}]"] * 2.0 * math.pi / 2048
        assert sensing.quantities["resolution"][2, joint] == pytest.approx(count)


def test_entries_on_one_parameter_compose_in_their_order(world: World) -> None:
    entries = {
        "light": constant(0.5, parameter="mass"),
        "payload": constant(0.01, parameter="mass", target="pendulum", operation="add"),
        "swell": constant(2.0, parameter="mass", target="pendulum"),
    }
    randomizer = Randomizer(specify(entries), world)
    for _ in range(3):
        randomizer.apply(np.arange(4), randomizer.draw(episodes(4)).values)
    expected = [0.0, 0.5 * 0.095, (0.5 * 0.024 + 0.01) * 2.0]
    np.testing.assert_allclose(world.physics.field("body_mass"), np.tile(expected, (4, 1)))
    inertia = world.physics.field("body_inertia")[0] / np.maximum(
        world.physics.model.body_inertia, 1e-12
    )
    assert inertia[2] == pytest.approx([expected[2] / 0.024] * 3)


def test_latencies_compose_and_their_bound_with_them(make_world: MakeWorld) -> None:
    specification = specify(
        {
            "bus": uniform(0.0, 6.0, parameter="sensor_latency_ms"),
            "filter": uniform(2.0, 8.0, parameter="sensor_latency_ms", operation="add"),
        }
    )
    bound = reach(specification, {}, "sensor_latency_ms")[1]
    assert bound == pytest.approx(14.0)
    assert reach(specification, {"bus": 1.0}, "sensor_latency_ms")[1] == pytest.approx(9.0)
    assert reach(specification, {}, "action_latency_ms")[1] == 0.0
    world = make_world(2, sensor_latency=1e-3 * bound)
    Randomizer(specification, world).apply(np.arange(2), np.array([[6.0, 8.0], [0.0, 2.0]]))
    np.testing.assert_allclose(world.sensing.quantities["latency"][:, 0], [0.014, 0.002])
    world.sensing.read(np.zeros(2))  # the delay line is long enough for it


def test_a_draw_is_a_function_of_the_seed_alone(world: World) -> None:
    randomizer = Randomizer(specify(EVERYTHING), world)
    values = randomizer.draw(episodes(50)).values
    assert (Randomizer(specify(EVERYTHING), world).draw(episodes(50)).values == values).all()
    assert (randomizer.draw(EpisodeRandom(episodes(50).seeds[[7, 3]])).values == values[[7, 3]]).all()
    assert (randomizer.draw(episodes(50, run_seed=1)).values != values).mean() > 0.8


# The world is only read here, so that all examples may share it.
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(others=st.sets(st.sampled_from([name for name in EVERYTHING if name != "joint_damping"])))
def test_a_draw_does_not_depend_on_what_else_is_randomized(world: World, others: set[str]) -> None:
    alone = Randomizer(specify({"joint_damping": EVERYTHING["joint_damping"]}), world)
    chosen = {name: EVERYTHING[name] for name in EVERYTHING if name in others | {"joint_damping"}}
    together = Randomizer(specify(chosen), world)
    at = [together.columns.index(name) for name in alone.columns]
    assert (together.draw(episodes(20)).values[:, at] == alone.draw(episodes(20)).values).all()


def test_draws_follow_their_distributions_independently(world: World) -> None:
    number = 20_000
    randomizer = Randomizer(specify(EVERYTHING), world)
    values = randomizer.draw(episodes(number)).values
    by_name = dict(zip(randomizer.columns, values.T, strict=True))
    expected = {
        "mass[arm]": stats.uniform(0.8, 0.4),
        "mass[pendulum]": stats.uniform(0.8, 0.4),
        "joint_damping[pendulum]": stats.loguniform(0.3, 3.0),
        "joint_frictionloss[arm]": stats.uniform(0.0, 4.0),
        "action_latency_ms": stats.uniform(0.0, 15.0),
        "encoder_bias[arm]": stats.truncnorm(-2.0, 2.0, scale=0.01),
    }
    for name, distribution in expected.items():
        assert stats.kstest(by_name[name], distribution.cdf).pvalue > 1e-3, name
    share = (by_name["encoder_resolution[arm]"] == 2.0).mean()
    assert share == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(number))
    correlation = np.corrcoef(values, rowvar=False)
    assert np.abs(correlation - np.eye(len(correlation))).max() < 5 / math.sqrt(number)


def test_a_pin_holds_an_entry_or_one_of_its_columns(world: World) -> None:
    free = Randomizer(specify(EVERYTHING), world)
    pins = {"mass": 1.1, "joint_damping[arm]": 2.0, "action_latency_ms": 8.0}
    held = Randomizer(specify(EVERYTHING), world, pins)
    values, drawn = held.draw(episodes(10)).values, free.draw(episodes(10)).values
    for column, name in enumerate(held.columns):
        entry = name.partition("[")[0]
        if name in pins or entry in pins:
            assert (values[:, column] == pins.get(name, pins.get(entry))).all()
        else:
            assert (values[:, column] == drawn[:, column]).all()


def test_a_pin_may_leave_the_range_but_not_the_physical(world: World) -> None:
    randomizer = Randomizer(specify(EVERYTHING), world, {"mass": 3.0})
    assert (randomizer.draw(episodes(3)).values[:, :2] == 3.0).all()
    with pytest.raises(UserError, match=r"randomization\.mass: .* makes mass -0\.095 kg"):
        Randomizer(specify(EVERYTHING), world, {"mass": -1.0})
    with pytest.raises(UserError, match="encoder_noise"):
        Randomizer(specify(EVERYTHING), world, {"encoder_noise[arm]": -0.1})


def test_the_contract_learns_the_ranges(world: World) -> None:
    randomizer = Randomizer(specify(EVERYTHING), world, {"mass[arm]": 1.1})
    ranges = {each.name: each for each in randomizer.trained_ranges()}
    assert list(ranges) == randomizer.columns
    assert (ranges["mass[arm]"].low, ranges["mass[arm]"].high) == (1.1, 1.1)
    assert (ranges["mass[pendulum]"].low, ranges["mass[pendulum]"].high) == (0.8, 1.2)
    assert (ranges["mass[arm]"].operation, ranges["mass[arm]"].unit) == ("scale", "1")
    latency = ranges["action_latency_ms"]
    assert (latency.operation, latency.unit, latency.high) == ("absolute", "ms", 15.0)


def test_a_draw_has_names(world: World) -> None:
    randomizer = Randomizer(specify(EVERYTHING), world, {"sensor_latency_ms": 3.0})
    named = randomizer.named(randomizer.draw(episodes(1)).values[0])
    assert list(named) == randomizer.columns
    assert named["sensor_latency_ms"] == 3.0
    assert all(type(value) is float for value in named.values())


def test_nothing_to_randomize_is_nothing(world: World) -> None:
    before = touched(world)
    randomizer = Randomizer({}, world)
    values = randomizer.draw(episodes(4)).values
    assert values.shape == (4, 0)
    randomizer.apply(np.arange(4), values)
    assert same(touched(world), before)
    assert randomizer.trained_ranges() == ()


@pytest.mark.parametrize(
    ("entries", "pins", "reason"),
    [
        ({"mas": constant(1.0)}, {}, r"randomization\.mas: no parameter 'mas': did you mean 'mass'"),
        (
            {"mass": constant(1.0, target="amr")},
            {},
            "'amr' matches nothing .*: did you mean 'arm'",
        ),
        (
            {"mass": constant(1.0, target="leg_*")},
            {},
            r"'leg_\*' matches nothing .*: valid: arm, pendulum",
        ),
        (
            {"motor_strength": constant(1.0, target="arm")},
            {},
            "'arm' matches nothing .*: valid: motor",
        ),
        ({"action_latency_ms": constant(5.0, target="motor")}, {}, "robot as a whole"),
        ({"mass": uniform(-0.5, 1.0)}, {}, "scale -0.5 to 1 makes mass -0.0475 kg, below"),
        ({"mass": constant(0.0)}, {}, "scale 0 makes mass 0 kg"),
        ({"mass": constant(-0.05, operation="add")}, {}, "add -0.05 makes mass -0.026 kg"),
        ({"joint_damping": uniform(-1e-5, 1.0, operation="absolute")}, {}, "below 0"),
        ({"motor_strength": constant(-1.0)}, {}, "motor_strength -1"),
        ({"action_latency_ms": uniform(-5.0, 5.0)}, {}, "action_latency_ms -5 ms, below 0"),
        ({"sensor_latency_ms": uniform(-5.0, 5.0)}, {}, "sensor_latency_ms -5 ms, below 0"),
        ({"encoder_noise": constant(-0.1)}, {}, "encoder_noise -0.1 rad"),
        ({"mass": constant(1.0)}, {"mas": 1.0}, "pin 'mas': .* did you mean 'mass'"),
        ({"mass": constant(1.0)}, {"mass[leg]": 1.0}, "pin .*did you mean 'mass"),
        ({"mass": constant(1.0)}, {"encoder_noise": 1.0}, "not a randomized parameter here"),
        ({}, {"mass": 1.0}, "none is valid here"),
        ({"mass": constant(1.0)}, {"mass": math.nan}, "pin mass=nan: not a finite number"),
        ({"encoder_bias": constant(0.0)}, {"encoder_bias": math.inf}, "not a finite number"),
        (
            {"a": constant(0.05, parameter="mass", operation="absolute")}
            | {"b": uniform(-0.06, 0.0, parameter="mass", operation="add")},
            {},
            r"randomization\.b: add -0.06 to 0 makes mass -0.01 kg",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    world: World, entries: dict[str, Any], pins: dict[str, float], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        Randomizer(specify(entries), world, pins)


@pytest.mark.parametrize(
    ("name", "entry", "end"),
    [
        ("mass", uniform(-0.5, 1.0), "low"),
        ("floor_slope", uniform(0.0, 2.0, operation="absolute"), "high"),
    ],
)
def test_an_error_knows_which_end_of_a_range_leaves_the_bounds(
    world: World, name: str, entry: dict[str, Any], end: str
) -> None:
    with pytest.raises(OutOfBoundsError) as caught:
        Randomizer(specify({name: entry}), world)
    assert caught.value.end == end


def test_an_error_knows_which_parameter_acts_on_nothing(world: World) -> None:
    with pytest.raises(NothingToActOnError) as caught:
        Randomizer(specify({"friction": constant(1.0)}), world)
    assert caught.value.parameter == "friction"


def test_a_bias_may_be_negative(world: World) -> None:
    randomizer = Randomizer(specify({"encoder_bias": uniform(-0.1, -0.05)}), world)
    randomizer.apply(np.arange(4), randomizer.draw(episodes(4)).values)
    assert (world.sensing.quantities["bias"] < 0).all()


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (constant(1.0, parameter="mas"), "did you mean 'mass'"),
        (constant(1.0, operation="times"), "'scale'"),
        (constant(1.0, targt="arm"), "did you mean 'target'"),
        ({}, "distribution"),
    ],
)
def test_a_faulty_entry_is_refused(entry: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ParameterConfig.model_validate(entry)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_latency_is_a_finite_number(value: float) -> None:
    specification = specify({"sensor_latency_ms": constant(5.0)})
    with pytest.raises(UserError, match=r"sensor_latency_ms=.*: not a finite number"):
        reach(specification, {"sensor_latency_ms": value}, "sensor_latency_ms")[1]


def test_fixed_values_stand_on_the_whole_and_on_parts(world: World) -> None:
    values = {"mass": 1.5, "joint_damping[pendulum]": 2.0, "sensor_latency_ms": 8.0}
    specification, pins = fixed(values)
    randomizer = Randomizer(specification, world, pins)
    randomizer.apply(np.arange(4), randomizer.draw(episodes(4)).values)
    model = world.physics.model
    np.testing.assert_allclose(world.physics.field("body_mass")[1], 1.5 * model.body_mass)
    np.testing.assert_allclose(
        world.physics.field("dof_damping")[1], model.dof_damping * np.array([1.0, 2.0])
    )
    np.testing.assert_allclose(world.sensing.quantities["latency"], 0.008)


@pytest.mark.parametrize("order", [1, -1])
def test_a_fixed_part_counts_more_than_the_fixed_whole(world: World, order: int) -> None:
    given = list({"mass": 2.0, "mass[arm]": 1.5}.items())[::order]
    specification, pins = fixed(dict(given))
    randomizer = Randomizer(specification, world, pins)
    randomizer.apply(np.arange(4), randomizer.draw(episodes(4)).values)
    np.testing.assert_allclose(world.physics.field("body_mass")[0], [0.0, 1.5 * 0.095, 2.0 * 0.024])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"mas": 1.0}, "no parameter 'mas': did you mean 'mass'"),
        ({"mas[arm]": 1.0}, "no parameter 'mas': did you mean 'mass'"),
        ({"mass[leg]": 1.0}, "'leg' matches nothing"),
        ({"mass": math.nan}, "mass=nan: not a finite number"),
        ({"mass": -1.0}, "makes mass -0.095 kg"),
    ],
)
def test_fixed_values_that_cannot_be_are_refused(
    world: World, values: dict[str, float], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        specification, pins = fixed(values)
        Randomizer(specification, world, pins)


def test_the_shipped_experiment_contains_the_real_machine(world: World) -> None:
    """Whatever its ranges become: the values compiled from the model stay within them."""
    specification = load_experiment("qube_swingup").randomization
    for each in Randomizer(specification, world).trained_ranges():
        nominal = 1.0 if each.operation == "scale" else 0.0
        assert each.low <= nominal <= each.high, each.name


def together(correlation: float, *names: str) -> dict[str, Any]:
    marginals = [{"type": "uniform", "low": 0.8, "high": 1.2}] * 2
    matrix = [[1.0, correlation], [correlation, 1.0]]
    return {
        "parameters": list(names),
        "distribution": {"type": "correlated", "marginals": marginals, "correlation": matrix},
    }


def test_what_is_drawn_together_is_correlated_and_acts_on_what_it_names(world: World) -> None:
    entries = {"pair": together(0.9, "mass[pendulum]", "joint_damping[arm]")}
    randomizer = Randomizer(specify(entries), world)
    assert randomizer.columns == ["mass[pendulum]", "joint_damping[arm]"]
    values = randomizer.draw(episodes(4000)).values
    assert np.corrcoef(values.T)[0, 1] == pytest.approx(0.9, abs=0.02)
    randomizer.apply(np.arange(4), values[:4])
    model = world.physics.model
    mass, damping = world.physics.field("body_mass"), world.physics.field("dof_damping")
    np.testing.assert_allclose(mass[:, 2], values[:4, 0] * model.body_mass[2])
    np.testing.assert_allclose(mass[:, 1], model.body_mass[1])
    np.testing.assert_allclose(damping[:, 0], values[:4, 1] * model.dof_damping[0])


def test_a_posterior_says_what_it_is_of(world: World, tmp_path: Path) -> None:
    path = tmp_path / "identified.yaml"
    path.write_text(
        "format: simreal-posterior\nversion: 1\nrobot: qube\n"
        "parameters:\n"
        "  - {name: 'mass[arm]', unit: kg, operation: absolute, low: 0.05, high: 0.2}\n"
        "  - {name: action_latency_ms, unit: ms, operation: absolute, low: 0, high: 20}\n"
        "samples:\n  - [0.09, 4.0]\n  - [0.1, 6.0]\n"
    )
    entries = specify({"identified": {"distribution": {"type": "posterior", "file": str(path)}}})
    randomizer = Randomizer(entries, world)
    drawn = {tuple(row) for row in randomizer.draw(episodes(50)).values}
    assert drawn == {(0.09, 4.0), (0.1, 6.0)}
    assert reach(entries, {}, "action_latency_ms")[1] == 6.0
    randomizer.apply(np.arange(4), np.tile([0.09, 4.0], (4, 1)))
    np.testing.assert_allclose(world.physics.field("body_mass")[:, 1], 0.09)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (together(0.5, "mass[arm]"), "1 names for a distribution of 2"),
        (together(0.5, "mass[arm]", "mas[arm]"), "did you mean 'mass'"),
        (together(0.5, "mass[arm]", "mass[pendulum]") | {"target": "arm"}, "in parameters"),
        (uniform(0.0, 1.0) | {"parameters": ["mass[arm]"]}, "say parameter"),
    ],
)
def test_a_faulty_joint_entry_is_refused(entry: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ParameterConfig.model_validate(entry)


def test_a_column_is_drawn_once_and_a_joint_names_one_part(world: World) -> None:
    twice = {"mass": uniform(0.8, 1.2), "pair": together(0.5, "mass[arm]", "joint_damping[arm]")}
    with pytest.raises(UserError, match=r"randomization\.pair: mass\[arm\] is drawn by another entry"):
        Randomizer(specify(twice), world)
    with pytest.raises(UserError, match=r"several parts, name one: mass\[arm\]"):
        Randomizer(specify({"pair": together(0.5, "mass", "joint_damping[arm]")}), world)


def test_a_schedule_narrows_what_is_drawn_but_neither_pins_nor_choices(world: World) -> None:
    entries = specify(
        {
            "mass": uniform(0.5, 2.0),
            "joint_damping": uniform(0.5, 2.0),
            "encoder_resolution": {"distribution": {"type": "choice", "values": [1.0, 4.0]}},
        }
    )
    schedule = ByStepConfig(start_width=0.1, steps=1000)
    randomizer = Randomizer(entries, world, {"joint_damping": 1.9}, schedule)
    values = randomizer.draw(episodes(500)).values
    assert values[:, :2].min() >= 0.95
    assert values[:, :2].max() <= 1.1
    assert values[:, :2].std() > 0.02
    assert (values[:, 2:4] == 1.9).all()
    assert set(values[:, 4:].ravel()) == {1.0, 4.0}
    assert randomizer.trained_ranges()[0].high == pytest.approx(1.1)
    randomizer.schedule.update(1000)
    assert randomizer.draw(episodes(500)).values[:, :2].max() > 1.8


def test_given_ranges_take_the_place_of_the_configured_ones(world: World) -> None:
    entries = specify({"mass": {"distribution": {"type": "log_uniform", "low": 0.5, "high": 2.0}}})
    within = WithinConfig(ranges={"mass[arm]": (0.8, 1.0)})
    randomizer = Randomizer(entries, world, None, within)
    arm, pendulum = randomizer.draw(episodes(2000)).values.T
    assert 0.8 <= arm.min() < 0.81 < 0.99 < arm.max() <= 1.0
    assert pendulum.max() > 1.9
    assert np.log(arm).mean() == pytest.approx(np.log([0.8, 1.0]).mean(), abs=0.01)
    with pytest.raises(UserError, match=r"no column 'mass\[leg\]': did you mean"):
        Randomizer(entries, world, None, WithinConfig(ranges={"mass[leg]": (0.8, 1.0)}))
