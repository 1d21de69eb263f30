import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.errors import UserError, missing_extra, nearest

PARAMETERS = ["mass", "joint_damping", "joint_frictionloss", "motor_strength", "encoder_noise"]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("mas", "mass"), ("Mass", "mass"), ("joint_dampng", "joint_damping"), ("noise", "encoder_noise")],
)
def test_a_misspelled_name_gets_the_one_that_was_meant(wrong: str, right: str) -> None:
    hint = nearest(wrong, PARAMETERS)
    assert hint.startswith(f"did you mean '{right}'")


@given(st.sampled_from(PARAMETERS), st.data())
def test_one_wrong_letter_never_hides_the_name(name: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(name) - 1))
    kind = data.draw(st.sampled_from(["drop", "double", "replace"]))
    middle = {"drop": "", "double": name[place] * 2, "replace": "q"}[kind]
    wrong = name[:place] + middle + name[place + 1 :]
    assert repr(name) in nearest(wrong, PARAMETERS)


def test_a_name_like_no_other_gets_the_whole_list() -> None:
    assert nearest("xyzzy", ["beta", "alpha", "beta"]) == "valid: alpha, beta"


def test_a_long_list_is_cut_and_says_so() -> None:
    names = [f"{letter * 6}" for letter in "abcdefghijkl"]
    hint = nearest("zzz", names, shown=3)
    assert hint == "valid: aaaaaa, bbbbbb, cccccc and 9 more"


def test_nothing_valid_is_said_in_words() -> None:
    assert nearest("anything", []) == "none is valid here"


def test_a_missing_extra_names_the_command_that_installs_it() -> None:
    error = missing_extra("torch", "train")
    assert isinstance(error, UserError)
    assert "torch" in str(error)
    assert "pip install 'simreal[train]'" in str(error)
    assert "\n" not in str(error)
