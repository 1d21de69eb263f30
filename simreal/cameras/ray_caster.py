"""Compiled code that draws images: which shape each pixel sees, then how it looks there.

Each shape is tried at the pixels that the box around it may cover. The shading is that of OpenGL's fixed
functions, which MuJoCo uses: ambient, diffuse and specular light (Blinn, SIGGRAPH 1977) of each lamp,
times the texture. Shadows are hard: a ray to the lamp meets a shape or not. Meshes and height fields
cast none.
"""

import math

import numpy as np
from numba import njit

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
    PLACE,
    SHADOW,
    SIZE,
    SPECULAR,
    TEXTURE,
)
from simreal.cameras.shapes import (
    HEIGHT_FIELD,
    MESH,
    MISS,
    OPTIONS,
    PLANE,
    half_extents,
    meet,
    normal_at,
)
from simreal.cameras.texels import BYTE, HALF, ONE, tint

NEAR = np.float32(0.005)
"""m before the camera, from where on things are seen."""
SPOT, DIRECTIONAL = 0, 1
LIFT = np.float32(2e-4)
"""m from which a surface looks for the lamp, so that it does not shade itself."""
ZERO, TINY = np.float32(0.0), np.float32(1e-12)
GRAZING = np.float32(0.02)
"""Cosine of the steepest angle for which the patch that a pixel covers is counted."""


@njit(**OPTIONS)
def draw(scene, first, last, depth, segment, colour):
    """Draw images `first` to `last`.

    Args:
        scene: `scene_arrays.Scene`.
        first: image.
        last: one beyond the last.
        depth: (n, height, width) float32 to write: m along the camera's axis; `MISS` of nothing.
        segment: (n, height, width) int32 to write: numbers of shapes; -1 of nothing.
        colour: (n, height, width, 3) uint8 to write, or (n, 0, 0, 3) if nobody asks.
    """
    _, height, width = depth.shape
    face = np.empty((height, width), np.int32)
    for image in range(first, last):
        depth[image] = MISS
        segment[image] = -1
        view, frames, looks = scene.views[image], scene.frames[image], scene.looks[image]
        for shape in range(scene.kinds.size):
            if looks[shape, ALPHA] < HALF:
                continue
            kind = scene.kinds[shape]
            if kind in (MESH, HEIGHT_FIELD):
                begin, end = scene.first_triangle[shape], scene.first_triangle[shape + 1]
                for triangle in range(begin, end):
                    corners = scene.triangles[triangle]
                    find_triangle(
                        view, frames, shape, corners, triangle, depth[image], segment[image], face
                    )
            else:
                find_shape(view, frames, shape, kind, depth[image], segment[image])
        if colour.shape[1]:
            shade(
                view,
                scene.kinds,
                frames,
                looks,
                scene.lamps[image],
                scene.triangles,
                scene.textures,
                scene.pixels,
                depth[image],
                segment[image],
                face,
                colour[image],
            )


@njit(**OPTIONS)
def into_frame(frames, s, x, y, z):
    """A vector of the world along the axes of shape s."""
    return (
        frames[s, 0] * x + frames[s, 3] * y + frames[s, 6] * z,
        frames[s, 1] * x + frames[s, 4] * y + frames[s, 7] * z,
        frames[s, 2] * x + frames[s, 5] * y + frames[s, 8] * z,
    )


@njit(**OPTIONS)
def out_of_frame(frames, s, x, y, z):
    """A vector along the axes of shape s, in the world."""
    return (
        frames[s, 0] * x + frames[s, 1] * y + frames[s, 2] * z,
        frames[s, 3] * x + frames[s, 4] * y + frames[s, 5] * z,
        frames[s, 6] * x + frames[s, 7] * y + frames[s, 8] * z,
    )


@njit(**OPTIONS)
def covered(low, high, start, step, count):
    """The first pixel and one beyond the last whose centres lie between two places on the image."""
    begin = math.ceil((low - start) / step - HALF)
    end = math.floor((high - start) / step - HALF) + 1
    return max(0, int(begin)), min(count, int(end))


