"""Wire figures against the geometry of the robot."""

import mujoco
import numpy as np

from simreal.figure import WireFigure, wire_figure
from simreal.physics.model import compile_model
from simreal.robots import load_robot

PIVOT, REACH, LENGTH = 0.13, 0.085, 0.122


def figure(*configurations: tuple[float, float]) -> WireFigure:
    return wire_figure(compile_model(load_robot("qube")), np.array(configurations))


def has_segment(drawn: WireFigure, frame: int, start: list[float], end: list[float]) -> bool:
    wanted = np.array([start, end])
    return any(
        np.allclose(segment, wanted, atol=1e-6) or np.allclose(segment[::-1], wanted, atol=1e-6)
        for segment in drawn.segments[frame]
    )


def test_the_pendulum_hangs_stands_and_turns_with_the_arm() -> None:
    drawn = figure((0, 0), (0, np.pi), (np.pi / 2, 0))
    assert has_segment(drawn, 0, [REACH, 0, PIVOT], [REACH, 0, PIVOT - LENGTH])
    assert has_segment(drawn, 1, [REACH, 0, PIVOT], [REACH, 0, PIVOT + LENGTH])
    assert has_segment(drawn, 2, [0, REACH, PIVOT], [0, REACH, PIVOT - LENGTH])
    assert has_segment(drawn, 2, [0, 0, PIVOT], [0, REACH, PIVOT])


def test_a_box_is_drawn_by_its_twelve_edges() -> None:
    drawn = figure((0, 0), (1, 1))
    edges = [
        place
        for place in range(drawn.segments.shape[1])
        if np.isclose(np.linalg.norm(np.diff(drawn.segments[0, place], axis=0)), 0.102)
    ]
    assert len(edges) == 12
    corners = {tuple(np.round(end, 6)) for place in edges for end in drawn.segments[0, place]}
    assert len(corners) == 8
    np.testing.assert_array_equal(drawn.segments[0, edges], drawn.segments[1, edges])


def test_each_segment_has_a_colour() -> None:
    drawn = figure((0, 0))
    assert len(drawn.colours) == drawn.segments.shape[1]
    assert "rgb(204,25,25)" in drawn.colours


def test_a_model_without_geoms_draws_nothing() -> None:
    model = mujoco.MjModel.from_xml_string("<mujoco/>")
    assert wire_figure(model, np.zeros((3, 0))).segments.shape == (3, 0, 2, 3)
