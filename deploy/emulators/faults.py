"""Faults on demand, which all emulators share: of the wire and of devices, at once, later or by chance.

A fault is written ``KIND[:DEVICE][=VALUE][@BEGIN[-END]]``: ``drop=0.01``, ``delay=0.05/20``,
``stall:shoulder_lift@3.0``, ``brown-out=5.5@2-4``. Times are in s since the emulator began, or since it
was told. Without a device it befalls every one of them; without times it begins at once and never ends.
"""

import heapq
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

import numpy as np

from simreal.errors import UserError, nearest

WIRE_FAULTS = {
    "drop": "share of frames that vanish",
    "corrupt": "share of frames in which one byte is changed",
    "delay": "share of frames that come late, and by how many ms: 0.05/20",
    "duplicate": "share of frames that come twice",
}
DEVICE_FAULTS = {
    "stall": "the joint is blocked",
    "over-temperature": "the windings stay at so many °C",
    "brown-out": "the supply falls to so many V",
    "frozen-encoder": "the encoder repeats what it says now, and the drive believes it",
    "watchdog": "the firmware's watchdog finds its time over, once",
}
KINDS = WIRE_FAULTS | DEVICE_FAULTS
VALUELESS = ("stall", "frozen-encoder", "watchdog")
DEFAULT_VALUE = {"over-temperature": 90.0, "brown-out": 4.0}
DEFAULT_DELAY_MS = 20.0
GRAMMAR = "KIND[:DEVICE][=VALUE][@BEGIN[-END]]"
NUMBER = r"\d+(?:\.\d+)?"
PATTERN = re.compile(
    rf"(?P<kind>[a-z-]+)(?::(?P<device>\w+))?(?:=(?P<value>{NUMBER})(?:/(?P<delay_ms>{NUMBER}))?)?"
    rf"(?:@(?P<begin>{NUMBER})(?:-(?P<end>{NUMBER}))?)?"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong for a while.

    Attributes:
        kind: one of `KINDS`.
        device: name of the actuator or joint that it befalls; every one if None.
        value: share of frames of a wire fault, °C, V; without meaning for the others.
        delay_ms: of frames that come late.
        begin: s.
        end: s.
    """

    kind: str
    device: str | None = None
    value: float = 1.0
    delay_ms: float = DEFAULT_DELAY_MS
    begin: float = 0.0
    end: float = math.inf

    def __str__(self) -> str:
        """For people, with times as they are."""
        value = "" if self.kind in VALUELESS else f"={self.value:g}"
        late = f"/{self.delay_ms:g}" if self.kind == "delay" else ""
        whom = "" if self.device is None and self.kind in WIRE_FAULTS else f" of {self.device or 'all'}"
        begin = f"from {self.begin:g} s" if self.begin else "from now"
        end = "on" if self.end == math.inf else f"until {self.end:g} s"
        return f"{self.kind}{value}{late}{whom} ({KINDS[self.kind]}), {begin} {end}"

    def befalls(self, device: str | None) -> bool:
        """Whether it concerns a device; None is what belongs to no single one."""
        return self.device is None or self.device == device

    def after(self, time: float) -> "Fault":
        """The same with times that count from s."""
        return replace(self, begin=self.begin + time, end=self.end + time)


def parse_fault(text: str, devices: Iterable[str] | None = None) -> Fault:
    """Read a fault as it is written on the command line.

    Args:
        text: see above.
        devices: the names that there are; not checked if absent.

    Raises:
        UserError: it cannot be read.
    """
    match = PATTERN.fullmatch(text.strip())
    if match is None:
        raise UserError(f"fault {text!r}: expected {GRAMMAR}, such as drop=0.01 or stall:elbow_flex@3.0")
    kind, device = match["kind"], match["device"]
    if kind not in KINDS:
        raise UserError(f"fault {text!r}: no kind {kind!r}: {nearest(kind, KINDS)}")
    if devices is not None and device is not None and device not in (known := list(devices)):
        raise UserError(f"fault {text!r}: no device {device!r}: {nearest(device, known)}")
    value = float(match["value"] or DEFAULT_VALUE.get(kind, 1.0))
    if kind in WIRE_FAULTS and not 0.0 < value <= 1.0:
        raise UserError(f"fault {text!r}: a share of frames is above 0 and at most 1")
    if match["delay_ms"] is not None and kind != "delay":
        raise UserError(f"fault {text!r}: only delay takes a second number")
    begin, end = float(match["begin"] or 0.0), float(match["end"] or math.inf)
    if end <= begin:
        raise UserError(f"fault {text!r}: it ends before it begins")
    return Fault(kind, device, value, float(match["delay_ms"] or DEFAULT_DELAY_MS), begin, end)


class Afflicted(Protocol):
    """What device faults befall; see `simreal.deploy.emulators.body.Body`."""

    def actuator(self, name: str) -> int: ...  # noqa: D102
    def stall(self, which: int, stalled: bool = True) -> None: ...  # noqa: D102
    def freeze_encoder(self, which: int, frozen: bool = True) -> None: ...  # noqa: D102
    def heat(self, which: int, temperature: float) -> None: ...  # noqa: D102
    def brown_out(self, voltage: float | None = None) -> None: ...  # noqa: D102


class Faults:
    """The faults of one emulator: those that were announced, and which of them hold now.

    The same seed, announcements and calls give the same accidents.

    Attributes:
        announced: all that have not ended.
    """

    def __init__(self, faults: Iterable[Fault] = (), seed: int = 0) -> None:
        """Announce faults.

        Args:
            faults: with times since the emulator began.
            seed: of chance.
        """
        self.announced = list(faults)
        self._random = np.random.default_rng(seed)
        self._holding: list[Fault] = []

    def announce(self, fault: Fault, now: float) -> None:
        """Add a fault whose times count from now, s."""
        self.announced.append(fault.after(now))

    def clear(self) -> None:
        """End all faults."""
        self.announced.clear()

    def holding(self, kind: str, now: float) -> list[Fault]:
        """Faults of a kind that hold now, s."""
        return [each for each in self.announced if each.kind == kind and each.begin <= now < each.end]

    def changes(self, now: float) -> tuple[list[Fault], list[Fault]]:
        """Device faults that have begun and that have ended since the last call.

        Args:
            now: s since the emulator began; never less than before.
        """
        holds = [each for kind in DEVICE_FAULTS for each in self.holding(kind, now)]
        begun = [each for each in holds if each not in self._holding]
        ended = [each for each in self._holding if each not in holds]
        self._holding = holds
        self.announced = [each for each in self.announced if each.end > now]
        return begun, ended

    def befall(self, body: Afflicted, devices: Sequence[str], now: float) -> list[str]:
        """Let a body suffer what begins, and recover from what ends; windings cool by themselves.

        Args:
            body: whose drives they are.
            devices: names of its drives.
            now: s since the emulator began.

        Returns:
            Names of the devices whose firmware watchdog is to find its time over: that is the
            emulator's own business.
        """
        begun, ended = self.changes(now)
        for fault in ended:
            _suffer(body, fault, devices, False)
        for fault in begun:
            _suffer(body, fault, devices, True)
        for fault in self.holding("over-temperature", now):
            for name in filter(fault.befalls, devices):
                body.heat(body.actuator(name), fault.value)
        tripped = [each for each in begun if each.kind == "watchdog"]
        return [name for name in devices if any(each.befalls(name) for each in tripped)]

    def frames(self, frame: bytes, device: str | None, now: float) -> list[tuple[float, bytes]]:
        """What becomes of a frame on the wire.

        Args:
            frame: as it was sent.
            device: that sent it, or for which it is alone.
            now: s since the emulator began.

        Returns:
            How many s later it arrives, and as what; nothing if it is lost.
        """
        if self._strikes("drop", device, now):
            return []
        if frame and self._strikes("corrupt", device, now):
            frame = self._corrupt(frame)
        late = self._strikes("delay", device, now)
        arrival = (1e-3 * late.delay_ms if late else 0.0, frame)
        return [arrival, arrival] if self._strikes("duplicate", device, now) else [arrival]

    def _strikes(self, kind: str, device: str | None, now: float) -> Fault | None:
        for fault in self.holding(kind, now):
            if fault.befalls(device) and self._random.random() < fault.value:
                return fault
        return None

    def _corrupt(self, frame: bytes) -> bytes:
        """One byte changed: every checksum in use here notices that, as it may not notice two."""
        changed = bytearray(frame)
        changed[self._random.integers(len(frame))] ^= int(self._random.integers(1, 256))
        return bytes(changed)


def _suffer(body: Afflicted, fault: Fault, devices: Sequence[str], begins: bool) -> None:
    for which in map(body.actuator, filter(fault.befalls, devices)):
        match fault.kind:
            case "stall":
                body.stall(which, begins)
            case "frozen-encoder":
                body.freeze_encoder(which, begins)
    if fault.kind == "brown-out":
        body.brown_out(fault.value if begins else None)


class Outbox:
    """Frames on their way, in the order in which they arrive."""

    def __init__(self) -> None:
        """Nothing is on its way."""
        self._waiting: list[tuple[float, int, bytes]] = []
        self._number = count()

    def add(self, arrivals: Iterable[tuple[float, bytes]], now: float) -> None:
        """Post what `Faults.frames` has left of a frame, at s."""
        for delay, frame in arrivals:
            heapq.heappush(self._waiting, (now + delay, next(self._number), frame))

    def due(self, now: float) -> list[bytes]:
        """Take out the frames that arrive by s."""
        frames = []
        while self._waiting and self._waiting[0][0] <= now:
            frames.append(heapq.heappop(self._waiting)[2])
        return frames

    @property
    def next_time(self) -> float:
        """s, when the next one arrives; infinite if none is on its way."""
        return self._waiting[0][0] if self._waiting else math.inf
