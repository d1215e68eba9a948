"""Money at Stripe, through the real package and over HTTP: what each operation comes to."""

import pytest

from rails.model import (
    INSUFFICIENT_FUNDS,
    NOT_FOUND,
    NOT_NOW,
    PAYOUT_RETURNED,
    OperationKind,
    RailOutcome,
)
from rails.port import PayeeRail, PaymentPageRail, StatementRail, WebhookRail
from tests.rails.stripe.builders import Stage
from tests.rails.stripe.fixtures import stage, stripe_double

__all__ = ["stage", "stripe_double"]


@pytest.mark.parametrize(
    ("amount_minor", "currency", "sent"),
    [(10_300, "EUR", 10_300), (5_000, "JPY", 5_000), (12_340, "KWD", 12_340), (900, "ISK", 90_000)],
)
def test_a_payment_is_done_by_its_balance_transaction(
    stage: Stage, amount_minor: int, currency: str, sent: int
) -> None:
    """What came and what it cost are the transaction's, in the currency's own minor units."""
    operation, result = stage.fund(amount_minor, currency)

    payment = stage.rail.wire.payment(result.rail_ref)
    moved = payment["latest_charge"]["balance_transaction"]
    assert payment["amount"] == sent
    assert (result.outcome, result.cleared) == (RailOutcome.DONE, True)
    assert (result.amount_minor, result.currency) == (amount_minor, currency)
    assert result.transaction_ref == moved["id"]
    assert 0 < result.fee_minor < amount_minor
    assert stage.ask(operation) == result


def test_a_payer_pays_in_the_browser(stage: Stage) -> None:
    """A payment without a stored method waits, gives its secret to the page, and is told later."""
    operation, result = stage.fund(method="card")
    page = stage.rail.payment_page(operation)

    assert (result.outcome, result.transaction_ref) == (RailOutcome.PENDING, "")
    assert page.client_secret.startswith(result.rail_ref)
    stage.double.pay(result.rail_ref)
    told = stage.told(operation.id)
    assert told[-1].outcome is RailOutcome.DONE
    assert stage.rail.payment_page(operation).client_secret == ""


def test_a_payer_may_try_another_card_in_the_browser(stage: Stage) -> None:
    """A declined card on the page leaves the payment open: only its end is told."""
    operation, result = stage.fund(method="")
    stage.double.pay(result.rail_ref, "pm_card_chargeDeclined")

    assert stage.ask(operation).outcome is RailOutcome.PENDING
    stage.double.pay(result.rail_ref)
    assert stage.ask(operation).outcome is RailOutcome.DONE


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("pm_card_chargeDeclined", "card.declined"),
        ("pm_card_chargeDeclinedExpiredCard", "card.expired"),
        ("pm_card_chargeDeclinedProcessingError", "stripe.processing_error"),
        ("pm_card_threeDSecure2Required", "card.authentication_required"),
    ],
)
def test_a_stored_card_that_is_declined_is_refused(stage: Stage, method: str, code: str) -> None:
    """The code is stable and ours; a read says the same as the call did."""
    operation, result = stage.fund(method=method)

    assert (result.outcome, result.code) == (RailOutcome.REFUSED, code)
    assert result.rail_ref.startswith("pi_")
    asked = stage.ask(operation)
    assert (asked.outcome, asked.code) == (RailOutcome.REFUSED, code)


def test_a_payment_that_stripe_exchanged_is_never_taken_for_ours(stage: Stage) -> None:
    """The money that came stands under its own currency: the books refuse it, people look."""
    stage.double.settle("usd", "eur", "0.9")
    operation, result = stage.fund(10_000, "USD")

    assert (result.amount_minor, result.currency) == (9_000, "EUR")
    assert stage.ask(operation).currency == "EUR"
    (line,) = stage.rail.transactions(after="", limit=10, at=stage.now).transactions
    assert (line.currency, line.amount_minor, line.rate_text) == ("EUR", 9_000, "0.9")


