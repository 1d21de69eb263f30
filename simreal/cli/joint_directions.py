"""What a joint's positive direction does to the robot, in words for whoever moves it by hand."""

import mujoco
import numpy as np

from simreal.robots import load_robot
from simreal.state import FloatArray

STEP = 0.05
"""rad or m."""
SIDES = (("forward", "backward"), ("to the left", "to the right"), ("up", "down"))
"""Of the axes x, y and z of the robot in its model: x forward, y left, z up."""
PART = 0.4
"""Share of the motion beyond which a direction is worth a word."""


def joint_directions(robot: str) -> dict[str, str]:
    """Joint to a phrase such as "calf moves forward and up": of the outermost part that it carries.

    In the default posture, seen in the model's axes.
    """
    found = load_robot(robot)
    model = mujoco.MjModel.from_xml_path(str(found.model_path))
    data = mujoco.MjData(model)
    for joint in found.description.joints:
        data.qpos[model.joint(joint.name).qposadr[0]] = joint.default_position
    before = _places(model, data)
    phrases = {}
    for joint in found.description.joints:
        address = model.joint(joint.name).qposadr[0]
        data.qpos[address] += STEP
        moved = _places(model, data) - before
        data.qpos[address] -= STEP
        body = _outermost(model, int(model.joint(joint.name).bodyid[0]), moved)
        phrases[joint.name] = f"{model.body(body).name or 'its tip'} moves {_words(moved[body])}"
    return phrases


def _places(model: mujoco.MjModel, data: mujoco.MjData) -> FloatArray:
    """(bodies, 3) where the outermost point of each body is."""
    mujoco.mj_forward(model, data)
    places: FloatArray = data.xipos.copy()
    for body in range(model.nbody):
        geoms = np.flatnonzero(model.geom_bodyid == body)
        if geoms.size:
            distance = np.linalg.norm(data.geom_xpos[geoms] - data.xpos[body], axis=1)
            places[body] = data.geom_xpos[geoms[int(np.argmax(distance))]]
    return places


def _outermost(model: mujoco.MjModel, body: int, moved: FloatArray) -> int:
    """Of a body and all that hangs on it, the one that moves farthest."""
    carried = [each for each in range(model.nbody) if _hangs_on(model, each, body)]
    return max(carried, key=lambda each: float(np.linalg.norm(moved[each])))


def _hangs_on(model: mujoco.MjModel, body: int, root: int) -> bool:
    while body != root and body != 0:
        body = int(model.body_parentid[body])
    return body == root


def _words(moved: FloatArray) -> str:
    length = float(np.linalg.norm(moved))
    if length < 1e-6:
        return "in place: turn it as the right hand's fingers curl when its thumb points along the axis"
    share = moved / length
    order = np.argsort(-np.abs(share))
    parts = [SIDES[axis][int(share[axis] < 0)] for axis in order if abs(share[axis]) >= PART]
    return " and ".join(parts)
