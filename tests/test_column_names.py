from hypothesis import given
from hypothesis import strategies as st

from simreal.column_names import parameter_of, split_column

NAMES = st.text("abc_ 1.", min_size=1)


@given(NAMES, NAMES)
def test_a_name_falls_into_the_parameter_and_its_part(parameter: str, part: str) -> None:
    assert split_column(f"{parameter}[{part}]") == (parameter, part)
    assert split_column(parameter) == (parameter, "")
    assert parameter_of(f"{parameter}[{part}]") == parameter_of(parameter) == parameter
