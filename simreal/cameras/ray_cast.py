"""Renders many simulations on the processor alone, without OpenGL: a ray for each pixel.

What it shares with MuJoCo's renderer: shapes, meshes (with flat faces), height fields, materials,
textures (of one mipmap at a time), the head light and all other lights, shadows. It knows point lights,
too, which MuJoCo's classic renderer leaves dark. What it leaves out: reflections, transparency (what is
less than half opaque is not there), haze, sites, tendons, and the shadows of meshes. Behind everything
it is black, and the sky of a model is not drawn: `add_backdrop` makes walls.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.cameras.posed import Posed
from simreal.cameras.ray_caster import DIRECTIONAL, draw
from simreal.cameras.scene_arrays import (
    AIM,
    ALPHA,
    AMBIENT,
    CUTOFF,
    DIFFUSE,
    EMISSION,
    EXPONENT,
    FADE,
    FOCUS,
    IS_ON,
    KIND,
    MIRRORED,
    REPEAT,
    SHADOW,
    SPECULAR,
    TEXTURE,
    UNIFORM,
    Floats,
    Ints,
    Scene,
    float32,
    int32,
)
from simreal.cameras.shapes import HEIGHT_FIELD, MESH
from simreal.cameras.texels import CUBE, FLAT, halved
from simreal.errors import UserError, nearest
from simreal.state import Ids

SHOWN_GROUPS = 3
"""Geoms of the first groups are drawn, as MuJoCo does unless told otherwise."""
UNCOLOURED = (0.5, 0.5, 0.5, 1.0)
"""A geom of this colour has that of its material."""
SHINIEST = 128.0
"""Exponent of the highlight of a shininess of 1."""
PLAIN = np.array([0.0, 0.5, 0.5 * SHINIEST, 1.0, 1.0, -1.0, 0.0], np.float32)
"""Emission and so on of a geom without a material."""
TEXTURE_ROLE = int(mujoco.mjtTextureRole.mjTEXROLE_RGB)
IMAGES_PER_TASK = 8
"""Drawn by a thread before it looks for more."""


class RayCaster:
    """Draws one camera of the simulations of a batch.

    Attributes:
        width: pixels.
        height: pixels.
    """

    def __init__(self, posed: Posed, camera: str, width: int, height: int, threads: int = 0) -> None:
        """Prepare.

        Args:
            posed: what is drawn.
            camera: its name in the model.
            width: pixels.
            height: pixels.
            threads: 0 for every processor.

        Raises:
            UserError: no camera of that name.
        """
        model = posed.model
        self._posed, self.width, self.height = posed, width, height
        self._camera = camera_id(model, camera)
        self._threads = ThreadPoolExecutor(threads or os.cpu_count() or 1)
        shown = (model.geom_group < SHOWN_GROUPS) & (model.geom_type <= MESH)
        self._geoms = np.flatnonzero(shown)
        self._kinds = int32(model.geom_type[self._geoms])
        self._first, self._triangles = _triangles(model, self._geoms)
        self._textures = _textures(model)

    def colour(self, ids: Ids) -> NDArray[np.uint8]:
        """(len(ids), height, width, 3) red, green, blue; the first row is the upper one."""
        return self._draw(ids, with_colour=True)[2]

    def depth(self, ids: Ids) -> Floats:
        """(len(ids), height, width) m along the camera's axis; infinite where there is nothing."""
        depth = self._draw(ids)[0]
        depth[depth > 1e30] = np.inf
        return depth

    def segmentation(self, ids: Ids) -> Ints:
        """(len(ids), height, width) ids of geoms; -1 where there is nothing."""
        shape = self._draw(ids)[1]
        return np.where(shape < 0, -1, self._geoms[shape]).astype(np.int32)

    def _draw(self, ids: Ids, with_colour: bool = False) -> tuple[Floats, Ints, NDArray[np.uint8]]:
        size = (len(ids), self.height, self.width)
        depth, shape = np.empty(size, np.float32), np.empty(size, np.int32)
        colour = np.empty((*size, 3) if with_colour else (len(ids), 0, 0, 3), np.uint8)
        scene = self._scene(ids)
        starts = range(0, len(ids), IMAGES_PER_TASK)

        def task(first: int) -> None:
            draw(scene, first, min(first + IMAGES_PER_TASK, len(ids)), depth, shape, colour)

        list(self._threads.map(task, starts))
        return depth, shape, colour

    def _scene(self, ids: Ids) -> Scene:
        seen = self._views(ids), self._kinds, self._frames(ids), self._looks(ids), self._lamps(ids)
        return Scene(*seen, self._first, self._triangles, *self._textures)

    def _views(self, ids: Ids) -> Floats:
        place, camera, posed = self._posed.place, self._camera, self._posed
        sensor = posed.model.cam_sensorsize[camera]
        if sensor[1] > 0:
            intrinsic = posed.field("cam_intrinsic", ids)[:, camera].astype(np.float64)
            focal, centre = intrinsic[:, :2], intrinsic[:, 2:]
            half, shift = sensor / (2.0 * focal), centre / focal
        else:
            up = np.tan(np.radians(posed.field("cam_fovy", ids)[:, camera]) / 2)
            half = np.stack([up * self.width / self.height, up], axis=1)
            shift = np.zeros_like(half)
        low, high = -half - shift, half - shift
        sides = np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=1)
        return float32(
            np.hstack([place("cam_xpos")[ids, camera], place("cam_xmat")[ids, camera], sides])
        )

    def _frames(self, ids: Ids) -> Floats:
        place, geoms = self._posed.place, self._geoms
        size = self._posed.field("geom_size", ids)[:, geoms]
        axes, position = place("geom_xmat")[ids][:, geoms], place("geom_xpos")[ids][:, geoms]
        return float32(np.concatenate([axes, position, size], axis=2))

    def _looks(self, ids: Ids) -> Floats:
        field, model, geoms = self._posed.field, self._posed.model, self._geoms
        looks = np.empty((len(ids), len(geoms), 11), np.float32)
        colour, material = field("geom_rgba", ids)[:, geoms], model.geom_matid[geoms]
        looks[..., : ALPHA + 1] = colour
        looks[..., EMISSION:] = PLAIN
        has = material >= 0
        if has.any():
            of = material[has]
            own = (colour[:, has] != float32(UNCOLOURED)).any(axis=2, keepdims=True)
            looks[:, has, : ALPHA + 1] = np.where(own, colour[:, has], field("mat_rgba", ids)[:, of])
            looks[:, has, EMISSION] = field("mat_emission", ids)[:, of]
            looks[:, has, SPECULAR] = field("mat_specular", ids)[:, of]
            looks[:, has, EXPONENT] = SHINIEST * field("mat_shininess", ids)[:, of]
            looks[:, has, REPEAT:TEXTURE] = field("mat_texrepeat", ids)[:, of]
            looks[:, has, TEXTURE] = field("mat_texid", ids)[:, of, TEXTURE_ROLE]
            looks[:, has, UNIFORM] = field("mat_texuniform", ids)[:, of]
        return looks

    def _lamps(self, ids: Ids) -> Floats:
        posed, field, model = self._posed, self._posed.field, self._posed.model
        lamps = np.zeros((len(ids), 1 + model.nlight, 23), np.float32)
        head, rest = lamps[:, 0], lamps[:, 1:]
        # MuJoCo's head light shines along the view, as if from afar.
        head[:, AIM:AMBIENT] = -posed.place("cam_xmat")[ids, self._camera].reshape(-1, 3, 3)[:, :, 2]
        rest[..., :AIM] = posed.place("light_xpos")[ids]
        rest[..., AIM:AMBIENT] = posed.place("light_xdir")[ids]
        for first, name in ((AMBIENT, "ambient"), (DIFFUSE, "diffuse"), (MIRRORED, "specular")):
            head[:, first : first + 3] = getattr(model.vis.headlight, name)
            rest[..., first : first + 3] = field(f"light_{name}", ids)
        head[:, IS_ON], head[:, KIND] = model.vis.headlight.active, DIRECTIONAL
        rest[..., IS_ON], rest[..., SHADOW] = field("light_active", ids), field("light_castshadow", ids)
        rest[..., KIND], rest[..., FADE:CUTOFF] = model.light_type, model.light_attenuation
        rest[..., CUTOFF] = np.cos(np.radians(model.light_cutoff))
        rest[..., FOCUS] = model.light_exponent
        return lamps


