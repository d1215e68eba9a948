"""All SQL of the posting path: open and lock accounts, write a batch, read balances.

Rows travel in PostgreSQL's binary form (`kernel.copying`); every statement takes a whole batch.
"""

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

import psycopg
from sqlalchemy import Connection

from kernel.copying import (
    PG_EPOCH_US,
    BigintArray,
    TextArray,
    as_columns,
    copy_in,
    copy_statement,
)
from kernel.database import driver
from kernel.errors import Broken
from ledger.chart import CHART
from ledger.model import AccountKey
from ledger.rows import (
    ENTRY_COLUMNS,
    ENTRY_TYPES,
    EVENT_COLUMNS,
    EVENT_TYPES,
    LINE_COLUMNS,
    LINE_TYPES,
    pack_entries,
    pack_events,
    pack_lines,
)
from ledger.rules import Accepted, Batch, Standing

_OPEN_ACCOUNTS: Final = """
INSERT INTO account (code, kind, subject, currency, book, lowest_minor, highest_minor, mirror)
SELECT n.code, n.kind, n.subject, n.currency, k.book, k.lowest_minor, k.highest_minor, k.mirror
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS n (code, kind, subject, currency)
JOIN account_kind k ON k.kind = n.kind
ORDER BY n.code
ON CONFLICT (code) DO NOTHING
"""

# LockRows stands above the sort, so the rows are locked in the order of their ids; each row is
# given as its lock shows it, not as the snapshot did.
_LOCK_ACCOUNTS: Final = """
SELECT code, id, balance_minor, line_count,
       CASE WHEN line_count = 0 THEN 0
            ELSE (extract(epoch FROM newest_recorded_at) * 1000000)::bigint END,
       lowest_minor, highest_minor, state = 'open'
FROM account
WHERE code = ANY(%s::text[])
ORDER BY id
FOR NO KEY UPDATE
"""

_OPEN_BATCH: Final = """
SELECT nextval('batch_id_seq'), current_schema(),
       (extract(epoch FROM clock_now()) * 1000000)::bigint
"""

_ADD_BATCH: Final = """
INSERT INTO batch (id, event_count, entry_count, line_count) VALUES (%s, %s, %s, %s)
"""

# What the sealer finds its work by (decision 0004).
_AWAIT_SEAL: Final = "INSERT INTO unsealed (batch_id) VALUES (%s)"

_SAVE_ACCOUNTS: Final = """
UPDATE account a
SET balance_minor = n.balance_minor, line_count = n.line_count,
    newest_recorded_at = timestamptz '2000-01-01 00:00:00+00' + n.newest_us * interval '1 us'
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
    AS n (id, balance_minor, line_count, newest_us)
WHERE a.id = n.id
"""


def _insert(table: str, columns: Sequence[str], types: Sequence[str]) -> str:
    arrays = ", ".join(f"%s::{name}[]" for name in types)
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({arrays})"


_ADD_WAITING_BATCH: Final = f"WITH u AS ({_AWAIT_SEAL}) {_ADD_BATCH}"

# A small batch in one round trip. The guards of all four tables fire at the statement's end.
_WRITE_AT_ONCE: Final = f"""
WITH b AS ({_ADD_BATCH}),
u AS ({_AWAIT_SEAL}),
v AS ({_insert("event", EVENT_COLUMNS, EVENT_TYPES)}),
e AS ({_insert("entry", ENTRY_COLUMNS, ENTRY_TYPES)}),
l AS ({_insert("line", LINE_COLUMNS, LINE_TYPES)})
{_SAVE_ACCOUNTS}
"""

_COPY_EVENT: Final = copy_statement("event", EVENT_COLUMNS)
_COPY_ENTRY: Final = copy_statement("entry", ENTRY_COLUMNS)
_COPY_LINE: Final = copy_statement("line", LINE_COLUMNS)

# Below this one statement with arrays is faster than four COPYs, above it is slower: it leaves the
# server nothing to do while events are hashed (decision 0002).
_SMALL_BATCH: Final = 100

_OPEN_MONTHS: Final = """
INSERT INTO period (during)
SELECT tstzrange(m, m + interval '1 month')
FROM unnest(%s::timestamptz[]) AS n (m)
WHERE NOT EXISTS (SELECT FROM period p WHERE p.during @> n.m)
  AND NOT EXISTS (SELECT FROM period p WHERE p.state = 'closed' AND lower(p.during) > n.m)
ORDER BY m
ON CONFLICT DO NOTHING
"""

# Shared, so that a closing waits for us; before the accounts, as the order of locks has it. FOR KEY
# SHARE lets a soft close pass, which ends the stream of posters; FOR SHARE would starve it. What is
# in another state is not locked: who is refused must not hold up its closing.
_LOCK_OPEN: Final = """
SELECT lower(during), upper(during)
FROM period
WHERE during && tstzrange(%s, %s, '[]') AND state = 'open'
ORDER BY id
FOR KEY SHARE
"""
_LOCK_FINANCES: Final = _LOCK_OPEN.replace("= 'open'", "IN ('soft_closed', 'reopened')")


