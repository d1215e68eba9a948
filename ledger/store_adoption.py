"""SQL of adoptions: files that were prepared by one person and approved by another."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver

_COLUMNS: Final = (
    "id, file_hash, source, as_of, summary, prepared_by, prepared_at, approved_by, approved_at,"
    " event_id"
)


@dataclass(frozen=True, slots=True)
class Adoption:
    """One file of another system's books. `summary` is the JSON that its preparer was shown."""

    id: UUID
    file_hash: bytes
    source: str
    as_of: datetime
    summary: str
    prepared_by: UUID
    prepared_at: datetime
    approved_by: UUID | None = None
    approved_at: datetime | None = None
    event_id: int | None = None


def find_adoption(connection: Connection, file_hash: bytes) -> Adoption | None:
    """The adoption of this very file; None if it was never prepared."""
    return _find(connection, file_hash, "")


def lock_adoption(connection: Connection, file_hash: bytes) -> Adoption | None:
    """The same, locked FOR UPDATE."""
    return _find(connection, file_hash, " FOR UPDATE")


def _find(connection: Connection, file_hash: bytes, lock: str) -> Adoption | None:
    statement = f"SELECT {_COLUMNS} FROM adoption WHERE file_hash = %s{lock}"
    row = driver(connection).execute(statement.encode(), (file_hash,)).fetchone()
    return None if row is None else Adoption(*row)


def add_adoption(connection: Connection, adoption: Adoption) -> None:
    """Note that a file was prepared."""
    driver(connection).execute(
        "INSERT INTO adoption (id, file_hash, source, as_of, summary, prepared_by, prepared_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            *(adoption.id, adoption.file_hash, adoption.source, adoption.as_of),
            *(adoption.summary, adoption.prepared_by, adoption.prepared_at),
        ),
    )


def save_approved(
    connection: Connection, adoption_id: UUID, *, by: UUID, at: datetime, event_id: int
) -> None:
    """Note who approved a prepared file, and the event that opened the books."""
    driver(connection).execute(
        "UPDATE adoption SET approved_by = %s, approved_at = %s, event_id = %s WHERE id = %s",
        (by, at, event_id, adoption_id),
    )


def list_opening(connection: Connection, kinds: Sequence[str]) -> list[tuple[str, str, int]]:
    """What approved adoptions put on accounts of these kinds: kind, currency, minor units."""
    rows = driver(connection).execute(
        "SELECT a.kind, a.currency, sum(l.amount_minor)::bigint FROM adoption o"
        " JOIN line l ON l.event_id = o.event_id JOIN account a ON a.id = l.account_id"
        " WHERE a.kind = ANY(%s) GROUP BY a.kind, a.currency ORDER BY a.kind, a.currency",
        (list(kinds),),
    )
    return [(kind, currency, amount_minor) for kind, currency, amount_minor in rows]
