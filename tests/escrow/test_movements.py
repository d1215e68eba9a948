"""Postings P01, P05-P07, P09-P11, P14-P16 and P25 of domain/escrow.md 2.10, to the cent."""

from collections import defaultdict
from datetime import date
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escrow import movements
from escrow.maths import remaining, take_newest
from escrow.model import Lot, Role, Slot, SlotState
from escrow.model_price import Pair, Price
from escrow.rules_price import charge, client_fee_minor, flat
from kernel.money import EXPONENTS, share_bps
from ledger.chart import MIRRORS, account
from ledger.entries import Entries
from ledger.model import Book, Entry
from tests.escrow.stage import START

SLOT, OTHER, PARTY, PAYEE, REFUND = (UUID(int=n) for n in range(2, 7))

# The figures of domain/escrow.md 2.10: `account amount`, debit positive; books apart.
TABLE = {
    "P01": "processor_pending 99.71, due_from_platform 3.29, escrow -100.00, due_to_platform -3.00"
    " | due_from_custody 3.00, deferred_fees -3.00, processor 3.29, due_to_custody -3.29",
    "P05": "wallet 100.00, escrow -100.00 |",
    "P06": "processor_pending 100.00, suspense -100.00 ; suspense 100.00, wallet -100.00 |",
    "P07": "escrow 100.00, earned_pending -90.00, due_to_platform -10.00"
    " | due_from_custody 10.00, deferred_fees 3.00, commission -10.00, client_fee -3.00",
    "P09": "earned_pending 90.00, earned_available -90.00 |",
    "P10": "escrow 40.00, earned_pending -36.00, due_to_platform -4.00"
    " | due_from_custody 4.00, commission -4.00",
    "P11": "escrow 60.00, escrow -60.00 |",
    "P14": "escrow 100.00, due_from_platform 3.00, refund_in_transit -103.00"
    " | deferred_fees 3.00, due_to_custody -3.00",
    "P15": "refund_in_transit 103.00, processor_available -103.00 |",
    "P16": "refund_in_transit 103.00, wallet -103.00 |",
    "P25": "processor_pending 19.70, due_from_platform 0.90, earned_pending -18.00,"
    " due_to_platform -2.60"
    " | due_from_custody 2.60, commission -2.00, client_fee -0.60, processor 0.90,"
    " due_to_custody -0.90",
}


def built(currency: str) -> dict[str, Entries]:
    """The same postings as our functions make them, in a currency of any number of decimals."""
    m = movements
    c = {"currency": currency}
    rail = {"rail_account": "simulated"}
    return {
        "P01": m.p01_fund(
            slot_id=SLOT,
            amount_minor=10_000,
            client_fee_minor=300,
            rail_fee_minor=329,
            **rail,
            **c,
        ),
        "P05": m.p05_fund_from_wallet(
            slot_id=SLOT, client_id=PARTY, amount_minor=10_000, client_fee_minor=0, **c
        ),
        "P06": m.p06_receive_unidentified(amount_minor=10_000, rail_fee_minor=0, **rail, **c)
        + m.p06_credit_wallet(client_id=PARTY, amount_minor=10_000, **c),
        "P07": m.p07_release(
            slot_id=SLOT,
            payee_id=PAYEE,
            amount_minor=10_000,
            commission_minor=1_000,
            fee_earned_minor=300,
            **c,
        ),
        **_later(currency),
    }


def _later(currency: str) -> dict[str, Entries]:
    m = movements
    c = {"currency": currency}
    rail = {"rail_account": "simulated"}
    return {
        "P09": m.p09_end_security_hold(payee_id=PAYEE, amount_minor=9_000, **c),
        "P10": m.p10_release_part(
            slot_id=SLOT,
            payee_id=PAYEE,
            amount_minor=4_000,
            commission_minor=400,
            fee_earned_minor=0,
            **c,
        ),
        "P11": m.p11_roll(from_slot_id=SLOT, to_slot_id=OTHER, amount_minor=6_000, **c),
        "P14": m.p14_refund(
            slot_id=SLOT,
            client_id=PARTY,
            refunds=((REFUND, 10_300),),
            to_wallet_minor=0,
            fee_minor=300,
            **c,
        ),
        "P15": m.p15_refund_paid(
            refund_id=REFUND, amount_minor=10_300, rail_fee_minor=0, **rail, **c
        ),
        "P16": m.p16_refund_bounced(refund_id=REFUND, client_id=PARTY, amount_minor=10_300, **c),
        "P25": m.p25_tip(
            source=account("custody.processor_pending", currency, "simulated"),
            payee_id=PAYEE,
            amount_minor=2_000,
            commission_minor=200,
            client_fee_minor=60,
            rail_fee_minor=90,
            **c,
        ),
    }


def as_text(entries: Entries) -> list[str]:
    """Sorted `book account amount`, in hundredths of whatever the minor unit is."""
    return sorted(
        f"{entry.book} {line.account.kind.rpartition('.')[2]} {line.amount_minor}"
        for entry in entries
        for line in entry.lines
    )


def expected(text: str) -> list[str]:
    custody, _, platform = text.partition("|")
    found = []
    for book, lines in (("custody", custody), ("platform", platform)):
        for line in filter(str.strip, lines.replace(";", ",").split(",")):
            name, amount = line.split()
            found.append(f"{book} {name} {int(amount.replace('.', ''))}")
    return sorted(found)


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
@pytest.mark.parametrize("posting", TABLE)
def test_posting_to_the_minor_unit(posting: str, currency: str) -> None:
    """Each posting has the lines of its table, in currencies of 2, 0 and 3 decimals alike."""
    assert as_text(built(currency)[posting]) == expected(TABLE[posting])


