"""All SQL of reservations. A reservation and its step are written by one statement."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver
from kernel.errors import Broken
from ledger.chart import reserved_twin
from ledger.model import AccountKey
from ledger.model_reservations import Reservation, ReservationState, Step

_ROW: Final = """
SELECT r.id, a.kind, a.subject, a.currency, r.amount_minor, r.remaining_minor, r.posted_minor,
       r.state, r.version, r.reason, r.made_at, r.expires_at, r.ended_at
FROM reservation r JOIN account a ON a.id = r.account_id
"""

_FIND: Final = f"{_ROW} WHERE r.id = ANY(%s)"

_LOCK: Final = f"{_ROW} WHERE r.id = ANY(%s) ORDER BY r.id FOR UPDATE OF r"

_LOCK_FREE: Final = f"{_LOCK} SKIP LOCKED"

_LIST: Final = f"""
{_ROW}
WHERE (%(after)s::uuid IS NULL OR r.id > %(after)s)
    AND (%(state)s::text IS NULL OR r.state = %(state)s)
    AND (%(subject)s::text IS NULL OR a.subject = %(subject)s)
    AND (%(kind)s::text IS NULL OR a.kind = %(kind)s)
ORDER BY r.id
LIMIT %(limit)s
"""

# Money of imported books that lies on a reserved twin without its reservation, which no export has.
_LEFT_OVER: Final = """
SELECT code FROM account
WHERE EXISTS (SELECT FROM imported) AND code = ANY(%s) AND abs(balance_minor) <> reserved_of(id)
"""

_STEPS: Final = """
WITH given AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(versions)s::integer[], %(kinds)s::text[],
                         %(step_posted)s::bigint[], %(step_returned)s::bigint[],
                         %(remaining)s::bigint[], %(events)s::bigint[])
        AS n (id, version, kind, posted_minor, returned_minor, remaining_minor, event_id)
), step AS (
    INSERT INTO reservation_step (reservation_id, step_no, kind, posted_minor, returned_minor,
                                  remaining_minor, event_id)
    SELECT id, version, kind, posted_minor, returned_minor, remaining_minor, event_id FROM given
)
"""

_ADD: Final = f"""
{_STEPS}
INSERT INTO reservation (id, account_id, twin_id, amount_minor, remaining_minor, posted_minor,
                         state, version, reason, made_at, expires_at)
SELECT n.id, a.id, t.id, n.amount_minor, n.amount_minor, 0, 'open', 1, n.reason, n.made_at,
       n.expires_at
FROM unnest(%(ids)s::uuid[], %(accounts)s::text[], %(twins)s::text[], %(amounts)s::bigint[],
            %(reasons)s::text[], %(made)s::timestamptz[], %(expires)s::timestamptz[])
    AS n (id, account, twin, amount_minor, reason, made_at, expires_at)
JOIN account a ON a.code = n.account
JOIN account t ON t.code = n.twin
"""

_SAVE: Final = f"""
{_STEPS}
UPDATE reservation r
SET remaining_minor = n.remaining_minor, posted_minor = n.posted_minor, state = n.state,
    version = n.version, ended_at = n.ended_at
FROM unnest(%(ids)s::uuid[], %(versions)s::integer[], %(remaining)s::bigint[],
            %(posted)s::bigint[], %(states)s::text[], %(ended)s::timestamptz[])
    AS n (id, version, remaining_minor, posted_minor, state, ended_at)
WHERE r.id = n.id
"""

Written = tuple[Reservation, Step, int]
"""A reservation as it stands after a step, the step, and the number of the step's event."""


def find_many(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Reservation]:
    """The reservations with these ids; unknown ids are missing."""
    return _fetch(connection, _FIND, ids)


def lock_many(
    connection: Connection, ids: Iterable[UUID], *, skip_locked: bool = False
) -> dict[UUID, Reservation]:
    """The same, locked FOR UPDATE in the order of their ids; or only those nobody else holds."""
    return _fetch(connection, _LOCK_FREE if skip_locked else _LOCK, ids)


def list_page(
    connection: Connection,
    *,
    after: UUID | None,
    limit: int,
    state: str | None = None,
    kind: str | None = None,
    subject: str | None = None,
) -> list[Reservation]:
    """Reservations in the order of their ids; the filters are literal, None for any."""
    given = {"after": after, "limit": limit, "state": state, "kind": kind, "subject": subject}
    return [_row(row) for row in connection.exec_driver_sql(_LIST, given)]


def list_left_over(connection: Connection, twins: Iterable[AccountKey]) -> set[str]:
    """Those of the reserved twins that hold more than their reservations: only after an import."""
    codes = sorted({twin.code for twin in twins})
    return {code for (code,) in driver(connection).execute(_LEFT_OVER, (codes,))}


def add_many(connection: Connection, written: Sequence[Written]) -> None:
    """Add reservations with their first step; their events are posted already."""
    rows = [row for row, _, _ in written]
    given = {
        "accounts": [row.account.code for row in rows],
        "twins": [reserved_twin(row.account).code for row in rows],
        "amounts": [row.amount_minor for row in rows],
        "reasons": [row.reason for row in rows],
        "made": [row.made_at for row in rows],
        "expires": [row.expires_at for row in rows],
    }
    _write(connection, _ADD, written, given)


def save_many(connection: Connection, written: Sequence[Written]) -> None:
    """Move locked reservations on by a step each; their events are posted already."""
    rows = [row for row, _, _ in written]
    ended: list[datetime | None] = [row.ended_at for row in rows]
    given = {
        "posted": [row.posted_minor for row in rows],
        "states": [row.state.value for row in rows],
        "ended": ended,
    }
    _write(connection, _SAVE, written, given)


def _write(
    connection: Connection, statement: str, written: Sequence[Written], given: dict[str, Any]
) -> None:
    if not written:
        return
    steps = {
        "ids": [row.id for row, _, _ in written],
        "versions": [row.version for row, _, _ in written],
        "kinds": [step.kind.value for _, step, _ in written],
        "step_posted": [step.posted_minor for _, step, _ in written],
        "step_returned": [step.returned_minor for _, step, _ in written],
        "remaining": [step.remaining_minor for _, step, _ in written],
        "events": [event_id for _, _, event_id in written],
    }
    moved = driver(connection).execute(statement.encode(), steps | given).rowcount
    if moved != len(written):
        raise Broken("a reservation vanished under its lock", wanted=len(written), moved=moved)


def _fetch(connection: Connection, statement: str, ids: Iterable[UUID]) -> dict[UUID, Reservation]:
    rows = driver(connection).execute(statement.encode(), (sorted(set(ids)),))
    return {row[0]: _row(row) for row in rows}


def _row(row: Sequence[Any]) -> Reservation:
    account = AccountKey(row[1], row[2], row[3])
    state = ReservationState(row[7])
    return Reservation(row[0], account, row[4], row[5], row[6], state, *row[8:])
