"""The ground that simulated robots walk on, where it is no plane, and where they start on it."""

from dataclasses import replace

import mujoco
import numpy as np

from simreal.episode_random import EpisodeRandom
from simreal.physics.interface import Start
from simreal.physics.model import Scene
from simreal.randomization.quantities import Quantities
from simreal.randomization.terrain import TerrainConfig, TerrainMap, add_terrain, make_map
from simreal.state import FloatArray, Ids

BY_SHARES = -1.0
"""A kind of terrain that the map's own shares decide."""


class TerrainScene:
    """Adds a map of terrain to a robot's model, and then the rest of a scene.

    Attributes:
        terrain: the map.
    """

    def __init__(self, config: TerrainConfig, rest: Scene | None) -> None:
        """Make the map; a scene that finds a ground already is to add none of its own."""
        self._config, self._rest = config, rest
        self.terrain = make_map(config)

    def __call__(self, spec: mujoco.MjSpec) -> None:
        """Add both."""
        add_terrain(spec, self._config)
        if self._rest is not None:
            self._rest(spec)


class Ground:
    """Where on a map each of `count` simulated robots starts.

    Attributes:
        terrain: the map.
        quantities: per simulation, written by randomization at each reset:
            ``level`` (count, 1) of the terrain, rounded down.
            ``kind`` (count, 1), index of a kind of the map; `BY_SHARES` where it is to decide.
    """

    def __init__(self, terrain: TerrainMap, count: int) -> None:
        """Start everywhere at level 0, on kinds by their shares."""
        self.terrain = terrain
        self.quantities = Quantities(count, {"level": np.zeros(1), "kind": np.full(1, BY_SHARES)})

    def place(self, ids: Ids, start: Start, random: EpisodeRandom) -> Start:
        """Move the free bodies of starts onto the platforms where some simulations begin.

        Args:
            ids: which.
            start: of each, about the origin.
            random: of their episodes.
        """
        if start.free_position is None:
            return start
        place = self.terrain.start(self._level(ids), self._kind(ids, random))
        moved = start.free_position.copy()
        moved[..., :3] += place[:, None]
        return replace(start, free_position=moved)

    def _level(self, ids: Ids) -> FloatArray:
        level = self.quantities.get("level")
        return np.zeros(len(ids)) if level is None else level[ids, 0]

    def _kind(self, ids: Ids, random: EpisodeRandom) -> FloatArray:
        by_shares = self.terrain.pick_kind(random.uniform("terrain_kind", 1)[:, 0]).astype(np.float64)
        kind = self.quantities.get("kind")
        return by_shares if kind is None else np.where(kind[ids, 0] < 0, by_shares, kind[ids, 0])
