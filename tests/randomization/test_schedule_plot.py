from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.errors import UserError
from simreal.randomization.adr import Adr, AdrConfig
from simreal.randomization.schedule_interface import HistoryRow, Space
from simreal.randomization.schedule_plot import read_history, schedule_figure
from simreal.run import Table


def space() -> Space:
    return Space(
        columns=("mass[arm]", "pinned", "damping"),
        low=np.array([0.5, 2.0, 0.1]),
        high=np.array([2.0, 2.0, 10.0]),
        nominal=np.array([1.0, 2.0, 1.0]),
        logarithmic=np.array([False, False, True]),
        held=np.zeros(3, dtype=np.bool_),
        quantile=lambda uniform: uniform,
    )


def history(schedule: Adr, decisions: int) -> list[HistoryRow]:
    """The high end of the mass moves out once per decision."""
    rows = schedule.history(0)
    for decision in range(1, decisions + 1):
        values = np.tile(schedule.ranges()[1], (10, 1))
        schedule.record(np.ones(10, dtype=np.int64), values, np.ones(10, dtype=np.bool_))
        schedule.update(decision)
        rows += schedule.history(1000 * decision)
    return rows


LAST_STEP = 10**12
ROWS = st.builds(
    HistoryRow,
    st.integers(0, LAST_STEP),
    st.text(st.characters(exclude_categories=["C"], exclude_characters="\r\n"), min_size=1),
    st.floats(allow_nan=False),
    st.floats(allow_nan=False),
    st.floats(max_value=0.0, allow_nan=False),
)


@given(rows=st.lists(ROWS, max_size=20), cut=st.integers(0, 20))
def test_a_history_comes_back_as_training_and_its_resumption_wrote_it(
    tmp_path_factory: pytest.TempPathFactory, rows: list[HistoryRow], cut: int
) -> None:
    path = tmp_path_factory.mktemp("history") / "schedule.csv"
    for part, after in ((rows[:cut], None), (rows[cut:], LAST_STEP)):
        table = Table(path, list(HistoryRow._fields[1:]), after)
        for row in part:
            table.add(row.step, row[1:])
        table.close()
    assert read_history(path) == rows


def test_a_missing_or_foreign_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "schedule.csv"
    with pytest.raises(UserError, match=r"schedule\.csv: no such file"):
        read_history(path)
    for text in ("", "a,b\n1,2\n", "step,column,low,high,entropy\n1,mass,much\n"):
        path.write_text(text)
        with pytest.raises(UserError, match=r"schedule\.csv: not a schedule's history"):
            read_history(path)


def test_the_figure_shows_each_moved_column_against_its_limits(tmp_path: Path) -> None:
    figure = schedule_figure(history(Adr(AdrConfig(), space()), 5), space())
    panels = [axis for axis in figure.axes if axis.get_visible()]
    assert [panel.get_title() for panel in panels[1:]] == ["mass[arm]", "damping"]
    mass = panels[1]
    lines = [np.asarray(line.get_ydata(), dtype=np.float64).tolist() for line in mass.lines]
    assert lines[1] == pytest.approx([1.1, 1.2, 1.3, 1.4, 1.5, 1.6])
    assert lines[2:] == [[0.5, 0.5], [2.0, 2.0], [1.0, 1.0]]
    assert panels[2].get_yscale() == "log"
    entropy = np.asarray(panels[0].lines[0].get_ydata(), dtype=np.float64)
    assert (np.diff(entropy) > 0).all()
    for kind, head in (("svg", b"<?xml"), ("png", b"\x89PNG")):
        path = tmp_path / f"schedule.{kind}"
        figure.savefig(path)
        assert path.read_bytes().startswith(head)


def test_a_column_without_width_can_be_drawn(tmp_path: Path) -> None:
    schedule = Adr(AdrConfig(start_share=0.0), space())
    schedule_figure(history(schedule, 1), space()).savefig(tmp_path / "schedule.svg")


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(UserError, match="no history"):
        schedule_figure([], space())
