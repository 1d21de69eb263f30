"""Where the fields of MuJoCo's C structures lie in memory, for compiled code that reads them."""

import ctypes
from functools import cache
from typing import Any

from mujoco.introspect.ast_nodes import AnonymousStructDecl, ArrayType, PointerType
from mujoco.introspect.structs import STRUCTS

_SCALARS: dict[str, Any] = {
    "int": ctypes.c_int,
    "float": ctypes.c_float,
    "char": ctypes.c_char,
    "size_t": ctypes.c_size_t,
    "uint64_t": ctypes.c_uint64,
    "uintptr_t": ctypes.c_size_t,
    "mjtBool": ctypes.c_uint8,
    "mjtByte": ctypes.c_uint8,
    "mjtNum": ctypes.c_double,
    "mjtSize": ctypes.c_int64,
}


@cache
def field_offsets(struct: str) -> dict[str, int]:
    """Field to its place in a structure such as ``mjModel``, in bytes.

    From the declarations that MuJoCo ships with its Python package, laid out as the C compiler does.
    """
    layout = _structure(struct, STRUCTS[struct].fields)
    return {name: getattr(layout, name).offset for name, _ in layout._fields_}


def _structure(name: str, fields: Any) -> Any:
    """A ctypes structure of declared fields."""
    declared = [(field.name, _c_type(getattr(field, "type", field))) for field in fields]
    return type(name, (ctypes.Structure,), {"_fields_": declared})


def _c_type(declared: Any) -> Any:
    match declared:
        case PointerType():
            return ctypes.c_void_p
        case ArrayType():
            element = _c_type(declared.inner_type)
            for extent in reversed(declared.extents):
                element = element * extent
            return element
        case AnonymousStructDecl():
            return _structure("anonymous", declared.fields)
    if declared.name in STRUCTS:
        return _structure(declared.name, STRUCTS[declared.name].fields)
    return _SCALARS[declared.name]
