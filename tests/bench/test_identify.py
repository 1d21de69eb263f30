"""Figures of identification judge only what is there: a misspelt day is refused, before any fit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simreal.bench import identify, residual
from simreal.errors import UserError


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of real logs with one second of a Qube."""
    folder = tmp_path_factory.mktemp("logs")
    (folder / "quanser_qube").mkdir()
    run, steps = "2021-04-14_0", 250
    swing = np.sin(np.linspace(0.0, 9.0, steps + 1))[:, None]
    arrays = {f"{run}/states": swing * [1.0, 0.5, 9.0, 4.5], f"{run}/actions": swing[1:]}
    np.savez(folder / "quanser_qube" / "chirp_250Hz.npz", dt=0.004, **arrays)
    return folder


@pytest.mark.parametrize("figures", [identify.qube, identify.band_coverage])
def test_a_misspelt_day_to_hold_out_is_refused_with_the_nearest(
    figures: Callable[..., object], logs: Path
) -> None:
    told: list[str] = []
    with pytest.raises(UserError, match=r"^--hold-out 2021-04-41: did you mean '2021-04-14'\?"):
        figures(logs, ("2021-04-14", "2021-04-41"), told.append, ())
    assert not told


def test_a_misspelt_day_of_a_residual_is_refused_with_the_nearest(logs: Path) -> None:
    with pytest.raises(UserError, match=r"^--day 2021-04-41: did you mean '2021-04-14'\?"):
        residual.qube(logs, ("2021-04-41",), False, 1, print)
