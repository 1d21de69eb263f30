"""Where rays meet MuJoCo's shapes, in the frame of each shape; compiled.

A ray is a point (a, b, c) and a direction (u, v, w) of any length; the result counts directions from the
point, and is `MISS` where they do not meet. A ray from inside of a shape does not meet it, as OpenGL
does not draw the backs of faces.
"""

import math

import numpy as np
from numba import njit

PLANE, HEIGHT_FIELD, SPHERE, CAPSULE, ELLIPSOID, CYLINDER, BOX, MESH = range(8)
"""As `mujoco.mjtGeom` numbers them."""
MISS = np.float32(3.0e38)
OPTIONS = {"cache": True, "nogil": True, "fastmath": {"contract", "reassoc", "nsz", "arcp"}}
"""For all compiled code of the renderer; infinities stay what they are."""


@njit(**OPTIONS)
def meet(kind, p, q, r, a, b, c, u, v, w):
    """A shape of any kind but a mesh or a height field, which are triangles; of size (p, q, r)."""
    if kind == BOX:
        return meet_box(p, q, r, a, b, c, u, v, w)
    if kind == CAPSULE:
        return meet_capsule(p, q, a, b, c, u, v, w)
    if kind == CYLINDER:
        return meet_cylinder(p, q, a, b, c, u, v, w)
    if kind == SPHERE:
        return meet_sphere(p, a, b, c, u, v, w)
    if kind == ELLIPSOID:
        return meet_sphere(np.float32(1.0), a / p, b / q, c / r, u / p, v / q, w / r)
    if kind == PLANE:
        return meet_plane(p, q, a, b, c, u, v, w)
    return MISS


@njit(**OPTIONS)
def meet_plane(p, q, a, b, c, u, v, w):
    """Seen from above alone; a half size of 0 is endless."""
    if c <= 0.0 or w >= 0.0:
        return MISS
    t = -c / w
    if p > 0.0 and abs(a + t * u) > p:
        return MISS
    if q > 0.0 and abs(b + t * v) > q:
        return MISS
    return t


@njit(**OPTIONS)
def meet_sphere(radius, a, b, c, u, v, w):
    """The front of a sphere."""
    half = a * u + b * v + c * w
    beyond = a * a + b * b + c * c - radius * radius
    if half >= 0.0 or beyond <= 0.0:
        return MISS
    length = u * u + v * v + w * w
    root = half * half - length * beyond
    if root <= 0.0:
        return MISS
    return (-half - math.sqrt(root)) / length


@njit(**OPTIONS)
def meet_box(p, q, r, a, b, c, u, v, w):
    """The last of the three slabs that a ray enters, if it has left none before."""
    enter, leave = -MISS, MISS
    for axis in range(3):
        place = a if axis == 0 else (b if axis == 1 else c)
        way = u if axis == 0 else (v if axis == 1 else w)
        half = p if axis == 0 else (q if axis == 1 else r)
        if way == 0.0:
            if abs(place) > half:
                return MISS
        else:
            near, far = (-half - place) / way, (half - place) / way
            enter = max(enter, min(near, far))
            leave = min(leave, max(near, far))
    return enter if 0.0 < enter <= leave else MISS


@njit(**OPTIONS)
def meet_tube(radius, half, a, b, c, u, v, w):
    """The side of a cylinder about z."""
    length = u * u + v * v
    middle = a * u + b * v
    beyond = a * a + b * b - radius * radius
    if length <= 0.0 or beyond <= 0.0 or middle >= 0.0:
        return MISS
    root = middle * middle - length * beyond
    if root <= 0.0:
        return MISS
    t = (-middle - math.sqrt(root)) / length
    return t if abs(c + t * w) <= half else MISS


@njit(**OPTIONS)
def meet_cylinder(radius, half, a, b, c, u, v, w):
    """Its side, or the end that faces the ray."""
    t = meet_tube(radius, half, a, b, c, u, v, w)
    if t < MISS or w == 0.0 or abs(c) <= half:
        return t
    end = ((half if c > 0.0 else -half) - c) / w
    x, y = a + end * u, b + end * v
    return end if end > 0.0 and x * x + y * y <= radius * radius else MISS


@njit(**OPTIONS)
def meet_capsule(radius, half, a, b, c, u, v, w):
    """Its side or the nearer of its ends, each of which is a sphere."""
    t = meet_tube(radius, half, a, b, c, u, v, w)
    if t < MISS:
        return t
    return min(
        meet_sphere(radius, a, b, c - half, u, v, w), meet_sphere(radius, a, b, c + half, u, v, w)
    )


@njit(**OPTIONS)
def half_extents(kind, p, q, r):
    """Of the box around a shape of size (p, q, r), along its own axes."""
    if kind == SPHERE:
        return p, p, p
    if kind == CAPSULE:
        return p, p, q + p
    if kind == CYLINDER:
        return p, p, q
    return p, q, r


@njit(**OPTIONS)
def normal_at(kind, p, q, r, x, y, z):
    """Unit vector that points out of a shape of size (p, q, r) at a place (x, y, z) on it."""
    zero, one = np.float32(0.0), np.float32(1.0)
    if kind == PLANE:
        return zero, zero, one
    if kind == BOX:
        return _normal_of_box(x / p, y / q, z / r)
    if kind == CYLINDER:
        if abs(z) * p > math.sqrt(x * x + y * y) * q:
            return zero, zero, (one if z > zero else -one)
        z = zero
    elif kind == CAPSULE:
        z = z - max(-q, min(q, z))
    elif kind == ELLIPSOID:
        x, y, z = x / (p * p), y / (q * q), z / (r * r)
    longer = one / (math.sqrt(x * x + y * y + z * z) + np.float32(1e-20))
    return x * longer, y * longer, z * longer


@njit(**OPTIONS)
def _normal_of_box(x, y, z):
    zero, one = np.float32(0.0), np.float32(1.0)
    if abs(x) >= abs(y) and abs(x) >= abs(z):
        return (one if x > 0.0 else -one), zero, zero
    if abs(y) >= abs(z):
        return zero, (one if y > 0.0 else -one), zero
    return zero, zero, (one if z > 0.0 else -one)
