"""One simulation in Bullet: how its bodies are placed, pushed, moved and read."""

from collections.abc import Iterable

import mujoco
import numpy as np
import pybullet

from simreal.physics.bullet_build import LIGHTEST_ROTOR, Blueprint, FieldOf, build, set_inertia
from simreal.physics.bullet_sensors import Contact
from simreal.physics.bullet_tree import BASE
from simreal.state import FloatArray


class BulletWorld:
    """The bodies of one simulation, in a connection of its own."""

    def __init__(self, client: int, blueprint: Blueprint, value: FieldOf, inertia: FloatArray) -> None:
        """Build in place of all that was there; see `bullet_build.build`."""
        self._client = client
        self._model = blueprint.model
        self._built = build(client, blueprint, value, inertia)
        # In the order of the model's free joints, as the trees are.
        self._floating = [body for body in self._built.multibodies if body.tree.base]
        self._reference = value("qpos0")
        self.set_rotors(inertia)

    def set_rotors(self, inertia: FloatArray) -> None:
        """Give the rotors (nv,) kg·m² or kg, as their joints feel it."""
        for body in self._built.multibodies:
            for rotor, dof, ratio in zip(body.rotors, body.rotor_dofs, body.ratios, strict=True):
                own = max(float(inertia[dof] / ratio**2), LIGHTEST_ROTOR)
                slides = self._model.jnt_type[self._model.dof_jntid[dof]] == mujoco.mjtJoint.mjJNT_SLIDE
                if slides:
                    pybullet.changeDynamics(body.uid, rotor, mass=own, physicsClientId=self._client)
                else:
                    set_inertia(self._client, body.uid, rotor, np.array([0.0, 0.0, own]))

    def set_friction(self, friction: FloatArray) -> None:
        """Give the joints (nv,) N·m or N of friction loss: a motor that holds still as far as it can."""
        for body in self._built.multibodies:
            if body.motors:
                pybullet.setJointMotorControlArray(
                    body.uid,
                    body.motors,
                    pybullet.VELOCITY_CONTROL,
                    targetVelocities=[0.0] * len(body.motors),
                    velocityGains=[1.0] * len(body.motors),
                    forces=(friction[body.dofs] * body.motor_share).tolist(),
                    physicsClientId=self._client,
                )

    def set_state(self, position: FloatArray, velocity: FloatArray, bases: FloatArray) -> None:
        """Place all bodies.

        Args:
            position: (nq,) as in MuJoCo.
            velocity: (nv,) likewise.
            bases: (free bodies, 13) centres of mass, orientations x, y, z, w of the principal axes,
                and velocities, all in the world.
        """
        client, reference = self._client, self._reference
        for body in self._built.multibodies:
            angles = (position[body.places] - reference[body.places]).tolist()
            speeds = velocity[body.dofs].tolist()
            for joint, angle, speed in zip(body.joints, angles, speeds, strict=True):
                pybullet.resetJointState(body.uid, joint, angle, speed, physicsClientId=client)
            for rotor, dof, ratio in zip(body.rotors, body.rotor_dofs, body.ratios, strict=True):
                fast = float(ratio * velocity[dof])
                pybullet.resetJointState(body.uid, rotor, 0.0, fast, physicsClientId=client)
        for body, base in zip(self._floating, bases.tolist(), strict=True):
            pybullet.resetBasePositionAndOrientation(
                body.uid, base[:3], base[3:7], physicsClientId=client
            )
            pybullet.resetBaseVelocity(body.uid, base[7:10], base[10:13], physicsClientId=client)

    def push(self, body: int, wrench: FloatArray) -> None:
        """Apply (6,) force and torque along the world's axes at a body's centre of mass for a step."""
        client, (uid, link) = self._client, self._built.links[body]
        if link == BASE:
            centre = pybullet.getBasePositionAndOrientation(uid, physicsClientId=client)[0]
        else:
            centre = pybullet.getLinkState(uid, link, physicsClientId=client)[0]
        force, torque = wrench[:3].tolist(), wrench[3:].tolist()
        frame = pybullet.WORLD_FRAME
        pybullet.applyExternalForce(uid, link, force, centre, frame, physicsClientId=client)
        pybullet.applyExternalTorque(uid, link, torque, frame, physicsClientId=client)

    def step(self, force: FloatArray) -> None:
        """Advance by a physics step under (nv,) torques of the joints."""
        for body in self._built.multibodies:
            if body.joints:
                pybullet.setJointMotorControlArray(
                    body.uid,
                    body.joints,
                    pybullet.TORQUE_CONTROL,
                    forces=force[body.dofs].tolist(),
                    physicsClientId=self._client,
                )
        pybullet.stepSimulation(physicsClientId=self._client)

    def read(self, position: FloatArray, velocity: FloatArray, bases: FloatArray) -> None:
        """Write into (nq,), (nv,) and (free bodies, 13); what belongs to free joints only into these."""
        client, reference = self._client, self._reference
        for body in self._built.multibodies:
            if body.joints:
                states = pybullet.getJointStates(body.uid, body.joints, physicsClientId=client)
                position[body.places] = reference[body.places] + [state[0] for state in states]
                velocity[body.dofs] = [state[1] for state in states]
        for number, body in enumerate(self._floating):
            place, turned = pybullet.getBasePositionAndOrientation(body.uid, physicsClientId=client)
            moves, turns = pybullet.getBaseVelocity(body.uid, physicsClientId=client)
            bases[number] = (*place, *turned, *moves, *turns)

    def contacts(self) -> Iterable[Contact]:
        """Contacts of the last step: two geoms, (3,) place, (3,) from the first to the second, N."""
        for each in pybullet.getContactPoints(physicsClientId=self._client):
            first, second = self._built.geoms[each[1], each[3]], self._built.geoms[each[2], each[4]]
            yield first, second, np.array(each[5]), -np.array(each[7]), float(each[9])
