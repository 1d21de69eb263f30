"""A WebSocket's clients, the library's own, and what reaches the loop of what they say."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.contract import Command
from simreal.deploy.command_source import Wish
from simreal.deploy.commands.steering import HOLD_AFTER, SILENCE, Steering
from simreal.deploy.commands.websocket import WebSocket, open_websocket
from simreal.errors import UserError

pytest.importorskip("websockets")
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from simreal.deploy.commands.websocket_server import KEYS, mistake

COMMANDS = (
    Command(name="forward", unit="m/s", low=-0.5, high=1.0),
    Command(name="height", unit="m", low=0.2, high=0.3),
)
NAMES = ["forward", "height"]
NEUTRAL = [0.0, 0.2]
PATIENCE = 20.0


@pytest.fixture
def source() -> Iterator[Steering]:
    source = open_websocket(COMMANDS, "0")
    source.asked(0.0)
    yield source
    source.close()
    source.close()


def _connected(source: Steering) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{source._ear.port}")  # type: ignore[attr-defined]


def _say(client: ClientConnection, **content: Any) -> None:
    client.send(json.dumps(content))


def _until(source: Steering, holds: Callable[[], bool], now: float = 1.0) -> list[float]:
    """Listen until something holds; what is asked then."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        asked = source.asked(now).tolist()
        if holds():
            return asked
        time.sleep(0.01)
    raise AssertionError("that did not come to be")


def test_a_client_asks_wishes_and_stops(source: Steering) -> None:
    with _connected(source) as client:
        _say(client, command={"forward": 0.5, "height": 9.0}, wish="run")
        assert _until(source, lambda: bool(source.values[0])) == [0.5, 0.3]
        assert source.wish() is Wish.RUN
        _say(client, stop="it fell")
        _until(source, lambda: source.emergency is not None)
        assert source.emergency == "remote stop: it fell"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("{", "no JSON"),
        ("[1]", "JSON object"),
        ('{"comand": {}}', "did you mean 'command'"),
        ('{"command": {"foward": 1}, "wish": "run"}', "did you mean 'forward'"),
        ('{"command": {"forward": NaN}}', "finite"),
        ('{"command": {"forward": 1e999}}', "finite"),
        ('{"command": {"forward": true}}', "finite"),
        ('{"command": [1], "wish": "run"}', "object of numbers"),
        ('{"wish": "fly"}', "run, hold, clear, end"),
        (b"\xff\x00", "no JSON"),
    ],
)
def test_what_is_wrong_is_answered_and_changes_nothing(
    source: Steering, message: str | bytes, words: str
) -> None:
    with _connected(source) as client:
        client.send(message)
        assert words in json.loads(client.recv(PATIENCE))["error"]
        assert source.asked(1.0).tolist() == NEUTRAL
        assert source.wish() is None


def test_the_first_of_two_clients_steers_and_both_can_stop(source: Steering) -> None:
    with _connected(source) as first:
        _say(first, command={"forward": 0.5})
        _until(source, lambda: source.values[0] == 0.5)
        with _connected(source) as second:
            _say(second, command={"forward": -0.5})
            assert "another client steers" in json.loads(second.recv(PATIENCE))["error"]
            _say(second, command={"forward": -0.5}, stop="watch out")
            asked = _until(source, lambda: source.emergency is not None)
            assert (source.emergency, asked[0]) == ("remote stop: watch out", 0.5)
            first.close()
            deadline = time.monotonic() + PATIENCE
            while source.values[0] != -0.5 and time.monotonic() < deadline:
                _say(second, command={"forward": -0.5})
                time.sleep(0.02)
                source.asked(1.0)
            assert source.values[0] == -0.5


DYING = """
import sys, time
from websockets.sync.client import connect
client = connect(f"ws://127.0.0.1:{sys.argv[1]}")
client.send('{"command": {"forward": 0.5}}')
print("said", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGSTOP])
def test_of_a_client_that_dies_or_hangs_the_command_ages_out(
    source: Steering, way: signal.Signals
) -> None:
    port = str(source._ear.port)  # type: ignore[attr-defined]
    client = subprocess.Popen([sys.executable, "-c", DYING, port], stdout=subprocess.PIPE)
    try:
        assert client.stdout is not None and client.stdout.readline() == b"said\n"
        _until(source, lambda: source.values[0] == 0.5, now=10.0)
        client.send_signal(way)
        assert source.asked(10.0 + SILENCE)[0] == 0.5
        assert source.asked(10.1 + SILENCE).tolist() == NEUTRAL
        source.asked(10.2 + SILENCE + HOLD_AFTER)
        assert source.wish() is Wish.HOLD
    finally:
        client.kill()
        client.communicate()


def test_of_a_server_that_dies_the_command_ages_out(source: Steering) -> None:
    with _connected(source) as client:
        _say(client, command={"forward": 0.5})
        _until(source, lambda: source.values[0] == 0.5)
        os.kill(source._ear._process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        assert source.asked(1.1 + SILENCE).tolist() == NEUTRAL


def test_pages_of_other_computers_are_refused(source: Steering) -> None:
    address = f"ws://127.0.0.1:{source._ear.port}"  # type: ignore[attr-defined]
    for origin in ("https://example.org", "http://localhost.example.org", "null"):
        with pytest.raises(InvalidStatus):
            connect(address, origin=origin)  # type: ignore[arg-type]
    connect(address, origin="http://localhost:8000").close()  # type: ignore[arg-type]


def test_a_message_that_is_too_long_ends_its_client_alone(source: Steering) -> None:
    with _connected(source) as long, suppress(Exception):
        long.send("x" * 100_000)
        long.recv(PATIENCE)
    with _connected(source) as client:
        _say(client, command={"forward": 0.25})
        _until(source, lambda: source.values[0] == 0.25)


def test_an_address_that_is_taken_or_wrong_is_one_message(source: Steering) -> None:
    port = source._ear.port  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=f"websocket:127.0.0.1:{port}"):
        WebSocket("127.0.0.1", port, NAMES)
    for wrong in ("", "x", "1:x", "99999"):
        with pytest.raises(UserError, match="expected websocket:PORT"):
            open_websocket(COMMANDS, wrong)


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(
    st.sampled_from([*KEYS, "x"]), values | st.dictionaries(st.sampled_from([*NAMES, "x"]), values)
)


@given(values | objects)
def test_what_passes_asks_finite_numbers_of_known_commands(content: Any) -> None:
    if mistake(content, NAMES) is None:
        assert set(content) <= set(KEYS)
        asked = content.get("command", {})
        assert set(asked) <= set(NAMES)
        assert all(np.isfinite(float(value)) for value in asked.values())
