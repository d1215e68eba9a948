"""Rows and arrays in PostgreSQL's binary form, for the statements that carry thousands of rows.

Packing with `struct` costs a third of what the driver's per-value dumpers cost (decision 0002).
"""

import struct
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Any, Final

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER: Final = b"\xff\xff"
NULL: Final = b"\xff\xff\xff\xff"

_ROWS_PER_BLOCK: Final = 500

_OIDS: Final = {
    "smallint": 21,
    "bigint": 20,
    "text": 25,
    "bytea": 17,
    "timestamptz": 1184,
    "uuid": 2950,
}
"""Element types of arrays, by their names in SQL (PostgreSQL, pg_type.dat)."""

_LENGTH: Final = struct.Struct(">i")

PG_EPOCH_US: Final = 946_684_800_000_000
"""Microseconds from 1970 to 2000-01-01, from which PostgreSQL counts its timestamps."""


class PackedArray:
    """An array parameter in binary; the statement casts it: `%s::bigint[]`."""

    __slots__ = ("packed",)

    def __init__(self, sql_type: str, cells: Collection[bytes]) -> None:
        """Of cells, each its length and its bytes, or NULL."""
        if not cells:
            self.packed = struct.pack(">iii", 0, 0, _OIDS[sql_type])
            return
        has_null = NULL in cells
        head = struct.pack(">iiiii", 1, has_null, _OIDS[sql_type], len(cells), 1)
        self.packed = head + b"".join(cells)


class BigintArray(PackedArray):
    """A `bigint[]` parameter."""

    __slots__ = ()

    def __init__(self, values: Sequence[int]) -> None:
        """Pack the values in one go; none may be None."""
        count = len(values)
        super().__init__("bigint", ())
        if count:
            mixed: list[int] = [8] * (2 * count)
            mixed[1::2] = values
            head = struct.pack(">iiiii", 1, 0, _OIDS["bigint"], count, 1)
            self.packed = head + struct.pack(">" + "iq" * count, *mixed)


class TextArray(PackedArray):
    """A `text[]` parameter."""

    __slots__ = ()

    def __init__(self, values: Collection[str]) -> None:
        """Pack the values; none may be None."""
        super().__init__("text", [text_cell(value) for value in values])


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: PackedArray) -> Buffer:
        return obj.packed


def teach(connection: psycopg.Connection[Any]) -> None:
    """Let this connection take packed arrays; done once for every connection of ours."""
    connection.adapters.register_dumper(PackedArray, _PackedDumper)


def as_columns(rows: Sequence[bytes], types: Sequence[str]) -> list[PackedArray]:
    """Packed rows turned into one array for each column, for `unnest` in a statement."""
    columns: list[list[bytes]] = [[] for _ in types]
    unpack = _LENGTH.unpack_from
    for row in rows:
        at = 2  # behind the number of columns
        for column in columns:
            end = at + 4 + max(unpack(row, at)[0], 0)
            column.append(row[at:end])
            at = end
    return [PackedArray(name, cells) for name, cells in zip(types, columns, strict=True)]


def text_cell(value: str) -> bytes:
    """One text cell of a binary row: length, then bytes of UTF-8."""
    encoded = value.encode()
    return _LENGTH.pack(len(encoded)) + encoded


def bytes_cell(value: bytes | None) -> bytes:
    """One cell of raw bytes (a bytea, a uuid), or NULL."""
    return NULL if value is None else _LENGTH.pack(len(value)) + value


def copy_in(connection: psycopg.Connection[Any], statement: bytes, rows: Iterable[bytes]) -> None:
    """COPY packed rows; the statement is one of `copy_statement`.

    Rows are sent in blocks as they are packed, so that the server works on one block while the
    next is packed.
    """
    waiting = iter(rows)
    with connection.cursor().copy(statement) as copy:
        copy.write(COPY_HEADER)
        while block := b"".join(islice(waiting, _ROWS_PER_BLOCK)):
            copy.write(block)
        copy.write(COPY_TRAILER)


def copy_statement(table: str, columns: Sequence[str]) -> bytes:
    """The COPY statement for these columns of a table of the current search path."""
    return f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT binary)".encode()
