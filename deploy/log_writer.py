"""The process that writes a log: it keeps what the loop broadcasts, as MCAP with JSON messages.

Started by `Recorder` as ``python -m simreal.deploy.log_writer``. It outlives the loop: of a control
process that is killed, everything up to its last cycle is in the log.

Records are copied out of the ring first, a matter of microseconds, and made into JSON as there is time:
a processor that others keep busy makes the log late, not short.
"""

import json
import math
import os
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from errno import ESTALE
from pathlib import Path
from typing import IO, Any

from mcap.writer import MCAP0_MAGIC, CompressionType, Writer
from numpy.typing import NDArray

from simreal.contract import Contract
from simreal.deploy.broadcast import Attached, attach
from simreal.deploy.cycle import Cycle, Event, event_of
from simreal.logs.messages import (
    CONTRACT_METADATA,
    IMU_AXES,
    POSE_NAMES,
    PROFILE,
    TIMING_METADATA,
    TOPICS,
)
from simreal.observation import ObservationPipeline
from simreal.state import RobotState

DRAIN_PERIOD = 0.05
"""s."""
NICENESS = -10
CHUNK_SIZE = 16_384
"""Bytes. The reader of a log that was cut off gets every complete chunk."""
BLOCK = 256
"""Records that are written before the ring is looked at again."""
BACKLOG = 65_536
"""Cycles that wait in this process at most: those of a minute at 1 kHz, some 90 MB of a Go2's."""
CLOSE = b"close"
"""First word of the line that ends a log in order; the percentiles follow it as JSON."""


class Numbers:
    """Numbers under names that do not change, as a JSON object: one formatting for all of them."""

    def __init__(self, names: Sequence[str]) -> None:
        """Lay it out."""
        self._names = tuple(names)
        keys = (json.dumps(name).replace("%", "%%") for name in self._names)
        self._form = "{" + ", ".join(f"{key}: %r" for key in keys) + "}"

    def __call__(self, numbers: Sequence[float]) -> str:
        """As JSON would write them; null for what is no number, for which it has no word."""
        if math.isfinite(sum(numbers)):
            return self._form % tuple(numbers)
        return json.dumps(
            {
                name: number if math.isfinite(number) else None
                for name, number in zip(self._names, numbers, strict=True)
            }
        )


