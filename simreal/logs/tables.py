"""Tables of numbers in CSV and npz files, and the logs that a mapping makes of them."""

import csv
import gzip
import io
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from simreal.errors import UserError, nearest
from simreal.files import describe
from simreal.logs.mapping import ChannelSource, LogMapping, TimeSource, refuse_other_widths
from simreal.logs.robot_log import UNITS, Channel, RobotLog, units_of
from simreal.logs.units import to_si
from simreal.state import FloatArray

RUN = "{run}"
NUMBERS = "biufM"
"""Kinds of NumPy's arrays that are read as numbers; times of day count from 1970, in their own unit."""
LATEST = 2**63 / 1e9
"""s since 1970, up to which ns can be counted."""


def read_tables(path: Path, mapping: LogMapping) -> list[RobotLog]:
    """Read all runs of a CSV or npz file, in the order of their names.

    Raises:
        UserError: what the mapping names is not there, or is no table of finite times.
    """
    if path.suffix == ".npz":
        return read_arrays(path, _read_npz(path), mapping)
    return [_log(_CsvRun(path, mapping), mapping)]


def read_arrays(path: Path, arrays: dict[str, FloatArray], mapping: LogMapping) -> list[RobotLog]:
    """The runs in named arrays, wherever they come from; `path` is for names and messages.

    Raises:
        UserError: as `read_tables`.
    """
    return [_log(_ArrayRun(path, arrays, run), mapping) for run in _runs(path, arrays, mapping)]


class _ArrayRun:
    """One run among named arrays: of an npz file, a Parquet table, a LeRobot dataset."""

    def __init__(self, path: Path, arrays: dict[str, FloatArray], run: str | None) -> None:
        self.path, self.run = path, run
        self.source = path.name if run is None else f"{path.name}:{run}"
        self._arrays = arrays

    def has(self, source: ChannelSource) -> bool:
        return source.array is not None and self._key(source.array) in self._arrays

    def values(self, source: ChannelSource, channel: str) -> tuple[FloatArray, tuple[str, ...]]:
        """(n, columns) values as they stand in the file, and names of the columns there."""
        if source.array is None:
            raise UserError(f"{self.source}: the mapping of {channel} names no array")
        table = self._array(source.array, channel)
        table = table[:, None] if table.ndim == 1 else table
        if table.ndim != 2:
            raise UserError(
                f"{self.source}: {source.array} has {table.ndim} axes, expected rows, columns"
            )
        columns = source.columns or tuple(range(table.shape[1]))
        for column in columns:
            if not isinstance(column, int) or not -table.shape[1] <= column < table.shape[1]:
                raise UserError(
                    f"{self.source}: {self._key(source.array)} has {table.shape[1]} columns, "
                    f"no column {column!r} for {channel}"
                )
        return table[:, [int(column) for column in columns]], tuple(map(str, columns))

    def stamps(self, time: TimeSource, rows: int, source: ChannelSource) -> FloatArray:
        factor = to_si(time.unit, "time")[1]
        if time.step is not None:
            step = self._array(time.step, "time") if isinstance(time.step, str) else time.step
            if np.size(step) != 1:
                raise UserError(
                    f"{self.source}: {time.step} has {np.size(step)} numbers, a step is one; "
                    "of an array of times, the mapping says time: {array: ...}"
                )
            return np.asarray(np.arange(rows) * (factor * np.asarray(step).item()))
        if time.array is None:
            raise UserError(f"{self.source}: the mapping's time names no array")
        return factor * self._array(time.array, "time").reshape(-1)

    def _key(self, pattern: str) -> str:
        return pattern.replace(RUN, self.run or "")

    def _array(self, pattern: str, needed_for: str) -> FloatArray:
        key = self._key(pattern)
        if key not in self._arrays:
            raise UserError(
                f"{self.source}: no array of numbers {key!r} for {needed_for}: "
                f"{nearest(key, self._arrays)}"
            )
        return self._arrays[key]


