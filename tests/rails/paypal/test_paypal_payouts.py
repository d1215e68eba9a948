"""Payouts by PayPal, its webhooks, and its statement against what the double holds."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from kernel.errors import RailTrouble
from rails.model import (
    INSUFFICIENT_FUNDS,
    NOT_FOUND,
    PAYOUT_RETURNED,
    PAYOUT_UNCLAIMED,
    RailOperation,
    RailOutcome,
    RailResult,
)
from rails.model_events import Authentic, RailTransaction, TransactionKind
from rails.refusals import BadSignature
from tests.doubles.frame import Fault, Order
from tests.doubles.paypal_double import signing
from tests.doubles.paypal_double.double import WEBHOOK_ID
from tests.rails.paypal.stage import Stage

PENDING, DONE = RailOutcome.PENDING, RailOutcome.DONE
REFUSED, UNKNOWN = RailOutcome.REFUSED, RailOutcome.UNKNOWN


def sent(stage: Stage, minor: int, *, to: str, currency: str = "EUR") -> RailOperation:
    payout = stage.payout(minor, currency, to=to)
    result = stage.do(payout)
    assert (result.outcome, result.has_left) == (PENDING, False)
    return replace(payout, rail_ref=result.rail_ref)


def after(stage: Stage, payout: RailOperation, **how_long: float) -> RailResult:
    stage.wait(**how_long)
    return stage.read(payout)


@pytest.mark.parametrize(("minor", "currency"), [(3_000, "EUR"), (3_000, "JPY")])
def test_a_payout_arrives(stage: Stage, minor: int, currency: str) -> None:
    """It is a batch of one with our id, pending first and then done."""
    stage.funded(10_000, currency)
    payout = sent(stage, minor, to="payee@shop.test", currency=currency)

    done = after(stage, payout, minutes=2)

    batch = stage.double.state.batches[payout.rail_ref]
    assert batch["sender_batch_id"] == str(payout.id)
    assert (done.outcome, done.amount_minor, done.currency) == (DONE, minor, currency)
    assert done.transaction_ref


@pytest.mark.parametrize(
    ("to", "outcome", "code", "has_left"),
    [
        ("unclaimed@shop.test", PENDING, PAYOUT_UNCLAIMED, True),
        ("onhold@shop.test", PENDING, "", False),
        ("failed@shop.test", REFUSED, "paypal.failed", False),
        ("blocked@shop.test", REFUSED, "paypal.blocked", False),
    ],
)
def test_each_state_of_a_payout_is_told(
    stage: Stage, to: str, outcome: RailOutcome, code: str, *, has_left: bool
) -> None:
    """Only what its payee has not claimed has left our balance without having arrived."""
    stage.funded(10_000, "EUR")
    payout = sent(stage, 3_000, to=to)

    result = after(stage, payout, minutes=2)
    stage.double.deliveries.deliver()

    assert (result.outcome, result.code, result.has_left) == (outcome, code, has_left)
    told = stage.told_of(payout.id)
    assert {(e.outcome, e.code, e.has_left) for e in told} == {(outcome, code, has_left)}


def test_an_unclaimed_payout_comes_back_after_thirty_days_or_is_claimed(stage: Stage) -> None:
    """What comes back is refused as returned; what is claimed is done."""
    stage.funded(10_000, "EUR")
    returned = sent(stage, 3_000, to="returned@shop.test")
    claimed = sent(stage, 2_000, to="unclaimed@shop.test")
    assert after(stage, returned, minutes=2).code == PAYOUT_UNCLAIMED

    item_id = stage.double.state.batches[claimed.rail_ref]["items"][0]
    stage.double.state.set_item(item_id, "SUCCESS")
    back = after(stage, returned, days=31)

    assert (back.outcome, back.code) == (REFUSED, PAYOUT_RETURNED)
    assert stage.read(claimed).outcome is DONE
    assert stage.double.state.balance["EUR"] == Decimal("75.02")  # 96.02 - 0.60 - 0.40 - 20.00


def test_a_batch_without_funds_is_refused_by_its_own_code(stage: Stage) -> None:
    """The balance was short, and the payee's account is not to blame."""
    payout = sent(stage, 3_000, to="payee@shop.test")

    result = after(stage, payout, minutes=2)

    assert (result.outcome, result.code) == (REFUSED, INSUFFICIENT_FUNDS)


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.ERROR_AFTER])
@pytest.mark.parametrize("hours", [0, 24 * 20])
def test_a_payout_whose_answer_was_lost_is_one_batch(
    stage: Stage, fault: Fault, hours: int
) -> None:
    """The batch id is ours and lives for thirty days: the next step finds what was made."""
    stage.funded(10_000, "EUR")
    payout = stage.payout(3_000, "EUR")
    stage.double.faults.force(fault, path="/v1/payments/payouts")

    lost = stage.do(payout)
    read = stage.read(payout)
    stage.wait(hours=hours)
    found = stage.go_on(payout)
    other_key = stage.rail._calls.post(
        "/v1/payments/payouts",
        {
            "sender_batch_header": {"sender_batch_id": payout.key},
            "items": [
                {"receiver": "a@b.test", "amount": {"currency": "EUR", "value": "30.00"}},
            ],
        },
        key="another",
    )

    assert lost.outcome is UNKNOWN
    assert (read.outcome, read.code) == (UNKNOWN, NOT_FOUND)
    assert found.outcome is not UNKNOWN
    assert other_key.status == 400
    assert len(stage.double.state.batches) == 1


