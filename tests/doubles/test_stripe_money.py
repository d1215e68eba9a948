"""How money moves at the Stripe double, through the real SDK: each story as Stripe tells it."""

import csv
import io
from decimal import Decimal
from typing import Any

import pytest
import requests
import stripe

from tests.doubles.fixtures import stripe_double
from tests.doubles.stripe_double.double import API_KEY, StripeDouble
from tests.doubles.stripe_scenes import a_payee, a_payment, charge_of, money, refused, told, types

__all__ = ["stripe_double"]


@pytest.mark.parametrize(
    ("currency", "amount", "fee"),
    [("jpy", 10_000, 320), ("eur", 10_000, 320), ("kwd", 10_000, 590)],
)
def test_a_payment_is_pending_for_two_days_less_its_fee(
    stripe_double: StripeDouble, currency: str, amount: int, fee: int
) -> None:
    """Amounts are minor units by Stripe's own table; a fee keeps the currency's step."""
    charge = charge_of(a_payment(stripe_double, amount, currency, op_id="x", transfer_group="g"))

    txn = charge.balance_transaction
    assert isinstance(txn, stripe.BalanceTransaction)
    assert (txn.amount, txn.fee, txn.net) == (amount, fee, amount - fee)
    assert (txn.status, txn.reporting_category) == ("pending", "charge")
    assert charge.metadata.to_dict() == {"op_id": "x"}
    assert charge.transfer_group == "g"
    assert money(stripe_double, currency=currency) == (0, amount - fee)
    stripe_double.advance(days=2)
    assert money(stripe_double, currency=currency) == (amount - fee, 0)


def test_the_third_decimal_is_zero(stripe_double: StripeDouble) -> None:
    """A dinar has three decimals, of which the last is 0."""
    assert refused(lambda: a_payment(stripe_double, 10_001, "kwd")) == "invalid_charge_amount"


def test_a_declined_card_leaves_no_money(stripe_double: StripeDouble) -> None:
    """402 with the code; the payment wants another method and can then be made."""
    with pytest.raises(stripe.CardError) as caught:
        a_payment(stripe_double, method="pm_card_chargeDeclinedInsufficientFunds")

    (intent,) = stripe_double.client().v1.payment_intents.list().data
    assert caught.value.code == "card_declined"
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.decline_code == "insufficient_funds"
    assert not types(stripe_double)
    assert stripe_double.pay(intent.id)["status"] == "succeeded"


@pytest.mark.parametrize("passed", [True, False])
def test_a_payer_may_have_to_prove_who_he_is(stripe_double: StripeDouble, *, passed: bool) -> None:
    """The payment waits for him, and fails if he cannot."""
    intent = a_payment(stripe_double, method="pm_card_authenticationRequired")
    assert intent.status == "requires_action"

    then = stripe_double.authenticate(intent.id, passed=passed)

    assert then["status"] == ("succeeded" if passed else "requires_payment_method")
    assert types(stripe_double) == (["charge"] if passed else [])


def test_a_bank_debit_clears_days_later(stripe_double: StripeDouble) -> None:
    """Nothing is booked while it is processing."""
    intent = a_payment(stripe_double, method="pm_success_de")
    assert intent.status == "processing"
    assert not types(stripe_double)

    stripe_double.advance(days=4)

    now = stripe_double.client().v1.payment_intents.retrieve(intent.id)
    assert now.status == "succeeded"
    assert types(stripe_double) == ["payment"]


def test_a_bank_debit_may_fail(stripe_double: StripeDouble) -> None:
    """No money came, none is booked."""
    intent = a_payment(stripe_double, method="pm_failed_de")

    stripe_double.advance(days=4)

    now = stripe_double.client().v1.payment_intents.retrieve(intent.id)
    assert now.status == "requires_payment_method"
    assert not types(stripe_double)


def test_a_bank_debit_may_fail_after_it_cleared(stripe_double: StripeDouble) -> None:
    """The money goes back and the fee stays with Stripe."""
    intent = a_payment(stripe_double, method="pm_success_de")
    stripe_double.advance(days=7)
    charge = charge_of(_again(stripe_double, intent))

    stripe_double.fail_late(charge.id)

    failed = charge_of(_again(stripe_double, intent))
    assert failed.status == "failed"
    assert failed.failure_balance_transaction is not None
    assert types(stripe_double) == ["payment", "payment_failure_refund"]
    assert money(stripe_double) == (-320, 0)


def _again(double: StripeDouble, intent: stripe.PaymentIntent) -> stripe.PaymentIntent:
    params: Any = {"expand": ["latest_charge"]}
    return double.client().v1.payment_intents.retrieve(intent.id, params)


