"""The same images by OpenGL, without what costs much in software: shadows, mirrors, smooth edges, sky.

One after another, in one context. `simreal doctor` tells which way to OpenGL works here.
"""

import copy

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.cameras.posed import Posed
from simreal.cameras.ray_cast import SHOWN_GROUPS, camera_id
from simreal.physics.picture import MOST_SHAPES, open_gl, place_all
from simreal.state import Ids

COSTLY = (
    mujoco.mjtRndFlag.mjRND_SHADOW,
    mujoco.mjtRndFlag.mjRND_REFLECTION,
    mujoco.mjtRndFlag.mjRND_SKYBOX,
    mujoco.mjtRndFlag.mjRND_HAZE,
    mujoco.mjtRndFlag.mjRND_FOG,
)


class OpenGLCamera:
    """Draws one camera of the simulations of a batch, as `RayCaster` does.

    It belongs to the thread that made it.
    """

    def __init__(self, posed: Posed, camera: str, width: int, height: int) -> None:
        """Open OpenGL and give it the model's textures and meshes.

        Args:
            posed: what is drawn.
            camera: its name in the model.
            width: pixels.
            height: pixels.

        Raises:
            UserError: no camera of that name, or no OpenGL here.
        """
        self._posed, self.width, self.height = posed, width, height
        self._model = copy.copy(posed.model)
        self._model.vis.quality.offsamples = 0
        self._model.vis.global_.offwidth, self._model.vis.global_.offheight = width, height
        self._data = mujoco.MjData(self._model)
        self._view = mujoco.MjvCamera()
        self._view.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._view.fixedcamid = camera_id(posed.model, camera)
        self._options = mujoco.MjvOption()
        self._options.geomgroup[:] = np.arange(6) < SHOWN_GROUPS
        for groups in (self._options.sitegroup, self._options.tendongroup, self._options.actuatorgroup):
            groups[:] = 0
        self._scene = mujoco.MjvScene(self._model, MOST_SHAPES)
        for flag in COSTLY:
            self._scene.flags[flag] = 0
        self._gl, self._context = open_gl(self._model)

    def colour(self, ids: Ids) -> NDArray[np.uint8]:
        """(len(ids), height, width, 3) red, green, blue; the first row is the upper one."""
        return np.stack([self._render(int(simulation))[0] for simulation in ids])

    def depth(self, ids: Ids) -> NDArray[np.float32]:
        """(len(ids), height, width) m along the camera's axis; infinite where there is nothing."""
        model = self._model
        near = np.float32(model.vis.map.znear * model.stat.extent)
        far = np.float32(model.vis.map.zfar * model.stat.extent)
        buffers = np.stack([self._render(int(simulation))[1] for simulation in ids])
        depth = near / (1.0 - buffers * (1.0 - near / far))
        depth[buffers >= 1.0] = np.inf
        return depth.astype(np.float32)

    def segmentation(self, ids: Ids) -> NDArray[np.int32]:
        """(len(ids), height, width) ids of geoms; -1 where there is nothing."""
        flags = [int(mujoco.mjtRndFlag.mjRND_SEGMENT), int(mujoco.mjtRndFlag.mjRND_IDCOLOR)]
        self._scene.flags[flags] = 1
        try:
            images = [self._segments(int(simulation)) for simulation in ids]
        finally:
            self._scene.flags[flags] = 0
        return np.stack(images)

    def _segments(self, simulation: int) -> NDArray[np.int32]:
        pixels = self._render(simulation)[0].astype(np.int32)
        number = pixels[..., 0] + (pixels[..., 1] << 8) + (pixels[..., 2] << 16)
        geoms = np.full(self._scene.ngeom + 1, -1, np.int32)
        for shape in self._scene.geoms[: self._scene.ngeom]:
            if shape.objtype == mujoco.mjtObj.mjOBJ_GEOM and shape.segid >= 0:
                geoms[shape.segid + 1] = shape.objid
        segments: NDArray[np.int32] = geoms[number]
        return segments

    def _render(self, simulation: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        model, data, context = self._model, self._data, self._context
        self._posed.copy_simulation(simulation, model, data)
        model.vis.quality.offsamples = 0
        place_all(model, data)
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(model, data, self._options, None, self._view, everything, self._scene)
        context.mat_texid[: model.mat_texid.size] = model.mat_texid.ravel()
        context.mat_texrepeat[: model.mat_texrepeat.size] = model.mat_texrepeat.ravel()
        self._gl.make_current()
        whole = mujoco.MjrRect(0, 0, self.width, self.height)
        pixels = np.empty((self.height, self.width, 3), np.uint8)
        depth = np.empty((self.height, self.width), np.float32)
        mujoco.mjr_render(whole, self._scene, context)
        mujoco.mjr_readPixels(pixels, depth, whole, context)
        return pixels[::-1], depth[::-1]

    def close(self) -> None:
        """Give OpenGL back."""
        self._gl.make_current()
        self._context.free()
        self._gl.free()