def test_a_batch_that_is_there_is_read_by_the_link_to_it(stage: Stage) -> None:
    """Where the key is forgotten, the refusal of a second batch names the first."""
    stage.funded(10_000, "EUR")
    payout = stage.payout(3_000, "EUR")
    stage.double.faults.force(Fault.LOST_REPLY, path="/v1/payments/payouts")
    stage.do(payout)
    stage.double._kept.clear()
    stage.wait(minutes=2)

    found = stage.go_on(payout)

    assert (found.outcome, len(stage.double.state.batches)) == (DONE, 1)


def test_a_lost_payout_is_left_alone_once_its_batch_id_may_be_forgotten(stage: Stage) -> None:
    """After 29 days it stays unknown: to send it again might pay twice."""
    payout = stage.payout(3_000, "EUR")
    stage.double.faults.force(Fault.ERROR_BEFORE, path="/v1/payments/payouts")
    stage.do(payout)

    stage.wait(days=29)

    assert stage.go_on(payout).outcome is UNKNOWN
    assert stage.double.state.batches == {}


# Webhooks


def test_webhooks_come_twice_in_any_order_or_never_and_say_the_same(stage: Stage) -> None:
    """What is true is fetched: the last word on each is its truth, named once."""
    stage.double.deliveries.duplicate = 1.0
    stage.double.deliveries.order = Order.REVERSE
    funding, result = stage.funded(10_000, "EUR")
    payout = sent(stage, 3_000, to="returned@shop.test")
    stage.wait(days=31)

    stage.double.deliveries.deliver()

    fundings = {each.notice_id: each for each in stage.told_of(funding.id)}
    payouts = {each.notice_id: each for each in stage.told_of(payout.id)}
    assert [(each.outcome, each.transaction_ref) for each in fundings.values()] == [
        (DONE, result.transaction_ref)
    ]
    assert [(each.outcome, each.code) for each in payouts.values()] == [(REFUSED, PAYOUT_RETURNED)]
    assert set(stage.answered) == {200}
    asked = [path for _, path in stage.double.asked if "/certs/" in path]
    assert len(asked) == 1


def test_dropped_webhooks_are_found_by_listing(stage: Stage) -> None:
    """PayPal lists its events for thirty days; they are as good as its API."""
    stage.double.deliveries.drop = 1.0
    funding, _ = stage.funded(10_000, "EUR")
    refund = stage.refund(funding, 2_500)
    stage.do(refund)

    events, position = stage.rail.list_events(after="", limit=100, at=stage.now)
    notices = [n for e in events for n in stage.rail.read_event(e, at=stage.now)]

    assert [event.kind for event in events] == [
        "CHECKOUT.ORDER.APPROVED",
        "PAYMENT.CAPTURE.COMPLETED",
        "PAYMENT.CAPTURE.REFUNDED",
    ]
    assert {event.authentic for event in events} == {Authentic.API}
    assert {each.operation_id for each in notices} == {funding.id, refund.id}
    assert {each.rail_ref for each in notices if each.operation_id == funding.id} == {
        funding.rail_ref
    }
    assert position == (stage.now - timedelta(hours=1)).isoformat()


