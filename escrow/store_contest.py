"""All SQL of chargebacks: the rows, their movements, what each took, and what was filed."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from escrow.model_chargeback import (
    Chargeback,
    ChargebackState,
    Direction,
    Movement,
    Notified,
    Piece,
    Reserve,
    Source,
    Statement,
)
from kernel.database import driver
from kernel.errors import Broken

Row = Chargeback | Movement | Piece | Reserve | Statement | Notified
R = TypeVar("R", bound=Row)

_TABLES: Final[dict[type[Any], str]] = {
    Chargeback: "chargeback",
    Movement: "chargeback_movement",
    Piece: "chargeback_piece",
    Reserve: "chargeback_reserve",
    Statement: "chargeback_statement",
    Notified: "chargeback_notice",
}
_COLUMNS: Final = {kind: tuple(field.name for field in fields(kind)) for kind in _TABLES}
_KINDS: Final[dict[str, type[Any]]] = {
    "direction": Direction,
    "source": Source,
    "state": ChargebackState,
    "decision": ChargebackState,
}
_PINNED: Final = frozenset(
    {
        *("id", "funding_id", "contract_id", "currency", "rail", "rail_ref", "amount_minor"),
        "opened_at",
    }
)
_CHANGES: Final = tuple(name for name in _COLUMNS[Chargeback] if name not in _PINNED)
_SAVE: Final = (
    f"UPDATE chargeback SET {', '.join(f'{name} = %s' for name in _CHANGES)}"
    " WHERE id = %s AND version = %s AND state = %s"
)
_PIECE_CHANGES: Final = (
    *("back_money_minor", "back_fee_minor", "is_lost", "recovered_minor", "paid_back_minor"),
    "claim_id",
)
_RESERVE_CHANGES: Final = ("lifted_minor", "taken_minor")

_FIND_BY_REF: Final = """
SELECT id FROM chargeback WHERE rail = %s AND rail_ref = %s
"""
_IS_MOVED: Final = """
SELECT EXISTS (SELECT FROM chargeback_movement WHERE rail = %s AND rail_ref = %s)
"""
_LIST_OF_FUNDING: Final = """
SELECT id FROM chargeback WHERE funding_id = %s ORDER BY id
"""
_LIST: Final = """
SELECT chargeback.id FROM chargeback JOIN contract ON contract.id = chargeback.contract_id
WHERE (%(after)s::uuid IS NULL OR chargeback.id > %(after)s)
    AND (%(party_id)s::uuid IS NULL OR %(party_id)s IN (contract.client_id, contract.payee_id))
    AND (%(state)s::text IS NULL OR chargeback.state = %(state)s)
    AND (%(is_settled)s::boolean IS NULL OR chargeback.is_settled = %(is_settled)s)
ORDER BY chargeback.id LIMIT %(limit)s
"""
_FIND_LOT_SLOTS: Final = """
SELECT DISTINCT slot_id FROM lot WHERE funding_id = %s
UNION SELECT slot_id FROM funding WHERE id = %s AND slot_id IS NOT NULL
"""
_LIST_OTHER_PIECES: Final = """
SELECT {columns} FROM chargeback_piece
WHERE chargeback_id <> %s AND (slot_id = ANY (%s) OR release_id = ANY (%s))
ORDER BY chargeback_id, piece_no
"""
_LIST_TAKEN: Final = """
SELECT DISTINCT c.funding_id
FROM chargeback c JOIN chargeback_piece p ON p.chargeback_id = c.id
WHERE c.funding_id = ANY (%s)
    AND p.money_minor + p.fee_minor > p.back_money_minor + p.back_fee_minor
"""
_LIST_HOLDS: Final = """
SELECT slot_id, hold_id FROM chargeback_hold WHERE chargeback_id = %s AND NOT is_lifted
ORDER BY slot_id
"""
_LIST_RELEASES: Final = """
SELECT id FROM release WHERE (slot_id = ANY (%s) AND state = 'pending') OR id = ANY (%s)
ORDER BY id
"""
_SUM_RECOVERED: Final = """
SELECT claim_id, sum(amount_minor)::bigint FROM claim_recovery
WHERE claim_id = ANY (%s) GROUP BY claim_id
"""
_LIST_SUBMISSIONS: Final = """
SELECT slot_id, submission_no, message_ref, artefact_refs, submitted_at FROM submission
WHERE slot_id = ANY (%s) ORDER BY submitted_at, slot_id, submission_no
"""
_LIST_TOLD: Final = """
SELECT id, kind, subject, actor_kind, party_id, effective_at FROM event
WHERE subject = ANY (%s) AND kind = ANY (%s) ORDER BY id
"""
_LIST_OPEN_DISPUTES: Final = """
SELECT id FROM dispute WHERE slot_id = ANY (%s) AND ended_at IS NULL ORDER BY id
"""


def find_chargebacks(connection: Connection, ids: Sequence[UUID]) -> list[Chargeback]:
    """Chargebacks without a lock, for the payment that each names, or to be shown."""
    return _select(connection, Chargeback, "id", ids, "id")


def lock_chargebacks(connection: Connection, ids: Sequence[UUID]) -> list[Chargeback]:
    """Lock chargebacks, after the payment's slots and the payment."""
    return _select(connection, Chargeback, "id", ids, "id", lock="FOR NO KEY UPDATE")


