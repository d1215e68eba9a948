"""The postings of domain/escrow.md 2.10 that move cash, to the cent and in both books."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.model import Entry
from payouts import movements
from payouts.model import Payout, PayoutState
from payouts.model_settlement import Transfer
from rails.model import OWNER, RailAccount

PAYEE, PAYOUT = UUID(int=1), UUID(int=2)
RAIL_ACCOUNT = "simulated"


def payout(amount_minor: int = 50_000, fee_minor: int = 200, charge_minor: int = 0) -> Payout:
    return Payout(
        id=PAYOUT,
        payee_id=PAYEE,
        method_id=UUID(int=3),
        amount_minor=amount_minor,
        fee_minor=fee_minor,
        currency="EUR",
        state=PayoutState.PAID,
        charge_minor=charge_minor,
        requested_at=datetime(2026, 3, 2, tzinfo=UTC),
    )


def text(entries: tuple[Entry, ...]) -> list[str]:
    """Entries as the domain page writes them, one line each, subjects left out."""
    return [
        ", ".join(
            f"{'Dr' if line.amount_minor > 0 else 'Cr'} {line.account.kind}"
            f" {abs(line.amount_minor) // 100}.{abs(line.amount_minor) % 100:02d}"
            for line in entry.lines
        )
        for entry in entries
    ]


def test_p02_pending_becomes_available_and_lands_in_the_bank() -> None:
    """P02: Dr psp.avail 99.71 · Cr psp.pend 99.71, then Dr bank 99.71 · Cr psp.avail 99.71."""
    one = movements.p02_become_available(
        rail_account=RAIL_ACCOUNT, currency="EUR", amount_minor=9_971
    )
    other = movements.p02_land_in_bank(
        rail_account=RAIL_ACCOUNT, currency="EUR", amount_minor=9_971
    )

    assert text(one + other) == [
        "Dr custody.processor_available 99.71, Cr custody.processor_pending 99.71",
        "Dr custody.bank 99.71, Cr custody.processor_available 99.71",
    ]


def test_client_money_goes_back_to_the_processor_for_refunds() -> None:
    """The other way round than P02: Dr psp.avail · Cr bank; the platform has no part in it."""
    entries = movements.top_up_processor(
        rail_account=RAIL_ACCOUNT, currency="EUR", amount_minor=10_300
    )

    assert text(entries) == ["Cr custody.bank 103.00, Dr custody.processor_available 103.00"]


def test_p03_the_books_settle_what_they_owe_each_other() -> None:
    """P03: set off 3.00 in both books, then the platform tops up 0.29."""
    entries = movements.p03_set_off(currency="EUR", amount_minor=300) + movements.p03_top_up(
        currency="EUR", amount_minor=29
    )

    assert text(entries) == [
        "Dr custody.due_to_platform 3.00, Cr custody.due_from_platform 3.00",
        "Dr platform.due_to_custody 3.00, Cr platform.due_from_custody 3.00",
        "Dr custody.bank 0.29, Cr custody.due_from_platform 0.29",
        "Dr platform.due_to_custody 0.29, Cr platform.bank 0.29",
    ]


def test_p04_earned_fees_leave_client_money() -> None:
    """P04: Dr dtp 10.00 · Cr bank 10.00 and Dr P.bank 10.00 · Cr dfc 10.00."""
    assert text(movements.p04_sweep(currency="EUR", amount_minor=1_000)) == [
        "Dr custody.due_to_platform 10.00, Cr custody.bank 10.00",
        "Dr platform.bank 10.00, Cr platform.due_from_custody 10.00",
    ]


def test_the_owner_pays_capital_in() -> None:
    """Capital stands in the platform's book alone: Dr P.bank · Cr P.capital."""
    assert text(movements.open_capital(currency="EUR", amount_minor=100_000)) == [
        "Dr platform.bank 1000.00, Cr platform.capital 1000.00"
    ]


def test_p37_a_payout_is_requested() -> None:
    """P37: Dr fl.avail 500.00 · Cr po 498.00, dtp 2.00 and Dr dfc 2.00 · Cr R.payfee 2.00."""
    assert text(movements.p37_request(payout())) == [
        (
            "Dr custody.earned_available 500.00, Cr custody.payout_in_transit 498.00,"
            " Cr custody.due_to_platform 2.00"
        ),
        "Dr platform.due_from_custody 2.00, Cr platform.revenue.payout_fee 2.00",
    ]


