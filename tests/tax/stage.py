"""A tenant that taxes its fees, and the parties that pay them: what the tests of tax stand on."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Connection

from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from tax import service_profile
from tax.model_profile import Person, RegisterAnswer, SetBuyer, SetSupplier, StoreCheck
from tax.model_vat import Evidence, Service, WhenUnsure

START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = ("address", "bank", "ip")
OPERATOR = Actor(new_id(), PrincipalKind.PERSON, is_operator=True)


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
    command = SetSupplier(
        actor=OPERATOR,
        country=country,
        name="Platform Ltd",
        address="1 Quay\nDublin 1",
        tax_numbers={"IE": "IE6433435F"} if country == "IE" else {},
        service=Service(service),
        when_unsure=WhenUnsure(when_unsure),
        check_days=check_days,
        in_force_from=at,
    )
    outcome = service_profile.set_supplier(connection, [command], at=at)[0]
    assert outcome.is_done, outcome


def add_buyer(
    connection: Connection,
    party_id: UUID,
    country: str,
    *,
    pieces: int = 2,
    number: str = "",
    name: str = "Ada Byron",
    address: str = "1 Road\nSomewhere",
    at: datetime = START,
) -> None:
    command = SetBuyer(
        actor=OPERATOR,
        party_id=party_id,
        evidence=tuple(Evidence(kind, country) for kind in KINDS[:pieces]),
        is_business=bool(number),
        tax_country=country if number else None,
        person=Person(name, address, number),
    )
    outcome = service_profile.set_buyer(connection, [command], at=at)[0]
    assert outcome.is_done, outcome


def add_check(
    connection: Connection,
    party_id: UUID,
    *,
    at: datetime,
    is_valid: bool = True,
    valid_since: datetime | None = None,
) -> UUID:
    answer = RegisterAnswer("vies", is_valid, "W1" if is_valid else "", at, valid_since)
    command = StoreCheck(actor=OPERATOR, party_id=party_id, answer=answer)
    outcome = service_profile.store_check(connection, [command], at=at)[0]
    assert outcome.is_done, outcome
    return UUID(outcome.facts["check_id"])
