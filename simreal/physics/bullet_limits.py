"""What a model may not have if PyBullet is to simulate it."""

import mujoco
import numpy as np

from simreal.errors import UserError, nearest
from simreal.physics.drives import on_joint, turns_or_slides
from simreal.physics.layout import compiled_field

_WITHOUT = (
    "dof_dampingpoly",
    "jnt_stiffnesspoly",
    "actuator_dampingpoly",
    "body_gravcomp",
    "opt.density",
    "opt.viscosity",
)


def refuse_unsupported(model: mujoco.MjModel, robot: str) -> None:
    """Raise a `UserError` that names all that the model has and Bullet, as used here, has not."""
    found = _structures(model) + _joints(model) + _actuators(model)
    found += [name for name in _WITHOUT if np.any(compiled_field(model, name))]
    if found:
        listed = ", ".join(found)
        raise UserError(f"robot {robot}: engine bullet has no {listed}; nearest: engine mujoco")


def _structures(model: mujoco.MjModel) -> list[str]:
    counts = {
        "equality constraints": model.neq,
        "tendons": model.ntendon,
        "mocap bodies": model.nmocap,
        "flexible bodies": model.nflex,
        "explicit contact pairs": model.npair,
        "actuators with a state": model.na,
    }
    return [name for name, count in counts.items() if count]


def _joints(model: mujoco.MjModel) -> list[str]:
    found = []
    for joint in range(model.njnt):
        first, name = model.jnt_dofadr[joint], model.joint(joint).name
        match mujoco.mjtJoint(model.jnt_type[joint]):
            case mujoco.mjtJoint.mjJNT_BALL:
                found.append(f"ball joint ({name})")
            case mujoco.mjtJoint.mjJNT_FREE:
                dofs = slice(first, first + 6)
                if model.dof_armature[dofs].any() or model.dof_frictionloss[dofs].any():
                    found.append(f"armature or friction loss of a free joint ({name})")
    return found


def _actuators(model: mujoco.MjModel) -> list[str]:
    gains = {int(mujoco.mjtGain.mjGAIN_FIXED), int(mujoco.mjtGain.mjGAIN_AFFINE)}
    laws = {int(mujoco.mjtBias.mjBIAS_NONE), int(mujoco.mjtBias.mjBIAS_AFFINE)}
    found = []
    for index in range(model.nu):
        joint = int(model.actuator_trnid[index, 0])
        drives = on_joint(model, index) and turns_or_slides(model, joint)
        is_affine = int(model.actuator_gaintype[index]) in gains
        if not (drives and is_affine and int(model.actuator_biastype[index]) in laws):
            found.append(f"actuator of the kind of {model.actuator(index).name}")
    return found


SENSORS = frozenset(
    {
        "accelerometer",
        "actuatorfrc",
        "actuatorpos",
        "actuatorvel",
        "clock",
        "contact",
        "frameangacc",
        "frameangvel",
        "framelinacc",
        "framelinvel",
        "framepos",
        "framequat",
        "framexaxis",
        "frameyaxis",
        "framezaxis",
        "gyro",
        "jointpos",
        "jointvel",
        "magnetometer",
        "rangefinder",
        "subtreeangmom",
        "subtreecom",
        "subtreelinvel",
        "touch",
        "velocimeter",
    }
)
"""Types of sensors that are read in Bullet."""


def refuse_unsupported_sensor(model: mujoco.MjModel, sensor: int) -> None:
    """Raise a `UserError` for a sensor whose value Bullet does not tell."""
    name = model.sensor(sensor).name
    kind = mujoco.mjtSensor(model.sensor_type[sensor]).name.removeprefix("mjSENS_").lower()
    if kind not in SENSORS:
        raise UserError(
            f"sensor {name}: engine bullet has no sensor of type {kind}: {nearest(kind, SENSORS)}"
        )
    if model.sensor_history[sensor, 0]:
        raise UserError(f"sensor {name}: engine bullet has no sensors with a delay of their own")
    if kind == "contact" and int(model.sensor_intprm[sensor, 0]) != 1:
        raise UserError(f"sensor {name}: engine bullet tells of a contact only that it was `found`")
