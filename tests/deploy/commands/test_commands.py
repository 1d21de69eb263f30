"""Each source of commands over its real interface: a terminal, a socket, input events, a file."""

import contextlib
import json
import os
import pty
import socket
import struct
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simreal.contract import ActionMapping, Command, Contract, ObservationTerm, Provenance
from simreal.deploy.command_source import CommandSource, Wish
from simreal.deploy.commands import open_commands
from simreal.deploy.commands.gamepad import (
    ABS_RX,
    ABS_X,
    ABS_Y,
    BTN_EAST,
    BTN_SELECT,
    BTN_START,
    EV_ABS,
    EV_KEY,
    EV_SYN,
    SYN_DROPPED,
    Axis,
    Gamepad,
)
from simreal.deploy.commands.keyboard import Keyboard, describe, press
from simreal.deploy.commands.network import Network
from simreal.deploy.commands.steering import HOLD_AFTER, SILENCE, Steering
from simreal.errors import UserError
from simreal.robots import load_robot

COMMANDS = (
    Command(name="forward", unit="m/s", low=-0.5, high=1.0),
    Command(name="sideways", unit="m/s", low=-0.4, high=0.4),
    Command(name="height", unit="m", low=0.2, high=0.3),
)
NEUTRAL = [0.0, 0.0, 0.2]


@pytest.fixture
def contract() -> Contract:
    return Contract(
        robot=load_robot("qube").description,
        control_rate=100.0,
        observation=(ObservationTerm(source="command"),),
        action=ActionMapping(scale=(4.0,), offset=(0.0,)),
        commands=COMMANDS,
        provenance=Provenance(task="any", agent="none", seed=0, training_steps=0, versions={}),
    )


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a pseudo-terminal: the person's, and the program's."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def _wishes(source: CommandSource) -> list[Wish]:
    return list(iter(source.wish, None))


def test_keys_step_within_the_ranges_and_wish(terminal: tuple[int, int]) -> None:
    person, program = terminal
    before = termios.tcgetattr(program)
    source = Steering(COMMANDS, Keyboard(program))
    assert source.person
    assert source.asked(0.0).tolist() == NEUTRAL
    os.write(person, b"wwwd\rq")
    assert source.asked(0.1).tolist() == pytest.approx([0.225, -0.04, 0.205])
    assert _wishes(source) == [Wish.RUN]
    os.write(person, b"w" * 50 + b"hx")
    assert source.asked(0.2)[0] == 1.0
    assert _wishes(source) == [Wish.HOLD, Wish.END]
    os.write(person, b"0")
    assert source.asked(0.3).tolist() == NEUTRAL
    source.close()
    source.close()
    assert termios.tcgetattr(program) == before


def test_the_space_bar_stops_until_it_is_cleared(terminal: tuple[int, int]) -> None:
    person, program = terminal
    source = Steering(COMMANDS, Keyboard(program))
    os.write(person, b" ")
    source.asked(0.0)  # a stop counts from the beginning
    assert source.emergency == "the space bar was pressed"
    source.asked(1.0)
    assert source.emergency is not None
    os.write(person, b"c")
    source.asked(2.0)
    assert _wishes(source) == [Wish.CLEAR]
    assert source.emergency is None


@pytest.mark.parametrize(
    ("keys", "wishes", "stays"),
    [
        (b"c ", [], True),
        (b"c\rh ", [], True),
        (b"cx\r ", [Wish.END], True),
        (b" c", [Wish.CLEAR], False),
        (b"c c\r", [Wish.CLEAR, Wish.RUN], False),
        (b" c ", [], True),
    ],
)
def test_of_what_was_wished_before_a_stop_only_the_end_remains(
    terminal: tuple[int, int], keys: bytes, wishes: list[Wish], stays: bool
) -> None:
    person, program = terminal
    source = Steering(COMMANDS, Keyboard(program))
    source.asked(0.0)
    os.write(person, keys)
    source.asked(0.1)
    assert source.emergency is not None
    assert _wishes(source) == wishes
    assert (source.emergency is not None) is stays


