"""The checksum of Unitree's low-level messages: CRC-32/MPEG-2 over little-endian words.

Polynomial 0x04C11DB7, begun with 0xFFFFFFFF, nothing reflected, nothing inverted at the end; of each
word the most significant bit comes first. zlib computes the reflected form of the same polynomial, so
words are swapped and bits reversed on the way in, and the result on the way out.
"""

import zlib

import numpy as np

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def crc32(words: bytes) -> int:
    """The checksum of a whole number of little-endian 32-bit words."""
    swapped = np.frombuffer(words, "<u4").byteswap().tobytes()
    reflected = zlib.crc32(swapped.translate(_REVERSED)) ^ 0xFFFFFFFF
    return int.from_bytes(reflected.to_bytes(4, "little").translate(_REVERSED), "big")
