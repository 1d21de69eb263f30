"""The viewer without a screen: its refusal, and what its window would show."""

import sys
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest

from simreal.cli.main import main
from simreal.experiment import load_experiment
from simreal.preview.viewer import NEXT_WORLD, WorldShow
from simreal.preview.worlds import sample_worlds

MASS = "randomization={mass: {distribution: {type: uniform, low: 0.8, high: 1.2}}}"


class Window:
    """Stands in for MuJoCo's: keeps what it would show, presses Enter once, and is closed."""

    def __init__(self, show: WorldShow, moments: int) -> None:
        self._show = show
        self._moments = moments
        self.masses: list[np.ndarray] = []
        self.positions: list[np.ndarray] = []

    def is_running(self) -> bool:
        return len(self.positions) < self._moments

    def lock(self) -> AbstractContextManager[object]:
        return nullcontext()

    def sync(self) -> None:
        self.masses.append(self._show.model.body_mass.copy())
        self.positions.append(self._show.data.qpos.copy())
        if len(self.positions) == self._moments // 2:
            self._show.press(ord("A"))
            self._show.press(NEXT_WORLD)


def test_worlds_play_in_the_order_of_the_preview() -> None:
    experiment = load_experiment("qube_swingup", [MASS])
    said: list[str] = []
    show = WorldShow(experiment, 5, said.append)
    window = Window(show, 60)
    show.play(window)
    preview = sample_worlds(experiment, "x", 2, seed=5)
    compiled = show._physics.model.body_mass[1:]
    for moments, draw in zip((slice(0, 30), slice(30, 60)), preview.draws, strict=True):
        factors = np.array(window.masses[moments])[:, 1:] / compiled
        np.testing.assert_allclose(factors, np.tile(draw, (30, 1)))
    np.testing.assert_allclose(
        window.positions[:30], preview.response.sampled.position[0, :30], rtol=0, atol=1e-12
    )
    assert [text.partition(":")[0] for text in said] == ["world 0", "world 1"]
    assert f"mass[arm] {preview.draws[1, 0]:.4g}" in said[1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks for an X11 or Wayland screen")
def test_without_a_screen_there_is_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["simreal", "preview", "qube_swingup", "--viewer"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "needs a screen" in capsys.readouterr().err
