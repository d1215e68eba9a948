"""What the ledger takes and gives: accounts by name, lines, journal entries, drafts of events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self

from kernel.principals import Actor

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Book(StrEnum):
    """The two books of a tenant; no journal entry ever touches both."""

    CUSTODY = "custody"
    PLATFORM = "platform"


class AccountKey(str):
    """The natural name of an account: `custody.wallet[0190...] EUR`.

    One kind of the chart, one subject, one currency. `subject` is the slot, party, payout, ... that
    the kind asks for; empty where it asks for none. It is a text, so that looking an account up by
    its name costs what a text costs (decision 0002). Make keys with `ledger.chart.account`.
    """

    __slots__ = ("currency", "kind", "subject")

    kind: str
    subject: str
    currency: str

    def __new__(cls, kind: str, subject: str, currency: str) -> Self:
        """Spell the name out, and keep its three parts beside it."""
        key = super().__new__(cls, f"{kind}[{subject}] {currency}")
        key.kind = kind
        key.subject = subject
        key.currency = currency
        return key

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str]]:
        """Copy and pickle by the three parts."""
        return type(self), (self.kind, self.subject, self.currency)

    @property
    def code(self) -> str:
        """The name as the database and the reports write it."""
        return str(self)


class Line(NamedTuple):
    """One line of a journal entry: debit positive, credit negative, in minor units, never zero."""

    account: AccountKey
    amount_minor: int


@dataclass(frozen=True, slots=True)
class EntryRef:
    """Names one journal entry: the event it hangs on, and its number there (from 1)."""

    event_id: int
    entry_no: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A balanced set of lines in one book and one currency.

    Two currencies are two entries bridged by `custody.fx`, so an entry always sums to zero by
    itself. `reverses` names the entry that this one mirrors, line by line.
    """

    book: Book
    currency: str
    lines: tuple[Line, ...]
    reverses: EntryRef | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """One event with all its journal entries: accepted or refused whole.

    `kind` is what happened (`slot.released`), `subject` to what (`slot:0190...`), `reason` why, in
    the actor's words where he gave any. `detail` holds the facts an auditor needs and the lines do
    not show: plain JSON values, no personal data.
    """

    kind: str
    subject: str
    actor: Actor
    effective_at: datetime
    entries: tuple[Entry, ...] = ()
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


class Posted(NamedTuple):
    """An accepted draft: its event's number, and when the books knew it (microseconds of 1970)."""

    event_id: int
    recorded_us: int

    @property
    def recorded_at(self) -> datetime:
        """When the books knew it, in UTC."""
        return _EPOCH + timedelta(microseconds=self.recorded_us)
