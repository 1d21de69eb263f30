"""The messages as types that Cyclone DDS knows.

Each low-level message has two of them. One has every field as a Python object, converted by Cyclone's
own, slow serializer: for tools, and to check the other. The other, `Packed`, carries the bytes as they
are on the wire, and that is what drivers and emulators send.
"""

from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Protocol, cast

import numpy as np
from cyclonedds.idl import IdlStruct, make_idl_struct
from cyclonedds.idl import types as idl
from cyclonedds.idl.annotations import autoid, final

from simreal.deploy.unitree.layout import Frame, Struct

_SCALARS = {
    "u1": idl.uint8,
    "u2": idl.uint16,
    "u4": idl.uint32,
    "i2": idl.int16,
    "i4": idl.int32,
    "f4": idl.float32,
}


class Packed(Protocol):
    """A message as the payload that is sent or was received, header and all."""

    def __init__(self, payload: bytes) -> None: ...

    payload: bytes
    sample_info: Any


def _strict(kind: Any) -> Any:
    """Refuse attributes that are no fields: a misspelt one would vanish, and the old value be sent."""
    names = {*(field.name for field in fields(kind)), "sample_info"}

    def set_attribute(message: Any, name: str, value: Any) -> None:
        if name not in names:
            raise AttributeError(f"{kind.__name__} has no field {name!r}")
        object.__setattr__(message, name, value)

    kind.__setattr__ = set_attribute
    return kind


def _make(struct: Struct, dataclassify: bool) -> Any:
    types: dict[str, Any] = {}
    for field in struct.fields:
        kind = message_type(field.type) if isinstance(field.type, Struct) else _SCALARS[field.type]
        types[field.name] = kind if field.count is None else idl.array[kind, field.count]  # type: ignore[misc]
    name = struct.name.rpartition(".")[2]
    made = make_idl_struct(name, struct.name, types, dataclassify=dataclassify)
    return final(autoid("sequential")(made))


@cache
def message_type(struct: Struct) -> type[IdlStruct]:
    """The type whose objects have the struct's fields as attributes, and refuse all others."""
    return cast("type[IdlStruct]", _strict(_make(struct, dataclassify=True)))


@cache
def packed_type(struct: Struct) -> type[Packed]:
    """The type whose objects are the bytes; on the wire it cannot be told from the other."""
    made = _make(struct, dataclassify=False)

    def begin(self: Any, payload: bytes) -> None:
        self.payload = payload

    def serialize(self: Any, *_: Any, **__: Any) -> bytes:
        payload: bytes = self.payload
        return payload

    made.__init__ = begin
    made.serialize = serialize
    made.deserialize = classmethod(lambda cls, data, *_, **__: cls(bytes(data)))
    # What comes when a sender leaves: a sample that has no data.
    made.deserialize_key = classmethod(lambda cls, data, *_, **__: cls(b""))
    return cast("type[Packed]", made)


def as_message(frame: Frame) -> Any:
    """A frame as an object of its `message_type`."""
    return _object(frame.struct, frame.fields)


def _object(struct: Struct, record: Any) -> Any:
    values: dict[str, Any] = {}
    for field in struct.fields:
        value = record[field.name]
        if isinstance(field.type, Struct):
            parts = [_object(field.type, part) for part in np.atleast_1d(value)]
            values[field.name] = parts[0] if field.count is None else parts
        elif field.type == "u1" and field.count is not None:
            values[field.name] = value.tobytes()  # as Cyclone gives it
        else:
            values[field.name] = value.tolist()
    return message_type(struct)(**values)


@_strict
@dataclass
@final
@autoid("sequential")
class Identity(IdlStruct, typename="unitree_api.msg.dds_.RequestIdentity_"):
    """Which call, and of what."""

    id: idl.int64
    api_id: idl.int64


@_strict
@dataclass
@final
@autoid("sequential")
class Lease(IdlStruct, typename="unitree_api.msg.dds_.RequestLease_"):
    """Of a service that serves one at a time; 0 where none does."""

    id: idl.int64


@_strict
@dataclass
@final
@autoid("sequential")
class Policy(IdlStruct, typename="unitree_api.msg.dds_.RequestPolicy_"):
    """How a call is treated."""

    priority: idl.int32
    noreply: bool


@_strict
@dataclass
@final
@autoid("sequential")
class RequestHeader(IdlStruct, typename="unitree_api.msg.dds_.RequestHeader_"):
    """Of a call."""

    identity: Identity
    lease: Lease
    policy: Policy


@_strict
@dataclass
@final
@autoid("sequential")
class Request(IdlStruct, typename="unitree_api.msg.dds_.Request_"):
    """A call of a service; the parameter is JSON."""

    header: RequestHeader
    parameter: str
    binary: idl.sequence[idl.uint8]  # type: ignore[type-arg]


@_strict
@dataclass
@final
@autoid("sequential")
class Status(IdlStruct, typename="unitree_api.msg.dds_.ResponseStatus_"):
    """How a call went; 0 if well."""

    code: idl.int32


@_strict
@dataclass
@final
@autoid("sequential")
class ResponseHeader(IdlStruct, typename="unitree_api.msg.dds_.ResponseHeader_"):
    """Of an answer."""

    identity: Identity
    status: Status


@_strict
@dataclass
@final
@autoid("sequential")
class Response(IdlStruct, typename="unitree_api.msg.dds_.Response_"):
    """The answer of a service; the data is JSON."""

    header: ResponseHeader
    data: str
    binary: idl.sequence[idl.uint8]  # type: ignore[type-arg]
