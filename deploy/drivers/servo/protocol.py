"""Frames on the wire, through the vendors' packet handlers; both kinds look alike from here."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simreal.deploy.drivers.driver import DriverError
from simreal.deploy.drivers.servo.port import SerialPort
from simreal.errors import UserError

LONGEST_PACKET = 250
"""Bytes, of Feetech's SDK; Dynamixel's take more."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a servo answers.

    Attributes:
        id: of the servo.
        error: its error byte.
        data: what was asked for; empty as the answer to a ping or a write.
        time: s of `time.monotonic`, when it arrived.
    """

    id: int
    error: int
    data: bytes
    time: float


class Protocol(ABC):
    """Requests and answers on a port; a request that cannot be sent is a `DriverError`.

    Attributes:
        port: on which they go.
        overhead: bytes of a status around its data.
    """

    overhead: int

    def __init__(self, port: SerialPort, handler: Any) -> None:
        """Speak on a port through a vendor's packet handler."""
        self.port, self._handler = port, handler

    @abstractmethod
    def ping(self, servo: int) -> None:
        """Ask whether a servo is there."""

    def read(self, servo: int, start: int, length: int) -> None:
        """Ask a servo for registers."""
        self._sent(self._handler.readTx(self._free_port(), servo, start, length))

    def write(self, servo: int, start: int, data: bytes) -> None:
        """Write registers of a servo, which answers with a status."""
        self._sent(self._handler.writeTxOnly(self._free_port(), servo, start, len(data), list(data)))
        self.port.setPacketTimeout(self.overhead)

    @abstractmethod
    def sync_read(self, servos: Sequence[int], start: int, length: int) -> None:
        """Ask several servos for the same registers; they answer one after the other."""

    def sync_write(self, start: int, data: Mapping[int, bytes]) -> None:
        """Write the same registers of several servos, none of which answers."""
        parameters = [byte for servo, each in data.items() for byte in (servo, *each)]
        length = len(next(iter(data.values())))
        self._sent(
            self._handler.syncWriteTxOnly(self._free_port(), start, length, parameters, len(parameters))
        )

    def receive(self) -> Status | None:
        """The next whole status with a right checksum, or None when the time is over."""
        while True:
            packet, result = self._receive()
            if result == 0 and (status := self._status(packet, self.port.arrival)) is not None:
                return status
            if result != 0 and self.port.isPacketTimeout():
                return None

    @abstractmethod
    def _receive(self) -> tuple[list[int], int]:
        """A packet and the handler's result, 0 for success."""

    @abstractmethod
    def _status(self, packet: list[int], time: float) -> Status | None:
        """What a packet says; None if it is no status."""

    def _free_port(self) -> SerialPort:
        self.port.is_using = False
        return self.port

    def _sent(self, result: int) -> None:
        if result != 0:
            raise DriverError(
                f"serial bus: a request cannot be sent: {self._handler.getTxRxResult(result)}"
            )


class FeetechProtocol(Protocol):
    """Of STS and SMS servos."""

    overhead = 6

    def __init__(self, port: SerialPort) -> None:
        """Speak on a port.

        Raises:
            UserError: the module `scservo_sdk` is that of another package.
        """
        import scservo_sdk

        if not hasattr(scservo_sdk, "PacketHandler"):
            raise UserError(
                "two packages on PyPI bring a module scservo_sdk, and the one here is not Feetech's "
                "first: pip uninstall ftservo-python-sdk; pip install --force-reinstall "
                "feetech-servo-sdk"
            )
        little_endian = 0
        super().__init__(port, scservo_sdk.PacketHandler(little_endian))

    def ping(self, servo: int) -> None:
        """Ask whether a servo is there."""
        self._sent(self._handler.txPacket(self._free_port(), [0, 0, servo, 2, 1, 0]))
        self.port.setPacketTimeout(self.overhead)

    def sync_read(self, servos: Sequence[int], start: int, length: int) -> None:
        """Ask several servos for the same registers; they answer one after the other."""
        self._sent(self._handler.syncReadTx(self._free_port(), start, length, list(servos), len(servos)))

    def _receive(self) -> tuple[list[int], int]:
        packet, result = self._handler.rxPacket(self.port)
        return packet, result

    def _status(self, packet: list[int], time: float) -> Status | None:
        if packet[3] < 2:  # no room for an error and a checksum: the handler does not look
            return None
        return Status(packet[2], packet[4], bytes(packet[5 : packet[3] + 3]), time)


def _without_stuffing(packet: list[int]) -> list[int]:
    """The handler's own goes by bytes that it has moved already, and so removes too much."""
    end = packet[5] + (packet[6] << 8) + 5
    body = bytes(packet[7:end]).replace(b"\xff\xff\xfd\xfd", b"\xff\xff\xfd")
    length = len(body) + 2
    return [*packet[:5], length & 0xFF, length >> 8, *body, *packet[end : end + 2]]


class DynamixelProtocol(Protocol):
    """Of X servos, protocol 2.0."""

    overhead = 11

    def __init__(self, port: SerialPort) -> None:
        """Speak on a port."""
        from dynamixel_sdk import PacketHandler

        handler: Any = PacketHandler(2.0)
        add_stuffing = handler.addStuffing

        def stuff(packet: list[int]) -> list[int]:
            """The handler's own makes a longer packet and sends the short one."""
            packet[:] = add_stuffing(packet)
            return packet

        handler.addStuffing, handler.removeStuffing = stuff, _without_stuffing
        # Releases 3 and 4 of the SDK differ in a flag for an instruction that is not used here.
        parameters = inspect.signature(handler.rxPacket).parameters
        self._slow = (False,) if "fast_option" in parameters else ()
        super().__init__(port, handler)

    def ping(self, servo: int) -> None:
        """Ask whether a servo is there."""
        self._sent(self._handler.txPacket(self._free_port(), [0, 0, 0, 0, servo, 3, 0, 1, 0, 0]))
        self.port.setPacketTimeout(self.overhead + 3)

    def sync_read(self, servos: Sequence[int], start: int, length: int) -> None:
        """Ask several servos for the same registers; they answer one after the other."""
        self._sent(
            self._handler.syncReadTx(
                self._free_port(), start, length, list(servos), len(servos), *self._slow
            )
        )

    def reboot(self, servo: int) -> None:
        """Start a servo anew, which is what ends a hardware error; it may not answer."""
        self._sent(self._handler.txPacket(self._free_port(), [0, 0, 0, 0, servo, 3, 0, 8, 0, 0]))
        self.port.setPacketTimeout(self.overhead)

    def _receive(self) -> tuple[list[int], int]:
        packet, result = self._handler.rxPacket(self.port, *self._slow)
        return packet, result

    def _status(self, packet: list[int], time: float) -> Status | None:
        length = packet[5] + (packet[6] << 8)
        if length < 4 or packet[7] != 0x55:
            return None
        return Status(packet[4], packet[8], bytes(packet[9 : length + 5]), time)
