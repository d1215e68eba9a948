"""The worked figures of domain/tax.md section 5 by number, through the tables and the postings.

A number that is not here waits for its piece of work: W1 to W19, W21 and W22 are tax season.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection

from tax import service_invoice, store_invoice
from tax.service_vat import decide_for
from tests.tax.stage import add_buyer, add_check, add_fee, add_party, set_supplier

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
NUMBER = "DE136695976"


def w20_payee(connection: Connection, country: str, *, has_valid_number: bool = False) -> UUID:
    set_supplier(connection, country="IE", at=AT - timedelta(days=1))
    party_id = add_party(connection)
    add_buyer(connection, party_id, country, number=NUMBER if has_valid_number else "")
    if has_valid_number:
        add_check(connection, party_id, at=AT)
    return party_id


@pytest.mark.parametrize(
    ("country", "has_valid_number", "fee_minor", "tax", "treatment"),
    [
        ("DE", True, 10_000, "0.00", "reverse_charge"),
        ("DE", False, 10_000, "19.00", "destination"),
        ("FI", False, 9_999, "25.50", "destination"),
        ("IE", False, 10_000, "23.00", "domestic"),
    ],
)
def test_w20_the_fee_of_a_platform_in_ireland(
    connection: Connection,
    country: str,
    fee_minor: int,
    tax: str,
    treatment: str,
    *,
    has_valid_number: bool,
) -> None:
    """German payee with and without a valid number, Finnish consumer on 99.99, Irish customer."""
    party_id = w20_payee(connection, country, has_valid_number=has_valid_number)
    add_fee(connection, party_id, fee_minor, at=AT)

    (number,) = service_invoice.issue_due(connection, AT).numbers

    stored = store_invoice.find_invoice(connection, number)
    assert stored is not None
    shown = service_invoice.as_json(connection, [stored])[0]
    assert shown["tax"]["amount"] == tax
    assert [each["treatment"] for each in shown["taxes"]] == [treatment]


@pytest.mark.parametrize(
    ("country", "on", "rate_bps"),
    [
        ("EE", "2025-06-30", 2_200),
        ("EE", "2025-07-01", 2_400),
        ("SK", "2024-12-31", 2_000),
        ("SK", "2025-01-01", 2_300),
        ("RO", "2025-07-31", 1_900),
        ("RO", "2025-08-01", 2_100),
        ("FI", "2024-08-31", 2_400),
        ("FI", "2024-09-01", 2_550),
    ],
)
def test_rates_are_those_of_the_day(
    connection: Connection, country: str, on: str, rate_bps: int
) -> None:
    """Section 4.1: the last day of an old rate and the first of a new one, to the second."""
    at = datetime.fromisoformat(f"{on}T00:00:00+00:00")
    set_supplier(connection, country="IE", at=at - timedelta(days=1))
    party_id = add_party(connection)
    add_buyer(connection, party_id, country, at=at - timedelta(days=1))

    for instant in (at, at + timedelta(hours=23, minutes=59, seconds=59)):
        decision = decide_for(connection, [party_id], instant)[party_id]
        assert decision is not None
        assert (decision.country, decision.rate_bps) == (country, rate_bps)


@pytest.mark.parametrize(
    ("supplier", "buyer", "is_checked", "service", "treatment", "charged"),
    [
        ("DE", "DE", False, "electronic", "domestic", ("DE", 1_900)),
        ("DE", "DE", True, "electronic", "domestic", ("DE", 1_900)),
        ("IE", "DE", True, "electronic", "reverse_charge", ("DE", 0)),
        ("IE", "DE", True, "intermediation", "reverse_charge", ("DE", 0)),
        ("IE", "DE", False, "electronic", "destination", ("DE", 1_900)),
        ("IE", "DE", False, "intermediation", "domestic", ("IE", 2_300)),
        ("IE", "US", False, "electronic", "outside_scope", ("US", 0)),
        ("US", "DE", True, "electronic", "reverse_charge", ("DE", 0)),
        ("US", "DE", False, "electronic", "destination", ("DE", 1_900)),
        ("US", "GB", False, "electronic", "destination", ("GB", 2_000)),
        ("US", "AU", False, "electronic", "destination", ("AU", 1_000)),
        ("US", "IN", False, "electronic", "destination", ("IN", 1_800)),
        ("IE", "XI", False, "electronic", "destination", ("GB", 2_000)),
        ("IE", "MC", False, "electronic", "destination", ("FR", 2_000)),
        ("US", "US", False, "electronic", "outside_scope", ("US", 0)),
    ],
)
def test_the_table_row_by_row_through_the_database(
    connection: Connection,
    supplier: str,
    buyer: str,
    service: str,
    treatment: str,
    charged: tuple[str, int],
    *,
    is_checked: bool,
) -> None:
    """Section 4.1: every row, decided from stored profiles and checks."""
    set_supplier(connection, country=supplier, service=service)
    party_id = add_party(connection)
    add_buyer(connection, party_id, buyer, number=NUMBER if is_checked else "")
    if is_checked:
        add_check(connection, party_id, at=AT)

    decision = decide_for(connection, [party_id], AT)[party_id]

    assert decision is not None
    assert decision.treatment.value == treatment
    assert (decision.country, decision.rate_bps) == charged
