"""All SQL of term amendments, and of what ends with a contract."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from escrow.model import Role
from escrow.model_hybrid import OfferState, Term, TermAction, TermAmendment, TermKind
from kernel.database import driver
from kernel.errors import Broken

_NAMES: Final = tuple(field.name for field in fields(TermAmendment))
_COLUMNS: Final = ", ".join(_NAMES)

_FIND_TERMS: Final = "SELECT id, contract_id, kind FROM term WHERE id = ANY (%s) ORDER BY id"
_FIND: Final = f"SELECT {_COLUMNS} FROM term_amendment WHERE id = ANY (%s) ORDER BY id"
_LOCK: Final = f"{_FIND} FOR NO KEY UPDATE"
_ADD: Final = f"INSERT INTO term_amendment ({_COLUMNS}) VALUES ({', '.join(['%s'] * len(_NAMES))})"
_SAVE: Final = """
UPDATE term_amendment SET state = %s, version = %s, from_no = %s, signed_at = %s
WHERE id = %s AND version = %s AND state = %s
"""
_LIST: Final = f"""
SELECT {_COLUMNS} FROM term_amendment
WHERE contract_id = %s AND (%s::uuid IS NULL OR id > %s) ORDER BY id LIMIT %s
"""
_LIST_CHANGES: Final = f"""
SELECT {_COLUMNS} FROM term_amendment
WHERE term_id = ANY (%s) AND action = 'change' AND state = 'signed' ORDER BY from_no, signed_at, id
"""
_LIST_BILLING_HOURS_TWICE: Final = """
SELECT contract_id FROM (
    SELECT contract_id FROM hourly_term WHERE contract_id = ANY (%(ids)s)
    UNION ALL
    SELECT contract_id FROM retainer
    WHERE contract_id = ANY (%(ids)s) AND kind = 'hours_drawdown' AND state <> 'offered'
) AS by_the_hour
GROUP BY contract_id HAVING count(*) > 1
"""

_OPEN_OF_TERM: Final = (
    "SELECT EXISTS (SELECT FROM term_amendment WHERE term_id = %s AND state = 'proposed')"
)


def find_terms(connection: Connection, ids: Sequence[UUID]) -> list[Term]:
    """Terms of every kind; what they say never changes."""
    rows = driver(connection).execute(_FIND_TERMS, (list(ids),)).fetchall()
    return [Term(row[0], row[1], TermKind(row[2])) for row in rows]


def find_amendments(connection: Connection, ids: Sequence[UUID]) -> list[TermAmendment]:
    """Term amendments without a lock."""
    return _read(connection, _FIND, (list(ids),))


def lock_amendment(connection: Connection, amendment_id: UUID) -> TermAmendment:
    """A term amendment that is there; its contract is locked before."""
    (found,) = _read(connection, _LOCK, ([amendment_id],))
    return found


def list_amendments(
    connection: Connection, contract_id: UUID, *, after: UUID | None, limit: int
) -> list[TermAmendment]:
    """The term amendments of a contract, oldest first."""
    return _read(connection, _LIST, (contract_id, after, after, limit))


def list_changes(connection: Connection, term_ids: Sequence[UUID]) -> list[TermAmendment]:
    """Signed changes of price, in the order in which they count."""
    return _read(connection, _LIST_CHANGES, (list(term_ids),))


def list_billing_hours_twice(connection: Connection, contract_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the contracts in which more than one term bills hours."""
    given = {"ids": list(contract_ids)}
    return {row[0] for row in driver(connection).execute(_LIST_BILLING_HOURS_TWICE, given)}


def has_open_offer(connection: Connection, term_id: UUID) -> bool:
    """Whether an amendment of this term waits for a signature."""
    row = driver(connection).execute(_OPEN_OF_TERM, (term_id,)).fetchone()
    return row is not None and bool(row[0])


def add_amendment(connection: Connection, offer: TermAmendment) -> None:
    """Write an offer."""
    driver(connection).execute(_ADD.encode(), tuple(getattr(offer, name) for name in _NAMES))


def save_amendment(connection: Connection, move: tuple[TermAmendment, TermAmendment]) -> None:
    """Move an offer on; Broken if it moved under its lock."""
    before, after = move
    given = (after.state, after.version, after.from_no, after.signed_at)
    same = (before.id, before.version, before.state)
    if driver(connection).execute(_SAVE, (*given, *same)).rowcount != 1:
        raise Broken("a term amendment moved under its lock", id=str(before.id))


def _read(connection: Connection, statement: str, given: Sequence[Any]) -> list[TermAmendment]:
    rows = driver(connection).execute(statement.encode(), tuple(given)).fetchall()
    return [_amendment(row) for row in rows]


def _amendment(row: Sequence[Any]) -> TermAmendment:
    cells = dict(zip(_NAMES, row, strict=True))
    cells["action"], cells["state"] = TermAction(cells["action"]), OfferState(cells["state"])
    cells["proposed_by"] = Role(cells["proposed_by"])
    return TermAmendment(**cells)
