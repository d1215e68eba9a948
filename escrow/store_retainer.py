"""All SQL of retainers: their terms, periods, drawdowns, and what is carried over."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from escrow.model import Method, Role
from escrow.model_retainer import (
    Carried,
    Drawdown,
    DrawdownState,
    Every,
    Moves,
    OnPause,
    Overage,
    Period,
    PeriodState,
    Retainer,
    RetainerKind,
    RetainerState,
    RetainerTerms,
    Unused,
    Worked,
)
from kernel.database import driver
from kernel.errors import Broken

_TERMS: Final = tuple(field.name for field in fields(RetainerTerms))
_OF_RETAINER: Final = tuple(f.name for f in fields(Retainer) if f.name != "terms")
_OF_PERIOD: Final = tuple(field.name for field in fields(Period))
_OF_DRAWDOWN: Final = tuple(field.name for field in fields(Drawdown))
_OF_WORKED: Final = tuple(field.name for field in fields(Worked))

_ENUMS: Final[Mapping[str, type[StrEnum]]] = {
    "kind": RetainerKind,
    "every": Every,
    "unused": Unused,
    "rest": Unused,
    "overage": Overage,
    "on_pause": OnPause,
    "method": Method,
}

_ADD_TERM: Final = """
INSERT INTO term (id, contract_id, kind, title, created_at) VALUES (%s, %s, 'retainer', '', %s)
"""

_FIND_OPEN_FUNDINGS: Final = """
SELECT id FROM funding
WHERE slot_id = ANY (%s) AND state IN ('created', 'requires_action', 'processing', 'unknown')
"""

_LIST_FREE_PERIODS: Final = """
SELECT period.id FROM retainer_period AS period
JOIN retainer ON retainer.id = period.retainer_id
WHERE period.id = ANY (%s) AND period.state = 'active' AND retainer.kind <> 'access_fee'
    AND NOT EXISTS (SELECT FROM drawdown WHERE drawdown.period_id = period.id
        AND drawdown.state = 'submitted' AND NOT drawdown.exceeds)
"""

_VOID: Final = "UPDATE drawdown_time SET is_void = true WHERE drawdown_id = ANY (%s)"

_LOCK: Final = "FOR NO KEY UPDATE"


def find_retainers(connection: Connection, ids: Sequence[UUID]) -> list[Retainer]:
    """Retainers without a lock, for the contract that each names, or to be shown."""
    return [_retainer(row) for row in _select(connection, _RETAINER, "id", ids)]


def lock_retainer(connection: Connection, retainer_id: UUID) -> Retainer:
    """A retainer that is there."""
    (row,) = _select(connection, _RETAINER, "id", [retainer_id], lock=_LOCK)
    return _retainer(row)


def lock_retainers(connection: Connection, ids: Sequence[UUID]) -> list[Retainer]:
    """Retainers that are there."""
    return [_retainer(row) for row in _select(connection, _RETAINER, "id", ids, lock=_LOCK)]


def list_retainers(connection: Connection, contract_ids: Sequence[UUID]) -> list[Retainer]:
    """The retainers of contracts."""
    return [_retainer(row) for row in _select(connection, _RETAINER, "contract_id", contract_ids)]


def find_periods(connection: Connection, ids: Sequence[UUID]) -> list[Period]:
    """Periods without a lock."""
    return [_period(row) for row in _select(connection, _PERIOD, "id", ids)]


def lock_periods(connection: Connection, ids: Sequence[UUID]) -> list[Period]:
    """Periods that shall change; their slots are locked before."""
    return [_period(row) for row in _select(connection, _PERIOD, "id", ids, lock=_LOCK)]


def list_periods(connection: Connection, retainer_id: UUID) -> list[Period]:
    """All periods of a retainer, first to last."""
    rows = _select(connection, _PERIOD, "retainer_id", [retainer_id], order="number")
    return [_period(row) for row in rows]


def list_all_periods(connection: Connection, retainer_ids: Sequence[UUID]) -> list[Period]:
    """All periods of some retainers, each first to last."""
    rows = _select(connection, _PERIOD, "retainer_id", retainer_ids, order="retainer_id, number")
    return [_period(row) for row in rows]


def find_drawdowns(connection: Connection, ids: Sequence[UUID]) -> list[Drawdown]:
    """Drawdowns without a lock, for the period that each names."""
    return [_drawdown(row) for row in _select(connection, _DRAWDOWN, "id", ids)]


def list_drawdowns(connection: Connection, period_id: UUID) -> tuple[Drawdown, ...]:
    """The drawdowns of a period, first to last; the period's lock covers them."""
    rows = _select(connection, _DRAWDOWN, "period_id", [period_id], order="seq")
    return tuple(_drawdown(row) for row in rows)


