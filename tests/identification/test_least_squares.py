"""Gauss-Newton finds what a log was made with."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from simreal.identification.least_squares import Search
from simreal.identification.recording import Recording
from simreal.identification.simulator import Setup, Simulator
from simreal.identification.unknowns import read_asked, starts
from simreal.identification.windows import cut
from simreal.robots import Robot
from simreal.state import FloatArray

Record = Callable[..., Recording]
TRUTH = {"mass": 1.2, "joint_damping": 0.7, "joint_frictionloss": 1.6, "joint_armature": 2.0}


def search(setup: Setup, recording: Recording, names: list[str]) -> Search:
    windows = cut([recording], 0.6)
    return Search(Simulator(setup, windows, [read_asked(name) for name in names]))


def test_inertia_and_friction_of_a_link_are_found(link: Robot, record: Record) -> None:
    found = search(Setup(link), record(TRUTH), list(TRUTH))
    fit = found.run(starts(found.simulator.unknowns))
    np.testing.assert_allclose(fit.values, list(TRUTH.values()), rtol=0.08)
    assert fit.noise.position == pytest.approx(1e-3, rel=0.2)


@pytest.mark.parametrize("latency", [3.0, 11.3, 25.0])
def test_a_latency_between_physics_steps_is_found(link: Robot, record: Record, latency: float) -> None:
    truth = {"action_latency_ms": latency, "joint_damping": 1.3}
    found = search(Setup(link), record(truth, timestep=0.0005), list(truth))
    fit = found.run(starts(found.simulator.unknowns))
    assert fit.values[0] == pytest.approx(latency, abs=1.0)


def test_a_bound_is_kept(link: Robot, record: Record) -> None:
    found = search(Setup(link), record({"mass": 1.5}), ["mass=0.8:1.2"])
    fit = found.run(starts(found.simulator.unknowns))
    assert fit.values == pytest.approx([1.2])


def test_outliers_hardly_matter(link: Robot, record: Record) -> None:
    recording = record({"mass": 1.3})
    recording.position[::97] += 0.3
    found = search(Setup(link), recording, ["mass"])
    fit = found.run(starts(found.simulator.unknowns))
    assert fit.values == pytest.approx([1.3], rel=0.02)


def test_derivatives_are_those_of_the_motion(link: Robot, record: Record) -> None:
    """By finite differences of the whole residual, with starts that follow."""
    found = search(Setup(link), record({"mass": 1.3}), ["mass", "joint_damping"])
    fit = found.run(starts(found.simulator.unknowns))
    residual, jacobian = fit.derivatives.eliminate()
    gradient = np.einsum("wrk,wr->k", jacobian, residual)
    assert np.abs(gradient).max() < 0.02 * np.linalg.norm(jacobian, axis=(0, 1)).max()


def test_each_group_of_windows_has_a_noise_of_its_own(link: Robot, record: Record) -> None:
    logs = [
        record(TRUTH, 3.0, 1, noise=3e-3, group="slow"),
        record(TRUTH, 3.0, 2, noise=1e-2, group="fast"),
    ]
    asked = [read_asked(name) for name in TRUTH]
    found = Search(Simulator(Setup(link), cut(logs, 0.6), asked))
    fit = found.run(starts(found.simulator.unknowns))
    assert fit.noise.by_window is not None
    by_log = fit.noise.by_window[:, 0, 0]
    source = found.simulator.windows.source
    assert by_log[source == 0] == pytest.approx(3e-3, rel=0.2)
    assert by_log[source == 1] == pytest.approx(1e-2, rel=0.2)
    assert fit.noise.position == pytest.approx(np.sqrt((3e-3**2 + 1e-2**2) / 2.0), rel=0.2)


def test_known_starts_are_those_that_nothing_moves(
    link: Robot, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as if each were measured to a billionth, by half the simulations."""
    simulated: Counter[Simulator] = Counter()
    predict = Simulator.predict

    def counted(self: Simulator, values: FloatArray, *arguments: Any) -> FloatArray:
        simulated[self] += len(values)
        return predict(self, values, *arguments)

    monkeypatch.setattr(Simulator, "predict", counted)
    windows = cut([record(TRUTH, 3.0)], 0.6)
    sure = replace(windows, start_deviation=np.full_like(windows.start_deviation, 1e-9))
    asked = [read_asked(name) for name in TRUTH]
    known = Search(Simulator(Setup(link), windows, asked), starts_known=True)
    measured = Search(Simulator(Setup(link), sure, asked))
    first, second = (each.run(starts(each.simulator.unknowns)) for each in (known, measured))
    assert first.values == pytest.approx(second.values, rel=1e-3)
    np.testing.assert_array_equal(first.starts, windows.start_state)
    assert simulated[known.simulator] < 0.7 * simulated[measured.simulator]
