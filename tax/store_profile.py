"""All SQL of profiles: the supplier's versions, buyers' versions, and checks of numbers."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.rows import namedtuple_row
from sqlalchemy import Connection

from kernel.database import driver
from tax.model_profile import Supplier
from tax.model_vat import Service, WhenUnsure

_SUPPLIER: Final = (
    "version, in_force_from, country, name, address, tax_numbers, service, when_unsure, check_days"
)
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema || '.supplier', 0))"
_BUYER: Final = """
party_id, version, in_force_from, evidence, is_business, tax_country, number_print, sealed
"""
_CHECK: Final = """
id, party_id, tax_country, number_print, sealed, register, reference, is_valid, valid_since,
checked_at
"""


def lock_supplier(connection: Connection) -> None:
    """One version after the other, until the transaction ends."""
    driver(connection).execute(_LOCK.encode())


def list_suppliers(connection: Connection) -> list[Supplier]:
    """All versions, in order."""
    rows = driver(connection).execute(f"SELECT {_SUPPLIER} FROM tax_supplier ORDER BY version")
    return [_supplier(row) for row in rows]


def find_supplier(connection: Connection, *, at: datetime) -> Supplier | None:
    """The version in force at an instant."""
    row = (
        driver(connection)
        .execute(
            f"SELECT {_SUPPLIER} FROM tax_supplier WHERE in_force_from <= %s"
            " ORDER BY in_force_from DESC, version DESC LIMIT 1",
            (at,),
        )
        .fetchone()
    )
    return None if row is None else _supplier(row)


def add_supplier(connection: Connection, made: Supplier, *, by: UUID, at: datetime) -> None:
    """Add a version."""
    driver(connection).execute(
        f"INSERT INTO tax_supplier ({_SUPPLIER}, set_by, recorded_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            *(made.version, made.in_force_from, made.country, made.name, made.address),
            *(json.dumps(dict(made.tax_numbers)), made.service, made.when_unsure, made.check_days),
            *(by, at),
        ),
    )


def find_buyers(
    connection: Connection, party_ids: Iterable[UUID], *, at: datetime
) -> dict[UUID, Any]:
    """The versions in force of these parties; one of whom nothing is known is missing."""
    cursor = driver(connection).cursor(row_factory=namedtuple_row)
    rows = cursor.execute(
        f"SELECT DISTINCT ON (party_id) {_BUYER} FROM tax_buyer".encode()
        + b" WHERE party_id = ANY (%s) AND in_force_from <= %s"
        b" ORDER BY party_id, in_force_from DESC, version DESC",
        (list(party_ids), at),
    )
    return {row[0]: row for row in rows}


def add_buyers(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add versions: the columns of `_BUYER`, who set them, and when."""
    driver(connection).cursor().executemany(
        f"INSERT INTO tax_buyer ({_BUYER}, set_by, recorded_at)".encode()
        + b" VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        rows,
    )


def add_checks(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add checks: the columns of `_CHECK`, who recorded them, and when."""
    driver(connection).cursor().executemany(
        f"INSERT INTO tax_check ({_CHECK}, recorded_by, recorded_at)".encode()
        + b" VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        rows,
    )


def list_checks(connection: Connection, party_id: UUID) -> list[Any]:
    """All checks of a party's numbers, oldest first."""
    cursor = driver(connection).cursor(row_factory=namedtuple_row)
    statement = f"SELECT {_CHECK} FROM tax_check WHERE party_id = %s ORDER BY checked_at, id"
    return cursor.execute(statement.encode(), (party_id,)).fetchall()


def _supplier(row: tuple[Any, ...]) -> Supplier:
    return Supplier(
        *(row[0], row[1], row[2], row[3], row[4], row[5]),
        service=Service(row[6]),
        when_unsure=WhenUnsure(row[7]),
        check_days=row[8],
    )