def check_entries(entries: tuple[Entry, ...]) -> None:
    """Each entry balances in its book and names no zero; mirrors are equal over all of them."""
    sums: dict[str, int] = defaultdict(int)
    for entry in entries:
        assert sum(line.amount_minor for line in entry.lines) == 0
        assert all(line.amount_minor for line in entry.lines)
        assert all(line.account.kind.startswith(entry.book) for line in entry.lines)
        assert {line.account.currency for line in entry.lines} == {entry.currency}
        for line in entry.lines:
            sums[line.account.kind] += line.amount_minor
    for one, other in MIRRORS:
        assert sums[one] + sums[other] == 0


amounts = st.integers(1, 10**15)
rates = st.integers(0, 10_000)
currencies = st.sampled_from(sorted(EXPONENTS))


def price_of(currency: str, rate_bps: int, *, billed_minor: int = 0) -> Price:
    """A flat rate, for a pair that was billed so much before."""
    month = date(2026, 3, 1)
    pair = Pair(PARTY, PAYEE, currency, billed_minor, month, 0)
    return Price(pair=pair, tariff=flat(currency, rate_bps), month=month)


@given(amounts, rates, rates, currencies, st.data())
def test_entries_balance_whatever_the_rates(
    amount: int, commission_bps: int, fee_bps: int, currency: str, data: st.DataObject
) -> None:
    """Funding, release, refund and tip balance per book, and the mirrors are equal."""
    fee = client_fee_minor(flat(currency, fee_bps), amount)
    price = charge(price_of(currency, commission_bps), amount, fee_earned_minor=fee, strict=True)
    rail_fee = data.draw(st.integers(0, amount + fee))
    common: dict[str, Any] = {"slot_id": SLOT, "currency": currency, "amount_minor": amount}

    check_entries(
        movements.p01_fund(
            rail_account="r", client_fee_minor=fee, rail_fee_minor=rail_fee, **common
        )
    )
    check_entries(
        movements.p07_release(
            payee_id=PAYEE,
            commission_minor=price.commission_minor,
            fee_earned_minor=fee,
            **common,
        )
    )
    check_entries(
        movements.p14_refund(
            slot_id=SLOT,
            client_id=PARTY,
            currency=currency,
            refunds=((REFUND, amount + fee),),
            to_wallet_minor=0,
            fee_minor=fee,
        )
    )
    check_entries(
        movements.p25_tip(
            source=account("custody.processor_pending", currency, "r"),
            payee_id=PAYEE,
            currency=currency,
            amount_minor=amount,
            commission_minor=price.commission_minor,
            client_fee_minor=fee,
            rail_fee_minor=rail_fee,
        )
    )
    assert price.net_minor + price.commission_minor == amount
    assert (price.commission_minor, fee) == (
        share_bps(amount, commission_bps),
        share_bps(amount, fee_bps),
    )


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=8), rates)
def test_commissions_of_parts_sum_to_that_of_the_whole(cuts: list[int], rate_bps: int) -> None:
    """However a slot is released in parts, we take what we would have taken at once."""
    marks = [0, *sorted(cuts)]

    parts = [
        charge(
            price_of("EUR", rate_bps, billed_minor=before),
            now - before,
            fee_earned_minor=0,
            strict=True,
        ).commission_minor
        for before, now in pairwise(marks)
    ]

    assert sum(parts) == share_bps(marks[-1], rate_bps)
    assert all(part >= 0 for part in parts)


def slot_of(lots: list[Lot], released: int) -> Slot:
    put_in = sum(lot.amount_minor - lot.gone_minor for lot in lots)
    return Slot(
        SLOT,
        SLOT,
        OTHER,
        "EUR",
        1,
        Role.CLIENT,
        SlotState.FUNDED,
        1,
        put_in,
        START,
        START,
        held_minor=put_in - released,
        released_minor=released,
    )


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**5)), min_size=1), st.data())
def test_refunds_take_the_newest_lots_and_never_more_than_is_there(
    sizes: list[tuple[int, int]], data: st.DataObject
) -> None:
    """The parts sum to the refund, no lot gives more than it has left, the newest gives first."""
    lots = [
        Lot(SLOT, number, UUID(int=number), amount, fee, 0)
        for number, (amount, fee) in enumerate(sizes, start=1)
    ]
    put_in = sum(amount for amount, _ in sizes)
    released = data.draw(st.integers(0, put_in - 1))
    slot = slot_of(lots, released)
    amount = data.draw(st.integers(1, slot.held_minor))

    taken = take_newest(slot, lots, amount)

    left = {part.lot.seq: part for part in remaining(slot, lots)}
    assert sum(part.amount_minor for part in taken) == amount
    assert [part.lot.seq for part in taken] == sorted((p.lot.seq for p in taken), reverse=True)
    assert all(part.amount_minor <= left[part.lot.seq].amount_minor for part in taken)
    assert all(part.fee_minor <= left[part.lot.seq].fee_minor for part in taken)
    if released:
        assert all(part.fee_minor == 0 for part in taken)
    if amount == put_in:
        assert sum(part.fee_minor for part in taken) == sum(fee for _, fee in sizes)


def test_books_are_named_apart() -> None:
    """No entry of ours touches both books."""
    books = {entry.book for entries in built("EUR").values() for entry in entries}

    assert books == {Book.CUSTODY, Book.PLATFORM}
