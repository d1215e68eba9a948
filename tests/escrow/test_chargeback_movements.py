"""Postings P17, P23 and P24 of domain/escrow.md 2.10, to the cent."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escrow import movements_chargeback as m
from ledger.entries import Entries
from tests.escrow.test_movements import as_text, check_entries, expected

PARTY, PAYEE, REFUND = (UUID(int=n) for n in range(4, 7))

# The figures of domain/escrow.md 2.10: `account amount`, debit positive; books apart.
TABLE = {
    "P17": "earned_available 90.00, due_from_platform 10.00, refund_in_transit -100.00"
    " | commission 10.00, due_to_custody -10.00",
    "P17 short": "earned_available 50.00, due_from_platform 50.00, refund_in_transit -100.00"
    " | commission 10.00, claim_on_payee 40.00, due_to_custody -50.00",
    "P17 wallet": "earned_available 90.00, due_from_platform 10.00, wallet -100.00"
    " | commission 10.00, due_to_custody -10.00",
    "P23": "earned_available 40.00, due_to_platform -40.00"
    " | due_from_custody 40.00, claim_on_payee -40.00",
    "P24": "| bad_debt 40.00, claim_on_payee -40.00",
}


def refunded(currency: str, *, fronted: int = 0, wallet: bool = False) -> Entries:
    return m.p17_refund_released(
        payee_id=PAYEE,
        client_id=PARTY,
        currency=currency,
        refunds=() if wallet else ((REFUND, 10_000),),
        to_wallet_minor=10_000 if wallet else 0,
        commission_minor=1_000,
        fronted_minor=fronted,
    )


def built(currency: str) -> dict[str, Entries]:
    """The same postings as our functions make them."""
    owed = {"payee_id": PAYEE, "currency": currency}
    return {
        "P17": refunded(currency),
        "P17 short": refunded(currency, fronted=4_000),
        "P17 wallet": refunded(currency, wallet=True),
        "P23": m.p23_recover_claim(amount_minor=4_000, **owed),  # type: ignore[arg-type]
        "P24": m.p24_write_off(amount_minor=4_000, **owed),  # type: ignore[arg-type]
    }


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
@pytest.mark.parametrize("posting", TABLE)
def test_posting_to_the_minor_unit(posting: str, currency: str) -> None:
    """Each posting has the lines of its table, in currencies of 2, 0 and 3 decimals alike."""
    assert as_text(built(currency)[posting]) == expected(TABLE[posting])


@given(st.integers(1, 10**15), st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_refund_of_released_money_balances_whoever_pays(
    amount: int, commission_bps: int, fronted_bps: int
) -> None:
    """The payee, the platform for him and our commission together are what the client gets."""
    commission = amount * commission_bps // 10_000
    fronted = (amount - commission) * fronted_bps // 10_000

    entries = m.p17_refund_released(
        payee_id=PAYEE,
        client_id=PARTY,
        currency="EUR",
        refunds=((REFUND, amount),),
        to_wallet_minor=0,
        commission_minor=commission,
        fronted_minor=fronted,
    )

    check_entries(entries)
    check_entries(m.p23_recover_claim(payee_id=PAYEE, currency="EUR", amount_minor=amount))