def test_p38_a_payout_is_seen_at_the_bank() -> None:
    """P38: Dr po 498.00 · Cr bank 498.00."""
    assert text(movements.p38_pay(payout())) == [
        "Dr custody.payout_in_transit 498.00, Cr custody.bank 498.00"
    ]


def test_p39_a_payout_that_failed_gives_the_fee_back() -> None:
    """P39: Dr po 498.00, dfp 2.00 · Cr fl.avail 500.00 and Dr R.payfee 2.00 · Cr dtc 2.00."""
    assert text(movements.p39_give_back(payout())) == [
        (
            "Dr custody.payout_in_transit 498.00, Dr custody.due_from_platform 2.00,"
            " Cr custody.earned_available 500.00"
        ),
        "Dr platform.revenue.payout_fee 2.00, Cr platform.due_to_custody 2.00",
    ]


def test_p40_a_returned_payout_costs_the_platform_the_banks_charge() -> None:
    """P40: Dr bank 493.00, dfp 5.00 · Cr po 498.00 and Dr X.payout 5.00 · Cr dtc 5.00."""
    assert text(movements.p40_return(payout(charge_minor=500))) == [
        (
            "Dr custody.bank 493.00, Dr custody.due_from_platform 5.00,"
            " Cr custody.payout_in_transit 498.00"
        ),
        "Dr platform.expense.payout 5.00, Cr platform.due_to_custody 5.00",
    ]


def test_what_costs_nothing_leaves_no_line() -> None:
    """Without fee and charge only the client's book moves, and no line is zero."""
    free = payout(fee_minor=0)

    entries = (
        movements.p37_request(free) + movements.p39_give_back(free) + movements.p40_return(free)
    )

    assert [entry.book.value for entry in entries] == ["custody"] * 3


@given(st.integers(2, 10**15), st.data())
def test_every_way_of_a_payout_balances_and_ends_at_zero(
    amount_minor: int, data: st.DataObject
) -> None:
    """Whatever amount, fee and charge: all entries balance, and what came back leaves no rest."""
    fee_minor = data.draw(st.integers(0, amount_minor - 1))
    charge_minor = data.draw(st.integers(0, amount_minor - fee_minor))
    it = payout(amount_minor, fee_minor, charge_minor)

    entries = (
        movements.p37_request(it)
        + movements.p38_pay(it)
        + movements.p40_return(it)
        + movements.p39_give_back(it)
    )

    sums: dict[str, int] = {}
    for entry in entries:
        assert sum(line.amount_minor for line in entry.lines) == 0
        for line in entry.lines:
            sums[line.account.kind] = sums.get(line.account.kind, 0) + line.amount_minor
    assert sums["custody.payout_in_transit"] == 0
    assert sums["custody.earned_available"] == 0
    assert sums["custody.bank"] == -charge_minor
    owed = sums.get("custody.due_to_platform", 0) + sums.get("custody.due_from_platform", 0)
    assert owed == charge_minor


@pytest.mark.parametrize(
    ("source", "target", "kinds"),
    [
        ("processor_available", "custody_bank", {"custody.bank", "custody.processor_available"}),
        ("custody_bank", "processor_available", {"custody.bank", "custody.processor_available"}),
        (OWNER, "platform_bank", {"platform.bank", "platform.capital"}),
    ],
)
def test_a_transfer_is_booked_by_its_way(source: str, target: str, kinds: set[str]) -> None:
    """Source and target decide the posting: what leaves is credited, what gains is debited."""
    (entry,) = movements.book_transfer(
        Transfer(source, target, 100), rail_account=RAIL_ACCOUNT, currency="EUR"
    )

    signed = {line.account.kind.partition(".")[2]: line.amount_minor for line in entry.lines}
    bank = {RailAccount.CUSTODY_BANK: "bank", RailAccount.PLATFORM_BANK: "bank"}
    gains = bank.get(RailAccount(target), target)
    assert {line.account.kind for line in entry.lines} == kinds
    assert signed[gains] == 100


def test_a_way_that_money_never_goes_is_not_booked() -> None:
    """There is no posting for money from the processor straight to the platform's bank."""
    with pytest.raises(KeyError):
        movements.book_transfer(
            Transfer("processor_available", "platform_bank", 1), rail_account="x", currency="EUR"
        )
