"""The postings of disputes, chargebacks, claims, hours, retainers and plans, to the cent.

The tax of P08, P12, P13, P17 to P24, P26 to P32 and P42 to P46 of domain/escrow.md 2.10 with the
figures that stand there. P01 to P11, P14 to P16 and P25 are in `test_movements`, P33 to P36 in
`test_fx_movements`.
"""

from collections import defaultdict
from typing import Any, Final
from uuid import UUID

import pytest

from commissions.model import Side
from commissions.model_plans import OfferingKind
from escrow import movements
from escrow import movements_chargeback as back
from escrow import movements_hourly as hours
from escrow import movements_more as more
from escrow import movements_plans as plans
from escrow import movements_retainer as retainer
from escrow.movements_price import with_taxes
from ledger.entries import Entries
from payouts.movements_blocked import p43_block, p43_release
from payouts.movements_dormant import p42_reclassify, p42_remit
from payouts.movements_settlement import p46_rounding
from tests.escrow.test_movements import check_entries

SLOT, CLIENT, PAYEE, REFUND = (UUID(int=n) for n in range(2, 6))

# The rows of 2.10: `account amount`, debit positive; the books apart.
TABLE: Final = {
    "P08": "escrow 100.00, earned_pending -88.00, due_to_platform -12.00"
    " | due_from_custody 12.00, commission -10.00, vat_payable -2.00",
    "P08 client": "escrow 100.00, earned_pending -88.00, due_to_platform -12.00"
    " | due_from_custody 12.00, deferred_fees 3.00, commission -10.00, client_fee -2.50,"
    " vat_payable -2.50",
    "P08 returned": "earned_available 88.00, due_from_platform 12.00, refund_in_transit -100.00"
    " | commission 10.00, vat_payable 2.00, due_to_custody -12.00",
    "P12": "escrow 100.00, escrow_disputed -100.00 |",
    "P12 reversed": "escrow_disputed 100.00, escrow -100.00 |",
    "P13": "escrow_disputed 100.00, earned_pending -63.00, due_to_platform -7.00,"
    " refund_in_transit -30.00 | due_from_custody 7.00, commission -7.00",
    "P17": "earned_available 90.00, due_from_platform 10.00, refund_in_transit -100.00"
    " | commission 10.00, due_to_custody -10.00",
    "P18": "escrow 100.00, due_from_platform 18.00, processor_available -118.00"
    " | deferred_fees 3.00, chargeback_fee 15.00, due_to_custody -18.00",
    "P18 frozen": "escrow_disputed 100.00, due_from_platform 18.00, processor_available -118.00"
    " | deferred_fees 3.00, chargeback_fee 15.00, due_to_custody -18.00",
    "P19": "processor_available 103.00, escrow -100.00, due_to_platform -3.00"
    " | due_from_custody 3.00, deferred_fees -3.00",
    "P20": "due_from_platform 118.00, processor_available -118.00, earned_available 50.00,"
    " earned_reserved -50.00"
    " | chargebacks_contested 103.00, chargeback_fee 15.00, due_to_custody -118.00",
    "P21": "earned_reserved 50.00, due_to_platform -50.00"
    " | due_from_custody 50.00, claim_on_payee 40.00, commission 10.00, client_fee 3.00,"
    " chargebacks_contested -103.00",
    "P22": "processor_available 103.00, due_to_platform -103.00, earned_reserved 50.00,"
    " earned_available -50.00 | due_from_custody 103.00, chargebacks_contested -103.00",
    "P23": "earned_available 40.00, due_to_platform -40.00"
    " | due_from_custody 40.00, claim_on_payee -40.00",
    "P24": "| bad_debt 40.00, claim_on_payee -40.00",
    "P26": "processor_pending 399.75, due_from_platform 12.25, escrow -400.00,"
    " due_to_platform -12.00"
    " | due_from_custody 12.00, processor 12.25, deferred_fees -12.00, due_to_custody -12.25",
    "P27": "escrow_disputed 100.00, due_from_platform 3.00, refund_in_transit -103.00"
    " | deferred_fees 3.00, due_to_custody -3.00",
    "P28": "due_from_platform 360.00, earned_pending -360.00"
    " | claim_on_client 412.00, due_to_custody -360.00, commission -40.00, client_fee -12.00",
    "P29": "processor_pending 399.75, due_from_platform 12.25, due_to_platform -412.00"
    " | due_from_custody 412.00, processor 12.25, claim_on_client -412.00, due_to_custody -12.25",
    "P30": "| protection 360.00, commission 40.00, client_fee 12.00, claim_on_client -412.00",
    "P31": "escrow 3000.00, earned_pending -900.00, due_to_platform -100.00,"
    " refund_in_transit -2000.00 | due_from_custody 100.00, commission -100.00",
    "P32 a": "escrow 200.00, earned_pending -180.00, due_to_platform -20.00"
    " | due_from_custody 20.00, commission -20.00",
    "P32 b": "escrow 200.00, wallet -200.00 |",
    "P44": "earned_available 17.99, due_to_platform -17.99"
    " | due_from_custody 17.99, deferred_fees -14.99, vat_payable -3.00",
    "P44 client": "wallet 17.99, due_to_platform -17.99"
    " | due_from_custody 17.99, deferred_fees -14.99, vat_payable -3.00",
    "P44 earned": "| deferred_fees 14.99, subscription -14.99",
    "P44 product earned": "| deferred_fees 14.99, product -14.99",
    "P44 back": "due_from_platform 17.99, earned_available -17.99"
    " | deferred_fees 14.99, vat_payable 3.00, due_to_custody -17.99",
    "P45": "wallet 50.00, earned_available 50.00, due_to_platform -100.00"
    " | due_from_custody 100.00, arbitration_fees_held -100.00",
    "P45 back": "due_from_platform 50.00, earned_available -50.00"
    " | arbitration_fees_held 50.00, due_to_custody -50.00",
    "P42": "earned_available 50.00, unclaimed -50.00 |",
    "P42 remitted": "unclaimed 50.00, bank -50.00 |",
    "P43": "earned_available 50.00, blocked -50.00 |",
    "P43 released": "blocked 50.00, earned_available -50.00 |",
    "P46": "due_from_platform 0.01, processor_pending -0.01 | rounding 0.01, due_to_custody -0.01",
}

