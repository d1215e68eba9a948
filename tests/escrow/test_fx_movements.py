"""Postings P33 to P36 of domain/escrow.md 2.10, to the cent, with the rates that they come from."""

from datetime import date
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commissions.maths_fx import (
    StaleRate,
    TooSmall,
    ZeroRate,
    bought_for,
    check_fresh,
    customer_rate,
    margin,
    share_gap,
    sold_for,
)
from escrow.movements import p07_release
from escrow.movements_fx import p34_fill, p35_receive
from escrow.movements_price import with_exchange
from kernel.money import EXPONENTS, convert
from ledger.chart import MIRRORS, account
from ledger.entries import Entries
from ledger.model import Book
from rails.rates.model import Rate

SLOT, PAYEE = UUID(int=1), UUID(int=2)
MID = Rate("ecb", "EUR", "USD", Fraction("1.1"), date(2026, 3, 2))
AT = customer_rate(MID.rate, 150)


def table(entries: Entries) -> set[tuple[str, str, str, int]]:
    """Book, account without its owner, currency, amount."""
    return {
        (each.book.value, line.account.kind.partition(".")[2], each.currency, line.amount_minor)
        for each in entries
        for line in each.lines
    }


def rows(book: Book, currency: str, **amounts: int) -> set[tuple[str, str, str, int]]:
    return {
        (book.value, name.replace("__", "."), currency, amount) for name, amount in amounts.items()
    }


def test_edge_35_p33_a_release_in_euros_pays_dollars() -> None:
    """100.00 EUR, commission 10.00; 90.00 at 1.0835 are 97.52 USD, half up."""
    bought = bought_for(9_000, MID, AT)
    entries = with_exchange(
        p07_release(
            slot_id=SLOT,
            payee_id=PAYEE,
            currency="EUR",
            amount_minor=10_000,
            commission_minor=1_000,
            fee_earned_minor=0,
        ),
        payee_id=PAYEE,
        sold="EUR",
        bought="USD",
        sold_minor=9_000,
        bought_minor=bought,
    )

    assert (Fraction("1.0835"), 9_752) == (AT, bought)
    assert table(entries) == {
        *rows(Book.CUSTODY, "EUR", escrow=10_000, due_to_platform=-1_000, fx=-9_000),
        *rows(Book.CUSTODY, "USD", fx=9_752, earned_pending=-9_752),
        *rows(Book.PLATFORM, "EUR", due_from_custody=1_000, revenue__commission=-1_000),
    }


def test_p34_the_fill_empties_the_bridge_and_shares_the_gap() -> None:
    """90.00 EUR at 1.0967 are 98.70 USD: 1.18 is ours, of an expected margin of 1.49."""
    expected = margin(9_000, MID, AT)
    filled = convert(9_000, sold="EUR", bought="USD", rate=Fraction("1.0967"))

    assert share_gap(filled_minor=filled, owed_minor=9_752, margin_minor=expected) == (118, 149, 31)
    assert table(fill(9_000, filled, 9_752, expected, "custody.bank")) == {
        *rows(Book.CUSTODY, "EUR", fx=9_000, bank=-9_000),
        *rows(Book.CUSTODY, "USD", bank=9_870, fx=-9_752, due_to_platform=-118),
        *rows(Book.PLATFORM, "USD", due_from_custody=118, expense__fx=31, revenue__fx_margin=-149),
    }


def test_edge_36_p35_and_p36_money_is_converted_when_it_comes() -> None:
    """100.00 EUR are 108.35 USD in escrow; the fill of 109.67 leaves 1.32: 1.65 less 0.33."""
    bought = bought_for(10_000, MID, AT)
    entries = p35_receive(
        slot_id=SLOT,
        rail_account="bank",
        sold="EUR",
        bought="USD",
        received_minor=10_000,
        bought_minor=bought,
    )
    expected = margin(10_000, MID, AT)

    assert table(entries) == {
        *rows(Book.CUSTODY, "EUR", processor_available=10_000, fx=-10_000),
        *rows(Book.CUSTODY, "USD", fx=10_835, escrow=-10_835),
    }
    assert table(fill(10_000, 10_967, bought, expected, "custody.processor_available")) == {
        *rows(Book.CUSTODY, "EUR", fx=10_000, processor_available=-10_000),
        *rows(Book.CUSTODY, "USD", bank=10_967, fx=-10_835, due_to_platform=-132),
        *rows(Book.PLATFORM, "USD", due_from_custody=132, expense__fx=33, revenue__fx_margin=-165),
    }


