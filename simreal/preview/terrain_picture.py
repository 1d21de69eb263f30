"""A map of terrain as a picture."""

from typing import TYPE_CHECKING

import numpy as np

from simreal.randomization.terrain import TerrainMap
from simreal.randomization.terrain_tiles import Heights

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE_POINTS = 1200
"""Along the longer edge of a picture, at most."""


def terrain_picture(terrain: TerrainMap) -> "Figure":
    """The whole map from above, lit from the north-west, levels to the right, kinds upwards."""
    from matplotlib.colors import LightSource
    from matplotlib.figure import Figure

    stride = -(-max(terrain.heights.shape) // PICTURE_POINTS)
    heights, size = _coarser(terrain.heights, stride), terrain.config.tile_size
    levels, kinds = terrain.config.levels, terrain.kinds
    figure = Figure(figsize=(0.95 * levels + 2.6, 0.95 * len(kinds) + 0.9), layout="constrained")
    axis = figure.subplots()
    extent = (-0.5 * size, (levels - 0.5) * size, -0.5 * size, (len(kinds) - 0.5) * size)
    span = max(float(np.abs(heights).max()), 1e-3)
    coloured = axis.imshow(heights, "RdYlBu_r", origin="lower", extent=extent, vmin=-span, vmax=span)
    # Rows run upwards here, so the light stands south in the array to be north in the picture.
    cell = stride * terrain.config.resolution
    shade = LightSource(azdeg=225, altdeg=40).hillshade(heights, vert_exag=2, dx=cell, dy=cell)
    axis.imshow(shade, "gray", origin="lower", extent=extent, vmin=0, vmax=1, alpha=0.6)
    axis.set_xticks(size * np.arange(levels), [f"level {level}" for level in range(levels)], fontsize=8)
    axis.set_yticks(size * np.arange(len(kinds)), [kind.replace("_", " ") for kind in kinds], fontsize=8)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    figure.colorbar(coloured, label="height (m)", fraction=0.02)
    return figure


def _coarser(heights: Heights, stride: int) -> Heights:
    """The lowest of each block of points, so that narrow trenches stay visible."""
    rows, columns = (count // stride * stride for count in heights.shape)
    blocks = heights[:rows, :columns].reshape(rows // stride, stride, columns // stride, stride)
    lowest: Heights = blocks.min(axis=(1, 3))
    return lowest
