"""What stands between a command and the torque of a joint: channel, motor, gears and friction."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simreal.contract import RobotDescription
from simreal.episode_random import EpisodeRandom
from simreal.errors import UserError, missing_extra
from simreal.physics.interface import Physics, StepLaw
from simreal.randomization.backlash import Backlash
from simreal.randomization.command_channel import CommandChannel
from simreal.randomization.drives import law_is_affine, make_drives
from simreal.randomization.motor import Motor
from simreal.randomization.quantities import Quantities
from simreal.randomization.stribeck_friction import StribeckFriction
from simreal.state import FloatArray, Ids

if TYPE_CHECKING:
    from simreal.randomization.compiled_drives import CompiledDrives


class Actuation:
    """The actuators of `count` simulated robots.

    A command passes through a `CommandChannel`. A `Motor` makes a force of it, `Backlash` stands
    between that and the joint, `StribeckFriction` against it. All of them act through fields of the
    engine's model, and those that nobody randomizes not at all. Where a field must change within a
    control step, a compiled `StepLaw` goes with the physics; else it runs through.

    Attributes:
        quantities: per simulation, written by randomization at each reset: those that the four name,
            of actuators in the order of the robot's description.
        early: (count,) s, by which the next tick of the controllers comes early: how much older than
            now their observation is. None where none comes early.
    """

    def __init__(self, robot: RobotDescription, physics: Physics) -> None:
        """Act on the physics of a robot."""
        self._physics = physics
        self._drives = make_drives(robot, physics)
        self._channel = CommandChannel(self._drives)
        self._motor = Motor(self._drives)
        self._backlash = Backlash(self._drives)
        self._friction = StribeckFriction(self._drives)
        self.early: NDArray[np.float64] | None = None
        self._law: CompiledDrives | None = None

    @property
    def quantities(self) -> Quantities:
        """What randomization writes."""
        return self._drives.quantities

    @property
    def latency(self) -> FloatArray:
        """(count or 1, 1) s from a command to its force."""
        return self._drives.quantities.of("latency")

    @property
    def servos(self) -> NDArray[np.bool_]:
        """(actuators,) which of them are position servos."""
        return self._drives.servo

    @property
    def stall_torque(self) -> FloatArray:
        """(actuators,) largest torque or force at a joint at rest, as compiled."""
        return self._motor.stall_torque

    @property
    def _wants_force(self) -> bool:
        """Within a control step."""
        return self._drives.exists("load_friction", "backlash")

    @property
    def _wants_command(self) -> bool:
        return self._wants_force or self._motor.has_dead_zone

    @property
    def _modulates(self) -> bool:
        return self._wants_command or self._motor.has_curve or self._friction.modulates

    def settle(self, ids: Ids) -> None:
        """Write into the model what follows from the quantities of some simulations.

        Raises:
            UserError: quantities that this robot's actuators cannot have, or that need others.
        """
        if self._motor.has_offset:
            self._refuse_other_laws()
        if self._wants_command or self._motor.sags:
            self._refuse_other_laws()
            self._channel.remember()
        self._channel.settle(ids)
        self._motor.settle(ids, self._wants_force)
        self._backlash.settle(ids)
        self._friction.settle(ids)

    def _refuse_other_laws(self) -> None:
        model = self._physics.model
        for name in self._drives.names:
            if not law_is_affine(model, model.actuator(name).id):
                raise UserError(
                    f"actuator {name}: its force is not an affine function of command, position and "
                    "velocity; without that, there is no load_friction, supply_sag, backlash, "
                    "torque_offset, and no dead_zone of a servo"
                )

    def reset(self, ids: Ids, velocity: FloatArray, target: FloatArray, random: EpisodeRandom) -> None:
        """Begin episodes in some simulations, whose quantities are settled.

        Args:
            ids: which.
            velocity: (len(ids), joints) rad/s or m/s.
            target: (len(ids), actuators) commands that were given before.
            random: of these episodes.
        """
        self._channel.reset(ids, target)
        self._backlash.reset(ids, velocity, random)
        if self._motor.sags:
            self._drives.state["power"][ids] = 0.0
        self._set_early(ids, self._channel.early(random, 1, ids))

    def _set_early(self, ids: Ids, early: FloatArray | None) -> None:
        if early is not None:
            if self.early is None:
                self.early = np.zeros(self._physics.count)
            self.early[ids] = early

    def take(self, ids: Ids, source: "Actuation", rows: Ids) -> None:
        """Go on in some simulations as others, of the same robot, would."""
        self._drives.take(ids, source._drives, rows)
        self._channel.take(ids, source._channel, rows)
        self._set_early(ids, None if source.early is None else source.early[rows])

    def weaken(self, ids: Ids, actuators: Ids, share: FloatArray) -> None:
        """Scale force laws within an episode, as when a motor fails; the next `settle` mends it.

        Args:
            ids: (n,) simulations.
            actuators: (n,) one of each, in the order of the robot's description.
            share: (n,) what remains of the force.
        """
        places = self._drives.places["actuator"][actuators]
        for name in ("actuator_gainprm", "actuator_biasprm"):
            self._physics.field(name)[ids, places] *= share[:, None]
        self._motor.weaken(ids, actuators, share)

    def gains(self, ids: Ids) -> tuple[FloatArray, FloatArray]:
        """(n, actuators) stiffness and damping of the servos of some simulations, as they were drawn."""
        count = len(ids)
        kp, kd = (self._drives.quantities.of(name, ids) for name in ("kp", "kd"))
        return np.repeat(kp, count // len(kp), axis=0), np.repeat(kd, count // len(kd), axis=0)

    def impose(
        self, ids: Ids, stiffness: FloatArray, damping: FloatArray, feedforward: FloatArray
    ) -> None:
        """Replace the servos' laws, as drives do that are told their gains with each command.

        From now until the next `settle`, force = feedforward + stiffness (command - position) - damping
        velocity, which motor, supply, gears and friction treat like the model's own law. All in the
        actuator's units, before its gear. What is no servo keeps its law.

        Args:
            ids: (n,) simulations.
            stiffness: (n, actuators) N·m/rad or N/m.
            damping: (n, actuators) N·m·s/rad or N·s/m.
            feedforward: (n, actuators) N·m or N.
        """
        self._motor.impose(ids, stiffness, damping, feedforward)

    def advance(self, target: FloatArray, random: EpisodeRandom, step: NDArray[np.integer]) -> None:
        """Let the robots move for one control step.

        Args:
            target: (count, actuators) commands, in the actuators' units.
            random: of the episodes.
            step: (count,) commands since each episode began, from 1.
        """
        sent = self._channel.send(target, random, step)
        if self._modulates or self._motor.sags:
            self._motor.begin_step()
        self._physics.step(sent, self._law_of_this_step() if self._modulates else None)
        if self._motor.sags:
            self._draw_power()
        self.early = self._channel.early(random, step + 1)

    def play(self, recorded: FloatArray) -> None:
        """Let the robots move for one control step under commands of a recording.

        Latency, jitter and loss are passed by: who plays knows when each command arrived.

        Args:
            recorded: (substeps, count, actuators) what arrives at each physics step.

        Raises:
            UserError: a supply that sags from control step to control step.
        """
        if self._motor.sags:
            raise UserError("supply_sag: follows control steps, of which a recording is one: not here")
        arrived = self._channel.play(recorded)
        if self._modulates:
            self._motor.begin_step()
        self._physics.step(arrived, self._law_of_this_step() if self._modulates else None)

    def _law_of_this_step(self) -> StepLaw:
        if self._law is None:
            # Numba compiles it: some seconds at the first time on a machine.
            try:
                from simreal.randomization.compiled_drives import CompiledDrives
            except ModuleNotFoundError as error:
                raise missing_extra(str(error.name), "train") from None

            self._law = CompiledDrives(self._drives)
        parts = {
            "dead_zone": self._motor.has_dead_zone,
            "curve": self._motor.has_curve,
            "force": self._wants_force,
            "backlash": self._backlash.exists,
            "friction": self._friction.modulates,
        }
        self._law.begin(self._channel.in_force if self._wants_command else None, parts)
        return self._law

    def _draw_power(self) -> None:
        command, drives = self._channel.in_force[-1], self._drives
        force = self._motor.force(command, drives.position, drives.speed)
        self._motor.draw_power(self._backlash.passed_on(force), drives.speed)
