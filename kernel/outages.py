"""When the scanner last looked at a tenant's timers, and what fell due while it did not.

Sign of life and outage are told by the database's own clock, also for a sandbox; only a tenant
that lives by the real clock can miss something meanwhile.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

SIGN_EVERY: Final = timedelta(seconds=10)
"""A sign of life is written no more often than this."""

_LOOK: Final = "SELECT scanned_at, clock_timestamp() AS now FROM timer_scan"

_SIGN: Final = "UPDATE timer_scan SET scanned_at = %s"

_LOCK: Final = """
SELECT scanned_at, clock_timestamp() AS now FROM timer_scan FOR NO KEY UPDATE
"""

_DELAY: Final = """
WITH locked AS (
    SELECT timer.subject, timer.kind FROM timer
    WHERE kind = ANY (%(kinds)s::text[]) AND paused_remaining IS NULL AND NOT was_delayed
        AND due_at > %(from_at)s AND due_at <= %(until_at)s
    ORDER BY subject, kind
    FOR UPDATE
)
UPDATE timer SET
    due_at = due_at + %(courtesy)s, was_delayed = true, failed_times = 0, retry_at = NULL,
    reminded = least(reminded, 2),
    remind_at = CASE WHEN remind_length IS NOT NULL THEN %(until_at)s::timestamptz END
FROM locked WHERE timer.subject = locked.subject AND timer.kind = locked.kind
"""

_ADD: Final = """
INSERT INTO timer_outage (outage_no, from_at, until_at, courtesy, delayed_count)
SELECT coalesce(max(outage_no), 0) + 1, %s, %s, %s, %s FROM timer_outage
RETURNING outage_no
"""

_LIST: Final = """
SELECT outage_no, from_at, until_at, courtesy, delayed_count FROM timer_outage
ORDER BY outage_no DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Gap:
    """From when until when nobody looked at the timers."""

    from_at: datetime
    until_at: datetime


@dataclass(frozen=True, slots=True)
class Outage:
    """A gap that was too long, and how many timers were moved for it."""

    outage_no: int
    from_at: datetime
    until_at: datetime
    courtesy: timedelta
    delayed_count: int


def sign(connection: Connection) -> Gap | None:
    """Note that the scanner looks now; how long nobody had, at most once in ten seconds.

    None: somebody looked just now, nobody ever did, or the clock went back.
    """
    row = connection.exec_driver_sql(_LOOK).one()
    if row.scanned_at is not None and timedelta() <= row.now - row.scanned_at < SIGN_EVERY:
        return None
    row = connection.exec_driver_sql(_LOCK).one()
    connection.exec_driver_sql(_SIGN, (row.now,))
    if row.scanned_at is None or row.now <= row.scanned_at:
        return None
    return Gap(row.scanned_at, row.now)


def delay(
    connection: Connection, gap: Gap, kinds: Collection[str], *, courtesy: timedelta
) -> Outage:
    """Move the timers of these kinds that fell due in the gap by `courtesy`, each once ever.

    All move by the same time, so they stay in their order; who is reminded of them is told at
    once. The outage is written with how many they were.
    """
    given = {
        "kinds": sorted(kinds),
        "from_at": gap.from_at,
        "until_at": gap.until_at,
        "courtesy": courtesy,
    }
    moved = connection.exec_driver_sql(_DELAY, given).rowcount if courtesy else 0
    row = (gap.from_at, gap.until_at, courtesy, moved)
    number = connection.exec_driver_sql(_ADD, row).scalar_one()
    return Outage(number, *row)


def list_outages(connection: Connection, *, limit: int) -> list[Outage]:
    """The newest outages first."""
    return [Outage(*row) for row in connection.exec_driver_sql(_LIST, (limit,))]


def find_sign(connection: Connection) -> tuple[datetime | None, datetime]:
    """When the scanner last looked, or None if it never did, and what time it is (both real)."""
    row = connection.exec_driver_sql(_LOOK).one()
    return row.scanned_at, row.now