class _CsvRun:
    """One run: a CSV file and those beside it that the mapping names."""

    def __init__(self, path: Path, mapping: LogMapping) -> None:
        self.path, self.source = path, path.name
        self._tables: dict[str | None, tuple[tuple[str, ...], FloatArray]] = {}
        self.run: str | None = None
        if mapping.file is not None:
            found = re.fullmatch(_pattern(mapping.file), path.name)
            if found is None:
                raise UserError(f"{path}: the mapping reads files named {mapping.file}")
            self.run = found.groupdict().get("run")

    def has(self, source: ChannelSource) -> bool:
        try:
            header, _ = self._table(source.file)
        except UserError:
            return False
        return all(isinstance(column, int) or column in header for column in source.columns or ())

    def values(self, source: ChannelSource, channel: str) -> tuple[FloatArray, tuple[str, ...]]:
        """(n, columns) values as they stand in the file, and names of the columns there."""
        header, table = self._table(source.file)
        if source.columns is None:
            raise UserError(f"{self.source}: the mapping of {channel} names no columns of the CSV file")
        places = [self._place(header, column, channel, source.file) for column in source.columns]
        return table[:, places], tuple(header[place] for place in places)

    def stamps(self, time: TimeSource, rows: int, source: ChannelSource) -> FloatArray:
        factor = to_si(time.unit, "time")[1]
        if isinstance(time.step, float):
            return np.asarray(np.arange(rows) * (factor * time.step))
        if time.column is None:
            raise UserError(f"{self.source}: the mapping's time names no column of the CSV file")
        header, table = self._table(time.file)
        return factor * table[:, self._place(header, time.column, "time", time.file)]

    def _place(self, header: tuple[str, ...], column: int | str, channel: str, file: str | None) -> int:
        if isinstance(column, int) and 0 <= column < len(header):
            return column
        where = self.source if file is None else self._beside(file).name
        if header.count(str(column)) > 1:
            places = [place for place, name in enumerate(header) if name == str(column)]
            raise UserError(
                f"{where}: {len(places)} columns are named {column!r}: name the one for {channel} by "
                f"its number, one of {places}"
            )
        if column in header:
            return header.index(str(column))
        raise UserError(f"{where}: no column {column!r} for {channel}: {nearest(str(column), header)}")

    def _table(self, file: str | None) -> tuple[tuple[str, ...], FloatArray]:
        if file not in self._tables:
            self._tables[file] = read_csv(self.path if file is None else self._beside(file))
        return self._tables[file]

    def _beside(self, file: str) -> Path:
        name = file.replace(RUN, self.run or "")
        found = sorted(self.path.parent.glob(name))
        if len(found) != 1:
            number = "no" if not found else f"{len(found)} files"
            raise UserError(f"{self.path}: the mapping needs {name} beside it, found {number}")
        return found[0]


def read_csv(path: Path) -> tuple[tuple[str, ...], FloatArray]:
    """Header, and (n, columns) numbers; an empty cell is NaN.

    Raises:
        UserError: no table of numbers; says which line and column.
    """
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8-sig")
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UserError(f"{path}: the compressed file is cut off or damaged") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8, expected CSV") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    lines = csv.reader(io.StringIO(text))
    rows = []
    try:
        header = _header(next(lines, []), path)
        for row in filter(None, lines):
            if len(row) != len(header):
                fewer = "is the file cut off" if len(row) < len(header) else "commas within numbers"
                raise UserError(
                    f"{path}:{lines.line_num}: {len(row)} of {len(header)} columns; {fewer}?"
                )
            cells = zip(row, header, strict=True)
            rows.append([_number(cell, path, lines.line_num, name) for cell, name in cells])
    except csv.Error as error:  # such as a quote that nothing ends
        raise UserError(f"{path}:{lines.line_num}: no line of CSV: {error}") from None
    if not rows:
        raise UserError(f"{path}: no rows below the header {', '.join(header) or '(none)'}")
    return header, np.array(rows)


def _header(cells: list[str], path: Path) -> tuple[str, ...]:
    """The names of columns.

    Raises:
        UserError: other separators than commas, or numbers in place of names, of which the first row
            would be lost.
    """
    header = tuple(cell.strip() for cell in cells)
    other = next((mark for mark in (";", "\t") if len(header) == 1 and mark in cells[0]), None)
    if other is not None:
        raise UserError(
            f"{path}:1: columns are separated by {other!r}; CSV is read with commas between columns and "
            "points in numbers"
        )
    counted = header == tuple(map(str, range(len(header))))  # as pandas names columns without names
    if header and not counted and all(map(_is_number, header)):
        raise UserError(f"{path}:1: numbers, where the first line must name the columns: t,position,...")
    return header


def _is_number(cell: str) -> bool:
    try:
        _to_float(cell)
    except ValueError:
        return False
    return True


def _to_float(cell: str) -> float:
    """The number in a cell, in which Python's own underscores, as in 1_000, are none.

    Raises:
        ValueError: it is none.
    """
    return float(cell.replace("_", "?"))


def _number(cell: str, path: Path, line: int, column: str) -> float:
    try:
        return _to_float(cell) if cell.strip() else np.nan
    except ValueError:
        hint = "; numbers have a decimal point" if "," in cell else ""
        raise UserError(f"{path}:{line}: column {column}: {cell!r} is no number{hint}") from None


