"""Play between a motor and its joint."""

import mujoco
import numpy as np

from simreal.episode_random import EpisodeRandom
from simreal.randomization.drives import Drives, at
from simreal.state import FloatArray, Ids


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
        drives, records = self._drives, self._drives.records
        armature = drives.physics.field("dof_armature")[at(ids, drives.dofs)]
        records["armature"][ids] = armature
        inertia = armature / drives.gear**2
        if self._own_armature:
            inertia = inertia + drives.physics.model.actuator_armature[drives.actuators]
        rate = np.maximum(inertia, mujoco.mjMINVAL) / drives.physics.timestep
        records["inertia_rate"][ids], records["step_rate"][ids] = rate, 1.0 / rate
        # Of a step of the rotor alone that takes its damping at the end of the step.
        records["implicit"][ids] = 1.0 / (1.0 - np.minimum(records["damping"][ids], 0.0) / rate)
        records["half_gap"][ids] = 0.5 * self._gear * drives.quantities.of("backlash", ids)
        if self._simple:
            # The engine takes the inertia of these from when the model was compiled.
            drives.physics.field("dof_simplenum")[ids] = 0

    def reset(self, ids: Ids, velocity: FloatArray, random: EpisodeRandom) -> None:
        """Begin episodes somewhere in the gap, at the joint's speed: (len(ids), joints) velocity."""
        if not self.exists:
            return
        records = self._drives.records
        half = records["half_gap"][ids]
        place = 2.0 * random.uniform("backlash", half.shape[1]) - 1.0
        records["lead"][ids] = place * half
        speed = self._drives.gear * velocity[:, self._drives.joints]
        records["rotor_speed"][ids] = records["speed"][ids] = speed
        records["free"][ids] = half > 0.0

    def passed_on(self, force: FloatArray) -> FloatArray:
        """(count, actuators) what of the motors' force the joints got in the last physics step."""
        free = self._drives.records["free"] > 0.0 if self.exists else False
        return np.where(free, 0.0, force)
