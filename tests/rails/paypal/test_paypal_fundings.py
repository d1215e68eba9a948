"""Fundings and refunds at PayPal: two steps, lost answers, declines, and the fee."""

from dataclasses import replace
from datetime import timedelta

import pytest

from kernel.errors import RailTrouble
from rails.capabilities import check_amount
from rails.model import INSUFFICIENT_FUNDS, NOT_FOUND, NOT_NOW, OperationKind, RailOutcome
from rails.port import PaymentPageRail, StatementRail, StepwiseRail, WebhookRail
from rails.refusals import AmountNotPossible, CurrencyNotTaken
from tests.doubles.frame import Fault
from tests.doubles.paypal_double import contract
from tests.rails.paypal.stage import Stage

PENDING, DONE = RailOutcome.PENDING, RailOutcome.DONE
REFUSED, UNKNOWN = RailOutcome.REFUSED, RailOutcome.UNKNOWN


def test_paypal_is_a_rail_with_steps_pages_webhooks_and_a_statement(stage: Stage) -> None:
    """What PayPal can do is seen from the ports that its rail fills."""
    assert isinstance(stage.rail, StepwiseRail)
    assert isinstance(stage.rail, PaymentPageRail)
    assert isinstance(stage.rail, WebhookRail)
    assert isinstance(stage.rail, StatementRail)
    assert "secret" not in repr(stage.rail) + repr(stage.settings)


@pytest.mark.parametrize(
    ("minor", "currency", "fee_minor", "value"),
    [
        (10_000, "EUR", 398, "100.00"),
        (10_000, "JPY", 398, "10000"),
        (1_000_000, "HUF", 39_800, "10000"),
        (50_000, "TWD", 6_600, "500"),
    ],
)
def test_a_funding_is_captured_once_its_payer_said_yes(
    stage: Stage, minor: int, currency: str, fee_minor: int, value: str
) -> None:
    """An order is pending, has a page, and brings the amount less PayPal's fee when captured."""
    funding = stage.ordered(minor, currency)

    page = stage.rail.payment_page(funding)
    before = stage.go_on(funding)
    stage.double.state.approve(funding.rail_ref)
    seen = stage.read(funding)
    after = stage.go_on(funding)

    order = stage.double.state.orders[funding.rail_ref]
    assert order["purchase_units"][0]["amount"]["value"] == value
    assert page.url.endswith(funding.rail_ref)
    assert (before.outcome, seen.outcome, seen.code) == (PENDING, PENDING, "paypal.approved")
    assert (after.outcome, after.amount_minor, after.fee_minor) == (DONE, minor, fee_minor)
    assert after.rail_ref == funding.rail_ref
    assert after.transaction_ref in stage.double.state.captures
    assert stage.go_on(funding) == stage.read(funding) == after
    assert len(stage.double.state.captures) == 1
    with pytest.raises(RailTrouble):
        stage.rail.payment_page(funding)


def test_currencies_and_parts_that_paypal_does_not_take_are_refused_before() -> None:
    """Three decimals are not taken there; HUF and TWD are whole units; JPY is as it is."""
    check_amount("paypal", 12_345, currency="JPY")
    check_amount("paypal", 12_300, currency="HUF")

    with pytest.raises(CurrencyNotTaken):
        check_amount("paypal", 10_000, currency="KWD")
    for currency in ("HUF", "TWD"):
        with pytest.raises(AmountNotPossible):
            check_amount("paypal", 12_345, currency=currency)


