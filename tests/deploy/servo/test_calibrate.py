"""The guided calibration, by hands that follow it, on emulated arms in virtual time."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from simreal.cli import calibrate as cli_calibrate
from simreal.cli.main import cli
from simreal.deploy.drivers import DriverError
from simreal.deploy.drivers.servo import calibrate as steps
from simreal.deploy.drivers.servo import port as ports
from simreal.deploy.drivers.servo.bus import ServoBus
from simreal.deploy.drivers.servo.calibration import STEP, write_calibration
from simreal.deploy.emulators.servo.servo import Shaft
from simreal.errors import UserError
from simreal.state import RobotCommand

both = pytest.mark.parametrize("kind", ["feetech", pytest.param("dynamixel", marks=pytest.mark.long)])
Make = Callable[..., Any]
MIDDLES = [0.0, 0.0, 0.0, 0.0, 0.05, 0.8]


class Hands:
    """Do what they are told; the joints' ends are some way inside of what the description says."""

    def __init__(self, rig: Any, short: float = 0.05) -> None:
        self.rig, self.told, self._short = rig, [], short
        self._joints = list(rig.arm.body.description.joints)

    def __call__(self, text: str) -> None:
        self.told.append(text)
        if "middle" in text:
            self.rig.arm.hands = dict(enumerate(MIDDLES))
        else:
            match = re.search(r"Move (\w+) to its (lower|upper) end", text)
            assert match is not None
            place = [joint.name for joint in self._joints].index(match[1])
            end = getattr(self._joints[place], match[2])
            inside = self._short if match[2] == "lower" else -self._short
            self.rig.arm.hands[place] = end + inside
        far = "wrist_roll" in text or "middle" in text
        self.rig.port.pass_time(self.rig.port.time + (1.5 if far else 1.2))


def bus_of(rig: Any) -> ServoBus:
    return ServoBus(rig.driver.open_protocol(rig.port))


@both
def test_what_is_found_makes_angles_of_counts(kind: str, virtual_rig: Make, tmp_path: Path) -> None:
    rig = virtual_rig(kind)
    rig.servos[1].shaft = Shaft(1234, -1)  # mounted the other way round
    hands = Hands(rig)
    found = steps.calibrate(type(rig.driver), rig.driver.description, bus_of(rig), hands)
    assert len(hands.told) == 13
    assert [entry.direction for entry in found.joints.values()] == [1, -1, 1, 1, 1, 1]
    path = tmp_path / "found.yaml"
    write_calibration(path, found)
    rig.driver = type(rig.driver)("so101", "nowhere", path)
    with rig.driver as driver:
        # Gravity pulls at what a hand holds: the ends are off by that, as they are for a person.
        np.testing.assert_allclose(driver.read().joint_position, rig.arm.body.position, atol=0.03)
        target = rig.arm.body.position - [0.0, 0.3, 0.0, 0.0, 0.0, 0.2]
        for _ in range(80):
            driver.read()
            driver.write(RobotCommand(target))
            rig.port.pass_time(rig.port.time + 0.02)
        reached = rig.arm.body.position
        assert abs(reached[1] - target[1]) < 0.15 and abs(reached[5] - target[5]) < 0.05
    assert [servo.limits_exceeded for servo in rig.servos] == [0] * 6


@pytest.mark.long
def test_the_servos_keep_it_through_a_power_cycle(virtual_rig: Make, tmp_path: Path) -> None:
    rig = virtual_rig("feetech")
    found = steps.calibrate(type(rig.driver), rig.driver.description, bus_of(rig), Hands(rig))
    for servo in rig.servos:
        servo.power_cycle()
    rig.port.pass_time(rig.port.time + 0.02)
    path = tmp_path / "found.yaml"
    write_calibration(path, found)
    with type(rig.driver)("so101", "nowhere", path):
        pass


@both
def test_a_range_that_cannot_be_is_refused(kind: str, virtual_rig: Make) -> None:
    rig = virtual_rig(kind)
    with pytest.raises(UserError, match=r"shoulder_pan: it moved by 1\.\d\d rad.*3\.84 were expected"):
        steps.calibrate(type(rig.driver), rig.driver.description, bus_of(rig), Hands(rig, short=1.0))


@both
def test_a_joint_that_was_not_moved_is_asked_for_again_by_itself(kind: str, virtual_rig: Make) -> None:
    rig = virtual_rig(kind)
    hands, forgotten = Hands(rig), []

    def forget_once(text: str) -> None:
        if "Move elbow_flex" in text and len(forgotten) < 2:
            forgotten.append(text)
        else:
            hands(text)

    found = steps.calibrate(type(rig.driver), rig.driver.description, bus_of(rig), forget_once)
    assert set(found.joints) == set(rig.driver.description.joint_names)
    assert len(forgotten) == 2 and len(hands.told) == 13  # nothing else was asked for twice
    again = [text for text in hands.told if "elbow_flex" in text]
    assert again[0].startswith("elbow_flex: it was not moved: 0.00 rad from end to end, 3.38 were")


def test_one_that_is_never_moved_is_given_up_with_its_reason(virtual_rig: Make) -> None:
    rig = virtual_rig("feetech")
    asked: list[str] = []
    with pytest.raises(UserError, match=r"joint shoulder_pan: it was not moved") as refused:
        steps.calibrate(type(rig.driver), rig.driver.description, bus_of(rig), asked.append)
    assert "seam" not in str(refused.value)
    assert len(asked) == 7


