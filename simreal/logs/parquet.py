"""Logs as Parquet: one table that pandas, polars and DuckDB read, exact to the last bit.

Columns are ``time`` and ``logged`` in s, and ``channel.name`` for each column of each channel.
Channels of
one clock share rows; the rows of the next clock follow below, with nulls in the columns of the others.
"""

from pathlib import Path
from typing import Any

import numpy as np

from simreal.errors import UserError, missing_extra
from simreal.files import write_atomically
from simreal.logs.header import HEADER, clock_groups, from_header, header_of
from simreal.logs.robot_log import Channel, RobotLog
from simreal.state import FloatArray


def pyarrow() -> Any:
    """The library, or one message that names the extra."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise missing_extra("pyarrow", "logs") from None
    return pyarrow


def write_parquet(log: RobotLog, path: Path) -> list[str]:
    """Write a log; nothing is lost.

    Returns:
        An empty list: what the format cannot hold.
    """
    arrow = pyarrow()
    groups = clock_groups(log)
    counts = [len(log.channels[group[0]]) for group in groups]
    total, starts = sum(counts), np.concatenate([[0], np.cumsum(counts)]).astype(int)

    def column(values: FloatArray | None, place: int) -> tuple[FloatArray, Any]:
        filled, absent = np.zeros(total), np.ones(total, dtype=bool)
        if values is not None:
            rows = slice(starts[place], starts[place] + len(values))
            filled[rows], absent[rows] = values, False
        return filled, absent

    names, arrays = ["time", "logged"], []
    for key in ("time", "logged"):
        parts = [getattr(log.channels[group[0]], key) for group in groups]
        filled = [np.zeros(n) if part is None else part for part, n in zip(parts, counts, strict=True)]
        absent = [np.full(n, part is None) for part, n in zip(parts, counts, strict=True)]
        both = (np.concatenate(each) if each else np.zeros(0) for each in (filled, absent))
        values, mask = both
        arrays.append(arrow.array(values, mask=mask.astype(bool), type=arrow.float64()))
    for place, group in enumerate(groups):
        for channel in group:
            table = log.channels[channel]
            for name, values in zip(table.names, table.values.T, strict=True):
                filled_values, absent_rows = column(values, place)
                names.append(f"{channel}.{name}")
                arrays.append(arrow.array(filled_values, mask=absent_rows, type=arrow.float64()))
    schema = arrow.schema([(name, arrow.float64()) for name in names], metadata={HEADER: header_of(log)})
    table = arrow.Table.from_arrays(arrays, schema=schema)
    write_atomically(path, lambda temporary: arrow.parquet.write_table(table, temporary))
    return []


def read_parquet(path: Path) -> RobotLog:
    """Read a log that `write_parquet` wrote.

    Raises:
        UserError: no such file, cut off, or another program's table.
    """
    table = _read_table(path)
    header = (table.schema.metadata or {}).get(HEADER.encode())
    if header is None:
        raise UserError(f"{path}: a Parquet table that simreal did not write: give it a --mapping")
    log, channels = from_header(header.decode(), str(path))
    columns = dict(zip(table.column_names, table.columns, strict=True))
    time, logged = (_numbers(columns[name]) for name in ("time", "logged"))
    clocks: dict[tuple[int, int], tuple[FloatArray, FloatArray | None]] = {}
    at = 0
    for name, description in channels.items():
        keys = [f"{name}.{column}" for column in description["names"]]
        if any(key not in columns for key in keys):
            raise UserError(f"{path}: columns of {name} are missing")
        rows = description["rows"]
        start = _first_row(columns[keys[0]]) if keys and rows else at
        at = max(at, start + rows)
        span = (start, start + rows)
        if span not in clocks:
            part = slice(*span)
            seen = logged[1][part].all() and rows > 0
            clocks[span] = time[0][part].copy(), logged[0][part].copy() if seen else None
        values = [_numbers(columns[key])[0][start : start + rows] for key in keys]
        log.channels[name] = Channel(
            clocks[span][0],
            np.stack(values, axis=1) if values else np.zeros((rows, 0)),
            tuple(description["names"]),
            tuple(description["units"]),
            clocks[span][1],
        )
    return log


def _numbers(column: Any) -> tuple[FloatArray, Any]:
    """Values, and where there are any."""
    whole = column.combine_chunks()
    valid = np.asarray(whole.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    return np.asarray(whole.fill_null(0.0).to_numpy(zero_copy_only=False), dtype=np.float64), valid


def _first_row(column: Any) -> int:
    return int(np.argmax(_numbers(column)[1]))


def read_parquet_arrays(path: Path) -> dict[str, FloatArray]:
    """Columns of numbers of any Parquet table, by name, for a mapping; lists become (n, width)."""
    return arrays_of_table(_read_table(path))


def arrays_of_table(table: Any) -> dict[str, FloatArray]:
    """The numeric columns of an Arrow table as float64 arrays; a null is NaN."""
    arrays = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            arrays[name] = np.array(_without_nulls(column.to_pylist()), dtype=np.float64)
        except (TypeError, ValueError):
            continue  # text, or lists of several lengths
    return arrays


def _without_nulls(rows: list[Any]) -> list[Any]:
    """Rows of a column, in which a null among lists is a list of nulls."""
    width = next((len(row) for row in rows if isinstance(row, list)), None)
    return rows if width is None else [[None] * width if row is None else row for row in rows]


def _read_table(path: Path) -> Any:
    arrow = pyarrow()
    try:
        return arrow.parquet.read_table(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such log") from None
    except (arrow.ArrowException, OSError) as error:
        text = str(error).splitlines()[0]
        raise UserError(f"{path}: cut off, or no Parquet file: {text}") from None
