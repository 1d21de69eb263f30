"""Faults in a robot's model: masses, angles, what robot.yaml says otherwise, delays, sensors."""

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.contract import Joint, RobotDescription
from simreal.errors import nearest
from simreal.lint.angle_checks import check_angles, misread_joints
from simreal.lint.command_checks import check_commands
from simreal.lint.finding import Finding
from simreal.lint.model_file import ModelFile, kind_of
from simreal.lint.timestep_checks import check_timestep
from simreal.lint.value_checks import check_values
from simreal.physics.contradictions import contradictions

WIDEST, NARROWEST = 3.0, 0.02
"""Radius of gyration over the reach of a body: beyond it, an inertia in other units is more likely than
such a body. kg·cm² for kg·m² puts it off by 100, g·mm² by 30,000."""


def check_model(file: ModelFile, robot: RobotDescription) -> Iterator[Finding]:
    """All checks of a model that can be read."""
    yield from check_file(file, robot.joints)
    yield from _names(file, robot)
    misread = {joint.name for joint in misread_joints(file, robot.joints)}
    yield from _contradictions(file, robot, misread)
    yield from _endless(file, robot)
    yield from check_commands(file, robot)
    if file.compiled is not None and not misread:
        yield from check_timestep(file, file.compiled, described_posture(file.compiled, robot))


def described_posture(model: mujoco.MjModel, robot: RobotDescription) -> NDArray[np.float64]:
    """(nq,) with the joints of a description, as far as they are in the model, where they wait."""
    qpos: NDArray[np.float64] = model.qpos0.copy()
    for joint in robot.joints:
        with suppress(KeyError):  # another check has told that it is not there
            qpos[model.joint(joint.name).qposadr[0]] = joint.default_position
    return qpos


def check_file(file: ModelFile, described: Sequence[Joint] = ()) -> Iterator[Finding]:
    """The checks that need no description of the robot; with its joints, angles are surer."""
    yield from check_values(file)
    yield from _inertias(file)
    yield from _sizes(file)
    yield from check_angles(file, described)
    yield from _delays(file)
    yield from _sensor_noise(file)


def _inertias(file: ModelFile) -> Iterator[Finding]:
    """Inertias that are written down and that no masses have."""
    for body in file.spec.bodies:
        if not body.explicitinertial or not _moves(body):
            continue
        about = _principal(body)
        if body.mass > mujoco.mjMINVAL and about[0] <= mujoco.mjMINVAL:
            what = (
                f"body {body.name}: a mass of {body.mass:g} kg, but an inertia of {_listed(about)} kg·m²"
            )
            mend = "give its inertia about the centre of mass, or mass to geoms in place of <inertial>"
            yield Finding("error", "inertia", file.where(body), what, mend)
        elif about[0] + about[1] < about[2] * (1.0 - 1e-9):
            what = (
                f"body {body.name}: no masses have the inertia {_listed(about)} kg·m²: "
                f"{about[2]:g} is more than the sum of the others"
            )
            mend = "take it from CAD anew, about the centre of mass; balanceinertia only hides this"
            yield Finding("error", "inertia", file.where(body), what, mend)


def _moves(body: Any) -> bool:
    """Whether a joint stands between a body and the world."""
    while body is not None:
        if body.joints:
            return True
        body = body.parent
    return False