def test_a_bank_may_ask_the_payer(stage: Stage) -> None:
    """A payment that wants the payer's own word waits for it, and its page stands open."""
    operation, result = stage.fund(method="")
    stage.double.pay(result.rail_ref, "pm_card_authenticationRequired")

    assert stage.ask(operation).outcome is RailOutcome.PENDING
    assert stage.rail.payment_page(operation).url
    stage.double.authenticate(result.rail_ref)
    assert stage.ask(operation).outcome is RailOutcome.DONE


def test_a_debit_clears_when_its_money_is_available(stage: Stage) -> None:
    """A bank debit is pending, then done but uncleared, then cleared; each is told once."""
    operation, result = stage.fund(method="pm_success_de")
    assert result.outcome is RailOutcome.PENDING

    stage.double.advance(days=4)
    paid = stage.ask(operation)
    stage.double.advance(days=3)
    cleared = stage.ask(operation)

    assert (paid.outcome, paid.cleared) == (RailOutcome.DONE, False)
    assert (cleared.outcome, cleared.cleared) == (RailOutcome.DONE, True)
    assert paid.transaction_ref == cleared.transaction_ref


def test_a_debit_that_comes_back_is_refused_after_it_was_done(stage: Stage) -> None:
    """The payer's bank takes a debit back: refused, by the transaction that took it."""
    operation, _ = stage.fund(method="pm_success_de")
    stage.double.advance(days=7)
    done = stage.ask(operation)
    charge = stage.rail.wire.payment(done.rail_ref)["latest_charge"]["id"]
    stage.hear()
    stage.double.fail_late(charge)

    told = stage.told(operation.id)

    assert [(n.outcome, n.code) for n in told] == [(RailOutcome.REFUSED, "debit.returned")]
    assert told[0].amount_minor == operation.amount_minor
    assert told[0].transaction_ref not in {"", done.transaction_ref}


def test_an_authorisation_is_captured_in_part(stage: Stage) -> None:
    """What a part of a hold brings is the sum of its two transactions, with one fee."""
    operation, held = stage.fund(20_000, hold=True)
    capture = stage.operation(OperationKind.CAPTURE, 12_000, funding_id=str(operation.id))
    captured = stage.do(capture)
    funded = stage.ask(operation)

    assert (held.outcome, held.transaction_ref) == (RailOutcome.PENDING, "")
    assert (captured.outcome, captured.transaction_ref) == (RailOutcome.DONE, "")
    assert captured.amount_minor == 12_000
    assert (funded.outcome, funded.amount_minor) == (RailOutcome.DONE, 12_000)
    assert stage.ask(capture).outcome is RailOutcome.DONE


def test_an_authorisation_that_expired_is_refused(stage: Stage) -> None:
    """After eight days nothing is held any more: the payment is refused, and so is its capture."""
    operation, _ = stage.fund(hold=True)
    stage.double.advance(days=8)

    told = stage.told(operation.id)
    captured = stage.do(
        stage.operation(OperationKind.CAPTURE, 10_300, funding_id=str(operation.id))
    )

    assert (told[-1].outcome, told[-1].code) == (RailOutcome.REFUSED, "funding.expired")
    assert captured.outcome is RailOutcome.REFUSED


