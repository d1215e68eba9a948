"""What a replay reads of weeks, periods, disputes and claims: only what somebody must act on."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

_LIST_UNPAID_WEEKS: Final = """
SELECT id, term_id, slot_id, starts_at FROM work_week
WHERE state IN ('charge_failed', 'advanced', 'unpaid') ORDER BY term_id, starts_at
"""

_LIST_WEEKS: Final = """
SELECT w.id, w.term_id, w.slot_id, w.starts_at, s.held_minor, s.released_minor
FROM work_week w JOIN slot s ON s.id = w.slot_id
WHERE w.state = %s AND w.ends_at > %s ORDER BY w.term_id, w.starts_at
"""

_LIST_PERIODS: Final = """
SELECT p.id, p.retainer_id, p.number, p.state, p.starts_at, p.ends_at, p.attempts, s.state
FROM retainer_period p JOIN slot s ON s.id = p.id
WHERE p.state IN ('active', 'lapsed') AND p.starts_at > %s
    OR p.state = 'funding' AND s.state = 'awaiting_funding'
ORDER BY p.retainer_id, p.number
"""

_LIST_ENDED: Final = """
SELECT id FROM retainer WHERE state = 'ended' AND ends_at > %s ORDER BY id
"""

_LIST_DISPUTES: Final = """
SELECT id, state, version FROM dispute WHERE id = ANY (%s) ORDER BY id
"""

_LIST_CLAIMS: Final = """
SELECT id FROM claim WHERE state = 'open' AND created_at <= %s ORDER BY created_at, payee_id
"""


class UnpaidWeek(NamedTuple):
    """A worked week that its client has not paid for."""

    id: UUID
    term_id: UUID
    slot_id: UUID
    starts_at: datetime


class PaidWeek(NamedTuple):
    """A worked week that was paid for, and what of it is held or was released; minor units."""

    id: UUID
    term_id: UUID
    slot_id: UUID
    starts_at: datetime
    held_minor: int
    released_minor: int


class PeriodNow(NamedTuple):
    """A period that runs, that lapsed, or whose charge failed."""

    id: UUID
    retainer_id: UUID
    number: int
    state: str
    starts_at: datetime
    ends_at: datetime
    attempts: int
    slot_state: str


def list_unpaid_weeks(connection: Connection) -> list[UnpaidWeek]:
    """Weeks whose charge failed and that were not paid since, by term and time."""
    return [UnpaidWeek(*row) for row in connection.exec_driver_sql(_LIST_UNPAID_WEEKS)]


def list_weeks(connection: Connection, state: str, *, since: datetime) -> list[PaidWeek]:
    """Weeks with a slot in this state that ended after an instant, by term and time."""
    rows = connection.exec_driver_sql(_LIST_WEEKS, (state, since))
    return [PaidWeek(*row) for row in rows]


def list_periods(connection: Connection, *, since: datetime) -> list[PeriodNow]:
    """Periods that run or lapsed, of those that started after an instant, and unpaid ones."""
    return [PeriodNow(*row) for row in connection.exec_driver_sql(_LIST_PERIODS, (since,))]


def list_ended(connection: Connection, *, since: datetime) -> list[UUID]:
    """Retainers that ended after an instant."""
    return list(connection.exec_driver_sql(_LIST_ENDED, (since,)).scalars())


def list_disputes(
    connection: Connection, dispute_ids: Sequence[UUID]
) -> dict[UUID, tuple[str, int]]:
    """State and version of disputes."""
    rows = connection.exec_driver_sql(_LIST_DISPUTES, (list(dispute_ids),))
    return {row[0]: (row[1], row[2]) for row in rows}


def list_claims(connection: Connection, *, until: datetime) -> list[UUID]:
    """Open claims on payees that were made up to an instant, oldest first."""
    return list(connection.exec_driver_sql(_LIST_CLAIMS, (until,)).scalars())
