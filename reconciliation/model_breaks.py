"""What is left over after matching: what kind of break it is, how old, and when it is due. Pure.

A break is one line of a statement or one item of the books that is in no match. Those that are on
their way are of the kind `timing`: a certificate lists them as money in transit.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID, uuid5

from kernel.money import exponent, format_minor
from reconciliation.model_matching import Candidate, business_days

_NAMESPACE: Final = UUID("0a3c3b57-3c0f-5f0e-8a55-1f5d1a0b9c21")

PATIENCE_DAYS: Final[Mapping[str, int]] = MappingProxyType(
    {"processor": 1, "custody_bank": 3, "platform_bank": 3}
)
"""Business days for which money that we have sent or asked for may be on its way, by place."""

SLA: Final = ((10_000, 1), (1_000, 2), (10, 5), (0, 10))
"""Business days until a break is due, by its amount in whole units of its currency."""

WRITE_OFF_UNITS: Final = 100
"""The most that may be written off, in whole units of the currency; more is a manual journal's."""

BUCKETS: Final = ((1, "0-1"), (3, "2-3"), (7, "4-7"), (30, "8-30"), (60, "31-60"))


class Kind(StrEnum):
    """What is wrong with what is left over."""

    MISSING_EXTERNAL = "missing_external"
    MISSING_INTERNAL = "missing_internal"
    AMOUNT = "amount"
    CURRENCY = "currency"
    DUPLICATE = "duplicate"
    TIMING = "timing"
    STALE = "stale_in_transit"
    UNKNOWN = "unknown"


KINDS: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        Kind.MISSING_EXTERNAL: "The books have it, and no statement does.",
        Kind.MISSING_INTERNAL: "The statement has it, and the books do not.",
        Kind.AMOUNT: "Both have it, with different amounts.",
        Kind.CURRENCY: "Both have it, in different currencies.",
        Kind.DUPLICATE: "The statement has it twice.",
        Kind.TIMING: "It is on its way, and is expected on the other side.",
        Kind.STALE: "It should have arrived by now.",
        Kind.UNKNOWN: "Money came to the bank, and nobody knows whose it is.",
    }
)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A rail operation of ours: what, at which rail, how it stands, whether the money has left."""

    kind: str
    rail: str
    state: str
    has_left: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is known beside the two sides.

    `booked` names the operations of items by key; `leaving` those that a statement shows before
    the books, by name; `twins` the line that another line repeats; `elsewhere` names of what is
    open in other currencies of the same place, each with its currency.
    """

    booked: Mapping[str, UnderWay] = field(default_factory=dict)
    leaving: Mapping[str, UnderWay] = field(default_factory=dict)
    twins: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Left:
    """One thing left over, sorted. `key` is a line's id or an item's key."""

    key: str
    is_line: bool
    kind: Kind
    amount_minor: int
    on: date
    told: str

    @property
    def id(self) -> UUID:
        """The break's id: the same for the same line or item, however often it is found."""
        return uuid5(_NAMESPACE, f"{'line' if self.is_line else 'item'}:{self.key}")

    @property
    def gap_minor(self) -> int:
        """By how much the books are above the statement because of it."""
        return -self.amount_minor if self.is_line else self.amount_minor


def sort_out(
    *,
    place: str,
    currency: str,
    lines: Sequence[Candidate],
    items: Sequence[Candidate],
    around: Around,
    on: date,
) -> list[Left]:
    """What each line and item that is left over is, by day, side and key."""
    by_name: dict[str, list[Candidate]] = defaultdict(list)
    for item in items:
        for name in _names(item):
            by_name[name].append(item)
    line_by_name: dict[str, list[Candidate]] = defaultdict(list)
    for line in lines:
        for name in _names(line):
            line_by_name[name].append(line)
    found = [
        Left(line.key, True, *_of_line(place, currency, line, by_name, around, on))
        for line in lines
    ] + [
        Left(item.key, False, *_of_item(place, currency, item, line_by_name, around, on))
        for item in items
    ]
    return sorted(found, key=lambda left: (left.on, left.is_line, left.key))


_Told = tuple[Kind, int, date, str]


