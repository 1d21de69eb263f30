"""Builds the bodies of one simulation in Bullet from the model."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np
import pybullet
from numpy.typing import NDArray

from simreal.physics.bullet_friction import FrictionSplit, allowed_by_bits, allowed_by_bodies
from simreal.physics.bullet_shapes import make_shape
from simreal.physics.bullet_tree import BASE, Link, Role, Tree, find_trees, standing_geoms
from simreal.state import FloatArray

FieldOf = Callable[[str], FloatArray]
Pose = tuple[FloatArray, FloatArray]
"""(3,) m and (4,) w, x, y, z."""

SOLVER_ITERATIONS = 100
"""Of projected Gauss-Seidel, at most. Gears and contacts of light links on heavy rotors need many."""
SOLVED = 1e-14
"""Square of the error in speed, (m/s)² or (rad/s)², below which the solver stops."""
UNLIMITED = 1e9
LIGHTEST_ROTOR = 1e-15
"""kg·m²: what is below 2.2e-16, Bullet does not accelerate at all."""
GEAR_RATIOS = (1e3, 1e5)
"""The higher, the less a rotor's own momentum is felt by its parent: the error is armature / ratio."""
ROTOR_LEADS = 0.5
"""Share of a joint's inertia from which on its friction acts on its rotor: so the solver converges."""
NO_TURN = np.array([1.0, 0.0, 0.0, 0.0])


@dataclass(slots=True)
class Blueprint:
    """What all simulations of a model share.

    Attributes:
        model: with its defaults.
        trees: its multibodies.
        friction: shares the friction of pairs among geoms.
        separate: pairs of geoms that only their bodies keep from touching.
        orders: for each tree, where Bullet puts its links; Bullet numbers them by itself.
    """

    model: mujoco.MjModel
    trees: list[Tree]
    friction: FrictionSplit
    separate: list[tuple[int, int]]
    orders: dict[int, list[int]] = field(default_factory=dict)


def make_blueprint(model: mujoco.MjModel, geared: NDArray[np.bool_]) -> Blueprint:
    """Look a model over; `geared` are the (nv,) degrees of freedom that need a rotor."""
    only_bits = np.triu(allowed_by_bits(model) & ~allowed_by_bodies(model), 1)
    separate = [(int(first), int(second)) for first, second in np.argwhere(only_bits)]
    return Blueprint(model, find_trees(model, geared), FrictionSplit(model), separate)


@dataclass(slots=True)
class Multibody:
    """A multibody in Bullet, and where its parts stand in the model's arrays.

    Attributes:
        tree: what it was built from.
        uid: Bullet's number for it.
        order: for each link of the tree, Bullet's number.
        joints: Bullet's numbers of the links with a joint.
        places: of these in qpos.
        dofs: of these in qvel.
        motors: Bullet's numbers of the links on which friction loss acts: joints, or their rotors.
        motor_share: (joints,) of the friction, 1 or 1 / gear ratio.
        rotors: Bullet's numbers of the rotors, and `rotor_dofs` the degrees of freedom they belong to.
        rotor_dofs: see there.
        ratios: (rotors,) how much faster they turn than their joints.
    """

    tree: Tree
    uid: int
    order: list[int]
    joints: list[int]
    places: NDArray[np.int64]
    dofs: NDArray[np.int64]
    motors: list[int]
    motor_share: FloatArray
    rotors: list[int]
    rotor_dofs: NDArray[np.int64]
    ratios: FloatArray


@dataclass(slots=True)
class Built:
    """What has been built in a connection.

    Attributes:
        multibodies: that move.
        geoms: Bullet's body and link numbers to the geom that touches there.
        links: body of the model to Bullet's numbers of the link with its mass.
    """

    multibodies: list[Multibody] = field(default_factory=list)
    geoms: dict[tuple[int, int], int] = field(default_factory=dict)
    links: dict[int, tuple[int, int]] = field(default_factory=dict)


def build(client: int, blueprint: Blueprint, value: FieldOf, inertia: FloatArray) -> Built:
    """Build a simulation in place of all that was there.

    Args:
        client: connection to Bullet.
        blueprint: what to build.
        value: gives a model field's value in this simulation.
        inertia: (nv,) of the rotors, as the joints feel it, kg·m² or kg.
    """
    pybullet.resetSimulation(physicsClientId=client)
    return _Builder(client, blueprint, value).build(inertia)


