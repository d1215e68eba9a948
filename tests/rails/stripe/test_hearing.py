"""Stripe's webhooks: verified, fetched anew, and told as what is true; chargebacks and payees."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from kernel.errors import Broken, RailTrouble
from rails.model import (
    CHARGEBACK_CHANGED,
    CHARGEBACK_FUNDS,
    PAYEE_CHANGED,
    OperationKind,
    RailOutcome,
)
from rails.model_events import Authentic, RailEvent
from rails.refusals import BadEvent, BadSignature
from rails.stripe.hearing import family_of
from rails.stripe.service import StripeRail
from tests.doubles.frame import Fault
from tests.doubles.stripe_double.double import CONNECT_SECRET, PLATFORM_SECRET
from tests.rails.stripe.builders import Stage, settings
from tests.rails.stripe.fixtures import stage, stripe_double

__all__ = ["stage", "stripe_double"]


def _signed(body: bytes, at: datetime, secret: str = PLATFORM_SECRET) -> dict[str, str]:
    header = stripe.WebhookSignature.generate_signature_header(
        body.decode(), secret, timestamp=int(at.timestamp())
    )
    return {"stripe-signature": header}


def _body(stage: Stage, **more: Any) -> bytes:
    event = {
        "id": "evt_1",
        "object": "event",
        "type": "payment_intent.succeeded",
        "created": int(stage.now.timestamp()),
        "livemode": False,
        "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
    }
    return json.dumps(event | more).encode()


def test_a_webhook_is_opened_with_the_secret_of_its_endpoint(stage: Stage) -> None:
    """Each endpoint has its own secret; what it says is named, and kept without its object."""
    body = _body(
        stage,
        account="acct_1",
        data={"object": {"id": "pi_1", "object": "payment_intent", "client_secret": "x_secret"}},
    )

    (event,) = stage.rail.open_event(
        body, _signed(body, stage.now, CONNECT_SECRET), endpoint="connect", at=stage.now
    )

    assert b"x_secret" not in event.body
    assert json.loads(event.body)["data"] == {"object": {"id": "pi_1", "object": "payment_intent"}}
    assert event == RailEvent(
        rail="stripe",
        account="acct_1",
        event_id="evt_1",
        kind="payment_intent.succeeded",
        object_ref="pi_1",
        authentic=Authentic.SIGNATURE,
        is_live=False,
        body=event.body,
        occurred_at=stage.now,
    )


@pytest.mark.parametrize(
    ("endpoint", "secret", "offset_s"),
    [
        ("platform", CONNECT_SECRET, 0),
        ("connect", PLATFORM_SECRET, 0),
        ("elsewhere", PLATFORM_SECRET, 0),
        ("platform", PLATFORM_SECRET, -301),
        ("platform", PLATFORM_SECRET, 301),
    ],
)
def test_a_webhook_of_another_hand_or_time_is_refused(
    stage: Stage, endpoint: str, secret: str, offset_s: int
) -> None:
    """Another endpoint's secret, an old stamp, and one of the future are all refused."""
    body = _body(stage)
    headers = _signed(body, stage.now + timedelta(seconds=offset_s), secret)

    with pytest.raises(BadSignature):
        stage.rail.open_event(body, headers, endpoint=endpoint, at=stage.now)


@pytest.mark.parametrize("headers", [{}, {"stripe-signature": "x"}, {"stripe-signature": "t=,v1="}])
def test_a_webhook_without_a_signature_is_refused(stage: Stage, headers: dict[str, str]) -> None:
    """No header, and none that can be read, is a bad signature and no crash."""
    with pytest.raises(BadSignature):
        stage.rail.open_event(_body(stage), headers, endpoint="platform", at=stage.now)


def test_a_webhook_that_was_changed_is_refused(stage: Stage) -> None:
    """One byte more than was signed is refused; a rail without the secret refuses all."""
    body = _body(stage)
    headers = _signed(body, stage.now)
    deaf = StripeRail(settings(stage.double, webhook_secret=""))

    for rail, sent in ((stage.rail, body + b" "), (deaf, body)):
        with pytest.raises(BadSignature):
            rail.open_event(sent, headers, endpoint="platform", at=stage.now)
    deaf.close()