def camera_id(model: mujoco.MjModel, name: str) -> int:
    """Of a camera by its name; a `UserError` names the nearest if there is none."""
    names = [model.camera(index).name for index in range(model.ncam)]
    if name not in names:
        raise UserError(f"no camera {name!r} in the model: {nearest(name, names)}")
    return names.index(name)


def _triangles(model: mujoco.MjModel, geoms: NDArray[np.int64]) -> tuple[Ints, Floats]:
    """Where the triangles of each geom begin, and all triangles."""
    parts = [_triangles_of(model, int(geom)) for geom in geoms]
    first = np.cumsum([0, *map(len, parts)])
    return int32(first), float32(np.concatenate([*parts, np.zeros((0, 3, 3))])).reshape(-1, 9)


def _triangles_of(model: mujoco.MjModel, geom: int) -> Floats:
    data = int(model.geom_dataid[geom])
    if model.geom_type[geom] == MESH and data >= 0:
        start, number = int(model.mesh_vertadr[data]), int(model.mesh_vertnum[data])
        vertices = model.mesh_vert[start : start + number]
        first, faces = int(model.mesh_faceadr[data]), int(model.mesh_facenum[data])
        return float32(vertices[model.mesh_face[first : first + faces]])
    if model.geom_type[geom] == HEIGHT_FIELD and data >= 0:
        return _ground(model, data)
    return np.zeros((0, 3, 3), np.float32)


