import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader

from simreal.contract import Contract
from simreal.deploy.recorder import QUEUE_LENGTH, Cycle, Event, Recorder
from simreal.errors import UserError
from simreal.logs.messages import read_messages
from simreal.observation import ObservationPipeline
from simreal.state import RobotCommand, RobotState

numbers = st.floats(allow_nan=False, allow_infinity=False)
numbers32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


def _cycle(number: int, seed: int = 0) -> Cycle:
    rng = np.random.default_rng((seed, number))
    woke = 1_000_000_000 + 10_000_000 * number
    return Cycle(
        number=number,
        woke_at=woke,
        deadline=woke - 100_000,
        read_at=woke + 20_000,
        state=RobotState(1e-3 * number, rng.normal(size=2).round(1), np.zeros(2)),
        asked=np.zeros(0),
        observation=np.full(7, rng.integers(9), np.float32),
        action=rng.uniform(-1, 1, 1).round(1),
        command=RobotCommand(rng.uniform(-4, 4, 1).round(1)),
        compute_ns=500_000,
        overruns=0,
    )


@pytest.fixture
def record(contract: Contract, tmp_path: Path) -> Callable[..., Path]:
    """Writes items to a log and closes it."""

    def write(*items: Cycle | Event) -> Path:
        path = tmp_path / "flight.mcap"
        path.unlink(missing_ok=True)
        with Recorder(path, contract, ObservationPipeline(contract).names) as recorder:
            for item in items:
                recorder.add(item)
        assert recorder.dropped == 0
        assert recorder.failure is None
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
        per_cycle = ("/state", "/observation", "/action", "/command", "/timing")
        assert counts == dict.fromkeys(per_cycle, 300) | {"/event": 2}
        [metadata] = reader.iter_metadata()
        assert Contract.from_json(metadata.metadata["contract"]) == contract
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


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    state=st.tuples(numbers, numbers, numbers, numbers),
    at=st.floats(0, 1e6),
    observation=st.lists(numbers32, min_size=7, max_size=7),
    action=numbers,
    target=numbers,
)
def test_every_number_is_read_back_exactly(
    record: Callable[..., Path],
    state: tuple[float, float, float, float],
    at: float,
    observation: list[float],
    action: float,
    target: float,
) -> None:
    cycle = Cycle(
        7,
        10**9,
        10**9,
        10**9,
        RobotState(at, np.array(state[:2]), np.array(state[2:])),
        np.zeros(0),
        np.array(observation, np.float32),
        np.array([action]),
        RobotCommand(np.array([target])),
        1,
        0,
    )
    log = read_messages(record(cycle))
    assert log.complete
    assert log.array("/state", "time").tolist() == [[at]]
    assert log.array("/state", "joint_position").tobytes() == np.array(state[:2]).tobytes()
    assert log.array("/state", "joint_velocity").tobytes() == np.array(state[2:]).tobytes()
    np.testing.assert_array_equal(
        log.array("/observation").astype(np.float32), np.array([observation], np.float32)
    )
    assert log.array("/action").tobytes() == np.array([action]).tobytes()
    assert log.array("/command").tobytes() == np.array([target]).tobytes()


def test_a_value_that_is_no_number_stays_standard_json_and_is_read_as_nan(
    record: Callable[..., Path],
) -> None:
    cycle = _cycle(0)
    cycle.action[0] = math.nan
    path = record(
        Cycle(0, 1, 1, 1, cycle.state, cycle.asked, cycle.observation, cycle.action, None, 1, 0),
        _cycle(1),
    )
    with path.open("rb") as file:
        for _, _, message in make_reader(file).iter_messages():
            _strict(message.data)
    log = read_messages(path)
    np.testing.assert_array_equal(log.array("/action"), [[math.nan], _cycle(1).action])
    assert len(log.messages["/command"]) == 1


@pytest.mark.parametrize("place", ["absent/flight.mcap", "file/flight.mcap", "folder"])
def test_a_log_that_cannot_be_made_is_one_message(
    contract: Contract, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="cannot be written") as caught:
        Recorder(tmp_path / place, contract, ())
    assert str(tmp_path / place) in str(caught.value)


