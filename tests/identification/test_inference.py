"""A posterior that is learned from simulations alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simreal.identification.fitting import Cutting
from simreal.identification.identify import identify, posterior
from simreal.identification.inference import draw_learned, learned_posterior, summarise
from simreal.identification.recording import Recording
from simreal.identification.simulator import Setup, Simulator
from simreal.identification.unknowns import read_asked
from simreal.identification.windows import cut
from simreal.randomization.posterior import read_posterior, sources_of, write_posterior
from simreal.robots import Robot

Record = Callable[..., Recording]
TRUTH = {"joint_damping": 1.5, "joint_frictionloss": 0.6}


def simulator(link: Robot, recording: Recording) -> Simulator:
    asked = [read_asked(f"{name}=0.1:4") for name in TRUTH]
    return Simulator(Setup(link), cut([recording], 0.5), asked)


def test_summaries_keep_what_robots_differ_in() -> None:
    random = np.random.default_rng(0)
    share, directions = random.normal(size=(400, 2)), random.normal(size=(2, 60))
    motion = share @ directions * 0.01
    numbers, measured = summarise(motion, 2)
    assert np.median(np.abs(np.sinh(numbers)), axis=0) == pytest.approx(1.0, rel=0.01)
    assert measured == pytest.approx(0.0, abs=0.2)  # most robots lie around the measurement
    # Two numbers say as much as the two that the motions were made of.
    _, residual, *_ = np.linalg.lstsq(np.c_[np.sinh(numbers), np.ones(400)], share, rcond=None)
    assert residual.sum() < 1e-3 * (share**2).sum()


def test_widened_draws_keep_the_bounds_and_begin_with_the_fit(link: Robot, record: Record) -> None:
    unknowns = simulator(link, record(TRUTH, 1.0)).unknowns
    samples = np.random.default_rng(0).normal([1.5, 0.6], 0.1, (200, 2))
    fit = np.array([1.4, 0.7])
    members = draw_learned(fit, samples, unknowns, 2.0, 100)
    np.testing.assert_array_equal(members[0], fit)
    assert members[1:].std(axis=0) == pytest.approx(2.0 * samples[1:100].std(axis=0), rel=0.05)
    assert (draw_learned(fit, samples, unknowns, 100.0, 100) >= 0.1).all()


@pytest.mark.long
@pytest.mark.long
def test_the_truth_is_found_and_lies_where_the_posterior_says(link: Robot, record: Record) -> None:
    pytest.importorskip("sbi")
    truth, prior = np.array(list(TRUTH.values())), (4.0 - 0.1) / np.sqrt(12.0)
    inside = []
    for seed in range(3):
        there = simulator(link, record(TRUTH, 3.0, seed))
        found = learned_posterior(there, np.array([1e-3]), 800, 400, seed=seed)
        assert found.shape == (400, 2)
        # Friction is told less well: a little of it does what a little damping does.
        assert (found.std(axis=0) < np.array([0.1, 0.4]) * prior).all()
        low, high = np.quantile(found, (0.05, 0.95), axis=0)
        inside.append((low <= truth) & (truth <= high))
    assert np.sum(inside) >= 4  # of six, 90 % each


@pytest.mark.long
def test_it_ends_in_the_same_file(link: Robot, record: Record, tmp_path: Path) -> None:
    pytest.importorskip("sbi")
    logs = [record(TRUTH, 3.0, seed, group=f"multisine {seed}") for seed in range(2)]
    nested = [[read_asked(f"{name}=0.1:4") for name in TRUTH]]
    found = identify(Setup(link), logs, nested, Cutting(0.5), simulations=400)
    source = tmp_path / "a.mcap"
    source.write_bytes(b"log")
    write_posterior(tmp_path / "identified.yaml", posterior(found, sources_of([source])))
    again = read_posterior(tmp_path / "identified.yaml")
    assert "by simulation-based inference, 3 rounds of 400 robots" in (again.provenance or "")
    samples = np.array(again.samples)
    assert np.median(samples[:, 0]) == pytest.approx(TRUTH["joint_damping"], rel=0.2)
    assert samples[:, 1].min() < TRUTH["joint_frictionloss"] < samples[:, 1].max()
    assert (found.ensemble.coverage >= 0.9).all()
