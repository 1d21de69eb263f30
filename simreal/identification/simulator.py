"""Rolls windows of logs out for many candidate robots at once: one simulation for each pair."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal import latencies
from simreal.column_names import parameter_of, split_column
from simreal.episode_random import EpisodeRandom
from simreal.errors import UserError
from simreal.identification.recording import Recording
from simreal.identification.unknowns import (
    Asked,
    Unknown,
    each_part,
    held_entries,
    resolve,
    specification,
)
from simreal.identification.windows import Windows
from simreal.physics.interface import Start
from simreal.physics.mujoco_engine import MujocoPhysics
from simreal.randomization.build import build_world
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import ParameterConfig
from simreal.randomization.world import World
from simreal.robots import Robot
from simreal.state import FloatArray

MOST_NUMBERS = 4e7
"""Of a trace in memory; more candidates than fit are simulated in turns."""
ROUNDING = 0.05
"""Share by which time stamps may come sooner than the physics steps."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How a robot stood while it was recorded.

    Attributes:
        robot: which.
        fixed_base: whether its base was held, as on a stand.
        timestep: s of the physics; the model's if absent.
        held: parameters that are known, by name, absolute: the gains that a controller was given.
    """

    robot: Robot
    fixed_base: bool = False
    timestep: float | None = None
    held: Mapping[str, float] | None = None

    def edit(self, spec: mujoco.MjSpec) -> None:
        """Change the robot's model accordingly."""
        if self.timestep is not None:
            spec.option.timestep = self.timestep
        if self.fixed_base:
            free = [each for each in spec.joints if each.type == mujoco.mjtJoint.mjJNT_FREE]
            if not free:
                raise UserError(f"robot {self.robot.name}: has no free base that could be fixed")
            # A keyframe holds the free joint's coordinates, too.
            for part in [*free, *spec.keys]:
                spec.delete(part)

    def compiled(self) -> mujoco.MjModel:
        """The robot's model, as it stood."""
        physics = self.world(1, {}).physics
        assert isinstance(physics, MujocoPhysics)
        return physics.model

    def world(self, count: int, entries: Mapping[str, ParameterConfig], steps: int = 1) -> World:
        """`count` simulations whose control step is so many physics steps."""
        timestep = self.timestep or mujoco.MjSpec.from_file(str(self.robot.model_path)).option.timestep
        rate = 1.0 / (steps * timestep)
        # Latencies act on the recording, not in the engine: its histories hold none.
        immediate = {
            name: each
            for name, each in entries.items()
            if parameter_of(each.parameter or name) not in latencies.ALL
        }
        # An encoder's steps would make predictions rough, and say nothing.
        sensing = self.robot.config.sensing.model_copy(update={"encoder_resolution": 0.0})
        robot = Robot(self.robot.config.model_copy(update={"sensing": sensing}), self.robot.model_path)
        return build_world(robot, count, immediate, {}, rate, scene=self.edit)


def _refuse_unpredictable(setup: Setup, bare: World, windows: Windows) -> None:
    if bare.physics.free_bodies:
        raise UserError(
            f"robot {setup.robot.name}: has a free base, and no log of its joints tells how that moved; "
            "log it with the base held, as on a stand, and give --fixed-base"
        )
    period = float(np.median(np.diff(windows.time, axis=1)[windows.valid[:, 1:]]))
    if setup.timestep is not None and setup.timestep > period * (1.0 + ROUNDING):
        raise UserError(
            f"robot {setup.robot.name}: physics steps of {setup.timestep:g} s are longer than "
            f"the {period:.4g} s between measurements; nearest: --timestep {period:.4g}"
        )


