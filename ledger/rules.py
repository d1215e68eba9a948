"""What the ledger refuses, and how a batch of drafts is decided: one draft after the other.

Pure: accounts come in as they stand under their locks, moves go out. An earlier draft of a batch
may fund a later one; a refused draft leaves no trace.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from kernel.errors import Refusal
from kernel.money import EXPONENTS, UnknownCurrency
from ledger.chart import CHART, AccountKind, names_account
from ledger.model import AccountKey, Draft, Entry

MAX_EVENTS: Final = 16_384
"""Events of one batch: the ordinal takes the low 14 bits of an event's number (decision 0002)."""

MAX_ENTRIES: Final = 1_000
"""Entries of one event."""

MAX_LINES: Final = 1_000
"""Lines of one entry; more is a mistake or an attack."""

_BIGINT: Final = 2**63

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
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

    `newest_us` is the recorded time of its newest line in microseconds since 1970, 0 for none.
    """

    code: str
    account_id: int
    balance_minor: int
    line_count: int
    newest_us: int
    lowest_minor: int
    highest_minor: int
    is_open: bool
    was_line_count: int = 0


Move = tuple[Standing, int, int, int]
"""One line of an accepted draft: account, amount_minor, account_seq, balance_after_minor."""

Accepted = tuple[Draft, int, int, int, list[Move]]
"""One accepted draft: it, its event id, effective and recorded time in microseconds since 1970,
and its moves in line order. A bare tuple, since every event of a batch makes one (decision 0002).
"""


class Batch(NamedTuple):
    """What a batch is given: its number, its tenant, and the newest recorded time in use."""

    batch_id: int
    tenant: str
    recorded_us: int


def microseconds(at: datetime) -> int:
    """Whole microseconds since 1970 of an aware time."""
    return (at - _EPOCH) // _MICROSECOND


def check_draft(draft: Draft) -> None:
    """Refuse what needs no account to be seen: sums, sizes, books, currencies, times."""
    if not _EPOCH <= draft.effective_at < _LATEST:
        raise BadEffectiveAt(effective_at=draft.effective_at.isoformat())
    if len(draft.entries) > MAX_ENTRIES:
        raise BadEntry(entries=len(draft.entries))
    for entry in draft.entries:
        _check_entry(entry)


def _check_entry(entry: Entry) -> None:
    lines = entry.lines
    if not 2 <= len(lines) <= MAX_LINES:
        raise BadEntry(lines=len(lines))
    if entry.currency not in EXPONENTS:
        raise UnknownCurrency(currency=entry.currency)
    total = 0
    for key, amount_minor in lines:
        row = CHART.get(key.kind)
        if row is None or (row.subject == "") is not (key.subject == ""):
            row = _kind_of_twin(row, key)
        if row.book is not entry.book or key.currency != entry.currency:
            raise BadEntry(kind=key.kind, currency=key.currency)
        if amount_minor == 0 or not -_BIGINT < amount_minor < _BIGINT:
            raise BadEntry(kind=key.kind, amount_minor=amount_minor)
        total += amount_minor
    if total != 0:
        raise Unbalanced(book=entry.book.value, currency=entry.currency, off_by_minor=total)


def _kind_of_twin(row: AccountKind | None, key: AccountKey) -> AccountKind:
    """The only subject of a kind that takes none is that of its reserved twin."""
    if row is None or not names_account(row, key.subject):
        raise UnknownKind(kind=key.kind, subject=key.subject)
    return row


def decide(
    drafts: Sequence[Draft], standings: Mapping[str, Standing], batch: Batch, *, first: int = 0
) -> tuple[list[Accepted], list[int | Refusal]]:
    """Take the drafts one after the other; what is accepted, and per draft its event or refusal.

    The drafts passed `check_draft`. The n-th accepted event is recorded n microseconds after
    `batch.recorded_us`; `first` events of the batch are there already.
    """
    accepted: list[Accepted] = []
    answers: list[int | Refusal] = []
    event_id = (batch.batch_id << 14) + first
    recorded_us = batch.recorded_us + 1 + first
    last_at, effective_us = _EPOCH, 0
    for draft in drafts:
        if draft.effective_at is not last_at:
            last_at, effective_us = draft.effective_at, microseconds(draft.effective_at)
        moves = _move(draft, standings, recorded_us)
        if isinstance(moves, Refusal):
            answers.append(moves)
            continue
        accepted.append((draft, event_id, effective_us, recorded_us, moves))
        answers.append(event_id)
        event_id += 1
        recorded_us += 1
    return accepted, answers


def _move(
    draft: Draft, standings: Mapping[str, Standing], recorded_us: int
) -> list[Move] | Refusal:
    """Apply the lines of a draft in order; all of them, or none and the reason."""
    moves: list[Move] = []
    for entry in draft.entries:
        for key, amount in entry.lines:
            standing = standings[key]
            after = standing.balance_minor + amount
            if not (standing.lowest_minor <= after <= standing.highest_minor and standing.is_open):
                refusal = _why(standing, amount)
                for moved, taken, _, _ in moves:
                    moved.balance_minor -= taken
                    moved.line_count -= 1
                return refusal
            standing.balance_minor = after
            standing.line_count = seq = standing.line_count + 1
            moves.append((standing, amount, seq, after))
    for moved, _, _, _ in moves:
        moved.newest_us = recorded_us
    return moves


def _why(standing: Standing, amount: int) -> Refusal:
    if not standing.is_open:
        return AccountNotOpen(account=standing.code)
    return InsufficientFunds(
        account=standing.code, balance_minor=standing.balance_minor, amount_minor=amount
    )
