import json
import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase as HypothesisPhase
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader

from simreal.contract import Contract
from simreal.deploy.broadcast import CYCLES, Attached, Broadcast
from simreal.deploy.cycle import EVENT, Cycle, CycleLayout, Event
from simreal.deploy.log_writer import Keeper, Numbers
from simreal.deploy.recorder import Recorder
from simreal.deploy.ring import RingReader
from simreal.deploy.supervisor import Phase
from simreal.errors import UserError
from simreal.logs.messages import CONTRACT_METADATA, TIMING_METADATA, read_messages
from simreal.state import DriveReport, RobotCommand, RobotState

numbers = st.floats(allow_nan=False, allow_infinity=False)
numbers32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
PATIENCE = 30.0
"""s until a test gives up."""


def _cycle(number: int, seed: int = 0) -> Cycle:
    rng = np.random.default_rng((seed, number))
    woke = 1_000_000_000 + 10_000_000 * number
    return Cycle(
        number,
        Phase.RUNNING,
        woke,
        woke - 100_000,
        woke + 20_000,
        woke + 40_000,
        woke + 80_000,
        woke + 90_000,
        woke + 100_000,
        overruns=0,
        asked=np.zeros(0),
        state=RobotState(1e-3 * number, rng.normal(size=2).round(1), np.zeros(2)),
        observation=np.full(7, rng.integers(9), np.float32),
        action=rng.uniform(-1, 1, 1).round(1),
        command=RobotCommand(rng.uniform(-4, 4, 1).round(1)),
    )


@contextmanager
def _recording(path: Path, contract: Contract) -> Iterator[tuple[Broadcast, Recorder]]:
    broadcast = Broadcast(contract, kept=True)
    try:
        with Recorder(path, broadcast) as recorder:
            yield broadcast, recorder
    finally:
        broadcast.close()


@pytest.fixture
def record(contract: Contract, tmp_path: Path) -> Callable[..., Path]:
    """Writes items to a log and closes it."""

    def write(*items: Cycle | Event) -> Path:
        path = tmp_path / "flight.mcap"
        path.unlink(missing_ok=True)
        with _recording(path, contract) as (broadcast, recorder):
            for item in items:
                (broadcast.put if isinstance(item, Cycle) else broadcast.tell)(item)  # type: ignore[operator]
        assert (recorder.lost, recorder.failure) == (0, None)
        return path

    return write


