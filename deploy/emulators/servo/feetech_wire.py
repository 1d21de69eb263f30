"""The wire of Feetech's STS servos as a servo sees it; written apart from the driver, to check it.

Instruction: FF FF, id, number of parameters + 2, instruction, parameters, checksum; status: the same
with an error byte in the place of the instruction. The checksum is the complement of the sum of all but
the header.
"""

from simreal.deploy.emulators.servo.bus import Decoder, Instruction


def checksum(body: bytes) -> int:
    """Of what stands between header and checksum."""
    return 0xFF - sum(body) % 256


def status(servo: int, error: int, data: bytes = b"") -> bytes:
    """A servo's answer."""
    body = bytes([servo, len(data) + 2, error]) + data
    return b"\xff\xff" + body + bytes([checksum(body)])


class StsDecoder(Decoder):
    """Finds instructions in a stream of bytes."""

    def _next(self) -> Instruction | None:
        data = self._bytes
        while len(data) >= 6:
            # A third FF would be the id 255, which there is not: then the header begins one later.
            if data[0] != 0xFF or data[1] != 0xFF or data[2] == 0xFF or data[3] < 2:
                del data[0]
                continue
            end = data[3] + 4
            if len(data) < end:
                return None
            if checksum(bytes(data[2 : end - 1])) != data[end - 1]:
                del data[0]
                continue
            instruction = Instruction(data[2], data[4], bytes(data[5 : end - 1]))
            del data[:end]
            return instruction
        return None