class _Builder:
    """At work in one connection."""

    def __init__(self, client: int, blueprint: Blueprint, value: FieldOf) -> None:
        self._client = client
        self._blueprint = blueprint
        self._value = value
        self._model = blueprint.model
        self._built = Built()

    def build(self, inertia: FloatArray) -> Built:
        """Build all of it."""
        self._set_engine()
        for geom in standing_geoms(self._model):
            self._stand(geom)
        for number, tree in enumerate(self._blueprint.trees):
            self._built.multibodies.append(self._build(number, tree, inertia))
        self._set_contacts()
        return self._built

    def _set_engine(self) -> None:
        flags = self._model.opt.disableflags
        weightless = flags & mujoco.mjtDisableBit.mjDSBL_GRAVITY
        gravity = np.zeros(3) if weightless else self._value("opt.gravity")
        pybullet.setGravity(*gravity.tolist(), physicsClientId=self._client)
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=float(self._model.opt.timestep),
            numSolverIterations=SOLVER_ITERATIONS,
            solverResidualThreshold=SOLVED,
            collisionFilterMode=1,  # either offers to the other, as in MuJoCo
            deterministicOverlappingPairs=1,
            physicsClientId=self._client,
        )

    # What stands still

    def _stand(self, geom: int) -> None:
        shape, shift = self._shape(geom)
        holder = world_pose(self._model, int(self._model.geom_bodyid[geom]), self._value)
        position, orientation = compose(holder, self._geom_pose(geom, shift))
        uid = pybullet.createMultiBody(
            baseMass=0.0,
            baseCollisionShapeIndex=shape,
            basePosition=position.tolist(),
            baseOrientation=_xyzw(orientation),
            physicsClientId=self._client,
        )
        self._built.geoms[uid, BASE] = geom

    def _shape(self, geom: int) -> tuple[int, FloatArray]:
        return make_shape(self._client, self._model, geom, self._value("geom_size")[geom])

    def _geom_pose(self, geom: int, shift: FloatArray) -> Pose:
        place = self._value("geom_pos")[geom], self._value("geom_quat")[geom]
        return compose(place, (shift, NO_TURN))

    # What moves

    def _build(self, number: int, tree: Tree, inertia: FloatArray) -> Multibody:
        uid = self._create(tree)
        order = self._blueprint.orders.get(number)
        if order is None:
            order = self._blueprint.orders[number] = self._read_order(uid, len(tree.links))
        body = self._addressed(tree, uid, order, inertia)
        self._set_dynamics(body)
        for place, link in enumerate(tree.links):
            if link.role is Role.GEOM:
                self._built.geoms[uid, order[place]] = link.geom
            if link.has_mass:
                self._built.links[link.body] = (uid, order[place])
        if tree.base:
            self._built.links[tree.base] = (uid, BASE)
        return body

    def _create(self, tree: Tree) -> int:
        chains = [self._link(tree, link) for link in tree.links]
        base: dict[str, Any] = {"baseMass": 0.0}
        if tree.base:
            base = {
                "baseMass": float(self._value("body_mass")[tree.base]),
                "baseInertialFramePosition": self._value("body_ipos")[tree.base].tolist(),
                "baseInertialFrameOrientation": _xyzw(self._value("body_iquat")[tree.base]),
            }
        columns = {name: [chain[name] for chain in chains] for name in (chains[0] if chains else {})}
        uid = pybullet.createMultiBody(
            **base,
            **columns,
            flags=pybullet.URDF_USE_SELF_COLLISION | pybullet.URDF_USE_SELF_COLLISION_INCLUDE_PARENT,
            physicsClientId=self._client,
        )
        return int(uid)

    def _link(self, tree: Tree, link: Link) -> dict[str, Any]:
        shape, (position, turned) = -1, self._link_pose(tree, link)
        kind, axis = pybullet.JOINT_FIXED, [0.0, 0.0, 1.0]
        if link.joint >= 0:
            slides = self._model.jnt_type[link.joint] == mujoco.mjtJoint.mjJNT_SLIDE
            kind = pybullet.JOINT_PRISMATIC if slides else pybullet.JOINT_REVOLUTE
            axis = self._value("jnt_axis")[link.joint].tolist()
        if link.role is Role.GEOM:
            shape, shift = self._shape(link.geom)
            offset = self._offset(link.body) if link.parent != BASE else np.zeros(3)
            position, turned = self._geom_pose(link.geom, shift)
            position = position - offset
        mass, centre, frame = 0.0, np.zeros(3), NO_TURN
        if link.role is Role.ROTOR:
            frame = _from_z(self._value("jnt_axis")[link.joint])
        if link.has_mass:
            mass = float(self._value("body_mass")[link.body])
            centre = self._value("body_ipos")[link.body] - self._offset(link.body)
            frame = self._value("body_iquat")[link.body]
        return {
            "linkMasses": mass,
            "linkCollisionShapeIndices": shape,
            "linkVisualShapeIndices": -1,
            "linkPositions": position.tolist(),
            "linkOrientations": _xyzw(turned),
            "linkInertialFramePositions": centre.tolist(),
            "linkInertialFrameOrientations": _xyzw(frame),
            "linkParentIndices": link.parent + 1,
            "linkJointTypes": kind,
            "linkJointAxis": axis,
        }

    def _offset(self, body: int) -> FloatArray:
        """(3,) m, where the frame of a body's last link is in the body's: at its joint."""
        number = int(self._model.body_jntnum[body])
        last = int(self._model.body_jntadr[body]) + number - 1
        if not number or self._model.jnt_type[last] == mujoco.mjtJoint.mjJNT_FREE:
            return np.zeros(3)
        anchor: FloatArray = self._value("jnt_pos")[last]
        return anchor

    def _link_pose(self, tree: Tree, link: Link) -> Pose:
        """Frame of a link in that of its parent, all joints at zero."""
        first, body = int(self._model.body_jntadr[link.body]), link.body
        anchor = self._value("jnt_pos")[link.joint] if link.joint >= 0 else np.zeros(3)
        if link.joint > first >= 0:
            return anchor - self._value("jnt_pos")[link.joint - 1], NO_TURN
        place = self._value("body_pos")[body], self._value("body_quat")[body]
        position, turned = compose(place, (anchor, NO_TURN))
        if link.parent != BASE or tree.base:
            return position - self._offset(int(self._model.body_parentid[body])), turned
        holder = world_pose(self._model, int(self._model.body_parentid[body]), self._value)
        return compose(holder, (position, turned))

    def _read_order(self, uid: int, number: int) -> list[int]:
        """Bullet calls the k-th given link ``linkk``, wherever it puts it."""
        order = [0] * number
        for place in range(number):
            name = pybullet.getJointInfo(uid, place, physicsClientId=self._client)[12].decode()
            order[int(name.removeprefix("link")) - 1] = place
        return order

    def _addressed(self, tree: Tree, uid: int, order: list[int], inertia: FloatArray) -> Multibody:
        model, links = self._model, tree.links
        joints = tree.places(Role.JOINT)
        ids = [links[place].joint for place in joints]
        rotors = {links[place].joint: order[place] for place in tree.places(Role.ROTOR)}
        rotor_dofs = model.jnt_dofadr[list(rotors)].astype(np.int64)
        ratios = gear_ratios(inertia[rotor_dofs])
        ratio_of = dict(zip(rotors, ratios.tolist(), strict=True))
        dofs = model.jnt_dofadr[ids].astype(np.int64)
        leads = inertia[dofs] > ROTOR_LEADS * model.dof_M0[dofs]
        by_rotor = [bool(lead) and joint in rotors for joint, lead in zip(ids, leads, strict=True)]
        motors = [
            rotors[links[place].joint] if rotor else order[place]
            for place, rotor in zip(joints, by_rotor, strict=True)
        ]
        return Multibody(
            tree=tree,
            uid=uid,
            order=order,
            joints=[order[place] for place in joints],
            places=model.jnt_qposadr[ids].astype(np.int64),
            dofs=dofs,
            motors=motors,
            motor_share=np.array(
                [
                    1.0 / ratio_of[joint] if rotor else 1.0
                    for joint, rotor in zip(ids, by_rotor, strict=True)
                ]
            ),
            rotors=list(rotors.values()),
            rotor_dofs=rotor_dofs,
            ratios=ratios,
        )

    def _set_dynamics(self, body: Multibody) -> None:
        client, uid = self._client, body.uid
        # Bullet damps all motion and cuts speeds unless told otherwise. These apply to the whole
        # multibody, and spoil what is given of a link in the same call.
        pybullet.changeDynamics(
            uid,
            BASE,
            linearDamping=0.0,
            angularDamping=0.0,
            maxJointVelocity=1e15,
            physicsClientId=client,
        )
        inertia = self._value("body_inertia")
        if body.tree.base:
            set_inertia(client, uid, BASE, inertia[body.tree.base])
        for place, link in enumerate(body.tree.links):
            if link.has_mass:
                set_inertia(client, uid, body.order[place], inertia[link.body])
        number = len(body.order)
        if number:
            pybullet.setJointMotorControlArray(
                uid,
                range(number),
                pybullet.VELOCITY_CONTROL,
                forces=[0.0] * number,
                physicsClientId=client,
            )
        self._limit(body)
        self._gear(body)

    def _limit(self, body: Multibody) -> None:
        model = self._model
        if model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_LIMIT:
            return
        ids = model.dof_jntid[body.dofs]
        for link, joint, place in zip(body.joints, ids, body.places, strict=True):
            if model.jnt_limited[joint]:
                low, high = (self._value("jnt_range")[joint] - self._value("qpos0")[place]).tolist()
                pybullet.changeDynamics(
                    body.uid,
                    link,
                    jointLowerLimit=low,
                    jointUpperLimit=high,
                    jointLimitForce=UNLIMITED,
                    physicsClientId=self._client,
                )

    def _gear(self, body: Multibody) -> None:
        joint_at = dict(zip(body.dofs.tolist(), body.joints, strict=True))
        for rotor, dof, ratio in zip(
            body.rotors, body.rotor_dofs.tolist(), body.ratios.tolist(), strict=True
        ):
            gear = pybullet.createConstraint(
                body.uid,
                joint_at[dof],
                body.uid,
                rotor,
                pybullet.JOINT_GEAR,
                [0, 0, 1],
                [0, 0, 0],
                [0, 0, 0],
                physicsClientId=self._client,
            )
            pybullet.changeConstraint(
                gear,
                gearRatio=-1.0 / ratio,
                maxForce=UNLIMITED,
                erp=0.0,
                physicsClientId=self._client,
            )

    def _set_contacts(self) -> None:
        model, client = self._model, self._client
        numbers = self._blueprint.friction.of_geoms(self._value("geom_friction")[:, 0])
        for (uid, link), geom in self._built.geoms.items():
            pybullet.setCollisionFilterGroupMask(
                uid,
                link,
                int(model.geom_contype[geom]),
                int(model.geom_conaffinity[geom]),
                physicsClientId=client,
            )
            pybullet.changeDynamics(
                uid, link, lateralFriction=float(numbers[geom]), physicsClientId=client
            )
        place_of = {geom: place for place, geom in self._built.geoms.items()}
        for first, second in self._blueprint.separate:
            one, other = place_of[first], place_of[second]
            pybullet.setCollisionFilterPair(
                one[0], other[0], one[1], other[1], 0, physicsClientId=client
            )


