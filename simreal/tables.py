"""Tables for terminals that fold what is too wide: names that are cut cannot be told apart."""

from typing import Any

from rich.table import Column, Table

WHOLE = 36
"""Letters up to which the names in a first column are kept on one line."""


def folded_table(*header: str, **options: Any) -> Table:
    """A table whose cells go on in the next line; options are those of rich's `Table`."""
    return Table(*(Column(each, overflow="fold") for each in header), **options)


def keep_names_whole(table: Table) -> Table:
    """Let the first column have the width of its names, as long as that leaves room for the others."""
    first = table.columns[0]
    lines = [line for cell in first.cells for line in str(cell).splitlines()]
    first.no_wrap = max(map(len, lines), default=0) <= WHOLE
    return table