def _strict(data: bytes) -> Any:
    """JSON as the standard has it, without Python's NaN."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(data, parse_constant=refuse)


def test_the_mcap_library_reads_topics_schemas_contract_and_summary(
    record: Callable[..., Path], contract: Contract
) -> None:
    path = record(Event(1, "start", "it begins"), *map(_cycle, range(300)), Event(2, "end", "it ends"))
    with path.open("rb") as file:
        reader = make_reader(file)
        assert reader.get_header().profile == "simreal"
        summary = reader.get_summary()
        assert summary is not None and summary.statistics is not None
        assert len(summary.chunk_indexes) > 5
        counts = {
            channel.topic: summary.statistics.channel_message_counts[number]
            for number, channel in summary.channels.items()
        }
        per_cycle = ("/state", "/observation", "/action", "/command", "/supervisor", "/timing")
        assert counts == dict.fromkeys(per_cycle, 300) | {"/event": 2}
        metadata = {each.name: each.metadata for each in reader.iter_metadata()}
        assert Contract.from_json(metadata[CONTRACT_METADATA]["contract"]) == contract
        for schema, channel, message in reader.iter_messages():
            assert schema is not None
            assert (schema.encoding, channel.message_encoding) == ("jsonschema", "json")
            described, content = _strict(schema.data), _strict(message.data)
            assert described["type"] == "object"
            assert set(described["properties"]) == set(content)


def test_log_time_is_wall_time_and_keeps_the_distance_of_cycles(record: Callable[..., Path]) -> None:
    offset = time.time_ns() - time.monotonic_ns()
    times = np.array(read_messages(record(*map(_cycle, range(20)))).times["/state"])
    assert set(np.diff(times)) == {10_000_000}
    assert abs(times[0] - offset - _cycle(0).woke_at) < 10**9


def test_every_number_is_read_back_exactly(record: Callable[..., Path]) -> None:
    """All floats at once: one writer's process serves many examples."""

    @settings(max_examples=40, phases=[HypothesisPhase.generate])
    @given(
        state=st.tuples(numbers, numbers, numbers, numbers),
        at=st.floats(0, 1e6),
        observation=st.lists(numbers32, min_size=7, max_size=7),
        action=numbers,
        target=numbers,
    )
    def collect(
        state: tuple[float, float, float, float],
        at: float,
        observation: list[float],
        action: float,
        target: float,
    ) -> None:
        cycle = _cycle(len(cycles))
        cycle.state = RobotState(at, np.array(state[:2]), np.array(state[2:]))
        cycle.state.joint_effort = np.array(state[1:3])
        cycle.state.drives = DriveReport(np.array(state[:2]), np.array(state[2:]), at)
        cycle.observation = np.array(observation, np.float32)
        cycle.action, cycle.command = np.array([action]), RobotCommand(np.array([target]))
        cycles.append(cycle)

    cycles: list[Cycle] = []
    collect()
    log = read_messages(record(*cycles))
    assert log.complete
    states = [cycle.state for cycle in cycles]
    expected = {
        "time": [[state.time] for state in states],
        "joint_position": [state.joint_position for state in states],
        "joint_velocity": [state.joint_velocity for state in states],
        "joint_effort": [state.joint_effort for state in states],
        "joint_time": [state.drives.joint_time for state in states if state.drives],
        "temperature": [state.drives.temperature for state in states if state.drives],
        "supply_voltage": [[state.drives.supply_voltage] for state in states if state.drives],
    }
    for name, values in expected.items():
        assert log.array("/state", name).tobytes() == np.array(values).tobytes(), name
    np.testing.assert_array_equal(
        log.array("/observation").astype(np.float32), [cycle.observation for cycle in cycles]
    )
    assert log.array("/action").tobytes() == np.array([cycle.action for cycle in cycles]).tobytes()
    targets = [cycle.command.target for cycle in cycles if cycle.command]
    assert log.array("/command").tobytes() == np.array(targets).tobytes()


def test_a_value_that_is_no_number_stays_standard_json_and_is_read_as_nan(
    record: Callable[..., Path],
) -> None:
    cycle = _cycle(0)
    cycle.action, cycle.command = np.array([math.nan]), None
    path = record(cycle, _cycle(1))
    with path.open("rb") as file:
        for _, _, message in make_reader(file).iter_messages():
            _strict(message.data)
    log = read_messages(path)
    np.testing.assert_array_equal(log.array("/action"), [[math.nan], _cycle(1).action])
    assert len(log.messages["/command"]) == 1


def _refused(path: Path, contract: Contract) -> str:
    with pytest.raises(UserError) as caught, _recording(path, contract):
        pass
    return str(caught.value)


