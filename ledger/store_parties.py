"""All SQL of parties and holds. Locks are taken in the order of ids."""

import contextlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.database import driver
from ledger.model_parties import (
    Hold,
    HoldKind,
    KycState,
    Party,
    PartyKind,
    SanctionState,
)

_PARTY: Final = "id, kind, kyc_state, sanction_state, country, reference, version, created_at"
_HOLD: Final = "id, subject, kind, reason, placed_by, placed_at, lifted_at"
_SUBJECT_TABLES: Final = {"party": "party", "contract": "contract", "slot": "slot"}


def find_many(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Party]:
    """The parties with these ids; unknown ids are missing."""
    return _fetch(connection, f"SELECT {_PARTY} FROM party WHERE id = ANY(%s)", list(ids))


def lock_share(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Party]:
    """The same, locked FOR SHARE in the order of their ids: no hold is placed meanwhile."""
    statement = f"SELECT {_PARTY} FROM party WHERE id = ANY(%s) ORDER BY id FOR SHARE"
    return _fetch(connection, statement, sorted(set(ids)))


def lock(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Party]:
    """The same, locked FOR UPDATE in the order of their ids, to change them or place a hold."""
    statement = f"SELECT {_PARTY} FROM party WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
    return _fetch(connection, statement, sorted(set(ids)))


def list_parties(
    connection: Connection, *, after: UUID | None, limit: int, kind: PartyKind | None = None
) -> list[Party]:
    """Parties in the order of their ids, from the one behind `after` on."""
    rows = driver(connection).execute(
        f"SELECT {_PARTY} FROM party WHERE (%(after)s::uuid IS NULL OR id > %(after)s)"
        " AND (%(kind)s::text IS NULL OR kind = %(kind)s) ORDER BY id LIMIT %(limit)s",
        {"after": after, "kind": kind, "limit": limit},
    )
    return [_party(row) for row in rows]


def add_parties(connection: Connection, parties: Iterable[Party]) -> None:
    """Add parties, in one round trip."""
    driver(connection).cursor().executemany(
        f"INSERT INTO party ({_PARTY}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (
                p.id,
                p.kind,
                p.kyc_state,
                p.sanction_state,
                p.country,
                p.reference,
                p.version,
                p.created_at,
            )
            for p in parties
        ],
    )


def list_taken(connection: Connection, references: Sequence[str]) -> set[str]:
    """Those of the references that a party has already."""
    rows = driver(connection).execute(
        "SELECT reference FROM party WHERE reference = ANY(%s)", (list(references),)
    )
    return {reference for (reference,) in rows}


def find_references(connection: Connection, references: Iterable[str]) -> dict[str, UUID]:
    """The ids of the parties with these references; one that nobody has is missing."""
    rows = driver(connection).execute(
        "SELECT reference, id FROM party WHERE reference = ANY(%s) AND reference <> ''",
        (list(references),),
    )
    return dict(rows.fetchall())


def save_parties(connection: Connection, parties: Iterable[Party]) -> None:
    """Write the states of parties that were locked."""
    driver(connection).cursor().executemany(
        "UPDATE party SET kyc_state = %s, sanction_state = %s, version = %s WHERE id = %s",
        [(p.kyc_state, p.sanction_state, p.version, p.id) for p in parties],
    )


def list_open(connection: Connection, subjects: Iterable[str]) -> dict[str, list[Hold]]:
    """The open holds on these subjects, oldest first; a subject without one is missing."""
    rows = driver(connection).execute(
        f"SELECT {_HOLD} FROM hold WHERE subject = ANY(%s) AND lifted_at IS NULL ORDER BY id",
        (list(subjects),),
    )
    found: dict[str, list[Hold]] = {}
    for row in rows:
        hold = _hold(row)
        found.setdefault(hold.subject, []).append(hold)
    return found