def test_a_terminal_that_hangs_up_asks_zero_and_then_holds(terminal: tuple[int, int]) -> None:
    person, program = terminal
    source = Steering(COMMANDS, Keyboard(program))
    source.asked(0.0)
    os.write(person, b"www")
    assert source.asked(0.0)[0] > 0
    os.close(person)
    assert source.asked(1.0).tolist() == NEUTRAL
    assert _wishes(source) == []
    source.asked(1.0 + HOLD_AFTER)
    source.asked(9.0)
    assert _wishes(source) == [Wish.HOLD]


def test_keys_that_were_pressed_before_the_run_are_forgotten(terminal: tuple[int, int]) -> None:
    person, program = terminal
    source = Steering(COMMANDS, Keyboard(program))
    os.write(person, b"www\r")
    assert source.asked(0.0).tolist() == NEUTRAL
    assert _wishes(source) == []
    os.write(person, b"\r")
    source.asked(0.1)
    assert _wishes(source) == [Wish.RUN]


def test_what_is_no_terminal_is_said() -> None:
    reading, writing = os.pipe()
    with pytest.raises(UserError, match="no terminal"):
        Keyboard(reading)
    os.close(reading)
    os.close(writing)


def test_the_person_is_told_the_keys() -> None:
    assert describe(COMMANDS).startswith("w/s forward; a/d sideways; q/e height; Enter runs")


class _NoEar:
    def listen(self, steering: Steering, now: float) -> bool:
        return True

    def close(self) -> None: ...


@settings(max_examples=40)
@given(st.text("wasdqe0 hcx\n", max_size=80))
def test_no_keys_lead_beyond_the_ranges(keys: str) -> None:
    source = Steering(COMMANDS, _NoEar())
    for key in keys:
        press(source, key)
    assert np.all((source.values >= source.low) & (source.values <= source.high))


@pytest.fixture
def network() -> Iterator[tuple[Steering, socket.socket]]:
    ear = Network("127.0.0.1", 0)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(("127.0.0.1", ear.port))
    source = Steering(COMMANDS, ear)
    yield source, sender
    source.close()
    sender.close()


def _send(sender: socket.socket, **content: Any) -> None:
    sender.send(json.dumps(content).encode())


def test_datagrams_ask_wish_and_stop(network: tuple[Steering, socket.socket]) -> None:
    source, sender = network
    assert source.asked(0.0).tolist() == NEUTRAL
    _send(sender, command={"forward": 0.5, "height": 9.0, "unknown": 1.0}, wish="run", sequence=5)
    assert source.asked(1.0).tolist() == [0.5, 0.0, 0.3]
    assert _wishes(source) == [Wish.RUN]
    _send(sender, command={"forward": 0.1}, wish="end", stop="it fell", sequence=4)
    assert source.asked(1.1)[0] == 0.5
    assert _wishes(source) == []
    assert source.emergency == "remote stop: it fell"


def test_a_sender_that_falls_silent_asks_zero_and_then_holds(
    network: tuple[Steering, socket.socket],
) -> None:
    source, sender = network
    assert source.asked(100.0).tolist() == NEUTRAL
    assert _wishes(source) == []
    _send(sender, command={"forward": 0.5})
    assert source.asked(200.0)[0] == 0.5
    assert source.asked(200.0 + SILENCE)[0] == 0.5
    assert source.asked(200.1 + SILENCE).tolist() == NEUTRAL
    source.asked(200.2 + SILENCE + HOLD_AFTER)
    assert _wishes(source) == [Wish.HOLD]
    _send(sender, command={"forward": 0.3})
    assert source.asked(300.0)[0] == 0.3


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["command", "wish", "stop", "sequence"])
commanded = st.dictionaries(st.sampled_from(["forward", "height", "x"]), st.floats() | st.integers())


