"""Records a run to MCAP without ever holding up the loop: a bounded queue and a writer thread."""

import json
import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mcap.writer import CompressionType, Writer

from simreal.contract import AXES, Contract
from simreal.errors import UserError
from simreal.logs import CONTRACT_METADATA, PROFILE, TOPICS
from simreal.observation import QUATERNION, Float32Array
from simreal.state import FloatArray, RobotCommand, RobotState

QUEUE_LENGTH = 10_000
"""Cycles; at 1 kHz the writer, which wakes each `DRAIN_PERIOD`, may be late by 10 s."""
DRAIN_PERIOD = 0.05
"""s."""
IMU_AXES = {"orientation": QUATERNION, "angular_velocity": AXES, "linear_acceleration": AXES}
POSE_NAMES = (*AXES, *(f"q{axis}" for axis in QUATERNION))
CHUNK_SIZE = 16_384
"""Bytes. The reader of a log that was cut off gets every complete chunk."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """What the loop knows at the end of a cycle. Times are ns on the monotonic clock.

    A fault leaves out what it prevented: the command, or all that follows from the state.
    """

    number: int
    woke_at: int
    deadline: int
    read_at: int
    state: RobotState
    asked: FloatArray
    observation: Float32Array | None
    action: FloatArray | None
    command: RobotCommand | None
    compute_ns: int
    overruns: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens once: start, fault, end."""

    at: int
    kind: str
    text: str


class Recorder:
    """Writes cycles and events as JSON messages that Foxglove plots.

    Attributes:
        dropped: cycles and events lost because the queue was full or the disk refused.
        failure: why the disk refused, or None.
    """

    def __init__(self, path: Path, contract: Contract, observation_names: tuple[str, ...]) -> None:
        """Open the file and start the writer.

        Raises:
            UserError: the file cannot be made.
        """
        self.dropped = 0
        self.failure: str | None = None
        self._joints = contract.robot.joint_names
        self._actuators = contract.robot.actuator_names
        self._observations = observation_names
        self._poses = tuple(f"{name}.{place}" for name in contract.objects for place in POSE_NAMES)
        self._asked = tuple(command.name for command in contract.commands)
        # Log times are wall time at the start plus monotonic time since: a clock that is set
        # during the run does not tear the log.
        self._epoch = time.time_ns() - time.monotonic_ns()
        self._queue: deque[Cycle | Event] = deque()
        self._closing = threading.Event()
        try:
            # A device may be written; another's log may not.
            self._file = path.open("wb" if path.exists() and not path.is_file() else "xb")
            self._writer = Writer(self._file, chunk_size=CHUNK_SIZE, compression=CompressionType.LZ4)
            self._writer.start(profile=PROFILE, library="simreal")
            self._writer.add_metadata(CONTRACT_METADATA, {"contract": contract.to_json()})
            self._file.flush()  # a full disk is found before anything moves
        except FileExistsError:
            raise UserError(f"{path}: exists already; give the log another name") from None
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror}") from None
        self._channels: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def add(self, item: Cycle | Event) -> None:
        """Hand over a cycle or an event; drops and counts it rather than wait."""
        if len(self._queue) >= QUEUE_LENGTH:
            self.dropped += 1
        else:
            self._queue.append(item)

    def _run(self) -> None:
        while not self._closing.wait(DRAIN_PERIOD):
            self._drain()
        self._drain()

    def _drain(self) -> None:
        try:
            while self._queue and self.failure is None:
                self._write(self._queue.popleft())
            if self.failure is None:
                self._file.flush()
        except Exception as error:
            # Whatever the writer meets, the loop goes on; what it met is reported at the end.
            self.failure = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            self.dropped += 1
        while self._queue and self.failure is not None:
            self._queue.popleft()
            self.dropped += 1

    def _write(self, item: Cycle | Event) -> None:
        if isinstance(item, Event):
            self._message("/event", item.at, item.at, {"kind": item.kind, "text": item.text})
            return
        state, cycle = item.state, item
        arrived = round(float(state.time) * 1e9)
        self._message(
            "/state",
            cycle.woke_at,
            arrived,
            {
                "time": float(state.time),
                "joint_position": _named(self._joints, state.joint_position),
                "joint_velocity": _named(self._joints, state.joint_velocity),
                **{name: _named(IMU_AXES[name], values) for name, values in state.inertial().items()},
                **self._seen(state),
            },
        )
        if cycle.asked.size:
            self._message("/asked", cycle.woke_at, cycle.woke_at, _named(self._asked, cycle.asked))
        if cycle.observation is not None:
            observation = _named(self._observations, cycle.observation)
            self._message("/observation", cycle.woke_at, arrived, observation)
        if cycle.action is not None:
            action = _named(self._actuators, cycle.action)
            self._message("/action", cycle.woke_at, cycle.woke_at, action)
        if cycle.command is not None:
            command = _named(self._actuators, cycle.command.target)
            self._message("/command", cycle.woke_at, cycle.woke_at, command)
        self._message(
            "/timing",
            cycle.woke_at,
            cycle.woke_at,
            {
                "cycle": cycle.number,
                "late_ms": 1e-6 * (cycle.woke_at - cycle.deadline),
                "compute_ms": 1e-6 * cycle.compute_ns,
                "observation_age_ms": 1e-6 * (cycle.read_at - arrived),
                "overruns": cycle.overruns,
            },
        )

    def _seen(self, state: RobotState) -> dict[str, dict[str, float | None]]:
        """What a tracker sees, if there is one."""
        if state.object_pose is None:
            return {}
        return {"object_pose": _named(self._poses, state.object_pose.ravel())}

    def _message(self, topic: str, logged: int, published: int, content: dict[str, Any]) -> None:
        if topic not in self._channels:
            self._channels[topic] = self._open_channel(topic, content)
        self._writer.add_message(
            self._channels[topic],
            log_time=self._epoch + logged,
            publish_time=self._epoch + published,
            data=json.dumps(content).encode(),
        )

    def _open_channel(self, topic: str, example: dict[str, Any]) -> int:
        name = TOPICS[topic]
        schema = json.dumps({"title": name, **_schema_of(example)})
        schema_id = self._writer.register_schema(name, "jsonschema", schema.encode())
        return self._writer.register_channel(topic, "json", schema_id)

    def close(self) -> None:
        """Write what is queued, and the summary that makes the log quick to open. Idempotent."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join()
        try:
            if self.failure is None:
                self._writer.finish()  # type: ignore[no-untyped-call]
            self._file.close()
        except OSError as error:
            self.failure = error.strerror or str(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _named(names: tuple[str, ...], values: FloatArray | Float32Array) -> dict[str, float | None]:
    # JSON has no word for what is no number.
    numbers = (float(value) if math.isfinite(value) else None for value in values)
    return dict(zip(names, numbers, strict=True))


def _schema_of(value: Any) -> dict[str, Any]:
    """JSON Schema of a message, by which a viewer knows what it can plot."""
    if isinstance(value, dict):
        properties = {key: _schema_of(entry) for key, entry in value.items()}
        return {"type": "object", "properties": properties}
    return {"type": "string" if isinstance(value, str) else "number"}
