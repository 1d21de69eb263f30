"""The way of a command from the controller to the actuator: latency, jitter, loss, dead zone."""

import math

import numpy as np
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom, stream_keys
from simreal.randomization.drives import Drives
from simreal.state import FloatArray, Ids

CHANCES = {
    "drop_probability": "command drop",
    "latency_jitter": "action latency jitter",
    "control_jitter": "control jitter",
}
"""Quantities that act by chance, and their streams of random numbers."""
STREAMS = stream_keys(list(CHANCES.values()))
Steps = NDArray[np.integer]

DELAY_MARGIN = 1e-6
"""s, taken off each action latency. One of exactly n physics steps would act as n or as n + 1, as the
simulated clock rounds, and change over within an episode."""


class CommandChannel:
    """Delivers commands to the actuators of `count` simulated robots.

    The delay itself is the engine's, `actuator_delay`, in whole physics steps, rounded up. With a jitter
    it is set anew at each control step. A command that is on its way never overtakes an older one, and
    once it is in force, an older one never comes back: where a latency grows from one step to the next,
    it grows only as far as the last command stays in force.

    Its quantities:
        ``latency`` (count, 1) s, from a command to its force.
        ``latency_jitter`` (count, 1) s: each command is later by a uniform share of it.
        ``drop_probability`` (count, 1), with which a command is lost: the one before stays in force.
        ``control_jitter`` (count, 1) s: each tick of the controller comes early by a uniform share of
        it, so that its command acts so much earlier, but never before the nominal tick.
        ``dead_zone`` (count, actuators) V, N·m, rad: a smaller command does nothing. A servo has it in
        its position error instead: see `Motor`.
    """

    def __init__(self, drives: Drives) -> None:
        """Deliver at once and everything."""
        model = drives.physics.model
        self._drives = drives
        self._count = drives.physics.count
        size = len(drives.names)
        drives.quantities.defaults |= {
            "latency": model.actuator_delay[:1].astype(np.float64),
            "latency_jitter": np.zeros(1),
            "drop_probability": np.zeros(1),
            "control_jitter": np.zeros(1),
            "dead_zone": np.zeros(size),
        }
        drives.state.defaults |= {
            "received": np.zeros(size),  # the last command that was not lost
            "delay": self._steps(drives.quantities.defaults["latency"]),  # physics steps
        }
        self._size = size
        self._sent: FloatArray | None = None  # (control steps, count, actuators), the newest first
        self._in_force: FloatArray | None = None

    def settle(self, ids: Ids) -> None:
        """Let commands of some simulations take as long as their latency."""
        if self._drives.exists("latency", "latency_jitter", "control_jitter"):
            self._write(ids, self._steps(self._drives.quantities.of("latency", ids)))

    def _steps(self, latency: FloatArray) -> FloatArray:
        """Whole physics steps of a latency in s."""
        return np.ceil(np.maximum(latency - DELAY_MARGIN, 0.0) / self._drives.physics.timestep)

    def _write(self, ids: Ids | slice, delay: FloatArray) -> None:
        self._drives.state["delay"][ids] = delay
        seconds = np.maximum(delay * self._drives.physics.timestep - DELAY_MARGIN, 0.0)
        self._drives.physics.field("actuator_delay")[ids] = seconds

    def remember(self) -> None:
        """Keep the commands that are on their way, from now on."""
        if self._sent is None:
            physics = self._drives.physics
            longest = max(int(physics.model.actuator_history[:, 0].max(initial=1)) - 1, 0)
            control_steps = math.ceil(longest / physics.substeps) + 1
            self._sent = np.zeros((control_steps, self._count, self._size))

    def reset(self, ids: Ids, target: FloatArray) -> None:
        """Begin episodes: (len(ids), actuators) commands that were given before."""
        if self._drives.exists("drop_probability"):
            self._drives.state["received"][ids] = target
        if self._sent is not None:
            self._sent[:, ids] = self._within_range(self._beyond_dead_zone(target, ids))

    def take(self, ids: Ids, source: "CommandChannel", rows: Ids) -> None:
        """Go on in some simulations as others would, whose drives have been taken."""
        if source._sent is not None:
            self.remember()
            assert self._sent is not None
            self._sent[:, ids] = source._sent[:, rows]

    def early(
        self, random: EpisodeRandom, step: Steps | int, ids: Ids | slice = slice(None)
    ) -> FloatArray | None:
        """(n,) s, by which the tick that gives a command comes early; None where none does.

        Args:
            random: of n episodes.
            step: (n,) or one number, of the command, from 1.
            ids: their simulations.
        """
        jitter = self._drives.quantities.get("control_jitter")
        if jitter is None:
            return None
        early: FloatArray = random.uniform(CHANCES["control_jitter"], 1, step)[:, 0] * jitter[ids, 0]
        return early

    def send(self, target: FloatArray, random: EpisodeRandom, step: Steps) -> FloatArray:
        """Take commands from the controllers.

        Args:
            target: (count, actuators).
            random: of the episodes.
            step: (count,) commands since each episode began, from 1.

        Returns:
            (count, actuators) what reaches the robots, after their latency.
        """
        if self._drives.exists(*CHANCES):
            chance = dict(zip(CHANCES, random.uniform_of_each(STREAMS, step).T, strict=True))
            drop = self._drives.quantities.get("drop_probability")
            if drop is not None:
                received = self._drives.state["received"]
                np.copyto(received, target, where=chance["drop_probability"][:, None] >= drop)
                target = received.copy()
            self._vary_delay(chance)
        target = self._beyond_dead_zone(target)
        if self._sent is not None:
            self._sent[1:] = self._sent[:-1].copy()
            self._sent[0] = self._within_range(target)
            self._in_force = self._arrived(self._sent)
        return target

    def play(self, recorded: FloatArray) -> FloatArray:
        """(substeps, count, actuators) what dead zones and ranges leave of commands as they arrive."""
        self._in_force = self._within_range(self._beyond_dead_zone(recorded))
        return self._in_force

    def _arrived(self, sent: FloatArray) -> FloatArray:
        """(substeps, count, actuators) what has arrived at each physics step of this control step."""
        delay, substeps = self._drives.state["delay"][:, 0], self._drives.physics.substeps
        late = np.ceil((delay - np.arange(substeps)[:, None]) / substeps)
        arrived: FloatArray = sent[np.maximum(late, 0.0).astype(np.int64), np.arange(self._count)]
        return arrived

    def _within_range(self, target: FloatArray) -> FloatArray:
        lowest, highest = self._drives.command_range
        clipped: FloatArray = np.minimum(np.maximum(target, lowest), highest)
        return clipped

    def _beyond_dead_zone(self, target: FloatArray, ids: Ids | slice = slice(None)) -> FloatArray:
        zone = self._drives.quantities.get("dead_zone")
        if zone is None:
            return target
        nothing = (np.abs(target) < zone[ids]) & ~self._drives.servo
        return np.where(nothing, 0.0, target)

    def _vary_delay(self, chance: dict[str, FloatArray]) -> None:
        """Delay this control step's commands by chance, (count,) of each quantity from 0 to 1."""
        jitters = {
            name: self._drives.quantities.get(name) for name in ("latency_jitter", "control_jitter")
        }
        late, early = (
            None if jitter is None else chance[name][:, None] * jitter
            for name, jitter in jitters.items()
        )
        if late is None and early is None:
            return
        latency = self._drives.quantities.of("latency")
        if late is not None:
            latency = latency + late
        if early is not None:
            latency = latency - early
        # Physics steps back to the control step whose command was in force last.
        substeps, before = self._drives.physics.substeps, self._drives.state["delay"]
        oldest = substeps * np.ceil((1.0 + before) / substeps)
        self._write(slice(None), np.minimum(self._steps(latency), oldest))

    @property
    def in_force(self) -> FloatArray:
        """(substeps, count, actuators) commands that the actuators obey after a `send`."""
        assert self._in_force is not None, "nobody has asked to remember"
        return self._in_force