@settings(max_examples=150)
@given(st.binary(max_size=60) | st.dictionaries(keys, values | commanded).map(json.dumps))
def test_whatever_comes_is_survived_and_asks_nothing_beyond_the_ranges(data: bytes | str) -> None:
    ear = Network("127.0.0.1", 0)
    source = Steering(COMMANDS, ear)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(data if isinstance(data, bytes) else data.encode(), ("127.0.0.1", ear.port))
        asked = source.asked(0.0)
    finally:
        source.close()
    assert np.isfinite(asked).all()
    assert np.all((asked >= source.low) & (asked <= source.high))


def test_the_network_is_loopback_unless_another_address_is_given(contract: Contract) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"udp:127.0.0.1:{port}"):
            open_commands(f"udp:{port}", contract)
    for wrong in ("udp", "udp:", "udp:x", "udp:1:x", "udp:99999999"):
        with pytest.raises(UserError, match="--commands udp"):
            open_commands(wrong, contract)


AXES = {ABS_X: Axis(-32768, 32767, 128), ABS_Y: Axis(-32768, 32767, 128), ABS_RX: Axis(0, 255, 15)}


def _event(kind: int, code: int, value: int) -> bytes:
    """A struct input_event as the kernel writes it on this machine."""
    return struct.pack("@llHHi", 1_700_000_000, 123_456, kind, code, value)


@pytest.fixture
def gamepad() -> Iterator[tuple[Steering, int]]:
    reading, writing = os.pipe()
    source = Steering(COMMANDS, Gamepad(reading, AXES))
    source.asked(0.0)
    yield source, writing
    source.close()
    with contextlib.suppress(OSError):
        os.close(writing)


def test_the_layout_of_events_is_that_of_the_evdev_library() -> None:
    evdev = pytest.importorskip("evdev")
    assert struct.calcsize("@llHHi") == 24  # on 64-bit Linux
    assert (evdev.ecodes.ABS_RX, evdev.ecodes.BTN_START) == (ABS_RX, BTN_START)
    assert (evdev.ecodes.BTN_EAST, evdev.ecodes.BTN_SELECT) == (BTN_EAST, BTN_SELECT)


def test_sticks_ask_in_proportion_up_and_left_positive(gamepad: tuple[Steering, int]) -> None:
    source, writing = gamepad
    os.write(writing, _event(EV_ABS, ABS_Y, -32768) + _event(EV_SYN, 0, 0))
    assert source.asked(0.0).tolist() == [1.0, 0.0, 0.2]
    os.write(writing, _event(EV_ABS, ABS_Y, 16384 + 64) + _event(EV_ABS, ABS_X, 32767))
    assert source.asked(0.1).tolist() == pytest.approx([-0.25, -0.4, 0.2], abs=2e-3)
    os.write(writing, _event(EV_ABS, ABS_Y, 100) + _event(EV_ABS, ABS_RX, 0))
    assert source.asked(0.2).tolist() == pytest.approx([0.0, -0.4, 0.3], abs=2e-3)


def test_buttons_wish_and_stop_when_pressed_and_not_when_let_go(gamepad: tuple[Steering, int]) -> None:
    source, writing = gamepad
    os.write(writing, _event(EV_KEY, BTN_START, 1) + _event(EV_KEY, BTN_START, 0))
    os.write(writing, _event(EV_KEY, BTN_EAST, 0))
    source.asked(0.0)
    assert (_wishes(source), source.emergency) == ([Wish.RUN], None)
    os.write(writing, _event(EV_KEY, BTN_EAST, 1))
    source.asked(0.1)
    assert source.emergency == "button B was pressed"
    os.write(writing, _event(EV_KEY, BTN_SELECT, 1))
    source.asked(0.2)
    assert (_wishes(source), source.emergency) == ([Wish.CLEAR], None)


