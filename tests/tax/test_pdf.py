"""Documents on paper: what can be read off them, and that they are the same each time."""

import io
from datetime import timedelta
from typing import Any

import pytest
from pypdf import PdfReader
from sqlalchemy import Connection

from ledger import personal
from tax import service_invoice, store_invoice
from tax.fonts import as_seen, printable
from tax.pdf import draw
from tests.tax.stage import START, add_buyer, add_check, add_fee, add_party, set_supplier


def shown(connection: Connection, number: str) -> dict[str, Any]:
    stored = store_invoice.find_invoice(connection, number)
    assert stored is not None
    return service_invoice.as_json(connection, [stored])[0]


def read(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


@pytest.mark.parametrize(
    ("currency", "told"),
    [
        ("EUR", ["12,345.67", "EUR 3,148.15", "EUR 15,493.82"]),
        ("JPY", ["1,234,567", "JPY 314,815", "JPY 1,549,382"]),
        ("KWD", ["1,234.567", "KWD 314.815", "KWD 1,549.382"]),
    ],
)
def test_a_page_tells_all_that_the_document_does(
    connection: Connection, currency: str, told: list[str]
) -> None:
    """Names, addresses, numbers, dates, rate and amounts, in 0, 2 and 3 decimals."""
    set_supplier(connection)
    party_id = add_party(connection)
    add_buyer(connection, party_id, "FI", name="Väinö Järvinen", address="1 Katu\nHelsinki")
    add_fee(connection, party_id, 1_234_567, currency=currency)
    service_invoice.issue_due(connection, START)

    text = read(draw(shown(connection, "INV2026-000001")))

    words = ["Invoice", "INV2026-000001", "2026-01-01", "Platform Ltd", "IE6433435F", "25.5 %"]
    words += ["Väinö Järvinen", "1 Katu", "Helsinki", "Subscription", *told]
    assert [word for word in words if word not in text] == []


def test_a_reverse_charge_and_a_credit_note_say_so(connection: Connection) -> None:
    """The note, the buyer's number, no tax; and the number of what is corrected."""
    set_supplier(connection)
    party_id = add_party(connection)
    add_buyer(connection, party_id, "DE", number="DE136695976")
    add_check(connection, party_id, at=START)
    add_fee(connection, party_id, 10_000)
    add_fee(connection, party_id, -10_000)
    service_invoice.issue_due(connection, START)

    invoice = read(draw(shown(connection, "INV2026-000001")))
    credit = read(draw(shown(connection, "CRN2026-000001")))

    assert "Reverse charge" in invoice
    assert "DE136695976" in invoice
    assert "Credit note" in credit
    assert "This corrects INV2026-000001." in credit
    assert "EUR -100.00" in credit


def test_a_page_is_the_same_bytes_each_time(connection: Connection) -> None:
    """On every reading, also when more is known by then; and without a name once it is erased."""
    set_supplier(connection)
    party_id = add_party(connection)
    add_buyer(connection, party_id, "FI", name="東京デザイン")
    add_fee(connection, party_id, 10_000)
    service_invoice.issue_due(connection, START)
    first = draw(shown(connection, "INV2026-000001"))
    add_buyer(connection, party_id, "FI", name="Another", at=START + timedelta(days=1))

    assert draw(shown(connection, "INV2026-000001")) == first
    assert "東京デザイン" in read(first)
    personal.erase(connection, [party_id])
    erased = read(draw(shown(connection, "INV2026-000001")))
    assert "Personal data were erased" in erased
    assert "東京デザイン" not in erased


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("Łódź Ελλάς Київ", "Łódź Ελλάς Київ"),
        ("東京デザイン 们 김민준", "東京デザイン 们 김민준"),
        ("ประเทศไทย Ltd", "[Thai] Ltd"),
        ("राम", "[Devanagari]"),
        ("a\u200b\u0007b", "ab"),
    ],
)
def test_a_script_without_letters_is_named(name: str, printed: str) -> None:
    """No empty boxes: what our fonts lack is told by its script, in brackets."""
    assert printable(name) == printed


def test_hebrew_reads_from_the_right() -> None:
    """Letters in the order that they are seen in, brackets turned round, numbers as they are."""
    assert as_seen("שלום (12)") == "(12) םולש"
    assert as_seen("Ltd (12)") == "Ltd (12)"