def lock_accounts(connection: Connection, keys: Collection[AccountKey]) -> dict[str, Standing]:
    """Lock the accounts in the order of their ids, and see them as they stand under the lock.

    Accounts that are not there yet are opened first, in the order of their names, with no lock
    held: the savepoint gives back what the first try had locked.
    """
    raw = driver(connection)
    raw.execute("SAVEPOINT lock_accounts")
    standings = _lock(raw, keys)
    if len(standings) < len(keys):
        raw.execute("ROLLBACK TO SAVEPOINT lock_accounts")
        missing = sorted(key for key in keys if key not in standings)
        raw.execute(
            _OPEN_ACCOUNTS,
            (
                TextArray(missing),
                TextArray([key.kind for key in missing]),
                TextArray([key.subject for key in missing]),
                TextArray([key.currency for key in missing]),
            ),
        )
        standings = _lock(raw, keys)
    raw.execute("RELEASE SAVEPOINT lock_accounts")
    if len(standings) != len(keys):
        raise Broken("an account that was opened is not there", wanted=len(keys))
    return standings


def _lock(raw: psycopg.Connection[Any], keys: Collection[AccountKey]) -> dict[str, Standing]:
    cursor = raw.execute(_LOCK_ACCOUNTS, (TextArray(keys),), binary=True)
    return {row[0]: Standing(*row) for row in cursor.fetchall()}


def open_months(connection: Connection, months: Sequence[datetime]) -> None:
    """Have a period for each of these first instants of months; a known or odd one stays as is.

    None is opened before one that is closed.
    """
    driver(connection).execute(_OPEN_MONTHS, (list(months),))


def lock_periods(
    connection: Connection, *, earliest: datetime, latest: datetime, finances: bool = False
) -> list[tuple[datetime, datetime]]:
    """First instant and end of the open periods of this span, locked FOR KEY SHARE.

    `finances`: of those that take manual journals alone instead.
    """
    statement = _LOCK_FINANCES if finances else _LOCK_OPEN
    return driver(connection).execute(statement, (earliest, latest)).fetchall()


def open_batch(connection: Connection) -> tuple[int, str, int]:
    """A batch number, the tenant's schema, and the tenant's clock in microseconds since 1970."""
    row = driver(connection).execute(_OPEN_BATCH).fetchone()
    if row is None or row[2] is None:
        raise Broken("the tenant has no clock")
    return row[0], row[1], row[2]


def write_batch(
    connection: Connection,
    batch: Batch,
    accepted: Sequence[Accepted],
    standings: Iterable[Standing],
) -> None:
    """Write a batch: control totals, entries, lines, the accounts' new balances, events."""
    raw = driver(connection)
    entry_count = sum(len(draft.entries) for draft, *_ in accepted)
    line_count = sum(len(moves) for *_, moves in accepted)
    totals = (batch.batch_id, len(accepted), entry_count, line_count)
    moved = [s for s in standings if s.line_count != s.was_line_count]
    write = _write_at_once if len(accepted) <= _SMALL_BATCH else _write_by_copy
    if write(raw, totals, batch.tenant, accepted, moved) != len(moved):
        raise Broken("an account vanished under its lock", moved=len(moved))


def _write_at_once(
    raw: psycopg.Connection[Any],
    totals: tuple[int, int, int, int],
    tenant: str,
    accepted: Sequence[Accepted],
    moved: Sequence[Standing],
) -> int:
    cursor = raw.execute(
        _WRITE_AT_ONCE,
        (
            *totals,
            totals[0],
            *as_columns(pack_events(accepted, tenant), EVENT_TYPES),
            *as_columns(list(pack_entries(accepted)), ENTRY_TYPES),
            *as_columns(list(pack_lines(accepted)), LINE_TYPES),
            *_account_columns(moved),
        ),
    )
    return cursor.rowcount


def _write_by_copy(
    raw: psycopg.Connection[Any],
    totals: tuple[int, int, int, int],
    tenant: str,
    accepted: Sequence[Accepted],
    moved: Sequence[Standing],
) -> int:
    """The guards want entries and lines before the accounts that they move.

    Hashing the events takes as long as the server takes for the lines: side by side.
    """
    with ThreadPoolExecutor(1) as pool:
        events = pool.submit(pack_events, accepted, tenant)
        raw.execute(_ADD_WAITING_BATCH, (totals[0], *totals))
        copy_in(raw, _COPY_ENTRY, pack_entries(accepted))
        copy_in(raw, _COPY_LINE, pack_lines(accepted))
        saved = raw.execute(_SAVE_ACCOUNTS, _account_columns(moved)).rowcount
        copy_in(raw, _COPY_EVENT, events.result())
    return saved


def _account_columns(moved: Sequence[Standing]) -> tuple[BigintArray, ...]:
    return (
        BigintArray([s.account_id for s in moved]),
        BigintArray([s.balance_minor for s in moved]),
        BigintArray([s.line_count for s in moved]),
        BigintArray([s.newest_us - PG_EPOCH_US for s in moved]),
    )


def find_balances(connection: Connection, codes: Sequence[str]) -> dict[str, int]:
    """Signed balances of the accounts with these codes; an account never opened is missing."""
    rows = driver(connection).execute(
        "SELECT code, balance_minor FROM account WHERE code = ANY(%s::text[])", (list(codes),)
    )
    return {code: balance for code, balance in rows}  # noqa: C416  rows are tuples of any length


def sum_kind(connection: Connection, kind: str) -> dict[str, int]:
    """Signed sum per currency over all accounts of one kind."""
    if kind not in CHART:
        raise Broken("no such kind in the chart", kind=kind)
    rows = driver(connection).execute(
        "SELECT currency, sum(balance_minor)::bigint FROM account WHERE kind = %s"
        " GROUP BY currency ORDER BY currency",
        (kind,),
    )
    return dict(rows.fetchall())
