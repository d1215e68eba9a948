"""All SQL of hours: what is read, locked and written; rows become dataclasses at once."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Table

from escrow.model import Method, Role
from escrow.model_hourly import (
    ClientClaim,
    Collect,
    EntryState,
    HourlyTerm,
    Rate,
    Source,
    TermState,
    TimeEntry,
    Unprotected,
    Unused,
    Week,
    WeekLine,
    WeekState,
    Worked,
)
from escrow.store_arrays import insert_into, names_of, update_of, write_arrays
from escrow.tables import TERM
from escrow.tables_hourly import (
    CLIENT_CLAIM,
    HOURLY_RATE,
    HOURLY_TERM,
    LINE_DISPUTE,
    TIME_ENTRY,
    TIME_RUN,
    WEEK_LINE,
    WORK_WEEK,
)
from kernel.database import driver

Row = TypeVar("Row")

_LOCK: Final = "FOR NO KEY UPDATE"


def _select(table: Table, where: str, order: str, lock: str = "") -> str:
    names = ", ".join(names_of(table))
    return f"SELECT {names} FROM {table.name} WHERE {where} ORDER BY {order} {lock}"


_TERM_CHANGES: Final = (
    *("state", "version", "limit_minutes", "method_failed", "accepted_at", "paused_at"),
    *("ended_at",),
)
_WEEK_CHANGES: Final = (
    *("slot_id", "state", "version", "limit_minutes", "amount_minor", "protected_minor"),
    *("advanced_minor", "charge_attempts", "code", "ends_at", "invoice_at", "review_ends_at"),
)
_ENTRY_CHANGES: Final = (
    *("week_id", "source", "memo", "rate_minor", "state", "version"),
    *("billed_minutes", "over_limit", "is_protected", "reason", "line_no"),
)
_ENTRY_SHIFTS: Final = (*_ENTRY_CHANGES, "started_at", "ended_at")
_CLAIM_CHANGES: Final = ("state", "version", "proposed_by", "approved_by")
_DISPUTE_CHANGES: Final = (
    *("state", "version", "served_at", "served_by", "channel", "proof", "due_at", "reply"),
    *("proposed_refund_minor", "proposed_by", "approved_by", "refunded_minor", "ended_at"),
)
_RUN_CHANGES: Final = ("started_at", "memo", "activity", "state", "version", "ended_at")

_FIND_WAITING: Final = f"""
SELECT {", ".join(names_of(WORK_WEEK))} FROM work_week
WHERE state IN ('invoiced', 'charge_failed', 'advanced', 'unpaid') AND (
    slot_id = ANY (%(slots)s::uuid[])
    OR slot_id IN (SELECT slot_id FROM funding WHERE id = ANY (%(fundings)s::uuid[]))
)
ORDER BY id
"""

_LIST_SPANS: Final = """
SELECT id, started_at, ended_at FROM time_entry
WHERE state <> 'deleted' AND uuid_range(payee_id, payee_id, '[]') && uuid_range(%s, %s, '[]')
    AND tstzrange(started_at, ended_at, '[)') && tstzrange(%s, %s, '[)')
UNION ALL
SELECT drawdown_id, started_at, ended_at FROM drawdown_time
WHERE NOT is_void AND uuid_range(payee_id, payee_id, '[]') && uuid_range(%s, %s, '[]')
    AND tstzrange(started_at, ended_at, '[)') && tstzrange(%s, %s, '[)')
