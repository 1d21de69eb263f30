"""Arrays that hold one value for each simulation, and pass through code that was written for one.

The reward and observation functions of dm_control's suite are NumPy code about one simulation. Given
`Lifted` arrays, most of them compute the same for all simulations at once.
"""

import builtins
import functools
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plain = NDArray[Any]
Axis = int | tuple[int, ...] | None


class Lifted(np.ndarray[Any, Any]):
    """A value of shape (...) for each of `count` simulations, in memory as (..., count).

    The simulations' axis is the last one, and no function that is given the array sees it: indices,
    axes, shapes to reshape to and reductions mean the axes before it. A plain array beside a lifted one
    stands for a value that is the same in every simulation.

    What would need one answer for all simulations (the truth of a condition, a Python number) is a
    TypeError, and so is every NumPy function that is not known here: code that gets through means what
    it says.
    """

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__":
            raise TypeError(f"{ufunc.__name__}.{method} of a lifted array")
        if "out" in options:
            options["out"] = tuple(np.asarray(each) for each in options["out"])
        return lift(ufunc(*map(_aligned, inputs), **options))

    def __array_function__(
        self, function: Callable[..., Any], kinds: Any, arguments: Any, options: Any
    ) -> Any:
        known = FUNCTIONS.get(function)
        if known is None:
            raise TypeError(f"numpy.{function.__name__} of a lifted array")
        return known(*arguments, **options)

    def __getitem__(self, key: Any) -> Any:
        keys = key if isinstance(key, tuple) else (key,)
        used = sum(_axes_of_key(each) for each in keys)
        if used > self.ndim - 1 or any(each is Ellipsis for each in keys):
            raise IndexError("an index beyond the axes of a lifted array's values")
        return lift(np.asarray(self)[key])

    def __iter__(self) -> Any:
        if self.ndim == 1:
            raise TypeError("iteration over a lifted number")
        return iter([self[place] for place in range(self.shape[0])])

    def __repr__(self) -> str:
        return f"lifted {np.asarray(self)!r}"

    def __bool__(self) -> bool:
        raise TypeError("a condition on which simulations may differ")

    def __float__(self) -> float:
        raise TypeError("one number of a lifted array")

    __int__ = __index__ = __float__  # type: ignore[assignment]

    @property
    def T(self) -> "Lifted":  # noqa: N802  (NumPy's name)
        """The values transposed."""
        order = (*range(self.ndim - 1)[::-1], self.ndim - 1)
        return lift(np.asarray(self).transpose(order))

    def ravel(self, order: Any = "C") -> "Lifted":
        """The values in one row."""
        return self.reshape(-1)

    flatten = ravel

    def reshape(self, *shape: Any, **options: Any) -> "Lifted":
        """The values in another shape."""
        wanted = shape[0] if isinstance(shape[0], Sequence) else shape
        return lift(np.asarray(self).reshape(*wanted, self.shape[-1]))

    def dot(self, other: Any, out: None = None) -> "Lifted":  # type: ignore[override]
        """The matrix product of the values."""
        return _dot(self, other)

    def _reduced(self, name: str, axis: Axis) -> "Lifted":
        inner = self.ndim - 1
        axes = tuple(range(inner)) if axis is None else axis
        places = [axes] if isinstance(axes, int) else axes
        along = tuple(place if place >= 0 else inner + place for place in places)
        return lift(getattr(np.asarray(self), name)(axis=along))


def _reduction(name: str) -> Callable[..., Lifted]:
    def reduce(self: Lifted, axis: Axis = None) -> Lifted:
        return self._reduced(name, axis)

    reduce.__doc__ = f"The values' {name}."
    return reduce


REDUCTIONS = ("sum", "mean", "prod", "min", "max", "all", "any")
for _name in REDUCTIONS:
    setattr(Lifted, _name, _reduction(_name))


def lift(array: Any) -> Lifted:
    """An array of shape (..., count) as a lifted one."""
    return np.asarray(array).view(Lifted)


def is_lifted(value: object) -> bool:
    """Whether a value differs from simulation to simulation."""
    return isinstance(value, Lifted)


def _axes_of_key(key: Any) -> int:
    """How many axes one item of an index takes: a mask as many as it has, None none."""
    if key is None:
        return 0
    is_mask = isinstance(key, np.ndarray) and key.dtype == np.bool_
    return int(key.ndim) if is_mask else 1


