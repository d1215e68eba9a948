"""Documents for fees: what they say, that they tie to what was posted, and that they stand."""

from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from psycopg import errors
from sqlalchemy import Connection

from kernel.database import driver
from kernel.ids import new_id
from ledger import personal
from rails.rates.fixed import FixedRates
from rails.rates.model import Rate
from tax import service_invoice, store_invoice
from tests.tax.stage import START, add_buyer, add_check, add_fee, add_party, set_supplier

DAY = timedelta(days=1)


def issued(connection: Connection, at: datetime = START, **more: Any) -> list[dict[str, Any]]:
    """The documents of a round, as they are shown."""
    numbers = service_invoice.issue_due(connection, at, **more).numbers
    found = [store_invoice.find_invoice(connection, number) for number in numbers]
    return service_invoice.as_json(connection, [each for each in found if each])


def constraint(refused: pytest.ExceptionInfo[errors.Error]) -> str | None:
    return refused.value.diag.constraint_name


@pytest.mark.parametrize(
    ("currency", "fee_minor", "net", "tax", "total"),
    [
        ("EUR", 9_999, "99.99", "25.50", "125.49"),
        ("JPY", 9_999, "9999", "2550", "12549"),
        ("KWD", 9_999, "9.999", "2.550", "12.549"),
    ],
)
def test_an_invoice_says_what_was_posted(
    connection: Connection, currency: str, fee_minor: int, net: str, tax: str, total: str
) -> None:
    """Seller, buyer, number, dates, net, rate and tax, in currencies of 0, 2 and 3 decimals."""
    set_supplier(connection, country="IE")
    party_id = add_party(connection)
    add_buyer(connection, party_id, "FI", name="Väinö Ltd", address="1 Katu\nHelsinki")
    add_fee(connection, party_id, fee_minor, currency=currency)

    (shown,) = issued(connection)

    assert shown["number"] == "INV2026-000001"
    assert shown["kind"] == "invoice"
    assert shown["issued_at"] == START.isoformat()
    assert shown["supplier"]["tax_number"] == "IE6433435F"
    assert shown["buyer"] == {
        "name": "Väinö Ltd",
        "address": "1 Katu\nHelsinki",
        "tax_number": "",
    }
    money = {name: shown[name]["amount"] for name in ("net", "tax", "total")}
    assert money == {"net": net, "tax": tax, "total": total}
    assert [(each["country"], each["rate_bps"]) for each in shown["taxes"]] == [("FI", 2_550)]


def test_a_reverse_charge_says_so_and_names_the_buyers_number(connection: Connection) -> None:
    """0 %, the note, and both numbers."""
    set_supplier(connection, country="IE")
    party_id = add_party(connection)
    add_buyer(connection, party_id, "DE", number="DE136695976")
    add_check(connection, party_id, at=START)
    add_fee(connection, party_id, 10_000)

    (shown,) = issued(connection)

    assert shown["notes"] == ["reverse_charge"]
    assert shown["tax"]["amount"] == "0.00"
    assert shown["buyer"]["tax_number"] == "DE136695976"


def test_a_fee_is_invoiced_once_and_a_client_gets_a_receipt(connection: Connection) -> None:
    """A second round issues nothing; each kind of document has its own series."""
    set_supplier(connection)
    party_id = add_party(connection)
    add_fee(connection, party_id, 100)
    add_fee(connection, party_id, 200)

    first = [each["number"] for each in issued(connection)]

    assert first == ["INV2026-000001", "INV2026-000002"]
    assert issued(connection) == []
    add_fee(connection, party_id, 300, at=START + 366 * DAY)
    assert [each["number"] for each in issued(connection, START + 366 * DAY)] == ["INV2027-000001"]


def test_without_a_supplier_no_document_is_issued(connection: Connection) -> None:
    """Neither then, nor later for what was posted without one."""
    party_id = add_party(connection)
    add_fee(connection, party_id, 100)

    assert issued(connection) == []
    set_supplier(connection, at=START + DAY)
    assert issued(connection, START + DAY) == []


def test_what_comes_back_is_a_credit_note_that_names_its_original(connection: Connection) -> None:
    """Part by part, never more than was asked for; what finds no original waits."""
    set_supplier(connection)
    party_id = add_party(connection)
    add_fee(connection, party_id, 10_000)
    add_fee(connection, party_id, -4_000)

    invoice, credit = issued(connection)

    assert credit["number"] == "CRN2026-000001"
    assert credit["originals"] == [invoice["number"]]
    assert credit["total"]["amount"] == "-49.20"
    add_fee(connection, party_id, -6_001)
    round_ = service_invoice.issue_due(connection, START)
    assert (round_.numbers, round_.waiting) == ((), 1)
    add_fee(connection, party_id, 500)
    later = issued(connection)
    assert [each["kind"] for each in later] == ["invoice"]
    (last,) = issued(connection)
    assert last["originals"] == ["INV2026-000002", "INV2026-000001"]


