"""What the cameras of many simulations give at each control step, with their rate and latency.

A frame shows where everything was when it was taken, to the physics step: what the physics went through
is remembered as far back as the oldest frame that may still come.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simreal.cameras.posed import Posed
from simreal.contract import CameraTerm
from simreal.episode_random import EpisodeRandom
from simreal.errors import UserError, missing_extra
from simreal.images import ImagePipeline
from simreal.physics.mujoco_engine import MujocoPhysics
from simreal.randomization.world import World
from simreal.state import Ids

if TYPE_CHECKING:
    from simreal.cameras.ray_cast import RayCaster

ROUNDING = 1e-6
"""Of a frame: one that comes so little after a control step is there in time."""


class Sight:
    """The cameras of a policy in `count` simulations.

    Attributes:
        pipeline: what the policies see.
    """

    def __init__(
        self,
        cameras: Sequence[CameraTerm],
        world: World,
        control_rate: float,
        longest_latency: float,
        threads: int,
    ) -> None:
        """Prepare.

        Args:
            cameras: of the policy.
            world: what they see.
            control_rate: Hz.
            longest_latency: s, that randomization adds at most.
            threads: 0 for every processor.

        Raises:
            UserError: a camera that the model does not have, one faster than the control, or an engine
                whose simulations cannot be drawn.
        """
        physics = world.physics
        if not isinstance(physics, MujocoPhysics):
            raise UserError("cameras: only simulations of MuJoCo can be drawn: engine: mujoco")
        self._world, self._physics, self._rate = world, physics, control_rate
        self.pipeline = ImagePipeline(cameras, (physics.count,))
        self._posed = Posed(physics, threads)
        self._eyes = [(term, _ray_caster(self._posed, term, threads)) for term in cameras]
        for term in cameras:
            if term.rate is not None and term.rate > control_rate * (1.0 + ROUNDING):
                raise UserError(
                    f"camera {term.name}: rate of {term.rate:g} Hz above the control rate of "
                    f"{control_rate:g} Hz: leave rate out"
                )
        oldest = max(1e-3 * term.latency_ms + 1.0 / (term.rate or control_rate) for term in cameras)
        steps = 1 + int(np.ceil((oldest + longest_latency) * control_rate))
        self._past = np.zeros((physics.count, steps * physics.substeps + 1, physics.model.nq))
        self._newest = {term.name: np.zeros(physics.count, np.int64) for term in cameras}

    def begin(self, ids: Ids, random: EpisodeRandom) -> None:
        """Take the first frames of new episodes in some simulations.

        Args:
            ids: which.
            random: of these episodes.
        """
        self._past[ids] = self._physics.configuration[ids, None]
        for term, eye in self._eyes:
            self._newest[term.name][ids] = 0
            age = np.zeros(len(ids), np.int64)
            self.pipeline.begin(term.name, self._frames(term, eye, ids, age, random, 0), ids)

    def see(self, random: EpisodeRandom, elapsed: NDArray[np.int64]) -> None:
        """Take what frames there are after a control step.

        Args:
            random: of the episodes.
            elapsed: (count,) control steps since each began.
        """
        trace = self._physics.configuration_trace
        kept = self._past.shape[1] - trace.shape[1]
        self._past[:, :kept] = self._past[:, trace.shape[1] :].copy()
        self._past[:, kept:] = trace
        for term, eye in self._eyes:
            number, age = self._due(term, elapsed)
            ids = np.flatnonzero(number > self._newest[term.name])
            if ids.size:
                self._newest[term.name][ids] = number[ids]
                drawn = EpisodeRandom(random.seeds[ids])
                frames = self._frames(term, eye, ids, age[ids], drawn, number[ids])
                self.pipeline.push(term.name, frames, ids)

    def _due(self, term: CameraTerm, elapsed: NDArray[np.int64]) -> tuple[NDArray[np.int64], Ids]:
        """Number of the newest frame that has come in each simulation, and its age in physics steps."""
        rate = term.rate or self._rate
        late = 1e-3 * term.latency_ms + self._world.camera.latency
        now = elapsed / self._rate
        number = np.maximum(0, np.floor((now - late) * rate + ROUNDING)).astype(np.int64)
        # Of a camera that follows the control, each step brings a frame, of the state so long ago.
        taken = now - late if term.rate is None else number / rate
        number = elapsed if term.rate is None else number
        age = np.rint((now - np.maximum(taken, 0.0)) / self._physics.timestep).astype(np.int64)
        return number, np.minimum(age, self._past.shape[1] - 1)

    def _frames(
        self,
        term: CameraTerm,
        eye: "RayCaster",
        ids: Ids,
        age: Ids,
        random: EpisodeRandom,
        number: NDArray[np.int64] | int,
    ) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Frames as cameras give them, of simulations as they stood some physics steps ago."""
        self._posed.pose(ids, self._past[ids, self._past.shape[1] - 1 - age])
        if term.kind == "depth":
            return eye.depth(ids)
        frame = term.native_height, term.native_width
        return self._world.camera.apply(eye.colour(ids), random, number, term.name, ids, frame)


def _ray_caster(posed: Posed, term: CameraTerm, threads: int) -> "RayCaster":
    try:
        from simreal.cameras.ray_cast import RayCaster
    except ModuleNotFoundError as error:
        raise missing_extra(str(error.name), "train") from None
    return RayCaster(posed, term.name, term.width, term.height, threads)
