"""What the loop knows at the end of a cycle, as a record of fixed size for a `Ring`.

Listeners off the loop's thread, in its process or another, read the records by their field names:

    layout = CycleLayout(contract)
    reader = RingReader(recording.cycles.fileno(), layout.dtype)
    for record in reader.take():
        cycle = layout.cycle(record)
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from simreal.contract import Contract
from simreal.deploy.ring import SEQUENCE, Ring
from simreal.deploy.supervisor import PHASES, Phase
from simreal.observation import Float32Array, ObservationPipeline
from simreal.robots.safety import Check
from simreal.state import IMU_WIDTHS, POSE, DriveReport, FloatArray, RobotCommand, RobotState

HAS_OBSERVATION, HAS_ACTION, HAS_COMMAND = (1 << bit for bit in range(3))
"""Bits of a record's field `has`: which of its other fields mean something."""


def _reported(name: str) -> Callable[[RobotState], Any]:
    return lambda state: None if state.drives is None else getattr(state.drives, name)


REPORTS: tuple[tuple[str, int, Callable[[RobotState], Any]], ...] = (
    ("joint_effort", 1 << 3, lambda state: state.joint_effort),
    ("joint_time", 1 << 4, _reported("joint_time")),
    ("temperature", 1 << 5, _reported("temperature")),
    ("supply_voltage", 1 << 6, _reported("supply_voltage")),
    (
        "object_pose",
        1 << 7,
        lambda state: None if state.object_pose is None else state.object_pose.ravel(),
    ),
)
"""What only some robots report: field, bit of `has`, and where it stands in a state."""
TEXT = 400
"""Bytes of an event's text."""
EVENT = np.dtype(
    [(SEQUENCE, "<i8"), ("at", "<i8"), ("kind", "S16"), ("text", f"S{TEXT}"), ("check", "S32")]
)
TIMES = ("woke_at", "deadline", "read_at", "observed_at", "inferred_at", "write_at", "wrote_at")


