"""All SQL of the posting path: open and lock accounts, write a batch, read balances.

Rows travel in PostgreSQL's binary form (`kernel.copying`); every statement takes a whole batch.
"""

import struct
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import psycopg
from sqlalchemy import Connection

from kernel.copying import (
    NULL,
    PG_EPOCH_US,
    BigintArray,
    bytes_cell,
    copy_in,
    teach,
    text_cell,
)
from kernel.database import driver
from kernel.errors import Broken
from ledger.canonical import leaf_hash
from ledger.chart import CHART
from ledger.model import AccountKey
from ledger.rules import Rows, Standing

_OPEN_ACCOUNTS: Final = """
INSERT INTO account (code, kind, subject, currency, book, lowest_minor, highest_minor, mirror)
SELECT n.code, n.kind, n.subject, n.currency, k.book, k.lowest_minor, k.highest_minor, k.mirror
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS n (code, kind, subject, currency)
JOIN account_kind k ON k.kind = n.kind
ORDER BY n.code
ON CONFLICT (code) DO NOTHING
"""

_MISSING: Final = """
SELECT n.ordinal
FROM unnest(%s::text[]) WITH ORDINALITY AS n (code, ordinal)
WHERE NOT EXISTS (SELECT FROM account a WHERE a.code = n.code)
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
SELECT n.at FROM unnest(%s::timestamptz[]) AS n (at)
WHERE NOT EXISTS (SELECT FROM period p WHERE p.during @> n.at AND p.state = 'open')
"""

_EVENT_HEAD: Final = struct.Struct(">hiqiqiqih")
_ENTRY: Final = struct.Struct(">ih")
_LINE: Final = struct.Struct(">hiqiqiqiqiqiqiqihih")

_EVENT_COLUMNS: Final = (
    "id effective_at recorded_at entry_count actor_id party_id actor_kind kind subject reason"
    " detail leaf_hash"
).split()
_ENTRY_COLUMNS: Final = (
    "event_id reverses_event_id entry_no line_count reverses_entry_no book currency"
).split()
_LINE_COLUMNS: Final = (
    "account_id account_seq event_id amount_minor balance_after_minor effective_at recorded_at"
    " entry_no line_no"
).split()


def open_accounts(connection: Connection, keys: Iterable[AccountKey]) -> None:
    """Open the accounts that are not there yet, in the order of their names."""
    wanted = list(keys)
    cursor = driver(connection).execute(_MISSING, ([key.code for key in wanted],))
    missing = [wanted[ordinal - 1] for (ordinal,) in cursor]
    if missing:
        driver(connection).execute(
            _OPEN_ACCOUNTS,
            (
                [key.code for key in missing],
                [key.kind for key in missing],
                [key.subject for key in missing],
                [key.currency for key in missing],
            ),
        )


def lock_accounts(
    connection: Connection, keys: Iterable[AccountKey]
) -> dict[AccountKey, Standing]:
    """Lock the accounts in the order of their ids, and see them as they stand under the lock."""
    by_code = {key.code: key for key in keys}
    cursor = driver(connection).execute(_LOCK_ACCOUNTS, (list(by_code),), binary=True)
    standings = {}
    for code, account_id, balance, count, newest, lowest, highest, is_open in cursor:
        standings[by_code[code]] = Standing(
            account_id, code, balance, count, newest, lowest, highest, is_open
        )
    if len(standings) != len(by_code):
        raise Broken("an account that was opened is not there", missing=len(by_code))
    return standings


def open_months(connection: Connection, months: Sequence[datetime]) -> None:
    """Have a period for each of these first instants of months; a known or odd one stays as is."""
    driver(connection).execute(_OPEN_MONTHS, (list(months),))


def list_not_open(connection: Connection, times: Sequence[datetime]) -> set[datetime]:
    """Those of the times that no open period covers."""
    return {at for (at,) in driver(connection).execute(_PERIODS_OPEN, (list(times),))}


def open_batch(connection: Connection) -> tuple[int, str, int]:
    """A batch number, the tenant's schema, and the tenant's clock in microseconds since 1970."""
    row = driver(connection).execute(_OPEN_BATCH).fetchone()
    if row is None or row[2] is None:
        raise Broken("the tenant has no clock")
    return row[0], row[1], row[2]


def add_batch(connection: Connection, batch_id: int, rows: Rows) -> None:
    """Write a batch with its events, entries and lines: control totals first, then three COPYs."""
    raw = driver(connection)
    totals = (batch_id, len(rows.events), len(rows.entries), len(rows.lines))
    raw.execute(_ADD_BATCH, totals)
    _copy_events(raw, rows)
    if rows.entries:
        copy_in(
            raw, table="entry", columns=_ENTRY_COLUMNS, rows=[_entry_row(e) for e in rows.entries]
        )
        copy_in(raw, table="line", columns=_LINE_COLUMNS, rows=list(_line_rows(rows.lines)))


def save_accounts(connection: Connection, standings: Iterable[Standing]) -> None:
    """Write the new balances of the accounts that moved, all in one statement."""
    moved = [s for s in standings if s.line_count != s.was_line_count]
    if not moved:
        return
    raw = driver(connection)
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


def _copy_events(raw: psycopg.Connection[Any], rows: Rows) -> None:
    packed = []
    for event, fields in zip(rows.events, rows.canonical, strict=True):
        event_id, effective, recorded, entries, actor, party, actor_kind, kind = event[:8]
        subject, reason, detail = event[8:]
        packed.append(
            _EVENT_HEAD.pack(
                12, 8, event_id, 8, effective - PG_EPOCH_US, 8, recorded - PG_EPOCH_US, 2, entries
            )
            + bytes_cell(actor)
            + bytes_cell(party)
            + text_cell(actor_kind)
            + text_cell(kind)
            + text_cell(subject)
            + text_cell(reason)
            + text_cell(detail)
            + bytes_cell(leaf_hash(fields))
        )
    copy_in(raw, table="event", columns=_EVENT_COLUMNS, rows=packed)


def _entry_row(entry: tuple[Any, ...]) -> bytes:
    event_id, reverses_event, entry_no, line_count, reverses_entry, book, currency = entry
    return (
        struct.pack(">hiq", 7, 8, event_id)
        + (NULL if reverses_event is None else struct.pack(">iq", 8, reverses_event))
        + _ENTRY.pack(2, entry_no)
        + _ENTRY.pack(2, line_count)
        + (NULL if reverses_entry is None else _ENTRY.pack(2, reverses_entry))
        + text_cell(book)
        + text_cell(currency)
    )


def _line_rows(lines: Iterable[tuple[int, ...]]) -> Iterable[bytes]:
    pack = _LINE.pack
    for account_id, seq, event_id, amount, after, effective, recorded, entry_no, line_no in lines:
        yield pack(
            9,
            8,
            account_id,
            8,
            seq,
            8,
            event_id,
            8,
            amount,
            8,
            after,
            8,
            effective - PG_EPOCH_US,
            8,
            recorded - PG_EPOCH_US,
            2,
            entry_no,
            2,
            line_no,
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