def test_a_full_disk_is_found_at_the_start(contract: Contract) -> None:
    with pytest.raises(UserError, match="/dev/full: cannot be written: No space left"):
        Recorder(Path("/dev/full"), contract, ())


def test_closing_twice_is_closing_once(contract: Contract, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "flight.mcap", contract, ())
    recorder.close()
    recorder.close()
    log = read_messages(tmp_path / "flight.mcap")
    assert log.complete
    assert log.contract == contract


def test_a_full_queue_loses_entries_counts_them_and_never_waits(
    contract: Contract, tmp_path: Path
) -> None:
    path = tmp_path / "flight.mcap"
    cycle, number = _cycle(0), 6 * QUEUE_LENGTH
    with Recorder(path, contract, ObservationPipeline(contract).names) as recorder:
        # Far faster than the writer writes.
        for _ in range(number):
            recorder.add(cycle)
    assert recorder.failure is None
    assert recorder.dropped > 0
    log = read_messages(path)
    assert log.complete
    assert len(log.messages["/state"]) == number - recorder.dropped


RECORDING = """
import importlib.util, resource, sys, time
from pathlib import Path
from simreal.contract import Contract
from simreal.deploy.recorder import Recorder
from simreal.observation import ObservationPipeline

specification = importlib.util.spec_from_file_location("cycles", sys.argv[1])
cycles = importlib.util.module_from_spec(specification)
specification.loader.exec_module(cycles)
contract = Contract.from_json(Path(sys.argv[2]).read_text())
limit = int(sys.argv[4])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
recorder = Recorder(Path(sys.argv[3]), contract, ObservationPipeline(contract).names)
for number in range(600):
    recorder.add(cycles._cycle(number))
if limit:
    recorder.close()
    print(recorder.dropped, recorder.failure, flush=True)
else:
    time.sleep(0.5)
    print("recorded", flush=True)
    time.sleep(60)
"""


def _recording(contract: Contract, folder: Path, limit: int = 0) -> subprocess.Popen[str]:
    (folder / "contract.json").write_text(contract.to_json())
    arguments = [__file__, str(folder / "contract.json"), str(folder / "flight.mcap"), str(limit)]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", RECORDING, *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )


def _are_the_first_cycles(path: Path) -> int:
    """How many cycles a log holds, after a look at each number of them."""
    log = read_messages(path)
    states = log.array("/state", "joint_position")
    expected = [_cycle(number).state.joint_position for number in range(len(states))]
    np.testing.assert_array_equal(states, expected)
    return len(states)


def test_a_log_cut_off_by_sigkill_is_readable_up_to_its_last_chunk(
    contract: Contract, tmp_path: Path
) -> None:
    with _recording(contract, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "recorded\n"
        process.send_signal(signal.SIGKILL)
    log = read_messages(tmp_path / "flight.mcap")
    assert not log.complete
    assert log.contract == contract
    # What a chunk holds, some 24 cycles, is all that may be lost.
    assert _are_the_first_cycles(tmp_path / "flight.mcap") > 570


def test_a_disk_that_fills_up_is_told_and_leaves_what_was_written(
    contract: Contract, tmp_path: Path
) -> None:
    """A limit on the file's size stands for the disk."""
    with _recording(contract, tmp_path, limit=60_000) as process:
        output, _ = process.communicate()
    assert process.returncode == 0
    dropped, reason = output.split(maxsplit=1)
    assert reason == "File too large\n"
    assert not read_messages(tmp_path / "flight.mcap").complete
    assert 100 < _are_the_first_cycles(tmp_path / "flight.mcap") < 600
    assert int(dropped) > 100


def test_a_file_that_is_there_is_never_overwritten(contract: Contract, tmp_path: Path) -> None:
    precious = tmp_path / "policy.onnx"
    precious.write_text("weights")
    with pytest.raises(UserError, match="exists already"):
        Recorder(precious, contract, ())
    assert precious.read_text() == "weights"
