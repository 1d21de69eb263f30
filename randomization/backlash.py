"""Play between a motor and its joint."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.episode_random import EpisodeRandom
from simreal.physics.interface import Ids
from simreal.randomization.drives import Drives, Values, at
from simreal.randomization.motor import Motor


class Backlash:
    """Gears with play: rotor and joint are two bodies that push each other only at the ends of the gap.

    The rotor stands ahead of the joint by x in [-b/2, b/2], with the joint's armature J as inertia.

    - At an end of the gap they move as one: the joint has the armature, and the motor's whole torque T.
      They part when the teeth would have to pull, T - J a, with the acceleration a of the physics step
      before.
    - In the gap the joint is without motor and armature, and the rotor alone under T: J w' = T. Of the
      motor's law, damping acts on the rotor's own speed w.
    - Where the rotor arrives with a speed other than the joint's, the impact is inelastic: the joint
      takes over the momentum J (w - v) within one physics step.

    What it leaves out: friction of the rotor and its gears (all friction stays at the joint), elastic
    teeth and their rebound, a servo that measures at the rotor instead of the joint. Without armature
    the rotor crosses the gap within a physics step. The resolution is that step.

    Its quantity: ``backlash`` (count, actuators) rad or m of the joint, b, the whole play.
    """

    def __init__(self, drives: Drives) -> None:
        """Make gears without play."""
        size = len(drives.names)
        self._drives = drives
        self._gear = np.abs(drives.gear)
        drives.quantities.defaults |= {"backlash": np.zeros(size)}
        drives.settled.defaults |= dict.fromkeys(
            ("armature", "inertia_rate", "step_rate", "half_gap", "implicit"), np.zeros(size)
        )
        drives.state.defaults |= {
            "lead": np.zeros(size),  # x, times gear
            "rotor_speed": np.zeros(size),  # w after the last physics step, if it met nothing
            "free": np.ones(size),  # 1 where they moved alone in the last physics step
            # Of the joint before it. Where rotor and joint met in it, its acceleration is that of the
            # impact and says nothing of the teeth: not a number, which compares as they like.
            "speed": np.zeros(size),
        }
        # All of these are the engine's, of the same robot in each simulation.
        model = drives.physics.model
        self._simple = bool(model.dof_simplenum.any())
        self._own_armature = bool(model.actuator_armature.any())

    @property
    def exists(self) -> bool:
        """Whether any gear may have play."""
        return self._drives.exists("backlash")

    def settle(self, ids: Ids) -> None:
        """Keep the rotors' inertias that the model has now."""
        if not self.exists:
            return
        drives, settled = self._drives, self._drives.settled
        armature = drives.physics.field("dof_armature")[at(ids, drives.dofs)]
        settled["armature"][ids] = armature
        inertia = armature / drives.gear**2
        if self._own_armature:
            inertia = inertia + drives.physics.model.actuator_armature[drives.actuators]
        rate = np.maximum(inertia, mujoco.mjMINVAL) / drives.physics.timestep
        settled["inertia_rate"][ids], settled["step_rate"][ids] = rate, 1.0 / rate
        # Of a step of the rotor alone that takes its damping at the end of the step.
        settled["implicit"][ids] = 1.0 / (1.0 - np.minimum(settled["damping"][ids], 0.0) / rate)
        settled["half_gap"][ids] = 0.5 * self._gear * drives.of("backlash", ids)
        if self._simple:
            # The engine takes the inertia of these from when the model was compiled.
            drives.physics.field("dof_simplenum")[ids] = 0

    def reset(self, ids: Ids, velocity: Values, random: EpisodeRandom) -> None:
        """Begin episodes somewhere in the gap, at the joint's speed: (len(ids), joints) velocity."""
        if not self.exists:
            return
        state, half = self._drives.state, self._drives.settled["half_gap"][ids]
        place = 2.0 * random.uniform("backlash", half.shape[1]) - 1.0
        state["lead"][ids] = place * half
        speed = self._drives.gear * velocity[:, self._drives.joints]
        state["rotor_speed"][ids] = state["speed"][ids] = speed
        state["free"][ids] = half > 0.0

    def modulate(
        self, motor: Motor, at_rest: Values, force: Values, speed: Values
    ) -> tuple[Values, Values, Values]:
        """Let rotor and joint meet or part before a physics step.

        Args:
            motor: what it can do in this step.
            at_rest: (count, actuators) its force on a rotor without speed, without limits.
            force: (count, actuators) its force, if the rotor goes as fast as the joint.
            speed: (count, actuators) of the joint, v.

        Returns:
            (count, actuators) force of the motor on the joint, and the limits that the engine must
            keep so that it is that: equal ones where it is not the law's.
        """
        state, settled = self._drives.state, self._drives.settled
        rotor = state["rotor_speed"]
        faster = rotor - speed
        touching, landed = self._meet_or_part(force, speed, faster)
        engaged = touching ^ landed
        force = force * touching
        given = force + landed * (settled["inertia_rate"] * faster)
        low, high = np.where(engaged, motor.low, given), np.where(engaged, motor.high, given)
        np.copyto(rotor, speed, where=engaged)
        alone = at_rest + settled["damping"] * rotor
        alone *= settled["implicit"]
        rotor += settled["step_rate"] * motor.within_limits(alone)
        state["speed"][:] = np.where(landed, np.nan, speed)
        np.logical_not(touching, out=state["free"])
        self._couple(touching)
        return force, low, high

    def passed_on(self, force: Values) -> Values:
        """(count, actuators) what of the motors' force the joints got in the last physics step."""
        free = self._drives.state["free"] > 0.0 if self.exists else False
        return np.where(free, 0.0, force)

    def _meet_or_part(
        self, force: Values, speed: Values, faster: Values
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Move the rotors in their gaps.

        Args:
            force: (count, actuators) of the motors.
            speed: (count, actuators) of the joints.
            faster: (count, actuators) speed of the rotors less that.

        Returns:
            (count, actuators) where rotor and joint touch in this physics step; where they meet in it.
        """
        state, settled = self._drives.state, self._drives.settled
        half, free, lead = settled["half_gap"], state["free"], state["lead"]
        teeth = force - settled["inertia_rate"] * (speed - state["speed"])
        parts = lead * teeth < 0.0
        alone = free > 0.0
        lead += self._drives.physics.timestep * faster * free
        touching = np.where(alone, np.abs(lead) >= half, ~parts)
        np.minimum(np.maximum(lead, -half, out=lead), half, out=lead)
        return touching, touching & alone

    def _couple(self, touching: NDArray[np.bool_]) -> None:
        """Give joints their armature where rotor and joint are one."""
        drives = self._drives
        drives.physics.field("dof_armature")[:, drives.dofs] = touching * drives.settled["armature"]
        if self._own_armature:
            own = drives.physics.model.actuator_armature[drives.actuators]
            drives.physics.field("actuator_armature")[:, drives.actuators] = touching * own