def test_an_authorisation_is_given_back(stage: Stage) -> None:
    """A cancellation is done once; the payment it ends is refused; a paid one is not cancelled."""
    held, _ = stage.fund(hold=True)
    paid, _ = stage.fund()
    cancel = stage.operation(OperationKind.CANCEL, 10_300, funding_id=str(held.id))

    assert stage.ask(cancel).code == NOT_FOUND
    assert stage.do(cancel).outcome is RailOutcome.DONE
    assert stage.do(cancel).outcome is RailOutcome.DONE
    assert stage.ask(held).code == "funding.cancelled"
    never, _ = stage.fund(method="")
    closed = stage.do(stage.operation(OperationKind.CANCEL, 0, funding_id=str(never.id)))
    assert (closed.outcome, stage.ask(never).outcome) == (RailOutcome.DONE, RailOutcome.REFUSED)
    late = stage.do(stage.operation(OperationKind.CANCEL, 10_300, funding_id=str(paid.id)))
    assert (late.outcome, late.code) == (RailOutcome.REFUSED, "funding.already_paid")


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
def test_a_refund_goes_back_by_its_transaction(stage: Stage, currency: str) -> None:
    """A part of a payment goes back; the refund names its own transaction."""
    funding, _ = stage.fund(20_000, currency)
    stage.double.advance(days=3)
    refund = stage.operation(
        OperationKind.REFUND, 5_000, currency=currency, funding_id=str(funding.id)
    )

    result = stage.do(refund)

    assert (result.outcome, result.amount_minor) == (RailOutcome.DONE, 5_000)
    assert result.transaction_ref.startswith("txn_")
    assert stage.ask(refund) == result


def test_a_refund_waits_for_available_money(stage: Stage) -> None:
    """A refund without available money is pending, not paid, until Stripe has the money."""
    funding, _ = stage.fund(20_000)
    refund = stage.operation(OperationKind.REFUND, 5_000, funding_id=str(funding.id))

    waiting = stage.do(refund)
    stage.hear()
    stage.double.advance(days=3)
    told = stage.told(refund.id)

    assert (waiting.outcome, waiting.transaction_ref) == (RailOutcome.PENDING, "")
    assert told[-1].outcome is RailOutcome.DONE


def test_a_refund_that_bounces_is_refused_after_it_was_done(stage: Stage) -> None:
    """The card is closed: the money comes back, and the refund is refused by that transaction."""
    funding, _ = stage.fund(20_000, method="pm_card_refundFail")
    stage.double.advance(days=3)
    refund = stage.operation(OperationKind.REFUND, 5_000, funding_id=str(funding.id))
    done = stage.do(refund)
    stage.hear()
    stage.double.advance(days=2)

    told = stage.told(refund.id)

    assert done.outcome is RailOutcome.DONE
    assert {(n.outcome, n.code) for n in told} == {(RailOutcome.REFUSED, "refund.bounced")}
    assert told[0].transaction_ref not in {"", done.transaction_ref}


def test_a_refund_of_a_payment_that_stripe_never_had_is_refused(stage: Stage) -> None:
    """A payment by another rail cannot be refunded here; nothing is written at Stripe."""
    unknown = stage.operation(OperationKind.FUND)
    refund = stage.operation(OperationKind.REFUND, 5_000, funding_id=str(unknown.id))

    assert stage.ask(refund).code == NOT_FOUND
    result = stage.do(refund)
    assert (result.outcome, result.code) == (RailOutcome.REFUSED, "rail.unknown_payment")


def test_a_transfer_of_one_payment_goes_before_it_settles(stage: Stage) -> None:
    """The charge, never the payment intent, is the source; the link caps what goes out of it."""
    account = stage.payee()
    funding, paid = stage.fund()
    transfer = stage.transfer(account, charge_of=str(funding.id))

    result = stage.do(transfer)

    charge = stage.rail.wire.payment(paid.rail_ref)["latest_charge"]["id"]
    sent = stage.rail.wire.transfer(result.rail_ref)
    assert result.outcome is RailOutcome.DONE
    assert sent["source_transaction"] == charge
    assert result.transaction_ref == sent["balance_transaction"]["id"]
    assert stage.ask(transfer) == result
    beyond = stage.do(stage.transfer(account, 6_000, charge_of=str(funding.id)))
    assert (beyond.outcome, beyond.code) == (
        RailOutcome.REFUSED,
        "stripe.charge_exceeds_source_limit",
    )


