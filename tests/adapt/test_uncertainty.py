"""Widening, bounds and bands."""

import numpy as np
import pytest

from simreal.adapt.ensemble import coverage, draw_members, widen
from simreal.adapt.uncertainty import Uncertainty, widened
from simreal.adapt.unknowns import Unknown


def unknown(name: str, low: float, high: float) -> Unknown:
    return Unknown(name, (name,), "scale", "1", 1.0, low, high, 0.05)


def test_widening_ends_at_what_the_bounds_leave() -> None:
    prior = np.array([1.0, 2.0])
    narrow = np.diag([1e-4, 4e-4])
    assert np.sqrt(np.diag(widened(narrow, prior, 1.0))) == pytest.approx([0.01, 0.02], rel=1e-3)
    assert np.sqrt(np.diag(widened(narrow, prior, 3.0))) == pytest.approx([0.03, 0.06], rel=1e-2)
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


def test_the_smallest_factor_that_covers_is_taken() -> None:
    factor, share = widen(lambda factor: np.array([1.0 - 0.5 / factor]))
    assert factor == pytest.approx(5.0, rel=0.05)
    assert share[0] >= 0.9
    assert widen(lambda factor: np.array([0.95]))[0] == 1.0
    assert widen(lambda factor: np.array([0.2]))[0] == 1e3