def _ground(model: mujoco.MjModel, field: int) -> Floats:
    """The upper side of a height field; its walls and its floor are left out."""
    rows, columns = int(model.hfield_nrow[field]), int(model.hfield_ncol[field])
    start, (x, y, z, _) = int(model.hfield_adr[field]), model.hfield_size[field]
    height = z * model.hfield_data[start : start + rows * columns].reshape(rows, columns)
    across, along = np.meshgrid(np.linspace(-x, x, columns), np.linspace(-y, y, rows))
    grid = np.stack([across, along, height], axis=-1)
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    lower, upper = np.stack([a, b, c], axis=2), np.stack([a, c, d], axis=2)
    return float32(np.concatenate([lower, upper], axis=2).reshape(-1, 3, 3))


def _textures(model: mujoco.MjModel) -> tuple[Ints, NDArray[np.uint8]]:
    """Places and shapes in it, and pixels of all textures; one without three colours is grey."""
    table, pixels, first = np.zeros((model.ntex, 5), np.int32), [np.zeros(0, np.uint8)], 0
    for texture in range(model.ntex):
        width, height = int(model.tex_width[texture]), int(model.tex_height[texture])
        channels, start = int(model.tex_nchannel[texture]), int(model.tex_adr[texture])
        given = model.tex_data[start : start + width * height * channels].reshape(
            height, width, channels
        )
        given = given[..., :3] if channels >= 3 else np.repeat(given[..., :1], 3, axis=2)
        flat = model.tex_type[texture] == mujoco.mjtTexture.mjTEXTURE_2D
        sizes = halved(given) if flat else [given]
        table[texture] = first, width, height, FLAT if flat else CUBE, len(sizes)
        pixels += [np.ascontiguousarray(each).ravel() for each in sizes]
        first += sum(each.size for each in sizes)
    return table, np.concatenate(pixels)