def test_a_transfer_waits_for_settlement(stage: Stage) -> None:
    """A release before settlement is not sent: the same operation, with its key, goes later."""
    account = stage.payee()
    stage.fund()
    transfer = stage.transfer(account)

    early = stage.do(transfer)
    assert (early.outcome, early.code) == (RailOutcome.UNKNOWN, NOT_NOW)
    assert early.retry_at is not None
    assert early.retry_at > stage.now
    assert stage.ask(transfer).code == NOT_FOUND
    stage.double.advance(days=3)
    assert stage.do(transfer).outcome is RailOutcome.DONE


def test_a_batch_of_transfers_spends_what_is_there_once(stage: Stage) -> None:
    """The second of two transfers that together are too much waits."""
    account = stage.payee()
    stage.fund(10_000)
    stage.double.advance(days=3)
    transfers = [stage.transfer(account, 6_000), stage.transfer(account, 6_000)]

    results = stage.rail.execute(transfers, at=stage.now)

    assert [(each.outcome, each.code) for each in results] == [
        (RailOutcome.DONE, ""),
        (RailOutcome.UNKNOWN, NOT_NOW),
    ]


def test_a_transfer_comes_home(stage: Stage) -> None:
    """A reversal takes back what is at a payee's account; more than is there is refused."""
    account = stage.payee()
    stage.fund(20_000)
    stage.double.advance(days=3)
    transfer = stage.transfer(account, 8_000)
    stage.do(transfer)
    facts = {
        "transfer": str(transfer.id),
        "source": f"stripe:{account}",
        "target": "stripe",
    }
    back = stage.operation(OperationKind.TRANSFER_BACK, 8_000, **facts)

    assert stage.ask(back).code == NOT_FOUND
    result = stage.do(back)

    assert result.outcome is RailOutcome.DONE
    assert result.transaction_ref.startswith("txn_")
    assert stage.ask(back) == result
    again = stage.do(stage.operation(OperationKind.TRANSFER_BACK, 1_000, **facts))
    assert again.outcome is RailOutcome.REFUSED


def test_a_reversal_without_money_there_is_refused(stage: Stage) -> None:
    """What the payee was paid already does not come home: the refusal says so by its code."""
    account = stage.payee()
    stage.fund(20_000)
    stage.double.advance(days=3)
    transfer = stage.transfer(account, 8_000)
    stage.do(transfer, stage.payout(account, 8_000))
    back = stage.operation(
        OperationKind.TRANSFER_BACK,
        8_000,
        transfer=str(transfer.id),
        source=f"stripe:{account}",
        target="stripe",
    )

    result = stage.do(back)

    assert (result.outcome, result.code) == (RailOutcome.REFUSED, INSUFFICIENT_FUNDS)


@pytest.mark.parametrize(
    ("amount_minor", "currency"), [(5_000, "EUR"), (5_000, "JPY"), (5_000, "KWD")]
)
def test_a_payout_leaves_then_arrives(stage: Stage, amount_minor: int, currency: str) -> None:
    """A payout has left with its transaction, and is done when the bank has it."""
    account = stage.funded_payee(amount_minor, currency)
    payout = stage.payout(account, amount_minor, currency)

    left = stage.do(payout)
    stage.hear()
    stage.double.advance(days=4)
    told = stage.told(payout.id)

    assert (left.outcome, left.has_left) == (RailOutcome.PENDING, True)
    assert left.transaction_ref.startswith("txn_")
    assert (told[-1].outcome, told[-1].transaction_ref) == (RailOutcome.DONE, left.transaction_ref)
    assert stage.ask(payout).outcome is RailOutcome.DONE


def test_a_payout_waits_for_pending_money(stage: Stage) -> None:
    """Money that is pending at the payee's account is never paid out into a failure."""
    account = stage.payee()
    funding, _ = stage.fund()
    stage.do(stage.transfer(account, charge_of=str(funding.id)))
    payout = stage.payout(account)

    early = stage.do(payout)
    assert (early.outcome, early.code) == (RailOutcome.UNKNOWN, NOT_NOW)
    assert not [call for call in stage.double.door.calls if call == ("POST", "/v1/payouts")]
    stage.double.advance(days=3)
    assert stage.do(payout).outcome is RailOutcome.PENDING