def _principal(body: Any) -> NDArray[np.float64]:
    """(3,) principal inertias as written, rising, kg·m²."""
    full = np.asarray(body.fullinertia)
    if np.isnan(full[0]):
        return np.sort(np.asarray(body.inertia, dtype=np.float64))
    xx, yy, zz, xy, xz, yz = full
    return np.linalg.eigvalsh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def _listed(values: NDArray[np.float64]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _sizes(file: ModelFile) -> Iterator[Finding]:
    """Inertias that do not fit the size of their body."""
    model = file.compiled
    if model is None:
        return
    for body in file.spec.bodies:
        mass, reach = model.body_mass[body.id], _reach(model, body.id)
        if not mujoco.mjMINVAL < mass < math.inf or reach < 1e-6 or not _moves(body):
            continue
        radius = math.sqrt(model.body_inertia[body.id].max() / mass)
        if NARROWEST * reach <= radius <= WIDEST * reach:
            continue
        what = (
            f"body {body.name} reaches {reach:.3g} m from its centre of mass, but its inertia is as if "
            f"its {mass:.3g} kg were {radius:.3g} m away"
        )
        yield Finding(
            "warning", "inertia", file.where(body), what, _mend_of_size(model, body.id, radius)
        )


def _mend_of_size(model: mujoco.MjModel, body: int, radius: float) -> str:
    """A mesh in mm is to blame where a body without its meshes fits its inertia."""
    usual = "give kg, m and kg·m²"
    meshes = np.flatnonzero(
        (model.geom_type == mujoco.mjtGeom.mjGEOM_MESH) & (model.geom_bodyid == body)
    )
    too_far, others = NARROWEST * _reach(model, body), NARROWEST * _reach(model, body, meshes)
    if not len(meshes) or not others <= radius < too_far:
        return usual
    largest = meshes[model.geom_rbound[meshes].argmax()]
    mesh = model.mesh(int(model.geom_dataid[largest])).name
    return f'scale="0.001 0.001 0.001" on mesh {mesh}, if it is in mm; else {usual}'


def _reach(model: mujoco.MjModel, body: int, without: Sequence[int] | NDArray[np.int64] = ()) -> float:
    """m, from a body's centre of mass to the farthest of its geoms (but some), joints and children."""
    centre = model.body_ipos[body]
    geoms = np.setdiff1d(np.flatnonzero(model.geom_bodyid == body), without)
    joints = np.flatnonzero(model.jnt_bodyid == body)
    children = np.flatnonzero(model.body_parentid == body)
    places = np.concatenate((model.geom_pos[geoms], model.jnt_pos[joints], model.body_pos[children]))
    extra = np.zeros(len(places))
    extra[: len(geoms)] = model.geom_rbound[geoms]
    return float((np.linalg.norm(places - centre, axis=1) + extra).max(initial=0.0))


def _names(file: ModelFile, robot: RobotDescription) -> Iterator[Finding]:
    """Joints and actuators of the description that the model lacks."""
    for kind, names, elements in (
        ("joint", robot.joint_names, file.spec.joints),
        ("actuator", robot.actuator_names, file.spec.actuators),
    ):
        present = [element.name for element in elements]
        for name in names:
            if name not in present:
                what = f"robot.yaml has {kind} {name!r}, which is not here"
                hint = nearest(name, filter(None, present))
                yield Finding("error", "name", f"{file.path}:1", what, hint)


def _contradictions(file: ModelFile, robot: RobotDescription, misread: set[str]) -> Iterator[Finding]:
    """What robot.yaml, and with it the contract, says otherwise than the model.

    Args:
        file: of the model.
        robot: its description.
        misread: joints whose range is in another unit: what makes them agree comes after that.
    """
    if file.compiled is None:
        return
    parts = {
        (kind, each.name): each
        for kind, elements in (
            ("joint", file.spec.joints),
            ("actuator", file.spec.actuators),
            ("tool", file.spec.sites),
        )
        for each in elements
    }
    spared = misread | {each.name for each in robot.actuators if each.joint in misread}
    for found in contradictions(file.compiled, robot):
        if found.subject == "range" and found.name in spared:
            continue
        check = "control-range" if found.subject == "range" else found.subject
        where = file.where(parts[found.kind, found.name])
        yield Finding("error", check, where, f"{found.kind} {found.name}: {found.what}", found.mend)


def _endless(file: ModelFile, robot: RobotDescription) -> Iterator[Finding]:
    """Joints that end in robot.yaml, but not in the model."""
    model = file.compiled
    if model is None:
        return
    ends = {each.name: (each.lower, each.upper) for each in robot.joints}
    for joint in file.spec.joints:
        low, high = ends.get(joint.name, (None, None))
        if low is not None and high is not None and not model.jnt_limited[joint.id]:
            what = f"joint {joint.name}: {low:g} to {high:g} in robot.yaml, without end in the model"
            numbers = np.degrees([low, high]) if _in_degrees(joint) else (low, high)
            mend = (
                f'limited="true" range="{numbers[0]:.6g} {numbers[1]:.6g}", or no limits in robot.yaml'
            )
            yield Finding("warning", "control-range", file.where(joint), what, mend)


def _in_degrees(joint: Any) -> bool:
    return bool(joint.compiler.degree and joint.type == mujoco.mjtJoint.mjJNT_HINGE)


def _delays(file: ModelFile) -> Iterator[Finding]:
    """Delays that the history of an actuator or sensor cannot hold: reads would be wrong in silence."""
    timestep = file.spec.option.timestep
    for element in (*file.spec.actuators, *file.spec.sensors):
        held = element.nsample * timestep
        if element.delay > held * (1.0 + 1e-9):
            what = (
                f"{kind_of(element)} {element.name}: a delay of {1e3 * element.delay:g} ms, but "
                f"{element.nsample} samples of {1e3 * timestep:g} ms hold {1e3 * held:g} ms"
            )
            samples = math.ceil(element.delay / timestep - 1e-9) + 1
            yield Finding("error", "history", file.where(element), what, f'nsample="{samples}"')


def _sensor_noise(file: ModelFile) -> Iterator[Finding]:
    for sensor in file.spec.sensors:
        if sensor.noise > 0:
            what = f"sensor {sensor.name}: noise {sensor.noise:g} is not applied by the engine"
            mend = "take it out, and randomize encoder_noise or velocity_noise"
            yield Finding("warning", "sensor-noise", file.where(sensor), what, mend)
