"""PyBullet as a second engine: the same model and the same laws, another solver to doubt the first by.

It is built from the compiled MuJoCo model, one connection to Bullet for each simulation. What Bullet
integrates and how it solves contacts, limits and friction is its own; docs/engines.md says what is the
same in both and what is not. Python walks over the simulations one by one: it is no engine to train
quickly with.
"""

import weakref
from collections.abc import Sequence
from typing import Any, Self

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.errors import missing_extra
from simreal.physics.bullet_fields import OF_THE_BODIES, Fields
from simreal.physics.bullet_frames import from_bullet, to_bullet, wrench_at_centre
from simreal.physics.bullet_law import GAINS, CommandLine, ForceLaw
from simreal.physics.bullet_limits import refuse_unsupported, refuse_unsupported_sensor
from simreal.physics.bullet_sensors import Contact, SensorReader
from simreal.physics.interface import Start, StepLaw
from simreal.physics.layout import Layout, sensor_columns, whole_substeps
from simreal.physics.model import Scene, compile_model, named_id
from simreal.robots import Robot
from simreal.state import FloatArray, Ids

try:
    from simreal.physics.bullet_build import Blueprint, make_blueprint
    from simreal.physics.bullet_clients import acquire, release
    from simreal.physics.bullet_world import BulletWorld
except ModuleNotFoundError as error:
    raise missing_extra("pybullet", "bullet") from error


FASTEST = 1e6
"""m/s or rad/s. What moves faster has left the numbers that mean anything."""