@pytest.mark.parametrize("body", [b"[]", b"{}", b"no json", b'{"object":"event"}', b"\xff"])
def test_a_signed_body_that_is_no_event_is_refused(stage: Stage, body: bytes) -> None:
    """What was signed and makes no sense is a bad event."""
    text = body.decode(errors="replace").encode()
    with pytest.raises(BadEvent):
        stage.rail.open_event(body, _signed(text, stage.now), endpoint="platform", at=stage.now)


def test_no_secret_of_a_payment_is_kept(stage: Stage) -> None:
    """Neither webhooks nor listed events keep a page's secret, a payer, or a card."""
    stage.fund()
    stage.hear()
    listed, _ = stage.rail.list_events(after="", limit=100, at=stage.now)

    bodies = b" ".join(event.body for event in (*stage.heard, *listed))

    assert stage.heard
    assert listed
    assert not [word for word in (b"_secret", b"last4", b"billing") if word in bodies]


def test_the_same_truth_heard_twice_is_one_notice(stage: Stage) -> None:
    """Three events of one payment say one thing by one name; a read says the same."""
    operation, result = stage.fund()
    notices = [n for n in stage.hear() if n.operation_id == operation.id]

    assert len(notices) >= 3
    assert {n.notice_id for n in notices} == {
        f"{result.rail_ref}:succeeded:{result.transaction_ref}"
    }
    assert {(n.outcome, n.amount_minor, n.fee_minor, n.transaction_ref) for n in notices} == {
        (RailOutcome.DONE, result.amount_minor, result.fee_minor, result.transaction_ref)
    }


def test_an_event_says_what_is_true_by_now(stage: Stage) -> None:
    """An old event, delivered late, is read as its object is by then: order does not matter."""
    operation, result = stage.fund(method="")
    stage.double.pay(result.rail_ref)
    notices = [n for n in stage.hear() if n.operation_id == operation.id]

    assert stage.heard[0].kind == "payment_intent.created"
    assert {n.outcome for n in notices} == {RailOutcome.DONE}


def test_an_event_of_a_payees_account_is_read_with_its_header(stage: Stage) -> None:
    """Without the account's name Stripe knows no such payout; with it the payout is told."""
    payout = stage.payout(stage.funded_payee())
    stage.do(payout)
    stage.hear()
    (event,) = [e for e in stage.heard if e.kind == "payout.created"]

    assert event.account
    (notice,) = stage.rail.read_event(event, at=stage.now)
    assert (notice.operation_id, notice.has_left) == (payout.id, True)
    with pytest.raises(Broken, match="resource_missing"):
        stage.rail.read_event(replace(event, account=""), at=stage.now)


def test_an_event_that_cannot_be_read_now_is_trouble(stage: Stage) -> None:
    """A failure of Stripe's leaves the event for later; nothing is said of it meanwhile."""
    stage.fund()
    stage.hear()
    event = stage.heard[-1]
    stage.double.faults.force(Fault.ERROR_BEFORE, method="GET")

    with pytest.raises(RailTrouble):
        stage.rail.read_event(event, at=stage.now)
    assert stage.rail.read_event(event, at=stage.now)


def test_a_payout_that_failed_is_told_when_its_money_is_back(stage: Stage) -> None:
    """Failed, and no transaction yet that brings the money home: the event waits for it."""
    payout = stage.payout(stage.funded_payee())
    sent = stage.do(payout)
    stage.hear()
    event = stage.heard[-1]
    with stage.double.frame.lock:
        _, object_ = stage.double.world.find(sent.rail_ref)
        object_["status"] = "failed"

    with pytest.raises(RailTrouble, match="not finished"):
        stage.rail.read_event(event, at=stage.now)


def test_what_is_another_tenants_is_left_alone(stage: Stage) -> None:
    """Two tenants may share one Stripe account: each hears of its own objects only."""
    other = StripeRail(settings(stage.double, tenant="other"))
    account = stage.payee()
    funding, paid = stage.fund()
    charge = stage.rail.wire.payment(paid.rail_ref)["latest_charge"]["id"]
    stage.do(stage.transfer(account, charge_of=str(funding.id)))
    stage.double.dispute(charge)
    ours = stage.hear()

    assert ours
    assert not [n for event in stage.heard for n in other.read_event(event, at=stage.now)]
    assert not other.transactions(after="", limit=100, at=stage.now).transactions[0].operation_id
    other.close()


