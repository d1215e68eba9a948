"""What the accounting exports read of the books, and what they leave behind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import NamedTuple, Protocol
from uuid import UUID


class AsKnown(Protocol):
    """How far the books are read: the journal up to and including `journal_no`, no further.

    `ledger.known.Known` is one.
    """

    @property
    def journal_no(self) -> int:
        """The last journal number that counts; 0 where nothing is sealed yet."""
        ...


Period = tuple[date, date]
"""First and last day, both included: UTC days of `effective_at`."""

Totals = Mapping[str, tuple[int, int]]
"""Currency -> (debit, credit), both positive, in minor units."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file of an export.

    `name` is its path below the folder of the export, with `/`. `rows` counts records, without a
    heading. `totals` sums what its rows debit and credit, by currency; empty where they do neither.
    """

    name: str
    rows: int
    sha256: str
    totals: Totals = field(default_factory=lambda: MappingProxyType({}))


class Span(NamedTuple):
    """The days of an export, first and last included, and when the last of it was recorded."""

    tenant: str
    first_on: date
    last_on: date
    recorded_on: date


class JournalLine(NamedTuple):
    """One line with the entry and the event it belongs to.

    `book_no` is the gapless number of the entry in its book. `reverses_*` names the entry that this
    one undoes, `reversed_by_*` the one that undid it, as far as the journal is read.
    `manual_detail` is the event's detail where it is a manual journal, else empty.
    """

    journal_no: int
    event_id: int
    event_kind: str
    event_subject: str
    reason: str
    actor_id: UUID
    actor_kind: str
    effective_at: datetime
    recorded_at: datetime
    entry_no: int
    book: str
    book_no: int
    currency: str
    line_count: int
    reverses_book_no: int | None
    reverses_journal_no: int | None
    reversed_by_book_no: int | None
    reversed_by_journal_no: int | None
    line_no: int
    account: str
    account_kind: str
    nature: str
    account_subject: str
    account_seq: int
    amount_minor: int
    balance_after_minor: int
    manual_detail: str


class JournalEvent(NamedTuple):
    """One event of the log; `detail` is the text it was hashed as."""

    journal_no: int
    event_id: int
    kind: str
    subject: str
    actor_id: UUID
    actor_kind: str
    party_id: UUID | None
    effective_at: datetime
    recorded_at: datetime
    reason: str
    detail: str
    entry_count: int
    leaf_hash: str


class NamedAccount(NamedTuple):
    """One account; `kept_per` says what its subject is."""

    code: str
    book: str
    kind: str
    nature: str
    kept_per: str
    subject: str
    currency: str


class AccountSums(NamedTuple):
    """What stood on an account before the span (signed), and what moved in it, in minor units."""

    account: NamedAccount
    opening_minor: int
    debit_minor: int
    credit_minor: int
    lines: int

    @property
    def closing_minor(self) -> int:
        """What stands on it at the end of the span; debit positive."""
        return self.opening_minor + self.debit_minor - self.credit_minor


class MonthSums(NamedTuple):
    """What an account moved in a month, named by its first day; None: before the span."""

    account: NamedAccount
    month: date | None
    debit_minor: int
    credit_minor: int


class Actor(NamedTuple):
    """Who caused entries of a book."""

    book: str
    actor_id: UUID
    actor_kind: str