def test_a_part_of_a_hold_is_captured(stripe_double: StripeDouble) -> None:
    """Two transactions: the whole charge, and what was not captured; the fee is on the part."""
    intent = a_payment(stripe_double, capture_method="manual")
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 10_000)
    assert not types(stripe_double)

    done = stripe_double.client().v1.payment_intents.capture(
        intent.id, {"amount_to_capture": 4_000}
    )

    assert (done.status, done.amount_received) == ("succeeded", 4_000)
    listed = stripe_double.client().v1.balance_transactions.list(
        {"source": str(done.latest_charge)}
    )
    assert [txn.net for txn in listed.data] == [-6_000, 9_854]
    assert money(stripe_double) == (0, 3_854)


def test_a_hold_expires(stripe_double: StripeDouble) -> None:
    """After `capture_before` the payment is canceled and can no longer be captured."""
    intent = a_payment(stripe_double, capture_method="manual")
    details = charge_of(intent).payment_method_details
    assert details is not None
    assert details.card is not None
    assert details.card.capture_before == int(stripe_double.clock.now.timestamp()) + 7 * 86_400

    stripe_double.advance(days=7)

    client = stripe_double.client()
    assert client.v1.payment_intents.retrieve(intent.id).status == "canceled"
    assert "charge.expired" in told(stripe_double)
    code = refused(lambda: client.v1.payment_intents.capture(intent.id))
    assert code == "charge_expired_for_capture"
    assert not types(stripe_double)


def test_a_hold_is_let_go(stripe_double: StripeDouble) -> None:
    """Cancelling moves no money; a paid payment cannot be cancelled."""
    client = stripe_double.client()
    held = a_payment(stripe_double, capture_method="manual")
    paid = a_payment(stripe_double, method="pm_card_bypassPending")

    assert client.v1.payment_intents.cancel(held.id).status == "canceled"

    code = refused(lambda: client.v1.payment_intents.cancel(paid.id))
    assert code == "payment_intent_unexpected_state"
    assert types(stripe_double) == ["charge"]


def _transfer(double: StripeDouble, payee: str, amount: int, **more: Any) -> stripe.Transfer:
    params: Any = {"amount": amount, "currency": "eur", "destination": payee, **more}
    return double.client().v1.transfers.create(params)


def test_a_release_before_settlement_is_pending_with_its_payment(
    stripe_double: StripeDouble,
) -> None:
    """With `source_transaction` the money is there when the charge's is, no sooner."""
    payee, charge = a_payee(stripe_double), charge_of(a_payment(stripe_double))

    transfer = _transfer(stripe_double, payee, 9_000, source_transaction=charge.id)

    assert transfer.metadata.to_dict() == {}
    assert money(stripe_double, payee) == (0, 9_000)
    stripe_double.advance(days=2)
    assert money(stripe_double, payee) == (9_000, 0)
    assert money(stripe_double) == (680, 0)


def test_transfers_of_a_charge_do_not_exceed_it(stripe_double: StripeDouble) -> None:
    """The sum of all transfers of a charge is limited to the charge."""
    payee, charge = a_payee(stripe_double), charge_of(a_payment(stripe_double))
    _transfer(stripe_double, payee, 9_000, source_transaction=charge.id)

    code = refused(lambda: _transfer(stripe_double, payee, 1_001, source_transaction=charge.id))

    assert code == "charge_exceeds_source_limit"
    assert money(stripe_double, payee) == (0, 9_000)


def test_a_transfer_without_a_charge_needs_available_money(stripe_double: StripeDouble) -> None:
    """Pending money is not enough."""
    payee = a_payee(stripe_double)
    a_payment(stripe_double)

    assert refused(lambda: _transfer(stripe_double, payee, 100)) == "balance_insufficient"
    stripe_double.advance(days=2)
    _transfer(stripe_double, payee, 100)

    assert money(stripe_double, payee) == (100, 0)


def test_an_account_that_is_not_verified_receives_nothing(stripe_double: StripeDouble) -> None:
    """It may, once Stripe knows who it is."""
    payee = a_payee(stripe_double, verified=False)
    a_payment(stripe_double, method="pm_card_bypassPending")

    assert refused(lambda: _transfer(stripe_double, payee, 100)) == "transfers_not_allowed"
    stripe_double.verify(payee)

    assert _transfer(stripe_double, payee, 100).amount == 100