NUMBERS: Final = {8, 12, 13, *range(17, 25), *range(26, 33), *range(42, 47)}
"""The postings that contracts of every kind, plans, and money at rest add to the milestone's."""


def disputes(currency: str) -> dict[str, Entries]:
    c: dict[str, Any] = {"currency": currency}
    sides: dict[str, Any] = {"client_id": CLIENT, "payee_id": PAYEE, **c}
    whole: dict[str, Any] = {"slot_id": SLOT, "amount_minor": 10_000, **c}
    return {
        "P12": more.p12_freeze(**whole),
        "P12 reversed": more.p12_thaw(**whole),
        "P13": more.p13_split(
            slot_id=SLOT,
            payee_minor=7_000,
            commission_minor=700,
            fee_earned_minor=0,
            refunds=((REFUND, 3_000),),
            to_wallet_minor=0,
            fee_returned_minor=0,
            **sides,
        ),
        "P45": more.p45_arbitration_fee(client_minor=5_000, payee_minor=5_000, **sides),
        "P45 back": more.p45_fee_back(client_minor=0, payee_minor=5_000, **sides),
    }


def taxed(currency: str) -> dict[str, Entries]:
    """P08 with 20 % VAT on the commission, and on a client's fee of 3.00 that has it within."""
    tax: dict[str, Any] = {"currency": currency, "on_commission": {"IE": 200}}
    release: dict[str, Any] = {
        "slot_id": SLOT,
        "payee_id": PAYEE,
        "currency": currency,
        "amount_minor": 10_000,
        "commission_minor": 1_200,
    }
    back_tax: dict[str, Any] = {
        "currency": currency,
        "on_commission": {"IE": -200},
        "on_client_fee": {},
    }
    refunded = back.p17_refund_released(
        payee_id=PAYEE,
        client_id=CLIENT,
        currency=currency,
        refunds=((REFUND, 10_000),),
        to_wallet_minor=0,
        commission_minor=1_200,
        fronted_minor=0,
    )
    whole, part = (movements.p07_release(fee_earned_minor=fee, **release) for fee in (0, 300))
    return {
        "P08": with_taxes(whole, on_client_fee={}, **tax),
        "P08 client": with_taxes(part, on_client_fee={"IE": 50}, **tax),
        "P08 returned": with_taxes(refunded, **back_tax),
    }


def chargebacks(currency: str) -> dict[str, Entries]:
    c: dict[str, Any] = {"currency": currency}
    rail: dict[str, Any] = {"rail_account": "simulated", **c}
    owed: dict[str, Any] = {"payee_id": PAYEE, "amount_minor": 4_000, **c}
    free, frozen = (back.Taken(SLOT, 10_000, 0),), (back.Taken(SLOT, 0, 10_000),)
    fee = back.Extra(1_500)
    reserve: dict[str, Any] = {"payee_id": PAYEE, "pending_minor": 0, **c}
    return {
        "P17": back.p17_refund_released(
            payee_id=PAYEE,
            client_id=CLIENT,
            refunds=((REFUND, 10_000),),
            to_wallet_minor=0,
            commission_minor=1_000,
            fronted_minor=0,
            **c,
        ),
        "P18": back.p18_contest(slots=free, client_fee_minor=300, extra=fee, **rail),
        "P18 frozen": back.p18_contest(slots=frozen, client_fee_minor=300, extra=fee, **rail),
        "P19": back.p19_reinstate(
            slots=free,
            client_id=CLIENT,
            to_wallet_minor=0,
            client_fee_minor=300,
            extra=back.Extra(),
            **rail,
        ),
        "P20": back.p20_front(amount_minor=10_300, extra=fee, **rail)
        + back.p20_reserve(available_minor=5_000, **reserve),
        "P21": back.p21_lose(
            payee_id=PAYEE,
            recovered_minor=5_000,
            claimed_minor=4_000,
            commission_minor=1_000,
            client_fee_minor=300,
            **c,
        ),
        "P22": back.p22_reinstate(amount_minor=10_300, extra=back.Extra(), **rail)
        + back.p22_lift(available_minor=5_000, **reserve),
        "P23": back.p23_recover_claim(**owed),
        "P24": back.p24_write_off(**owed),
    }


