"""The robot in the page, as lines in space, in the posture that its joints report."""

import mujoco
import numpy as np
import viser

from simreal.figure import wire_figure
from simreal.robots import load_robot
from simreal.watch.tracks import Track


class RobotFigure:
    """Draws one robot. Where its trunk is, no joint tells: it stays in one place."""

    def __init__(self, scene: viser.SceneApi, robot: str) -> None:
        found = load_robot(robot)
        self._model = mujoco.MjModel.from_xml_path(str(found.model_path))
        self._places = [
            int(self._model.joint(name).qposadr[0]) for name in found.description.joint_names
        ]
        self._scene = scene
        self._shown: float | None = None
        scene.set_up_direction("+z")
        scene.add_grid("/floor", width=2.0, height=2.0, cell_size=0.1)

    def show(self, position: Track, time: float) -> None:
        """Take the posture of a time, in s."""
        place = max(0, int(np.searchsorted(position.times, time, "right")) - 1)
        if not position.rows or self._shown == position.times[place]:
            return
        self._shown = position.times[place]
        posture = self._model.qpos0.copy()
        posture[self._places] = np.nan_to_num(position.rows[place])
        figure = wire_figure(self._model, posture[None])
        colours = np.array([[int(n) for n in each[4:-1].split(",")] for each in figure.colours])
        self._scene.add_line_segments(
            "/robot",
            points=figure.segments[0].astype(np.float32),
            colors=np.repeat(colours[:, None, :], 2, axis=1).astype(np.uint8),
            thickness=4.0,
            thickness_units="screen",
        )
