"""Reports: whole pages that need nothing else, and that a parser accepts."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from simreal.errors import UserError
from simreal.evaluate import Evaluation, axis_labels, run_episodes, summarize
from simreal.evaluation_page import add_evaluation, parameter_curves
from simreal.experiment import load_experiment
from simreal.figure import wire_figure
from simreal.physics.model import compile_model
from simreal.report import Page, line_chart
from simreal.robots import load_robot

# A picture for each of all parameters takes matplotlib seconds.
FEW = (
    "randomization={mass: {distribution: {type: uniform, low: 0.8, high: 1.2}}, "
    "motor_strength: {distribution: {type: uniform, low: 0.8, high: 1.2}}}"
)
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Reader(HTMLParser):
    """Checks nesting, and collects what a page shows and what it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.references: list[str] = []
        self.scripts: dict[str, str] = {}
        self.words: list[str] = []
        self._script = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = dict(attributes)
        names = ("src", "href", "xlink:href", "data", "action", "srcset", "poster")
        self.references += [str(named[name]) for name in names if name in named]
        if tag == "script":
            self._script = named.get("id") or f"code{len(self.scripts)}"
            self.scripts[self._script] = ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[self._script] += data
        elif self.open and self.open[-1] != "style":
            self.words.append(data)


def read(page: Page, path: Path) -> Reader:
    page.write(path)
    text = path.read_text("utf-8")
    assert text.startswith("<!doctype html>")
    assert not re.search(r"@import|url\(\s*['\"]?(https?:|//|file:)|fetch\(|XMLHttp|import\(", text)
    reader = Reader(text)
    assert all(each.startswith("#") for each in reader.references), reader.references
    assert not {"link", "img", "iframe", "object", "embed"} & set(reader.tags)
    return reader


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    experiment = load_experiment("qube_swingup", ["episode_length=0.2", FEW])

    def with_pins(pins: dict[str, float]) -> list:
        return run_episodes(lambda observation, images: observation[:, :1], experiment, 20, 0, pins)

    episodes = with_pins({"motor_strength": 1.1})
    curves = {"mass": [(value, summarize(with_pins({"mass": value}))) for value in (0.8, 1.2)]}
    pins = {"motor_strength": 1.1}
    return Evaluation("<policy> & co.onnx", 0, pins, episodes, summarize(episodes), curves)


def test_a_report_on_an_evaluation_is_self_contained(evaluation: Evaluation, tmp_path: Path) -> None:
    page = Page("An <evaluation> & more")
    add_evaluation(page, evaluation, {})
    reader = read(page, tmp_path / "deep" / "report.html")
    words = " ".join(reader.words)
    assert "An <evaluation> & more" in words
    assert "Evaluation of <policy> & co.onnx" in words
    assert "time_limit 20" in words
    assert "motor_strength = 1.1" in words
    assert reader.tags.count("svg") == 2  # over drawn values, and over the sweep


def test_curves_say_what_their_values_are_in(evaluation: Evaluation) -> None:
    labels_of = axis_labels(load_experiment("qube_swingup", [FEW]))
    figure = parameter_curves(evaluation, ["mass[arm]"], labels_of)
    labels = {axis.get_xlabel() for axis in figure.axes} | {axis.get_ylabel() for axis in figure.axes}
    assert {"mass[arm] (x nominal)", "success", "return"} <= labels


def test_a_page_shows_what_it_is_given_as_text(tmp_path: Path) -> None:
    page = Page("</title><script>alert(1)</script>")
    hostile = "<script>alert(2)</script> & \"quotes\" 'too'"
    page.heading(hostile)
    page.text(hostile, note=True)
    page.code(hostile)
    page.table((hostile, "b"), [(hostile, 1.5), (None, "x")])
    reader = read(page, tmp_path / "page.html")
    assert reader.scripts == {}
    assert "".join(reader.words).count(hostile) == 5


def test_motion_is_data_that_the_player_finds(tmp_path: Path) -> None:
    model = compile_model(load_robot("qube"))
    configurations = np.linspace([0, 0], [1.5, np.pi], 10)
    page = Page("motion")
    for _ in range(2):
        page.motion(wire_figure(model, configurations), 25)
    reader = read(page, tmp_path / "motion.html")
    assert reader.tags.count("canvas") == 2
    for name in ("motion1", "motion2"):
        data = json.loads(reader.scripts[f"{name}-data"])
        segments = len(data["colours"])
        assert np.array(data["frames"]).shape == (10, segments, 6)
        assert len(data["widths"]) == segments
        assert data["rate"] == 25
        assert any(f'("{name}")' in code for code in reader.scripts.values())


def test_line_charts_show_each_line_with_its_name(tmp_path: Path) -> None:
    x = np.linspace(0, 1, 5)
    figure = line_chart({"arm": (x, x), "pendulum": (x, -x)}, "s", "rad")
    (axis,) = figure.axes
    assert [line.get_label() for line in axis.lines] == ["arm", "pendulum"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("s", "rad")
    np.testing.assert_array_equal(axis.lines[1].get_ydata(), -x)
    page = Page("lines")
    page.picture(figure)
    assert "svg" in read(page, tmp_path / "lines.html").tags


def test_a_single_episode_is_enough_for_a_report(evaluation: Evaluation, tmp_path: Path) -> None:
    one = evaluation.episodes[:1]
    page = Page("one")
    add_evaluation(page, Evaluation("x", 0, {}, one, summarize(one), {}), {})
    read(page, tmp_path / "one.html")


def test_a_place_that_cannot_be_written_is_a_readable_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        Page("x").write(tmp_path)