def test_events_of_many_days_are_listed_oldest_first_and_none_is_left_out(stage: Stage) -> None:
    """PayPal lists the newest first and by pages; we give them in their order, page by page."""
    stage.double.event_page = 2
    for _ in range(4):
        stage.funded(1_000, "EUR")
        stage.wait(days=1, hours=6)

    position, listed = "", []
    for _ in range(20):
        events, following = stage.rail.list_events(after=position, limit=3, at=stage.now)
        listed += [event.event_id for event in events]
        if following == position or len(events) < 3:
            break
        position = following

    assert list(dict.fromkeys(listed)) == [event["id"] for event in stage.double.events]
    assert len(stage.double.events) == 8


def test_an_event_about_strangers_or_nothing_is_passed_over(stage: Stage) -> None:
    """Objects of other programs at the same account, and kinds that we do not look at."""
    funding = stage.ordered(10_000, "EUR")
    stage.double.state.orders[funding.rail_ref]["purchase_units"][0]["custom_id"] = "shop-17"
    stage.double.state.approve(funding.rail_ref)
    stage.double._tell("CUSTOMER.DISPUTE.CREATED", "dispute", {"dispute_id": "PP-D-1"})
    stage.double._tell("PAYMENT.CAPTURE.COMPLETED", "capture", {"id": "3C999999999999999"})

    stage.double.deliveries.deliver()

    assert (stage.answered, stage.heard) == ([200, 200, 200], [])


def signed(stage: Stage, body: bytes = b"{}", **changed: str) -> dict[str, str]:
    url = stage.double.frame.url
    headers = dict(
        signing.headers_for(
            body,
            sent_at=stage.now,
            cert_url=f"{url}/v1/notifications/certs/CERT-1",
            webhook_id=WEBHOOK_ID,
            transmission_id="t-1",
        )
    )
    return headers | {f"paypal-{name.replace('_', '-')}": text for name, text in changed.items()}


EVENT = json.dumps(
    {
        "id": "WH-1",
        "event_type": "PAYMENT.CAPTURE.COMPLETED",
        "resource": {"id": "3C1", "payer": {"email_address": "jane@shop.test"}},
    }
).encode()


def test_a_webhook_that_was_touched_or_is_not_from_paypal_is_refused(stage: Stage) -> None:
    """Body, time, signature, algorithm and certificate each must hold."""
    good = signed(stage, EVENT)
    bad = {
        "body": (EVENT + b" ", good),
        "no headers": (EVENT, {}),
        "signature": (EVENT, signed(stage, EVENT, transmission_sig="%%")),
        "id": (EVENT, signed(stage, EVENT, transmission_id="t-2")),
        "algorithm": (EVENT, signed(stage, EVENT, auth_algo="SHA1withRSA")),
        "host": (
            EVENT,
            signed(stage, EVENT, cert_url="https://evil.test/v1/notifications/certs/1"),
        ),
        "suffix": (
            EVENT,
            signed(stage, EVENT, cert_url="https://evilpaypal.com/v1/notifications/certs/1"),
        ),
        "plain": (
            EVENT,
            signed(stage, EVENT, cert_url="http://api.paypal.com/v1/notifications/certs/1"),
        ),
        "path": (EVENT, signed(stage, EVENT, cert_url="https://api.paypal.com/redirect?to=x")),
    }

    (event,) = stage.rail.open_event(EVENT, good, endpoint="platform", at=stage.now)
    assert b"jane@shop.test" in EVENT
    assert b"jane" not in event.body
    assert (event.event_id, event.object_ref, event.authentic, event.is_live) == (
        "WH-1", "3C1", Authentic.SIGNATURE, False
    )  # fmt: skip
    for body, headers in bad.values():
        with pytest.raises(BadSignature):
            stage.rail.open_event(body, headers, endpoint="platform", at=stage.now)
    for gone in (timedelta(days=5), -timedelta(hours=1)):
        with pytest.raises(BadSignature):
            stage.rail.open_event(EVENT, good, endpoint="platform", at=stage.now + gone)


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        (lambda: signing.chain("evil.test"), "certificate of someone else"),
        (lambda: signing.chain(until_year=2025), "certificate is not valid now"),
        (lambda: signing.chain(issuer_key="stranger"), "broken chain of certificates"),
        (lambda: b"no certificate", "unreadable certificate"),
    ],
)
def test_a_certificate_must_be_paypals_in_time_and_of_one_chain(
    stage: Stage, pem: Callable[[], bytes], why: str
) -> None:
    """What a trusted host serves is looked at all the same."""
    stage.double.certificate = pem()

    with pytest.raises(BadSignature) as refused:
        stage.rail.open_event(EVENT, signed(stage, EVENT), endpoint="platform", at=stage.now)

    assert refused.value.facts["why"] == why


