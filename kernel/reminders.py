"""Reminders of timers: told when half, three quarters and nine tenths of their time are over.

The next one is a column of the timer itself. A million clocks are a million rows, whatever is
told of them, and no reminder outlives its clock: what pauses, restarts or cancels the one does
it to the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from kernel.database import driver

MARKS: Final = (50, 75, 90)
"""Per cent of a clock's length."""

MARK: Final = "due_at - remind_length * (ARRAY[0.5, 0.25, 0.1]::float8[])[{reminded} + 1]"
"""SQL: when a timer's next reminder is due, once so many were told; NULL after the last."""

_TAKE: Final = f"""
WITH locked AS (
    SELECT timer.subject, timer.kind, CASE
        WHEN {MARK.format(reminded="2")} <= %(at)s THEN 3
        WHEN {MARK.format(reminded="1")} <= %(at)s THEN 2
        ELSE 1 END AS passed
    FROM timer
    WHERE paused_remaining IS NULL AND remind_at IS NOT NULL AND remind_at <= %(at)s
    ORDER BY remind_at, subject, kind
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE timer SET
    reminded = greatest(reminded, passed),
    remind_at = {MARK.format(reminded="greatest(reminded, passed)")}
FROM locked WHERE timer.subject = locked.subject AND timer.kind = locked.kind
RETURNING timer.subject, timer.kind, due_at, reminded
"""  # noqa: S608  a constant of ours

_FIND_NEXT: Final = """
SELECT min(remind_at) FROM timer WHERE paused_remaining IS NULL AND remind_at IS NOT NULL
"""


@dataclass(frozen=True, slots=True, order=True)
class Reminder:
    """That a clock of `subject` is over at `due_at`; `passed` per cent of its length are gone."""

    due_at: datetime
    subject: str
    kind: str
    passed: int


def take_due(connection: Connection, *, at: datetime, limit: int) -> list[Reminder]:
    """Take the reminders that are due for this transaction; each timer waits for its next mark.

    Where several marks have passed meanwhile, the last of them is told. Timers that another
    transaction holds are left for later. A rollback brings everything back.
    """
    rows = driver(connection).execute(_TAKE.encode(), {"at": at, "limit": limit}, prepare=False)
    return sorted(Reminder(row[2], row[0], row[1], MARKS[row[3] - 1]) for row in rows)


def marks_of(due_at: datetime, length: timedelta) -> Sequence[tuple[int, datetime]]:
    """(per cent, when) of each reminder of a timer that is over at `due_at`."""
    return [(passed, due_at - length * (100 - passed) / 100) for passed in MARKS]


def find_next_at(connection: Connection) -> datetime | None:
    """When the soonest reminder falls due, by the tenant's clock; None without one."""
    found: datetime | None = connection.exec_driver_sql(_FIND_NEXT).scalar_one()
    return found
