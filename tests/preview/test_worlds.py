"""Previews: what they show is what training draws, and the page stands alone."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from simreal.cli.main import main
from simreal.configs import shipped_experiments
from simreal.env import BatchEnv
from simreal.episode_random import episode_seed
from simreal.experiment import ExperimentConfig, load_experiment
from simreal.preview.page import preview_page
from simreal.preview.pictures import histograms, rank_correlation, scatters, together, world_colours
from simreal.preview.seen import sheets
from simreal.preview.worlds import Preview, sample_worlds

SIMREAL = Path(sys.executable).with_name("simreal")
SEED = 3


def only(entries: str, *overrides: str) -> ExperimentConfig:
    """The swing-up with nothing else randomized."""
    return load_experiment("qube_swingup", [f"randomization={{{entries}}}", *overrides])


class Reader(HTMLParser):
    """Tables as rows of texts, cards by title, and everything that a page refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.references: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.cards: dict[str, dict[str, str]] = {}
        self._tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._tags.append(tag)
        self.references += [str(v) for k, v in attributes if k in ("src", "href", "xlink:href", "data")]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_data(self, data: str) -> None:
        tag = self._tags[-1] if self._tags else ""
        if tag in ("td", "th"):
            self.tables[-1][-1][-1] += data.strip()
        if tag not in ("script", "style"):
            self.words.append(data)


def read(path: Path) -> Reader:
    text = path.read_text("utf-8")
    assert not re.search(r"@import|fetch\(|XMLHttp|import\(", text)
    reader = Reader(text)
    assert all(each.startswith(("#", "data:")) for each in reader.references)
    return reader


def table(reader: Reader, corner: str) -> dict[str, list[str]]:
    """The rows, by their first cell, of the table whose first cell is this."""
    (found,) = [rows for rows in reader.tables if rows and rows[0][:1] == [corner]]
    return {row[0]: row[1:] for row in found[1:]}


def cards(reader: Reader) -> list[dict[str, str]]:
    """All values of each sampled world."""
    return [
        dict(map(tuple, rows[1:]))
        for rows in reader.tables
        if len(rows) > 1 and rows[1][0] == "episode seed"
    ]


@pytest.fixture(scope="module")
def swingup() -> Preview:
    return sample_worlds(load_experiment("qube_swingup", ["episode_length=0.05"]), "swing", 3, SEED)


