"""The inertial measurement unit of a robot on a free base: found by its sensors' kinds, or put in."""

from dataclasses import dataclass

import mujoco

from simreal.robot_add.naming import free_name

SENSORS = {
    "orientation": mujoco.mjtSensor.mjSENS_FRAMEQUAT,
    "angular_velocity": mujoco.mjtSensor.mjSENS_GYRO,
    "linear_acceleration": mujoco.mjtSensor.mjSENS_ACCELEROMETER,
}
SITE = "imu"


@dataclass(frozen=True, slots=True)
class Imu:
    """Names of the sensors.

    Attributes:
        sensors: ``orientation``, ``angular_velocity`` and ``linear_acceleration`` to a sensor's name.
        note: what was found and what was put in, for people.
    """

    sensors: dict[str, str]
    note: str


def settle_imu(spec: mujoco.MjSpec, base: mujoco.MjsBody) -> Imu:
    """Find the three sensors on one site of the base, and add those that are missing.

    Args:
        spec: is changed.
        base: the body that hangs on nothing.
    """
    site = _site_of_imu(spec, base)
    made = site is None
    if site is None:
        name = SITE if spec.site(SITE) is None else f"{base.name}_{SITE}"
        site = base.add_site(name=name)
    names, added = {}, []
    for quantity, kind in SENSORS.items():
        sensor = _sensor(spec, kind, site.name)
        if sensor is None:
            sensor = spec.add_sensor(type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site.name)
            added.append(quantity)
        taken = {each.name for each in spec.sensors}
        sensor.name = sensor.name or free_name(f"{SITE}_{quantity}", taken)
        names[quantity] = sensor.name
    place = (
        f"at the origin of body {base.name}: move site {site.name}" if made else f"at site {site.name}"
    )
    note = f"IMU {place}" + (f"; added sensors of {', '.join(added)}" if added else "")
    return Imu(names, note)


def _site_of_imu(spec: mujoco.MjSpec, base: mujoco.MjsBody) -> mujoco.MjsSite | None:
    """Where the gyroscope is, else the accelerometer, or a site whose name says so."""
    for kind in (SENSORS["angular_velocity"], SENSORS["linear_acceleration"]):
        for sensor in spec.sensors:
            if sensor.type == kind and sensor.objtype == mujoco.mjtObj.mjOBJ_SITE:
                site = spec.site(sensor.objname)
                if site is not None:
                    return site
    return next((site for site in base.sites if "imu" in site.name.lower()), None)


def _sensor(spec: mujoco.MjSpec, kind: mujoco.mjtSensor, site: str) -> mujoco.MjsSensor | None:
    for sensor in spec.sensors:
        on_site = sensor.objtype == mujoco.mjtObj.mjOBJ_SITE and sensor.objname == site
        if sensor.type == kind and on_site and not sensor.refname and sensor.cutoff == 0.0:
            return sensor
    return None
