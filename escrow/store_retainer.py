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
    Overage,
    Period,
    PeriodState,
    Retainer,
    RetainerKind,
    RetainerState,
    RetainerTerms,
    Unused,
)
from kernel.database import driver
from kernel.errors import Broken

_TERMS: Final = tuple(field.name for field in fields(RetainerTerms))
_OF_RETAINER: Final = tuple(f.name for f in fields(Retainer) if f.name != "terms")
_OF_PERIOD: Final = tuple(field.name for field in fields(Period))
_OF_DRAWDOWN: Final = tuple(field.name for field in fields(Drawdown))

_ENUMS: Final[Mapping[str, type[StrEnum]]] = {
    "kind": RetainerKind,
    "every": Every,
    "unused": Unused,
    "rest": Unused,
    "overage": Overage,
    "method": Method,
}

_ADD_TERM: Final = """
INSERT INTO term (id, contract_id, kind, title, created_at) VALUES (%s, %s, 'retainer', '', %s)
"""

_LOCK: Final = "FOR NO KEY UPDATE"


def find_retainers(connection: Connection, ids: Sequence[UUID]) -> list[Retainer]:
    """Retainers without a lock, for the contract that each names, or to be shown."""
    return [_retainer(row) for row in _select(connection, _RETAINER, "id", ids)]


def lock_retainer(connection: Connection, retainer_id: UUID) -> Retainer:
    """A retainer that is there."""
    (row,) = _select(connection, _RETAINER, "id", [retainer_id], lock=_LOCK)
    return _retainer(row)


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


def find_drawdowns(connection: Connection, ids: Sequence[UUID]) -> list[Drawdown]:
    """Drawdowns without a lock, for the period that each names."""
    return [_drawdown(row) for row in _select(connection, _DRAWDOWN, "id", ids)]


def list_drawdowns(connection: Connection, period_id: UUID) -> tuple[Drawdown, ...]:
    """The drawdowns of a period, first to last; the period's lock covers them."""
    rows = _select(connection, _DRAWDOWN, "period_id", [period_id], order="seq")
    return tuple(_drawdown(row) for row in rows)


def list_carried(connection: Connection, slot_id: UUID) -> tuple[Carried, ...]:
    """What was rolled into a period's slot, with its expiry."""
    columns = ("slot_id", "seq", "expires_no")
    rows = _select(connection, ("carried_lot", columns), "slot_id", [slot_id], order="seq")
    return tuple(Carried(*row) for row in rows)


def list_taken(connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Those of the ids that a term or a drawdown has already."""
    rows = driver(connection).execute(
        "SELECT id FROM term WHERE id = ANY (%s) UNION SELECT id FROM drawdown WHERE id = ANY (%s)",
        (list(ids), list(ids)),
    )
    return {row[0] for row in rows}


def save_moves(connection: Connection, moves: Moves) -> None:
    """Write what a step of a retainer changed; Broken if a row moved under its lock."""
    for each in moves.retainers:
        driver(connection).execute(_ADD_TERM, (each.id, each.contract_id, each.created_at))
        _add(connection, _RETAINER, _retainer_cells(each))
    for each_period in moves.periods:
        _add(connection, _PERIOD, _cells(each_period, _OF_PERIOD))
    for each_drawdown in moves.drawdowns:
        _add(connection, _DRAWDOWN, _cells(each_drawdown, _OF_DRAWDOWN))
    for lot in moves.carried:
        cells = (lot.slot_id, lot.seq, lot.expires_no)
        _add(connection, ("carried_lot", ("slot_id", "seq", "expires_no")), cells)
    _save(connection, "retainer", _RETAINER_CHANGES, moves.moved_retainers)
    _save(connection, "retainer_period", _PERIOD_CHANGES, moves.moved_periods)
    _save(connection, "drawdown", _DRAWDOWN_CHANGES, moves.moved_drawdowns)


_Source = tuple[str, tuple[str, ...]]
_RETAINER: Final[_Source] = ("retainer", (*_OF_RETAINER, *_TERMS))
_PERIOD: Final[_Source] = ("retainer_period", _OF_PERIOD)
_DRAWDOWN: Final[_Source] = ("drawdown", _OF_DRAWDOWN)
_RETAINER_CHANGES: Final = ("state", "version", "accepted_at", "cancel_asked_by", "ends_at")
_PERIOD_CHANGES: Final = ("state", "version", "attempts", "opened_at")
_DRAWDOWN_CHANGES: Final = ("state", "version", "release_id")


def _cells(row: object, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in names)


def _retainer_cells(retainer: Retainer) -> tuple[Any, ...]:
    return (*_cells(retainer, _OF_RETAINER), *_cells(retainer.terms, _TERMS))


def _add(connection: Connection, source: _Source, cells: Sequence[Any]) -> None:
    table, names = source
    marks = ", ".join(["%s"] * len(names))
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
    driver(connection).execute(statement.encode(), tuple(cells))


def _save(
    connection: Connection,
    table: str,
    changed: Sequence[str],
    moves: Sequence[tuple[Any, Any]],
) -> None:
    sets = ", ".join(f"{name} = %s" for name in changed)
    statement = f"UPDATE {table} SET {sets} WHERE id = %s AND version = %s AND state = %s"
    for before, after in moves:
        given = (*_cells(after, changed), before.id, before.version, before.state)
        if driver(connection).execute(statement.encode(), given).rowcount != 1:
            raise Broken("a row moved under its lock", table=table, id=str(before.id))


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
    if own["cancel_asked_by"]:
        own["cancel_asked_by"] = Role(own["cancel_asked_by"])
    return Retainer(**own, terms=RetainerTerms(**terms))


def _period(row: tuple[Any, ...]) -> Period:
    cells = dict(zip(_OF_PERIOD, row, strict=True))
    cells["state"] = PeriodState(cells["state"])
    return Period(**cells)


def _drawdown(row: tuple[Any, ...]) -> Drawdown:
    cells = dict(zip(_OF_DRAWDOWN, row, strict=True))
    cells["state"] = DrawdownState(cells["state"])
    return Drawdown(**cells)