@njit(**OPTIONS)
def find_shape(view, frames, s, kind, depth, segment):
    """Write shape s to all pixels at which it is the nearest so far."""
    height, width = depth.shape
    left, bottom, top = view[12], view[14], view[15]
    step_x, step_y = (view[13] - left) / width, (bottom - top) / height
    p, q, r = frames[s, SIZE], frames[s, SIZE + 1], frames[s, SIZE + 2]
    a, b, c = into_frame(
        frames,
        s,
        view[0] - frames[s, PLACE],
        view[1] - frames[s, PLACE + 1],
        view[2] - frames[s, PLACE + 2],
    )
    # The camera's axes in the frame of the shape: a pixel's ray is linear in its place.
    rx, ry, rz = into_frame(frames, s, view[3], view[6], view[9])
    ux, uy, uz = into_frame(frames, s, view[4], view[7], view[10])
    bx, by, bz = into_frame(frames, s, view[5], view[8], view[11])
    x0, x1, y0, y1 = 0, width, 0, height
    if kind != PLANE:
        near_x, far_x, near_y, far_y = MISS, -MISS, MISS, -MISS
        ex, ey, ez = half_extents(kind, p, q, r)
        behind = 0
        for corner in range(8):
            px = (ex if corner & 1 else -ex) - a
            py = (ey if corner & 2 else -ey) - b
            pz = (ez if corner & 4 else -ez) - c
            away = -(px * bx + py * by + pz * bz)
            if away <= NEAR:
                behind += 1
            else:
                sx = (px * rx + py * ry + pz * rz) / away
                sy = (px * ux + py * uy + pz * uz) / away
                near_x, far_x = min(near_x, sx), max(far_x, sx)
                near_y, far_y = min(near_y, sy), max(far_y, sy)
        if behind == 8:
            return
        if behind == 0:
            x0, x1 = covered(near_x, far_x, left, step_x, width)
            y0, y1 = covered(far_y, near_y, top, step_y, height)
    for row in range(y0, y1):
        y = top + (np.float32(row) + HALF) * step_y
        for column in range(x0, x1):
            x = left + (np.float32(column) + HALF) * step_x
            u, v, w = x * rx + y * ux - bx, x * ry + y * uy - by, x * rz + y * uz - bz
            t = meet(kind, p, q, r, a, b, c, u, v, w)
            if NEAR < t < depth[row, column]:
                depth[row, column] = t
                segment[row, column] = s


@njit(**OPTIONS)
def corner_before_camera(view, frames, s, corners, k):
    """Corner k of a triangle along the camera's axes."""
    x, y, z = out_of_frame(frames, s, corners[3 * k], corners[3 * k + 1], corners[3 * k + 2])
    x += frames[s, PLACE] - view[0]
    y += frames[s, PLACE + 1] - view[1]
    z += frames[s, PLACE + 2] - view[2]
    return (
        view[3] * x + view[6] * y + view[9] * z,
        view[4] * x + view[7] * y + view[10] * z,
        view[5] * x + view[8] * y + view[11] * z,
    )


@njit(**OPTIONS)
def find_triangle(view, frames, s, corners, triangle, depth, segment, face):
    """The same of a triangle of shape s; its back is not seen."""
    ax, ay, az = corner_before_camera(view, frames, s, corners, 0)
    bx, by, bz = corner_before_camera(view, frames, s, corners, 1)
    cx, cy, cz = corner_before_camera(view, frames, s, corners, 2)
    # Volumes of the tetrahedra of the eye and two corners: a ray is inside where all are of one sign.
    kx, ky, kz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
    lx, ly, lz = cy * az - cz * ay, cz * ax - cx * az, cx * ay - cy * ax
    mx, my, mz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    volume = ax * kx + ay * ky + az * kz
    if volume >= ZERO:
        return
    height, width = depth.shape
    left, bottom, top = view[12], view[14], view[15]
    step_x, step_y = (view[13] - left) / width, (bottom - top) / height
    x0, x1, y0, y1 = 0, width, 0, height
    nearest = min(-az, -bz, -cz)
    if max(-az, -bz, -cz) <= NEAR:
        return
    if nearest > NEAR:
        px, qx, rx = -ax / az, -bx / bz, -cx / cz
        py, qy, ry = -ay / az, -by / bz, -cy / cz
        x0, x1 = covered(min(px, qx, rx), max(px, qx, rx), left, step_x, width)
        y0, y1 = covered(max(py, qy, ry), min(py, qy, ry), top, step_y, height)
    for row in range(y0, y1):
        y = top + (np.float32(row) + HALF) * step_y
        for column in range(x0, x1):
            x = left + (np.float32(column) + HALF) * step_x
            k, m = kx * x + ky * y - kz, mx * x + my * y - mz
            n = lx * x + ly * y - lz
            if k > ZERO or n > ZERO or m > ZERO:
                continue
            t = volume / min(k + n + m, -TINY)
            if NEAR < t < depth[row, column]:
                depth[row, column] = t
                segment[row, column] = s
                face[row, column] = triangle


