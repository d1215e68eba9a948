"""What the ledger refuses, and how a batch of drafts becomes rows: one draft after the other.

Pure: accounts come in as they stand under their locks, rows go out. An earlier draft of a batch
may fund a later one; a refused draft leaves no trace.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from kernel.errors import Refusal
from ledger.canonical import VERSION
from ledger.canonical import field as canonical
from ledger.chart import CHART
from ledger.model import AccountKey, Draft, Entry

MAX_EVENTS: Final = 16_384
"""Events of one batch: the ordinal takes the low 14 bits of an event's number (decision 0002)."""

MAX_LINES: Final = 1_000
"""Lines of one entry; more is a mistake or an attack."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST: Final = _EPOCH
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class InsufficientFunds(Refusal):
    """The account would leave its bounds: more would be taken than is there."""

    code = "ledger.insufficient_funds"


class Unbalanced(Refusal):
    """The lines of an entry do not sum to zero."""

    code = "ledger.unbalanced"


class BadEntry(Refusal):
    """An entry has two to a thousand lines, none zero, all in its own book and currency."""

    code = "ledger.bad_entry"


class UnknownKind(Refusal):
    """The chart has no such kind of account, or the kind wants a subject and has none."""

    code = "ledger.unknown_account_kind"


class AccountNotOpen(Refusal):
    """The account is frozen or closed and takes no line."""

    code = "ledger.account_not_open"


class PeriodNotOpen(Refusal):
    """The time at which the entry counts lies in a period that takes no entry."""

    code = "ledger.period_not_open"


class BadEffectiveAt(Refusal):
    """The time at which the entry counts must lie between the years 1970 and 2200."""

    code = "ledger.bad_effective_at"


@dataclass(slots=True)
class Standing:
    """One account under its lock; `decide` moves it on in memory.

    `newest_us` is the recorded time of its newest line in microseconds since 1970.
    """

    account_id: int
    code: str
    balance_minor: int
    line_count: int
    newest_us: int
    lowest_minor: int
    highest_minor: int
    is_open: bool
    canonical_code: str = field(init=False)
    was_line_count: int = field(init=False)

    def __post_init__(self) -> None:
        """Note where the account stood, to tell later whether it moved."""
        self.canonical_code = canonical(self.code)
        self.was_line_count = self.line_count


def microseconds(at: datetime) -> int:
    """Whole microseconds since 1970 of an aware time."""
    return (at - _EPOCH) // _MICROSECOND


def from_microseconds(us: int) -> datetime:
    """The aware UTC time of whole microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=us)


def check_draft(draft: Draft) -> None:
    """Refuse what needs no account to be seen: sums, sizes, books, currencies, times."""
    if not _EARLIEST <= draft.effective_at < _LATEST:
        raise BadEffectiveAt(effective_at=draft.effective_at.isoformat())
    for entry in draft.entries:
        _check_entry(entry)


def _check_entry(entry: Entry) -> None:
    if not 2 <= len(entry.lines) <= MAX_LINES:  # noqa: PLR2004  two sides make an entry
        raise BadEntry(lines=len(entry.lines))
    total = 0
    for (kind, subject, currency), amount_minor in entry.lines:
        row = CHART.get(kind)
        if row is None or bool(row.subject) != bool(subject):
            raise UnknownKind(kind=kind, subject=subject)
        if row.book is not entry.book or currency != entry.currency or amount_minor == 0:
            raise BadEntry(kind=kind, currency=currency, amount_minor=amount_minor)
        total += amount_minor
    if total != 0:
        raise Unbalanced(book=entry.book.value, currency=entry.currency, off_by_minor=total)