def weeks(currency: str) -> dict[str, Entries]:
    c: dict[str, Any] = {"currency": currency}
    paid = hours.p26_charge_week(
        rail_account="simulated",
        slot_id=SLOT,
        amount_minor=40_000,
        client_fee_minor=1_200,
        rail_fee_minor=1_225,
        **c,
    )
    owed: dict[str, Any] = {"client_id": CLIENT, "gross_minor": 40_000, "fee_minor": 1_200, **c}
    return {
        "P26": paid,
        "P27": hours.p27_settle_line(
            slot_id=SLOT,
            client_id=CLIENT,
            payee_id=PAYEE,
            payee_minor=0,
            commission_minor=0,
            fee_earned_minor=0,
            refunds=((REFUND, 10_300),),
            to_wallet_minor=0,
            fee_returned_minor=300,
            **c,
        ),
        "P28": hours.p28_advance(payee_id=PAYEE, commission_minor=4_000, **owed),
        "P29": paid + hours.p29_settle_advance(slot_id=SLOT, **owed),
        "P30": hours.p30_write_off(commission_minor=4_000, **owed),
    }


def periods(currency: str) -> dict[str, Entries]:
    sides: dict[str, Any] = {
        "slot_id": SLOT,
        "client_id": CLIENT,
        "payee_id": PAYEE,
        "currency": currency,
    }
    to_payee, to_client = retainer.PayeePart, retainer.ClientPart
    return {
        "P31": retainer.p31_divide(
            payee=to_payee(amount_minor=100_000, commission_minor=10_000),
            client=to_client(refunds=((REFUND, 200_000),)),
            **sides,
        ),
        "P32 a": retainer.p32_unused(
            payee=to_payee(amount_minor=20_000, commission_minor=2_000), client=to_client(), **sides
        ),
        "P32 b": retainer.p32_unused(
            payee=to_payee(), client=to_client(to_wallet_minor=20_000), **sides
        ),
    }


def sold(currency: str) -> dict[str, Entries]:
    tax: dict[str, Any] = {"net_minor": 1_499, "tax_minor": 300, "country": "FR"}
    payee, client = (
        plans.purse(Side.PAYEE, PAYEE, currency),
        plans.purse(Side.CLIENT, CLIENT, currency),
    )
    whole: dict[str, Any] = {"currency": currency, "amount_minor": 1_499}
    return {
        "P44": plans.p44_charge(paid_from=payee, **tax),
        "P44 client": plans.p44_charge(paid_from=client, **tax),
        "P44 earned": plans.p44_earn(kind=OfferingKind.PLAN, **whole),
        "P44 product earned": plans.p44_earn(kind=OfferingKind.PRODUCT, **whole),
        "P44 back": plans.p44_back(paid_to=payee, **tax),
    }


def at_rest(currency: str) -> dict[str, Entries]:
    """Of payouts: silent owners, sanctioned ones, and a processor's rounding."""
    state: dict[str, Any] = {"jurisdiction": "US-CA", "currency": currency, "amount_minor": 5_000}
    listed: dict[str, Any] = {
        "party_id": PAYEE,
        "currency": currency,
        "parts": [("custody.earned_available", 5_000)],
    }
    return {
        "P42": p42_reclassify(party_id=PAYEE, kind="custody.earned_available", **state),
        "P42 remitted": p42_remit(**state),
        "P43": p43_block(**listed),
        "P43 released": p43_release(**listed),
        "P46": p46_rounding(rail_account="stripe", currency=currency, short_minor=1),
    }


def summed(entries: Entries) -> dict[str, int]:
    """`book account` -> minor units; a posting in several steps counts by what comes of it."""
    found: dict[str, int] = defaultdict(int)
    for entry in entries:
        for line in entry.lines:
            found[f"{entry.book} {line.account.kind.rpartition('.')[2]}"] += line.amount_minor
    return {name: amount for name, amount in found.items() if amount}


def expected(text: str) -> dict[str, int]:
    found = {}
    for book, lines in zip(("custody", "platform"), text.split("|"), strict=True):
        for line in filter(str.strip, lines.split(",")):
            name, amount = line.split()
            found[f"{book} {name}"] = int(amount.replace(".", ""))
    return found


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
@pytest.mark.parametrize("posting", TABLE)
def test_posting_to_the_minor_unit(posting: str, currency: str) -> None:
    """Each has the lines of its row, balances in each book and mirrors, whatever the decimals."""
    made = {**disputes(currency), **chargebacks(currency), **weeks(currency), **periods(currency)}
    made |= sold(currency) | taxed(currency) | at_rest(currency)

    assert summed(made[posting]) == expected(TABLE[posting])
    check_entries(made[posting])


def test_no_posting_is_left_out() -> None:
    """Every number that contracts of every kind add stands in the table."""
    assert {int(posting.split()[0][1:]) for posting in TABLE} == NUMBERS