@njit(**OPTIONS)
def shade(view, kinds, frames, looks, lamps, triangles, textures, pixels, depth, segment, face, colour):
    """Write (height, width, 3) uint8 of what was found; black where nothing was."""
    height, width = depth.shape
    left, bottom, top = view[12], view[14], view[15]
    step_x, step_y = (view[13] - left) / width, (bottom - top) / height
    for row in range(height):
        y = top + (np.float32(row) + HALF) * step_y
        for column in range(width):
            s = segment[row, column]
            if s < 0:
                colour[row, column, 0] = colour[row, column, 1] = colour[row, column, 2] = 0
                continue
            x, t = left + (np.float32(column) + HALF) * step_x, depth[row, column]
            dx = view[3] * x + view[4] * y - view[5]
            dy = view[6] * x + view[7] * y - view[8]
            dz = view[9] * x + view[10] * y - view[11]
            px, py, pz = view[0] + t * dx, view[1] + t * dy, view[2] + t * dz
            lx, ly, lz = into_frame(
                frames, s, px - frames[s, PLACE], py - frames[s, PLACE + 1], pz - frames[s, PLACE + 2]
            )
            kind = kinds[s]
            p, q, r = frames[s, SIZE], frames[s, SIZE + 1], frames[s, SIZE + 2]
            if kind in (MESH, HEIGHT_FIELD):
                mx, my, mz = normal_of_triangle(triangles, face[row, column])
            else:
                mx, my, mz = normal_at(kind, p, q, r, lx, ly, lz)
            nx, ny, nz = out_of_frame(frames, s, mx, my, mz)
            shorter = -ONE / math.sqrt(dx * dx + dy * dy + dz * dz)
            red, green, blue = lit(
                kinds,
                frames,
                looks,
                lamps,
                s,
                px,
                py,
                pz,
                nx,
                ny,
                nz,
                dx * shorter,
                dy * shorter,
                dz * shorter,
            )
            texture = int(looks[s, TEXTURE])
            if texture >= 0:
                facing = (nx * dx + ny * dy + nz * dz) * shorter
                apart = t * step_x / max(facing, GRAZING)
                tr, tg, tb = tint(looks, textures, pixels, texture, s, p, q, r, lx, ly, lz, apart)
                red, green, blue = red * tr, green * tg, blue * tb
            colour[row, column, 0] = np.uint8(red * BYTE + HALF)
            colour[row, column, 1] = np.uint8(green * BYTE + HALF)
            colour[row, column, 2] = np.uint8(blue * BYTE + HALF)


@njit(**OPTIONS)
def normal_of_triangle(triangles, k):
    """Unit vector out of it, in the frame of its shape."""
    ax, ay, az = triangles[k, 0], triangles[k, 1], triangles[k, 2]
    fx, fy, fz = triangles[k, 3] - ax, triangles[k, 4] - ay, triangles[k, 5] - az
    ex, ey, ez = triangles[k, 6] - ax, triangles[k, 7] - ay, triangles[k, 8] - az
    x, y, z = fy * ez - fz * ey, fz * ex - fx * ez, fx * ey - fy * ex
    longer = ONE / (math.sqrt(x * x + y * y + z * z) + np.float32(1e-20))
    return x * longer, y * longer, z * longer