@dataclass(slots=True)
class Cycle:
    """One cycle. Times are ns on the monotonic clock.

    A fault leaves out what it prevented: the command, or all that follows from the state. Where the
    driver is told something more often than the policy acts, there are cycles without observation and
    action between.

    Attributes:
        number: since the start.
        phase: of the supervisor, when it had seen the state.
        woke_at: when the loop woke.
        deadline: when it should have.
        read_at: when the driver had given its state.
        observed_at: when the supervisor had looked at it, and the observation was made.
        inferred_at: when the policy had acted.
        write_at: when the command was ready to be sent.
        wrote_at: when it was sent.
        overruns: periods skipped so far.
        authority: of the command.
        asked: (commands,) of the policy.
        state: (joints,) arrays.
        observation: (size,).
        action: (actuators,) in [-1, 1].
        command: (actuators,) as it was sent.
    """

    number: int
    phase: Phase
    woke_at: int
    deadline: int
    read_at: int
    observed_at: int
    inferred_at: int
    write_at: int
    wrote_at: int
    overruns: int
    asked: FloatArray
    state: RobotState
    observation: Float32Array | None = None
    action: FloatArray | None = None
    command: RobotCommand | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens once: start, phase, halt, fault, end.

    Attributes:
        at: ns, on the monotonic clock.
        kind: which of these.
        text: for people.
        check: of the supervisor, whose fault it tells of, or None.
    """

    at: int
    kind: str
    text: str
    check: Check | None = None


@dataclass(slots=True)
class CycleLayout:
    """The record of one contract's cycles.

    Attributes:
        contract: of the policy that runs.
        dtype: of a record.
    """

    contract: Contract
    dtype: np.dtype[Any] = field(init=False)

    def __post_init__(self) -> None:
        """Lay it out."""
        contract = self.contract
        joints, actuators = len(contract.robot.joints), len(contract.robot.actuators)
        fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = [
            (name, "<i8") for name in (SEQUENCE, "number", "phase", "has", "overruns", *TIMES)
        ]
        fields += [(name, "<f8") for name in ("time", "supply_voltage", "authority")]
        fields += [
            (name, "<f8", (joints,))
            for name in ("joint_position", "joint_velocity", "joint_effort", "joint_time", "temperature")
        ]
        if contract.robot.imu:
            fields += [(name, "<f8", (width,)) for name, width in IMU_WIDTHS.items()]
        if contract.objects:
            fields.append(("object_pose", "<f8", (POSE * len(contract.objects),)))
        if contract.commands:
            fields.append(("asked", "<f8", (len(contract.commands),)))
        size = ObservationPipeline(contract).size
        fields += [("action", "<f8", (actuators,)), ("target", "<f8", (actuators,))]
        fields.append(("observation", "<f4", (size,)))
        self.dtype = np.dtype(fields)

    def cycle(self, record: Any) -> Cycle:
        """A record that was read from a ring."""
        has = int(record["has"])
        state = RobotState(float(record["time"]), record["joint_position"], record["joint_velocity"])
        if self.contract.robot.imu:
            for name in IMU_WIDTHS:
                setattr(state, name, record[name])
        reported = {name: record[name] for name, bit, _ in REPORTS if has & bit}
        state.joint_effort = reported.get("joint_effort")
        if "object_pose" in reported:
            state.object_pose = reported["object_pose"].reshape(-1, POSE)
        if reported.keys() & {"joint_time", "temperature", "supply_voltage"}:
            supply = reported.get("supply_voltage")
            state.drives = DriveReport(
                reported.get("joint_time"),
                reported.get("temperature"),
                None if supply is None else float(supply),
            )
        command = RobotCommand(record["target"], float(record["authority"]))
        return Cycle(
            number=int(record["number"]),
            phase=PHASES[int(record["phase"])],
            overruns=int(record["overruns"]),
            asked=record["asked"] if self.contract.commands else np.zeros(0),
            state=state,
            observation=record["observation"] if has & HAS_OBSERVATION else None,
            action=record["action"] if has & HAS_ACTION else None,
            command=command if has & HAS_COMMAND else None,
            **{name: int(record[name]) for name in TIMES},
        )


class CycleWriter:
    """Puts cycles into a ring; each field is written where it stands, and nothing is allocated."""

    def __init__(self, ring: Ring) -> None:
        """Take a ring of a `CycleLayout`'s records."""
        self._ring = ring
        self._field: dict[str, NDArray[Any]] = {
            name: ring.records[name] for name in ring.records.dtype.names or ()
        }
        self._inertial = [name for name in IMU_WIDTHS if name in self._field]
        self._asked = self._field.get("asked")
        self._reports = [each for each in REPORTS if each[0] in self._field]

    def put(self, cycle: Cycle) -> None:
        """Hand a cycle over, or count it as dropped."""
        place = self._ring.claim()
        if place is None:
            return
        fields, state = self._field, cycle.state
        fields["number"][place] = cycle.number
        fields["phase"][place] = PHASES.index(cycle.phase)
        fields["overruns"][place] = cycle.overruns
        for name in TIMES:
            fields[name][place] = getattr(cycle, name)
        fields["time"][place] = state.time
        fields["joint_position"][place] = state.joint_position
        fields["joint_velocity"][place] = state.joint_velocity
        for name in self._inertial:
            fields[name][place] = getattr(state, name)
        if self._asked is not None:
            self._asked[place] = cycle.asked
        has = self._put_reports(place, state)
        if cycle.observation is not None:
            has |= HAS_OBSERVATION
            fields["observation"][place] = cycle.observation
        if cycle.action is not None:
            has |= HAS_ACTION
            fields["action"][place] = cycle.action
        if cycle.command is not None:
            has |= HAS_COMMAND
            fields["target"][place] = cycle.command.target
            fields["authority"][place] = cycle.command.authority
        fields["has"][place] = has
        self._ring.publish()

    def _put_reports(self, place: int, state: RobotState) -> int:
        """What only some robots report; the bits of what it was."""
        has = 0
        for name, bit, read in self._reports:
            reading = read(state)
            if reading is not None:
                has |= bit
                self._field[name][place] = reading
        return has


def put_event(ring: Ring, event: Event) -> None:
    """Hand an event over, its text cut to what a record holds."""
    place = ring.claim()
    if place is not None:
        record = ring.records[place]
        record["at"], record["kind"] = event.at, event.kind.encode()
        record["text"] = event.text.encode()[:TEXT]
        record["check"] = (event.check or "").encode()
        ring.publish()


def event_of(record: Any) -> Event:
    """An event that was read from a ring."""
    # A cut through a letter of several bytes leaves a part of it.
    kind, text = bytes(record["kind"]).decode(), bytes(record["text"]).decode(errors="ignore")
    check = bytes(record["check"]).decode()
    return Event(int(record["at"]), kind, text, cast("Check", check) if check else None)
