"""What the ray caster draws, as arrays that its compiled code reads.

They lead with (n,) images and are packed into few, since each array that compiled code touches for a
pixel costs as much as some arithmetic.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

PLACE, SIZE = 9, 12
"""Columns of a shape's frame: (3, 3) axes in the world, row by row, then its place and its size in m."""
ALPHA, EMISSION, SPECULAR, EXPONENT, REPEAT, TEXTURE, UNIFORM = 3, 4, 5, 6, 7, 9, 10
"""Columns of a look: colour, glow, mirrored light, exponent of the highlight, repetitions of the texture
(2) over the shape, or over 1 m if uniform, and number of the texture, or -1."""
AIM, AMBIENT, DIFFUSE, MIRRORED, IS_ON, SHADOW, KIND, FADE, CUTOFF, FOCUS = (
    3,
    6,
    9,
    12,
    15,
    16,
    17,
    18,
    21,
    22,
)
"""Columns of a lamp: place, direction, three colours, whether it is on and casts shadows, kind as in
`mujoco.mjtLightType`, attenuation (constant, linear, quadratic), cosine of the cone, its exponent."""


class Scene(NamedTuple):
    """All that n images show.

    Attributes:
        views: (n, 16) place of the camera in m; (3, 3) its axes in the world, row by row: x right, y up,
            z back; left, right, bottom and top of what is seen at distance 1.
        kinds: (shapes,) as in `shapes`.
        frames: (n, shapes, 15).
        looks: (n, shapes, 11).
        lamps: (n, lamps, 23).
        first_triangle: (shapes + 1,) places of the triangles of each shape among all.
        triangles: (triangles, 9) m, corners in the frame of the shape, anticlockwise from outside.
        textures: (textures, 5) by the columns of `texels`.
        pixels: (bytes,) three for each pixel of all textures, in all sizes.
    """

    views: Floats
    kinds: Ints
    frames: Floats
    looks: Floats
    lamps: Floats
    first_triangle: Ints
    triangles: Floats
    textures: Ints
    pixels: NDArray[np.uint8]


def float32(values: Any) -> Floats:
    """As the compiled code takes it."""
    return np.ascontiguousarray(values, dtype=np.float32)


def int32(values: Any) -> Ints:
    """Likewise."""
    return np.ascontiguousarray(values, dtype=np.int32)