def list_all_drawdowns(
    connection: Connection, period_ids: Sequence[UUID]
) -> dict[UUID, list[Drawdown]]:
    """The same of some periods."""
    found: dict[UUID, list[Drawdown]] = {}
    for row in _select(connection, _DRAWDOWN, "period_id", period_ids, order="period_id, seq"):
        each = _drawdown(row)
        found.setdefault(each.period_id, []).append(each)
    return found


def find_over(connection: Connection, slot_ids: Sequence[UUID]) -> list[Drawdown]:
    """What exceeded a period, by the slot that it was charged to; the slot's lock covers it."""
    return [_drawdown(row) for row in _select(connection, _DRAWDOWN, "slot_id", slot_ids)]


def list_worked(connection: Connection, drawdown_ids: Sequence[UUID]) -> list[Worked]:
    """The hours of drawdowns, in order."""
    rows = _select(connection, _WORKED, "drawdown_id", drawdown_ids, order="drawdown_id, seq")
    return [Worked(*row) for row in rows]


def list_carried(connection: Connection, slot_id: UUID) -> tuple[Carried, ...]:
    """What was rolled into a period's slot, with its expiry."""
    columns = ("slot_id", "seq", "expires_no")
    rows = _select(connection, ("carried_lot", columns), "slot_id", [slot_id], order="seq")
    return tuple(Carried(*row) for row in rows)


def list_all_carried(connection: Connection, slot_ids: Sequence[UUID]) -> dict[UUID, list[Carried]]:
    """The same of some slots."""
    columns = ("slot_id", "seq", "expires_no")
    found: dict[UUID, list[Carried]] = {}
    rows = _select(connection, ("carried_lot", columns), "slot_id", slot_ids, order="slot_id, seq")
    for row in rows:
        found.setdefault(row[0], []).append(Carried(*row))
    return found


def find_open_fundings(connection: Connection, slot_ids: Sequence[UUID]) -> list[UUID]:
    """The payments of slots that may still come."""
    rows = driver(connection).execute(_FIND_OPEN_FUNDINGS, (list(slot_ids),)).fetchall()
    return [row[0] for row in rows]


