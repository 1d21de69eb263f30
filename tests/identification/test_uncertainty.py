"""Widening, bounds and bands."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from simreal.identification.ensemble import WIDEST, coverage, deviation, draw_members, model_error, widen
from simreal.identification.fitting import Cutting, fit_model
from simreal.identification.least_squares import Derivatives
from simreal.identification.simulator import Setup
from simreal.identification.uncertainty import Uncertainty, uncertainty, widened
from simreal.identification.unknowns import Unknown, read_asked
from simreal.robots import Robot
from tests.hanging_link import Record


def unknown(name: str, low: float, high: float) -> Unknown:
    return Unknown(name, (name,), "scale", ("1",), 1.0, low, high, 0.05)


def test_widening_ends_at_what_the_bounds_leave() -> None:
    prior = np.array([1.0, 2.0])
    narrow = np.diag([1e-4, 4e-4])
    assert np.sqrt(np.diag(widened(narrow, prior, 1.0))) == pytest.approx([0.01, 0.02], rel=1e-3)
    assert np.sqrt(np.diag(widened(narrow, prior, 3.0))) == pytest.approx([0.03, 0.06], rel=1e-2)
    each = widened(narrow, prior, np.array([1.0, 3.0]))
    assert np.sqrt(np.diag(each)) == pytest.approx([0.01, 0.06], rel=1e-2)
    assert np.sqrt(np.diag(widened(narrow, prior, 1e6))) == pytest.approx(prior, rel=1e-3)


def test_members_keep_their_bounds_and_the_covariance() -> None:
    unknowns = [unknown("a", 0.0, 2.0), unknown("b", 0.5, 1.5)]
    covariance = np.array([[0.01, 0.009], [0.009, 0.01]])
    known = Uncertainty(covariance, np.array([1.0, 1.0]), [])
    members = draw_members(np.ones(2), known, unknowns, 1.0, 4000)
    np.testing.assert_allclose(np.cov(members.T), covariance, rtol=0.1)
    wide = draw_members(np.ones(2), known, unknowns, 50.0, 4000)
    assert (wide >= [0.0, 0.5]).all()
    assert (wide <= [2.0, 1.5]).all()


def test_a_band_of_90_percent_covers_90_percent() -> None:
    random = np.random.default_rng(0)
    members, measured = random.normal(size=(400, 50, 40, 1)), random.normal(size=(50, 40, 1))
    share = coverage(members, measured, np.ones((50, 40), dtype=bool), np.array([1e-9]))
    assert share == pytest.approx([0.9], abs=0.02)


def test_each_unknown_is_widened_as_far_as_its_joint_asks() -> None:
    """Two joints, each told by an unknown of its own; a third unknown is told by both."""
    shares = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    found = widen(lambda factors: np.array([0.92, 1.0 - 0.5 / factors[1]]), shares)
    assert found.joints == pytest.approx([1.0, 1.5**4])  # 1 - 0.5 / 5 is 90 %
    assert found.unknowns == pytest.approx([1.0, 1.5**4, 1.5**2])
    assert found.coverage[1] >= 0.9


@pytest.mark.parametrize(
    ("covered", "steps"),
    [
        (lambda factor: [0.95, 0.95], 0),
        (lambda factor: [0.2, 0.2], 0),  # nothing is gained: the model lacks something
        (
            lambda factor: [0.905 + 0.02 * np.log(factor), 0.5 + 0.1 * np.log(factor)],
            5,
        ),  # the first: 95 %
        (lambda factor: [0.1 * np.log(factor)] * 2, 8),  # 1.5**8 is 25.6
    ],
)
def test_widening_ends(covered: Callable[[float], list[float]], steps: int) -> None:
    """Where all are covered, where nothing is gained, before a joint is too wide, and at the widest."""
    found = widen(lambda factors: np.array(covered(factors[0])), np.array([[0.0, 1.0]]))
    assert found.joints[1] == pytest.approx(1.5**steps)
    assert found.unknowns[0] <= WIDEST


def test_what_members_lack_is_the_models_error() -> None:
    """Members agree, and what was measured strays from them by 0.2 rad/s, of one joint alone."""
    random = np.random.default_rng(0)
    time = np.broadcast_to(np.linspace(0.01, 1.0, 100), (60, 100))
    measured = np.zeros((60, 100, 2))
    measured[..., 0] = 0.2 * random.normal(size=(60, 1)) * time
    members, noise = np.zeros((20, 60, 100, 2)), np.array([1e-4, 1e-4])
    valid = np.ones((60, 100), dtype=bool)
    error = model_error(members, measured, valid, noise, time)
    assert error[0] == pytest.approx(0.2, rel=0.2)
    assert error[1] == 0.0
    share = coverage(members, measured, valid, deviation(noise, error, time))
    assert share == pytest.approx([0.9, 1.0], abs=0.01)


def confounded(own: float) -> Any:
    """A fit of a shared value and one of each of two logs, of which the logs tell ``shared +- own``."""
    random, rows = np.random.default_rng(0), 50
    shape = random.normal(size=rows)
    jacobian = np.zeros((2, rows, 3))
    jacobian[:, :, 0] = shape
    jacobian[0, :, 1], jacobian[1, :, 2] = own * shape, -own * shape
    derivatives = Derivatives(random.normal(size=(2, rows)), jacobian, np.zeros((2, rows, 1)))
    simulator = SimpleNamespace(
        unknowns=[unknown("shared", 0.0, 2.0), unknown("differs", 0.0, 2.0)],
        names=["shared", "differs"],
        windows=SimpleNamespace(source=np.array([0, 1])),
        timestep=0.002,
    )
    pooling = np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    return SimpleNamespace(simulator=simulator, derivatives=derivatives, pooling=pooling, spreads=())


def test_what_logs_own_values_could_make_up_for_is_not_known() -> None:
    """Each log alone tells a sum of both, and that the logs' sums differ tells nothing of the shared."""
    told = uncertainty(cast(Any, confounded(0.0)))
    assert np.sqrt(told.covariance[0, 0]) < 0.05
    not_told = uncertainty(cast(Any, confounded(1.0)))
    assert np.sqrt(not_told.covariance[0, 0]) > 0.3
    assert not all(each.identified for each in not_told.combinations)
    # What nothing tells is as uncertain as the bounds leave it, however many logs there are.
    assert np.sqrt(told.covariance[1, 1]) >= told.prior[1]


def test_a_latency_allows_for_what_the_integrators_step_is_early(link: Robot, record: Record) -> None:
    """The robot's steps are a tenth of the model's, which needs a longer latency to move alike."""
    log = record({"action_latency_ms": 6.0}, 3.0, noise=1e-4, timestep=0.0002)
    fitted = fit_model(Setup(link), [log], [read_asked("action_latency_ms")], Cutting(0.5))
    deviation = float(np.sqrt(uncertainty(fitted).covariance[0, 0]))
    found = fitted.by_name["action_latency_ms"]
    assert 6.2 < found < 7.2
    assert found - 2.0 * deviation < 6.0
    assert deviation < 0.8