def test_real_money_and_sandbox_do_not_mix(stage: Stage) -> None:
    """An event that is live says nothing to a rail with a sandbox's key."""
    stage.fund()
    stage.hear()

    live = [replace(event, is_live=True) for event in stage.heard]

    assert live
    assert not [n for event in live for n in stage.rail.read_event(event, at=stage.now)]


def test_an_unknown_kind_says_nothing(stage: Stage) -> None:
    """What Stripe adds one day, and what we do not look at, is read as nothing."""
    event = RailEvent(
        rail="stripe",
        account="",
        event_id="evt_1",
        kind="customer.created",
        object_ref="cus_1",
        authentic=Authentic.SIGNATURE,
        is_live=False,
        body=b"{}",
    )

    assert stage.rail.read_event(event, at=stage.now) == []


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        ("charge.dispute.funds_withdrawn", "dispute"),
        ("charge.refund.updated", "refund"),
        ("charge.refunded", "charge"),
        ("v1.charge.expired", "charge"),
        ("v1.payout.paid", "payout"),
        ("v2.core.account[requirements].updated", "account"),
        ("account.application.deauthorized", "gone"),
        ("account.external_account.updated", "account"),
        ("balance.available", "cleared"),
        ("invoice.paid", ""),
    ],
)
def test_events_are_told_apart_by_their_kind(kind: str, family: str) -> None:
    """Snapshot and thin names go the same way; a refunded charge is the charge's event."""
    assert family_of(kind) == family


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
def test_a_chargeback_is_told_with_its_money(stage: Stage, currency: str) -> None:
    """Opened: the word, and the withdrawal with its fee. Won: the word, and what came back."""
    operation, paid = stage.fund(20_000, currency)
    stage.double.advance(days=3)
    charge = stage.rail.wire.payment(paid.rail_ref)["latest_charge"]["id"]
    stage.hear()
    dispute = stage.double.dispute(charge)

    opened = {n.notice_id: n for n in stage.hear() if n.kind != "operation_changed"}
    stage.double.move_dispute(dispute["id"], "won")
    won = {n.notice_id: n for n in stage.hear() if n.kind != "operation_changed"}

    word = next(n for n in opened.values() if n.kind == CHARGEBACK_CHANGED)
    out = next(n for n in opened.values() if n.kind == CHARGEBACK_FUNDS)
    assert (word.operation_id, word.amount_minor) == (operation.id, 20_000)
    assert (word.facts["chargeback"], word.facts["status"]) == (dispute["id"], "needs_response")
    assert datetime.fromisoformat(word.facts["due_by"]) > stage.now
    assert (out.facts["direction"], out.facts["disputed_minor"]) == ("withdrawn", 20_000)
    assert (out.amount_minor, out.currency, out.fee_minor > 0) == (20_000, currency, True)
    assert out.facts["movement"].startswith("txn_")
    assert {n.facts["direction"] for n in won.values() if n.kind == CHARGEBACK_FUNDS} == {
        "withdrawn",
        "reinstated",
    }
    assert {n.facts["status"] for n in won.values() if n.kind == CHARGEBACK_CHANGED} == {"won"}
    asked = stage.rail.chargebacks([operation.id], at=stage.now)
    assert {n.notice_id for n in asked} == set(won)


def test_a_warning_moves_no_money(stage: Stage) -> None:
    """An early fraud warning and an inquiry warn of a payment, without any movement."""
    operation, paid = stage.fund(20_000)
    charge = stage.rail.wire.payment(paid.rail_ref)["latest_charge"]["id"]
    stage.double.early_warning(charge)
    stage.double.dispute(charge, warning=True)

    notices = stage.rail.chargebacks([operation.id], at=stage.now)
    told = {n.notice_id for n in stage.hear() if n.kind == CHARGEBACK_CHANGED}

    assert {n.facts["status"] for n in notices} <= {"warning", "closed"}
    assert {n.kind for n in notices} == {CHARGEBACK_CHANGED}
    assert len(notices) == 2
    assert told == {n.notice_id for n in notices}


