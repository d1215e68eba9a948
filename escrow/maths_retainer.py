"""When the periods of a retainer begin and end, and whose its money is: pure, without a clock.

A period is counted from the original anchor, never from the one before: 31 January is followed
by 29 February 2028 and by 31 March.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from escrow.model_retainer import Every, RetainerTerms
from kernel.dates import months_later

_DAYS: Final = {Every.WEEK: 7, Every.TWO_WEEKS: 14}
_MONTHS: Final = {Every.MONTH: 1, Every.QUARTER: 3}


class Span(NamedTuple):
    """A period: first day, the day after its last, and both as half-open instants in UTC."""

    first_on: date
    next_on: date
    starts_at: datetime
    ends_at: datetime

    @property
    def days(self) -> int:
        """How many days of the calendar it has."""
        return (self.next_on - self.first_on).days


class Chunk(NamedTuple):
    """Unused money of one lot, and the last period in which it may be used."""

    amount_minor: int
    expires_no: int


def start_on(anchor_on: date, every: Every, number: int) -> date:
    """The first day of period `number`, 1 being that of the anchor; clamped to the month's end.

    Source: domain/escrow.md 2.6 and edge case 31.
    """
    assert number >= 1
    steps = number - 1
    if every in _DAYS:
        return anchor_on + timedelta(days=_DAYS[every] * steps)
    return months_later(anchor_on, _MONTHS[every] * steps)


def span(terms: RetainerTerms, number: int, *, shift_days: int = 0) -> Span:
    """Period `number`, from midnight to midnight in the zone of the terms.

    `shift_days` is by how much pauses have moved it from the calendar.
    """
    first = start_on(terms.anchor_on, terms.every, number) + timedelta(shift_days)
    after = start_on(terms.anchor_on, terms.every, number + 1) + timedelta(shift_days)
    return Span(first, after, _midnight(first, terms.zone), _midnight(after, terms.zone))


def first_number(terms: RetainerTerms, at: datetime) -> int:
    """The first period that begins on or after the day of `at` in the zone of the terms."""
    today = local_day(at, terms.zone)
    step = _DAYS.get(terms.every) or 27 * _MONTHS[terms.every]
    longest = _DAYS.get(terms.every) or 31 * _MONTHS[terms.every]
    number = max(1, (today - terms.anchor_on).days // longest)
    assert step > 0
    while start_on(terms.anchor_on, terms.every, number) < today:
        number += 1
    return number


def first_number_after(terms: RetainerTerms, at: datetime, *, shift_days: int) -> int:
    """The first period that begins at or after an instant, moved as pauses have moved it."""
    return first_number(terms, at - timedelta(shift_days))


def local_day(at: datetime, zone: str) -> date:
    """The day of the calendar in a zone."""
    return at.astimezone(ZoneInfo(zone)).date()


def earned_by_time(
    amount_minor: int,
    period: Span,
    at: datetime,
    zone: str,
    *,
    paused_days: int = 0,
    added_days: int = 0,
) -> int:
    """Days elapsed over days in the period, times the amount; the odd cent is the client's.

    Days of pauses do not count; `added_days` of the period are there only because of pauses.
    """
    days = period.days - added_days
    elapsed = (local_day(at, zone) - period.first_on).days - paused_days
    return amount_minor * min(max(elapsed, 0), days) // days


def days_between(*, begin: datetime, end: datetime, zone: str) -> int:
    """Days of the calendar from the day of `begin` to the day before that of `end`."""
    return (local_day(end, zone) - local_day(begin, zone)).days


def shifted(found: Span, days: int, zone: str) -> Span:
    """The same period, so many days later."""
    first, after = found.first_on + timedelta(days), found.next_on + timedelta(days)
    return Span(first, after, _midnight(first, zone), _midnight(after, zone))


def minutes_within(amount_minor: int, *, hourly_minor: int) -> int:
    """The most minutes whose price, rounded half up, is no more than the amount."""
    return (60 * amount_minor + 29) // hourly_minor


def pieces_within(available_minor: int, *, amount_minor: int, quota: int, before: int) -> int:
    """The most further pieces after `before` whose price is no more than what is available."""
    most = available_minor + amount_minor * before // quota
    return (quota * (most + 1) - 1) // amount_minor - before


def worth_of_minutes(*, minutes: int, hourly_minor: int) -> int:
    """The price of some minutes, rounded half up."""
    return (minutes * hourly_minor * 2 + 60) // 120


def worth_of_pieces(*, amount_minor: int, quota: int, before: int, pieces: int) -> int:
    """The price of further pieces after `before`; all pieces of the quota cost the amount."""
    return amount_minor * (before + pieces) // quota - amount_minor * before // quota


def taken_last(amounts: Sequence[int], amount_minor: int) -> list[int]:
    """How much of each amount is taken, the last first, until `amount_minor` or all is."""
    taken = []
    for each in reversed(amounts):
        taken.append(min(each, amount_minor))
        amount_minor -= taken[-1]
    return taken[::-1]


def carry(chunks: Sequence[Chunk], *, number: int, cap_minor: int) -> list[int]:
    """How much of each chunk rolls out of period `number`; what would expire last is kept first.

    The sum never exceeds the cap, and nothing rolls beyond its last period.
    """
    left = cap_minor
    kept = [0] * len(chunks)
    by_expiry = sorted(range(len(chunks)), key=lambda i: (-chunks[i].expires_no, i))
    for i in by_expiry:
        if chunks[i].expires_no > number:
            kept[i] = min(left, chunks[i].amount_minor)
            left -= kept[i]
    return kept


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