@pytest.mark.parametrize("bank", ["account_closed", "fail_after_paid"])
def test_a_payout_that_fails_comes_back(stage: Stage, bank: str) -> None:
    """A payout that left comes back as returned, whether it was called paid before or not."""
    account = stage.funded_payee()
    stage.double.bank(account, does=bank)
    payout = stage.payout(account)
    left = stage.do(payout)
    stage.hear()
    stage.double.advance(days=10)

    told = stage.told(payout.id)

    assert (told[-1].outcome, told[-1].code) == (RailOutcome.REFUSED, PAYOUT_RETURNED)
    assert told[-1].fee_minor == 0
    assert told[-1].transaction_ref not in {"", left.transaction_ref}
    asked = stage.ask(payout)
    assert (asked.outcome, asked.code) == (RailOutcome.REFUSED, PAYOUT_RETURNED)


def test_money_goes_to_our_bank_and_comes_from_it(stage: Stage) -> None:
    """A platform payout and a top-up move our own balance; every other way is not offered."""
    stage.fund(20_000)
    stage.double.advance(days=3)
    land = stage.operation(
        OperationKind.BANK_TRANSFER, 5_000, source="processor_available", target="custody_bank"
    )
    lift = stage.operation(
        OperationKind.BANK_TRANSFER, 3_000, source="custody_bank", target="processor_available"
    )
    odd = stage.operation(
        OperationKind.BANK_TRANSFER, 1_000, source="custody_bank", target="platform_bank"
    )

    results = stage.rail.execute([land, lift, odd], at=stage.now)
    stage.double.advance(days=4)
    later = stage.rail.resolve([land, lift], at=stage.now)

    assert [each.outcome for each in results[:2]] == [RailOutcome.PENDING] * 2
    assert results[0].has_left
    assert (results[2].outcome, results[2].code) == (RailOutcome.REFUSED, "rail.not_offered")
    assert [each.outcome for each in later] == [RailOutcome.DONE] * 2
    assert all(each.transaction_ref for each in later)


def test_more_than_stripe_can_say_is_refused_before_it_is_sent(stage: Stage) -> None:
    """An amount between Stripe's steps is refused with our code; Stripe hears nothing of it."""
    _, result = stage.fund(10_301, "KWD")

    assert (result.outcome, result.code) == (RailOutcome.REFUSED, "rail.amount_not_possible")
    assert not stage.double.door.calls


def test_our_own_balance_is_paid_out_on_our_word_only(stage: Stage) -> None:
    """Stripe pays platforms out by itself, until it is told not to; once is enough."""
    assert not stage.rail.wire.is_manual()
    assert [stage.rail.prepare(), stage.rail.prepare()] == [True, False]
    assert stage.rail.wire.is_manual()


def test_the_rail_is_all_that_its_port_asks_for(stage: Stage) -> None:
    """Webhooks, a statement, a payment page and payees' accounts; no notices of its own."""
    for port in (WebhookRail, StatementRail, PaymentPageRail, PayeeRail):
        assert isinstance(stage.rail, port)
    assert stage.rail.name == stage.rail.capabilities.rail_account == "stripe"
    assert stage.rail.notices(after="7", limit=10, at=stage.now).position == "7"
    assert stage.rail.log(after=0, limit=10, at=stage.now) == []


def test_a_payee_below_zero_is_sent_nothing(stage: Stage) -> None:
    """An account in debt would swallow the transfer: it waits."""
    account = stage.funded_payee()
    stage.fund(20_000)
    stage.double.advance(days=3)
    with stage.double.frame.lock:
        stage.double.world.post(
            account,
            kind="adjustment",
            category="other_adjustment",
            amount=-9_000,
            currency="eur",
            source=None,
        )

    result = stage.do(stage.transfer(account))

    assert (result.outcome, result.code) == (RailOutcome.UNKNOWN, NOT_NOW)
