"""All SQL of the posting path: open and lock accounts, write a batch, read balances.

Rows travel in PostgreSQL's binary form (`kernel.copying`); every statement takes a whole batch.
"""

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

import psycopg
from sqlalchemy import Connection

from kernel.copying import PG_EPOCH_US, BigintArray, TextArray, copy_in, teach
from kernel.database import driver
from kernel.errors import Broken
from ledger.chart import CHART
from ledger.model import AccountKey
from ledger.rows import (
    ENTRY_COLUMNS,
    EVENT_COLUMNS,
    LINE_COLUMNS,
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

_SAVE_ACCOUNTS: Final = """
UPDATE account a
SET balance_minor = n.balance_minor, line_count = n.line_count,
    newest_recorded_at = timestamptz '2000-01-01 00:00:00+00' + n.newest_us * interval '1 us'
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
    AS n (id, balance_minor, line_count, newest_us)
WHERE a.id = n.id
"""

_OPEN_MONTHS: Final = """
INSERT INTO period (during)
SELECT tstzrange(m, m + interval '1 month')
FROM unnest(%s::timestamptz[]) AS n (m)
WHERE NOT EXISTS (SELECT FROM period p WHERE p.during @> n.m)
ORDER BY m
ON CONFLICT DO NOTHING
"""

_PERIODS_OPEN: Final = """
SELECT n.at, p.id IS NULL
FROM unnest(%s::timestamptz[]) AS n (at)
LEFT JOIN period p ON p.during @> n.at
WHERE p.id IS NULL OR p.state <> 'open'
"""


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
                missing,
                [key.kind for key in missing],
                [key.subject for key in missing],
                [key.currency for key in missing],
            ),
        )
        standings = _lock(raw, keys)
    raw.execute("RELEASE SAVEPOINT lock_accounts")
    if len(standings) != len(keys):
        raise Broken("an account that was opened is not there", wanted=len(keys))
    return standings


def _lock(raw: psycopg.Connection[Any], keys: Collection[AccountKey]) -> dict[str, Standing]:
    teach(raw)
    cursor = raw.execute(_LOCK_ACCOUNTS, (TextArray(keys),), binary=True)
    return {row[0]: Standing(*row) for row in cursor.fetchall()}


def open_months(connection: Connection, months: Sequence[datetime]) -> None:
    """Have a period for each of these first instants of months; a known or odd one stays as is."""
    driver(connection).execute(_OPEN_MONTHS, (list(months),))


def list_not_open(
    connection: Connection, times: Sequence[datetime]
) -> tuple[set[datetime], set[datetime]]:
    """Those of the times that no open period covers, and of these those that none covers at all."""
    rows = driver(connection).execute(_PERIODS_OPEN, (list(times),)).fetchall()
    return {at for at, _ in rows}, {at for at, is_unknown in rows if is_unknown}


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
    """Write a batch: control totals, entries, lines, the accounts' new balances, events.

    The guards want entries and lines before the accounts that they move.
    """
    raw = driver(connection)
    entry_count = sum(len(draft.entries) for draft, *_ in accepted)
    line_count = sum(len(moves) for *_, moves in accepted)
    # Hashing the events takes as long as the server takes for the lines: side by side.
    with ThreadPoolExecutor(1) as pool:
        events = pool.submit(pack_events, accepted, batch.tenant)
        raw.execute(_ADD_BATCH, (batch.batch_id, len(accepted), entry_count, line_count))
        if line_count:
            copy_in(raw, table="entry", columns=ENTRY_COLUMNS, rows=pack_entries(accepted))
            copy_in(raw, table="line", columns=LINE_COLUMNS, rows=pack_lines(accepted))
            _save_accounts(raw, [s for s in standings if s.line_count != s.was_line_count])
        copy_in(raw, table="event", columns=EVENT_COLUMNS, rows=events.result())


def _save_accounts(raw: psycopg.Connection[Any], moved: Sequence[Standing]) -> None:
    """Write the new balances of the accounts that moved, all in one statement."""
    teach(raw)
    cursor = raw.execute(
        _SAVE_ACCOUNTS,
        (
            BigintArray([s.account_id for s in moved]),
            BigintArray([s.balance_minor for s in moved]),
            BigintArray([s.line_count for s in moved]),
            BigintArray([s.newest_us - PG_EPOCH_US for s in moved]),
        ),
    )
    if cursor.rowcount != len(moved):
        raise Broken("an account vanished under its lock", moved=len(moved))


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