def test_reading_has_no_effect_and_only_a_step_captures(stage: Stage) -> None:
    """`resolve` and a webhook leave an approved order as it is."""
    funding = stage.ordered(5_000, "EUR")
    stage.double.state.approve(funding.rail_ref)

    stage.read(funding)
    stage.double.deliveries.deliver()

    assert stage.double.state.captures == {}
    assert [each.code for each in stage.told_of(funding.id)] == ["paypal.approved"]


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.ERROR_AFTER])
def test_a_lost_answer_makes_no_second_order(stage: Stage, fault: Fault) -> None:
    """The same key within its time is answered with the order that was made."""
    operation = stage.operation(OperationKind.FUND, 10_000, "EUR")
    stage.double.faults.force(fault, path="/v2/checkout/orders")

    lost = stage.do(operation)
    read = stage.read(operation)
    again = stage.do(operation)

    assert (lost.outcome, lost.code) == (UNKNOWN, "")
    assert (read.outcome, read.code) == (UNKNOWN, NOT_FOUND)
    assert again.outcome is PENDING
    assert list(stage.double.state.orders) == [again.rail_ref]


def test_an_order_that_nobody_has_the_link_of_is_given_up_after_its_keys_time(stage: Stage) -> None:
    """After five hours a lost order is refused: nobody can have approved it."""
    operation = stage.operation(OperationKind.FUND, 10_000, "EUR")
    stage.double.faults.force(Fault.LOST_REPLY, path="/v2/checkout/orders")
    stage.do(operation)

    stage.wait(hours=5)

    result = stage.go_on(operation)
    assert (result.outcome, result.code) == (REFUSED, "paypal.order_lost")
    with pytest.raises(RailTrouble):
        stage.rail.payment_page(operation)


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.ERROR_AFTER])
def test_a_capture_whose_answer_was_lost_is_found_and_not_made_again(
    stage: Stage, fault: Fault
) -> None:
    """The step is taken again with its own key, or the order says that it is captured."""
    funding = stage.ordered(10_000, "EUR")
    stage.double.state.approve(funding.rail_ref)
    stage.double.faults.force(fault, path="/capture")

    lost = stage.go_on(funding)
    stage.wait(hours=7)
    found = stage.go_on(funding)

    assert lost.outcome is UNKNOWN
    assert (found.outcome, found.amount_minor) == (DONE, 10_000)
    assert len(stage.double.state.captures) == 1


def test_a_capture_by_two_at_once_is_one(stage: Stage) -> None:
    """A step that another took a moment ago is answered like his."""
    funding = stage.ordered(10_000, "EUR")
    stage.double.state.approve(funding.rail_ref)

    first = stage.rail._steps._capture(funding)
    second = stage.rail._steps._capture(funding)
    other_key = stage.rail._steps._capture(replace(funding, key_no=3))

    assert first == second == other_key
    assert len(stage.double.state.captures) == 1


@pytest.mark.parametrize("issue", ["INSTRUMENT_DECLINED", "PAYER_CANNOT_PAY"])
def test_a_declined_payment_is_refused_and_moves_nothing(stage: Stage, issue: str) -> None:
    """What PayPal says at the capture is the code of the refusal."""
    funding = stage.ordered(10_000, "EUR")
    stage.double.state.approve(funding.rail_ref, decline=issue)

    result = stage.go_on(funding)

    assert (result.outcome, result.code) == (REFUSED, f"paypal.{issue.lower()}")
    assert stage.double.state.balance == {}


def test_captures_that_wait_or_fail_are_no_money(stage: Stage) -> None:
    """A capture under review is pending until it is done; a declined one refuses the funding."""
    stage.double.state.capture_status = "PENDING"
    funding = stage.ordered(10_000, "EUR")
    stage.double.state.approve(funding.rail_ref)

    waiting = stage.go_on(funding)
    refund = stage.do(stage.refund(funding, 1_000))
    stage.double.state.complete(next(iter(stage.double.state.captures)))
    done = stage.read(funding)
    stage.double.state.capture_status = "DECLINED"
    other = stage.ordered(500, "EUR")
    stage.double.state.approve(other.rail_ref)

    assert (waiting.outcome, waiting.transaction_ref) == (PENDING, "")
    assert (refund.outcome, refund.code) == (REFUSED, "paypal.no_capture")
    assert (done.outcome, done.fee_minor) == (DONE, 398)
    assert stage.go_on(other).code == "paypal.declined"