ORDER BY started_at
"""

_LIST_PAYEE_SPANS: Final = """
SELECT p.id, t.started_at, t.ended_at
FROM unnest(%s::uuid[]) p (id)
CROSS JOIN LATERAL (
    SELECT started_at, ended_at FROM time_entry
    WHERE state <> 'deleted'
        AND uuid_range(payee_id, payee_id, '[]') && uuid_range(p.id, p.id, '[]')
        AND tstzrange(started_at, ended_at, '[)') && tstzrange(%s, %s, '[)')
    UNION ALL
    SELECT started_at, ended_at FROM drawdown_time
    WHERE NOT is_void
        AND uuid_range(payee_id, payee_id, '[]') && uuid_range(p.id, p.id, '[]')
        AND tstzrange(started_at, ended_at, '[)') && tstzrange(%s, %s, '[)')
) t
ORDER BY p.id, t.started_at
"""

_COUNT_SLOTS: Final = """
SELECT contract_id, count(*) FROM slot WHERE contract_id = ANY (%s::uuid[]) GROUP BY contract_id
"""

_SUM_BILLED: Final = """
SELECT coalesce(sum(billed_minutes), 0) FROM time_entry
WHERE term_id = %s AND week_starts_at = %s AND state = 'billed'
"""

_TELL_APART: Final = """
SELECT pg_advisory_xact_lock(hashtextextended('time_entry:' || id, 0))
FROM unnest(%s::text[]) WITH ORDINALITY AS p (id, place) ORDER BY place
"""


def _term(row: Sequence[Any]) -> HourlyTerm:
    cells = list(row)
    cells[4], cells[6], cells[9] = TermState(row[4]), Role(row[6]), Method(row[9])
    cells[16], cells[17] = Collect(row[16]), Unused(row[17])
    return HourlyTerm(*cells)


def _rate(row: Sequence[Any]) -> Rate:
    return Rate(*row)


def _week(row: Sequence[Any]) -> Week:
    cells = list(row)
    cells[8] = WeekState(row[8])
    return Week(*cells)


def _entry(row: Sequence[Any]) -> TimeEntry:
    cells = list(row)
    cells[8], cells[12], cells[21] = Source(row[8]), EntryState(row[12]), Unprotected(row[21])
    return TimeEntry(*cells)


def _line(row: Sequence[Any]) -> WeekLine:
    return WeekLine(*row)


def _claim(row: Sequence[Any]) -> ClientClaim:
    return ClientClaim(*row)


def _ids(ids: Iterable[UUID]) -> str:
    return "{" + ",".join(map(str, ids)) + "}"


def _read(
    connection: Connection, statement: str, ids: Iterable[UUID], make: Callable[[Any], Row]
) -> list[Row]:
    wanted = list(ids)
    if not wanted:
        return []
    return [make(row) for row in driver(connection).execute(statement.encode(), (_ids(wanted),))]


def lock_payees(connection: Connection, payee_ids: Iterable[UUID]) -> None:
    """Let one transaction at a time log hours of a payee; the constraint stands behind it."""
    wanted = sorted(set(payee_ids))
    if wanted:
        connection.exec_driver_sql(_TELL_APART, (_ids(wanted),))


def find_terms(connection: Connection, term_ids: Iterable[UUID]) -> list[HourlyTerm]:
    """Hourly terms without a lock, for what never changes, or to be shown."""
    return _read(
        connection, _select(HOURLY_TERM, "term_id = ANY (%s::uuid[])", "term_id"), term_ids, _term
    )


def lock_terms(connection: Connection, term_ids: Iterable[UUID]) -> list[HourlyTerm]:
    """Lock hourly terms."""
    statement = _select(HOURLY_TERM, "term_id = ANY (%s::uuid[])", "term_id", _LOCK)
    return _read(connection, statement, term_ids, _term)


def list_contract_terms(connection: Connection, contract_id: UUID) -> list[HourlyTerm]:
    """The hourly terms of a contract."""
    statement = _select(HOURLY_TERM, "contract_id = ANY (%s::uuid[])", "term_id")
    return _read(connection, statement, [contract_id], _term)


def list_rates(connection: Connection, term_ids: Iterable[UUID]) -> dict[UUID, list[Rate]]:
    """The rates of terms, oldest first."""
    found: dict[UUID, list[Rate]] = {}
    statement = _select(HOURLY_RATE, "term_id = ANY (%s::uuid[])", "term_id, seq")
    for rate in _read(connection, statement, term_ids, _rate):
        found.setdefault(rate.term_id, []).append(rate)
    return found


def find_weeks(connection: Connection, week_ids: Iterable[UUID]) -> list[Week]:
    """Weeks without a lock."""
    return _read(connection, _select(WORK_WEEK, "id = ANY (%s::uuid[])", "id"), week_ids, _week)


def lock_weeks(
    connection: Connection, week_ids: Iterable[UUID], *, skip_locked: bool = False
) -> list[Week]:
    """Lock weeks; those that another transaction holds are left out where asked."""
    lock = f"{_LOCK} SKIP LOCKED" if skip_locked else _LOCK
    statement = _select(WORK_WEEK, "id = ANY (%s::uuid[])", "id", lock)
    return _read(connection, statement, week_ids, _week)


def lock_term_weeks(connection: Connection, term_ids: Iterable[UUID]) -> list[Week]:
    """Lock the weeks of terms that still take hours, or are the newest; the terms are locked."""
    statement = _select(
        WORK_WEEK,
        "term_id = ANY (%s::uuid[]) AND state IN ('open', 'payee_review')",
        "id",
        _LOCK,
    )
    return _read(connection, statement, term_ids, _week)


def list_open(connection: Connection, term_ids: Iterable[UUID]) -> list[Week]:
    """The open weeks of terms, without a lock."""
    statement = _select(WORK_WEEK, "term_id = ANY (%s::uuid[]) AND state = 'open'", "id")
    return _read(connection, statement, term_ids, _week)


def list_term_weeks(
    connection: Connection, term_id: UUID, *, after: datetime | None, limit: int
) -> list[Week]:
    """The weeks of a term, oldest first, from the one after an instant."""
    statement = (
        f"SELECT {', '.join(names_of(WORK_WEEK))} FROM work_week WHERE term_id = %s"
        " AND (%s::timestamptz IS NULL OR starts_at > %s) ORDER BY starts_at LIMIT %s"
    )
    rows = connection.exec_driver_sql(statement, (term_id, after, after, limit))
    return [_week(row) for row in rows]


def list_starts(
    connection: Connection, term_ids: Iterable[UUID], *, since: datetime | None = None
) -> dict[UUID, dict[datetime, Week]]:
    """Weeks of terms by their first instant, without a lock: all, or from an instant on."""
    found: dict[UUID, dict[datetime, Week]] = {}
    where = "term_id = ANY (%s::uuid[]) AND (%s::timestamptz IS NULL OR starts_at >= %s)"
    given = (_ids(term_ids), since, since)
    for row in connection.exec_driver_sql(_select(WORK_WEEK, where, "starts_at"), given):
        week = _week(row)
        found.setdefault(week.term_id, {})[week.starts_at] = week
    return found


def count_slots(connection: Connection, contract_ids: Iterable[UUID]) -> dict[UUID, int]:
    """How many slots contracts have, under any of their terms; their locks cover them."""
    wanted = list(contract_ids)
    rows = connection.exec_driver_sql(_COUNT_SLOTS, (_ids(wanted),))
    return {**dict.fromkeys(wanted, 0), **{row[0]: row[1] for row in rows}}


def find_waiting_weeks(
    connection: Connection, *, slot_ids: Iterable[UUID], funding_ids: Iterable[UUID]
) -> list[Week]:
    """Weeks that wait for the money of these slots, or of the slots of these fundings."""
    given = {"slots": _ids(slot_ids), "fundings": _ids(funding_ids)}
    return [_week(row) for row in connection.exec_driver_sql(_FIND_WAITING, given)]


def find_entries(connection: Connection, entry_ids: Iterable[UUID]) -> list[TimeEntry]:
    """Entries without a lock."""
    statement = _select(TIME_ENTRY, "id = ANY (%s::uuid[])", "id")
    return _read(connection, statement, entry_ids, _entry)


def lock_entries(connection: Connection, entry_ids: Iterable[UUID]) -> list[TimeEntry]:
    """Lock entries."""
    statement = _select(TIME_ENTRY, "id = ANY (%s::uuid[])", "id", _LOCK)
    return _read(connection, statement, entry_ids, _entry)


def list_entries(connection: Connection, week_ids: Iterable[UUID]) -> list[TimeEntry]:
    """The entries of weeks in time order, without the deleted ones; a week's lock covers them."""
    statement = _select(
        TIME_ENTRY, "week_id = ANY (%s::uuid[]) AND state <> 'deleted'", "started_at, id"
    )
    return _read(connection, statement, week_ids, _entry)


