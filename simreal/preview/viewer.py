"""MuJoCo's own window on one sampled world after the other."""

import copy
import sys
import time
import warnings
from contextlib import AbstractContextManager
from typing import Protocol

import glfw
import mujoco
import numpy as np

from simreal.callbacks import Tell
from simreal.env import BatchEnv
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig
from simreal.physics import MujocoPhysics
from simreal.preview.excited_motion import steps_of_chirp
from simreal.preview.worlds import excited_world, unmoved

NEXT_WORLD = glfw.KEY_ENTER
"""MuJoCo's window leaves it free."""


class Window(Protocol):
    """What is used of `mujoco.viewer.Handle`."""

    def is_running(self) -> bool:
        """Whether nobody has closed it."""
        ...

    def lock(self) -> AbstractContextManager[object]:
        """Keeps it from reading while model and data are written."""
        ...

    def sync(self) -> None:
        """Let it show what model and data hold now."""
        ...


class WorldShow:
    """Plays sampled worlds under the chirp, in the order of the preview.

    Attributes:
        model: of the world on show.
        data: its state.
    """

    def __init__(self, experiment: ExperimentConfig, seed: int, tell: Tell) -> None:
        """Prepare the first world.

        Args:
            experiment: whose worlds.
            seed: of them.
            tell: called with what is on show.
        """
        still = unmoved(experiment)
        self._contract = BatchEnv(still, 1, seed, threads=1).contract
        self._world, self._randomizer = excited_world(still, 1)
        assert isinstance(self._world.physics, MujocoPhysics)
        self._physics = self._world.physics
        self._seed, self._tell, self._wanted = seed, tell, 0
        self.model = copy.copy(self._physics.model)
        self.data = mujoco.MjData(self.model)

    def press(self, key: int) -> None:
        """Take note of a key; the window's own thread calls this."""
        if key == NEXT_WORLD:
            self._wanted += 1

    def play(self, window: Window) -> None:
        """Show one world after the other in real time, until the window is closed."""
        while window.is_running():
            number = self._wanted
            random = EpisodeRandom(episode_seed(self._seed, np.array([number])))
            values = self._randomizer.draw(random).values
            named = self._randomizer.named(values[0])
            self._tell(f"world {number}: " + ", ".join(f"{k} {v:.4g}" for k, v in named.items()))
            while window.is_running() and number == self._wanted:
                self._randomizer.apply(np.zeros(1, dtype=np.int64), values)
                self._play_once(window, random, number)

    def _play_once(self, window: Window, random: EpisodeRandom, number: int) -> None:
        began = time.monotonic()
        for step in steps_of_chirp(self._world, self._contract, random):
            if not window.is_running() or number != self._wanted:
                return
            with window.lock():
                self._physics.copy_simulation(0, self.model, self.data)
                mujoco.mj_kinematics(self.model, self.data)
            window.sync()
            ahead = began + step / self._contract.control_rate - time.monotonic()
            time.sleep(max(0.0, ahead))


def view_worlds(experiment: ExperimentConfig, seed: int, tell: Tell) -> None:
    """Open MuJoCo's window on sampled worlds; Enter draws the next. A pull with the mouse has no effect.

    Args:
        experiment: whose worlds.
        seed: of them.
        tell: called with what is on show.

    Raises:
        UserError: there is no screen, or Python cannot open a window on it.
    """
    refuse_without_screen()
    from mujoco import viewer

    show = WorldShow(experiment, seed, tell)
    try:
        window = viewer.launch_passive(show.model, show.data, key_callback=show.press)
    except RuntimeError as error:  # on macOS only MuJoCo's own launcher, mjpython, may open it
        raise UserError(
            f"--viewer: {error}; there: mjpython $(which simreal) preview ... --viewer"
        ) from None
    tell("Enter: the next world. Close the window to end.")
    with window:
        show.play(window)


def refuse_without_screen() -> None:
    """Raise a `UserError` where no window can be opened: MuJoCo itself would wait for it for ever."""
    if sys.platform == "darwin":
        return  # there it must be asked for on the main thread, which is MuJoCo's affair
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        usable = glfw.init()
    if not usable:
        reason = "; ".join(str(warning.message) for warning in caught) or "GLFW does not start"
        raise UserError(
            f"--viewer needs a screen, and there is none ({reason}). "
            "Without --viewer, a page with pictures is written"
        )
    glfw.terminate()
