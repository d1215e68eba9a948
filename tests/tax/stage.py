"""A tenant that taxes its fees, and the parties that pay them: what the tests of tax stand on."""

import json
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Connection

from kernel.ids import new_id
from ledger import personal

START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = ("address", "bank", "ip")


def add_party(connection: Connection, kind: str = "freelancer") -> UUID:
    party_id = new_id()
    connection.exec_driver_sql(
        "INSERT INTO party (id, kind, kyc_state, created_at) VALUES (%s, %s, 'verified', %s)",
        (party_id, kind, START),
    )
    return party_id


def set_supplier(
    connection: Connection,
    *,
    country: str = "IE",
    service: str = "electronic",
    when_unsure: str = "domestic",
    check_days: int = 90,
    at: datetime = START,
) -> None:
    connection.exec_driver_sql(
        "INSERT INTO tax_supplier SELECT count(*) + 1, %s, %s, 'Platform Ltd', '1 Quay, Dublin',"
        " %s, %s, %s, %s, %s, %s FROM tax_supplier",
        (at, country, json.dumps({country: "1"}), service, when_unsure, check_days, new_id(), at),
    )


def add_buyer(
    connection: Connection,
    party_id: UUID,
    country: str,
    *,
    pieces: int = 2,
    number: str = "",
    at: datetime = START,
) -> None:
    key = personal.get_keys(connection, [party_id], at=at)[party_id]
    evidence = [{"kind": kind, "country": country} for kind in KINDS[:pieces]]
    connection.exec_driver_sql(
        "INSERT INTO tax_buyer SELECT %s, count(*) + 1, %s, %s, %s, %s, %s, %s, %s, %s"
        " FROM tax_buyer WHERE party_id = %s",
        (
            *(party_id, at, json.dumps(evidence), bool(number)),
            *(country if number else None, key.print_of(number) if number else None),
            *(key.seal("{}", bound_to=f"tax_buyer:{party_id}"), new_id(), at, party_id),
        ),
    )


def add_check(
    connection: Connection,
    party_id: UUID,
    country: str,
    number: str,
    *,
    at: datetime,
    is_valid: bool = True,
) -> UUID:
    key = personal.get_keys(connection, [party_id], at=at)[party_id]
    check_id = new_id()
    connection.exec_driver_sql(
        "INSERT INTO tax_check VALUES (%s, %s, %s, %s, %s, 'vies', %s, %s, NULL, %s, %s, %s)",
        (
            *(check_id, party_id, country, key.print_of(number)),
            *(key.seal(number, bound_to=f"tax_check:{check_id}"), "W1" if is_valid else ""),
            *(is_valid, at, new_id(), at),
        ),
    )
    return check_id