def lock_late(connection: Connection, term_ids: Iterable[UUID]) -> list[TimeEntry]:
    """Lock the late entries of terms that the client has approved."""
    statement = _select(
        TIME_ENTRY, "term_id = ANY (%s::uuid[]) AND state = 'late_approved'", "id", _LOCK
    )
    return _read(connection, statement, term_ids, _entry)


def list_spans(
    connection: Connection, payee_id: UUID, *, begin: datetime, end: datetime
) -> list[tuple[UUID, datetime, datetime]]:
    """(entry or drawdown, start, end) of the payee's hours under any term near an interval."""
    given = (payee_id, payee_id, begin, end)
    rows = connection.exec_driver_sql(_LIST_SPANS, (*given, *given))
    return [(row[0], row[1], row[2]) for row in rows]


def list_payee_spans(
    connection: Connection, payee_ids: Iterable[UUID], *, begin: datetime, end: datetime
) -> list[tuple[UUID, datetime, datetime]]:
    """(payee, start, end) of the payees' hours under any term that touch an interval."""
    given = (_ids(payee_ids), begin, end, begin, end)
    rows = connection.exec_driver_sql(_LIST_PAYEE_SPANS, given)
    return [(row[0], row[1], row[2]) for row in rows]


def sum_billed(connection: Connection, term_id: UUID, week_starts_at: datetime) -> int:
    """Minutes worked in a week that were billed already, whichever week's invoice did it."""
    row = connection.exec_driver_sql(_SUM_BILLED, (term_id, week_starts_at)).scalar_one()
    return int(row)