def list_free_periods(connection: Connection, slot_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the slots that are running periods of hours or pieces, with nothing open in them."""
    rows = driver(connection).execute(_LIST_FREE_PERIODS, (list(slot_ids),)).fetchall()
    return {row[0] for row in rows}


def count_slots(connection: Connection, contract_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many slots contracts have, under any of their terms; their locks cover them."""
    rows = driver(connection).execute(
        "SELECT contract_id, count(*) FROM slot WHERE contract_id = ANY (%s) GROUP BY contract_id",
        (list(contract_ids),),
    )
    return {row[0]: row[1] for row in rows}


def list_taken(connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Those of the ids that a term or a drawdown has already."""
    rows = driver(connection).execute(
        "SELECT id FROM term WHERE id = ANY (%s) UNION SELECT id FROM drawdown WHERE id = ANY (%s)",
        (list(ids), list(ids)),
    )
    return {row[0] for row in rows}


def save_moves(connection: Connection, moves: Moves) -> None:
    """Write what a step of a retainer changed; Broken if a row moved under its lock."""
    save_all(connection, [moves])


def save_all(connection: Connection, some: Sequence[Moves]) -> None:
    """Write what steps of retainers changed, each kind of row at once."""
    retainers = [each for moves in some for each in moves.retainers]
    _write(connection, _ADD_TERM, [(r.id, r.contract_id, r.created_at) for r in retainers])
    _add(connection, _RETAINER, [_retainer_cells(each) for each in retainers])
    _add(connection, _PERIOD, [_cells(p, _OF_PERIOD) for moves in some for p in moves.periods])
    drawdowns = [_cells(each, _OF_DRAWDOWN) for moves in some for each in moves.drawdowns]
    _add(connection, _DRAWDOWN, drawdowns)
    worked = [_cells(each, _OF_WORKED) for moves in some for each in moves.worked]
    _add(connection, _WORKED, worked)
    carried = [(lot.slot_id, lot.seq, lot.expires_no) for moves in some for lot in moves.carried]
    _add(connection, ("carried_lot", ("slot_id", "seq", "expires_no")), carried)
    _save(connection, "retainer", _RETAINER_CHANGES, [m.moved_retainers for m in some])
    _save(connection, "retainer_period", _PERIOD_CHANGES, [m.moved_periods for m in some])
    _save(connection, "drawdown", _DRAWDOWN_CHANGES, [m.moved_drawdowns for m in some])
    voided = [each for moves in some for each in moves.voided]
    if voided:
        driver(connection).execute(_VOID, (voided,))


_Source = tuple[str, tuple[str, ...]]
_RETAINER: Final[_Source] = ("retainer", (*_OF_RETAINER, *_TERMS))
_PERIOD: Final[_Source] = ("retainer_period", _OF_PERIOD)
_DRAWDOWN: Final[_Source] = ("drawdown", _OF_DRAWDOWN)
_WORKED: Final[_Source] = ("drawdown_time", _OF_WORKED)
_RETAINER_CHANGES: Final = (
    *("state", "version", "accepted_at", "cancel_asked_by", "ends_at", "pause_asked_by"),
    "shift_days",
)
_PERIOD_CHANGES: Final = (
    *("state", "version", "attempts", "opened_at", "first_on", "next_on", "starts_at"),
    *("ends_at", "paused_at", "paused_days"),
)
_DRAWDOWN_CHANGES: Final = ("state", "version", "release_id", "slot_id", "attempts", "opened_at")


def _cells(row: object, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in names)


def _retainer_cells(retainer: Retainer) -> tuple[Any, ...]:
    return (*_cells(retainer, _OF_RETAINER), *_cells(retainer.terms, _TERMS))


def _add(connection: Connection, source: _Source, rows: Sequence[tuple[Any, ...]]) -> None:
    table, names = source
    marks = ", ".join(["%s"] * len(names))
    _write(connection, f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)


def _save(
    connection: Connection,
    table: str,
    changed: Sequence[str],
    moves: Sequence[Sequence[tuple[Any, Any]]],
) -> None:
    sets = ", ".join(f"{name} = %s" for name in changed)
    statement = f"UPDATE {table} SET {sets} WHERE id = %s AND version = %s AND state = %s"
    rows = [
        (*_cells(after, changed), before.id, before.version, before.state)
        for some in moves
        for before, after in some
    ]
    if _write(connection, statement, rows) != len(rows):
        raise Broken("a row moved under its lock", table=table)


def _write(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Run a statement for each row; how many rows that wrote."""
    if not rows:
        return 0
    with driver(connection).cursor() as cursor:
        cursor.executemany(statement.encode(), rows)
        return cursor.rowcount


def _select(
    connection: Connection,
    source: _Source,
    key: str,
    ids: Sequence[UUID],
    *,
    order: str = "id",
    lock: str = "",
) -> list[tuple[Any, ...]]:
    table, names = source
    statement = (
        f"SELECT {', '.join(names)} FROM {table} WHERE {key} = ANY (%s) ORDER BY {order} {lock}"
    )
    return driver(connection).execute(statement.encode(), (list(ids),)).fetchall()


def _retainer(row: tuple[Any, ...]) -> Retainer:
    own = dict(zip(_OF_RETAINER, row[: len(_OF_RETAINER)], strict=True))
    terms = dict(zip(_TERMS, row[len(_OF_RETAINER) :], strict=True))
    for name, kind in _ENUMS.items():
        terms[name] = kind(terms[name])
    own["proposed_by"], own["state"] = Role(own["proposed_by"]), RetainerState(own["state"])
    for name in ("cancel_asked_by", "pause_asked_by"):
        own[name] = Role(own[name]) if own[name] else None
    return Retainer(**own, terms=RetainerTerms(**terms))


def _period(row: tuple[Any, ...]) -> Period:
    cells = dict(zip(_OF_PERIOD, row, strict=True))
    cells["state"] = PeriodState(cells["state"])
    return Period(**cells)


def _drawdown(row: tuple[Any, ...]) -> Drawdown:
    cells = dict(zip(_OF_DRAWDOWN, row, strict=True))
    cells["state"] = DrawdownState(cells["state"])
    return Drawdown(**cells)
