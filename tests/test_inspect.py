"""What simreal tells about itself."""

from pathlib import Path

from simreal.inspect import parameter_page
from simreal.randomization.parameters import GROUPS, PARAMETERS

DOCS = Path(__file__).parent.parent / "docs"


def test_the_page_of_parameters_is_what_they_declare() -> None:
    assert (DOCS / "parameters.md").read_text("utf-8") == parameter_page(), "run `make docs`"


def test_every_parameter_stands_in_one_group_under_a_name_of_its_own() -> None:
    names = [each.name for group in GROUPS.values() for each in group]
    assert len(names) == len(set(names)) == len(PARAMETERS)
