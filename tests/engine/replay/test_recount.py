"""The second count of exchange and fees: it agrees with right rows, and sees what is wrong."""

import io
import zipfile
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from engine.replay.recount import Exchanged, History, gaps, recount_exchange, recount_fees

DAY, NEXT = date(2026, 3, 2), date(2026, 3, 3)
TEXT = "Date, USD, JPY\n2026-03-03, 1.1000, 160.00\n2026-03-02, 1.1000, 160.00\n"

# P33 and P34: 90.00 EUR at 1.0835 are 97.52 USD, filled with 98.70 at 1.0967.
RIGHT = Exchanged(
    id="one",
    sold="EUR",
    sold_minor=90_00,
    bought="USD",
    bought_minor=97_52,
    as_of=DAY,
    mid=Decimal("1.1"),
    rate=Decimal("1.0835"),
    margin_bps=150,
    margin_minor=1_49,
    buys_fixed=False,
    filled_minor=98_70,
    filled_on=NEXT,
    gap_minor=1_18,
    loss_minor=31,
)
BOOKS = {("platform.revenue.fx_margin", "USD"): -1_49, ("platform.expense.fx", "USD"): 31}


def history() -> History:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("rates.csv", TEXT)
    return History(packed.getvalue())


def recount(row: Exchanged, books: dict[tuple[str, str], int]) -> list[str]:
    return recount_exchange([row], history(), books, lambda _pair, _on: 30).findings


def test_p33_and_p34_are_counted_to_the_cent() -> None:
    """Margin 1.49, loss 0.31, and nothing on the bridge."""
    assert recount(RIGHT, BOOKS) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"mid": Decimal("1.1001")},
        {"rate": Decimal("1.0836")},
        {"bought_minor": 97_53},
        {"margin_minor": 1_50},
        {"filled_minor": 98_71},
        {"gap_minor": 1_17},
        {"loss_minor": 30},
    ],
)
def test_a_figure_that_is_a_cent_off_is_found(wrong: dict[str, Any]) -> None:
    """Whichever of the row's figures it is."""
    assert recount(RIGHT._replace(**wrong), BOOKS) != []


@pytest.mark.parametrize("place", [*BOOKS, ("custody.fx", "USD"), ("custody.fx", "EUR")])
def test_books_that_are_a_cent_off_are_found(place: tuple[str, str]) -> None:
    """Margin, loss, and the bridge, on which nothing lies once all is filled."""
    (found,) = recount(RIGHT, BOOKS | {place: BOOKS.get(place, 0) + 1})

    assert place[1] in found


def test_what_is_open_lies_on_the_bridge() -> None:
    """Both sides of it; margin and loss come with the fill."""
    waiting = RIGHT._replace(filled_minor=None, filled_on=None, gap_minor=None, loss_minor=None)

    assert recount(waiting, {("custody.fx", "EUR"): -90_00, ("custody.fx", "USD"): 97_52}) == []
    assert len(recount(waiting, {})) == 2


def test_fee_lines_and_books_must_agree() -> None:
    """In every account and currency."""
    tax = {("platform.vat_payable DE", "JPY"): 19}

    assert recount_fees(lines=tax, balances=tax) == []
    assert len(recount_fees(lines=tax, balances={})) == 1
    assert len(recount_fees(lines={}, balances=tax)) == 1


@pytest.mark.parametrize(
    ("numbers", "missing"), [([], []), ([1, 2, 3], []), ([1, 3], [2]), ([1, 1, 2], [1, 3])]
)
def test_numbers_without_gaps_are_1_2_3(numbers: list[int], missing: list[int]) -> None:
    """A number that is missing or there twice is named."""
    assert gaps(numbers) == missing
