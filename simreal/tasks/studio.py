"""What a camera may see around a robot on a table: textures, lamps, things that stand about, walls.

Most of the patterns, and lamps on one side, are for training; the others for the held-out visual world.
"""

import mujoco
import numpy as np

from simreal.randomization.distractors import add_backdrop, add_distractors
from simreal.tasks.patterns import PATTERNS, SIZE

DARKEST = 0.35
"""Share of the colour of a surface in the darkest places of a texture."""
REPEATED = 5.0
"""Times each 2 m, of the texture of a table."""


def add_textures(spec: mujoco.MjSpec) -> None:
    """All of them, as factors on the colour of a material."""
    for name, pattern in PATTERNS.items():
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
    textures[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = next(iter(PATTERNS))
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