def find_by_ref(connection: Connection, *, rail: str, rail_ref: str) -> UUID | None:
    """The chargeback of the rail's own name; None if nothing was heard of it."""
    row = driver(connection).execute(_FIND_BY_REF, (rail, rail_ref)).fetchone()
    return row[0] if row else None


def is_moved(connection: Connection, *, rail: str, rail_ref: str) -> bool:
    """Whether a balance transaction is booked already; read under the payment's lock."""
    row = driver(connection).execute(_IS_MOVED, (rail, rail_ref)).fetchone()
    return bool(row and row[0])


def list_of_funding(connection: Connection, funding_id: UUID) -> list[Chargeback]:
    """All chargebacks of a payment."""
    rows = driver(connection).execute(_LIST_OF_FUNDING, (funding_id,)).fetchall()
    return find_chargebacks(connection, [row[0] for row in rows])


def list_chargebacks(
    connection: Connection,
    *,
    after: UUID | None,
    limit: int,
    party_id: UUID | None = None,
    state: ChargebackState | None = None,
    is_settled: bool | None = None,
) -> list[Chargeback]:
    """Chargebacks in the order of their ids."""
    given = {
        "after": after,
        "limit": limit,
        "party_id": party_id,
        "state": state,
        "is_settled": is_settled,
    }
    rows = driver(connection).execute(_LIST, given).fetchall()
    return find_chargebacks(connection, [row[0] for row in rows])


def list_movements(connection: Connection, chargeback_id: UUID) -> list[Movement]:
    """The balance transactions of a chargeback, in the order in which we heard of them."""
    return _select(connection, Movement, "chargeback_id", [chargeback_id], "recorded_at, rail_ref")


def list_pieces(connection: Connection, chargeback_id: UUID) -> list[Piece]:
    """What was taken from where, oldest first."""
    return _select(connection, Piece, "chargeback_id", [chargeback_id], "piece_no")


def list_reserves(connection: Connection, chargeback_id: UUID) -> list[Reserve]:
    """What is or was reserved of the payee."""
    return _select(connection, Reserve, "chargeback_id", [chargeback_id], "reserve_no")


def list_statements(connection: Connection, chargeback_id: UUID) -> list[Statement]:
    """What was filed, oldest first."""
    return _select(connection, Statement, "chargeback_id", [chargeback_id], "statement_no")


def list_notices(connection: Connection, chargeback_id: UUID) -> list[Notified]:
    """The proofs that the payee was told."""
    return _select(connection, Notified, "chargeback_id", [chargeback_id], "notice_no")


def list_other_pieces(
    connection: Connection,
    chargeback_id: UUID,
    *,
    slot_ids: Sequence[UUID],
    release_ids: Sequence[UUID],
) -> list[Piece]:
    """What other chargebacks took from the same slots or tips; their payment's lock covers them."""
    statement = _LIST_OTHER_PIECES.format(columns=", ".join(_COLUMNS[Piece]))
    given = (chargeback_id, list(slot_ids), list(release_ids))
    rows = driver(connection).execute(statement.encode(), given)
    return [_row(Piece, row) for row in rows]


