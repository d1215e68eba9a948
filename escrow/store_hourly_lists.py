"""SQL of what people look at of hours: pages of entries, weeks and claims, without a lock."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from escrow.model_hourly import ClientClaim, TimeEntry, Week
from escrow.store_hourly import find_claims, find_entries, find_weeks

_LIST_ENTRIES: Final = """
SELECT id FROM time_entry
WHERE term_id = %(term_id)s AND (%(after)s::uuid IS NULL OR id > %(after)s)
    AND (%(week_id)s::uuid IS NULL OR week_id = %(week_id)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY id
LIMIT %(limit)s
"""

_LIST_WEEKS: Final = """
SELECT id FROM work_week
WHERE term_id = %(term_id)s AND (%(after)s::timestamptz IS NULL OR starts_at > %(after)s)
ORDER BY starts_at
LIMIT %(limit)s
"""

_LIST_CLAIMS: Final = """
SELECT week_id FROM client_claim
WHERE (%(after)s::uuid IS NULL OR week_id > %(after)s)
    AND (%(client_id)s::uuid IS NULL OR client_id = %(client_id)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY week_id
LIMIT %(limit)s
"""


def list_term_entries(
    connection: Connection,
    term_id: UUID,
    *,
    week_id: UUID | None,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> list[TimeEntry]:
    """Entries of a term, or of one of its weeks, in the order in which they were logged."""
    given = {
        "term_id": term_id,
        "week_id": week_id,
        "state": state,
        "after": after,
        "limit": limit,
    }
    return find_entries(connection, _ids(connection, _LIST_ENTRIES, given))


def list_weeks_after(
    connection: Connection, term_id: UUID, *, after: datetime | None, limit: int
) -> list[Week]:
    """Weeks of a term, oldest first."""
    given = {"term_id": term_id, "after": after, "limit": limit}
    found = find_weeks(connection, _ids(connection, _LIST_WEEKS, given))
    return sorted(found, key=lambda week: week.starts_at)


def list_client_claims(
    connection: Connection,
    *,
    client_id: UUID | None,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> list[ClientClaim]:
    """What clients owe for advanced hours, in the order of their weeks' ids."""
    given = {"client_id": client_id, "state": state, "after": after, "limit": limit}
    return find_claims(connection, _ids(connection, _LIST_CLAIMS, given))


def _ids(connection: Connection, statement: str, given: dict[str, Any]) -> list[UUID]:
    return list(connection.exec_driver_sql(statement, given).scalars())
