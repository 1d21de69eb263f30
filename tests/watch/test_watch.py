"""Logs as they grow, what is plotted of them, and the page over its real sockets."""

import json
import math
import os
import socket
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.writer import CompressionType, Writer

from simreal.cli.main import cli
from simreal.cli.watch import _growing
from simreal.contract import ActionMapping, Contract, ObservationTerm, Provenance
from simreal.errors import UserError
from simreal.logs.messages import CONTRACT_METADATA
from simreal.robots import load_robot
from simreal.watch.follower import Follower, whole_records
from simreal.watch.tracks import POINTS, Story, Track, thinned

CYCLES = 200
ROBOT = load_robot("qube").description
CONTRACT = Contract(
    robot=ROBOT,
    control_rate=100.0,
    observation=(ObservationTerm(source="joint_position"),),
    action=ActionMapping(scale=(4.0,), offset=(0.0,)),
    provenance=Provenance(task="qube_swingup", agent="ppo", seed=0, training_steps=0, versions={}),
)


def _log(path: Path) -> Path:
    """A log as deployment writes it: chunks of 16 KiB, lz4, JSON."""
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=16_384, compression=CompressionType.LZ4)
        writer.start(profile="simreal", library="simreal")
        writer.add_metadata(CONTRACT_METADATA, {"contract": CONTRACT.to_json()})
        channels: dict[str, int] = {}

        def message(topic: str, time: int, content: dict[str, object]) -> None:
            if topic not in channels:
                schema = writer.register_schema(topic, "jsonschema", b"{}")
                channels[topic] = writer.register_channel(topic, "json", schema)
            writer.add_message(channels[topic], time, json.dumps(content).encode(), time)

        for number in range(CYCLES):
            time = 10**18 + 10_000_000 * number
            arm = math.sin(0.1 * number)
            position = {"arm": arm, "pendulum": None if number == 5 else 2 * arm}
            message("/state", time, {"time": 0.01 * number, "joint_position": position})
            message("/command", time, {"motor": -arm})
            message("/supervisor", time, {"phase": "running", "authority": 1.0})
            message("/timing", time, {"cycle": number, "late_ms": 0.1, "overruns": number // 50})
        message("/event", time, {"kind": "fault", "text": "it <fell>"})
        writer.finish()  # type: ignore[no-untyped-call]
    return path


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return _log(tmp_path_factory.mktemp("log") / "flight.mcap").read_bytes()


def test_a_finished_log_is_read_whole_and_once(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "flight.mcap"
    path.write_bytes(content)
    follower, story = Follower(path), Story()
    assert story.hear(follower.read())
    assert follower.ended and follower.damaged is None
    assert follower.contract == CONTRACT
    assert not story.hear(follower.read())
    track = story.tracks["joint position (rad, m)"]
    assert track.names == ("arm", "pendulum")
    assert len(track.times) == CYCLES
    assert track.times[1] == pytest.approx(0.01)
    assert track.rows[7] == [math.sin(0.1 * 7), 2 * math.sin(0.1 * 7)]
    assert math.isnan(track.rows[5][1])
    assert (story.phase, story.overruns) == ("running", 3)
    assert [each.text for each in story.happenings] == ["it <fell>"]
    assert story.tracks["timing (ms)"].names == ("late_ms",)


@settings(max_examples=20)
@given(cuts=st.lists(st.floats(0.0, 1.0), max_size=6))
def test_a_log_that_grows_in_any_pieces_tells_the_same(
    content: bytes, tmp_path_factory: pytest.TempPathFactory, cuts: list[float]
) -> None:
    path = tmp_path_factory.mktemp("grow") / "flight.mcap"
    path.write_bytes(content[:8])
    follower, story = Follower(path), Story()
    for end in [*sorted(int(cut * len(content)) for cut in cuts), len(content)]:
        path.write_bytes(content[: max(end, 8)])
        story.hear(follower.read())
        assert follower.damaged is None
    story.hear(follower.read())
    assert follower.ended
    assert len(story.tracks["command (actuators' units)"].times) == CYCLES


@settings(max_examples=25)
@given(place=st.integers(8, 10_000), byte=st.integers(0, 255))
def test_a_damaged_log_is_said_and_no_more(
    content: bytes, tmp_path_factory: pytest.TempPathFactory, place: int, byte: int
) -> None:
    path = tmp_path_factory.mktemp("damage") / "flight.mcap"
    damaged = bytearray(content)
    damaged[place % len(damaged)] = byte
    damaged[:8] = content[:8]
    path.write_bytes(damaged)
    story, follower = Story(), Follower(path)
    try:
        story.hear(follower.read())
    except UserError as error:
        assert "contract" in str(error)


@given(st.lists(st.binary(max_size=20), max_size=5), st.binary(max_size=8))
def test_only_whole_records_count(bodies: list[bytes], rest: bytes) -> None:
    records = b"".join(b"\x05" + len(body).to_bytes(8, "little") + body for body in bodies)
    assert whole_records(records + rest[:8]) == len(records)


@given(st.integers(2, 5000), st.integers(1, 3), st.integers(0, 4999))
def test_thinning_keeps_every_peak(rows: int, columns: int, peak: int) -> None:
    values = np.zeros((rows, columns))
    values[peak % rows, 0] = 9.0
    values[(peak * 7) % rows, -1] -= 5.0
    times, kept = thinned(np.arange(rows) * 0.01, values)
    assert len(times) == len(kept) <= 2 * POINTS
    np.testing.assert_array_equal(kept.max(axis=0), values.max(axis=0))
    np.testing.assert_array_equal(kept.min(axis=0), values.min(axis=0))
    assert np.all(np.diff(times) > 0)


def test_a_window_is_a_part_and_what_is_no_number_stays_none() -> None:
    track = Track()
    for number in range(5000):
        track.add(0.01 * number, {"a": float(number), "b": None})
    times, rows = track.window(10.0, 20.0)
    assert times[0] >= 10.0 and times[-1] <= 20.02
    assert rows[:, 0].min() >= 1000.0
    assert np.isnan(rows[:, 1]).all()


def test_what_is_no_log_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no such log"):
        Follower(tmp_path / "absent.mcap")
    (tmp_path / "text.mcap").write_text("hello")
    with pytest.raises(UserError, match="expected an MCAP log"):
        Follower(tmp_path / "text.mcap")
    (tmp_path / "text.mcap").unlink()
    assert "which log?" in str(CliRunner().invoke(cli, ["watch"]).exception)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = CliRunner().invoke(cli, ["watch", "any.mcap", "--port", str(port)]).exception
    assert f"--port {port}: " in str(refused)
    monkeypatch.setattr("simreal.cli.watch.PATIENCE", 0.1)
    assert "no log grows here" in str(CliRunner().invoke(cli, ["watch", "--live"]).exception)


def test_a_log_from_the_future_does_not_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As those of before are, after the clock was set back; and who has to wait is told what for."""
    monkeypatch.setattr("simreal.cli.watch.PATIENCE", 0.5)
    old, now = tmp_path / "old.mcap", time.time()
    old.write_bytes(b"x")
    os.utime(old, (now + 3600, now + 3600))
    with pytest.raises(UserError, match="no log grows here"):
        _growing(tmp_path)
    assert "waiting for a log" in capsys.readouterr().out
    (tmp_path / "new.mcap").write_bytes(b"x")
    assert _growing(tmp_path).name == "new.mcap"


@pytest.mark.parametrize("live", [True, False])
def test_the_page_is_served_on_loopback_and_follows(content: bytes, tmp_path: Path, live: bool) -> None:
    pytest.importorskip("viser")
    from simreal.watch.page import Page

    path = tmp_path / "flight.mcap"
    path.write_bytes(content[: len(content) // 2])
    page = Page("flight.mcap", Follower(path), live, 0)
    try:
        assert page.server.get_host() == "127.0.0.1"
        assert b"<html" in urllib.request.urlopen(page.url, timeout=20).read().lower()
        turns = iter((lambda: False, lambda: path.write_bytes(content) < 0, lambda: False, lambda: True))
        page.run(lambda: next(turns)())
        plotted = page._plots["joint position (rad, m)"].data
        assert plotted[1].max() == pytest.approx(1.0, abs=1e-2)
        assert len(plotted) == 3
        assert "<b>log</b> complete" in page._status.content
        assert "it &lt;fell&gt;" in page._events.content
        assert page._end.value == pytest.approx(1.99)
    finally:
        page.close()