@njit(**OPTIONS)
def lit(kinds, frames, looks, lamps, s, px, py, pz, nx, ny, nz, ex, ey, ez):
    """Red, green, blue from 0 to 1 at a place with a normal, seen from the direction (ex, ey, ez)."""
    r, g, b = looks[s, 0], looks[s, 1], looks[s, 2]
    glow, gloss = looks[s, EMISSION], looks[s, SPECULAR]
    red, green, blue = glow * r, glow * g, glow * b
    for k in range(lamps.shape[0]):
        if lamps[k, IS_ON] == ZERO:
            continue
        strength, distance = ONE, MISS
        if int(lamps[k, KIND]) == DIRECTIONAL:
            vx, vy, vz = -lamps[k, AIM], -lamps[k, AIM + 1], -lamps[k, AIM + 2]
        else:
            vx, vy, vz = lamps[k, 0] - px, lamps[k, 1] - py, lamps[k, 2] - pz
            distance = math.sqrt(vx * vx + vy * vy + vz * vz) + TINY
            vx, vy, vz = vx / distance, vy / distance, vz / distance
            strength = ONE / (
                lamps[k, FADE] + distance * (lamps[k, FADE + 1] + distance * lamps[k, FADE + 2])
            )
        if int(lamps[k, KIND]) == SPOT:
            towards = -(vx * lamps[k, AIM] + vy * lamps[k, AIM + 1] + vz * lamps[k, AIM + 2])
            if towards < lamps[k, CUTOFF]:
                continue
            strength *= max(towards, TINY) ** lamps[k, FOCUS]
        facing = nx * vx + ny * vy + nz * vz
        scattered, mirrored = ZERO, ZERO
        if facing > ZERO:
            ox, oy, oz = px + LIFT * nx, py + LIFT * ny, pz + LIFT * nz
            if lamps[k, SHADOW] == ZERO or not is_shaded(
                kinds, frames, looks, ox, oy, oz, vx, vy, vz, distance
            ):
                scattered = facing
                hx, hy, hz = vx + ex, vy + ey, vz + ez
                half = nx * hx + ny * hy + nz * hz
                if gloss > ZERO and half > ZERO:
                    half /= math.sqrt(hx * hx + hy * hy + hz * hz) + TINY
                    mirrored = gloss * half ** looks[s, EXPONENT]
        red += strength * (
            r * (lamps[k, AMBIENT] + scattered * lamps[k, DIFFUSE]) + mirrored * lamps[k, MIRRORED]
        )
        green += strength * (
            g * (lamps[k, AMBIENT + 1] + scattered * lamps[k, DIFFUSE + 1])
            + mirrored * lamps[k, MIRRORED + 1]
        )
        blue += strength * (
            b * (lamps[k, AMBIENT + 2] + scattered * lamps[k, DIFFUSE + 2])
            + mirrored * lamps[k, MIRRORED + 2]
        )
    return min(red, ONE), min(green, ONE), min(blue, ONE)


@njit(**OPTIONS)
def is_shaded(kinds, frames, looks, px, py, pz, vx, vy, vz, distance):
    """Whether a shape stands between a place and a lamp in a direction."""
    for s in range(kinds.size):
        kind = kinds[s]
        if kind in (PLANE, MESH, HEIGHT_FIELD) or looks[s, ALPHA] < HALF:
            continue
        cx, cy, cz = px - frames[s, PLACE], py - frames[s, PLACE + 1], pz - frames[s, PLACE + 2]
        p, q, r = frames[s, SIZE], frames[s, SIZE + 1], frames[s, SIZE + 2]
        ex, ey, ez = half_extents(kind, p, q, r)
        along, apart = cx * vx + cy * vy + cz * vz, cx * cx + cy * cy + cz * cz
        around = ex * ex + ey * ey + ez * ez
        if apart - along * along > around or (along > ZERO and apart > around):
            continue
        a, b, c = into_frame(frames, s, cx, cy, cz)
        u, v, w = into_frame(frames, s, vx, vy, vz)
        if meet(kind, p, q, r, a, b, c, u, v, w) < distance:
            return True
    return False