def test_an_event_in_two_pieces_is_one(gamepad: tuple[Steering, int]) -> None:
    source, writing = gamepad
    event = _event(EV_ABS, ABS_Y, -32768)
    os.write(writing, event[:10])
    assert source.asked(0.0)[0] == 0.0
    os.write(writing, event[10:])
    assert source.asked(0.1)[0] == 1.0


def test_lost_events_and_a_lost_gamepad_ask_zero(gamepad: tuple[Steering, int]) -> None:
    source, writing = gamepad
    os.write(writing, _event(EV_ABS, ABS_Y, -32768) + _event(EV_SYN, SYN_DROPPED, 0))
    assert source.asked(0.0).tolist() == NEUTRAL
    os.write(writing, _event(EV_ABS, ABS_Y, -32768))
    assert source.asked(0.1)[0] == 1.0
    os.close(writing)
    assert source.asked(0.2).tolist() == NEUTRAL
    source.asked(0.3 + HOLD_AFTER)
    assert _wishes(source) == [Wish.HOLD]


@given(
    st.integers(-(2**31), 2**31 - 1), st.integers(-40000, 0), st.integers(1, 40000), st.integers(0, 500)
)
def test_a_stick_s_share_is_never_beyond_one(value: int, low: int, high: int, flat: int) -> None:
    assert -1.0 <= Axis(low, high, flat).share(value) <= 1.0


def test_without_a_gamepad_that_is_said(contract: Contract) -> None:
    pytest.importorskip("evdev")
    with pytest.raises(UserError, match="simreal doctor"):
        open_commands("gamepad:/dev/input/event999", contract)


def test_where_no_gamepad_is_plugged_in_that_is_said(
    contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    evdev = pytest.importorskip("evdev")
    monkeypatch.setattr(evdev, "list_devices", list)
    with pytest.raises(UserError, match=r"none is plugged in.*try: simreal doctor"):
        open_commands("gamepad", contract)


def _profile(folder: Path, text: str) -> str:
    path = folder / "profile.yaml"
    path.write_text(text)
    return str(path)


STEPS = """
points:
  - {time: 1.0, command: {forward: 0.5}}
  - {time: 2.0, command: {sideways: -0.4}}
  - {time: 3.0, command: {forward: 0.0, sideways: 0.0}}
"""


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        (
            "hold",
            {0.0: [0.5, 0.0], 1.5: [0.5, 0.0], 2.0: [0.5, -0.4], 2.9: [0.5, -0.4], 9.0: [0.0, 0.0]},
        ),
        ("linear", {1.5: [0.5, -0.2], 2.5: [0.25, -0.2], 9.0: [0.0, 0.0]}),
    ],
)
def test_a_profile_asks_what_it_says(
    contract: Contract, tmp_path: Path, between: str, expected: dict[float, list[float]]
) -> None:
    source = open_commands(_profile(tmp_path, f"between: {between}\n{STEPS}"), contract)
    assert not source.person
    source.asked(50.0)
    for time, values in expected.items():
        asked = source.asked(50.0 + time).tolist()
        assert asked == pytest.approx([*values, 0.2]), time
    assert (source.wish(), source.emergency) == (None, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("points:\n  - {time: 0, command: {foward: 0.5}}", ["no command 'foward'", "'forward'"]),
        ("points:\n  - {time: 0, command: {forward: 5}}", ["at 0 s", "forward is 5", "-0.5 to 1 m/s"]),
        ("points:\n  - {time: 1, command: {}}\n  - {time: 1, command: {}}", ["times must rise"]),
        ("points:\n  - {tim: 1, command: {}}", ["unknown key 'tim'", "profile.yaml:2"]),
        ("points: []", ["points"]),
    ],
)
def test_what_is_wrong_with_a_profile_is_said(
    contract: Contract, tmp_path: Path, text: str, words: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        open_commands(_profile(tmp_path, text), contract)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_another_source_is_one_message(contract: Contract) -> None:
    with pytest.raises(UserError, match="did you mean 'keyboard'"):
        open_commands("keybord", contract)