def test_evidence_goes_to_the_dispute_once(stage: Stage) -> None:
    """Our statements are filed by reference and hash; the dispute remembers that it has them."""
    _, paid = stage.fund(20_000)
    charge = stage.rail.wire.payment(paid.rail_ref)["latest_charge"]["id"]
    dispute = stage.double.dispute(charge)
    evidence = stage.operation(
        OperationKind.EVIDENCE,
        20_000,
        chargeback=dispute["id"],
        statements=[{"reference": "st-1", "sha256": "ab"}],
    )

    assert stage.ask(evidence).code == "rail.not_found"
    assert stage.do(evidence).outcome is RailOutcome.DONE
    assert stage.ask(evidence).outcome is RailOutcome.DONE
    found = stage.rail.wire.v1.disputes.retrieve(dispute["id"]).to_dict()
    assert "st-1 (SHA-256 ab)" in found["evidence"]["uncategorized_text"]
    warned = stage.do(
        stage.operation(OperationKind.EVIDENCE, 1, chargeback="issfr_1", statements=[])
    )
    assert warned.code == "rail.not_offered"


def test_a_payee_is_what_stripe_knows_of_him(stage: Stage) -> None:
    """Nothing before he is verified; then both; what is asked for and by when stands beside."""
    opened = stage.do(stage.operation(OperationKind.PAYEE, 0, country="DE", email="a@example.com"))
    before = stage.rail.payee(opened.rail_ref, at=stage.now)
    due = stage.now + timedelta(days=9)
    stage.double.verify(opened.rail_ref)
    after = stage.rail.payee(opened.rail_ref, at=stage.now)
    stage.double.verify(opened.rail_ref, status="restricted", asked=("id_number",), deadline=due)
    restricted = stage.rail.payee(opened.rail_ref, at=stage.now)

    def may(facts: Any) -> tuple[bool, bool]:
        return facts["may_receive"], facts["may_be_paid_out"]

    assert opened.outcome is RailOutcome.DONE
    assert stage.rail.wire.is_manual(account=opened.rail_ref)
    assert (may(before.facts), may(after.facts)) == ((False, False), (True, True))
    assert before.facts["requirements"]
    assert after.facts["disabled_reason"] == ""
    assert may(restricted.facts) == (False, False)
    assert restricted.facts["requirements"] == ["id_number"]
    assert datetime.fromisoformat(restricted.facts["deadline"]).replace(microsecond=0) == due
    assert restricted.facts["disabled_reason"] == "requirements_past_due"


def test_a_payees_event_counts_at_its_own_time(stage: Stage) -> None:
    """Snapshot and thin events of one account tell the state by now, as of their own time."""
    account = stage.payee()
    notices = [n for n in stage.hear() if n.kind == PAYEE_CHANGED]
    kinds = {e.kind for e in stage.heard if "account" in e.kind}

    assert any(kind.startswith("v2.core.account") for kind in kinds)
    assert "account.updated" in kinds
    assert {n.facts["account"] for n in notices} == {account}
    assert all(datetime.fromisoformat(n.facts["as_of"]) == n.occurred_at for n in notices)
    assert {n.facts["may_receive"] for n in notices} == {True}


def test_an_account_that_left_us_may_nothing(stage: Stage) -> None:
    """Access taken away needs no read: there is nothing to be read any more."""
    event = RailEvent(
        rail="stripe",
        account="acct_9",
        event_id="evt_1",
        kind="account.application.deauthorized",
        object_ref="ca_1",
        authentic=Authentic.SIGNATURE,
        is_live=False,
        body=b"{}",
        occurred_at=datetime(2026, 3, 2, tzinfo=UTC),
    )

    (notice,) = stage.rail.read_event(event, at=stage.now)

    assert notice.facts["account"] == "acct_9"
    assert not notice.facts["may_receive"]
    assert notice.facts["disabled_reason"] == "deauthorized"


def test_a_payee_is_sent_to_stripes_own_pages(stage: Stage) -> None:
    """The link is of his account, and made anew each time."""
    account = stage.payee()

    link = stage.rail.payee_link(
        account, return_url="https://example.com/back", refresh_url="https://example.com/again"
    )

    assert link.startswith("https://connect.stripe.com/")
    assert account in link


def test_debits_clear_by_an_event_on_the_balance(stage: Stage) -> None:
    """When money becomes available, the debits it came from are told as cleared."""
    operation, _ = stage.fund(method="pm_success_de")
    stage.fund()
    stage.double.advance(days=4)
    stage.hear()
    stage.double.advance(days=3)

    told = {n.notice_id: n for n in stage.hear() if n.operation_id == operation.id}

    assert {event.kind for event in stage.heard} >= {"balance.available"}
    (notice,) = told.values()
    assert (notice.outcome, notice.cleared) == (RailOutcome.DONE, True)
    assert ":succeeded:" in notice.notice_id
