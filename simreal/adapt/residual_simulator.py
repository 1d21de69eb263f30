"""Predicts windows of logs as `Simulator` does, with a residual model in every control step."""

from collections.abc import Sequence

import mujoco
import numpy as np

from simreal.episode_random import EpisodeRandom
from simreal.errors import UserError
from simreal.identification.recording import Recording
from simreal.identification.simulator import Setup, Simulator
from simreal.identification.unknowns import Asked
from simreal.identification.windows import Windows
from simreal.physics.interface import Start
from simreal.physics.mujoco_engine import MujocoPhysics
from simreal.randomization.residual import Residual, ResidualModel
from simreal.randomization.world import World
from simreal.state import FloatArray


class ResidualSimulator(Simulator):
    """A `Simulator` whose robots have a residual model, if one is given.

    The model acts once in each of its control steps, as in training, so that a window is simulated one
    control step after the other.
    """

    def __init__(
        self,
        setup: Setup,
        windows: Windows,
        asked: Sequence[Asked],
        model: ResidualModel | None = None,
    ) -> None:
        """Resolve names against the robot.

        Raises:
            UserError: names that do not fit the robot, or a residual whose control step is no whole
                number of physics steps.
        """
        super().__init__(setup, windows, asked)
        self._model = model
        self._control_steps = 1
        if model is not None:
            whole = round(model.period / self.timestep)
            if whole < 1 or abs(whole * self.timestep / model.period - 1.0) > 1e-6:
                raise UserError(
                    f"residual: its control step of {1e3 * model.period:g} ms is no whole number of "
                    f"physics steps of {1e3 * self.timestep:g} ms"
                )
            self._control_steps = whole

    def accelerations(
        self, values: FloatArray, state: FloatArray
    ) -> tuple[FloatArray, mujoco.MjModel, mujoco.MjData]:
        """Mean accelerations over whole windows, which are short.

        Args:
            values: (unknowns,).
            state: (windows, 2, joints) true positions and velocities at their starts.

        Returns:
            (windows, joints) rad/s² or m/s², and the model as these values have it, with its data.
        """
        world, _ = self._begin(values[None], state, self._steps)
        world.actuation.play(self._commands(world, 1))
        physics = world.physics
        assert isinstance(physics, MujocoPhysics)
        change = physics.velocity_trace[:, -1] - state[:, 1]
        change[physics.diverged] = np.nan
        model = physics.model
        data = mujoco.MjData(model)
        physics.copy_simulation(0, model, data)
        return change / (self._steps * self.timestep), model, data

    def _begin(self, values: FloatArray, state: FloatArray, steps: int) -> tuple[World, EpisodeRandom]:
        """A world of candidates times windows at their starts, with so many physics steps at once."""
        whole, self._steps = self._steps, steps
        try:
            world, randomizer = self._world(len(state))
        finally:
            self._steps = whole
        ids, random = np.arange(len(state)), EpisodeRandom(np.zeros(len(state), dtype=np.uint64))
        randomizer.apply(ids, self._drawn(values, randomizer))
        nothing = np.zeros((len(state), len(world.robot.actuators)))
        true = self._true_start(world, state)
        world.physics.reset(ids, Start(true[:, 0], true[:, 1]), nothing)
        world.actuation.reset(ids, true[:, 1], nothing, random)
        return world, random

    def _predict(self, values: FloatArray, starts: FloatArray) -> FloatArray:
        if self._model is None:
            return super()._predict(values, starts)
        candidates = len(values)
        state = np.ascontiguousarray(starts).reshape(-1, *starts.shape[2:])
        world, random = self._begin(values, state, self._control_steps)
        residual = Residual(self._model, world.robot, world.physics)
        self._remember_past(residual, self._model, state, candidates)
        arriving, sent = self._commands(world, candidates), self._sent(candidates)
        positions, velocities = [], []
        for first in range(0, self._steps, self._control_steps):
            part = arriving[first : first + self._control_steps]
            rest = self._control_steps - len(part)
            part = np.concatenate((part, np.repeat(part[-1:], rest, axis=0))) if rest else part
            residual.advance(sent[first])
            world.actuation.play(part)
            positions.append(world.physics.position_trace.copy())
            velocities.append(world.physics.velocity_trace.copy())
        whole = [np.concatenate(each, axis=1)[:, : self._steps] for each in (positions, velocities)]
        trace = self._read_trace(world, state, whole[0], whole[1], random)
        trace[:, world.physics.diverged] = np.nan
        return self._sampled(world, trace, candidates)

    def _remember_past(
        self, residual: Residual, model: ResidualModel, state: FloatArray, candidates: int
    ) -> None:
        """What was sent before the windows is known; the robot is taken to have moved evenly."""
        before: FloatArray = -model.period * np.arange(1, model.history, dtype=np.float64)
        sent = self._sent(candidates, before)  # (history - 1, count, actuators)
        position, velocity = state[:, 0], state[:, 1]
        signals = [
            model.signal(row, position + age * velocity) for row, age in zip(sent, before, strict=True)
        ]
        past = np.repeat(velocity[:, None], len(before), axis=1)
        residual.remember(past, np.stack(signals, axis=1))

    def _sent(self, candidates: int, edges: FloatArray | None = None) -> FloatArray:
        """(steps, count, actuators) commands that have been sent when each physics step begins.

        Args:
            candidates: for which they are the same.
            edges: (steps,) s from the windows' starts, of other moments.
        """
        windows = self.windows
        if edges is None:
            edges = self.timestep * np.arange(self._steps, dtype=np.float64)
        each = [
            sent_commands(windows.recordings[source], start + edges)
            for source, start in zip(windows.source, windows.start, strict=True)
        ]
        return np.tile(np.stack(each, axis=1), (1, candidates, 1))

    def _read_trace(
        self,
        world: World,
        reported: FloatArray,
        position: FloatArray,
        velocity: FloatArray,
        random: EpisodeRandom,
    ) -> FloatArray:
        before = reported
        if self.windows.start_reported is not None:
            copies = len(reported) // len(self.windows)
            start = np.tile(self.windows.start_reported, (copies, 1))
            before = np.stack((reported[:, 0], start), axis=1)
        after = world.sensing.trace(position, velocity, before, random)
        return np.concatenate((before.transpose(1, 0, 2)[:, :, None], after), axis=2)


def sent_commands(recording: Recording, time: FloatArray) -> FloatArray:
    """(n, actuators) the last command that had been sent at each time; before all, the first."""
    held = np.searchsorted(recording.command_time, time + 1e-9, side="right") - 1
    commands: FloatArray = recording.command[np.maximum(held, 0)]
    return commands