def test_a_transfer_is_taken_back_while_the_money_is_there(stripe_double: StripeDouble) -> None:
    """A part, then more than is left, then more than the payee still has."""
    client, payee = stripe_double.client(), a_payee(stripe_double)
    a_payment(stripe_double, method="pm_card_bypassPending")
    transfer = _transfer(stripe_double, payee, 9_000)

    client.v1.transfers.reversals.create(transfer.id, {"amount": 4_000})

    assert money(stripe_double, payee) == (5_000, 0)
    assert money(stripe_double) == (4_680, 0)
    reverse = client.v1.transfers.reversals.create
    assert refused(lambda: reverse(transfer.id, {"amount": 5_001})) == "amount_too_large"
    client.v1.payouts.create({"amount": 3_000, "currency": "eur"}, {"stripe_account": payee})
    assert refused(lambda: reverse(transfer.id)) == "balance_insufficient"
    assert client.v1.transfers.retrieve(transfer.id).amount_reversed == 4_000


def test_a_refund_takes_available_money_only(stripe_double: StripeDouble) -> None:
    """It waits for money, and is made by itself when it has come."""
    intent = a_payment(stripe_double)

    refund = stripe_double.client().v1.refunds.create(
        {"payment_intent": intent.id, "amount": 2_500}
    )

    assert (refund.status, refund.pending_reason) == ("pending", "insufficient_funds")
    assert types(stripe_double) == ["charge"]
    stripe_double.advance(days=2)
    now = stripe_double.client().v1.refunds.retrieve(refund.id)
    assert now.status == "succeeded"
    assert money(stripe_double) == (7_180, 0)


def test_a_refund_that_the_bank_returns_comes_back(stripe_double: StripeDouble) -> None:
    """It has succeeded, fails later, and its money is ours again; the charge is not refunded."""
    client = stripe_double.client()
    a_payment(stripe_double, method="pm_card_bypassPending")
    intent = a_payment(stripe_double, method="pm_card_refundFail")
    refund = client.v1.refunds.create({"payment_intent": intent.id, "amount": 2_500})
    assert refund.status == "succeeded"

    stripe_double.advance(days=1)

    now = client.v1.refunds.retrieve(refund.id)
    assert now.status == "failed"
    assert now.failure_balance_transaction is not None
    assert types(stripe_double)[-2:] == ["refund", "refund_failure"]
    assert charge_of(_again(stripe_double, intent)).amount_refunded == 0


def test_no_more_than_the_charge_is_refunded(stripe_double: StripeDouble) -> None:
    """More than is left, nothing is left, and the charge is disputed."""
    client = stripe_double.client()
    intent = a_payment(stripe_double, method="pm_card_bypassPending")
    create = client.v1.refunds.create
    a_payment(stripe_double, method="pm_card_bypassPending")

    too_much = refused(lambda: create({"payment_intent": intent.id, "amount": 10_001}))
    create({"payment_intent": intent.id})
    again = refused(lambda: create({"payment_intent": intent.id}))
    disputed = a_payment(stripe_double, method="pm_card_createDispute")

    assert (too_much, again) == ("amount_too_large", "charge_already_refunded")
    assert refused(lambda: create({"payment_intent": disputed.id})) == "charge_disputed"


def test_a_payout_arrives(stripe_double: StripeDouble) -> None:
    """Pending, in transit, paid; the money leaves the account at once."""
    client = stripe_double.client()
    a_payment(stripe_double, method="pm_card_bypassPending")

    payout = client.v1.payouts.create({"amount": 5_000, "currency": "eur"})

    assert (payout.status, money(stripe_double)) == ("pending", (4_680, 0))
    stripe_double.advance(hours=1)
    assert client.v1.payouts.retrieve(payout.id).status == "in_transit"
    stripe_double.advance(days=2)
    assert client.v1.payouts.retrieve(payout.id).status == "paid"
    more = refused(lambda: client.v1.payouts.create({"amount": 5_000, "currency": "eur"}))
    assert more == "balance_insufficient"


@pytest.mark.parametrize("does", ["account_closed", "fail_after_paid"])
def test_a_payout_comes_back(stripe_double: StripeDouble, does: str) -> None:
    """The bank does not take it, or sends it back days after it was paid."""
    payee, options = a_payee(stripe_double), stripe_double.client()
    a_payment(stripe_double, method="pm_card_bypassPending")
    _transfer(stripe_double, payee, 5_000)
    stripe_double.bank(payee, does=does)
    payout = options.v1.payouts.create(
        {"amount": 5_000, "currency": "eur"}, {"stripe_account": payee}
    )

    stripe_double.advance(days=6)

    now = options.v1.payouts.retrieve(payout.id, {}, {"stripe_account": payee})
    assert (now.status, now.failure_code) == ("failed", "account_closed")
    assert types(stripe_double, payee) == ["payment", "payout", "payout_failure"]
    assert money(stripe_double, payee) == (5_000, 0)
    was_paid = "payout.paid" in told(stripe_double, payee)
    assert was_paid == (does == "fail_after_paid")


