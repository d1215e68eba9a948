"""Held money by age and by what it waits for, and sub-ledgers against their control accounts."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection

from kernel.money import to_json
from ledger import asof
from ledger import store_reports as store
from ledger.chart import CHART
from ledger.known import Known
from ledger.reports import Header, Json, Span, header
from ledger.store_reports import HeldPart, ListedAccount, Owed

HELD_KINDS: Final = ("custody.escrow", "custody.escrow_disputed")
"""Money held for a slot."""

BUCKETS: Final = (1, 3, 7, 30, 60)
"""Upper bounds of the ages in days: 0-1, 1-3, 3-7, 7-30, 30-60, over 60."""

BUCKET_NAMES: Final = ("0-1", "1-3", "3-7", "7-30", "30-60", "over 60")

AWAITED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "slot.funded": "submission",
        "slot.rolled_in": "submission",
        "slot.changes_requested": "submission",
        "slot.submission_withdrawn": "submission",
        "slot.partly_released": "submission",
        "slot.submitted": "approval",
        "slot.refund_requested": "answer to a refund request",
        "slot.dormant": "decision on a dormant slot",
        "slot.adopted": "first step after adoption",
    }
)
"""Kind of the newest event about a slot -> what is awaited. Other events leave it as it was."""

UNTOLD: Final = "not told by an event"
OUT_BEFORE_IN: Final = "nothing: it went out before it came in"
"""Where back-dating lets money go out at an earlier time than it came: below zero, aged zero."""

_PAGE: Final = 1_000
_DAY: Final = timedelta(days=1)
_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class AgedSum:
    """Held money of one kind and currency that waits for one thing, by age."""

    kind: str
    currency: str
    awaited: str
    slots: int
    by_age_minor: tuple[int, ...]

    @property
    def held_minor(self) -> int:
        """All ages together."""
        return sum(self.by_age_minor)

    def as_json(self) -> Json:
        """The sums with stable keys; ages are in days."""
        return {
            "kind": self.kind,
            "currency": self.currency,
            "awaited": self.awaited,
            "slots": self.slots,
            "by_age_days": {
                name: to_json(minor, self.currency)
                for name, minor in zip(BUCKET_NAMES, self.by_age_minor, strict=True)
            },
            "held": to_json(self.held_minor, self.currency),
        }


@dataclass(frozen=True, slots=True)
class Liability:
    """What is held of a kind and currency by age, against the liability in the trial balance."""

    kind: str
    currency: str
    held_minor: int
    control_minor: int

    def as_json(self) -> Json:
        """The control with stable keys."""
        return {
            "kind": self.kind,
            "currency": self.currency,
            "held": to_json(self.held_minor, self.currency),
            "control": to_json(self.control_minor, self.currency),
            "ties": self.held_minor == self.control_minor,
        }


@dataclass(frozen=True, slots=True)
class Ageing:
    """Held money by age and awaited event, which together are the escrow liability."""

    header: Header
    rows: tuple[AgedSum, ...]
    controls: tuple[Liability, ...]

    @property
    def ties(self) -> bool:
        """Whether the ages add up to the liability in the books."""
        return all(each.held_minor == each.control_minor for each in self.controls)

    def as_json(self) -> Json:
        """The report with stable keys."""
        return {"header": self.header.as_json(), **_ageing_body(self.rows, self.controls)}


@dataclass(frozen=True, slots=True)
class Tie:
    """The accounts of one kind and currency summed one by one, against the control. Signed."""

    kind: str
    currency: str
    accounts: int
    accounts_minor: int
    control_minor: int

    @property
    def difference_minor(self) -> int:
        """What the accounts have more than the control: zero, or the books are broken."""
        return self.accounts_minor - self.control_minor

    def as_json(self) -> Json:
        """The tie with stable keys."""
        return {
            "kind": self.kind,
            "kept_per": CHART[self.kind].subject,
            "currency": self.currency,
            "accounts": self.accounts,
            "sub_ledger": to_json(self.accounts_minor, self.currency),
            "control": to_json(self.control_minor, self.currency),
            "difference": to_json(self.difference_minor, self.currency),
        }


@dataclass(frozen=True, slots=True)
class SlotBreak:
    """A slot that says it holds another amount than its accounts owe."""

    slot: str
    currency: str
    said_minor: int
    owed_minor: int

    def as_json(self) -> Json:
        """The break with stable keys."""
        return {
            "slot": self.slot,
            "currency": self.currency,
            "slot_says": to_json(self.said_minor, self.currency),
            "accounts_owe": to_json(self.owed_minor, self.currency),
        }


@dataclass(frozen=True, slots=True)
class TieOut:
    """Every sub-ledger against its control account; `breaks` are those that differ.

    `slot_breaks` are the slots whose own figure is not that of their accounts; None where the deals
    were not asked, since they have figures of now and no history.
    """

    header: Header
    rows: tuple[Tie, ...]
    slot_breaks: tuple[SlotBreak, ...] | None

    @property
    def breaks(self) -> tuple[Tie, ...]:
        """The sub-ledgers that do not tie."""
        return tuple(each for each in self.rows if each.difference_minor)

    @property
    def ties(self) -> bool:
        """Whether nothing differs."""
        return not self.breaks and not self.slot_breaks

    def as_json(self) -> Json:
        """The report with stable keys."""
        return {"header": self.header.as_json(), **_tie_body(self.rows, self.slot_breaks)}


def just_after(at: datetime) -> datetime:
    """The upper bound that leaves out nothing of this instant: bounds are not included."""
    return at + _TICK


def ageing(connection: Connection, *, known: Known, effective_at: datetime) -> Ageing:
    """What is held for slots before a time: since when, and what it waits for.

    The age of money runs from the effective time of the credit it came by to `effective_at`; what
    went out is taken from the oldest (first in, first out). Money of a dispute has the age of the
    dispute. What is awaited follows from the newest event about the slot (`AWAITED`).
    """
    span = Span(end=effective_at)
    sums: dict[tuple[str, str, str], list[int]] = {}
    for accounts in _pages(connection, known, HELD_KINDS):
        owed, listed = _owed(connection, sums, accounts, effective_at)
        parts = store.list_held(connection, owed, known, before=effective_at, kinds=sorted(AWAITED))
        _add(sums, parts, listed, effective_at)
    rows = tuple(
        AgedSum(kind, currency, awaited, slots, tuple(ages))
        for (kind, currency, awaited), (slots, *ages) in sorted(sums.items())
    )
    controls = tuple(_liabilities(connection, rows, known, effective_at))
    arguments = {"effective_at": span.as_json()["effective_at"]}
    head = header("ageing", arguments, known, _ageing_body(rows, controls))
    return Ageing(head, rows, controls)


def tie_out(
    connection: Connection,
    *,
    known: Known,
    effective_at: datetime | None = None,
    said: Iterable[tuple[str, str, int]] | None = None,
) -> TieOut:
    """Sum every account by its own chain, and compare each kind with its control total.

    The accounts are read from their chains and cells, the control from the cells of the journal:
    two ways that share no row but the lines themselves.

    Args:
        connection: in one snapshot.
        known: the prefix of the journal.
        effective_at: what counts before it.
        said: slot, currency and what the slot itself says it holds now; for a question about now.
    """
    is_now = known.provisional and effective_at is None
    assert said is None or is_now
    control = _controls(connection, known, effective_at)
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    owed: dict[tuple[str, str], int] = {}
    for accounts in _pages(connection, known, None):
        ends = asof.turnovers(connection, [(each.known, effective_at) for each in accounts])
        for each, end in zip(accounts, ends, strict=True):
            if end.line_count:
                count, minor = sums.get((each.kind, each.currency), (0, 0))
                sums[each.kind, each.currency] = count + 1, minor + end.balance_minor
            if end.balance_minor and each.kind in HELD_KINDS:
                name = each.subject.partition(":")[0], each.currency
                owed[name] = owed.get(name, 0) - end.balance_minor
    rows = tuple(
        _tie(name, sums.get(name, (0, 0)), control.get(name, 0))
        for name in sorted(control.keys() | sums.keys())
    )
    slots = None if said is None else _slot_breaks(said, owed)
    arguments = {"effective_at": Span(end=effective_at).as_json()["effective_at"]}
    return TieOut(header("tie_out", arguments, known, _tie_body(rows, slots)), rows, slots)


def _slot_breaks(
    said: Iterable[tuple[str, str, int]], owed: Mapping[tuple[str, str], int]
) -> tuple[SlotBreak, ...]:
    claims = {(slot, currency): minor for slot, currency, minor in said}
    return tuple(
        SlotBreak(*name, claims.get(name, 0), owed.get(name, 0))
        for name in sorted(claims.keys() | owed.keys())
        if claims.get(name, 0) != owed.get(name, 0)
    )


def _tie(name: tuple[str, str], accounts: tuple[int, int], control_minor: int) -> Tie:
    kind, currency = name
    return Tie(kind, currency, accounts[0], accounts[1], control_minor)


def _pages(
    connection: Connection, known: Known, kinds: Sequence[str] | None
) -> Iterator[list[ListedAccount]]:
    """All known accounts of some kinds, a thousand at a time."""
    after = 0
    while page := store.list_known(connection, known, kinds=kinds, after=after, limit=_PAGE):
        yield page
        after = page[-1].known.account_id


def _owed(
    connection: Connection,
    sums: dict[tuple[str, str, str], list[int]],
    accounts: Sequence[ListedAccount],
    effective_at: datetime,
) -> tuple[list[Owed], list[ListedAccount]]:
    """What is owed, to be aged; back-dated money that went out before it came is summed at once."""
    ends = asof.turnovers(connection, [(each.known, effective_at) for each in accounts])
    owed, listed = [], []
    for each, end in zip(accounts, ends, strict=True):
        if end.balance_minor < 0:
            owed.append(Owed(each.known, -end.balance_minor, _slot_of(each.subject)))
            listed.append(each)
        elif end.balance_minor > 0:
            at = sums.setdefault((each.kind, each.currency, OUT_BEFORE_IN), _no_money())
            at[0] += 1
            at[1] -= end.balance_minor
    return owed, listed


def _no_money() -> list[int]:
    """No slots, and nothing of any age."""
    return [0] * (1 + len(BUCKET_NAMES))


def _slot_of(subject: str) -> str:
    """The slot whose events tell what is awaited; what is set aside belongs to the same slot."""
    return f"slot:{subject.partition(':')[0]}"


def _add(
    sums: dict[tuple[str, str, str], list[int]],
    parts: Iterable[HeldPart],
    listed: Sequence[ListedAccount],
    effective_at: datetime,
) -> None:
    seen: set[int] = set()
    for part in parts:
        account = listed[part.nth]
        awaited = UNTOLD if part.last_event is None else AWAITED[part.last_event]
        at = sums.setdefault((account.kind, account.currency, awaited), _no_money())
        at[0] += part.nth not in seen
        seen.add(part.nth)
        at[1 + _bucket(effective_at - part.since)] += part.held_minor


def _bucket(age: timedelta) -> int:
    """Which of the buckets; an age of exactly a bound is still in the lower one."""
    return bisect_left([bound * _DAY for bound in BUCKETS], age)


def _liabilities(
    connection: Connection, rows: Iterable[AgedSum], known: Known, effective_at: datetime
) -> Iterator[Liability]:
    held: dict[tuple[str, str], int] = {}
    for row in rows:
        held[row.kind, row.currency] = held.get((row.kind, row.currency), 0) + row.held_minor
    control = _controls(connection, known, effective_at)
    wanted = {name for name in control if name[0] in HELD_KINDS}
    for name in sorted(held.keys() | wanted):
        yield Liability(*name, held.get(name, 0), -control.get(name, 0))


def _controls(
    connection: Connection, known: Known, effective_at: datetime | None
) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for row in asof.kind_turnovers(connection, effective_at=effective_at, known=known):
        name = row.kind, row.currency
        found[name] = found.get(name, 0) + row.debit_minor - row.credit_minor
    return found


def _ageing_body(rows: Iterable[AgedSum], controls: Iterable[Liability]) -> Json:
    return {
        "rows": [row.as_json() for row in rows],
        "controls": [control.as_json() for control in controls],
    }


def _tie_body(rows: Sequence[Tie], slots: Sequence[SlotBreak] | None) -> Json:
    return {
        "rows": [row.as_json() for row in rows],
        "breaks": [row.as_json() for row in rows if row.difference_minor],
        "slot_breaks": None if slots is None else [each.as_json() for each in slots],
    }
