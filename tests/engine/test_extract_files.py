"""Extracts on paper and as CSV: sums carried from page to page, and texts that do no harm."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from pypdf import PdfReader

from engine.extracts import csv_file, pdf_file
from engine.extracts.shown import Extract
from escrow.model_extract import About, Exchange, Fees, Movement, Spot, Standing, Summary
from escrow.rules_extract import month_of
from escrow.service_extract import Book
from kernel.ids import new_id
from kernel.money import format_minor
from ledger.known import Known
from ledger.reports import Span
from tax.fonts import as_seen

MONTH = Span(*month_of("2026-10"))
KNOWN = Known(184_467, provisional=False)


def made(party_id: UUID, currency: str, amounts: Sequence[int], title: str = "") -> list[Movement]:
    """Lines of one currency, an hour apart, from nothing on."""
    assert MONTH.start is not None
    lines, balance = [], 0
    for place, amount in enumerate(amounts):
        balance += amount
        at = MONTH.start + timedelta(hours=place)
        lines.append(
            Movement(
                spot=Spot(at, place + 1, 1, 1),
                journal_no=place + 1,
                effective_at=at,
                account="wallet",
                currency=currency,
                amount_minor=amount,
                balance_minor=balance,
                event_kind="slot.released",
                event_subject=f"slot:{party_id}",
                what="Earned",
                about=About(party_id, party_id, title),
                fees=Fees(currency, amount, amount // 10, 0, 0, amount // 50),
                exchange=Exchange("USD", amount, currency, amount) if place == 0 else None,
            )
        )
    return lines


def extract_of(lines: Sequence[Movement], currency: str) -> Extract:
    credits_ = sum(line.credit_minor for line in lines)
    debits = sum(line.debit_minor for line in lines)
    standing = Standing("wallet", currency, 0, credits_, debits, len(lines))
    party_id = new_id()
    summaries = (Summary(currency, (standing,), Fees(currency)),) if lines else ()
    book = Book(party_id, MONTH, KNOWN, ())
    return Extract(party_id, "freelancer", "2026-10", MONTH, KNOWN, summaries, book)


def paper_of(lines: Sequence[Movement], currency: str = "EUR") -> list[str]:
    """The words of each page."""
    file = io.BytesIO()
    pdf_file.write(file, extract_of(lines, currency), lambda _currency: lines)
    return [page.extract_text() for page in PdfReader(file).pages]


@pytest.mark.parametrize("currency", ["JPY", "EUR", "KWD"])
def test_what_is_carried_forward_is_brought_forward(currency: str) -> None:
    """Page for page the same sum, with the currency's decimals; the last one closes."""
    lines = made(new_id(), currency, [1_001] * 90)

    pages = paper_of(lines, currency)

    assert len(pages) > 2
    carried = [found for page in pages for found in re.findall(r"Carried forward ([\d,.]+)", page)]
    brought = [found for page in pages for found in re.findall(r"Brought forward ([\d,.]+)", page)]
    assert carried == brought
    assert len(carried) == len(pages) - 1
    closing = format_minor(90_090, currency)
    whole, point, part = closing.partition(".")
    assert f"Closing balance {int(whole):,}{point}{part}" in pages[-1]


def test_the_same_extract_is_the_same_paper() -> None:
    """Byte for byte: nothing of the machine or of its clock is in it."""
    lines = made(new_id(), "EUR", [100, -20], "Überschrift")
    extract = extract_of(lines, "EUR")

    def written() -> bytes:
        file = io.BytesIO()
        pdf_file.write(file, extract, lambda _currency: lines)
        return file.getvalue()

    assert written() == written()


def test_an_empty_month_is_one_page() -> None:
    """It says that there was nothing."""
    (page,) = paper_of([])

    assert "No money was held in this month" in page


@pytest.mark.parametrize(
    "title", ["x" * 3_000, "网站翻译与本地化", "תרגום האתר", "تصميم شعار", "\x1b[31m\n\ttab", "😀"]
)
def test_any_title_fits(title: str) -> None:
    """Long, of any script, or of signs that nobody sees: one page, and the sums are there."""
    (page,) = paper_of(made(new_id(), "EUR", [100, 50], title))

    assert "1.50" in page


def test_too_long_an_extract_is_refused() -> None:
    """Nobody reads ten thousand lines on paper; nothing is written."""
    lines = made(new_id(), "EUR", [1])
    extract = extract_of(lines, "EUR")
    standing = Standing("wallet", "EUR", 0, 0, 0, pdf_file.LONGEST + 1)
    long = Extract(
        *(extract.party_id, "client", "2026-10", MONTH, KNOWN),
        (Summary("EUR", (standing,), Fees("EUR")),),
        extract.book,
    )
    file = io.BytesIO()

    with pytest.raises(pdf_file.TooLongForPaper):
        pdf_file.write(file, long, lambda _currency: lines)

    assert file.getvalue() == b""


@pytest.mark.parametrize("title", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "'x", 'a"b,c\r\nd'])
def test_no_cell_is_a_formula(title: str) -> None:
    """A spreadsheet shows every text as text, and amounts stay numbers."""
    lines = made(new_id(), "EUR", [100, -150], title)
    file = io.StringIO(newline="")

    csv_file.write(file, extract_of(lines, "EUR"), iter(lines))

    rows = list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))
    texts = [cell for row in rows for cell in (row["title"], row["what"], row["event_kind"])]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in texts)
    assert rows[1]["title"].removeprefix("'") == title
    assert [row["balance"] for row in rows] == ["0.00", "1.00", "-0.50", "-0.50"]
    assert rows[1]["sold_currency"] == "USD"


def test_csv_takes_the_memory_of_a_line() -> None:
    """Lines are asked for one by one, as they are written."""
    party_id, asked = new_id(), []
    line = made(party_id, "EUR", [1])[0]

    def lines() -> Iterator[Movement]:
        for place in range(3):
            asked.append(file.getvalue().count("\r\n"))
            assert place >= 0
            yield line

    file = io.StringIO(newline="")
    csv_file.write(file, extract_of([line], "EUR"), lines())

    # The heading and the opening first, then one row before each next line.
    assert asked == [2, 3, 4]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("logo", "logo"),
        ("שלום", "םולש"),
        ("אב (12)", "(12) בא"),
        ("سلام", "\ufee1\ufefc\ufeb3"),
        ("ab (سلام)", "ab (\ufee1\ufefc\ufeb3)"),
    ],
)
def test_text_is_put_as_it_is_seen(written: str, shown: str) -> None:
    """Right-to-left scripts turned round, Arabic letters joined, lam with alef as one."""
    assert as_seen(written) == shown
