"""Excitation files: what is written is read, and what does not fit moves nothing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simreal.errors import UserError
from simreal.excitation_file import Excitation, read_excitation, write_excitation
from simreal.robots import load_robot

QUBE = load_robot("qube").description


def excitation(**changes: object) -> Excitation:
    content = {"robot": "qube", "actuators": ("motor",), "units": ("V",), "rate": 100.0}
    return Excitation.model_validate(content | {"targets": ((0.0,), (0.5,), (-0.5,))} | changes)


@settings(max_examples=10)
@given(st.lists(st.floats(-4, 4), min_size=2, max_size=6))
def test_every_bit_survives(tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
    path = tmp_path_factory.mktemp("excitation") / "e.yaml"
    written = excitation(targets=tuple((value,) for value in values))
    write_excitation(path, written)
    assert read_excitation(path) == written


def test_a_command_holds_until_the_next_and_the_last_to_the_end() -> None:
    times = [0.0, 0.0099, 0.01, 0.02, 5.0]
    assert [excitation().target(time)[0] for time in times] == [0.0, 0.0, 0.5, -0.5, -0.5]
    assert excitation().duration == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"robot": "go2"}, "for robot go2, not for qube"),
        ({"actuators": ("hip",)}, "moves hip, the robot has motor"),
        ({"units": ("N·m",)}, "N·m in the file, V here"),
        ({"targets": ((0.0,), (4.5,))}, "beyond -4 to 4"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        excitation(**changes).refuse_unfit(QUBE)


def test_another_kind_of_file_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("robot: qube\n")
    with pytest.raises(UserError, match="not an excitation"):
        read_excitation(path)


def test_commands_are_rows_of_actuators() -> None:
    np.testing.assert_array_equal(excitation().commands, [[0.0], [0.5], [-0.5]])
    with pytest.raises(ValueError, match="row 1 has 2 numbers for 1 actuators"):
        excitation(targets=((0.0,), (1.0, 2.0)))
