"""All SQL of moves of running contracts to another fee schedule."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from escrow.model_fee_move import FeeMove, MoveState, Which
from kernel.database import driver
from kernel.errors import Broken

_COLUMNS: Final = ", ".join(field.name for field in fields(FeeMove))
_STATE: Final = _COLUMNS.split(", ").index("state")

# The running contracts that a move looks at.
_LOOKED_AT: Final = """
FROM contract
WHERE (%(after)s::uuid IS NULL OR id > %(after)s) AND accepted_at IS NOT NULL
    AND (%(before)s::timestamptz IS NULL OR accepted_at < %(before)s)
    AND (%(named)s::uuid[] IS NULL OR id = ANY (%(named)s))
    AND state IN ('active', 'paused')
"""

_SAVE: Final = """
UPDATE fee_move SET state = %s, approved_by = %s, decided_by = %s, decided_at = %s,
    looked_to = %s, moved_count = %s, skipped_count = %s
WHERE id = %s AND state = %s
"""


def add_move(connection: Connection, move: FeeMove) -> None:
    """Write what was prepared."""
    marks = ", ".join(["%s"] * len(fields(FeeMove)))
    driver(connection).execute(
        f"INSERT INTO fee_move ({_COLUMNS}) VALUES ({marks})".encode(), astuple(move)
    )


def lock_moves(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, FeeMove]:
    """Moves by id, locked in order; unknown ids are missing."""
    return _by_ids(connection, ids, " FOR NO KEY UPDATE")


def find_moves(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, FeeMove]:
    """The same without a lock, to be shown."""
    return _by_ids(connection, ids, "")


def list_moves(connection: Connection, *, after: UUID | None, limit: int) -> list[FeeMove]:
    """Moves in the order of their ids, which is that of their preparing."""
    rows = driver(connection).execute(
        f"SELECT {_COLUMNS} FROM fee_move WHERE (%(after)s::uuid IS NULL OR id > %(after)s)"
        " ORDER BY id LIMIT %(limit)s".encode(),
        {"after": after, "limit": limit},
    )
    return [_move(row) for row in rows]


def save_move(connection: Connection, old: FeeMove, *, after: FeeMove) -> None:
    """Move it on; Broken if it was not in the state that its lock showed."""
    given = (
        *(after.state, after.approved_by, after.decided_by, after.decided_at),
        *(after.looked_to, after.moved_count, after.skipped_count, old.id, old.state),
    )
    if driver(connection).execute(_SAVE, given).rowcount != 1:
        raise Broken("a move of fees moved under its lock", id=str(old.id))


def list_next(
    connection: Connection, move: FeeMove, *, after: UUID | None, limit: int
) -> Sequence[UUID]:
    """The next contracts that a move looks at, whatever becomes of them."""
    statement = f"SELECT id {_LOOKED_AT} ORDER BY id LIMIT %(limit)s"
    given = {**_given(move, after), "limit": limit}
    return [row[0] for row in driver(connection).execute(statement.encode(), given)]


def count_left(connection: Connection, move: FeeMove) -> int:
    """How many contracts a move has not looked at yet."""
    statement = f"SELECT count(*) {_LOOKED_AT}"
    given = _given(move, move.looked_to)
    row = driver(connection).execute(statement.encode(), given).fetchone()
    return row[0] if row else 0


def _given(move: FeeMove, after: UUID | None) -> dict[str, Any]:
    return {"after": after, "before": move.accepted_before, "named": move.contract_ids}


def _by_ids(connection: Connection, ids: Iterable[UUID], lock: str) -> dict[UUID, FeeMove]:
    rows = driver(connection).execute(
        f"SELECT {_COLUMNS} FROM fee_move WHERE id = ANY (%s) ORDER BY id{lock}".encode(),
        (sorted(set(ids)),),
    )
    return {move.id: move for move in map(_move, rows)}


def _move(row: Sequence[Any]) -> FeeMove:
    named = dict(zip(_COLUMNS.split(", "), row, strict=True))
    return FeeMove(
        **named | {"state": MoveState(row[_STATE]), "which": Which(named["which"])},
    )
