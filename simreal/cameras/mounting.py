"""Puts the cameras that a policy has into the model of its robot."""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from simreal.contract import CameraMount, CameraTerm
from simreal.errors import UserError, nearest
from simreal.physics.model import Scene


@dataclass(frozen=True)
class CameraScene:
    """A scene with cameras.

    Attributes:
        cameras: of the policy; those without a mount are in the model.
        rest: what stands around besides.
    """

    cameras: tuple[CameraTerm, ...]
    rest: Scene | None = None

    def __call__(self, spec: mujoco.MjSpec) -> None:
        """Add all of it.

        Raises:
            UserError: a body that the model does not have.
        """
        if self.rest is not None:
            self.rest(spec)
        for camera in self.cameras:
            if camera.mount is not None:
                _add(spec, camera.name, camera.mount)


def _add(spec: mujoco.MjSpec, name: str, mount: CameraMount) -> None:
    body = spec.body(mount.body)
    if body is None:
        known = [each.name for each in spec.bodies]
        raise UserError(
            f"camera {name}: no body {mount.body!r} in the model: {nearest(mount.body, known)}"
        )
    body.add_camera(
        name=name,
        pos=mount.position,
        quat=_looking(mount.position, mount.look_at),
        fovy=float(np.degrees(mount.field_of_view)),
    )


def _looking(position: Sequence[float], target: Sequence[float]) -> list[float]:
    """Quaternion w, x, y, z of a camera, which looks along its -z axis with y upwards."""
    back = np.subtract(position, target)
    back = back / np.linalg.norm(back)
    upright = np.array([0.0, 0.0, 1.0]) if abs(back[2]) < 0.999 else np.array([1.0, 0.0, 0.0])
    right = np.cross(upright, back)
    right /= np.linalg.norm(right)
    quaternion = np.zeros(4)
    axes = np.stack([right, np.cross(back, right), back], axis=1)
    mujoco.mju_mat2Quat(quaternion, axes.ravel())
    return [float(each) for each in quaternion]
