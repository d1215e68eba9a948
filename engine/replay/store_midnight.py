"""What a replay counts at midnight and at its end: new lines by account, totals, the digest."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from sqlalchemy import Connection

from kernel.database import driver

_FIND_NEWEST: Final = "SELECT coalesce(max(id), 0) FROM batch"

_LIST_FRESH: Final = """
SELECT f.account_id, a.code, a.kind, a.currency, f.added, f.lines, a.balance_minor, a.line_count
FROM (
    SELECT account_id, sum(amount_minor)::bigint AS added, count(*) AS lines
    FROM line WHERE event_id > %s AND event_id <= %s GROUP BY account_id
) f
JOIN account a ON a.id = f.account_id
"""

_LIST_TOTALS: Final = """
SELECT kind, currency, sum(balance_minor)::bigint FROM account GROUP BY kind, currency
"""

_LIST_FAILED: Final = """
SELECT kind, subject FROM timer WHERE failed_times > 0 ORDER BY kind, subject
"""

# Weeks, periods and refunds have ids of their own in every run: they are named by their contract.
_LIST_BALANCES: Final = """
SELECT a.kind || ' ' || coalesce(
        own.term_id || '/' || own.seq, back.term_id || '/' || back.seq || '/refund', a.subject
    ) || ' ' || a.currency AS name, sum(a.balance_minor)::bigint
FROM account a
LEFT JOIN slot own ON own.id::text = a.subject
LEFT JOIN refund r ON r.id::text = a.subject
LEFT JOIN slot back ON back.id = r.slot_id
WHERE a.balance_minor <> 0
GROUP BY 1 ORDER BY 1
"""

_BATCH_BITS: Final = 14


class Fresh(NamedTuple):
    """An account with new lines: what they add, and what its row says."""

    account_id: int
    code: str
    kind: str
    currency: str
    added_minor: int
    added_lines: int
    balance_minor: int
    line_count: int


def find_newest_event(connection: Connection) -> int:
    """The highest number that an event of the newest batch can have."""
    newest: int = connection.exec_driver_sql(_FIND_NEWEST).scalar_one()
    return ((newest + 1) << _BATCH_BITS) - 1


def list_fresh(connection: Connection, *, after: int, until: int) -> Iterator[Fresh]:
    """Accounts with lines of events after one number and up to another."""
    rows = driver(connection).execute(_LIST_FRESH, (after, until), prepare=False)
    return (Fresh(*row) for row in rows)


def list_totals(connection: Connection) -> dict[tuple[str, str], int]:
    """The sum of all balances by kind and currency."""
    rows = connection.exec_driver_sql(_LIST_TOTALS)
    return {(row[0], row[1]): row[2] for row in rows}


def list_failed(connection: Connection) -> list[tuple[str, str]]:
    """(kind, subject) of timers whose handler failed, and that wait to be tried again."""
    return [(row[0], row[1]) for row in connection.exec_driver_sql(_LIST_FAILED)]


def digest_balances(connection: Connection) -> str:
    """SHA-256 over all balances but zero, by kind, whose it is, and currency."""
    rows = connection.exec_driver_sql(_LIST_BALANCES)
    text = "\n".join(f"{row[0]} {row[1]}" for row in rows)
    return sha256(text.encode()).hexdigest()
