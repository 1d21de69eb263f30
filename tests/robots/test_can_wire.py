"""What a robot.yaml may say of CAN motors."""

import pytest
from pydantic import ValidationError

from simreal.robots import load_robot
from simreal.robots.can_wire import CanConfig

HIP = {"model": "dm4310", "id": 0x01, "master_id": 0x11}


def test_the_shipped_leg_has_its_motors() -> None:
    wire = load_robot("can_leg").config.wire
    assert wire is not None
    assert wire.can is not None
    assert [motor.id for motor in wire.can.motors.values()] == [1, 2]


@pytest.mark.parametrize(
    ("knee", "words"),
    [
        ({"model": "dm4311"}, "did you mean 'dm4310'"),
        ({"id": 0x01, "master_id": 0x12}, "both have id 0x1"),
        ({"id": 0x21, "master_id": 0x11}, "low four bits"),
        ({"id": 0x11, "master_id": 0x12}, "to which knee listens"),
        ({"model": "ak80_6", "id": 2, "master_id": 0x11}, "different protocols"),
        ({"model": "rs02", "id": 2, "master_id": 0xFD}, "sources disagree for rs02"),
        ({"model": "cybergear", "id": 2, "master_id": 0xFD}, "add limits from its manual"),
    ],
)
def test_motors_that_cannot_be_told_apart_are_refused(knee: dict[str, object], words: str) -> None:
    motors = {"hip": HIP, "knee": HIP | {"id": 2, "master_id": 0x12} | knee}
    with pytest.raises(ValidationError, match=words):
        CanConfig.model_validate({"motors": motors})


def test_the_same_numbers_on_two_buses_are_two_motors() -> None:
    CanConfig.model_validate({"motors": {"hip": HIP, "knee": HIP | {"bus": 1}}})