class LogWriter:
    """Writes cycles and events as JSON messages that Foxglove plots."""

    def __init__(
        self, path: Path, contract: Contract, metadata: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Open the file.

        Args:
            path: of a file that is not there yet, or of a device.
            contract: of the policy that runs.
            metadata: what else the log shall say of itself, by name.

        Raises:
            OSError: the file cannot be made, or the disk is full.
        """
        self._joints = Numbers(contract.robot.joint_names)
        self._actuators = Numbers(contract.robot.actuator_names)
        self._observations = Numbers(ObservationPipeline(contract).names)
        self._poses = Numbers([f"{name}.{place}" for name in contract.objects for place in POSE_NAMES])
        self._asked = Numbers([command.name for command in contract.commands])
        self._inertial = {name: Numbers(axes) for name, axes in IMU_AXES.items()}
        # Log times are wall time at the start plus monotonic time since: a clock that is set
        # during the run does not tear the log.
        self._epoch = time.time_ns() - time.monotonic_ns()
        self._channels: dict[str, int] = {}
        # A device may be written; another's log may not, and a pipe would wait for who reads it.
        is_device = path.exists() and not (path.is_file() or path.is_fifo())
        self._path, self._file = path, path.open("wb" if is_device else "xb")
        self._writer = Writer(self._file, chunk_size=CHUNK_SIZE, compression=CompressionType.LZ4)
        self._writer.start(profile=PROFILE, library="simreal")
        self._writer.add_metadata(CONTRACT_METADATA, {"contract": contract.to_json()})
        for name, entries in metadata.items():
            self._writer.add_metadata(name, dict(entries))
        self._file.flush()  # a full disk is found before anything moves

    def event(self, event: Event) -> None:
        """Write an event."""
        content = json.dumps({"kind": event.kind, "text": event.text, "check": event.check or ""})
        self._message("/event", event.at, event.at, content)

    def cycle(self, cycle: Cycle) -> None:
        """Write a cycle; the messages bear the time at which it woke, and timing is the last."""
        state, woke = cycle.state, cycle.woke_at
        arrived = round(float(state.time) * 1e9)
        self._message("/state", woke, arrived, self._state(state))
        if cycle.asked.size:
            self._message("/asked", woke, woke, self._asked(cycle.asked.tolist()))
        if cycle.observation is not None:
            observation = self._observations(cycle.observation.tolist())
            self._message("/observation", woke, arrived, observation)
        if cycle.action is not None:
            self._message("/action", woke, woke, self._actuators(cycle.action.tolist()))
        authority = 0.0
        if cycle.command is not None:
            target, authority = self._actuators(cycle.command.target.tolist()), cycle.command.authority
            self._message("/command", woke, cycle.wrote_at, target)
        supervision = f'{{"phase": "{cycle.phase.value}", "authority": {authority!r}}}'
        self._message("/supervisor", woke, cycle.observed_at, supervision)
        self._message("/timing", woke, woke, _timing(cycle, arrived))

    def _state(self, state: RobotState) -> str:
        joints = self._joints
        content = {
            "time": repr(float(state.time)),
            "joint_position": joints(state.joint_position.tolist()),
            "joint_velocity": joints(state.joint_velocity.tolist()),
        }
        for name, values in state.inertial().items():
            content[name] = self._inertial[name](values.tolist())
        if state.object_pose is not None:
            content["object_pose"] = self._poses(state.object_pose.ravel().tolist())
        if state.joint_effort is not None:
            content["joint_effort"] = joints(state.joint_effort.tolist())
        if (drives := state.drives) is not None:
            for name, readings in (
                ("joint_time", drives.joint_time),
                ("temperature", drives.temperature),
            ):
                if readings is not None:
                    content[name] = joints(readings.tolist())
            if drives.supply_voltage is not None:
                content["supply_voltage"] = _number(drives.supply_voltage)
        return "{" + ", ".join(f'"{name}": {text}' for name, text in content.items()) + "}"

    def _message(self, topic: str, logged: int, published: int, content: str) -> None:
        if topic not in self._channels:
            self._channels[topic] = self._open_channel(topic, json.loads(content))
        self._writer.add_message(
            self._channels[topic],
            log_time=self._epoch + logged,
            publish_time=self._epoch + published,
            data=content.encode(),
        )

    def _open_channel(self, topic: str, example: dict[str, Any]) -> int:
        name = TOPICS[topic]
        schema = json.dumps({"title": name, **_schema_of(example)})
        schema_id = self._writer.register_schema(name, "jsonschema", schema.encode())
        return self._writer.register_channel(topic, "json", schema_id)

    def flush(self) -> None:
        """Hand complete chunks to the operating system."""
        self._file.flush()

    def finish(self, timing: str | None) -> None:
        """Write the summary that makes the log quick to open; percentiles of the timing as JSON.

        Raises:
            OSError: the disk is full, or the file is no longer where it was made.
        """
        if timing:
            self._writer.add_metadata(TIMING_METADATA, {"percentiles": timing})
        self._writer.finish()  # type: ignore[no-untyped-call]
        self._file.flush()
        if not (self._path.is_char_device() or self._stands()):
            raise OSError(ESTALE, "it was moved, removed or overwritten while it was written")
        self._file.close()

    def _stands(self) -> bool:
        """Whether what was written is found at its path: who removes it meanwhile stops no writing."""
        try:
            with self._path.open("rb") as found:
                same = os.path.samestat(os.fstat(found.fileno()), os.fstat(self._file.fileno()))
                return same and found.read(len(MCAP0_MAGIC)) == MCAP0_MAGIC
        except OSError:
            return False


TIMING = Numbers(
    (
        "cycle",
        "late_ms",
        "read_ms",
        "inference_ms",
        "write_ms",
        "compute_ms",
        "observation_age_ms",
        "latency_ms",
        "overruns",
    )
)


def _timing(cycle: Cycle, arrived: int) -> str:
    spans = (
        cycle.woke_at - cycle.deadline,
        cycle.read_at - cycle.woke_at,
        cycle.inferred_at - cycle.observed_at,
        cycle.wrote_at - cycle.write_at,
        cycle.wrote_at - cycle.woke_at,
        cycle.read_at - arrived,
        cycle.wrote_at - arrived,
    )
    return TIMING((cycle.number, *(1e-6 * span for span in spans), cycle.overruns))


def _number(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else "null"


def _schema_of(value: Any) -> dict[str, Any]:
    """JSON Schema of a message, by which a viewer knows what it can plot."""
    if isinstance(value, dict):
        properties = {key: _schema_of(entry) for key, entry in value.items()}
        return {"type": "object", "properties": properties}
    return {"type": "string" if isinstance(value, str) else "number"}


class Keeper:
    """Moves what is broadcast into a log until it is told to end, or the loop is gone.

    Attributes:
        lost: cycles and events that the disk refused.
        failure: why, or None.
    """

    def __init__(self, attached: Attached, writer: LogWriter) -> None:
        """Take both ends."""
        self._attached, self._writer = attached, writer
        self._backlog: deque[tuple[Callable[[Any], None], NDArray[Any]]] = deque()
        self._waiting = 0
        self.lost = 0
        self.failure: str | None = None

    def drain(self) -> None:
        """Write what there is, and what comes meanwhile."""
        self._take()
        while self._backlog:
            write, records = self._backlog.popleft()
            for record in records:
                if not self._try(write, record):
                    self.lost += 1
            self._try(self._writer.flush)
            if write == self._cycle:
                self._waiting -= len(records)
            self._take()

    def _take(self) -> None:
        """Make room in the rings: of all that is here the loop's next record has the shortest time."""
        while self._waiting < BACKLOG and len(records := self._attached.cycles.take(BLOCK)):
            self._backlog.append((self._cycle, records))
            self._waiting += len(records)
        if len(records := self._attached.events.take()):
            self._backlog.append((self._event, records))

    def _cycle(self, record: Any) -> None:
        self._writer.cycle(self._attached.layout.cycle(record))

    def _event(self, record: Any) -> None:
        self._writer.event(event_of(record))

    def _try(self, write: Callable[..., None], *arguments: object) -> bool:
        if self.failure is None:
            try:
                write(*arguments)
            except Exception as error:
                # Whatever the writer meets, the loop goes on; what it met is reported at the end.
                self.failure = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        return self.failure is None

    def run(self, standard_input: IO[bytes]) -> None:
        """Until standard input ends."""
        while not select.select([standard_input], [], [], DRAIN_PERIOD)[0]:
            self.drain()
        word, _, timing = standard_input.readline().partition(b" ")
        self.drain()
        if word.strip() != CLOSE:
            gone = Event(time.monotonic_ns(), "fault", "the control process has ended without a word")
            self._try(self._writer.event, gone)
        self._try(self._writer.finish, timing.decode().strip())


def main() -> None:
    """Write the log that standard input names."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):  # where it is allowed: a gap in the log is worse than others' delay
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    # Unbuffered: what select sees must not stand in a buffer already.
    standard_input = os.fdopen(0, "rb", buffering=0)
    attached = attach(standard_input, keeper=True)
    path = Path(attached.arguments["path"])
    try:
        writer = LogWriter(path, attached.layout.contract, attached.arguments["metadata"])
    except FileExistsError:
        _answer(error=f"{path}: exists already; give the log another name")
        return
    except OSError as error:
        _answer(error=f"{path}: cannot be written: {error.strerror}")
        return
    _answer(error=None)
    keeper = Keeper(attached, writer)
    keeper.run(standard_input)
    _answer(lost=keeper.lost, failure=keeper.failure)
    sys.stdout.close()
    os._exit(0)  # a file that the disk refused would be flushed once more, and complain


def _answer(**content: Any) -> None:
    try:
        print(json.dumps(content), flush=True)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - whoever asked is gone


if __name__ == "__main__":
    main()
