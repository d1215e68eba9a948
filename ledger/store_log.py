"""All SQL of the export: the journal with its events, and the lists beside it, up to a number.

Everything is read through server-side cursors, so that memory does not grow with the books.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import Connection

from kernel.database import driver

_PAGE: Final = 2_000
_LOG: Final = (Path(__file__).parent / "sql" / "log.sql").read_text(encoding="utf-8")

# What came after the number, and what is not sealed at all, is taken off again.
_ACCOUNTS: Final = """
WITH later AS (
    SELECT event_id FROM seal WHERE journal_no > %(size)s
    UNION ALL
    SELECT e.id
    FROM unsealed u JOIN event e ON e.id BETWEEN u.batch_id << 14 AND (u.batch_id << 14) + 16383
    WHERE NOT EXISTS (SELECT FROM seal s WHERE s.event_id = e.id)
), unknown AS (
    SELECT l.account_id, count(*) AS lines, sum(l.amount_minor) AS amount_minor
    FROM later JOIN line l ON l.event_id = later.event_id
    GROUP BY l.account_id
)
SELECT a.code, a.book, a.kind, a.subject, a.currency, a.state,
       a.line_count - coalesce(u.lines, 0),
       (a.balance_minor - coalesce(u.amount_minor, 0))::bigint
FROM account a LEFT JOIN unknown u ON u.account_id = a.id
WHERE a.line_count > coalesce(u.lines, 0)
ORDER BY a.code COLLATE "C"
"""

_PERIODS: Final = "SELECT lower(during), upper(during), state FROM period ORDER BY during"

_BLOCKS: Final = """
SELECT no, first_journal_no, last_journal_no, root, custody_entries, platform_entries, sealed_at
FROM block WHERE last_journal_no <= %(size)s ORDER BY no
"""

_NOTES: Final = "SELECT note FROM checkpoint WHERE size <= %(size)s ORDER BY size"

_NEWEST_NOTE: Final = """
SELECT size, note FROM checkpoint
WHERE size BETWEEN %(journal_no)s AND %(size)s
ORDER BY size DESC LIMIT 1
"""


class LogRow(NamedTuple):
    """One event of the journal; all but the number is None where the event is gone.

    `entries` is a JSON text: a list of objects, whose `lines` are lists of account, amount, place
    in the chain and balance; None for an event without entries.
    """

    journal_no: int
    event_id: int | None
    kind: str
    subject: str
    actor_kind: str
    actor_id: UUID
    party_id: UUID | None
    effective_at: datetime
    recorded_at: datetime
    reason: str
    detail: str
    entry_count: int
    leaf_hash: bytes
    custody_entries: int
    platform_entries: int
    entries: str | None


def list_events(connection: Connection, size: int, *, after: int = 0) -> Iterator[LogRow]:
    """The journal from the number behind `after` up to `size`, in order."""
    return (LogRow(*row) for row in _rows(connection, _LOG, size=size, after=after))


def list_accounts(connection: Connection, size: int) -> Iterator[tuple[Any, ...]]:
    """Every account with a line in the journal up to `size`, as ACCOUNT_COLUMNS, by code.

    Count and balance are those at that number; the state is today's.
    """
    return _rows(connection, _ACCOUNTS, size=size)


def list_periods(connection: Connection) -> Iterator[tuple[datetime, datetime, str]]:
    """First instant, end and state of every period, in order."""
    return ((since, until, state) for since, until, state in _rows(connection, _PERIODS))


def list_blocks(connection: Connection, size: int) -> Iterator[tuple[Any, ...]]:
    """Every block that ends at or before `size`, as BLOCK_COLUMNS."""
    return _rows(connection, _BLOCKS, size=size)


def list_notes(connection: Connection, size: int) -> Iterator[str]:
    """The signed notes of checkpoints up to `size`, the oldest first."""
    return (note for (note,) in _rows(connection, _NOTES, size=size))


def find_newest_note(
    connection: Connection, *, journal_no: int, size: int
) -> tuple[int, str] | None:
    """Size and note of the newest checkpoint that holds this number and is not above `size`."""
    asked = {"journal_no": journal_no, "size": size}
    row = driver(connection).execute(_NEWEST_NOTE, asked).fetchone()
    return None if row is None else (row[0], row[1])


def _rows(connection: Connection, statement: str, **given: int) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement, a page at a time, through a cursor of its own."""
    with driver(connection).cursor(f"export_{uuid4().hex}", binary=True) as cursor:
        cursor.itersize = _PAGE
        yield from cursor.execute(statement.encode(), given)
