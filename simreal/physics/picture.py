"""Pictures of single simulations, by MuJoCo's own renderer.

It needs OpenGL, not a screen: without one, EGL in software will do. A page that wants a picture even
where there is no OpenGL catches the `UserError` and draws `simreal.figure.wire_figure`.

One OpenGL context with one model's textures and meshes serves all simulations, since a simulation's own
fields reach the renderer with the scene. What is not a field of a simulation is the same in all
pictures: the head light, the sky, fog, and the pixels of textures. A scene in which no light is on is
drawn without shading, in full colour, not dark.
"""

import atexit
import copy
import os
import sys
from types import TracebackType
from typing import Any, Self

import mujoco
import numpy as np
from mujoco.rendering.classic import gl_context
from numpy.typing import NDArray

from simreal.errors import UserError, nearest
from simreal.physics.mujoco_engine import MujocoPhysics

Image = NDArray[np.uint8]

MOST_SHAPES = 10_000
"""Of one scene; MuJoCo leaves out what is beyond."""


class Renderer:
    """Renders the simulations of one batch, one at a time.

    It belongs to the thread that made it, and lives until it is closed, as a `with` statement does, or
    the process ends.
    """

    def __init__(self, physics: MujocoPhysics) -> None:
        """Make an OpenGL context and give it the model's textures and meshes: about a second.

        Raises:
            UserError: there is no OpenGL here.
        """
        self._physics = physics
        self._model = copy.copy(physics.model)
        self._data = mujoco.MjData(self._model)
        self._scene = mujoco.MjvScene(self._model, MOST_SHAPES)
        self._options = mujoco.MjvOption()
        self._gl, self._context = _open_gl(self._model)
        atexit.register(self.close)  # before EGL's own end, after which nothing can be given back

    def render(
        self, simulation: int, camera: str | None = None, width: int = 320, height: int = 240
    ) -> Image:
        """See a simulation as it stands now.

        Args:
            simulation: which.
            camera: its name in the model; from afar, with the whole model in view, if absent.
            width: pixels.
            height: pixels.

        Returns:
            (height, width, 3) red, green, blue; the first row is the upper one.

        Raises:
            UserError: no camera of that name.
        """
        self._physics.copy_simulation(simulation, self._model, self._data)
        _place_all(self._model, self._data)
        view, everything = _view(self._model, camera), mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(
            self._model, self._data, self._options, None, view, everything, self._scene
        )
        self._dress()
        return self._draw(width, height)

    def _dress(self) -> None:
        """Tell the context how this simulation's materials use textures: it remembers the last one's."""
        model, context = self._model, self._context
        context.mat_texid[: model.mat_texid.size] = model.mat_texid.ravel()
        context.mat_texrepeat[: model.mat_texrepeat.size] = model.mat_texrepeat.ravel()
        context.mat_texuniform[: model.nmat] = model.mat_texuniform

    def _draw(self, width: int, height: int) -> Image:
        context = self._context
        self._gl.make_current()
        if (width, height) != (context.offWidth, context.offHeight):
            mujoco.mjr_resizeOffscreen(width, height, context)
        whole, pixels = mujoco.MjrRect(0, 0, width, height), np.empty((height, width, 3), dtype=np.uint8)
        mujoco.mjr_render(whole, self._scene, context)
        mujoco.mjr_readPixels(pixels, None, whole, context)
        return np.ascontiguousarray(pixels[::-1])  # OpenGL begins at the bottom

    def close(self) -> None:
        """Give the OpenGL context back."""
        atexit.unregister(self.close)
        self._gl.make_current()
        self._context.free()
        self._gl.free()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _place_all(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Compute what the renderer reads and a batch does not keep: where everything is."""
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)
    mujoco.mj_flex(model, data)
    mujoco.mj_tendon(model, data)


def _view(model: mujoco.MjModel, camera: str | None) -> mujoco.MjvCamera:
    view = mujoco.MjvCamera()
    if camera is None:
        mujoco.mjv_defaultFreeCamera(model, view)
        return view
    names = [mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_CAMERA, i) or "" for i in range(model.ncam)]
    if camera not in names:
        raise UserError(f"no camera {camera!r} in the model: {nearest(camera, names)}")
    view.type = mujoco.mjtCamera.mjCAMERA_FIXED
    view.fixedcamid = names.index(camera)
    return view


def _open_gl(model: mujoco.MjModel) -> tuple[Any, mujoco.MjrContext]:
    """The platform's OpenGL context, and MuJoCo's in it, which draws into memory."""
    try:
        size = model.vis.global_
        gl = _platform()(size.offwidth, size.offheight)
        gl.make_current()
        context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
    except Exception as error:  # of any kind: each platform has its own, down to AttributeError
        raise UserError(
            "pictures need OpenGL, and it cannot be used here"
            f" (MUJOCO_GL={os.environ.get('MUJOCO_GL', '')}: {error or type(error).__name__})."
            "\nOn Debian: apt install libegl1 libgl1-mesa-dri, and MUJOCO_GL=egl;"
            " or apt install libosmesa6, and MUJOCO_GL=osmesa"
        ) from error
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
    return gl, context


def _platform() -> Any:
    """The class of contexts that MUJOCO_GL names; where it is not set and there is no screen, EGL's.

    MuJoCo itself takes a window's then, which cannot be opened.
    """
    screen = {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    if sys.platform == "linux" and not os.environ.get("MUJOCO_GL") and not screen:
        from mujoco.egl import GLContext

        return GLContext
    return gl_context.GLContext
