"""What hours come to: weeks as half-open instants, splits at their bounds, limits, lines."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from escrow.model_hourly import EntryState, Judged, TimeEntry, Unprotected, WeekLine
from escrow.rules_hourly_protection import protection

MINUTES_PER_HOUR: Final = 60
_WEEK_DAYS: Final = 7
_NOON: Final = time(12)
_LAST_MINUTE: Final = time(23, 59)
_FRIDAY: Final = 4


class WeekBounds(NamedTuple):
    """A week's instants: 167 or 169 hours apart where a clock was changed (edge case 27)."""

    starts_at: datetime
    ends_at: datetime
    invoice_at: datetime
    review_ends_at: datetime


def to_minute(at: datetime) -> datetime:
    """The full minute before."""
    return at.replace(second=0, microsecond=0)


def week_of(at: datetime, zone: ZoneInfo) -> WeekBounds:
    """The week that holds an instant: Monday 00:00 to Monday 00:00 of the zone, half-open.

    It is invoiced on that Monday at noon and reviewed until Friday 23:59 (domain/escrow.md 2.2).
    """
    day = at.astimezone(zone).date()
    monday = day - timedelta(days=day.weekday())
    following = monday + timedelta(days=_WEEK_DAYS)
    friday = following + timedelta(days=_FRIDAY)
    return WeekBounds(
        *(
            datetime.combine(on, clock, tzinfo=zone).astimezone(at.tzinfo)
            for on, clock in (
                (monday, time()),
                (following, time()),
                (following, _NOON),
                (friday, _LAST_MINUTE),
            )
        )
    )


def split_at_weeks(
    zone: ZoneInfo, *, started_at: datetime, ended_at: datetime
) -> list[tuple[WeekBounds, datetime, datetime]]:
    """The parts of an interval, each within a week; together they are the whole (edge case 28)."""
    parts = []
    while started_at < ended_at:
        week = week_of(started_at, zone)
        until = min(ended_at, week.ends_at)
        parts.append((week, started_at, until))
        started_at = until
    return parts


def amount_minor(minutes: int, *, rate_minor: int) -> int:
    """What so many minutes cost at a rate per hour; half a minor unit goes up."""
    return (2 * minutes * rate_minor + MINUTES_PER_HOUR) // (2 * MINUTES_PER_HOUR)


def judge(
    entries: Iterable[TimeEntry],
    *,
    limit_minutes: int,
    used_minutes: int,
    activity_floor: int,
    cover_minor: int | None = None,
) -> list[Judged]:
    """What is billable of a week's entries: in time order, the one that crosses the limit is cut.

    Args:
        entries: what the payee logged, in any order.
        limit_minutes: the weekly limit.
        used_minutes: what was billed of the same week before (late lines).
        activity_floor: least activity of a protected entry, in percent.
        cover_minor: where the client pays ahead, his deposit. What it does not cover is cut as
            well; without any deposit nothing is cut, and nothing is protected.
    """
    left = max(0, limit_minutes - used_minutes)
    purse = None if not cover_minor else Purse(cover_minor)
    judged = []
    for entry in sorted(entries, key=lambda each: (each.started_at, each.id)):
        within = min(entry.minutes, left)
        left -= within
        billed = within if purse is None else purse.take(within, rate_minor=entry.rate_minor)
        is_protected, reason = protection(
            entry,
            is_within_limit=within > 0,
            is_deposited=cover_minor is None or (purse is not None and billed >= min(1, within)),
            activity_floor=activity_floor,
        )
        judged.append(Judged(entry, billed, within < entry.minutes, is_protected, reason))
    return judged


class Purse:
    """A deposit from which minutes are paid in time order, each rate's rounded once as a line."""

    def __init__(self, cover_minor: int) -> None:
        self._cover_minor = cover_minor
        self._minutes: dict[int, int] = {}

    def take(self, minutes: int, *, rate_minor: int) -> int:
        """How many of the minutes are covered; after the first that are not, none is."""
        others = sum(
            amount_minor(spent, rate_minor=rate)
            for rate, spent in self._minutes.items()
            if rate != rate_minor
        )
        before = self._minutes.get(rate_minor, 0)
        budget = self._cover_minor - others
        covered = bisect_right(
            range(before + 1, before + minutes + 1),
            budget,
            key=lambda spent: amount_minor(spent, rate_minor=rate_minor),
        )
        self._minutes[rate_minor] = before + covered
        if covered < minutes:
            self._cover_minor = others + amount_minor(before + covered, rate_minor=rate_minor)
        return covered


def lines_of(week_id: UUID, judged: Sequence[Judged]) -> list[WeekLine]:
    """One line per rate, late hours apart, highest rate first; rounded once per line.

    The protected part of a line is rounded like the line itself, and never exceeds it.
    """
    lines: list[WeekLine] = []
    for is_late, rate_minor in keys_of(judged):
        some = [each for each in judged if key_of(each) == (is_late, rate_minor)]
        minutes = sum(each.billed_minutes for each in some)
        protected = sum(each.billed_minutes for each in some if each.is_protected)
        lines.append(
            WeekLine(
                week_id,
                len(lines) + 1,
                rate_minor,
                is_late,
                minutes,
                amount_minor(minutes, rate_minor=rate_minor),
                protected,
                amount_minor(protected, rate_minor=rate_minor),
            )
        )
    return lines


def keys_of(judged: Sequence[Judged]) -> list[tuple[bool, int]]:
    """The lines' (late, rate), in the order of their numbers; what bills nothing has no line."""
    keys = {key_of(each) for each in judged if each.billed_minutes}
    return sorted(keys, key=lambda key: (key[0], -key[1]))


def key_of(judged: Judged) -> tuple[bool, int]:
    """Whether an entry is late, and its rate: what puts it on its line."""
    is_late = judged.entry.state is EntryState.LATE_APPROVED or judged.reason is Unprotected.LATE
    return is_late, judged.entry.rate_minor