@pytest.fixture
def simreal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must succeed; its output."""

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["simreal", *map(str, arguments)])
        main()
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="module")
def page(swingup: Preview, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    path = tmp_path_factory.mktemp("preview") / "page.html"
    preview_page(swingup).write(path)
    return read(path)


# A page takes matplotlib seconds; the swing-up's stands for all where time is short.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "qube_swingup" else pytest.mark.long)
        for name in shipped_experiments()
        if name != "dm_control"  # no robot to preview
    ],
)
def test_each_shipped_experiment_has_a_page_that_stands_alone(
    name: str, simreal: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    randomizer = BatchEnv(load_experiment(name), 1).randomizer
    columns, end = randomizer.columns, float(randomizer.space.high[0])
    output = simreal("preview", name, "--worlds", "4", "--pin", f"{columns[0]}={end}")
    assert f"preview: preview_{name}.html" in output
    assert (tmp_path / f"preview_{name}.html").as_uri() in output
    reader = read(tmp_path / f"preview_{name}.html")
    drawn = {label.partition(" [")[0]: row for label, row in table(reader, "world").items()}
    assert set(drawn) == set(columns)
    assert all(len(values) == 4 for values in drawn.values())
    assert drawn[columns[0]] == [f"{end:.3g}"] * 4
    assert [set(card) - {"episode seed"} for card in cards(reader)] == [set(columns)] * 4
    written = (tmp_path / f"preview_{name}.html").read_text("utf-8")
    assert ("lit from the north-west" in written) == (name == "go2_rough")


def test_the_page_shows_what_the_environment_draws(swingup: Preview, page: Reader) -> None:
    env = BatchEnv(swingup.experiment, 3, SEED)
    env.reset()
    ended = []
    while len(ended) < 3:
        ended += env.step(np.zeros((3, 1))).episodes
    shown = cards(page)
    assert [int(card.pop("episode seed")) for card in shown] == [episode.seed for episode in ended[:3]]
    for card, episode in zip(shown, ended, strict=False):
        numbers = {name: float(value.split()[0]) for name, value in card.items()}
        assert numbers == pytest.approx(episode.draw, rel=1e-5)


def test_a_shown_world_replays_alone(swingup: Preview) -> None:
    world = 2
    alone = BatchEnv(swingup.experiment, 1, seed=99)
    alone.begin(np.array([0]), swingup.seeds[[world]], swingup.draws[[world]])
    for field in ("body_mass", "body_inertia", "actuator_gainprm", "dof_damping"):
        np.testing.assert_array_equal(
            alone.physics.field(field)[0], swingup.env.physics.field(field)[world]
        )
    np.testing.assert_array_equal(
        alone.physics.joint_position[0], swingup.env.physics.joint_position[world]
    )


def test_pins_hold_and_leave_the_other_columns_alone(swingup: Preview) -> None:
    overrides = ["episode_length=0.05", "pins.mass[arm]=1.1", "pins.encoder_bias=0.01"]
    pinned = sample_worlds(load_experiment("qube_swingup", overrides), "pinned", 3, SEED)
    names = pinned.space.columns
    held = [names.index(each) for each in ("mass[arm]", "encoder_bias[arm]", "encoder_bias[pendulum]")]
    assert (pinned.samples[:, held] == [1.1, 0.01, 0.01]).all()
    others = np.setdiff1d(np.arange(len(names)), held)
    np.testing.assert_array_equal(pinned.samples[:, others], swingup.samples[:, others])


def test_histograms_count_every_draw_within_its_range(swingup: Preview) -> None:
    columns = list(range(len(swingup.space.columns)))
    axes = [axis for axis in histograms(swingup, columns).axes if axis.get_visible()]
    assert len(axes) == len(columns)
    for axis, column in zip(axes, columns, strict=True):
        counts, edges, _ = axis.patches[0].get_data()
        assert counts.sum() == 2000
        assert (edges[0], edges[-1]) == (swingup.space.low[column], swingup.space.high[column])
        assert swingup.space.columns[column] in axis.get_title()


def test_the_page_names_ranges_and_what_becomes_of_the_model(page: Reader) -> None:
    entries = table(page, "entry")
    of, operation, distribution, unit, compiled, becomes, _ = entries["joint_frictionloss"]
    assert (of, operation, distribution, unit) == ("arm", "scale", "uniform 0 to 4", "1")
    assert (compiled, becomes) == ("0.0001 N·m", "0 to 0.0004 N·m")
    assert entries["action_latency_ms"][-4:-1] == ["ms", "0 ms", "0 to 15 ms"]


def test_each_body_has_a_row_of_its_own(swingup: Preview, page: Reader) -> None:
    (rows,) = [rows for rows in page.tables if rows and rows[0][:1] == ["entry"]]
    masses = {row[1]: row for row in rows if row[0] == "mass"}
    model = swingup.env.physics.model
    assert masses.keys() == {"arm", "pendulum"}
    for body, row in masses.items():
        mass = float(model.body(body).mass[0])
        assert row[5] == f"{mass:.4g} kg"
        assert row[6] == f"{0.8 * mass:.4g} to {1.2 * mass:.4g} kg"


def test_entries_on_the_same_parameter_compose_as_in_the_physics() -> None:
    experiment = only(
        "mass: {distribution: {type: uniform, low: 0.8, high: 1.2}},"
        "load: {parameter: mass, target: pendulum, operation: add,"
        " distribution: {type: uniform, low: 0, high: 0.01}}"
    )
    preview = sample_worlds(experiment, "two", 1)
    env = BatchEnv(experiment, 2)
    env.begin(
        np.arange(2), episode_seed(0, np.arange(2)), np.array([preview.space.low, preview.space.high])
    )
    names = [env.physics.model.body(i).name for i in range(env.physics.model.nbody)]
    masses = env.physics.field("body_mass")[:, names.index("pendulum")]
    load = preview.parts[1]
    assert load.parts == ("pendulum",)
    np.testing.assert_allclose((load.smallest[0], load.largest[0]), masses, rtol=1e-12)


def test_worlds_that_draw_the_model_itself_do_not_move_off_it() -> None:
    same = sample_worlds(only("mass: {distribution: {type: constant, value: 1.0}}"), "same", 2)
    assert (same.response.distance == 0).all()
    heavier = sample_worlds(only("mass: {distribution: {type: constant, value: 1.3}}"), "heavy", 2)
    assert (heavier.response.distance > 0.01).all()


def test_a_delay_shifts_the_motion_by_itself() -> None:
    late = sample_worlds(
        only("action_latency_ms: {distribution: {type: constant, value: 30}}"), "late", 1
    )
    moved, nominal = late.response.sampled.position[0], late.response.nominal.position[0]
    np.testing.assert_allclose(moved[3:], nominal[:-3], atol=1e-9)  # control steps of 10 ms
    assert np.abs(moved - nominal).max() > 0.1


def test_ranges_are_those_configured_unless_training_has_arrived_at_others() -> None:
    entries = "mass: {target: arm, distribution: {type: uniform, low: 0.8, high: 1.2}}"
    moving = "schedule={type: by_step, start_width: 0.25, steps: 1000}"
    assert np.ptp(sample_worlds(only(entries, moving), "moving", 1).samples) > 0.39
    arrived = "schedule={type: within, ranges: {'mass[arm]': [0.9, 1.0]}}"
    within = sample_worlds(only(entries, arrived), "within", 1)
    assert within.samples.min() >= 0.9
    assert within.samples.max() <= 1.0


def test_a_page_shows_the_schedule_and_what_is_drawn_together(tmp_path: Path) -> None:
    experiment = only(
        "mass: {target: arm, distribution: {type: uniform, low: 0.8, high: 1.2}},"
        "pair: {parameters: [action_latency_ms, 'motor_strength[motor]'], distribution: {"
        "type: correlated, correlation: [[1, -0.8], [-0.8, 1]],"
        " marginals: [{type: uniform, low: 1, high: 10}, {type: uniform, low: 0.8, high: 1.2}]}}",
        "schedule={type: by_step, start_width: 0.25, steps: 1000}",
    )
    preview = sample_worlds(experiment, "joint", 2)
    expected = 6 / np.pi * np.arcsin(-0.8 / 2)  # Spearman's of a Gaussian copula
    assert rank_correlation(preview.samples[:, 1:])[0, 1] == pytest.approx(expected, abs=0.03)
    figure = scatters(preview, [1, 2])
    np.testing.assert_array_equal(figure.axes[0].collections[1].get_offsets(), preview.draws[:, 1:])
    preview_page(preview).write(tmp_path / "page.html")
    reader = read(tmp_path / "page.html")
    words = " ".join(" ".join(reader.words).split())
    assert table(reader, "")["mass[arm]"] == ["0.95 to 1.05", "0.8 to 1.2", "1"]
    assert "Drawn together: pair" in words
    assert "does not move action_latency_ms, motor_strength[motor]" in words
    assert "The model itself lies outside of the range of action_latency_ms" in words


@pytest.mark.long
def test_without_opengl_worlds_are_drawn_as_lines_and_nothing_need_be_random(tmp_path: Path) -> None:
    entries = "randomization={}"
    subprocess.run(
        [SIMREAL, "preview", "qube_swingup", "-o", entries, "--worlds", "2", "--output", "page.html"],
        env={**os.environ, "MUJOCO_GL": "disable"},
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "<img" not in text
    assert text.count("<div class=card><svg") == 2
    assert "pictures need OpenGL" in text
    assert "0 numbers are drawn" in text


def test_robots_in_one_picture_share_what_stands_still(swingup: Preview) -> None:
    figures, nominal = swingup.response.sampled.figures, swingup.response.nominal.figures[0]
    drawn = together(figures, nominal)
    still = int(np.sum(np.ptp(nominal.segments, axis=0).max(axis=(1, 2)) <= 1e-6))
    moving = len(nominal.colours) - still
    assert drawn.segments.shape[1] == still + 4 * moving  # three worlds and the nominal robot
    assert [drawn.colours.count(colour) for colour in world_colours(3)] == [moving] * 3


def test_the_page_shows_what_the_policy_sees_in_both_visual_worlds(tmp_path: Path) -> None:
    lamp = "{light_diffuse: {distribution: {type: uniform, low: 0.0, high: 0.5}}}"
    camera = "{name: overview, width: 16, height: 12, stack: 2}"
    experiment = load_experiment(
        "qube_swingup", [f"cameras=[{camera}]", f"randomization={lamp}", f"held_out_visuals={lamp}"]
    )
    preview = sample_worlds(experiment, "seen", worlds=7, seed=SEED)
    shown = sheets(preview.env)["overview"]
    down, across = 12 * 8 + 4, 16 * 8 + 4
    assert shown.shape == (2 * down, 6 * across, 3)
    seventh = shown[down : down + 96 : 8, 0:128:8]
    np.testing.assert_array_equal(seventh, preview.env.images["overview"][6, :3].transpose(1, 2, 0))
    assert (shown[down:, across:] == 255).all()
    preview_page(preview).write(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<figcaption>Camera overview.<" in page
    assert "<figcaption>Camera overview in the held-out visual world.<" in page