def _of_line(
    place: str,
    currency: str,
    line: Candidate,
    by_name: Mapping[str, Sequence[Candidate]],
    around: Around,
    on: date,
) -> _Told:
    def told(kind: Kind, why: str) -> _Told:
        return kind, line.amount_minor, line.on, f"{_what(line)}: {why}"

    twin = around.twins.get(line.key)
    if twin is not None:
        return told(Kind.DUPLICATE, f"repeats the line {twin}")
    other = _other(line, by_name)
    if other is not None:
        return told(Kind.AMOUNT, f"the books have {format_minor(other.amount_minor, currency)}")
    for name in line.names:
        if name in around.leaving:
            way = around.leaving[name]
            late = business_days(line.on, on) > PATIENCE_DAYS[place] + _CONFIRM_DAYS
            why = f"{way.kind} at {way.rail} has left and is not confirmed"
            return told(Kind.STALE if late else Kind.TIMING, why)
    abroad = _abroad(line, around)
    if abroad is not None:
        return told(Kind.CURRENCY, f"the books have it in {abroad}")
    if place != "processor" and line.amount_minor > 0:
        return told(Kind.UNKNOWN, "nobody knows whose money this is")
    return told(Kind.MISSING_INTERNAL, "not in the books")


_CONFIRM_DAYS: Final = 30
"""A payout that has left may wait so long for its payee to take it (PayPal's unclaimed ones)."""


def _of_item(
    place: str,
    currency: str,
    item: Candidate,
    by_name: Mapping[str, Sequence[Candidate]],
    around: Around,
    on: date,
) -> _Told:
    def told(kind: Kind, why: str) -> _Told:
        return kind, item.amount_minor, item.on, f"{_what(item)}: {why}"

    other = _other(item, by_name)
    if other is not None:
        stated = format_minor(other.amount_minor, currency)
        return told(Kind.AMOUNT, f"the statement has {stated}")
    abroad = _abroad(item, around)
    if abroad is not None:
        return told(Kind.CURRENCY, f"the statement has it in {abroad}")
    way = around.booked.get(item.key)
    if way is None:
        return told(Kind.MISSING_EXTERNAL, "on no statement")
    days = business_days(item.on, on)
    if days <= PATIENCE_DAYS[place]:
        return told(Kind.TIMING, f"{way.kind} at {way.rail}, not on the statement yet")
    return told(Kind.STALE, f"{way.kind} at {way.rail}, {days} business days and on no statement")


def bucket(days: int) -> str:
    """The bucket of an age in business days."""
    return next((name for most, name in BUCKETS if days <= most), ">60")


def due_on(amount_minor: int, currency: str, opened_on: date) -> date:
    """Until when somebody must look at a break: the larger, the sooner; in business days."""
    units = abs(amount_minor) // 10 ** exponent(currency)
    days = next(days for least, days in SLA if units >= least)
    on = opened_on
    while days:
        on += timedelta(days=1)
        days -= on.weekday() < 5
    return on


def write_off_limit_minor(currency: str) -> int:
    """The most that two people may write off from here, in minor units."""
    return int(WRITE_OFF_UNITS * 10 ** exponent(currency))


def _names(candidate: Candidate) -> AbstractSet[str]:
    return {name for name in candidate.names if len(name) >= 8}


def _other(one: Candidate, by_name: Mapping[str, Sequence[Candidate]]) -> Candidate | None:
    """What has the same name on the other side, of the same direction, with another amount."""
    found = [
        other
        for name in sorted(_names(one))
        for other in by_name.get(name, ())
        if other.amount_minor != one.amount_minor
        and (other.amount_minor > 0) == (one.amount_minor > 0)
    ]
    return min(found, key=lambda other: other.key, default=None)


def _abroad(one: Candidate, around: Around) -> str | None:
    told = [around.elsewhere[name] for name in sorted(_names(one)) if name in around.elsewhere]
    return told[0] if told else None


def _what(candidate: Candidate) -> str:
    words = " ".join(candidate.text.split())[:120] or "no text"
    name = next(iter(candidate.names), "")
    return f"{words} ({name})" if name else words