def list_taken(connection: Connection, funding_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the payments of which a bank has taken something that did not come back."""
    rows = driver(connection).execute(_LIST_TAKEN, (list(funding_ids),))
    return {row[0] for row in rows}


def find_lot_slots(connection: Connection, funding_id: UUID) -> list[UUID]:
    """The slots that ever had money of a payment."""
    rows = driver(connection).execute(_FIND_LOT_SLOTS, (funding_id, funding_id))
    return sorted(row[0] for row in rows)


def find_releases(
    connection: Connection, slot_ids: Sequence[UUID], release_ids: Iterable[UUID]
) -> list[UUID]:
    """The pending releases of slots, and those named."""
    given = (list(slot_ids), list(release_ids))
    return [row[0] for row in driver(connection).execute(_LIST_RELEASES, given)]


def find_open_disputes(connection: Connection, slot_ids: Sequence[UUID]) -> list[UUID]:
    """The disputes of slots that are not over."""
    return [row[0] for row in driver(connection).execute(_LIST_OPEN_DISPUTES, (list(slot_ids),))]


def sum_recovered(connection: Connection, claim_ids: Sequence[UUID]) -> dict[UUID, int]:
    """What releases gave to claims; the claims' locks cover it."""
    rows = driver(connection).execute(_SUM_RECOVERED, (list(claim_ids),))
    return {row[0]: row[1] for row in rows}


def list_submissions(connection: Connection, slot_ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """Work that was shown, with the references of its message and artefacts, oldest first."""
    rows = driver(connection).execute(_LIST_SUBMISSIONS, (list(slot_ids),))
    return [
        {
            "slot_id": row[0],
            "submission_no": row[1],
            "message_ref": row[2],
            "artefact_refs": list(row[3]),
            "submitted_at": row[4].isoformat(),
        }
        for row in rows
    ]


def list_told(
    connection: Connection, *, subjects: Sequence[str], kinds: Sequence[str]
) -> list[dict[str, Any]]:
    """Events of these kinds and subjects, in the order of the log."""
    rows = driver(connection).execute(_LIST_TOLD, (list(subjects), list(kinds)))
    names = ("id", "kind", "subject", "actor_kind", "party_id", "effective_at")
    return [dict(zip(names, row, strict=True)) for row in rows]


def list_holds(connection: Connection, chargeback_id: UUID) -> dict[UUID, UUID]:
    """By slot, the hold that a chargeback placed and that stands."""
    rows = driver(connection).execute(_LIST_HOLDS, (chargeback_id,))
    return {row[0]: row[1] for row in rows}


def add_hold(connection: Connection, *, chargeback_id: UUID, slot_id: UUID, hold_id: UUID) -> None:
    """Remember a hold that a chargeback placed."""
    driver(connection).execute(
        "INSERT INTO chargeback_hold (chargeback_id, slot_id, hold_id) VALUES (%s, %s, %s)",
        (chargeback_id, slot_id, hold_id),
    )


def lift_hold(connection: Connection, hold_id: UUID) -> None:
    """Remember that it no longer stands."""
    driver(connection).execute(
        "UPDATE chargeback_hold SET is_lifted = true WHERE hold_id = %s", (hold_id,)
    )


def add(connection: Connection, rows: Iterable[Row]) -> None:
    """Write new rows."""
    for row in rows:
        names = _COLUMNS[type(row)]
        marks = ", ".join(["%s"] * len(names))
        statement = f"INSERT INTO {_TABLES[type(row)]} ({', '.join(names)}) VALUES ({marks})"
        given = tuple(getattr(row, name) for name in names)
        driver(connection).execute(statement.encode(), given)


def save_chargeback(connection: Connection, before: Chargeback, *, after: Chargeback) -> None:
    """Move a chargeback on; Broken if it moved under its lock."""
    changed = tuple(getattr(after, name) for name in _CHANGES)
    given = (*changed, before.id, before.version, before.state)
    saved = driver(connection).execute(_SAVE.encode(), given).rowcount
    if saved != 1:
        raise Broken("a chargeback moved under its lock", chargeback_id=str(before.id))


def save_parts(
    connection: Connection,
    *,
    known: Sequence[Piece | Reserve],
    wanted: Sequence[Piece | Reserve],
    number: str,
) -> None:
    """Write pieces or reserves that are new, and the changes of those that are known."""
    olds = {getattr(each, number): each for each in known}
    for row in wanted:
        old = olds.get(getattr(row, number))
        if old is None:
            add(connection, [row])
        elif old != row:
            names = _PIECE_CHANGES if isinstance(row, Piece) else _RESERVE_CHANGES
            statement = (
                f"UPDATE {_TABLES[type(row)]} SET {', '.join(f'{n} = %s' for n in names)}"
                f" WHERE chargeback_id = %s AND {number} = %s"
            )
            key = (row.chargeback_id, getattr(row, number))
            given = (*(getattr(row, name) for name in names), *key)
            driver(connection).execute(statement.encode(), given)


def _select(
    connection: Connection,
    kind: type[R],
    key: str,
    ids: Sequence[UUID],
    order: str,
    *,
    lock: str = "",
) -> list[R]:
    statement = (
        f"SELECT {', '.join(_COLUMNS[kind])} FROM {_TABLES[kind]}"
        f" WHERE {key} = ANY (%s) ORDER BY {order} {lock}"
    )
    rows = driver(connection).execute(statement.encode(), (list(ids),))
    return [_row(kind, row) for row in rows]


def _row(kind: type[R], row: Sequence[Any]) -> R:
    cells = [
        _KINDS[name](cell) if name in _KINDS and cell is not None else cell
        for name, cell in zip(_COLUMNS[kind], row, strict=True)
    ]
    return kind(*cells)
