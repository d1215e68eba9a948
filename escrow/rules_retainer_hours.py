"""The hours of a drawdown: checked, counted in minutes, and split where the period's money ends."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from escrow.model_retainer import Drawdown, Period, Worked
from escrow.refusals_hourly import HoursOverlap
from escrow.refusals_retainer import BadDrawdown

Span = tuple[datetime, datetime]

MOST_SPANS: Final = 500
_MINUTE: Final = timedelta(minutes=1)


def check_hours(hours: Sequence[Span], period: Period, at: datetime) -> int:
    """How many minutes these hours are.

    Refuses `retainer.bad_drawdown` unless they are whole minutes, past, within the period, and
    apart from each other.
    """
    if not 0 < len(hours) <= MOST_SPANS:
        raise BadDrawdown(why=f"hours are drawn as 1 to {MOST_SPANS} spans of time")
    for started_at, ended_at in hours:
        if any(each.second or each.microsecond for each in (started_at, ended_at)):
            raise BadDrawdown(why="hours are given in whole minutes")
        if started_at >= ended_at:
            raise BadDrawdown(why="hours end after they start")
        if started_at < period.starts_at or ended_at > min(at, period.ends_at):
            raise BadDrawdown(why="hours are drawn after they were worked, within their period")
    check_apart(hours)
    return sum((ended_at - started_at) // _MINUTE for started_at, ended_at in hours)


def check_apart(spans: Iterable[Span]) -> None:
    """Refuse `escrow.hours_overlap` where two spans share an instant."""
    latest: datetime | None = None
    for started_at, ended_at in sorted(spans):
        if latest is not None and started_at < latest:
            raise HoursOverlap(started_at=started_at.isoformat())
        latest = ended_at


def split(hours: Sequence[Span], minutes: int) -> tuple[list[Span], list[Span]]:
    """The first so many minutes, and the rest."""
    first: list[Span] = []
    rest: list[Span] = []
    for started_at, ended_at in sorted(hours):
        taken = min(minutes, (ended_at - started_at) // _MINUTE)
        middle = started_at + taken * _MINUTE
        if taken:
            first.append((started_at, middle))
        if middle < ended_at:
            rest.append((middle, ended_at))
        minutes -= taken
    return first, rest


def worked(drawdown: Drawdown, payee_id: UUID, spans: Sequence[Span]) -> tuple[Worked, ...]:
    """The rows that keep these hours from being billed again."""
    return tuple(
        Worked(drawdown.id, seq, payee_id, started_at, ended_at)
        for seq, (started_at, ended_at) in enumerate(spans, start=1)
    )