def test_a_fill_below_what_the_payee_got_is_made_up_by_the_platform() -> None:
    """The market moved: 97.00 for the 97.52 owed; 0.52 is due to client money, 2.01 is lost."""
    assert table(fill(9_000, 9_700, 9_752, 149, "custody.bank")) == {
        *rows(Book.CUSTODY, "EUR", fx=9_000, bank=-9_000),
        *rows(Book.CUSTODY, "USD", bank=9_700, due_from_platform=52, fx=-9_752),
        *rows(Book.PLATFORM, "USD", expense__fx=201, revenue__fx_margin=-149, due_to_custody=-52),
    }


def fill(sold: int, filled: int, owed: int, expected: int, paid_from: str) -> Entries:
    rail = ("bank",) if paid_from == "custody.processor_available" else ()
    return p34_fill(
        sold="EUR",
        bought="USD",
        sold_minor=sold,
        filled_minor=filled,
        owed_minor=owed,
        margin_minor=expected,
        paid_from=account(paid_from, "EUR", *rail),
    )


@given(
    st.integers(1, 10**12),
    st.integers(1, 10**12),
    st.integers(1, 10**12),
    st.integers(0, 10**9),
)
def test_any_fill_balances_and_stands_in_both_books(
    sold: int, filled: int, owed: int, expected: int
) -> None:
    """Each entry sums to zero in its currency, and what one book owes the other stands in both."""
    entries = fill(sold, filled, owed, expected, "custody.bank")

    for each in entries:
        assert sum(line.amount_minor for line in each.lines) == 0
    moved = {
        (line.account.kind, line.account.currency): line.amount_minor
        for each in entries
        for line in each.lines
    }
    for one, other in MIRRORS:
        for currency in ("EUR", "USD"):
            assert moved.get((one, currency), 0) + moved.get((other, currency), 0) == 0


@given(st.sampled_from(["EUR", "JPY", "KWD"]), st.sampled_from(["USD", "KRW", "BHD"]), st.data())
def test_what_is_bought_is_never_worth_more_than_half_a_unit_too_much(
    sold: str, bought: str, data: st.DataObject
) -> None:
    """In any exponents: rounding is half a minor unit, and the least amount to buy it is found."""
    rate = Fraction(data.draw(st.integers(1, 10**13)), 10**10)
    amount = data.draw(st.integers(1, 10**9))
    mid = Rate("fixed", sold, bought, rate, date(2026, 3, 2))
    try:
        found = bought_for(amount, mid, rate)
    except TooSmall:
        return
    exact = amount * rate * Fraction(10) ** (EXPONENTS[bought] - EXPONENTS[sold])
    assert abs(found - exact) <= Fraction(1, 2)

    least = sold_for(found, mid, rate)

    assert least <= amount
    assert convert(least, sold=sold, bought=bought, rate=rate) >= found


def test_no_rate_and_an_old_rate_are_refused() -> None:
    """Zero is no rate; Friday's serves a weekend, and three business days are the end."""
    with pytest.raises(ZeroRate):
        customer_rate(Fraction(0), 0)
    with pytest.raises(ZeroRate):
        customer_rate(Fraction(1, 10**11), 0)
    monday = MID  # 2 March 2026
    for day in (2, 3, 4, 5):
        check_fresh(monday, date(2026, 3, day))
    with pytest.raises(StaleRate):
        check_fresh(monday, date(2026, 3, 6))
    friday = Rate("ecb", "EUR", "USD", Fraction(1), date(2026, 2, 27))
    check_fresh(friday, date(2026, 3, 1))
    check_fresh(friday, date(2026, 3, 4))
    with pytest.raises(StaleRate):
        check_fresh(friday, date(2026, 3, 5))