def test_a_void_order_is_refused_and_one_that_is_gone_is_refused_a_week_later(stage: Stage) -> None:
    """What cannot be read stays unknown until it can no more be paid."""
    funding = stage.ordered(10_000, "EUR")
    stage.double.state.void(funding.rail_ref)

    void = stage.read(funding)
    del stage.double.state.orders[funding.rail_ref]
    gone = stage.read(funding)
    stage.wait(days=7)
    expired = stage.go_on(funding)

    assert (void.outcome, void.code) == (REFUSED, "paypal.voided")
    assert (gone.outcome, gone.code) == (UNKNOWN, "")
    assert (expired.outcome, expired.code) == (REFUSED, "paypal.order_expired")


def test_many_are_read_side_by_side_and_answered_in_their_order(stage: Stage) -> None:
    """Each answer is its own operation's, whoever came first."""
    fundings = [stage.ordered(1_000 + i, "EUR") for i in range(20)]
    for each in fundings[::2]:
        stage.double.state.approve(each.rail_ref)

    results = stage.rail.go_on(fundings, at=stage.now)

    assert [each.operation_id for each in results] == [each.id for each in fundings]
    assert [each.outcome for each in results] == [DONE, PENDING] * 10
    assert len(stage.double.state.captures) == 10


def test_too_many_requests_and_a_stranger_take_nothing_in(stage: Stage) -> None:
    """429 says when to come again; a key that is not known waits longer. Neighbours go on."""
    first = stage.operation(OperationKind.FUND, 10_000, "EUR")
    second = stage.operation(OperationKind.FUND, 20_000, "EUR")
    stage.double.faults.force(Fault.RATE_LIMIT, path="/v2/checkout/orders")

    limited, fine = stage.rail.execute([first, second], at=stage.now)
    stage.double.revoke_tokens()
    stage.double.token_lasts_s = 0
    strange = stage.do(first)

    assert (limited.outcome, limited.code) == (UNKNOWN, NOT_NOW)
    assert limited.retry_at == stage.now + timedelta(seconds=7)
    assert fine.outcome is PENDING
    assert (strange.code, strange.retry_at) == (NOT_NOW, stage.now + timedelta(minutes=5))
    assert len(stage.double.state.orders) == 1


def test_a_rail_that_cannot_be_reached_took_nothing_in(stage: Stage) -> None:
    """A connection that never stood is no lost answer."""
    operation = stage.operation(OperationKind.FUND, 10_000, "EUR")
    stage.double.frame.stop()

    result = stage.do(operation)

    assert (result.outcome, result.code) == (UNKNOWN, NOT_NOW)


def test_a_token_is_kept_until_shortly_before_its_end(stage: Stage) -> None:
    """One token serves many calls; one that ends at once is fetched anew; one revoked, again."""
    stage.ordered(10_000, "EUR")
    stage.ordered(10_000, "EUR")
    assert stage.double.tokens == 1

    stage.double.revoke_tokens()
    stage.ordered(10_000, "EUR")
    assert stage.double.tokens == 2

    stage.double.revoke_tokens()
    stage.double.token_lasts_s = 59
    stage.ordered(10_000, "EUR")
    stage.ordered(10_000, "EUR")
    assert stage.double.tokens == 4


