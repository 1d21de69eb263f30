"""What all commands share."""

import click
import pytest

from simreal.cli_types import NumberRange


@pytest.mark.parametrize("text", ["nan", "inf", "-1"])
def test_no_number_without_an_end_passes_a_range(text: str) -> None:
    assert NumberRange(min=0.0).convert("2.5", None, None) == 2.5
    with pytest.raises(click.BadParameter):
        NumberRange(min=0.0).convert(text, None, None)