class BulletPhysics:
    """The `Physics` of PyBullet; see there for the attributes."""

    def __init__(
        self,
        robot: Robot,
        count: int,
        control_rate: float | None = None,
        longest_action_latency: float = 0.0,
        threads: int = 0,
        scene: Scene | None = None,
    ) -> None:
        """Compile the robot's model and make `count` simulations of it.

        Args:
            robot: the robot.
            count: number of simulations.
            control_rate: Hz; the control period must be a whole number of timesteps, and is one of
                them if absent.
            longest_action_latency: s, the delay that the actuators' history must hold.
            threads: without effect: PyBullet keeps Python's lock.
            scene: adds what stands around the robot.

        Raises:
            UserError: as of MuJoCo, and a model with something that Bullet does not have.
        """
        self.model = compile_model(robot, longest_action_latency, scene)
        refuse_unsupported(self.model, robot.name)
        self.count = count
        self.timestep = float(self.model.opt.timestep)
        self.substeps = whole_substeps(self.timestep, control_rate or 1.0 / self.timestep, robot.name)
        self._robot = robot
        self._fields = Fields(self.model, count)
        self._joint_law = ForceLaw(self.model, self._fields)
        self._line = CommandLine(self.model, self._fields, count)
        self._reader = SensorReader(self.model, self._fields)
        self._layout = Layout(self.model, robot)
        self.free_bodies = tuple(self.model.body(body).name for body in self._layout.free.bodies)
        self._rubs = not self.model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_FRICTIONLOSS
        self._make_state()
        self._worlds: list[BulletWorld | None] = [None] * count
        self._clients: dict[int, int] = {}  # of a simulation
        weakref.finalize(self, release, self._clients.values())
        self._blueprint: Blueprint | None = None
        self._changes_gains = False
        self._stale = np.ones(count, dtype=bool)
        self._misplaced = np.zeros(count, dtype=bool)

    def _make_state(self) -> None:
        model, count, steps = self.model, self.count, self.substeps
        self._qpos: FloatArray = np.repeat(model.qpos0[None], count, axis=0)
        self._qvel: FloatArray = np.zeros((count, model.nv))
        self._command: FloatArray = np.zeros((count, model.nu))
        self._bases: FloatArray = np.zeros((count, len(self.free_bodies), 13))
        self._inertia: FloatArray = np.zeros((count, model.nv))
        self._friction: FloatArray = np.zeros((count, model.nv))
        self.body_force: FloatArray = np.zeros((count, model.nbody, 6))
        self.dof_force: FloatArray = np.zeros((count, model.nv))
        self.diverged: NDArray[np.bool_] = np.zeros(count, dtype=bool)
        self.positions: FloatArray = np.repeat(self._qpos[:, None], steps + 1, axis=1)
        self.velocities: FloatArray = np.zeros((count, steps + 1, model.nv))
        self.forces: FloatArray = np.zeros((count, steps, model.nu))
        self.contacts: list[list[Sequence[Contact]]] = [[()] * steps for _ in range(count)]
        self._readings: FloatArray | None = None
        self._sensors: dict[str, slice] = {}

    @property
    def joint_position(self) -> FloatArray:
        """(count, joints) true positions."""
        return self._qpos[:, self._layout.position_columns]

    @property
    def joint_velocity(self) -> FloatArray:
        """(count, joints) true velocities."""
        return self._qvel[:, self._layout.velocity_columns]

    @property
    def position_trace(self) -> FloatArray:
        """(count, substeps, joints) positions after each physics step of the last control step."""
        return self.positions[:, 1:, self._layout.position_columns]

    @property
    def velocity_trace(self) -> FloatArray:
        """(count, substeps, joints) velocities after each physics step of the last control step."""
        return self.velocities[:, 1:, self._layout.velocity_columns]

    @property
    def free_position(self) -> FloatArray:
        """(count, free bodies, 7) places and orientations."""
        return self._qpos[:, self._layout.free.position]

    @property
    def free_velocity(self) -> FloatArray:
        """(count, free bodies, 6) velocities."""
        return self._qvel[:, self._layout.free.velocity]

    @property
    def actuator_force(self) -> FloatArray:
        """(count, actuators) forces in the last physics step."""
        return self.forces[:, -1, self._layout.actuators]

    @property
    def expanded_fields(self) -> list[str]:
        """Names of the fields that have values per simulation."""
        return self._fields.names

    def field(self, name: str) -> NDArray[Any]:
        """Per-simulation values of a model field, (count, ...), live and writable.

        Those that Bullet cannot follow may be asked for, but `commit` refuses any other value than
        the compiled one.
        """
        if name in GAINS and name not in self._fields.names:
            self._changes_gains = True
            self._blueprint = None
            self._stale[:] = True
        return self._fields.expand(name)

    def commit(self, ids: Ids) -> None:
        """Have simulations built anew where a written field asks for it.

        Raises:
            NotFollowedError: a value that Bullet does nothing with.
        """
        self._fields.refuse_unfollowed(np.asarray(ids))
        if not OF_THE_BODIES.isdisjoint(self._fields.names):
            self._stale[ids] = True

    # Sensors

    def sensor(self, name: str) -> FloatArray:
        """(count, dimension) values of a sensor as the last physics step began."""
        return self.sensor_trace(name)[:, -1]

    def sensor_trace(self, name: str) -> FloatArray:
        """(count, substeps, dimension) values of a sensor in the last control step.

        An accelerometer at the start of an episode reads as if nothing accelerated.
        """
        if name not in self._sensors:
            sensor = named_id(self.model, mujoco.mjtObj.mjOBJ_SENSOR, name, self._robot)
            refuse_unsupported_sensor(self.model, sensor)
            self._sensors[name] = sensor_columns(self.model, sensor)
        return self._read_all()[..., self._sensors[name]]

    def _read_all(self) -> FloatArray:
        """(count, substeps, nsensordata), read when somebody asks for the first time."""
        if self._readings is None:
            self._readings = np.stack(
                [
                    [self._reader.read(self, row, substep) for substep in range(self.substeps)]
                    for row in range(self.count)
                ]
            )
        return self._readings

    # Episodes

    def reset(self, ids: Ids, start: Start, target: FloatArray) -> None:
        """Start some simulations afresh; see `Physics.reset`."""
        ids = np.asarray(ids)
        self._qpos[ids], self._qvel[ids] = _rows(self._fields.all("qpos0"), ids), 0.0
        self._layout.write(start, ids, self._qpos, self._qvel)
        self._command[np.ix_(ids, self._layout.actuators)] = target
        self._line.fill(ids, self._command[ids])
        self.body_force[ids], self.dof_force[ids] = 0.0, 0.0
        force = self._joint_law.actuator_force(self._qpos, self._qvel, self._line.in_force())
        self.positions[ids], self.velocities[ids] = self._qpos[ids, None], self._qvel[ids, None]
        self.forces[ids] = force[ids, None]
        for row in ids.tolist():
            self.contacts[row] = [()] * self.substeps
        self._begin(ids)

    def _begin(self, ids: Ids) -> None:
        """An episode is built anew: what Bullet remembers of contacts must not outlive one."""
        self.diverged[ids] = False
        self._stale[ids] = True
        self._readings = None

    def kick(self, ids: Ids, dofs: NDArray[np.integer[Any]], change: FloatArray) -> None:
        """Change velocities at once; see `Physics.kick`."""
        self._qvel[ids[:, None], dofs] += change
        self._misplaced[ids] = True

    def take(self, ids: Ids, source: Self, rows: Ids) -> None:
        """Go on from the state and with the fields of other simulations; see `Physics.take`."""
        for name in source._fields.names:
            self.field(name)
        self._fields.take(ids, source._fields, rows)
        self._line.take(ids, source._line, rows)
        for name in ("_qpos", "_qvel", "_command", "body_force", "dof_force"):
            getattr(self, name)[ids] = getattr(source, name)[rows]
        for name in ("positions", "velocities"):
            getattr(self, name)[ids] = getattr(source, name)[rows, -1:]
        self.forces[ids] = source.forces[rows, -1:]
        for here, there in zip(ids.tolist(), rows.tolist(), strict=True):
            self.contacts[here] = [source.contacts[there][-1]] * self.substeps
        self._begin(ids)

    # Motion

    def step(self, target: FloatArray, law: StepLaw | None = None) -> None:
        """Advance each simulation by one control step, and flag what has left the finite numbers."""
        commands = np.broadcast_to(target, (self.substeps, *target.shape[-2:]))
        self._readings = None
        self.positions[:, 0], self.velocities[:, 0] = self._qpos, self._qvel
        for substep in range(self.substeps):
            self._command[:, self._layout.actuators] = commands[substep]
            if law is not None:
                law()
            self._line.push(self._command)
            self._advance(substep)
            self.positions[:, substep + 1], self.velocities[:, substep + 1] = self._qpos, self._qvel

    def _advance(self, substep: int) -> None:
        """Let a physics step pass."""
        worlds = self._ready_worlds()
        force = self._joint_law.actuator_force(self._qpos, self._qvel, self._line.in_force())
        self.forces[:, substep] = force
        torque = self._joint_law.joint_force(self._qpos, self._qvel, force) + self.dof_force
        wrench = self._wrenches(torque)
        pushed = np.asarray(wrench.any(axis=2)) if wrench.any() else None
        for row, world in worlds:
            if pushed is not None:
                for body in np.flatnonzero(pushed[row]).tolist():
                    world.push(body, wrench[row, body])
            world.step(torque[row])
            world.read(self._qpos[row], self._qvel[row], self._bases[row])
            if self._reader.wants_contacts:
                self.contacts[row][substep] = tuple(world.contacts())
        self._note_free_bodies(np.array([row for row, _ in worlds], dtype=np.int64))
        self._note_divergence()

    def _wrenches(self, torque: FloatArray) -> FloatArray:
        """(count, bodies, 6) forces on bodies at their centres of mass, in the world."""
        if not self.free_bodies:
            return self._within_trees(self.body_force)
        bodies, velocities = self._layout.free.bodies, self._layout.free.velocity
        centre = self._fields.all("body_ipos")[:, bodies]
        wrench = self._within_trees(self.body_force).copy()
        wrench[:, bodies] += wrench_at_centre(torque[:, velocities], self.free_position, centre)
        return wrench

    def _within_trees(self, force: FloatArray) -> FloatArray:
        """What is fixed to the world cannot be pushed."""
        return np.where((self.model.body_weldid != 0)[:, None], force, 0.0) if force.any() else force

    def _note_free_bodies(self, rows: Ids) -> None:
        if self.free_bodies and rows.size:
            at, bodies = rows[:, None, None], self._layout.free.bodies
            centre = _rows(self._fields.all("body_ipos"), rows)[:, bodies]
            frame = _rows(self._fields.all("body_iquat"), rows)[:, bodies]
            place, speed = from_bullet(self._bases[rows], centre, frame)
            self._qpos[at, self._layout.free.position] = place
            self._qvel[at, self._layout.free.velocity] = speed

    def _note_divergence(self) -> None:
        sane = np.isfinite(self._qpos).all(axis=1) & (np.abs(self._qvel) < FASTEST).all(axis=1)
        self.diverged |= ~sane
        if not sane.all():
            self._qpos[~sane] = self.model.qpos0
            self._qvel[~sane] = 0.0
            self._stale[~sane] = True

    # From the arrays to Bullet

    def _ready_worlds(self) -> list[tuple[int, BulletWorld]]:
        """The simulations that have not diverged, as the arrays have them."""
        inertia = np.broadcast_to(self._joint_law.rotor_inertia(), self._inertia.shape)
        friction = np.broadcast_to(self._fields.all("dof_frictionloss"), self._friction.shape)
        ready = []
        for row in np.flatnonzero(~self.diverged).tolist():
            world = self._worlds[row]
            if world is None or self._stale[row]:
                world = self._build(row, inertia[row])
                self._inertia[row], self._friction[row] = inertia[row], 0.0
            if self._misplaced[row]:
                world.set_state(self._qpos[row], self._qvel[row], self._bases_of(row))
            if (self._inertia[row] != inertia[row]).any():
                world.set_rotors(inertia[row])
                self._inertia[row] = inertia[row]
            if self._rubs and (self._friction[row] != friction[row]).any():
                world.set_friction(friction[row])
                self._friction[row] = friction[row]
            ready.append((row, world))
        self._misplaced[:] = False
        return ready

    def _build(self, row: int, inertia: FloatArray) -> BulletWorld:
        if self._blueprint is None:
            geared = self._joint_law.rotor_inertia().any(axis=0)
            scalar = np.ones(self.model.nv, dtype=bool)
            scalar[self._layout.free.velocity.ravel()] = False
            self._blueprint = make_blueprint(self.model, (geared | self._changes_gains) & scalar)
        if row not in self._clients:
            self._clients[row] = acquire()

        def value(name: str) -> FloatArray:
            values: FloatArray = self._fields.of(row, name)
            return values

        world = BulletWorld(self._clients[row], self._blueprint, value, inertia)
        self._worlds[row] = world
        self._stale[row], self._misplaced[row] = False, True
        return world

    def _bases_of(self, row: int) -> FloatArray:
        """(free bodies, 13) of one simulation, for Bullet."""
        layout, field = self._layout, self._fields.of
        return to_bullet(
            self._qpos[row, layout.free.position],
            self._qvel[row, layout.free.velocity],
            field(row, "body_ipos")[layout.free.bodies],
            field(row, "body_iquat")[layout.free.bodies],
        )


def _rows(values: FloatArray, rows: Ids) -> FloatArray:
    """Some simulations' values of a field; the one row that holds for all stays one."""
    return values if len(values) == 1 else values[rows]
