"""Counts and radians, and the file that says how one becomes the other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.deploy.drivers.servo.calibration import (
    STEP,
    Calibration,
    Conversion,
    read_calibration,
    refuse_other_drives,
    write_calibration,
)
from simreal.errors import UserError
from simreal.robots import load_robot

SO101 = load_robot("so101").description


def content(**changed: Any) -> dict[str, Any]:
    joints = {
        name: {
            "id": number,
            "model": 777,
            "firmware": "3.10",
            "homing_offset": -7 * number,
            "lowest": 200,
            "highest": 3900,
            "zero": 2048,
        }
        for number, name in enumerate(SO101.joint_names, 1)
    }
    return {"robot": "so101", "protocol": "feetech", "joints": joints} | changed


@given(
    st.lists(st.floats(-1.5, 1.5), min_size=6, max_size=6),
    st.lists(st.sampled_from([-1, 1]), min_size=6, max_size=6),
    st.lists(st.floats(1500.0, 2500.0), min_size=6, max_size=6),
)
def test_angles_come_back_from_counts_to_half_a_count(
    angles: list[float], directions: list[int], zeros: list[float]
) -> None:
    document = content()
    for entry, direction, zero in zip(document["joints"].values(), directions, zeros, strict=True):
        entry |= {"direction": direction, "zero": zero}
    conversion = Conversion(Calibration.model_validate(document), SO101)
    asked = np.clip(angles, [a.lower for a in SO101.actuators], [a.upper for a in SO101.actuators])
    goals = conversion.goal(asked.tolist())
    for joint, goal in enumerate(goals):
        low, high = conversion.lowest[joint], conversion.highest[joint]
        assert low <= goal <= high and 200 <= goal <= 3900
        if low < goal < high:
            assert abs(conversion.angle(joint, goal) - asked[joint]) <= 0.5 * STEP + 1e-12
        assert conversion.speed(joint, 1000) == pytest.approx(directions[joint] * 1000 * STEP)


@given(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=6))
def test_no_angle_leads_out_of_the_calibrated_range(angles: list[float]) -> None:
    conversion = Conversion(Calibration.model_validate(content()), SO101)
    for joint, goal in enumerate(conversion.goal(angles)):
        assert conversion.lowest[joint] <= goal <= conversion.highest[joint]
        actuator = SO101.actuators[joint]
        assert actuator.lower - STEP <= conversion.angle(joint, goal) <= actuator.upper + STEP


def test_a_file_comes_back(tmp_path: Path) -> None:
    path, calibration = tmp_path / "arm.yaml", Calibration.model_validate(content())
    write_calibration(path, calibration)
    assert read_calibration(path, "feetech", SO101) == calibration


def _spoilt(joint: dict[str, Any]) -> dict[str, Any]:
    document = content()
    document["joints"]["elbow_flex"] |= joint
    return document


def _without(name: str) -> dict[str, Any]:
    document = content()
    del document["joints"][name]
    return document


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (_spoilt({"id": 1}), ["id 1 stands twice"]),
        (_spoilt({"lowest": 3000, "highest": 3000}), ["lowest", "below highest"]),
        (_spoilt({"highest": 4096}), ["highest", "4096"]),
        (_spoilt({"directoin": 1}), ["directoin", "direction"]),
        (_spoilt({"torque": 1.5}), ["torque", "1"]),
        (_without("gripper"), ["joints without a servo: gripper"]),
        (content(protocol="dynamixel"), ["dynamixel servos", "driver is feetech"]),
        (content(robot="go2"), ["of a go2", "for so101"]),
    ],
)
def test_a_wrong_file_is_one_message(document: dict[str, Any], words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "arm.yaml"
    import yaml

    path.write_text(yaml.safe_dump(document))
    with pytest.raises(UserError) as caught:
        read_calibration(path, "feetech", SO101)
    assert "arm.yaml" in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_range_with_nothing_of_the_actuator_s_is_refused() -> None:
    document = content()
    document["joints"]["elbow_flex"] |= {"zero": 0, "lowest": 3000}
    with pytest.raises(UserError, match="elbow_flex"):
        Conversion(Calibration.model_validate(document), SO101)


def test_a_joint_that_slides_is_refused() -> None:
    lift = SO101.joints[1].model_copy(update={"unit": "m"})
    sliding = SO101.model_copy(update={"joints": (SO101.joints[0], lift, *SO101.joints[2:])})
    refuse_other_drives(SO101)
    with pytest.raises(UserError, match=r"joint shoulder_lift slides; a servo of a bus turns"):
        refuse_other_drives(sliding)
