"""A tenant that taxes its fees, and the parties that pay them: what the tests of tax stand on."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Connection

from kernel.ids import new_id
from kernel.money import share_bps
from kernel.principals import Actor, PrincipalKind
from tax import service_profile
from tax.model_profile import Person, RegisterAnswer, SetBuyer, SetSupplier, StoreCheck
from tax.model_vat import Evidence, Service, WhenUnsure
from tax.service_vat import decide_for

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


def add_fee(
    connection: Connection,
    party_id: UUID,
    fee_minor: int,
    *,
    currency: str = "EUR",
    kind: str = "subscription",
    at: datetime = START,
) -> int:
    """A fee of no contract, taxed as it is decided now; below zero it gives one back."""
    tax = decide_for(connection, [party_id], at)[party_id]
    rate = tax.rate_bps if tax else 0
    tax_minor = share_bps(abs(fee_minor), rate) * (1 if fee_minor > 0 else -1)
    row = connection.exec_driver_sql(
        "INSERT INTO fee_line (kind, party_id, currency, gross_minor, fee_minor, tax_minor,"
        " tax_country, tax_rate_bps, treatment, before_minor, before_month_minor, is_promoted,"
        " foregone_minor, month, recorded_at) VALUES"
        " (%s, %s, %s, 0, %s, %s, %s, %s, %s, 0, 0, false, 0, date_trunc('month', %s), %s)"
        " RETURNING id",
        (
            *(kind, party_id, currency, fee_minor, tax_minor, tax and tax.country, rate),
            *(tax and tax.treatment.value, at, at),
        ),
    )
    return int(row.scalar_one())
