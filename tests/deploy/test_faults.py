import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.deploy.emulators.body import AMBIENT, Body
from simreal.deploy.emulators.faults import (
    DEVICE_FAULTS,
    KINDS,
    WIRE_FAULTS,
    Fault,
    Faults,
    Outbox,
    parse_fault,
)
from simreal.errors import UserError
from tests.deploy.random_faults import random_faults

DEVICES = ["shoulder", "elbow"]
FRAME = bytes(range(20))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("drop=0.01", Fault("drop", None, 0.01)),
        ("stall:elbow@3.0", Fault("stall", "elbow", begin=3.0)),
        ("delay:elbow=0.05/12@1-2.5", Fault("delay", "elbow", 0.05, 12.0, 1.0, 2.5)),
        ("brown-out=5.5@2", Fault("brown-out", None, 5.5, begin=2.0)),
        (" over-temperature ", Fault("over-temperature", None, 90.0)),
        ("frozen-encoder:shoulder", Fault("frozen-encoder", "shoulder")),
    ],
)
def test_a_fault_is_read(text: str, fault: Fault) -> None:
    assert parse_fault(text, DEVICES) == fault


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["''", "KIND"]),
        ("drp=0.1", ["'drp'", "did you mean 'drop'?"]),
        ("stall:elbw", ["'elbw'", "did you mean 'elbow'?"]),
        ("drop=1.5", ["drop=1.5", "at most 1"]),
        ("drop=0", ["drop=0", "above 0"]),
        ("drop=nan", ["'drop=nan'", "KIND"]),
        ("drop=0.1/3", ["only delay"]),
        ("stall@3-2", ["ends before it begins"]),
        ("stall:elbow@-1", ["KIND"]),
    ],
)
def test_a_fault_that_cannot_be_is_one_message(text: str, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        parse_fault(text, DEVICES)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@given(st.text(max_size=30) | st.from_regex(r"[a-z-]{3,8}(:\w+)?(=[\d.]+)?(@[\d.-]+)?", fullmatch=True))
def test_any_text_is_a_fault_or_a_user_error(text: str) -> None:
    try:
        fault = parse_fault(text, DEVICES)
    except UserError:
        return
    assert fault.kind in KINDS and fault.begin < fault.end


def _shares(fault: str, frames: int = 4000) -> list[list[tuple[float, bytes]]]:
    faults = Faults([parse_fault(fault)], seed=3)
    return [faults.frames(FRAME, "elbow", 0.0) for _ in range(frames)]


def test_shares_of_frames_are_struck() -> None:
    assert np.mean([not each for each in _shares("drop=0.2")]) == pytest.approx(0.2, abs=0.03)
    assert np.mean([len(each) == 2 for each in _shares("duplicate=0.2")]) == pytest.approx(0.2, abs=0.03)
    late = [delay for ((delay, _),) in _shares("delay=0.2/15")]
    assert set(late) == {0.0, 0.015}
    assert np.mean(late) == pytest.approx(0.003, rel=0.15)


def test_a_corrupt_frame_differs_in_one_byte() -> None:
    for ((_, frame),) in _shares("corrupt=1", 200):
        assert sum(a != b for a, b in zip(frame, FRAME, strict=True)) == 1


def test_a_fault_holds_for_its_device_and_its_time_alone() -> None:
    faults = Faults([parse_fault("drop:elbow@1-2")])
    told = {
        (name, now): faults.frames(FRAME, name, now) for name in DEVICES for now in (0.9, 1.0, 1.9, 2.0)
    }
    assert {key for key, frames in told.items() if not frames} == {("elbow", 1.0), ("elbow", 1.9)}


def test_the_same_seed_strikes_the_same_frames() -> None:
    def lost(seed: int) -> list[bool]:
        faults = Faults([Fault("drop", value=0.5)], seed)
        return [not faults.frames(FRAME, None, 0.0) for _ in range(50)]

    assert lost(1) == lost(1) != lost(2)


def test_changes_tell_each_fault_once() -> None:
    faults = Faults([parse_fault("stall:elbow@1-3"), parse_fault("drop=0.1")])
    assert faults.changes(0.0) == ([], [])
    begun, ended = faults.changes(1.0)
    assert [each.kind for each in begun] == ["stall"] and not ended
    assert faults.changes(2.0) == ([], [])
    assert [each.kind for each in faults.changes(3.0)[1]] == ["stall"]
    assert [each.kind for each in faults.announced] == ["drop"]


def test_what_is_announced_counts_from_then_and_can_be_cleared() -> None:
    faults = Faults()
    faults.announce(parse_fault("stall:elbow@0.5"), 10.0)
    assert faults.changes(10.4) == ([], [])
    assert len(faults.changes(10.6)[0]) == 1
    faults.clear()
    assert len(faults.changes(10.7)[1]) == 1


def test_a_body_suffers_and_recovers() -> None:
    body = Body("so101", {"encoder_resolution": 0.0})
    names = list(body.description.actuator_names)
    faults = Faults(
        [
            parse_fault(text, names)
            for text in (
                "stall:shoulder_pan@0-1",
                "over-temperature:elbow_flex=80@0-1",
                "brown-out=12@0-1",
                "frozen-encoder:wrist_roll@0-1",
                "watchdog:gripper@0-1",
            )
        ]
    )
    assert faults.befall(body, names, 0.0) == ["gripper"]
    body.command(position=body.position + 0.3)
    for _ in range(100):
        state = body.advance()
        assert faults.befall(body, names, 0.5) == []
    default = body.description.default_position
    assert abs(body.position[0] - default[0]) < 0.02
    assert state.joint_position[4] == pytest.approx(default[4])
    assert body.temperature[2] == 80.0 and body.temperature[1] < 40.0
    assert body.supply_voltage == 12.0
    faults.befall(body, names, 1.0)
    for _ in range(200):
        body.advance()
    assert abs(body.position[0] - default[0]) > 0.2
    assert body.supply_voltage == body.nominal_voltage
    assert AMBIENT < body.temperature[2] < 80.0


def test_random_faults_are_the_same_for_the_same_seed_and_of_every_kind() -> None:
    assert random_faults(1, DEVICES, 2.0) == random_faults(1, DEVICES, 2.0)
    many = random_faults(1, DEVICES, 2.0, 300)
    assert {each.kind for each in many} == set(WIRE_FAULTS) | set(DEVICE_FAULTS)
    assert all(0.0 <= each.begin < each.end <= 2.0 for each in many)


def test_frames_arrive_in_the_order_of_their_times() -> None:
    outbox = Outbox()
    assert outbox.next_time == math.inf
    outbox.add([(0.02, b"late")], 0.0)
    outbox.add([(0.0, b"first"), (0.0, b"second")], 0.0)
    assert outbox.next_time == 0.0
    assert outbox.due(0.01) == [b"first", b"second"]
    assert outbox.due(0.02) == [b"late"]
    assert outbox.due(9.0) == []
