"""Rows of the books written by hand: drawn up right, so that a test can spoil one thing in them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

Row = dict[str, Any]
Legs = Sequence[tuple[str, int]]

NOON: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
RECORDED: Final = datetime(2026, 3, 2, 13, tzinfo=UTC)
BANK: Final = "custody.bank[] EUR"
SUSPENSE: Final = "custody.suspense[] EUR"

_ACCOUNT: Final = """
SELECT id, code, balance_minor, line_count, book, currency
FROM account WHERE code = :code
"""
_OPEN: Final = """
INSERT INTO account (code, kind, subject, currency, book, lowest_minor, highest_minor, mirror)
SELECT :code, kind, :subject, :currency, book, lowest_minor, highest_minor, mirror
FROM account_kind WHERE kind = :kind
ON CONFLICT DO NOTHING
"""
STAND: Final = """
UPDATE account SET balance_minor = :balance_minor, line_count = :line_count,
                   newest_recorded_at = :newest_recorded_at
WHERE id = :id
"""


@dataclass
class Rows:
    """One batch as it will be inserted; `standings` is what its accounts are moved to."""

    batch: Row
    events: list[Row]
    entries: list[Row]
    lines: list[Row]
    standings: list[Row]

    def line(self, number: int = 0) -> Row:
        """A line by its place, the first one unless told."""
        return self.lines[number]

    def standing_of(self, line: Row) -> Row:
        """What the account of a line is moved to."""
        return next(row for row in self.standings if row["id"] == line["account_id"])


def open_account(connection: Connection, code: str) -> None:
    """Open an account by its whole name, unless it is there."""
    name, _, currency = code.rpartition(" ")
    kind, _, subject = name.rstrip("]").partition("[")
    parts = {"code": code, "kind": kind, "subject": subject, "currency": currency}
    connection.execute(text(_OPEN), parts)


def draw(
    connection: Connection,
    *events: Sequence[Legs],
    recorded_at: datetime = RECORDED,
    effective_at: datetime = NOON,
) -> Rows:
    """One batch of events, each a list of entries, each a list of (account, amount); all right.

    An entry takes book and currency of its first account. The accounts are opened where they lack.
    """
    codes = dict.fromkeys(code for event in events for legs in event for code, _ in legs)
    for code in codes:
        open_account(connection, code)
    standings = {
        code: dict(connection.execute(text(_ACCOUNT), {"code": code}).mappings().one())
        for code in codes
    }
    batch_id = connection.execute(text("SELECT nextval('batch_id_seq')")).scalar_one()
    counts = {"event_count": len(events), "entry_count": 0, "line_count": 0}
    rows = Rows({"id": batch_id, **counts}, [], [], [], list(standings.values()))
    for ordinal, event in enumerate(events):
        event_id = (batch_id << 14) + ordinal
        times = {
            "effective_at": effective_at,
            "recorded_at": recorded_at + timedelta(microseconds=ordinal),
        }
        rows.events.append(_event(event_id, len(event), times))
        for entry_no, legs in enumerate(event, 1):
            first = standings[legs[0][0]]
            rows.entries.append(_entry(event_id, entry_no, legs, first))
            for line_no, (code, amount) in enumerate(legs, 1):
                place = {"event_id": event_id, "entry_no": entry_no, "line_no": line_no}
                rows.lines.append(_move(standings[code], amount) | place | times)
    rows.batch |= {"entry_count": len(rows.entries), "line_count": len(rows.lines)}
    for line in rows.lines:
        rows.standing_of(line)["newest_recorded_at"] = line["recorded_at"]
    return rows


def _event(event_id: int, entry_count: int, times: Row) -> Row:
    return {
        "id": event_id,
        **times,
        "entry_count": entry_count,
        "actor_id": UUID(int=1),
        "actor_kind": "system",
        "kind": "test.moved",
        "subject": "",
        "reason": "",
        "detail": "",
        "leaf_hash": bytes(32),
    }


def _entry(event_id: int, entry_no: int, legs: Legs, first: Row) -> Row:
    return {
        "event_id": event_id,
        "entry_no": entry_no,
        "line_count": len(legs),
        "book": first["book"],
        "currency": first["currency"],
    }


def _move(standing: Row, amount_minor: int) -> Row:
    """One more line of an account, in memory."""
    standing["balance_minor"] += amount_minor
    standing["line_count"] += 1
    return {
        "account_id": standing["id"],
        "account_seq": standing["line_count"],
        "amount_minor": amount_minor,
        "balance_after_minor": standing["balance_minor"],
    }


def insert(connection: Connection, table: str, rows: Sequence[Row]) -> None:
    """Insert rows as they are, all columns by name."""
    for row in rows:
        names = ", ".join(row)
        values = ", ".join(f":{name}" for name in row)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)


def announce(connection: Connection, rows: Rows) -> None:
    """Insert the header of a batch, and the row by which the sealer finds it."""
    insert(connection, "batch", [rows.batch])
    insert(connection, "unsealed", [{"batch_id": rows.batch["id"]}])


def write(connection: Connection, rows: Rows) -> None:
    """Write a batch whole and move its accounts; its deferred checks still wait."""
    announce(connection, rows)
    insert(connection, "event", rows.events)
    insert(connection, "entry", rows.entries)
    insert(connection, "line", rows.lines)
    for standing in rows.standings:
        connection.execute(text(STAND), standing)


def check(connection: Connection) -> None:
    """Let the checks run that wait for the commit."""
    connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")


def transfer(amount_minor: int = 100, *, wallet: str = "custody.wallet[ann] EUR") -> list[Legs]:
    """One entry: so much from the bank into a wallet."""
    return [[(BANK, amount_minor), (wallet, -amount_minor)]]


@contextmanager
def refuses(connection: Connection, *codes: str) -> Iterator[None]:
    """What stands inside is refused by the database, now or at commit, and rolled back.

    The SQLSTATE begins with one of `codes`; without them it is one of the guards' own, `HF...`.
    """
    savepoint = connection.begin_nested()
    try:
        yield
        check(connection)
    except (DBAPIError, psycopg.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
    else:
        pytest.fail("the database took it")
    savepoint.rollback()
    assert isinstance(cause, psycopg.Error)
    assert (cause.sqlstate or "").startswith(codes or ("HF",)), cause