def test_automatic_payouts_sweep_the_balance_away(stripe_double: StripeDouble) -> None:
    """Until the schedule is manual; an automatic payout names its transactions, once paid."""
    client = stripe_double.client()
    charge = charge_of(a_payment(stripe_double, method="pm_card_bypassPending"))

    (swept,) = stripe_double.sweep()
    stripe_double.advance(days=3)

    assert money(stripe_double) == (0, 0)
    payout = client.v1.payouts.retrieve(swept)
    assert (payout.automatic, payout.reconciliation_status) == (True, "completed")
    parts = client.v1.balance_transactions.list({"payout": swept}).data
    assert [str(part.source) for part in parts] == [swept, charge.id]
    client.v1.balance_settings.update(
        {"payments": {"payouts": {"schedule": {"interval": "manual"}}}}
    )
    a_payment(stripe_double, method="pm_card_bypassPending")
    assert stripe_double.sweep() == []


def test_a_payment_may_be_kept_in_another_currency(stripe_double: StripeDouble) -> None:
    """The charge is in dollars, its transaction in euro; transfers are made in euro only."""
    payee = a_payee(stripe_double)
    stripe_double.settle("usd", "eur", "0.9")
    charge = charge_of(a_payment(stripe_double, 10_000, "usd", method="pm_card_bypassPending"))

    txn = charge.balance_transaction
    assert isinstance(txn, stripe.BalanceTransaction)
    assert (charge.currency, txn.currency, txn.amount, txn.fee) == ("usd", "eur", 9_000, 288)
    of: Any = {"source_transaction": charge.id}
    other = refused(lambda: _transfer(stripe_double, payee, 100, currency="usd", **of))
    assert other == "transfer_source_balance_parameters_mismatch"
    assert _transfer(stripe_double, payee, 100, **of).amount == 100
    refund = stripe_double.client().v1.refunds.create({"charge": charge.id, "amount": 1_000})
    assert (refund.currency, refund.status) == ("usd", "succeeded")
    assert money(stripe_double) == (9_000 - 288 - 100 - 900, 0)


def test_a_card_that_asks_its_owner_is_refused_without_him(stripe_double: StripeDouble) -> None:
    """Off session nobody can answer: 402 authentication_required."""
    with pytest.raises(stripe.CardError) as caught:
        a_payment(stripe_double, method="pm_card_threeDSecure2Required", off_session=True)

    assert caught.value.code == "authentication_required"


def test_money_that_becomes_available_is_told(stripe_double: StripeDouble) -> None:
    """`balance.available`, on the account that it is of, with the balance as it is then."""
    client, payee = stripe_double.client(), a_payee(stripe_double)
    charge = charge_of(a_payment(stripe_double))
    _transfer(stripe_double, payee, 9_000, source_transaction=charge.id)

    stripe_double.advance(days=2)

    own: Any = {"stripe_account": payee}
    (event,) = client.v1.events.list({"type": "balance.available"}, own).data
    assert event.data.object["available"][0]["amount"] == 9_000
    opened: Any = {"expand": ["data.source.source_transfer"]}
    (txn,) = client.v1.balance_transactions.list(opened, own).data
    assert txn.to_dict()["source"]["source_transfer"]["object"] == "transfer"


@pytest.mark.parametrize("currency", ["jpy", "eur", "kwd"])
def test_a_report_comes_to_the_balance(stripe_double: StripeDouble, currency: str) -> None:
    """The file of a report run holds every transaction, in major units."""
    client = stripe_double.client()
    a_payment(stripe_double, 12_340, currency, method="pm_card_bypassPending")
    client.v1.payouts.create({"amount": 5_000, "currency": currency})
    asked: Any = {"interval_start": 0, "interval_end": int(stripe_double.clock.now.timestamp()) + 1}

    run = client.v1.reporting.report_runs.create(
        {"report_type": "balance_change_from_activity.itemized.3", "parameters": asked}
    )
    assert run.result is not None
    fetched = requests.get(
        f"{stripe_double.url}{run.result.url}",
        headers={"authorization": f"Bearer {API_KEY}"},
        timeout=10,
    )

    rows = list(csv.DictReader(io.StringIO(fetched.text)))
    assert [row["reporting_category"] for row in rows] == ["charge", "payout"]
    scale = {"jpy": 1, "eur": 100, "kwd": 1000}[currency]
    assert (
        sum(Decimal(row["net"]) for row in rows) * scale
        == money(stripe_double, currency=currency)[0]
    )
    (paid,) = csv.DictReader(io.StringIO(stripe_double.report("payouts.itemized.3").decode()))
    assert Decimal(paid["gross"]) * scale == 5_000


