"""Forces of joints and actuators, by MuJoCo's laws, for all simulations at once.

Bullet's own motors stay out of it, but for friction loss. What is here acts as a torque, computed from
the state at the beginning of a physics step. So that a strong damping is as stable as MuJoCo's, which
is implicit in velocity, the inertia by which that amounts to an explicit one is added to the armature:
(M + A + h D) dv = h f(q, v), from linearising f about v over a step h.
"""

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.physics.bullet_fields import Fields
from simreal.state import FloatArray, Ids

GAINS = ("dof_armature", "dof_damping", "actuator_biasprm", "actuator_armature", "actuator_damping")
"""Fields that change the inertia of a rotor."""


class ForceLaw:
    """Springs, dampers and actuators of `count` simulations.

    Attributes:
        gear: (actuators, dofs) torque of a degree of freedom for the unit force of an actuator.
    """

    def __init__(self, model: mujoco.MjModel, fields: Fields) -> None:
        """Act on the joints of a model."""
        self._model = model
        self._fields = fields
        joints = model.actuator_trnid[:, 0]
        self._lengths = model.jnt_qposadr[joints]
        self._speeds = model.jnt_dofadr[joints]
        self._ratio = model.actuator_gear[:, 0].copy()
        self.gear = np.zeros((model.nu, model.nv))
        self.gear[np.arange(model.nu), self._speeds] = self._ratio
        free = model.jnt_type == mujoco.mjtJoint.mjJNT_FREE
        self._scalar = np.flatnonzero(~free)
        self._scalar_dofs = model.jnt_dofadr[self._scalar]
        self._scalar_places = model.jnt_qposadr[self._scalar]
        self._affine_gain = model.actuator_gaintype == mujoco.mjtGain.mjGAIN_AFFINE
        self._affine_bias = model.actuator_biastype == mujoco.mjtBias.mjBIAS_AFFINE

    def rotor_inertia(self) -> FloatArray:
        """(count or 1, dofs) kg·m² or kg, armature and what stands for implicit damping."""
        squared = self.gear**2
        armature = self._fields.all("dof_armature") + self._fields.all("actuator_armature") @ squared
        law = np.where(self._affine_bias, -self._fields.all("actuator_biasprm")[..., 2], 0.0)
        inertia: FloatArray = armature + self._model.opt.timestep * (self._damping() + law @ squared)
        bounded: FloatArray = np.maximum(inertia, 0.0)
        return bounded

    def _damping(self) -> FloatArray:
        damping: FloatArray = self._fields.all("dof_damping")
        whole: FloatArray = damping + self._fields.all("actuator_damping") @ self.gear**2
        return whole

    def actuator_force(
        self, position: FloatArray, velocity: FloatArray, command: FloatArray
    ) -> FloatArray:
        """(count, actuators) forces, from (count, nq), (count, nv) and (count, actuators)."""
        of, model = self._fields.all, self._model
        length, speed = self._ratio * position[:, self._lengths], self._ratio * velocity[:, self._speeds]
        limits = of("actuator_ctrlrange")
        limited = model.actuator_ctrllimited.astype(bool)
        within = np.clip(command, limits[..., 0], limits[..., 1])
        gain, bias = of("actuator_gainprm"), of("actuator_biasprm")
        moving = gain[..., 1] * length + gain[..., 2] * speed
        strength = gain[..., 0] + np.where(self._affine_gain, moving, 0.0)
        offset = bias[..., 0] + bias[..., 1] * length + bias[..., 2] * speed
        force = strength * np.where(limited, within, command)
        force += np.where(self._affine_bias, offset, 0.0)
        bounds = of("actuator_forcerange")
        bounded = np.clip(force, bounds[..., 0], bounds[..., 1])
        result: FloatArray = np.where(of("actuator_forcelimited").astype(bool), bounded, force)
        return result

    def joint_force(
        self, position: FloatArray, velocity: FloatArray, actuator_force: FloatArray
    ) -> FloatArray:
        """(count, nv) torques of the actuators, the springs and the dampers."""
        model, joints, dofs = self._model, self._scalar, self._scalar_dofs
        force = actuator_force @ self.gear
        limited = model.jnt_actfrclimited[joints].astype(bool)
        if limited.any():
            bounds = self._fields.all("jnt_actfrcrange")[:, joints]
            bounded = np.clip(force[:, dofs], bounds[..., 0], bounds[..., 1])
            force[:, dofs] = np.where(limited, bounded, force[:, dofs])
        places = self._scalar_places
        stretch = position[:, places] - self._fields.all("qpos_spring")[:, places]
        force[:, dofs] -= self._fields.all("jnt_stiffness")[:, joints] * stretch
        force -= self._damping() * velocity
        return force


class CommandLine:
    """Commands of the last physics steps: an actuator's `delay` reads an old one.

    As in MuJoCo, an actuator without samples has no delay, and a delay of a part of a physics step
    counts as a whole one.
    """

    def __init__(self, model: mujoco.MjModel, fields: Fields, count: int) -> None:
        """Hold zeros."""
        samples = model.actuator_history[:, 0] if model.nu else np.zeros(0, dtype=np.int32)
        self._longest = int(samples.max(initial=0))
        self._samples = samples
        self._fields = fields
        self._step = float(model.opt.timestep)
        self._ring = np.zeros((self._longest + 1, count, model.nu))
        self._newest = 0

    def _order(self) -> NDArray[np.int64]:
        """Places in the ring, the newest first."""
        return (self._newest - np.arange(self._longest + 1)) % (self._longest + 1)

    def fill(self, ids: Ids, command: FloatArray) -> None:
        """Pretend that (len(ids), actuators) commands have been there for ever."""
        self._ring[:, ids] = command

    def take(self, ids: Ids, source: "CommandLine", rows: Ids) -> None:
        """Take over the past of other simulations, as far as either reaches."""
        reach = min(self._longest, source._longest) + 1
        here, there = self._order()[:reach, None], source._order()[:reach, None]
        self._ring[here, ids] = source._ring[there, rows]

    def push(self, command: FloatArray) -> None:
        """Take in the (count, actuators) commands of a physics step."""
        self._newest = (self._newest + 1) % (self._longest + 1)
        self._ring[self._newest] = command

    def in_force(self) -> FloatArray:
        """(count, actuators) commands that the actuators obey in this physics step."""
        if not self._longest:
            newest: FloatArray = self._ring[self._newest]
            return newest
        late = np.ceil(self._fields.all("actuator_delay") / self._step - 1e-6)
        age = np.minimum(np.maximum(late, 0.0), self._samples).astype(np.int64)
        place = (self._newest - age) % (self._longest + 1)
        _, count, actuators = self._ring.shape
        of_all: FloatArray = self._ring[
            np.broadcast_to(place, (count, actuators)), np.arange(count)[:, None], np.arange(actuators)
        ]
        return of_all
