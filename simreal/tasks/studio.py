"""What a camera may see around a robot on a table: textures, lamps, things that stand about, walls.

Half of the textures, and lamps on one side, are for training; the others for the held-out visual world.
Both are patterns from hashes and formulas, the same on each machine.
"""

from collections.abc import Callable

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.randomization.distractors import add_backdrop, add_distractors

SIZE = 64
"""Pixels of a texture, each way."""
Pattern = Callable[[], NDArray[np.float64]]


def noise(seed: int, cells: int) -> NDArray[np.float64]:
    """(SIZE, SIZE) smooth noise from 0 to 1, of so many random values each way, repeating itself."""
    coarse = np.random.default_rng(seed).random((cells, cells))
    place = np.arange(SIZE) * cells / SIZE
    low, share = place.astype(int), place % 1.0
    share = share * share * (3.0 - 2.0 * share)
    high = (low + 1) % cells
    rows = coarse[low] * (1.0 - share[:, None]) + coarse[high] * share[:, None]
    smooth: NDArray[np.float64] = rows[:, low] * (1.0 - share) + rows[:, high] * share
    return smooth


def _grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.meshgrid(np.arange(SIZE) / SIZE, np.arange(SIZE) / SIZE)
    return x, y


def checker() -> NDArray[np.float64]:
    """Two by two fields."""
    x, y = _grid()
    return ((x < 0.5) ^ (y < 0.5)).astype(np.float64)


def gradient() -> NDArray[np.float64]:
    """Bright to dark and back, along one axis."""
    return np.abs(2.0 * _grid()[0] - 1.0)


def stripes() -> NDArray[np.float64]:
    """Four, aslant."""
    x, y = _grid()
    return (((x + y) * 4.0) % 1.0 < 0.4).astype(np.float64)


def dots() -> NDArray[np.float64]:
    """Four by four."""
    x, y = _grid()
    return (np.hypot((4.0 * x) % 1.0 - 0.5, (4.0 * y) % 1.0 - 0.5) < 0.3).astype(np.float64)


def rings() -> NDArray[np.float64]:
    """As of wood, around a corner."""
    x, y = _grid()
    return 0.5 + 0.5 * np.sin(40.0 * np.hypot(x - 0.1, y - 0.2) + 4.0 * noise(7, 4))


TEXTURES: dict[str, Pattern] = {
    "plain": lambda: np.ones((SIZE, SIZE)),
    "checker": checker,
    "gradient": gradient,
    "coarse_noise": lambda: noise(1, 4),
    "fine_noise": lambda: noise(2, 16),
    "held_out_stripes": stripes,
    "held_out_dots": dots,
    "held_out_rings": rings,
}
"""In the order in which `material_texture` counts them."""
DARKEST = 0.35
"""Share of the colour of a surface in the darkest places of a texture."""
REPEATED = 5.0
"""Times each 2 m, of the texture of a table."""


def add_textures(spec: mujoco.MjSpec) -> None:
    """All of them, as factors on the colour of a material."""
    for name, pattern in TEXTURES.items():
        grey = np.rint(255.0 * (DARKEST + (1.0 - DARKEST) * pattern())).astype(np.uint8)
        spec.add_texture(
            name=name,
            type=mujoco.mjtTexture.mjTEXTURE_2D,
            width=SIZE,
            height=SIZE,
            nchannel=3,
            data=np.repeat(grey.ravel(), 3).tolist(),
        )


def add_material(spec: mujoco.MjSpec, geom: str, colour: tuple[float, float, float]) -> None:
    """Give a geom a material of its own name, so that it can be textured."""
    textures = [""] * int(mujoco.mjtTextureRole.mjNTEXROLE)
    textures[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = next(iter(TEXTURES))
    spec.add_material(
        name=geom,
        rgba=[*colour, 1.0],
        textures=textures,
        texrepeat=[REPEATED, REPEATED],
        texuniform=1,
        specular=0.1,
        shininess=0.3,
    )
    spec.geom(geom).material = geom
    spec.geom(geom).rgba = [0.5, 0.5, 0.5, 1.0]  # which says: that of the material


def add_lamps(spec: mujoco.MjSpec) -> None:
    """Three besides the robot's own; the first alone is on, and none casts shadows by default."""
    places = ((-0.3, 0.6, 1.3), (0.6, 0.5, 1.4), (-0.5, -0.6, 1.2))
    for number, place in enumerate(places):
        spec.worldbody.add_light(
            name=f"lamp{number}",
            pos=place,
            dir=np.subtract((0.2, 0.0, 0.0), place),
            type=mujoco.mjtLightType.mjLIGHT_SPOT,  # the classic renderer knows no point lights
            cutoff=85.0,
            exponent=1.0,
            diffuse=(0.3, 0.3, 0.3),
            specular=(0.1, 0.1, 0.1),
            ambient=(0.1, 0.1, 0.1),
            castshadow=False,
            active=number == 0,
        )


def add_studio(spec: mujoco.MjSpec, table: str) -> None:
    """Textures for a table, lamps, four things that stand about on it, and walls."""
    add_textures(spec)
    add_material(spec, table, (0.55, 0.5, 0.45))
    add_lamps(spec)
    add_distractors(spec, 4, lower=(-0.2, -0.35, 0.01), upper=(0.42, 0.35, 0.05), size=0.03)
    add_backdrop(spec, distance=2.5)