def test_a_payout_is_cancelled_before_it_leaves(stripe_double: StripeDouble) -> None:
    """After that it can not be."""
    client = stripe_double.client()
    a_payment(stripe_double, method="pm_card_bypassPending")
    first = client.v1.payouts.create({"amount": 1_000, "currency": "eur"})
    second = client.v1.payouts.create({"amount": 1_000, "currency": "eur", "method": "instant"})

    client.v1.payouts.cancel(first.id)
    stripe_double.advance(minutes=30)

    assert types(stripe_double) == ["charge", "payout", "payout", "payout_cancel"]
    assert client.v1.payouts.retrieve(second.id).status == "paid"
    assert refused(lambda: client.v1.payouts.cancel(second.id)) == "status_transition_invalid"
    assert money(stripe_double) == (9_680 - 1_010, 0)


def test_a_top_up_brings_money(stripe_double: StripeDouble) -> None:
    """It comes after a day."""
    topup = stripe_double.client().v1.topups.create({"amount": 70_000, "currency": "jpy"})
    assert (topup.status, types(stripe_double)) == ("pending", [])

    stripe_double.advance(days=1)

    assert money(stripe_double, currency="jpy") == (70_000, 0)


def test_a_chargeback_takes_the_money_and_a_fee(stripe_double: StripeDouble) -> None:
    """Evidence goes in once; what is won comes back without the fee."""
    client = stripe_double.client()
    intent = a_payment(stripe_double, method="pm_card_bypassPending")
    dispute = stripe_double.dispute(charge_of(intent).id)
    assert money(stripe_double) == (-320 - 1_500, 0)
    evidence: Any = {"evidence": {"uncategorized_text": "It was delivered."}, "submit": True}

    sent = client.v1.disputes.update(dispute["id"], evidence)
    again = refused(lambda: client.v1.disputes.update(dispute["id"], evidence))
    stripe_double.move_dispute(dispute["id"], "won")

    now = client.v1.disputes.retrieve(dispute["id"])
    assert (sent.status, again, now.status) == ("under_review", "status_transition_invalid", "won")
    assert [txn.reporting_category for txn in now.balance_transactions] == [
        "dispute",
        "dispute_reversal",
    ]
    assert money(stripe_double) == (10_000 - 320 - 1_500, 0)
    assert client.v1.refunds.create({"payment_intent": intent.id, "amount": 100}).amount == 100


def test_a_dispute_that_was_won_may_be_lost_on_appeal(stripe_double: StripeDouble) -> None:
    """Won, appealed, lost: the money goes a second time."""
    dispute = stripe_double.dispute(charge_of(a_payment(stripe_double)).id)["id"]

    statuses = [
        stripe_double.move_dispute(dispute, to)["status"]
        for to in ("won", "appeal_needs_response", "appeal_under_review", "lost")
    ]

    assert statuses == ["won", "appeal_needs_response", "appeal_under_review", "lost"]
    assert types(stripe_double) == ["charge", "adjustment", "adjustment", "adjustment"]
    assert money(stripe_double)[0] == -10_000 - 2 * 1_500


def test_a_warning_moves_nothing(stripe_double: StripeDouble) -> None:
    """Until it becomes a chargeback."""
    client = stripe_double.client()
    intent = a_payment(stripe_double, method="pm_card_createDisputeInquiry")
    (warning,) = client.v1.disputes.list({"payment_intent": intent.id}).data
    assert (warning.status, types(stripe_double)) == ("warning_needs_response", ["charge"])

    stripe_double.move_dispute(warning.id, "escalated")
    client.v1.disputes.close(warning.id)

    assert client.v1.disputes.retrieve(warning.id).status == "lost"
    assert types(stripe_double) == ["charge", "adjustment"]


def test_stripe_sets_money_aside_and_takes_fees(stripe_double: StripeDouble) -> None:
    """Reserved money is neither available nor pending, and comes back."""
    a_payment(stripe_double, method="pm_card_bypassPending")

    hold = stripe_double.reserve(3_000, "eur")
    stripe_double.bill(200, "eur")

    held = stripe_double.balances()["acct_platform"]["eur"]
    assert held == {"available": 6_480, "pending": 0, "reserved": 3_000}
    stripe_double.release_reserve(hold["id"], 1_000)
    assert stripe_double.balances()["acct_platform"]["eur"]["reserved"] == 2_000
