"""All SQL of manual journals and of the limits of who prepares and approves them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver
from kernel.errors import Broken
from ledger.model_journals import Journal, Role, State, read, written

_COLUMNS: Final = (
    "id, state, entries, reason, attachment_sha256, effective_at, original_effective_on,"
    " reverse_at, expires_at, prepared_by, prepared_at, prepared_event_id, decided_by,"
    " decider_kind, decided_at, decision_reason, event_id, reversal_event_id"
)

_ADD: Final = """
INSERT INTO journal (id, entries, reason, attachment_sha256, effective_at, original_effective_on,
                     reverse_at, expires_at, prepared_by, preparer_kind, prepared_at,
                     prepared_event_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'person', %s, %s)
"""

_DECIDE: Final = """
UPDATE journal SET state = %s, decided_by = %s, decider_kind = %s, decided_at = %s,
                   decision_reason = %s, event_id = %s
WHERE id = %s AND state = 'prepared'
"""

_REVERSED: Final = """
UPDATE journal SET reversal_event_id = %s
WHERE id = %s AND state = 'posted' AND reversal_event_id IS NULL
"""

# The limits that count at a time: of each role and currency the newest one before it.
_LIMITS: Final = """
SELECT DISTINCT ON (role, currency) role, currency, highest_minor
FROM journal_limit
WHERE valid_from <= %s
ORDER BY role, currency, valid_from DESC
"""

_ADD_LIMIT: Final = """
INSERT INTO journal_limit (role, currency, valid_from, highest_minor, set_by)
VALUES (%s, %s, %s, %s, %s)
"""


def add_journal(connection: Connection, journal: Journal) -> None:
    """Write down what was prepared."""
    driver(connection).execute(
        _ADD,
        (
            journal.id,
            written(journal.entries),
            journal.reason,
            journal.attachment_sha256,
            journal.effective_at,
            journal.original_effective_on,
            journal.reverse_at,
            journal.expires_at,
            journal.prepared_by,
            journal.prepared_at,
            journal.prepared_event_id,
        ),
    )


def lock_journals(
    connection: Connection, ids: Sequence[UUID], *, skips_locked: bool = False
) -> dict[UUID, Journal]:
    """The journals FOR UPDATE in the order of their ids; a timer skips what others hold."""
    skip = " SKIP LOCKED" if skips_locked else ""
    rows = driver(connection).execute(
        f"SELECT {_COLUMNS} FROM journal WHERE id = ANY(%s) ORDER BY id FOR UPDATE{skip}".encode(),
        (sorted(set(ids)),),
    )
    return {journal.id: journal for journal in map(_journal, rows)}


def find_journal(connection: Connection, journal_id: UUID) -> Journal | None:
    """One journal as it stands."""
    row = (
        driver(connection)
        .execute(f"SELECT {_COLUMNS} FROM journal WHERE id = %s".encode(), (journal_id,))
        .fetchone()
    )
    return None if row is None else _journal(row)


def list_journals(
    connection: Connection, *, after: UUID | None, limit: int, state: State | None = None
) -> list[Journal]:
    """Journals in the order of their ids, which is that of their preparing."""
    rows = driver(connection).execute(
        f"SELECT {_COLUMNS} FROM journal WHERE (%(after)s::uuid IS NULL OR id > %(after)s)"
        " AND (%(state)s::text IS NULL OR state = %(state)s) ORDER BY id LIMIT %(limit)s",
        {"after": after, "state": state, "limit": limit},
    )
    return [_journal(row) for row in rows]


def list_waiting(connection: Connection, *, before: datetime, limit: int = 100) -> list[UUID]:
    """Journals that wait for their approver and count before an instant, the oldest first."""
    rows = driver(connection).execute(
        "SELECT id FROM journal WHERE state = 'prepared' AND effective_at < %s"
        " ORDER BY effective_at, id LIMIT %s",
        (before, limit),
    )
    return [journal_id for (journal_id,) in rows]


def save_decided(connection: Connection, journals: Sequence[Journal]) -> None:
    """Write what became of journals; Broken if one was not waiting any more."""
    for journal in journals:
        given = (
            journal.state,
            journal.decided_by,
            journal.decider_kind,
            journal.decided_at,
            journal.decision_reason,
            journal.event_id,
            journal.id,
        )
        if driver(connection).execute(_DECIDE, given).rowcount != 1:
            raise Broken("a journal moved under its lock", journal_id=str(journal.id))


def save_reversed(connection: Connection, journals: Sequence[Journal]) -> None:
    """Link posted journals to the events that reversed them."""
    for journal in journals:
        given = (journal.reversal_event_id, journal.id)
        if driver(connection).execute(_REVERSED, given).rowcount != 1:
            raise Broken("a journal was reversed under its lock", journal_id=str(journal.id))


def find_limits(connection: Connection, at: datetime) -> dict[tuple[Role, str], int]:
    """The limits that count at a time, in minor units, by role and currency."""
    rows = driver(connection).execute(_LIMITS, (at,))
    return {(Role(role), currency): highest for role, currency, highest in rows}


def add_limit(
    connection: Connection,
    role: Role,
    *,
    currency: str,
    highest_minor: int,
    valid_from: datetime,
    set_by: UUID,
) -> bool:
    """Let a limit count from a time on; False where one counts from that very time already."""
    statement = f"{_ADD_LIMIT} ON CONFLICT DO NOTHING".encode()
    given = (role, currency, valid_from, highest_minor, set_by)
    return driver(connection).execute(statement, given).rowcount == 1


def _journal(row: Sequence[Any]) -> Journal:
    cells = dict(zip((name.strip() for name in _COLUMNS.split(",")), row, strict=True))
    return Journal(**{**cells, "state": State(cells["state"]), "entries": read(cells["entries"])})