class Simulator:
    """Predicts what the sensors would have read in each window, for any values of the unknowns.

    The simulated robots are those of training: the same model, randomizer, actuators and encoders. Only
    the way of a command differs: a recording says when each was sent, so that a latency shifts it by
    any fraction of a physics step, and acts as the mean over that step. So predictions are smooth in
    the latencies, and derivatives exist.

    Attributes:
        setup: of the robot.
        windows: that are predicted.
        unknowns: in the order of candidates' columns.
        acts_on: (unknowns, windows) which windows each one acts on.
        timestep: s.
    """

    def __init__(
        self, setup: Setup, windows: Windows, asked: Sequence[Asked], by_part: bool = False
    ) -> None:
        """Resolve names against the robot.

        Args:
            setup: of the robot.
            windows: to predict.
            asked: the unknowns.
            by_part: whether those that vary are one for each group of the windows' recordings, or for
                each of these; else a value holds for all windows.

        Raises:
            UserError: names that do not fit the robot, a base that is free, or a timestep that is
                coarser than the measurements.
        """
        self.setup, self.windows = setup, windows
        self._held = held_entries(setup.held or {})
        bare = setup.world(1, {})
        self.timestep = bare.physics.timestep
        _refuse_unpredictable(setup, bare, windows)
        Randomizer(self._held, bare)  # refuses what the robot does not have
        self.unknowns: list[Unknown] = resolve(asked, bare)
        if by_part:
            self.unknowns = each_part(self.unknowns, windows.recordings)
        self.acts_on = self._acting()
        self._entries = self._held | specification(self.unknowns)
        self._steps = int(np.ceil(windows.length / self.timestep - 1e-9))
        self._worlds: dict[int, tuple[World, Randomizer]] = {}
        self._tables = [_CommandTable(recording) for recording in windows.recordings]
        self._played: dict[bytes, FloatArray] = {}

    @property
    def names(self) -> list[str]:
        """Of the unknowns."""
        return [unknown.label for unknown in self.unknowns]

    def _acting(self) -> NDArray[np.bool_]:
        windows = self.windows
        acts = np.ones((len(self.unknowns), len(windows)), dtype=bool)
        for place, unknown in enumerate(self.unknowns):
            if unknown.varies is not None and unknown.part is not None:
                own = [each.part(unknown.varies) == unknown.part for each in windows.recordings]
                acts[place] = np.array(own)[windows.source]
        return acts

    def predict(self, values: FloatArray, starts: FloatArray | None = None) -> FloatArray:
        """Simulate all windows for some candidates.

        Args:
            values: (candidates, unknowns).
            starts: (candidates, windows, 2, joints) positions and velocities; those measured if absent.

        Returns:
            (candidates, windows, samples, 2, joints) positions and velocities as the sensors read them
            at the times of the measurements. Not a number where a simulation has diverged.
        """
        windows = self.windows
        if starts is None:
            starts = np.broadcast_to(windows.start_state, (len(values), *windows.start_state.shape))
        size = self._steps * len(windows) * 6 * windows.position.shape[2]
        most = max(1, int(MOST_NUMBERS // size))
        if len(values) <= most:
            return self._predict(values, starts)
        parts = [
            self._predict(values[first : first + most], starts[first : first + most])
            for first in range(0, len(values), most)
        ]
        return np.concatenate(parts)

    def _predict(self, values: FloatArray, starts: FloatArray) -> FloatArray:
        candidates, count = len(values), len(values) * len(self.windows)
        world, randomizer = self._world(count)
        ids, random = np.arange(count), EpisodeRandom(np.zeros(count, dtype=np.uint64))
        randomizer.apply(ids, self._drawn(values, randomizer))
        state = np.ascontiguousarray(starts).reshape(count, *starts.shape[2:])
        physics = world.physics
        actuators = len(world.robot.actuators)
        # Where a sensor has an error, the true start is what makes it read what was read.
        true = self._true_start(world, state)
        physics.reset(ids, Start(true[:, 0], true[:, 1]), np.zeros((count, actuators)))
        world.actuation.reset(ids, true[:, 1], np.zeros((count, actuators)), random)
        world.actuation.play(self._commands(world, candidates))
        trace = self._readings(world, state, true, random)
        trace[:, physics.diverged] = np.nan
        return self._sampled(world, trace, candidates)

    def _world(self, count: int) -> tuple[World, Randomizer]:
        if count not in self._worlds:
            if len(self._worlds) >= 3:
                self._worlds.pop(next(iter(self._worlds)))
            world = self.setup.world(count, self._entries, self._steps)
            self._worlds[count] = world, Randomizer(self._entries, world)
        return self._worlds[count]

    def _drawn(self, values: FloatArray, randomizer: Randomizer) -> FloatArray:
        """(count, columns) what the randomizer is given: one value for all parts of an unknown."""
        drawn = np.zeros((len(values), len(self.windows), len(randomizer.columns)))
        drawn[:] = [float(low) for low in randomizer.space.low]  # of what is held
        for place, unknown in enumerate(self.unknowns):
            own = self.acts_on[place]
            for column in unknown.columns:
                # An entry for one part is labelled by itself, with the part behind it once more.
                drawn[:, own, _column(randomizer, column)] = values[:, [place]]
        return drawn.reshape(len(values) * len(self.windows), len(randomizer.columns))

    def _true_start(self, world: World, reported: FloatArray) -> FloatArray:
        true = reported.copy()
        quantities = world.sensing.quantities
        if (bias := quantities.get("bias")) is not None:
            true[:, 0] -= bias
        if (scale := quantities.get("scale")) is not None:
            true /= scale[:, None]
        age = world.sensing.joint_age
        true[:, 0] += age * true[:, 1]  # it has gone on since
        return true

    def _commands(self, world: World, candidates: int) -> FloatArray:
        """(steps, count, actuators) mean command in each physics step."""
        latency = world.actuation.latency[:, 0]
        if len(latency) > 1:
            latency = latency[:: len(self.windows)]
        distinct, index = np.unique(latency, return_inverse=True)
        if len(distinct) == 1:
            one = self._arriving(float(distinct[0]), keep=True)
            return np.tile(one, (1, candidates, 1))
        each = np.stack([self._arriving(float(late)) for late in distinct], axis=1)
        return each[:, index].reshape(self._steps, -1, each.shape[-1])

    def _arriving(self, latency: float, keep: bool = False) -> FloatArray:
        """(steps, windows, actuators) with one latency in s."""
        key = np.float64(latency).tobytes()
        if key in self._played:
            return self._played[key]
        edges = self.timestep * np.arange(self._steps + 1) - latency
        windows = self.windows
        result = np.stack(
            [
                self._tables[source].mean(start + edges)
                for source, start in zip(windows.source, windows.start, strict=True)
            ],
            axis=1,
        )
        if keep:
            self._played = {key: result}
        return result

    def _readings(
        self, world: World, reported: FloatArray, true: FloatArray, random: EpisodeRandom
    ) -> FloatArray:
        """(2, count, steps + 1, joints) what the encoders read, the start before all steps."""
        physics = world.physics
        assert isinstance(physics, MujocoPhysics)
        before = reported
        if self.windows.start_reported is not None:
            copies = len(reported) // len(self.windows)
            velocity = np.tile(self.windows.start_reported, (copies, 1))
            before = np.stack((reported[:, 0], velocity), axis=1)
        after = world.sensing.trace(physics.position_trace, physics.velocity_trace, before, random)
        return np.concatenate((before.transpose(1, 0, 2)[:, :, None], after), axis=2)

    def _sampled(self, world: World, trace: FloatArray, candidates: int) -> FloatArray:
        """Readings at the times of the measurements, (candidates, windows, samples, 2, joints)."""
        shape = (candidates, *self.windows.time.shape)
        age = world.sensing.joint_age / self.timestep
        at = np.tile(self.windows.time, (candidates, 1)) / self.timestep
        joints = trace.shape[-1]
        late = age.any()
        columns = [at - age[:, [joint % age.shape[1]]] if late else at for joint in range(joints)]
        result = np.empty((candidates * len(self.windows), at.shape[1], 2, joints))
        rows = np.arange(len(result))[:, None]
        for joint in range(joints):
            place = np.clip(columns[joint], 0.0, self._steps)
            first = np.minimum(place.astype(np.int64), self._steps - 1)
            share = place - first
            for kind in range(2):
                values = trace[kind, :, :, joint]
                left, right = values[rows, first], values[rows, first + 1]
                result[:, :, kind, joint] = left + share * (right - left)
        return result.reshape(*shape, 2, joints)


def _column(randomizer: Randomizer, name: str) -> int:
    """Place of a part's value among those that the randomizer draws."""
    parameter, part = split_column(name)
    label = f"{name}[{part}]" if part else parameter
    return randomizer.columns.index(label)


class _CommandTable:
    """The integral of the commands of a recording, from which means over any time follow."""

    def __init__(self, recording: Recording) -> None:
        time, command = recording.command_time, recording.command
        steps = np.diff(time)[:, None] * command[:-1]
        self._time = time
        self._first, self._last = command[0], command[-1]
        self._integral = np.concatenate((np.zeros((1, command.shape[1])), np.cumsum(steps, axis=0)))

    def mean(self, edges: FloatArray) -> FloatArray:
        """(n, actuators) means between n + 1 edges, in s; the first command was there before all."""
        inside = np.clip(edges, self._time[0], self._time[-1])
        integral = np.stack([np.interp(inside, self._time, each) for each in self._integral.T], axis=1)
        integral += np.minimum(edges - self._time[0], 0.0)[:, None] * self._first
        integral += np.maximum(edges - self._time[-1], 0.0)[:, None] * self._last
        means: FloatArray = np.diff(integral, axis=0) / np.diff(edges)[:, None]
        return means
