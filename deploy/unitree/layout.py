"""How the fields of a message lie: in C, over which the checksum goes, and in CDR, which is sent.

A message is declared once, as a `Struct`; both layouts follow from it. C pads the ends of structs and
CDR does not, so that the same fields stand in other places.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.deploy.unitree.crc import crc32

HEADER = b"\x00\x01\x00\x00"
"""Of a payload in plain CDR, little-endian."""
CRC = "crc"
"""The last field of every message that has a checksum."""


class FrameError(Exception):
    """A payload that is not what it should be."""


@dataclass(frozen=True)
class Field:
    """One field.

    Attributes:
        name: as its makers call it.
        type: a scalar by its NumPy code without byte order, such as "f4", or a struct.
        count: length of an array; None for a single value.
    """

    name: str
    type: "str | Struct"
    count: int | None = None


@dataclass(frozen=True)
class Struct:
    """A message, or a part of one.

    Attributes:
        name: of its IDL type, such as ``unitree_go.msg.dds_.LowCmd_``.
        fields: in order.
    """

    name: str
    fields: tuple[Field, ...]

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """Its layout in C."""
        return np.dtype([_numpy_field(field) for field in self.fields], align=True)

    @property
    def size(self) -> int:
        """Bytes in C."""
        return self.dtype.itemsize

    @cached_property
    def _places(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Of each byte that is no padding, the place in C and the place in CDR."""
        runs = list(_runs(self, 0, _Cursor()))
        in_c = np.concatenate([np.arange(c, c + size) for c, _, size in runs])
        in_cdr = np.concatenate([np.arange(cdr, cdr + size) for _, cdr, size in runs])
        return in_c, in_cdr

    @cached_property
    def _gather(self) -> NDArray[np.intp]:
        """Of each byte of the CDR, its place in C; padding is the zero behind the end of a frame."""
        in_c, in_cdr = self._places
        gather = np.full(in_cdr[-1] + 1, self.size, np.intp)
        gather[in_cdr] = in_c
        return gather

    @property
    def cdr_size(self) -> int:
        """Bytes in CDR, without the header."""
        return len(self._gather)


class _Cursor:
    """The place in a CDR stream, where every scalar is aligned to its own size."""

    def __init__(self) -> None:
        self.place = 0

    def take(self, size: int, count: int) -> int:
        """Where an array of scalars begins."""
        start = -(-self.place // size) * size
        self.place = start + size * count
        return start


def _numpy_field(field: Field) -> tuple[Any, ...]:
    kind = field.type.dtype if isinstance(field.type, Struct) else np.dtype("<" + field.type)
    return (field.name, kind) if field.count is None else (field.name, kind, (field.count,))


def _runs(struct: Struct, base: int, cursor: _Cursor) -> Iterator[tuple[int, int, int]]:
    """(place in C, place in CDR, bytes) of each scalar or array of scalars."""
    offsets = struct.dtype.fields
    assert offsets is not None
    for field in struct.fields:
        start, count = base + offsets[field.name][1], field.count or 1
        if isinstance(field.type, Struct):
            for number in range(count):
                yield from _runs(field.type, start + number * field.type.size, cursor)
        else:
            size = np.dtype(field.type).itemsize
            yield start, cursor.take(size, count), size * count


class Frame:
    """One message in the making, or as it came.

    Attributes:
        struct: what it is.
        fields: a structured array without dimensions, of the layout in C, through which the message is
            read and written: ``frame.fields["motor_cmd"]["kp"][:] = 20``. A name that is not there is an
            error.
    """

    def __init__(self, struct: Struct) -> None:
        """All zeros."""
        self.struct = struct
        self._bytes = np.zeros(struct.size + 1, np.uint8)
        self.fields: NDArray[np.void] = np.ndarray((), struct.dtype, self._bytes)

    @property
    def checksum(self) -> int:
        """What its last field should say."""
        return crc32(self._bytes[: self.struct.size - 4].tobytes())

    def seal(self) -> None:
        """Write the checksum into the last field."""
        self.fields[CRC] = self.checksum

    @property
    def sealed(self) -> bool:
        """Whether the checksum is right."""
        return int(self.fields[CRC]) == self.checksum

    def encode(self) -> bytes:
        """As it is sent."""
        return HEADER + self._bytes[self.struct._gather].tobytes()

    def load(self, payload: bytes) -> None:
        """Take over what has come; the checksum is not looked at.

        Raises:
            FrameError: it is no such message; the frame is as before.
        """
        if len(payload) != len(HEADER) + self.struct.cdr_size:
            raise FrameError(f"{len(payload)} bytes are no {self.struct.name}")
        # The last two bytes of the header are options, of which a receiver need not know.
        if payload[:2] != HEADER[:2]:
            raise FrameError(f"a payload in encoding {payload[:2].hex()}, not plain little-endian CDR")
        in_c, in_cdr = self.struct._places
        self._bytes[in_c] = np.frombuffer(payload, np.uint8, offset=len(HEADER))[in_cdr]


def decode(struct: Struct, payload: bytes) -> Frame:
    """The message that has come.

    Raises:
        FrameError: it is none.
    """
    frame = Frame(struct)
    frame.load(payload)
    return frame
