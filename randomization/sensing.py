"""What stands between the true joint state and what a controller knows: sensors and transport."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom
from simreal.errors import UserError
from simreal.randomization.delay_line import DelayLine
from simreal.randomization.device import Device
from simreal.randomization.encoders import Encoders, encoder_defaults
from simreal.randomization.inertial_unit import InertialUnit, inertial_defaults
from simreal.randomization.quantities import Quantities
from simreal.randomization.tracker import Tracker, tracker_defaults
from simreal.robots.loader import SensingConfig
from simreal.state import FloatArray, Ids, RobotState

IMU, TRACKER = "imu", "tracker"
"""Devices beside the joints' encoders."""
NOTHING: Mapping[str, FloatArray] = {}

LONGEST_SENSOR_LATENCY = 1.0
"""s. A longer one would be a mistake of units more likely than a robot."""
SLOWEST_SENSOR_RATE = 1.0 / LONGEST_SENSOR_LATENCY
"""Hz, at which a reading is as old as the longest latency before the next one comes."""


class Sensing:
    """Joint sensors and IMU of `count` simulated robots, at the resolution of the physics step.

    True motion passes through `Encoders`, through an `InertialUnit` where the robot has one, and that of
    objects around it through a `Tracker`. Their readings are then taken at the sensors' rate, and reach
    the controller late, or not at all.

    Attributes:
        quantities: per simulation, written by randomization at each reset: those of
            `encoder_defaults`, each (count, joints), those of `inertial_defaults` and
            `tracker_defaults`, and
            ``latency`` (count, 1) s, from the motion to its arrival at the controller.
            ``joint_latency`` (count, joints) s, more of it in a joint's own sensor.
            ``imu_latency`` (count, 1) s, more of it in the IMU.
            ``tracker_latency`` (count, 1) s, more of it in the tracker.
            ``jitter`` (count, 1) s: each control step, all readings are older by up to that.
            ``rate`` (count, 1) Hz, of readings; in between, the last one holds.
            ``drop`` (count, joints) probability that a control step gets no reading of a joint: the
            one before stays in force.
    """

    def __init__(
        self,
        config: SensingConfig,
        count: int,
        joints: int,
        timestep: float,
        longest_latency: float = 0.0,
        objects: int = 0,
    ) -> None:
        """Make ideal sensors with the robot's encoder and velocity filter.

        Args:
            config: the robot's own sensing.
            count: number of simulations.
            joints: joints of each.
            timestep: s, of the physics.
            longest_latency: s, the age that a reading may reach: latencies, jitter, and the period of
                the sensors' rate.
            objects: that a tracker sees.

        Raises:
            UserError: an age beyond `LONGEST_SENSOR_LATENCY`.
        """
        if longest_latency > LONGEST_SENSOR_LATENCY:
            raise UserError(
                f"sensor latency of {longest_latency * 1e3:g} ms, with jitter and the time between "
                f"readings: at most {LONGEST_SENSOR_LATENCY * 1e3:g} ms can be simulated"
            )
        transport = {
            "latency": np.zeros(1),
            "joint_latency": np.zeros(joints),
            "imu_latency": np.zeros(1),
            "tracker_latency": np.zeros(1),
            "jitter": np.zeros(1),
            "rate": np.full(1, 1.0 / timestep),
            "drop": np.zeros(joints),
        }
        devices = encoder_defaults(config, joints) | inertial_defaults() | tracker_defaults()
        self.quantities = Quantities(count, devices | transport)
        self._encoders = Encoders(config, self.quantities, count, joints, timestep)
        longest = math.ceil(longest_latency / timestep)
        self._line = DelayLine(longest, 2, joints, count)
        self._beside: dict[str, Device] = {}
        if config.imu is not None:
            self._beside[IMU] = InertialUnit(self.quantities, count, timestep, longest)
        if objects:
            self._beside[TRACKER] = Tracker(self.quantities, count, objects, longest)
        self._timestep = timestep
        self._physics_steps = np.zeros(count)  # since the episode began
        self._phase = np.zeros(count)  # of the sensors' rate, in periods
        self._late = np.zeros(count)  # s, this control step's jitter
        self._dropped = np.zeros((count, joints), dtype=bool)
        # What the controller was told last, and at the control step before.
        self._told = np.zeros((2, joints, count))
        self._told_before = self._told

    def reset(
        self,
        ids: Ids,
        position: FloatArray,
        velocity: FloatArray,
        random: EpisodeRandom,
        beside: Mapping[str, FloatArray] = NOTHING,
    ) -> None:
        """Begin episodes at (len(ids), joints) positions and velocities.

        The past is full of the first reading, as if the robot had been standing there before.

        Args:
            ids: in which simulations.
            position: of their joints.
            velocity: of their joints.
            random: of the episodes.
            beside: true readings of the other devices that there are: of the `IMU` (len(ids), 10), of a
                `TRACKER` (len(ids), objects, 7).
        """
        for name, truth in beside.items():
            self._beside[name].reset(ids, truth, random)
        first = self._encoders.reset(ids, position, velocity, random)
        self._line.fill(ids, first)
        self._told[..., ids] = first
        self._physics_steps[ids] = 0.0
        self._late[ids] = 0.0
        self._dropped[ids] = False
        if self.quantities.get("rate") is not None:
            self._phase[ids] = random.uniform("sensor_rate", 1)[:, 0]

    def take(self, ids: Ids, source: "Sensing", rows: Ids) -> None:
        """Go on in some simulations as others, of the same robot, would."""
        self.quantities.take(ids, source.quantities, rows)
        self._encoders.take(ids, source._encoders, rows)
        self._line.take(ids, source._line, rows)
        for name, device in self._beside.items():
            device.take(ids, source._beside[name], rows)
        for name in ("_physics_steps", "_phase", "_late", "_dropped"):
            getattr(self, name)[ids] = getattr(source, name)[rows]
        self._told[..., ids] = source._told[..., rows]
        self._told_before[..., ids] = source._told_before[..., rows]

    def advance(
        self,
        position: FloatArray,
        velocity: FloatArray,
        random: EpisodeRandom,
        step: NDArray[np.integer],
        beside: Mapping[str, FloatArray] = NOTHING,
    ) -> None:
        """Take in a control step of motion.

        Args:
            position: (count, substeps, joints) true positions after each physics step.
            velocity: (count, substeps, joints) true velocities.
            random: of the episodes.
            step: (count,) control steps since each episode began, from 1.
            beside: true readings of the other devices, (count, substeps, ...); see `reset`.
        """
        for name, truth in beside.items():
            self._beside[name].advance(truth, random, step)
        self._line.push(self._encoders.advance(position, velocity, random, step))
        self._physics_steps = 1.0 * step * position.shape[1]
        self._told_before = self._told
        jitter, drop = self.quantities.get("jitter"), self.quantities.get("drop")
        if jitter is None and drop is None:
            return
        chance = random.uniform("sensor_transport", 1 + position.shape[2], step)
        if jitter is not None:
            self._late = chance[:, 0] * jitter[:, 0]
        if drop is not None:
            self._dropped = chance[:, 1:] < drop

    def trace(
        self, position: FloatArray, velocity: FloatArray, reported: FloatArray, random: EpisodeRandom
    ) -> FloatArray:
        """What the encoders read along a whole motion, before anything delays it.

        Args:
            position: (count, steps, joints) true, after each physics step.
            velocity: (count, steps, joints) true.
            reported: (count, 2, joints) position and velocity that they reported as it began.
            random: of the episodes.

        Returns:
            (2, count, steps, joints) positions and velocities.
        """
        self._encoders.start_filter(reported[:, 0], reported[:, 1])
        samples = self._encoders.advance(position, velocity, random, np.ones(len(position), np.int64))
        return samples.transpose(1, 3, 0, 2)

    @property
    def joint_age(self) -> FloatArray:
        """(count or 1, joints or 1) s from a joint's motion to its reading, drawn latencies together."""
        given = [self.quantities.get(name) for name in ("latency", "joint_latency")]
        return sum((each for each in given if each is not None), start=np.zeros((1, 1)))

    def read(self, time: NDArray[np.float64], extra_age: FloatArray | None = None) -> RobotState:
        """What the controller knows now: (count, joints) readings, each as old as it comes late.

        Args:
            time: (count,) s, that the state bears.
            extra_age: (count,) s, for how much earlier the controller looks than a control step ends.

        Raises:
            UserError: a reading older than `longest_latency` asked for.
        """
        told = self._line.read(self._age("joint_latency", extra_age))
        if self.quantities.get("drop") is not None:
            np.copyto(told, self._told_before, where=self._dropped.T)
            self._told = told.copy()
        seen: dict[str, FloatArray] = {}
        for name, device in self._beside.items():
            seen |= device.read(self._age(f"{name}_latency", extra_age))
        state = RobotState(time, told[0].T, told[1].T)
        for name, values in seen.items():
            setattr(state, name, values)
        return state

    def _age(self, own_latency: str, extra_age: FloatArray | None) -> NDArray[np.int64] | None:
        """(joints or 1, count) physics steps between a device's reading and now, to the nearest."""
        values = self.quantities.get
        late = None if values("jitter") is None else self._late[:, None]
        early = None if extra_age is None else extra_age[:, None]
        delays = (values("latency"), values(own_latency), late, early)
        given = [delay.T for delay in delays if delay is not None]
        rate = values("rate")
        if not given and rate is None:
            return None
        age = np.rint(sum(given, start=np.zeros(1)) / self._timestep)
        if rate is not None:
            age = age + self._since_reading(self._physics_steps - age, rate[:, 0] * self._timestep)
        return age.astype(np.int64)

    def _since_reading(self, moment: FloatArray, pace: FloatArray) -> FloatArray:
        """Physics steps that have passed at a moment since a reading was taken.

        Args:
            moment: physics steps since the episode began.
            pace: readings per physics step.
        """
        readings = moment * pace + self._phase
        since: FloatArray = np.floor((readings - np.floor(readings)) / pace)
        return since
