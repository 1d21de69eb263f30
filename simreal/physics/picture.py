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

SKY = (214, 226, 238)
"""Red, green, blue of a sky that no model paints."""
FILLED = 0.85
"""Of the distance from which the whole ball around what is framed is seen; most of it is empty."""
EXTENTS_AWAY = 1.5
"""From where MuJoCo's free camera looks at first."""
MOST_SHAPES = 10_000
"""Of one scene; MuJoCo leaves out what is beyond."""


class Renderer:
    """Renders the simulations of one batch, one at a time.

    It belongs to the thread that made it, and lives until it is closed, as a `with` statement does, or
    the process ends.
    """

    def __init__(self, physics: MujocoPhysics, for_people: bool = False) -> None:
        """Make an OpenGL context and give it the model's textures and meshes: about a second.

        Args:
            physics: whose simulations are rendered.
            for_people: light the scene and colour the sky where the model does not. Left out for what
                a robot's camera sees, which is as the model says.

        Raises:
            UserError: there is no OpenGL here.
        """
        self._physics = physics
        self._for_people = for_people
        self._model = copy.copy(physics.model)
        self._data = mujoco.MjData(self._model)
        has_sky = (self._model.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX).any()
        self._colours_sky = for_people and not has_sky
        self._whole = self._model.stat.center.copy(), self._model.stat.extent
        self._scene = mujoco.MjvScene(self._model, MOST_SHAPES)
        self._options = mujoco.MjvOption()
        self._gl, self._context = open_gl(self._model)
        atexit.register(self.close)  # before EGL's own end, after which nothing can be given back

    def render(
        self, simulation: int, camera: str | None = None, width: int = 320, height: int = 240
    ) -> Image:
        """See a simulation as it stands now.

        Args:
            simulation: which.
            camera: its name in the model; from afar, with all that moves in view, if absent.
            width: pixels.
            height: pixels.

        Returns:
            (height, width, 3) red, green, blue; the first row is the upper one.

        Raises:
            UserError: no camera of that name.
        """
        self._physics.copy_simulation(simulation, self._model, self._data)
        place_all(self._model, self._data)
        self._model.stat.center[:], self._model.stat.extent = self._whole
        if camera is None:
            _frame(self._model, self._data)
        view, everything = _view(self._model, camera), mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(
            self._model, self._data, self._options, None, view, everything, self._scene
        )
        if self._for_people and self._model.nlight == 0:
            _add_sun(self._scene)
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
        depth = np.empty((height, width), dtype=np.float32) if self._colours_sky else None
        mujoco.mjr_render(whole, self._scene, context)
        mujoco.mjr_readPixels(pixels, depth, whole, context)
        if depth is not None:
            pixels[depth >= 1.0] = SKY  # where there is nothing
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


def place_all(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Compute what the renderer reads and a batch does not keep: where everything is."""
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)
    mujoco.mj_flex(model, data)
    mujoco.mj_tendon(model, data)


def _add_sun(scene: mujoco.MjvScene) -> None:
    """A light from far above that casts shadows, beside the head light."""
    sun = scene.lights[scene.nlight]
    sun.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    sun.pos[:], sun.dir[:] = (0.0, 0.0, 10.0), np.array([0.3, 0.4, -1.0]) / np.sqrt(1.25)
    sun.ambient[:], sun.diffuse[:], sun.specular[:] = (0.1,) * 3, (0.5,) * 3, (0.2,) * 3
    sun.headlight, sun.castshadow, sun.texid = 0, 1, -1
    scene.nlight += 1


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


def _frame(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Let the free camera, and what it cuts off near by, follow what moves and its base."""
    bounded = (model.geom_rbound > 0) & (model.geom_type != mujoco.mjtGeom.mjGEOM_HFIELD)
    moving = bounded & (model.body_weldid[model.geom_bodyid] > 0)
    shown = moving if moving.any() else bounded
    if not shown.any():
        return
    _, radius = _ball(model, data, shown)
    small = bounded & (model.geom_rbound <= radius)  # not a table, nor a wall
    model.stat.center[:], radius = _ball(model, data, shown | small)
    distance = FILLED * radius / np.sin(np.radians(model.vis.global_.fovy / 2))
    model.stat.extent = distance / EXTENTS_AWAY


def _ball(
    model: mujoco.MjModel, data: mujoco.MjData, geoms: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    """Centre and radius, m, of a ball around some geoms."""
    places, radii = data.geom_xpos[geoms], model.geom_rbound[geoms, None]
    low, high = (places - radii).min(axis=0), (places + radii).max(axis=0)
    return (low + high) / 2, float(np.linalg.norm(high - low) / 2)


def open_gl(model: mujoco.MjModel) -> tuple[Any, mujoco.MjrContext]:
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
