"""Both engines do what mechanics says, and agree on it."""

import importlib.util

import pytest

from simreal.errors import UserError
from simreal.physics.engines import find_engine
from simreal.physics.shared_checks import CHECKS, Check

WITHOUT_BULLET = importlib.util.find_spec("pybullet") is None


@pytest.mark.parametrize(
    "engine",
    [
        "mujoco",
        pytest.param(
            "bullet", marks=pytest.mark.skipif(WITHOUT_BULLET, reason="PyBullet is not installed")
        ),
    ],
)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_the_engine_does_what_mechanics_says(check: Check, engine: str) -> None:
    measured = check.measure(find_engine(engine))
    assert measured == pytest.approx(check.expected, abs=check.tolerance)


def test_an_unknown_engine_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'bullet'"):
        find_engine("bulet")
