import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.deploy.drivers import DRIVERS, open_driver
from simreal.deploy.drivers.registry import DriverEntry
from simreal.deploy.drivers.sim import SimDriver
from simreal.errors import UserError


@pytest.mark.parametrize(
    "specification", ["sim", "sim:", "sim:mass=1.2, action_latency_ms=8", "sim:seed=3,robot=qube,"]
)
def test_what_can_be_read_gives_a_driver_that_has_started_nothing(specification: str) -> None:
    driver = open_driver(specification, "qube")
    assert isinstance(driver, SimDriver)
    assert driver.process is None


@pytest.mark.parametrize(
    ("specification", "words"),
    [
        ("simm", ["'simm'", "did you mean 'sim'?"]),
        ("", ["''", "sim"]),
        ("can0", ["'can0'", "did you mean 'can'?"]),
        ("sim:mass", ["'mass'", "key=value"]),
        ("sim:mass=", ["'mass='", "key=value"]),
        ("sim:=1", ["'=1'", "key=value"]),
        ("sim:mass=heavy", ["mass=heavy", "number"]),
        ("sim:mass=nan", ["mass=nan", "finite"]),
        ("sim:mass=1,action_latency_ms=inf", ["action_latency_ms=inf", "finite"]),
        ("sim:seed=-1", ["seed=-1", "whole number"]),
        ("sim:seed=1.5", ["seed=1.5", "whole number"]),
    ],
)
def test_what_cannot_be_read_is_one_message_that_names_it(specification: str, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        open_driver(specification, "qube")
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@given(st.text(max_size=30), st.booleans())
def test_any_text_gives_a_driver_or_a_user_error(text: str, known: bool) -> None:
    try:
        open_driver(f"sim:{text}" if known else text, "qube")
    except UserError as error:
        assert str(error)


def test_a_driver_whose_library_is_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DRIVERS, "bus", DriverEntry("a bus", "no_such_module", "serial"))
    with pytest.raises(UserError, match=r"no_such_module.*simreal\[serial\]"):
        open_driver("bus", "qube")
