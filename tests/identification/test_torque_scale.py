"""What a fit says of itself: torques that moved as one, bounds that held it back, numbers for people."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from simreal.errors import UserError
from simreal.identification.fitting import Cutting, _stopped
from simreal.identification.identify import Identification, errors_by_joint, identify
from simreal.identification.page import plus_minus
from simreal.identification.simulator import Setup
from simreal.identification.torque_scale import torque_scales
from simreal.identification.unknowns import read_asked, resolve
from simreal.identification.verdict import Verdict, wider
from simreal.robots import Robot
from tests.hanging_link import Record

TORQUES = ("motor_strength", "joint_damping", "joint_frictionloss", "joint_armature")


def fitted(
    link: Robot, names: tuple[str, ...], values: list[float], deviation: float = 0.01
) -> Identification:
    """What stands in an identification of these unknowns, with these values."""
    setup, asked = Setup(link), [read_asked(name) for name in names]
    unknowns = resolve(asked, setup.world(1, {}))
    at_bounds, at_ends = _stopped(unknowns, np.array(values))
    fit = SimpleNamespace(
        simulator=SimpleNamespace(unknowns=unknowns),
        fit=SimpleNamespace(values=np.array(values)),
        at_bounds=at_bounds,
        at_ends=at_ends,
    )
    best = SimpleNamespace(asked=tuple(asked), fitted=fit)
    deviations = np.full(len(values), deviation)
    return cast(Any, SimpleNamespace(setup=setup, best=best, deviations=deviations))


def test_torques_that_moved_by_one_factor_may_hide_a_mass(link: Robot) -> None:
    (scale,) = torque_scales(fitted(link, TORQUES, [0.776, 0.78, 0.741, 0.783]))
    assert scale.joint == "hinge"
    assert len(scale.names) == 4
    assert "a mass that is 1.3 times the model's" in scale.describe()
    assert "try --parameters mass" in scale.describe()


@pytest.mark.parametrize(
    ("names", "values", "deviation"),
    [
        (TORQUES, [0.776, 1.4, 0.5, 1.0], 0.01),  # of no factor
        (TORQUES, [1.01, 1.0, 0.98, 1.02], 0.01),  # as in the model
        (TORQUES, [0.776, 0.78, 0.741, 0.783], 0.2),  # of deviations that agree with anything
        ((*TORQUES, "mass"), [0.776, 0.78, 0.741, 0.783, 1.0], 0.01),  # masses were sought
        (TORQUES[:2], [0.776, 0.78], 0.01),  # of two it is chance
    ],
)
def test_torques_that_say_nothing_of_a_mass(
    link: Robot, names: tuple[str, ...], values: list[float], deviation: float
) -> None:
    assert torque_scales(fitted(link, names, values, deviation)) == []


def test_what_is_at_a_bound_makes_the_rest_unsound_and_gets_more_room(link: Robot) -> None:
    found = fitted(link, ("mass", "joint_frictionloss", "action_latency_ms"), [1.16, 0.0, 40.0])
    assert found.best.fitted.at_bounds == ["action_latency_ms"]
    assert found.best.fitted.at_ends == ["joint_frictionloss[hinge]"]  # there is no less than none
    assert [str(each) for each in wider(found)] == [
        "mass",
        "joint_frictionloss",
        "action_latency_ms=0:80",
    ]
    said = Verdict(20, ("action_latency_ms",), (), ())
    assert not said.sound
    assert said.describe().endswith("shifts the others, which are not to be trusted either")
    assert Verdict(20, (), ("mass[link]",), ()).sound


@pytest.mark.parametrize("text", ["motor_strength[motor]=0.5:2", "spring_reference[hinge]@log", "mass"])
def test_what_was_asked_for_is_said_as_it_was(text: str) -> None:
    assert str(read_asked(text)) == text


@pytest.mark.parametrize(
    ("value", "deviation", "said"),
    [
        (964.2, 118.0, "960 ± 120"),
        (0.00637, 0.0047, "0.0064 ± 0.0047"),
        (0.0, 0.0, "0 ± 0"),
        (15.43, 1.52, "15.4 ± 1.5"),
    ],
)
def test_a_score_is_said_as_far_as_it_is_known(value: float, deviation: float, said: str) -> None:
    assert plus_minus(value, deviation) == said


def test_errors_have_joints_and_units(link: Robot) -> None:
    assert errors_by_joint(fitted(link, (), []), np.array([0.01634])) == "hinge 0.0163 rad"


@pytest.mark.parametrize("name", ["mass[lnk]", "mass,mass[link]", "torque_constant", "mass=-1:2"])
def test_what_the_robot_does_not_have_is_refused_before_anything_is_said(
    link: Robot, record: Record, name: str
) -> None:
    told: list[str] = []
    nested = [[read_asked(each) for each in name.split(",")]]
    with pytest.raises(UserError, match=r"lnk|is also|nothing that|is at least"):
        identify(Setup(link), [record({"mass": 1.0}, 1.0)], nested, Cutting(0.5), tell=told.append)
    assert told == []