def test_the_tax_is_told_in_the_currency_of_its_country(connection: Connection) -> None:
    """By the source's rate of the day, exactly; without one the document says there is none."""
    set_supplier(connection)
    party_id = add_party(connection)
    add_buyer(connection, party_id, "SE")
    rate = Rate("ecb", "EUR", "SEK", Fraction(111_235, 10_000), date(2025, 12, 31))
    rates = FixedRates([rate])
    add_fee(connection, party_id, 10_000)

    (told,) = issued(connection, rates=rates)
    add_fee(connection, party_id, 10_000)
    (untold,) = issued(connection)
    add_fee(connection, party_id, 10_000, at=START + 8 * DAY)
    (stale,) = issued(connection, START + 8 * DAY, rates=rates)

    national = told["taxes"][0]["national"]
    assert national["tax"] == {"amount": "278.09", "currency": "SEK"}
    assert (national["rate"], national["as_of"]) == ("11.1235", "2025-12-31")
    for each in (untold, stale):
        assert each["taxes"][0]["national"] == {
            "currency": "SEK",
            "tax": None,
            "rate": None,
            "as_of": None,
            "source": None,
        }


def test_dates_of_a_series_never_go_back(connection: Connection) -> None:
    """Who reads the clock first and gets the series later dates by the one before him."""
    set_supplier(connection)
    party_id = add_party(connection)
    add_fee(connection, party_id, 100)
    issued(connection, START + DAY)
    add_fee(connection, party_id, 100)

    (shown,) = issued(connection, START)

    assert shown["issued_at"] == (START + DAY).isoformat()


def test_a_documents_words_are_those_of_its_day(connection: Connection) -> None:
    """A new name of seller or buyer changes no document; erasure takes the buyer's away."""
    set_supplier(connection)
    party_id = add_party(connection)
    add_buyer(connection, party_id, "IE", name="Before")
    add_fee(connection, party_id, 100)
    (before,) = issued(connection)
    add_buyer(connection, party_id, "FI", name="After", at=START + DAY)
    set_supplier(connection, country="DE", at=START + DAY)

    stored = store_invoice.find_invoice(connection, before["number"])
    assert stored is not None
    assert service_invoice.as_json(connection, [stored]) == [before]
    personal.erase(connection, [party_id])
    assert service_invoice.as_json(connection, [stored]) == [{**before, "buyer": None}]


@pytest.mark.parametrize("table", ["invoice", "invoice_line"])
@pytest.mark.parametrize(
    "act", ["UPDATE {} SET tax_minor = 0", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
def test_documents_stand(
    connection: Connection, owner_connection: Connection, table: str, act: str
) -> None:
    """Neither the tenant nor the owner of the tables changes or takes away one."""
    for role in (connection, owner_connection):
        with pytest.raises(errors.Error), role.begin_nested():
            driver(role).execute(act.format(table).encode())


LINE = """
INSERT INTO invoice_line SELECT %(id)s, 1, id, fee_minor + %(more)s, tax_minor, tax_country,
    tax_rate_bps, treatment FROM fee_line WHERE id = %(fee)s
"""
HEAD = """
INSERT INTO invoice SELECT %(id)s, 'INV2026-' || lpad(%(seq)s::text, 6, '0'), 'INV2026', %(seq)s,
    'invoice', party_id, NULL, NULL, kind, currency, fee_minor + %(off)s, tax_minor,
    fee_minor + tax_minor + %(off)s, 1, NULL, 1, recorded_at, recorded_at, '{}', ''
FROM fee_line WHERE id = %(fee)s
"""


@pytest.mark.parametrize("is_owner", [False, True])
@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"more": 1}, "invoice_line_ties_to_its_fee"),
        ({"off": 1}, "invoice_ties_to_its_lines"),
        ({"seq": 2}, "invoice_numbers_have_no_gap"),
        ({"seq": 0}, "invoice_numbers_have_no_gap"),
        ({"next_seq": 1}, "invoice_number_is_of_its_series"),
        ({}, None),
    ],
)
def test_the_database_refuses_a_document_that_does_not_tie(
    connection: Connection,
    owner_connection: Connection,
    change: dict[str, int],
    name: str | None,
    *,
    is_owner: bool,
) -> None:
    """A line unlike its fee, totals unlike the lines, a number that leaves a gap: each by name."""
    role = owner_connection if is_owner else connection
    set_supplier(role)
    party_id = add_party(role)
    fee_id = add_fee(role, party_id, 1_000)
    facts = {"id": new_id(), "fee": fee_id, "more": 0, "off": 0, "seq": 1, "next_seq": 5, **change}
    raw = driver(role)
    raw.execute("INSERT INTO invoice_series (code, kind) VALUES ('INV2026', 'invoice')")
    raw.execute("UPDATE invoice_series SET next_seq = %(next_seq)s", facts)

    def write(**other: object) -> None:
        with role.begin_nested():
            raw.execute(LINE, {**facts, **other})
            raw.execute(HEAD, {**facts, **other})

    if name is None:
        write()
        with pytest.raises(errors.UniqueViolation) as again:
            write(id=new_id(), seq=2)
        assert constraint(again) == "invoice_line_fee_is_invoiced_once"
    else:
        with pytest.raises(errors.CheckViolation) as refused:
            write()
        assert constraint(refused) == name


def test_a_series_never_counts_back(connection: Connection) -> None:
    """Its next number only rises, and its row never goes."""
    set_supplier(connection)
    add_fee(connection, add_party(connection), 100)
    issued(connection)

    with pytest.raises(errors.CheckViolation) as refused, connection.begin_nested():
        driver(connection).execute("UPDATE invoice_series SET next_seq = 1")

    assert constraint(refused) == "invoice_series_only_counts_on"