def test_strangers_cannot_send_us_about_for_certificates(stage: Stage) -> None:
    """Ten new addresses in a minute, then they are refused; a host that is away is trouble."""
    url = stage.double.frame.url
    stage.double.certificate = b""
    for number in range(10):
        headers = signed(stage, EVENT, cert_url=f"{url}/v1/notifications/certs/{number}")
        with pytest.raises(BadSignature, match="unreadable"):
            stage.rail.open_event(EVENT, headers, endpoint="platform", at=stage.now)

    with pytest.raises(BadSignature, match="too many"):
        stage.rail.open_event(EVENT, signed(stage, EVENT), endpoint="platform", at=stage.now)
    stage.wait(minutes=2)
    with pytest.raises(RailTrouble):
        stage.rail.open_event(
            EVENT,
            signed(stage, EVENT, cert_url=f"{url}/elsewhere/1"),
            endpoint="platform",
            at=stage.now,
        )


# The statement


def listed(stage: Stage, position: str) -> tuple[dict[str, RailTransaction], str]:
    lines: dict[str, RailTransaction] = {}
    is_last = False
    while not is_last:
        page = stage.rail.transactions(after=position, limit=2, at=stage.now)
        lines |= {each.transaction_ref: each for each in page.transactions}
        position, is_last = page.position, page.is_last
    return lines, position


def test_the_statement_sums_to_what_paypal_holds_page_by_page(stage: Stage) -> None:
    """Each movement is a line of its kind; lines listed twice are the same; all add up."""
    funding, result = stage.funded(10_000, "EUR")
    stage.do(stage.refund(funding, 2_500))
    stage.funded(50_000, "JPY")
    sent(stage, 3_000, to="returned@shop.test")
    stage.wait(hours=1)
    first, position = listed(stage, "")

    stage.wait(hours=20)
    again, position = listed(stage, position)
    stage.wait(days=70)
    late, _ = listed(stage, position)

    lines = first | late
    held = {each.currency: each.amount_minor for each in stage.rail.balances(at=stage.now)}
    summed = dict.fromkeys(held, 0)
    for line in lines.values():
        summed[line.currency] += line.net_minor
    assert summed == held == {"EUR": 7_042, "JPY": 48_206}
    assert lines[result.transaction_ref].operation_id == funding.id
    assert again == first
    assert sorted(line.kind for line in lines.values()) == [
        TransactionKind.FEE,
        TransactionKind.FUNDING,
        TransactionKind.FUNDING,
        TransactionKind.PAYOUT,
        TransactionKind.PAYOUT_BACK,
        TransactionKind.REFUND,
    ]


def test_webhooks_of_the_double_are_json_that_names_its_object(stage: Stage) -> None:
    """The double sends what PayPal sends: an id, a type and a resource."""
    stage.funded(10_000, "EUR")

    bodies = [json.loads(message.body) for message in stage.double.deliveries.waiting]

    assert [body["event_type"] for body in bodies] == [
        "CHECKOUT.ORDER.APPROVED",
        "PAYMENT.CAPTURE.COMPLETED",
    ]
    assert all(body["resource"]["id"] and body["id"] for body in bodies)
