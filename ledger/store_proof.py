"""SQL of the proof: its promises by name, and the ranges in which they are asked.

A range of events holds whole batches, some `pieces` lines of them; one of accounts holds whole
chains. Together the ranges of a kind cover every number there is, so that a row outside all
batches and accounts is looked at, too.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection

from kernel.database import driver

_SQL: Final = Path(__file__).parent / "sql" / "proof.sql"
_BLOCK: Final = re.compile(r"-- name: (.+)\n(?:-- over: (\w+)\n)?")
_FIELD: Final = re.compile(r"\$field\(([a-z_.]+)\)")

LOWEST: Final = -(2**63)
HIGHEST: Final = 2**63 - 1

_NEXT_BATCH: Final = """
SELECT max(id), max(so_far)
FROM (
    SELECT id, sum(line_count + event_count) OVER (ORDER BY id) AS so_far
    FROM (SELECT id, line_count, event_count FROM batch WHERE id > %s ORDER BY id LIMIT %s) b
) n
WHERE so_far <= %s OR id = (SELECT min(id) FROM batch WHERE id > %s)
"""
_NEXT_ACCOUNT: Final = """
SELECT max(id), max(so_far)
FROM (
    SELECT id, sum(line_count + 1) OVER (ORDER BY id) AS so_far
    FROM (SELECT id, line_count FROM account WHERE id > %s ORDER BY id LIMIT %s) a
) n
WHERE so_far <= %s OR id = (SELECT min(id) FROM account WHERE id > %s)
"""


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise: the query for what breaks it, and over which numbers it is asked.

    `over` is `events`, `accounts`, `journal`, `leaves`, or empty for all at once.
    """

    name: str
    over: str
    sql: str


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers from `first` to `last`, both inside; `rows` is about how many rows they hold."""

    first: int
    last: int
    rows: int


@cache
def promises() -> Mapping[str, Promise]:
    """The promises by name, as `ledger/sql/proof.sql` has them."""
    text = _FIELD.sub(r"(octet_length(\1) || ':' || \1 || ',')", _SQL.read_text(encoding="utf-8"))
    heads = list(_BLOCK.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    found = [
        Promise(head[1].strip(), head[2] or "", text[head.end() : end].strip().rstrip(";"))
        for head, end in zip(heads, ends, strict=True)
    ]
    return MappingProxyType({promise.name: promise for promise in found})


def list_broken(connection: Connection, promise: Promise, span: Span) -> list[str]:
    """The sentences about what breaks one promise within a range; empty where it holds."""
    first, last = f"(bigint '{span.first}')", f"(bigint '{span.last}')"
    sql = promise.sql.replace("$first", first).replace("$last", last)
    return [str(row[0]) for row in driver(connection).execute(sql.encode())]


def event_spans(connection: Connection, *, pieces: int) -> Iterator[Span]:
    """Ranges of event numbers that hold some `pieces` rows each, whole batches, in order."""
    ends = _ends(connection, _NEXT_BATCH, pieces)
    return _spans(((end << 14) + 16_383, rows) for end, rows in ends)


def account_spans(connection: Connection, *, pieces: int) -> Iterator[Span]:
    """Ranges of account numbers that hold some `pieces` lines each, whole chains, in order."""
    return _spans(_ends(connection, _NEXT_ACCOUNT, pieces))


def journal_spans(connection: Connection, *, pieces: int) -> Iterator[Span]:
    """Ranges of journal numbers, `pieces` each; a number below 1 is in the first."""
    newest = find_size(connection)
    ends = ((min(last, newest), pieces) for last in range(pieces, newest + pieces, pieces))
    return _spans(ends, lowest=1)


def find_size(connection: Connection) -> int:
    """The newest journal number, 0 for none."""
    row = driver(connection).execute("SELECT coalesce(max(journal_no), 0) FROM seal").fetchone()
    return int(row[0]) if row else 0


def list_leaves(connection: Connection, span: Span) -> list[bytes]:
    """The leaf hashes of a range of the journal, in order."""
    return [
        row[0]
        for row in driver(connection).execute(
            "SELECT v.leaf_hash FROM seal s JOIN event v ON v.id = s.event_id"
            " WHERE s.journal_no BETWEEN %s AND %s ORDER BY s.journal_no",
            (span.first, span.last),
            binary=True,
        )
    ]


def list_roots(connection: Connection, span: Span) -> dict[int, bytes]:
    """The roots of the blocks that end in a range of the journal, by their last number."""
    rows = driver(connection).execute(
        "SELECT last_journal_no, root FROM block WHERE last_journal_no BETWEEN %s AND %s",
        (span.first, span.last),
        binary=True,
    )
    return dict(rows.fetchall())


def list_nodes(connection: Connection, span: Span) -> dict[tuple[int, int], bytes]:
    """The nodes of the tree that are complete with an event of a range, by level and position."""
    rows = driver(connection).execute(
        "SELECT level, position, hash FROM tree_node"
        " WHERE (position + 1) << level BETWEEN %s AND %s",
        (span.first, span.last),
        binary=True,
    )
    return {(level, position): found for level, position, found in rows}


def _ends(connection: Connection, statement: str, pieces: int) -> Iterator[tuple[int, int]]:
    """The last number of each range, and its rows; one number alone may be larger than a range."""
    raw, after = driver(connection), LOWEST
    while True:
        found = raw.execute(statement, (after, pieces, pieces, after)).fetchone()
        if found is None or found[0] is None:
            return
        after = found[0]
        yield after, int(found[1])


def _spans(ends: Iterator[tuple[int, int]], *, lowest: int = LOWEST) -> Iterator[Span]:
    """Ranges without a gap, from the lowest number that there can be to the highest."""
    first, held = lowest, next(ends, None)
    while held is not None:
        (last, rows), held = held, next(ends, None)
        yield Span(first, HIGHEST if held is None else last, rows)
        first = last + 1
    if first == lowest:
        yield Span(lowest, HIGHEST, 0)


def count_rows(connection: Connection) -> dict[str, int]:
    """How many accounts, events, entries and lines there are."""
    counts = {}
    for table in ("account", "event", "entry", "line"):
        (counts[table],) = driver(connection).execute(f"SELECT count(*) FROM {table}".encode())
    return {table: int(count) for table, (count,) in counts.items()}