def _read_npz(path: Path) -> dict[str, FloatArray]:
    arrays, key = {}, ""
    try:
        with np.load(path, allow_pickle=False) as file:
            for key in file.files:
                with suppress(ValueError):  # objects may stand beside numbers, and text
                    values = file[key]
                    # Of what else is in the archive, such as meta.json, NumPy gives the bytes.
                    if isinstance(values, np.ndarray) and values.dtype.kind in NUMBERS:
                        arrays[key] = np.asarray(values, dtype=np.float64)
    except FileNotFoundError:
        raise UserError(f"{path}: no such log") from None
    except (zipfile.BadZipFile, EOFError, zlib.error, tokenize.TokenError, SyntaxError, OSError):
        raise UserError(f"{path}: the npz file is cut off or damaged") from None
    except MemoryError as error:  # a damaged header may claim any size
        raise UserError(f"{path}: {key} does not fit in memory, or is damaged: {error}") from None
    except RuntimeError as error:  # encrypted, or compressed by what zipfile does not know
        raise UserError(f"{path}: {key} cannot be read: {error}") from None
    except (ValueError, TypeError):
        raise UserError(f"{path}: {describe(path)}; expected an npz file") from None
    return arrays


def _runs(path: Path, arrays: dict[str, FloatArray], mapping: LogMapping) -> list[str | None]:
    patterns = [
        s.array for s in mapping.channels.values() if s.array and RUN in s.array and not s.optional
    ]
    if not patterns:
        return [None]
    found = (re.fullmatch(_pattern(patterns[0]), key) for key in arrays)
    runs = sorted({match["run"] for match in found if match})
    if not runs:
        raise UserError(f"{path}: no array named {patterns[0]}: it has {_shown(arrays)}")
    return list(runs)


def _shown(names: Iterable[str], most: int = 6) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _pattern(text: str) -> str:
    """A file name with ``*`` and ``{run}`` as a regular expression."""
    return re.escape(text).replace(re.escape(RUN), "(?P<run>.+)", 1).replace(r"\*", ".*")


def _log(run: _ArrayRun | _CsvRun, mapping: LogMapping) -> RobotLog:
    log = RobotLog(
        run.source,
        joint_names=mapping.joints,
        actuator_joints=mapping.actuator_joints,
        robot=mapping.robot,
        provenance=dict(mapping.provenance),
    )
    if mapping.provenance_from_name is not None:
        found = re.search(mapping.provenance_from_name, run.source)
        log.provenance |= {} if found is None else found.groupdict()
    clocks: dict[bytes, FloatArray] = {}
    for name, source in mapping.channels.items():
        if source.optional and not run.has(source):
            continue
        channel = _channel(run, mapping, name, source)
        channel.time = clocks.setdefault(channel.time.tobytes(), channel.time)
        log.channels[name] = channel
    return log


def _channel(run: _ArrayRun | _CsvRun, mapping: LogMapping, name: str, source: ChannelSource) -> Channel:
    values, found = run.values(source, name)
    names = mapping.names_of(name) or found
    if len(names) != values.shape[1]:
        raise UserError(
            f"{run.source}: {name} has {values.shape[1]} columns for {len(names)} names: {_shown(names)}"
        )
    time = run.stamps(source.time or mapping.time, len(values), source)
    if len(time) != len(values):
        raise UserError(
            f"{run.source}: {name} has {len(values)} rows, but there are {len(time)} time stamps"
        )
    if not np.isfinite(time).all():
        raise UserError(f"{run.source}: time of {name} is no number in row {_first(~np.isfinite(time))}")
    if len(time) and np.abs(time).max() >= LATEST:
        raise UserError(
            f"{run.source}: time of {name} goes to {np.abs(time).max():.4g} s: say its unit in the "
            "mapping's time, such as unit: ns"
        )
    refuse_other_widths(source, len(names), f"{run.source}: {name}")
    own = UNITS.get(name, "")
    recorded = source.unit if source.unit is not None else own
    units = recorded if isinstance(recorded, tuple) else (recorded,) * len(names)
    converted = [to_si(unit, name) for unit in units]
    factors = np.array([factor for _, factor in converted]) * source.scale * source.sign
    # A standard channel of another kind of unit has been scaled to its own.
    found = tuple(unit if name not in UNITS or unit in units_of(name) else own for unit, _ in converted)
    return Channel(time, values * factors, names, found)


def _first(where: FloatArray) -> int:
    return int(np.argmax(where))