def set_inertia(client: int, uid: int, link: int, inertia: FloatArray) -> None:
    """Give a link (3,) kg·m² about its principal axes."""
    pybullet.changeDynamics(uid, link, localInertiaDiagonal=inertia.tolist(), physicsClientId=client)


def gear_ratios(inertia: FloatArray) -> FloatArray:
    """Ratios as high as `GEAR_RATIOS` let them, that keep rotors well above `LIGHTEST_ROTOR`."""
    return np.clip(np.sqrt(inertia / (10.0 * LIGHTEST_ROTOR)), *GEAR_RATIOS)


def world_pose(model: mujoco.MjModel, body: int, value: FieldOf) -> Pose:
    """Where a body is that never moves."""
    pose: Pose = (np.zeros(3), NO_TURN)
    while body:
        pose = compose((value("body_pos")[body], value("body_quat")[body]), pose)
        body = int(model.body_parentid[body])
    return pose


def compose(outer: Pose, inner: Pose) -> Pose:
    """A pose that is given in another."""
    position, turned = np.zeros(3), np.zeros(4)
    mujoco.mju_mulPose(position, turned, *outer, *inner)
    return position, turned


def _from_z(axis: FloatArray) -> FloatArray:
    turned = np.zeros(4)
    mujoco.mju_quatZ2Vec(turned, axis)
    return turned


def _xyzw(turned: FloatArray) -> list[float]:
    w, x, y, z = turned.tolist()
    return [x, y, z, w]
