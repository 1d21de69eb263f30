import io

import numpy as np
from matplotlib.image import imread

from simreal.preview.terrain_picture import terrain_picture
from simreal.randomization.terrain import TerrainConfig, TerrainShares, make_map


def test_the_picture_is_lit_from_the_north_west() -> None:
    terrain = make_map(TerrainConfig(kinds=TerrainShares(flat=1, slope_down=1), levels=2))
    picture = io.BytesIO()
    terrain_picture(terrain).savefig(picture, format="png", dpi=130)
    light = imread(io.BytesIO(picture.getvalue()))[..., :3].mean(axis=2)
    line = light[light.shape[0] // 4]
    runs = np.split(line, np.flatnonzero(np.diff(line > 0.99)) + 1)
    ground = max((run for run in runs if run[0] <= 0.99), key=len)
    tile = ground[len(ground) // 2 :]  # level 1; at level 0 the slope is none
    west, east = tile[len(tile) // 8 : len(tile) // 3], tile[-len(tile) // 3 : -len(tile) // 8]
    assert west.mean() > east.mean() + 0.05
    assert np.ptp(ground[: len(ground) // 3]) < 0.01