@pytest.mark.parametrize("place", ["absent/flight.mcap", "file/flight.mcap", "folder", "/dev/full"])
def test_a_log_that_cannot_be_made_is_one_message(
    contract: Contract, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    message = _refused(tmp_path / place, contract)
    assert message.startswith(f"{tmp_path / place}: cannot be written: ")
    assert place != "/dev/full" or "No space left" in message


def test_a_file_that_is_there_is_never_overwritten(contract: Contract, tmp_path: Path) -> None:
    precious = tmp_path / "policy.onnx"
    precious.write_text("weights")
    assert "exists already" in _refused(precious, contract)
    assert precious.read_text() == "weights"


def test_a_pipe_is_no_place_for_a_log(contract: Contract, tmp_path: Path) -> None:
    """It would wait for a reader, for ever, and without a word."""
    os.mkfifo(tmp_path / "pipe")
    assert "exists already" in _refused(tmp_path / "pipe", contract)


def _remove(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    path.rename(path.with_name("mine.mcap"))
    path.touch()


def _empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("lose", [_remove, _replace, _empty])
def test_a_log_that_is_not_there_in_the_end_is_told(
    contract: Contract, tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    """Writing goes on well in a file that has no name any more, or no beginning."""
    path = tmp_path / "flight.mcap"
    with _recording(path, contract) as (broadcast, recorder):
        broadcast.put(_cycle(0))
        lose(path)
    assert recorder.failure is not None and "moved, removed or overwritten" in recorder.failure


def test_closing_twice_is_closing_once(contract: Contract, tmp_path: Path) -> None:
    with _recording(tmp_path / "flight.mcap", contract) as (_, recorder):
        recorder.close({"late": {"p50_ms": 1.0}})
        recorder.close()
    log = read_messages(tmp_path / "flight.mcap")
    assert log.complete
    assert log.contract == contract


def test_percentiles_stand_in_the_log(contract: Contract, tmp_path: Path) -> None:
    path = tmp_path / "flight.mcap"
    with _recording(path, contract) as (_, recorder):
        recorder.close({"late": {"p50_ms": 1.0}})
    with path.open("rb") as file:
        found = {each.name: each.metadata for each in make_reader(file).iter_metadata()}
    assert json.loads(found[TIMING_METADATA]["percentiles"]) == {"late": {"p50_ms": 1.0}}


def test_a_full_ring_loses_the_last_entries_counts_them_and_never_waits(
    contract: Contract, tmp_path: Path
) -> None:
    path, number = tmp_path / "flight.mcap", 3 * CYCLES
    with _recording(path, contract) as (broadcast, recorder):
        writer = recorder._process
        writer.send_signal(signal.SIGSTOP)
        cycle = _cycle(0)
        longest = 0.0
        for count in range(number):
            cycle.number = count
            before = time.perf_counter()
            broadcast.put(cycle)
            longest = max(longest, time.perf_counter() - before)
        writer.send_signal(signal.SIGCONT)
    assert recorder.failure is None
    assert recorder.lost == number - CYCLES
    assert longest < 0.5
    log = read_messages(path)
    assert log.complete
    assert log.array("/timing", "cycle")[:, 0].tolist() == list(range(CYCLES))


def test_a_kilohertz_is_written_without_a_loss_or_every_loss_is_counted(
    contract: Contract, tmp_path: Path
) -> None:
    """For half of the time the writer has no processor at all."""
    path, number = tmp_path / "flight.mcap", 3000
    with _recording(path, contract) as (broadcast, recorder):
        begun = time.monotonic()
        for count in range(number):
            if count in (500, 2000):
                stop = signal.SIGSTOP if count == 500 else signal.SIGCONT
                recorder._process.send_signal(stop)
            broadcast.put(_cycle(count))
            time.sleep(max(0.0, begun + 1e-3 * (count + 1) - time.monotonic()))
    log = read_messages(path)
    assert log.complete and recorder.failure is None
    assert (len(log.messages["/timing"]), recorder.lost) == (number, 0)
    assert log.array("/timing", "cycle")[:, 0].tolist() == list(range(number))
    assert _are_the_first_cycles(path) == number


def test_a_writer_that_is_slower_than_the_loop_is_late_and_loses_nothing(contract: Contract) -> None:
    """For each cycle that it writes, the loop puts twenty more."""
    broadcast = Broadcast(contract, kept=True)
    layout = CycleLayout(contract)
    readers = (
        RingReader(broadcast.cycles.fileno(), layout.dtype, keeper=True),
        RingReader(broadcast.events.fileno(), EVENT, keeper=True),
    )
    cycle, total = _cycle(0), 5 * CYCLES
    put, written = 0, []

    class Slow:
        def cycle(self, cycle_read: Cycle) -> None:
            written.append(cycle_read.number)
            go_on(20)

        def flush(self) -> None: ...

    def go_on(count: int) -> None:
        nonlocal put
        for cycle.number in range(put, min(put + count, total)):
            broadcast.put(cycle)
        put = min(put + count, total)

    go_on(1)
    Keeper(Attached(layout, *readers), Slow()).drain()  # type: ignore[arg-type]
    assert broadcast.dropped == 0
    assert written == list(range(total))


@given(st.lists(st.floats() | st.integers(-(2**60), 2**60), max_size=6), st.text(max_size=3))
def test_numbers_are_written_as_the_json_library_writes_them(values: list[float], name: str) -> None:
    names = [f"{name}%{place}" for place in range(len(values))]
    expected = {
        each: value if math.isfinite(value) else None for each, value in zip(names, values, strict=True)
    }
    assert Numbers(names)(values) == json.dumps(expected)


CONTROL = """
import importlib.util, os, signal, sys
from pathlib import Path
from simreal.contract import Contract
from simreal.deploy.broadcast import Broadcast
from simreal.deploy.recorder import Recorder

specification = importlib.util.spec_from_file_location("cycles", sys.argv[1])
cycles = importlib.util.module_from_spec(specification)
specification.loader.exec_module(cycles)
broadcast = Broadcast(Contract.from_json(Path(sys.argv[2]).read_text()), kept=True)
recorder = Recorder(Path(sys.argv[3]), broadcast)
for number in range(600):
    broadcast.put(cycles._cycle(number))
os.kill(os.getpid(), signal.SIGKILL)
"""


def _are_the_first_cycles(path: Path) -> int:
    """How many cycles a log holds, after a look at each number of them."""
    log = read_messages(path)
    states = log.array("/state", "joint_position")
    expected = [_cycle(number).state.joint_position for number in range(len(states))]
    np.testing.assert_array_equal(states, expected)
    return len(states)


def test_of_a_control_process_that_is_killed_everything_is_in_the_log(
    contract: Contract, tmp_path: Path
) -> None:
    (tmp_path / "contract.json").write_text(contract.to_json())
    path = tmp_path / "flight.mcap"
    arguments = [__file__, str(tmp_path / "contract.json"), str(path)]
    subprocess.run([sys.executable, "-P", "-c", CONTROL, *arguments], check=False)
    deadline = time.monotonic() + PATIENCE
    while not (log := read_messages(path)).complete and time.monotonic() < deadline:
        time.sleep(0.05)
    assert log.complete
    assert log.events() == ["fault: the control process has ended without a word"]
    assert _are_the_first_cycles(path) == 600


def test_a_writer_that_is_killed_is_told_and_leaves_a_readable_log(
    contract: Contract, tmp_path: Path
) -> None:
    path = tmp_path / "flight.mcap"
    with _recording(path, contract) as (broadcast, recorder):
        for number in range(600):
            broadcast.put(_cycle(number))
        deadline = time.monotonic() + PATIENCE
        while path.stat().st_size < 40_000 and time.monotonic() < deadline:
            time.sleep(0.01)
        recorder._process.kill()
        for number in range(600, 700):
            broadcast.put(_cycle(number))
    assert recorder.failure is not None and "writer was ended from outside" in recorder.failure
    assert not read_messages(path).complete
    assert _are_the_first_cycles(path) > 100


def test_a_disk_that_fills_up_is_told_and_leaves_what_was_written(
    contract: Contract, tmp_path: Path
) -> None:
    """A limit on the size of the writer's file stands for the disk."""
    path = tmp_path / "flight.mcap"
    with _recording(path, contract) as (broadcast, recorder):
        resource.prlimit(recorder._process.pid, resource.RLIMIT_FSIZE, (60_000, 60_000))
        for number in range(600):
            broadcast.put(_cycle(number))
    assert recorder.failure == "File too large"
    assert recorder.lost > 100
    assert not read_messages(path).complete
    assert 100 < _are_the_first_cycles(path) < 600
