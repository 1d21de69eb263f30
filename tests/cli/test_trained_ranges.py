"""A value that a policy has not met is named, with the range that it has."""

import pytest

from simreal.cli.trained_ranges import beyond_trained
from simreal.experiment import load_experiment

EXPERIMENT = load_experiment(
    "qube_swingup",
    [
        "randomization={mass: {distribution: {type: uniform, low: 0.8, high: 1.2}}, "
        "motor_strength: {distribution: {type: uniform, low: 0.5, high: 1.0}}}",
        "pins={motor_strength: 0.9}",
    ],
)


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({}, []),
        ({"mass": [1.2], "mass[arm]": [0.8]}, []),
        ({"mass[arm]": [5.0]}, ["mass[arm]=5 is outside the trained range 0.8 to 1.2"]),
        ({"mass": [0.7]}, ["mass=0.7 is outside the trained range 0.8 to 1.2"]),
        ({"mass": [0.5, 1.0, 1.5]}, ["mass=0.5:1.5 is outside the trained range 0.8 to 1.2"]),
        # Held in training: of its range, the policy has met one value.
        ({"motor_strength": [1.0]}, ["motor_strength=1 is outside the trained range 0.9 to 0.9"]),
    ],
)
def test_what_leaves_a_range_is_named(held: dict[str, list[float]], said: list[str]) -> None:
    assert beyond_trained(EXPERIMENT, held) == said


def test_ranges_count_where_a_schedule_has_arrived() -> None:
    within = {"type": "within", "ranges": {"mass[arm]": [0.95, 1.05]}}
    arrived = load_experiment(
        "qube_swingup",
        [
            "randomization={mass: {distribution: {type: uniform, low: 0.8, high: 1.2}}}",
            f"schedule={within}",
        ],
    )
    assert beyond_trained(arrived, {"mass[arm]": [1.1]}) == [
        "mass[arm]=1.1 is outside the trained range 0.95 to 1.05"
    ]
    assert beyond_trained(arrived, {"mass[pendulum]": [1.1]}) == []
