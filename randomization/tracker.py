"""What stands between true poses of objects and what a camera or a tracker reports of them."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom
from simreal.randomization.delay_line import DelayLine
from simreal.randomization.device import Device
from simreal.randomization.objects import find_objects
from simreal.randomization.quantities import Quantities
from simreal.rotations import multiply, small_rotation
from simreal.state import POSE, FloatArray, Ids

PLACE, ORIENTATION = slice(0, 3), slice(3, 7)


def tracked_objects(model: mujoco.MjModel) -> tuple[str, ...]:
    """Names of the loose objects that a tracker sees.

    Those are the ones with two sensors in their model: NAME_position (framepos) and NAME_orientation
    (framequat), of the body's frame (xbody) in the world's.
    """
    names = [model.body(each.body).name for each in find_objects(model)]
    sensors = {model.sensor(index).name for index in range(model.nsensor)}
    return tuple(name for name in names if {f"{name}_position", f"{name}_orientation"} <= sensors)


def tracker_defaults() -> dict[str, FloatArray]:
    """The quantities of `Tracker` where nothing is randomized.

    ``tracker_bias`` m, constant error of all places, as of a calibration of the camera to the robot;
    ``tracker_noise`` m, and ``tracker_turn_noise`` rad, standard deviations of white noise of each
    reading; all along the axes of the world, (3,).
    """
    return {name: np.zeros(3) for name in ("tracker_bias", "tracker_noise", "tracker_turn_noise")}


class Tracker(Device):
    """Poses of objects around `count` simulated robots, in the frame of the robots' base.

    The errors of one reading hold for a control step: whatever watches is not faster than that.
    """

    def __init__(self, quantities: Quantities, count: int, objects: int, longest: int) -> None:
        """Make an ideal one.

        Args:
            quantities: live values of `tracker_defaults`.
            count: number of simulations.
            objects: that are watched.
            longest: physics steps back to the oldest reading that will be asked for.
        """
        super().__init__(DelayLine(longest, 1, POSE * objects, count))
        self._quantities = quantities
        self._objects = objects

    def reset(self, ids: Ids, truth: FloatArray, random: EpisodeRandom) -> None:
        """Begin episodes at (len(ids), objects, 7) true poses; see the base class."""
        start = np.zeros(len(ids), dtype=np.int64)
        first = self._measure(truth[:, None], random, start, ids)
        self._line.fill(ids, first.reshape(len(ids), -1).T[None])

    def advance(self, truth: FloatArray, random: EpisodeRandom, step: NDArray[np.integer]) -> None:
        """Take in (count, substeps, objects, 7) true poses; see the base class."""
        measured = self._measure(truth, random, step, np.arange(len(truth)))
        flat = measured.reshape(*measured.shape[:2], -1)
        self._line.push(flat.transpose(1, 2, 0)[:, None])

    def read(self, age: NDArray[np.int64] | None) -> dict[str, FloatArray]:
        """Poses of the objects; see the base class."""
        reading = self._line.read(age)[0].T
        return {"object_pose": reading.reshape(len(reading), self._objects, POSE)}

    def _measure(
        self, true: FloatArray, random: EpisodeRandom, step: NDArray[np.integer], ids: Ids
    ) -> FloatArray:
        """(n, substeps, objects, 7) poses with their errors."""
        values = self._quantities.get
        measured = true.copy()
        if (bias := values("tracker_bias")) is not None:
            measured[..., PLACE] += bias[ids, None, None]
        if (noise := values("tracker_noise")) is not None:
            measured[..., PLACE] += self._noise("tracker_noise", noise[ids], random, step)
        if (noise := values("tracker_turn_noise")) is not None:
            error = small_rotation(self._noise("tracker_turn_noise", noise[ids], random, step))
            measured[..., ORIENTATION] = multiply(error, true[..., ORIENTATION])
        return measured

    def _noise(
        self, name: str, deviation: FloatArray, random: EpisodeRandom, step: NDArray[np.integer]
    ) -> FloatArray:
        """(n, 1, objects, 3) errors of a control step."""
        normal = random.normal(name, 3 * self._objects, step).reshape(-1, 1, self._objects, 3)
        error: FloatArray = deviation[:, None, None] * normal
        return error
