"""The SQL of breaks: what is left over as rows, their trail, and write-offs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver
from kernel.ids import new_id
from reconciliation.store_items import Place

_STATES: Final = "SELECT id, state FROM reconciliation_break WHERE id = ANY (%s)"

_LIST_KNOWN: Final = """
SELECT id, kind, told, state FROM reconciliation_break
WHERE place = %s AND rail_account = %s AND currency = %s
    AND (closed_at IS NULL OR id = ANY (%s))
ORDER BY id FOR UPDATE
"""

_ADD: Final = """
INSERT INTO reconciliation_break (id, place, rail_account, currency, line_id, ledger_account_id,
    ledger_account_seq, event_id, amount_minor, arose_on, kind, told, due_on, opened_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_SAVE_KIND: Final = "UPDATE reconciliation_break SET kind = %s, told = %s WHERE id = %s"

_SAVE_STATE: Final = """
UPDATE reconciliation_break SET state = %s, closed_at = %s WHERE id = %s
"""

_SAVE_OWNER: Final = "UPDATE reconciliation_break SET owner_id = %s WHERE id = %s"

_ADD_NOTE: Final = """
INSERT INTO break_note (id, break_id, kind, told, actor_id, noted_at)
VALUES (%s, %s, %s, %s, %s, %s)
"""

_COLUMNS: Final = """
    b.id, b.place, b.rail_account, b.currency::text, b.line_id, b.event_id, b.amount_minor,
    b.arose_on, b.kind, b.told, b.due_on, b.owner_id, b.state, b.opened_at, b.closed_at,
    w.id AS write_off_id, w.proposed_by
FROM reconciliation_break b
LEFT JOIN break_write_off w ON w.break_id = b.id AND w.is_approved IS NULL
"""

_LIST: Final = f"""
SELECT {_COLUMNS}
WHERE b.id > %(after)s AND (%(is_all)s OR b.closed_at IS NULL) ORDER BY b.id LIMIT %(limit)s
"""

_LOCK: Final = """
SELECT place, rail_account, currency::text, line_id, ledger_account_id, ledger_account_seq,
    event_id, amount_minor, state
FROM reconciliation_break WHERE id = %s FOR UPDATE
"""

_NOTES: Final = """
SELECT kind, told, actor_id, noted_at FROM break_note WHERE break_id = %s ORDER BY noted_at, id
"""

_ADD_WRITE_OFF: Final = """
INSERT INTO break_write_off (id, break_id, amount_minor, limit_minor, reason, proposed_by,
    proposed_at)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (break_id) WHERE is_approved IS NULL OR is_approved DO NOTHING
"""

_FIND_WRITE_OFF: Final = """
SELECT break_id FROM break_write_off WHERE id = %s
"""

_LOCK_WRITE_OFF: Final = """
SELECT break_id, amount_minor, reason, proposed_by, decided_by FROM break_write_off
WHERE id = %s FOR UPDATE
"""

_DECIDE: Final = """
UPDATE break_write_off
SET decided_by = %s, decided_at = %s, is_approved = %s, event_id = %s, match_id = %s
WHERE id = %s
"""

_SET_HOUR: Final = """
INSERT INTO safeguarding_hour (valid_from, hour, set_by) VALUES (%s, %s, %s)
ON CONFLICT (valid_from) DO NOTHING
"""

_HOUR: Final = """
SELECT hour FROM safeguarding_hour WHERE valid_from <= %s ORDER BY valid_from DESC LIMIT 1
"""

_ADD_RUN: Final = """
INSERT INTO safeguarding_run (on_day, is_safe, report, ran_at) VALUES (%s, %s, %s, %s)
ON CONFLICT (on_day) DO NOTHING
"""

_NEWEST_RUN: Final = "SELECT max(on_day) FROM safeguarding_run"

DEFAULT_HOUR: Final = 2
"""Two in the morning, UTC, where nobody set another hour."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBreak:
    """A break to be written; either `line_id`, or `item` (account, number, event)."""

    id: UUID
    line_id: UUID | None
    item: tuple[int, int, int] | None
    amount_minor: int
    arose_on: date
    kind: str
    told: str
    due_on: date


@dataclass(frozen=True, slots=True)
class Known:
    """A break as it stands."""

    id: UUID
    kind: str
    told: str
    state: str


@dataclass(frozen=True, slots=True)
class Locked:
    """A break that is decided upon."""

    place: Place
    line_id: UUID | None
    item: tuple[int, int, int] | None
    amount_minor: int
    state: str


@dataclass(frozen=True, slots=True)
class WriteOff:
    """A write-off; `decided_by` is None while it waits."""

    break_id: UUID
    amount_minor: int
    reason: str
    proposed_by: UUID
    decided_by: UUID | None


def list_states(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, str]:
    """The states of breaks that are known."""
    return dict(driver(connection).execute(_STATES, (list(ids),)).fetchall())


def lock_known(connection: Connection, place: Place, ids: Sequence[UUID]) -> dict[UUID, Known]:
    """All open breaks of a place, and these, locked."""
    arguments = (place.place, place.rail_account, place.currency, list(ids))
    found = [Known(*row) for row in driver(connection).execute(_LIST_KNOWN, arguments)]
    return {each.id: each for each in found}


def add_breaks(
    connection: Connection, place: Place, breaks: Sequence[NewBreak], at: datetime
) -> None:
    """Write breaks down."""
    with driver(connection).cursor() as cursor:
        cursor.executemany(
            _ADD,
            [
                (
                    each.id,
                    *(place.place, place.rail_account, place.currency),
                    each.line_id,
                    *(each.item or (None, None, None)),
                    *(each.amount_minor, each.arose_on, each.kind, each.told, each.due_on, at),
                )
                for each in breaks
            ],
        )


def save_kinds(connection: Connection, kinds: Sequence[tuple[UUID, str, str]]) -> None:
    """What breaks turned out to be: id, kind, words."""
    with driver(connection).cursor() as cursor:
        cursor.executemany(_SAVE_KIND, [(kind, told, each) for each, kind, told in kinds])


def save_states(
    connection: Connection, ids: Sequence[UUID], state: str, *, closed_at: datetime | None
) -> None:
    """Move breaks on."""
    with driver(connection).cursor() as cursor:
        cursor.executemany(_SAVE_STATE, [(state, closed_at, each) for each in ids])


def save_owner(connection: Connection, break_id: UUID, owner_id: UUID | None) -> None:
    """Who looks at a break."""
    driver(connection).execute(_SAVE_OWNER, (owner_id, break_id))


def add_notes(
    connection: Connection, notes: Sequence[tuple[UUID, str, str]], *, by: UUID, at: datetime
) -> None:
    """Write down what happened to breaks: id, kind, words."""
    with driver(connection).cursor() as cursor:
        cursor.executemany(
            _ADD_NOTE,
            [(new_id(), each, kind, told[:2000], by, at) for each, kind, told in notes],
        )


def list_breaks(
    connection: Connection, *, after: UUID, limit: int, is_all: bool = False
) -> list[Row]:
    """Open breaks, or all, by id."""
    cursor = driver(connection).execute(_LIST, {"after": after, "limit": limit, "is_all": is_all})
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def lock_break(connection: Connection, break_id: UUID) -> Locked | None:
    """A break, locked."""
    row = driver(connection).execute(_LOCK, (break_id,)).fetchone()
    if row is None:
        return None
    place, rail_account, currency, line_id, account, seq, event_id, minor, state = row
    item = None if event_id is None else (account, seq, event_id)
    return Locked(Place(place, rail_account, currency), line_id, item, minor, state)


def list_notes(connection: Connection, break_id: UUID) -> list[Row]:
    """The trail of a break."""
    rows = driver(connection).execute(_NOTES, (break_id,))
    return [
        {"kind": kind, "told": told, "actor_id": str(actor), "noted_at": noted.isoformat()}
        for kind, told, actor, noted in rows
    ]


def add_write_off(
    connection: Connection,
    *,
    write_off_id: UUID,
    break_id: UUID,
    amounts: tuple[int, int],
    reason: str,
    by: UUID,
    at: datetime,
) -> bool:
    """Write a proposal down, `amounts` are its own and the limit; False if one stands."""
    added = driver(connection).execute(
        _ADD_WRITE_OFF, (write_off_id, break_id, *amounts, reason, by, at)
    )
    return added.rowcount > 0


def find_write_offs_break(connection: Connection, write_off_id: UUID) -> UUID | None:
    """Which break a write-off is of."""
    row = driver(connection).execute(_FIND_WRITE_OFF, (write_off_id,)).fetchone()
    return None if row is None else row[0]


def lock_write_off(connection: Connection, write_off_id: UUID) -> WriteOff:
    """A write-off, locked."""
    row = driver(connection).execute(_LOCK_WRITE_OFF, (write_off_id,)).fetchone()
    assert row is not None, "a write-off that was there"
    return WriteOff(*row)


def decide_write_off(
    connection: Connection,
    write_off_id: UUID,
    *,
    is_approved: bool,
    made: tuple[int, UUID] | None,
    by: UUID,
    at: datetime,
) -> None:
    """Write a decision down; `made` is the event that posted it and its match."""
    event_id, match_id = made or (None, None)
    driver(connection).execute(_DECIDE, (by, at, is_approved, event_id, match_id, write_off_id))


def set_hour(connection: Connection, hour: int, *, by: UUID, at: datetime) -> None:
    """At which hour the daily run is due from now on."""
    driver(connection).execute(_SET_HOUR, (at, hour, by))


def hour_at(connection: Connection, at: datetime) -> int:
    """The hour that counts at a time."""
    row = driver(connection).execute(_HOUR, (at,)).fetchone()
    return DEFAULT_HOUR if row is None else int(row[0])


def add_daily_run(
    connection: Connection, on: date, *, is_safe: bool, report: str, at: datetime
) -> bool:
    """Write down that the run of a day is through; False if it was."""
    return driver(connection).execute(_ADD_RUN, (on, is_safe, report, at)).rowcount > 0


def newest_daily_run(connection: Connection) -> date | None:
    """The newest day whose run is through."""
    row = driver(connection).execute(_NEWEST_RUN).fetchone()
    return None if row is None else row[0]
