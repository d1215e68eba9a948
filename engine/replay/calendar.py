"""The days of freelancers: nobody works twice at the same time, whatever the contracts.

Pure. Hours are given out in the order in which they are asked for, from six in the morning on.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final
from uuid import UUID

_FIRST: Final = time(6)
_MOST_MINUTES: Final = 13 * 60
"""From six in the morning to seven in the evening: the day's hours are logged at eight."""


@dataclass(slots=True)
class Calendar:
    """Minutes given out by payee and day."""

    _used: dict[tuple[UUID, date], int] = field(default_factory=lambda: defaultdict(int))

    def book(self, payee_id: UUID, day: datetime, minutes: int) -> tuple[datetime, datetime] | None:
        """Up to so many minutes of a day (any instant of it, in UTC), or None if it is full."""
        key = (payee_id, day.date())
        free = min(minutes, _MOST_MINUTES - self._used[key])
        if free <= 0:
            return None
        begin = datetime.combine(day.date(), _FIRST, day.tzinfo)
        started_at = begin + timedelta(minutes=self._used[key])
        self._used[key] += free
        return started_at, started_at + timedelta(minutes=free)