@pytest.mark.parametrize(("minor", "part", "currency"), [(10_000, 2_500, "EUR"), (9_000, 1, "JPY")])
def test_refunds_go_back_in_parts_up_to_the_whole(
    stage: Stage, minor: int, part: int, currency: str
) -> None:
    """Each part is a refund of its own; what would be too much is refused."""
    funding, _ = stage.funded(minor, currency)
    stage.funded(minor, currency)

    first = stage.do(stage.refund(funding, part))
    rest = stage.do(stage.refund(funding, minor - part))
    more = stage.do(stage.refund(funding, 1))

    assert (first.outcome, first.amount_minor, first.fee_minor) == (DONE, part, 0)
    assert first.transaction_ref == first.rail_ref
    assert rest.outcome is DONE
    assert (more.outcome, more.code) == (REFUSED, "paypal.refund_amount_exceeded")


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.ERROR_AFTER, Fault.ERROR_BEFORE])
def test_a_refund_whose_answer_was_lost_is_found_in_its_order(stage: Stage, fault: Fault) -> None:
    """It is read by its custom id, and never made twice, not even with another key."""
    funding, _ = stage.funded(10_000, "EUR")
    refund = stage.refund(funding, 2_500)
    stage.double.faults.force(fault, path="/refund")

    lost = stage.do(refund)
    read = stage.read(refund)
    again = stage.do(refund)
    other_key = stage.do(replace(refund, key_no=1))

    is_made = fault is not Fault.ERROR_BEFORE
    assert lost.outcome is UNKNOWN
    assert (read.outcome, read.code) == ((DONE, "") if is_made else (UNKNOWN, NOT_FOUND))
    assert again.outcome is other_key.outcome is DONE
    assert len(stage.double.state.refunds) == 1


def test_a_refund_may_wait_fail_or_lack_funds(stage: Stage) -> None:
    """Pending becomes done or refused; a short balance is said by its own code."""
    funding, _ = stage.funded(10_000, "EUR")
    stage.double.state.refund_status = "PENDING"
    waits, fails = stage.refund(funding, 1_000), stage.refund(funding, 2_000)

    results = [stage.do(waits), stage.do(fails)]
    stage.double.state.settle_refund(results[0].rail_ref, "COMPLETED")
    stage.double.state.settle_refund(results[1].rail_ref, "FAILED")
    done, failed = (
        stage.read(replace(each, rail_ref=result.rail_ref))
        for each, result in zip((waits, fails), results, strict=True)
    )
    stage.double.state.balance["EUR"] -= 50
    short = stage.do(stage.refund(funding, 7_000))

    assert [each.outcome for each in results] == [PENDING, PENDING]
    assert (done.outcome, done.transaction_ref) == (DONE, results[0].rail_ref)
    assert (failed.outcome, failed.code) == (REFUSED, "paypal.refund_failed")
    assert (short.outcome, short.code) == (REFUSED, INSUFFICIENT_FUNDS)


def test_what_paypal_does_not_offer_is_refused_without_a_call(stage: Stage) -> None:
    """No transfers, no bank, and no refund of a payment that nobody names."""
    asked = len(stage.double.asked)
    kinds = (OperationKind.TRANSFER, OperationKind.BANK_TRANSFER, OperationKind.TOP_UP)

    results = [stage.do(stage.operation(kind, 100, "EUR")) for kind in kinds]
    refund = stage.do(stage.operation(OperationKind.REFUND, 100, "EUR"))

    assert {(each.outcome, each.code) for each in results} == {(REFUSED, "rail.not_offered")}
    assert (refund.outcome, refund.code) == (REFUSED, "paypal.no_funding_ref")
    assert len(stage.double.asked) == asked


def test_calls_and_answers_keep_to_paypals_own_specifications(stage: Stage) -> None:
    """Every call of these tests is checked; a wrong one would be told, as this one is."""
    if not contract.is_here():
        pytest.skip("PayPal's specifications are not in ../shared/data/paypal")
    bad = {
        "intent": "CAPTURE",
        "purchase_units": [{"amount": {"currency_code": "EUR", "value": 1}}],
    }

    answer = stage.rail._calls.post("/v2/checkout/orders", bad, key="k")

    assert answer.status == 400
    assert "1 is not of type 'string'" in stage.double.breaches.pop()
    assert stage.double.breaches == []