def _aligned(value: Any) -> Any:
    """A plain array with a last axis that stands for all simulations; a lifted one as it is."""
    if isinstance(value, Lifted):
        return np.asarray(value)
    array = np.asarray(value)
    return array[..., None] if array.ndim else value


def _broadcast(values: Sequence[Any]) -> list[Plain]:
    """(..., count) arrays of several values, of which at least one is lifted."""
    count = next(each.shape[-1] for each in values if isinstance(each, Lifted))
    aligned = [np.atleast_1d(_aligned(each)) for each in values]
    return [np.broadcast_to(each, (*each.shape[:-1], count)) for each in aligned]


def _concatenate(values: Sequence[Any], axis: int = 0) -> Lifted:
    parts = _broadcast(list(values))
    return lift(np.concatenate(parts, axis=axis if axis >= 0 else axis - 1))


def _hstack(values: Sequence[Any]) -> Lifted:
    parts = [each if each.ndim > 1 else each[None] for each in _broadcast(list(values))]
    return lift(np.concatenate(parts, axis=0 if parts[0].ndim == 2 else 1))


def _vstack(values: Sequence[Any]) -> Lifted:
    parts = [each if each.ndim > 2 else np.atleast_2d(each)[None] for each in _broadcast(list(values))]
    return lift(np.concatenate(parts, axis=0))


def _norm(value: Lifted) -> Lifted:
    squares = np.asarray(value) ** 2
    return lift(np.sqrt(squares.sum(axis=tuple(range(value.ndim - 1)))))


def _diff(value: Lifted, axis: int = -1) -> Lifted:
    return lift(np.diff(np.asarray(value), axis=axis if axis >= 0 else axis - 1))


def _dot(left: Any, right: Any) -> Lifted:
    a, b = _broadcast([left, right])
    inner = b.ndim - 1
    if inner == 1:
        return lift(np.einsum("...in,in->...n", a, b))
    if inner == 2:
        return lift(np.einsum("...in,ijn->...jn", a, b))
    raise TypeError("a product of lifted arrays of more than two axes")


def _elementwise(function: Callable[..., Any]) -> Callable[..., Lifted]:
    return lambda *arguments: lift(function(*map(_aligned, arguments)))


def _method(name: str) -> Callable[..., Lifted]:
    return lambda value, *arguments, **options: getattr(value, name)(*arguments, **options)


FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.concatenate: _concatenate,
    np.hstack: _hstack,
    np.vstack: _vstack,
    np.linalg.norm: _norm,
    np.diff: _diff,
    np.dot: _dot,
    np.where: _elementwise(np.where),
    np.clip: _elementwise(np.clip),
    np.ravel: _method("ravel"),
    np.reshape: _method("reshape"),
    np.copy: _method("copy"),
    np.shape: lambda value: value.shape[:-1],
    **{getattr(np, name): _method(name) for name in REDUCTIONS},
}
"""NumPy's functions for lifted arrays; each with what the suite's code uses of it."""


def _as_array(value: Any, *arguments: Any, **options: Any) -> Any:
    return value if is_lifted(value) else np.asarray(value, *arguments, **options)


def _extreme(name: str, ufunc: np.ufunc) -> Callable[..., Any]:
    usual = getattr(builtins, name)

    def extreme(*values: Any, **options: Any) -> Any:
        items = list(values[0]) if len(values) == 1 else list(values)
        if any(map(is_lifted, items)):
            return functools.reduce(ufunc, items)
        return usual(items, **options)

    return extreme


def _quantifier(name: str) -> Callable[..., Any]:
    usual = getattr(builtins, name)
    return lambda values: getattr(values, name)() if is_lifted(values) else usual(values)


class _Numpy(types.ModuleType):
    """NumPy, but for the functions that do not let an array decide what they give."""

    asarray = staticmethod(_as_array)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


STAND_INS: dict[str, Any] = {
    "np": _Numpy("numpy"),
    "float": lambda value=0.0: lift(value.astype(float)) if is_lifted(value) else float(value),
    "max": _extreme("max", np.maximum),
    "min": _extreme("min", np.minimum),
    "all": _quantifier("all"),
    "any": _quantifier("any"),
}
"""Global names of a module under which its functions take lifted arrays: Python's own cannot be told."""
