"""The colour of a texture at a place on a shape; compiled.

A pixel sees a patch of a texture and not a point of it: so the texture is kept in halves, quarters
and so on of its size, as OpenGL's mipmaps are, and the size is taken at which a pixel is about as
large as the patch. Cubes have their full size alone.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simreal.cameras.scene_arrays import REPEAT, UNIFORM
from simreal.cameras.shapes import OPTIONS

FLAT, CUBE = 0, 1
FIRST, WIDTH, HEIGHT, SHAPE, SIZES = range(5)
"""Columns of a texture: its first byte, pixels, `FLAT` or `CUBE`, how many sizes follow each other."""
HALF, ONE, BYTE = np.float32(0.5), np.float32(1.0), np.float32(255.0)
NARROWEST = np.float32(1e-6)
"""m, of what is divided by."""


def halved(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """(height, width, 3) and all smaller sizes of it: each pixel is the mean of four, to the last."""
    sizes = [image]
    while max(sizes[-1].shape[:2]) > 1:
        last = sizes[-1].astype(np.float32)
        for axis in (0, 1):
            if last.shape[axis] > 1:
                pairs = 2 * np.arange(last.shape[axis] // 2)
                last = HALF * (last.take(pairs, axis) + last.take(pairs + 1, axis))
        sizes.append(np.rint(last).astype(np.uint8))
    return sizes


@njit(**OPTIONS)
def tint(looks, textures, pixels, texture, shape, p, q, r, x, y, z, apart):
    """Red, green and blue, 0 to 1, at a place in the frame of a shape of size (p, q, r).

    Args:
        looks: of the shapes.
        textures: (textures, 5), by the columns above.
        pixels: bytes of all.
        texture: number.
        shape: number.
        p: m, half of the shape's size, as q and r.
        q: m.
        r: m.
        x: m, as y and z.
        y: m.
        z: m.
        apart: m on the surface between neighbouring pixels of the image.
    """
    first, width, height = textures[texture, FIRST], textures[texture, WIDTH], textures[texture, HEIGHT]
    if textures[texture, SHAPE] == CUBE:
        side, u, v = on_cube(x / max(p, NARROWEST), y / max(q, NARROWEST), z / max(r, NARROWEST))
        at = first + 3 * ((side * width + int(v * width)) * width + int(u * width))
        return pixels[at] / BYTE, pixels[at + 1] / BYTE, pixels[at + 2] / BYTE
    # It begins at the corner of a plane, or of the box around a shape.
    per_x, per_y = HALF * looks[shape, REPEAT], HALF * looks[shape, REPEAT + 1]
    if looks[shape, UNIFORM] == np.float32(0.0):
        per_x, per_y = (per_x / p if p > 0.0 else per_x), (per_y / q if q > 0.0 else per_y)
    u, v = per_x * (x + p), per_y * (q - y)
    covered = apart * max(per_x * width, per_y * height)
    for _ in range(textures[texture, SIZES] - 1):
        if covered <= math.sqrt(2.0):
            break
        first += 3 * width * height
        width, height, covered = max(1, width // 2), max(1, height // 2), HALF * covered
    return between(pixels, first, width, height, u, v)


@njit(**OPTIONS)
def between(pixels, first, width, height, u, v):
    """Of the four pixels around a place that counts in textures, by how near they are."""
    s, t = (u - math.floor(u)) * width - HALF, (v - math.floor(v)) * height - HALF
    left, up = math.floor(s), math.floor(t)
    right_share, down_share = s - left, t - up
    left, right = left % width, (left + 1) % width
    up, down = up % height, (up + 1) % height
    red, green, blue = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for corner in range(4):
        column, share = (right, right_share) if corner & 1 else (left, ONE - right_share)
        row, height_share = (down, down_share) if corner & 2 else (up, ONE - down_share)
        weight = np.float32(share * height_share / BYTE)
        at = first + 3 * (row * width + column)
        red += weight * pixels[at]
        green += weight * pixels[at + 1]
        blue += weight * pixels[at + 2]
    return red, green, blue


@njit(**OPTIONS)
def on_cube(x, y, z):
    """Side and place on a cube map, as OpenGL counts them."""
    zero = np.float32(0.0)
    if abs(x) >= abs(y) and abs(x) >= abs(z):
        side, s, t, m = (0, -z, -y, x) if x > zero else (1, z, -y, -x)
    elif abs(y) >= abs(z):
        side, s, t, m = (2, x, z, y) if y > zero else (3, x, -z, -y)
    else:
        side, s, t, m = (4, x, -y, z) if z > zero else (5, -x, -y, -z)
    below = np.float32(0.99999)
    return side, min(HALF * (s / m + ONE), below), min(HALF * (t / m + ONE), below)