def list_lines(connection: Connection, week_id: UUID) -> list[WeekLine]:
    """The lines of a week's invoice."""
    statement = _select(WEEK_LINE, "week_id = ANY (%s::uuid[])", "line_no")
    return _read(connection, statement, [week_id], _line)


def find_claims(connection: Connection, week_ids: Iterable[UUID]) -> list[ClientClaim]:
    """Claims on clients without a lock."""
    statement = _select(CLIENT_CLAIM, "week_id = ANY (%s::uuid[])", "week_id")
    return _read(connection, statement, week_ids, _claim)


def lock_claims(connection: Connection, week_ids: Iterable[UUID]) -> list[ClientClaim]:
    """Lock claims on clients."""
    statement = _select(CLIENT_CLAIM, "week_id = ANY (%s::uuid[])", "week_id", _LOCK)
    return _read(connection, statement, week_ids, _claim)


def write(connection: Connection, some: Sequence[Worked]) -> None:
    """Write all rows of hours, parents first; Broken if one moved under its lock."""
    terms = [each for worked in some for each in worked.terms]
    write_arrays(
        connection,
        insert_into(TERM),
        [(t.term_id, t.contract_id, "hourly", "", t.created_at) for t in terms],
    )
    _add_rows(connection, HOURLY_TERM, terms)
    _add_rows(connection, HOURLY_RATE, [r for worked in some for r in worked.rates])
    _save(connection, HOURLY_TERM, "term_id", _TERM_CHANGES, [w.moved_terms for w in some])
    _add_rows(connection, WORK_WEEK, [week for worked in some for week in worked.weeks])
    _save(connection, WORK_WEEK, "id", _WEEK_CHANGES, [w.moved_weeks for w in some])
    _add_rows(connection, WEEK_LINE, [line for worked in some for line in worked.lines])
    _add_rows(connection, TIME_ENTRY, [e for worked in some for e in worked.entries])
    moves = [pair for worked in some for pair in worked.moved_entries]
    # where the hours stay, they are not written: so they are not weighed against others again
    _save(connection, TIME_ENTRY, "id", _ENTRY_CHANGES, [[m for m in moves if not _shifts(m)]])
    _save(connection, TIME_ENTRY, "id", _ENTRY_SHIFTS, [[m for m in moves if _shifts(m)]])
    _add_rows(connection, CLIENT_CLAIM, [c for worked in some for c in worked.claims])
    _save(connection, CLIENT_CLAIM, "week_id", _CLAIM_CHANGES, [w.moved_claims for w in some])
    _add_rows(connection, LINE_DISPUTE, [d for worked in some for d in worked.disputes])
    _save(connection, LINE_DISPUTE, "id", _DISPUTE_CHANGES, [w.moved_disputes for w in some])
    _save(connection, TIME_RUN, "id", _RUN_CHANGES, [w.moved_runs for w in some])
    _add_rows(connection, TIME_RUN, [r for worked in some for r in worked.runs])


def _shifts(move: tuple[TimeEntry, TimeEntry]) -> bool:
    old, new = move
    return (old.started_at, old.ended_at) != (new.started_at, new.ended_at)


def _add_rows(connection: Connection, table: Table, rows: Sequence[Any]) -> None:
    if rows:
        cells = attrgetter(*names_of(table))
        write_arrays(connection, insert_into(table), [cells(row) for row in rows])


def _save(
    connection: Connection,
    table: Table,
    key: str,
    changes: Sequence[str],
    moves: Sequence[Sequence[tuple[Any, Any]]],
) -> None:
    """Move rows on, all at once; a row that moves twice in this order, move by move."""
    pairs = [pair for some in moves for pair in some]
    if not pairs:
        return
    statement = update_of(table, keys=(key,), changed=changes, same=("version",))
    cells = attrgetter(*changes)
    rows = [(getattr(old, key), *cells(new), old.version) for old, new in pairs]
    is_once_each = len({row[0] for row in rows}) == len(rows)
    for some in [rows] if is_once_each else [[row] for row in rows]:
        write_arrays(connection, statement, some, must_change=True)
