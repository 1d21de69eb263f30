"""Feetech's frames on the wire: those of STS and SMS servos."""

from simreal.deploy.drivers.driver import DriverError
from simreal.deploy.drivers.servo.port import SerialPort
from simreal.deploy.drivers.servo.protocol import BROADCAST, LAST_ID, Protocol, Status
from simreal.errors import UserError

LONGEST_PACKET = 250
"""Bytes, of Feetech's SDK."""


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

    def _to_all(self, instruction: int, start: int, length: int, data: bytes) -> bytes:
        if len(data) + 8 > LONGEST_PACKET:
            raise DriverError(f"serial bus: a request cannot be sent: {len(data)} bytes are too many")
        body = bytes((BROADCAST, len(data) + 4, instruction, start, length)) + data
        return b"\xff\xff%b%c" % (body, ~sum(body) & 0xFF)

    def _whole(self, frame: bytes, length: int) -> Status | None:
        if frame[:2] != b"\xff\xff" or frame[2] > LAST_ID or frame[3] != length + 2 or frame[4] > 0x7F:
            return None
        if sum(frame[2:]) & 0xFF != 0xFF:  # the checksum is the complement of the sum of the others
            return None
        return Status(frame[2], frame[4], frame[5:-1], self.port.arrival)

    def _receive(self) -> tuple[list[int], int]:
        packet, result = self._handler.rxPacket(self.port)
        return packet, result

    def _status(self, packet: list[int], time: float) -> Status | None:
        if packet[3] < 2:  # no room for an error and a checksum: the handler does not look
            return None
        return Status(packet[2], packet[4], bytes(packet[5 : packet[3] + 3]), time)
