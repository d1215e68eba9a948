"""Rows written as arrays: one statement for any number of them, whatever their table."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql

from kernel.database import driver
from kernel.errors import Broken

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]


_PLAIN: Final = frozenset({int, UUID})
"""Types that an array shows as Python does."""

_MICROSECOND: Final = timedelta(microseconds=1)


def names_of(table: Table) -> tuple[str, ...]:
    """The columns of a table, in order."""
    return tuple(column.name for column in table.columns)


def _given(table: Table, names: Sequence[str]) -> str:
    """`unnest` of one array for each named column, in order."""
    kinds = (table.columns[name].type.compile(_DIALECT) for name in names)
    return f"unnest({', '.join(f'%s::{kind}[]' for kind in kinds)})"


def insert_into(table: Table) -> str:
    """Add a row for each place of the arrays."""
    names = names_of(table)
    return f"INSERT INTO {table.name} ({', '.join(names)}) SELECT * FROM {_given(table, names)}"


def update_of(
    table: Table, *, keys: Sequence[str], changed: Sequence[str], same: Sequence[str]
) -> str:
    """Set `changed` where the keys match and the columns of `same` still hold their old value."""
    old = [f"old_{name}" for name in same]
    given = ", ".join([*keys, *changed, *old])
    return (
        f"UPDATE {table.name} SET {', '.join(f'{name} = given.{name}' for name in changed)}"
        f" FROM {_given(table, [*keys, *changed, *same])} AS given ({given}) WHERE "
        + " AND ".join(
            [f"{table.name}.{name} = given.{name}" for name in keys]
            + [f"{table.name}.{name} = given.old_{name}" for name in same]
        )
    )


def write_arrays(
    connection: Connection,
    statement: str,
    rows: Sequence[tuple[Any, ...]],
    *,
    must_change: bool = False,
) -> None:
    """Run a statement whose parameters are one array per cell of the rows.

    It is planned anew each time: a plan kept from when the table was empty would read all of it.
    """
    if not rows:
        return
    arrays = tuple(_array(cells) for cells in zip(*rows, strict=True))
    changed = driver(connection).execute(statement.encode(), arrays, prepare=False).rowcount
    if must_change and changed != len(rows):
        raise Broken("a row moved under its lock", statement=statement[:30], ids=rows[0][:1])


def _array(cells: Sequence[Any]) -> str:
    """One array as PostgreSQL writes it; a third of the time that the driver's dumper takes."""
    kinds = set(map(type, cells))
    if kinds <= _PLAIN:
        return "{" + ",".join(map(str, cells)) + "}"
    if kinds == {datetime}:
        shown = {cell: f'"{cell}"' for cell in set(cells)}
        return "{" + ",".join([shown[cell] for cell in cells]) + "}"
    return "{" + ",".join(map(_element, cells)) + "}"


def _element(cell: Any) -> str:  # noqa: ANN401  any value of a row
    """One element; only text may hold what needs quotes."""
    if cell is None:
        return "NULL"
    if isinstance(cell, str):
        escaped = cell.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(cell, timedelta):
        return f'"{cell // _MICROSECOND} microseconds"'
    return f'"{cell}"' if isinstance(cell, datetime) else str(cell)