def test_servos_that_are_not_there_are_told_before_anything_is_asked(virtual_rig: Make) -> None:
    rig = virtual_rig("feetech", physics=False)
    rig.port.line.servos = rig.servos[:3]
    asked: list[str] = []
    with pytest.raises(DriverError, match=r"no answer from wrist_flex \(id 4\), .*; found shoulder_pan"):
        steps.calibrate(type(rig.driver), rig.driver.description, bus_of(rig), asked.append)
    assert asked == []


def test_a_robot_whose_joints_have_no_ends_is_refused(virtual_rig: Make) -> None:
    rig = virtual_rig("feetech", physics=False)
    description = rig.driver.description
    wheel = description.joints[0].model_copy(update={"lower": None, "upper": None})
    rolling = description.model_copy(update={"joints": (wheel, *description.joints[1:])})
    with pytest.raises(UserError, match=r"no lower and upper in robot\.yaml for shoulder_pan"):
        steps.calibrate(type(rig.driver), rolling, bus_of(rig), pytest.fail)


def test_a_robot_with_a_slide_is_refused_before_anybody_is_asked(virtual_rig: Make) -> None:
    rig = virtual_rig("feetech", physics=False)
    description = rig.driver.description
    lift = description.joints[0].model_copy(update={"unit": "m"})
    sliding = description.model_copy(update={"joints": (lift, *description.joints[1:])})
    with pytest.raises(UserError, match="joint shoulder_pan slides"):
        steps.calibrate(type(rig.driver), sliding, bus_of(rig), pytest.fail)


def test_nobody_at_the_terminal_is_told(
    virtual_rig: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = virtual_rig("feetech")
    monkeypatch.setattr(ports, "SerialPort", lambda *_: rig.port)
    arguments = ["calibrate", "so101", "--port", "nowhere", "-o", str(tmp_path / "arm.yaml")]
    result = CliRunner().invoke(cli, arguments, input="")
    assert isinstance(result.exception, UserError)
    assert "nobody answers on standard input" in str(result.exception)
    assert not (tmp_path / "arm.yaml").exists()


def test_an_unknown_servo_is_refused(virtual_rig: Make) -> None:
    rig = virtual_rig("feetech")
    rig.servos[3].put(3, 2, 999)
    with pytest.raises(UserError, match=r"wrist_flex \(id 4\): model 999.*STS3215"):
        steps.calibrate(type(rig.driver), rig.driver.description, bus_of(rig), Hands(rig))


@both
def test_new_servos_are_numbered_one_by_one(kind: str, virtual_rig: Make) -> None:
    rig = virtual_rig(kind, physics=False)
    place = {"feetech": 5, "dynamixel": 7}[kind]
    everyone = list(rig.servos)
    for servo in everyone:
        servo.memory[place] = 1
    names = [servo.name for servo in everyone]

    def connect(text: str) -> None:
        name = text.split("servo of ")[1].split(" ")[0]
        rig.port.line.servos = [everyone[names.index(name)]]

    steps.assign_ids(type(rig.driver), rig.driver.description, bus_of(rig), connect)
    assert [servo.id for servo in everyone] == [1, 2, 3, 4, 5, 6]
    rig.port.line.servos = everyone
    with pytest.raises(DriverError, match="one servo was expected, 6 answer"):
        steps.assign_ids(type(rig.driver), rig.driver.description, bus_of(rig), lambda text: None)


def _lerobot(rig: Any) -> dict[str, dict[str, int]]:
    entries = {}
    for servo in rig.servos:
        low, high = servo.number(9, 2), servo.number(11, 2)
        offset = servo.number(31, 2)
        signed = -(offset & 0x7FF) if offset & 0x800 else offset
        whole = servo.name == "wrist_roll"
        if whole:
            servo.put(9, 2, 0)
            servo.put(11, 2, 4095)
        entries[servo.name] = {
            "id": servo.id,
            "drive_mode": 0,
            "homing_offset": signed,
            "range_min": 0 if whole else low,
            "range_max": 4095 if whole else high,
        }
    return entries


def test_lerobot_s_calibration_is_taken_over(virtual_rig: Make, tmp_path: Path) -> None:
    rig = virtual_rig("feetech")
    source, path = tmp_path / "lerobot.json", tmp_path / "ours.yaml"
    content = _lerobot(rig)
    source.write_text(json.dumps(content))
    kind, description = type(rig.driver), rig.driver.description
    found = steps.from_lerobot(source, kind, description, bus_of(rig))
    write_calibration(path, found)
    with kind("so101", "nowhere", path) as driver:
        truth = rig.arm.body.position
        np.testing.assert_allclose(driver.read().joint_position, truth, atol=2 * STEP)
    content["elbow_flex"]["homing_offset"] += 1
    source.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"elbow_flex.*another arm"):
        steps.from_lerobot(source, kind, description, bus_of(rig))
    source.write_text('{"elbow_flex": 3}')
    with pytest.raises(UserError, match="shoulder_pan: expected id"):
        steps.from_lerobot(source, kind, description, bus_of(rig))


def test_the_command_asks_and_writes(
    virtual_rig: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = virtual_rig("feetech")
    monkeypatch.setattr(ports, "SerialPort", lambda *_: rig.port)
    monkeypatch.setattr(cli_calibrate, "ask", Hands(rig))
    path = tmp_path / "arm.yaml"
    arguments = ["calibrate", "so101", "--port", "nowhere", "-o", str(path)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "simreal deploy POLICY --driver feetech:port=nowhere" in result.output
    with type(rig.driver)("so101", "nowhere", path):
        pass
    again = CliRunner().invoke(cli, arguments)
    assert isinstance(again.exception, UserError) and "is there already" in str(again.exception)
