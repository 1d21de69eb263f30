"""What is late, silent or broken on a bus in virtual time is never taken for an answer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simreal.deploy.drivers.servo.bus import ServoBus
from simreal.deploy.drivers.servo.lengths import MEMORY, SPAN, USUAL, Lengths
from simreal.deploy.emulators.faults import Fault

KINDS = ("feetech", "dynamixel")
IDS = [1, 2, 3, 4, 5, 6]


def _bus(rig: Any) -> ServoBus:
    return ServoBus(rig.driver.open_protocol(rig.port))


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_written_read_and_asked_of_all(kind: str, virtual_rig: Callable[..., Any]) -> None:
    rig = virtual_rig(kind, physics=False)
    bus, registers = _bus(rig), rig.driver.registers
    assert all(bus.ping(servo) for servo in IDS) and not bus.ping(7)
    assert bus.read(3, registers["model_number"]) == {"feetech": 777, "dynamixel": 1020}[kind]
    assert bus.write(3, registers["position_p"], 21) and bus.read(3, registers["position_p"]) == 21
    assert bus.read(9, registers["position_p"]) is None
    assert not bus.write(3, registers["present_temperature"], 3)
    answers = bus.read_block(IDS, rig.driver.state)
    assert list(answers) == IDS
    default = rig.arm.body.description.default_position
    expected = [2048 + round(angle / (2 * np.pi / 4096)) for angle in default]
    assert [each.numbers["present_position"] for each in answers.values()] == expected
    assert bus.write_all(IDS, registers["torque_enable"], 1) == []
    assert bus.write_all([1, 9], registers["torque_enable"], 0) == [9]


@pytest.mark.parametrize("kind", KINDS)
def test_a_silent_servo_costs_one_timeout_and_is_asked_last(
    kind: str, virtual_rig: Callable[..., Any]
) -> None:
    rig = virtual_rig(kind, physics=False)
    bus = _bus(rig)
    rig.port.faults.announce(Fault("drop", rig.servos[2].name), 0.0)
    for _ in range(2):
        begun = rig.port.time
        answers = bus.read_block(IDS, rig.driver.state)
        assert set(answers) == {1, 2, 4, 5, 6}
        assert rig.port.time - begun < 0.006 + 6 * 2.5e-4
    heard: list[int] = []
    original = rig.port.line.hear
    rig.port.line.hear = lambda data: heard.extend(data) or original(data)
    bus.read_block(IDS, rig.driver.state)
    assert heard[-3 if kind == "dynamixel" else -2] == 3  # before checksum or CRC


def test_no_two_questions_in_a_row_ask_for_the_same_length() -> None:
    lengths, last = Lengths(), 0
    for step in range(50):
        length, askable = lengths.choose(IDS, 11, 0.01 * step)
        assert askable == IDS and length != last and 11 <= length < 11 + USUAL
        lengths.asked(IDS, length, 0.01 * step)
        lengths.answered(IDS, length)
        last = length


def test_a_length_that_was_asked_in_vain_is_not_asked_again_until_its_answer_is_forgotten() -> None:
    lengths, asked = Lengths(), []
    for step in range(2 * SPAN):
        length, askable = lengths.choose([1, 2], 11, 1e-3 * step)
        lengths.asked(askable, length, 1e-3 * step)
        lengths.answered([2], length)
        if 1 in askable:
            asked.append(length)
    assert sorted(asked) == list(range(11, 11 + SPAN))
    assert lengths.choose([1, 2], 11, 2 * MEMORY)[1] == [1, 2]


class _Telling:
    """A servo's memory that tells when it was read, in its own state: which cycle's answer it is."""

    def __init__(self, rig: Any) -> None:
        self.cycle = 0
        self._address, self._size = {"feetech": (56, 2), "dynamixel": (132, 4)}[rig.driver.protocol]
        self._servos = rig.servos

    def next(self) -> int:
        self.cycle += 1
        for servo in self._servos:
            servo.put(self._address, self._size, self.cycle % 4096)
        return self.cycle % 4096


def _inject_late_answers(rig: Any, number: int) -> tuple[int, int]:
    """Read under late, lost, doubled and spoilt answers; how many struck, and how many were taken."""
    bus, telling, random = _bus(rig), _Telling(rig), np.random.default_rng(1)
    struck = taken = 0
    usual = rig.port.faults.frames

    def frames(frame: bytes, device: str | None, now: float) -> list[tuple[float, bytes]]:
        nonlocal struck
        if device is None or random.random() > 0.4:
            return usual(frame, device, now)
        struck += 1
        late = float(random.uniform(1e-4, 0.2))
        match random.integers(4):
            case 0:
                return []
            case 1:
                return [(late, frame), (late + float(random.uniform(0, 0.02)), frame)]
            case _:
                return [(late, frame)]

    rig.port.faults.frames = frames
    while struck < number:
        cycle = telling.next()
        begun = rig.port.time
        for answer in bus.read_block(IDS, rig.driver.state).values():
            assert answer.numbers["present_position"] == cycle
            assert begun <= answer.time <= rig.port.time
            taken += 1
        rig.port.pass_time(rig.port.time + float(random.uniform(0.0, 0.02)))
    return struck, taken


@pytest.mark.parametrize("number", [2_000, pytest.param(10_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", KINDS)
def test_late_lost_and_doubled_answers_are_never_taken_for_fresh(
    kind: str, number: int, virtual_rig: Callable[..., Any]
) -> None:
    struck, taken = _inject_late_answers(virtual_rig(kind, physics=False), number)
    assert struck >= number and taken > number / 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_test_above_would_see_an_answer_that_is_taken_for_another(
    kind: str, virtual_rig: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With questions of one length, as every other client asks them."""
    monkeypatch.setattr(Lengths, "choose", lambda self, servos, wanted, now: (wanted, list(servos)))
    with pytest.raises(AssertionError):
        _inject_late_answers(virtual_rig(kind, physics=False), 10_000)


@pytest.mark.parametrize("kind", KINDS)
def test_corrupt_answers_are_none(kind: str, virtual_rig: Callable[..., Any]) -> None:
    rig = virtual_rig(kind, physics=False)
    bus, telling = _bus(rig), _Telling(rig)
    rig.port.faults.announce(Fault("corrupt", None, 0.5), 0.0)
    taken = 0
    for _ in range(500):
        cycle = telling.next()
        answers = bus.read_block(IDS, rig.driver.state)
        taken += len(answers)
        assert all(each.numbers["present_position"] == cycle for each in answers.values())
        rig.port.pass_time(rig.port.time + 0.02)
    assert 100 < taken < 2500


def test_statuses_that_no_servo_sent_are_not_answers(virtual_rig: Callable[..., Any]) -> None:
    """Of another id, and of a servo that has spoken before."""
    rig = virtual_rig("feetech", physics=False)
    bus, usual = _bus(rig), rig.port.line.hear

    def hear(data: bytes) -> list[tuple[str, bytes]]:
        answers = usual(data)
        return [answers[1], answers[0], *answers[1:]] if len(answers) == 6 else answers

    rig.port.line.hear = hear
    answers = bus.read_block(IDS, rig.driver.state)
    assert 1 not in answers and 2 in answers  # who comes out of turn makes others miss it, no more
