"""What people read from the books: accounts, account extracts, events, entries, trial balance.

Amounts are signed like lines: debit positive. Call these in one snapshot (`database.snapshot`), so
that a page and its balances belong together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection

from ledger import store_reads as store


@dataclass(frozen=True, slots=True)
class AccountView:
    """One account as it stands. `kept_per` says what its subject is: slot, party, payee, ..."""

    id: int
    kind: str
    subject: str
    currency: str
    book: str
    nature: str
    kept_per: str
    state: str
    balance_minor: int
    line_count: int
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class ExtractLine:
    """One line of an account's extract, with the balance behind it and the event it hangs on."""

    account_seq: int
    event_id: int
    entry_no: int
    line_no: int
    amount_minor: int
    balance_after_minor: int
    effective_at: datetime
    recorded_at: datetime
    event_kind: str
    event_subject: str


@dataclass(frozen=True, slots=True)
class EventView:
    """One event of the log."""

    id: int
    kind: str
    subject: str
    actor_id: UUID
    actor_kind: str
    party_id: UUID | None
    effective_at: datetime
    recorded_at: datetime
    reason: str
    detail: Mapping[str, Any]
    entry_count: int
    leaf_hash: str
    journal_no: int | None
    """Its place in the journal; None until it is sealed, seconds after its commit."""


@dataclass(frozen=True, slots=True)
class LineView:
    """One line of a journal entry. `account` is the account's name in words."""

    line_no: int
    account_id: int
    account: str
    amount_minor: int
    balance_after_minor: int


@dataclass(frozen=True, slots=True)
class EntryView:
    """One journal entry with its lines. `reverses` names the entry that it undoes."""

    event_id: int
    entry_no: int
    book: str
    currency: str
    reverses: tuple[int, int] | None
    lines: tuple[LineView, ...]


@dataclass(frozen=True, slots=True)
class TrialRow:
    """All accounts of one kind in one currency; debit and credit balances apart."""

    book: str
    kind: str
    nature: str
    currency: str
    accounts: int
    debit_minor: int
    credit_minor: int


@dataclass(frozen=True, slots=True)
class TrialTotal:
    """The two columns of one book in one currency; they are equal, or the books are broken."""

    book: str
    currency: str
    debit_minor: int
    credit_minor: int


def list_accounts(
    connection: Connection,
    *,
    kind: str | None = None,
    subjects: Sequence[str] | None = None,
    currency: str | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[AccountView]:
    """Accounts in the order of their numbers; the filters are literal."""
    rows = store.fetch_all(
        connection,
        store.LIST_ACCOUNTS,
        kind=kind,
        subjects=None if subjects is None else list(subjects),
        currency=currency,
        after=after,
        limit=limit,
    )
    return [AccountView(*row) for row in rows]


def find_account(connection: Connection, account_id: int) -> AccountView | None:
    """One account by its number."""
    rows = store.fetch_all(connection, store.FIND_ACCOUNT, id=account_id)
    return AccountView(*rows[0]) if rows else None


def list_lines(
    connection: Connection, account_id: int, *, after: int = 0, limit: int = 100
) -> list[ExtractLine]:
    """The extract of an account: its lines in order, from the one behind `after` on."""
    rows = store.fetch_all(
        connection, store.LIST_LINES, account_id=account_id, after=after, limit=limit
    )
    return [ExtractLine(*row) for row in rows]


def list_events(
    connection: Connection, *, subject: str | None = None, after: int = 0, limit: int = 100
) -> list[EventView]:
    """Events in the order of their numbers, all or those of one subject.

    A number may become visible after a higher one: who must miss none reads by `journal_no`.
    """
    statement = store.LIST_EVENTS if subject is None else store.LIST_EVENTS_OF
    rows = store.fetch_all(connection, statement, subject=subject, after=after, limit=limit)
    return [_event(row) for row in rows]


def list_journal(connection: Connection, *, after: int = 0, limit: int = 100) -> list[EventView]:
    """Sealed events in the order of the journal: nothing is ever put in before its end."""
    rows = store.fetch_all(connection, store.LIST_JOURNAL, after=after, limit=limit)
    return [_event(row) for row in rows]


def find_event(connection: Connection, event_id: int) -> EventView | None:
    """One event by its number."""
    rows = store.fetch_all(connection, store.FIND_EVENT, id=event_id)
    return _event(rows[0]) if rows else None


def list_entries(
    connection: Connection,
    *,
    event_id: int | None = None,
    after: tuple[int, int] = (0, 0),
    limit: int = 100,
) -> list[EntryView]:
    """Journal entries with their lines, of all events or of one; a page begins `after`."""
    rows = store.fetch_all(
        connection,
        store.LIST_ENTRIES,
        event_id=event_id,
        after_event=after[0],
        after_entry=after[1],
        limit=limit,
    )
    lines: dict[tuple[int, int], list[LineView]] = {}
    events = sorted({row.event_id for row in rows})
    for row in store.fetch_all(connection, store.LIST_LINES_OF, events=events):
        lines.setdefault((row.event_id, row.entry_no), []).append(LineView(*row[2:]))
    return [
        EntryView(
            event_id=row.event_id,
            entry_no=row.entry_no,
            book=row.book,
            currency=row.currency,
            reverses=None
            if row.reverses_event_id is None
            else (row.reverses_event_id, row.reverses_entry_no),
            lines=tuple(lines[row.event_id, row.entry_no]),
        )
        for row in rows
    ]


def trial_balance(connection: Connection) -> tuple[list[TrialRow], list[TrialTotal]]:
    """Balances by kind and currency, and the totals of each book and currency."""
    rows = [
        TrialRow(*[*row[:5], int(row.debit_minor), int(row.credit_minor)])
        for row in store.fetch_all(connection, store.TRIAL_BALANCE)
    ]
    totals: dict[tuple[str, str], tuple[int, int]] = {}
    for row in rows:
        debit, credit = totals.get((row.book, row.currency), (0, 0))
        totals[row.book, row.currency] = debit + row.debit_minor, credit + row.credit_minor
    return rows, [TrialTotal(*name, *sums) for name, sums in sorted(totals.items())]


def _event(row: Sequence[Any]) -> EventView:
    cells = list(row)
    cells[9] = orjson.loads(row[9]) if row[9] else {}
    return EventView(*cells)
