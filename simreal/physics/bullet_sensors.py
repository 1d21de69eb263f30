"""Sensors of a model that moves in Bullet.

Where a body is and how fast follows from the joints alone, so MuJoCo's kinematics does that. What
needs accelerations is given those that Bullet has come to, and what feels contacts Bullet's own.
"""

import copy
from collections.abc import Sequence
from typing import Protocol

import mujoco

from simreal.physics.bullet_fields import Fields
from simreal.physics.layout import compiled_field
from simreal.state import FloatArray

Contact = tuple[int, int, FloatArray, FloatArray, float]
"""Two geoms, (3,) place in m, (3,) unit vector from the first to the second, and force in N."""

_KINEMATIC = ("body_", "jnt_axis", "jnt_pos", "geom_pos", "geom_quat", "geom_size", "site_")
_ALSO = ("qpos0", "opt.gravity")


class History(Protocol):
    """What has happened in each physics step of the last control step.

    Attributes:
        positions: (count, substeps + 1, nq).
        velocities: (count, substeps + 1, nv).
        forces: (count, substeps, nu) of the actuators.
        contacts: for each simulation and physics step.
    """

    positions: FloatArray
    velocities: FloatArray
    forces: FloatArray
    contacts: list[list[Sequence[Contact]]]


class SensorReader:
    """Reads the sensors of one simulation at a time."""

    def __init__(self, model: mujoco.MjModel, fields: Fields) -> None:
        """Take a copy of the model, in which nothing touches."""
        self._model = _copy(model)
        self._data = mujoco.MjData(self._model)
        self._fields = fields
        kinds = [mujoco.mjtSensor(kind) for kind in model.sensor_type]
        self._touch = [i for i, kind in enumerate(kinds) if kind == mujoco.mjtSensor.mjSENS_TOUCH]
        self._found = [i for i, kind in enumerate(kinds) if kind == mujoco.mjtSensor.mjSENS_CONTACT]
        self._drive = [i for i, kind in enumerate(kinds) if kind == mujoco.mjtSensor.mjSENS_ACTUATORFRC]

    @property
    def wants_contacts(self) -> bool:
        """Whether any sensor feels contacts."""
        return bool(self._touch or self._found)

    def read(self, history: History, simulation: int, substep: int) -> FloatArray:
        """(nsensordata,) values as a physics step began, with the forces that acted in it."""
        data, model, step = self._data, self._model, self._model.opt.timestep
        self._set_fields(simulation)
        now, after = history.velocities[simulation, substep : substep + 2]
        data.qpos[:], data.qvel[:] = history.positions[simulation, substep], now
        data.qacc[:] = (after - now) / step
        mujoco.mj_inverse(model, data)
        readings: FloatArray = data.sensordata.copy()
        contacts = history.contacts[simulation][substep]
        for sensor in self._drive:
            force = history.forces[simulation, substep, model.sensor_objid[sensor]]
            readings[model.sensor_adr[sensor]] = force
        for sensor in self._touch:
            readings[model.sensor_adr[sensor]] = self._touching(sensor, contacts)
        for sensor in self._found:
            readings[model.sensor_adr[sensor]] = self._matching(sensor, contacts)
        return readings

    def _set_fields(self, simulation: int) -> None:
        for name in self._fields.names:
            if name.startswith(_KINEMATIC) or name in _ALSO:
                compiled_field(self._model, name)[:] = self._fields.of(simulation, name)

    def _touching(self, sensor: int, contacts: Sequence[Contact]) -> float:
        """N, of contacts of the site's body whose normal, away from the body, meets the site."""
        model, data, site = self._model, self._data, int(self._model.sensor_objid[sensor])
        body, total = model.site_bodyid[site], 0.0
        for first, second, place, normal, force in contacts:
            bodies = (model.geom_bodyid[first], model.geom_bodyid[second])
            if body in bodies and force > 0:
                ray = normal if body == bodies[0] else -normal
                if self._meets(data.site_xpos[site], data.site_xmat[site], site, place, ray):
                    total += force
        return total

    def _meets(
        self, centre: FloatArray, axes: FloatArray, site: int, place: FloatArray, ray: FloatArray
    ) -> bool:
        size, kind = self._model.site_size[site], int(self._model.site_type[site])
        return bool(mujoco.mju_rayGeom(centre, axes, size, place, ray, kind, None) >= 0)

    def _matching(self, sensor: int, contacts: Sequence[Contact]) -> float:
        """How many contacts there are between the two named things."""
        model = self._model
        ends = [
            (int(model.sensor_objtype[sensor]), int(model.sensor_objid[sensor])),
            (int(model.sensor_reftype[sensor]), int(model.sensor_refid[sensor])),
        ]
        found = 0
        for first, second, *_ in contacts:
            either = (self._is(first, *ends[0]) and self._is(second, *ends[1])) or (
                self._is(second, *ends[0]) and self._is(first, *ends[1])
            )
            found += either
        return float(found)

    def _is(self, geom: int, kind: int, index: int) -> bool:
        body = int(self._model.geom_bodyid[geom])
        match mujoco.mjtObj(kind):
            case mujoco.mjtObj.mjOBJ_GEOM:
                return geom == index
            case mujoco.mjtObj.mjOBJ_BODY:
                return body == index
            case mujoco.mjtObj.mjOBJ_XBODY:
                while body > index:
                    body = int(self._model.body_parentid[body])
                return body == index
        return True


def _copy(model: mujoco.MjModel) -> mujoco.MjModel:
    """A model of the same kinematics, without constraints: its own dynamics is nobody's concern."""
    free = copy.copy(model)
    free.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
    free.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    return free