def lock_open(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Hold]:
    """The open holds with these ids, locked FOR UPDATE in the order of their ids."""
    rows = driver(connection).execute(
        f"SELECT {_HOLD} FROM hold WHERE id = ANY(%s) AND lifted_at IS NULL ORDER BY id FOR UPDATE",
        (list(ids),),
    )
    return {hold.id: hold for hold in map(_hold, rows)}


def add_holds(connection: Connection, holds: Iterable[Hold]) -> None:
    """Add holds, in one round trip."""
    driver(connection).cursor().executemany(
        "INSERT INTO hold (id, subject, kind, reason, placed_by, placed_at)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [(h.id, h.subject, h.kind, h.reason, h.placed_by, h.placed_at) for h in holds],
    )


def save_lifted(connection: Connection, lifted: Sequence[tuple[UUID, datetime, UUID]]) -> None:
    """Mark holds as lifted: by whom, when, which."""
    driver(connection).cursor().executemany(
        "UPDATE hold SET lifted_by = %s, lifted_at = %s WHERE id = %s", lifted
    )


def find_held(connection: Connection, ids: Iterable[UUID]) -> set[str]:
    """The subjects of the open holds with these ids, which never change; without a lock."""
    rows = driver(connection).execute(
        "SELECT subject FROM hold WHERE id = ANY(%s) AND lifted_at IS NULL", (list(ids),)
    )
    return {subject for (subject,) in rows}


def lock_subjects(connection: Connection, subjects: Iterable[str]) -> set[str]:
    """Lock the rows that the subjects name, parties before contracts before slots, each by id.

    What stands above them is locked FOR SHARE: a hold on a party, its contract and its slot stop
    the same clocks, so they are placed and lifted one after the other.
    """
    named: dict[str, set[UUID]] = {kind: set() for kind in _SUBJECT_TABLES}
    for subject in subjects:
        kind, _, text = subject.partition(":")
        if kind in named:
            with contextlib.suppress(ValueError):
                named[kind].add(UUID(text))
    contracts, people = _find_above(connection, named["contract"], named["slot"])
    above = {"party": people, "contract": contracts, "slot": set[UUID]()}
    there: set[str] = set()
    for kind, table in _SUBJECT_TABLES.items():
        ids = sorted(named[kind] | above[kind])
        if not ids:
            continue
        lock = "UPDATE" if named[kind] else "SHARE"
        rows = driver(connection).execute(
            f"SELECT id FROM {table} WHERE id = ANY(%s) ORDER BY id FOR {lock}".encode(), (ids,)
        )
        there |= {f"{kind}:{found}" for (found,) in rows if found in named[kind]}
    return there


def _find_above(
    connection: Connection, contract_ids: set[UUID], slot_ids: set[UUID]
) -> tuple[set[UUID], set[UUID]]:
    """The contracts of slots, and the parties of all these contracts; none of them changes."""
    if not contract_ids and not slot_ids:
        return set(), set()
    rows = (
        driver(connection)
        .execute(
            "SELECT id, client_id, payee_id FROM contract WHERE id = ANY(%s)"
            " OR id IN (SELECT contract_id FROM slot WHERE id = ANY(%s))",
            (list(contract_ids), list(slot_ids)),
        )
        .fetchall()
    )
    contracts = {row[0] for row in rows if row[0] not in contract_ids}
    return contracts, {party_id for row in rows for party_id in row[1:]}


def _fetch(connection: Connection, statement: str, ids: Sequence[UUID]) -> dict[UUID, Party]:
    rows = driver(connection).execute(statement.encode(), (list(ids),))
    return {row[0]: _party(row) for row in rows}


def _party(row: tuple[Any, ...]) -> Party:
    return Party(row[0], PartyKind(row[1]), KycState(row[2]), SanctionState(row[3]), *row[4:])


def _hold(row: tuple[Any, ...]) -> Hold:
    return Hold(row[0], row[1], HoldKind(row[2]), *row[3:])