@dataclass(slots=True)
class Rows:
    """The rows that a batch writes. Times are microseconds since 1970; tuples in column order."""

    events: list[tuple[Any, ...]] = field(default_factory=list)
    entries: list[tuple[Any, ...]] = field(default_factory=list)
    lines: list[tuple[int, ...]] = field(default_factory=list)
    canonical: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch is given: its number, its tenant, and the first recorded time in use."""

    batch_id: int
    tenant: str
    recorded_us: int


def decide(
    drafts: Sequence[Draft], standings: Mapping[AccountKey, Standing], batch: Batch
) -> tuple[Rows, list[int | Refusal]]:
    """Take the drafts one after the other; their rows, and per draft its event id or its refusal.

    The drafts passed `check_draft`. The n-th accepted event is recorded n microseconds after
    `batch.recorded_us`.
    """
    rows = Rows()
    answers: list[int | Refusal] = []
    event_id = batch.batch_id << 14
    recorded_us = batch.recorded_us
    head = canonical(VERSION) + canonical(batch.tenant)
    for draft in drafts:
        effective_us = microseconds(draft.effective_at)
        refusal = _apply(draft, standings, rows, event_id, effective_us, recorded_us + 1)
        if refusal is not None:
            answers.append(refusal)
            continue
        recorded_us += 1
        rows.canonical[-1] = head + rows.canonical[-1]
        answers.append(event_id)
        event_id += 1
    return rows, answers


def _apply(
    draft: Draft,
    standings: Mapping[AccountKey, Standing],
    rows: Rows,
    event_id: int,
    effective_us: int,
    recorded_us: int,
) -> Refusal | None:
    lines: list[tuple[int, ...]] = []
    text = ""
    for entry_no, entry in enumerate(draft.entries, 1):
        reverses = entry.reverses
        text += (
            f"{len(str(entry_no))}:{entry_no},{canonical(entry.book.value)}"
            f"{canonical(entry.currency)}"
            f"{canonical(reverses and reverses.event_id)}{canonical(reverses and reverses.entry_no)}"
            f"{canonical(len(entry.lines))}"
        )
        for line_no, (key, amount) in enumerate(entry.lines, 1):
            standing = standings[key]
            after = standing.balance_minor + amount
            if not (standing.is_open and standing.lowest_minor <= after <= standing.highest_minor):
                _undo(draft, standings, len(lines))
                return _why(standing, amount)
            seq = standing.line_count + 1
            standing.balance_minor = after
            standing.line_count = seq
            lines.append(
                (
                    standing.account_id,
                    seq,
                    event_id,
                    amount,
                    after,
                    effective_us,
                    recorded_us,
                    entry_no,
                    line_no,
                )
            )
            a, b, c = str(amount), str(seq), str(after)
            text += f"{standing.canonical_code}{len(a)}:{a},{len(b)}:{b},{len(c)}:{c},"
    for entry in draft.entries:
        for key, _ in entry.lines:
            standings[key].newest_us = recorded_us
    _add_event(draft, rows, event_id, effective_us, recorded_us, text)
    rows.lines += lines
    return None


def _undo(draft: Draft, standings: Mapping[AccountKey, Standing], lines: int) -> None:
    """Take back the first `lines` lines of a draft that turned out to be refused."""
    for entry in draft.entries:
        for key, amount in entry.lines:
            if lines == 0:
                return
            standings[key].balance_minor -= amount
            standings[key].line_count -= 1
            lines -= 1


def _why(standing: Standing, amount: int) -> Refusal:
    if not standing.is_open:
        return AccountNotOpen(account=standing.code)
    return InsufficientFunds(
        account=standing.code, balance_minor=standing.balance_minor, amount_minor=amount
    )


def _add_event(
    draft: Draft, rows: Rows, event_id: int, effective_us: int, recorded_us: int, text: str
) -> None:
    actor = draft.actor
    detail = orjson.dumps(draft.detail, option=orjson.OPT_SORT_KEYS).decode() if draft.detail else ""
    entry_count = len(draft.entries)
    party_id = None if actor.party_id is None else str(actor.party_id)
    rows.canonical.append(
        f"{canonical(event_id)}{canonical(draft.kind)}{canonical(draft.subject)}"
        f"{canonical(actor.kind.value)}{canonical(str(actor.principal_id))}{canonical(party_id)}"
        f"{canonical(effective_us)}{canonical(recorded_us)}{canonical(draft.reason)}"
        f"{canonical(detail)}{canonical(entry_count)}{text}"
    )
    rows.events.append(
        (
            event_id,
            effective_us,
            recorded_us,
            entry_count,
            actor.principal_id.bytes,
            None if actor.party_id is None else actor.party_id.bytes,
            actor.kind.value,
            draft.kind,
            draft.subject,
            draft.reason,
            detail,
        )
    )
    for entry_no, entry in enumerate(draft.entries, 1):
        reverses = entry.reverses
        rows.entries.append(
            (
                event_id,
                reverses and reverses.event_id,
                entry_no,
                len(entry.lines),
                reverses and reverses.entry_no,
                entry.book.value,
                entry.currency,
            )
        )
