"""Pushes and payouts at M-Pesa: accepted is not done, callbacks are hints, and nothing is twice."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from kernel.errors import Broken
from rails.capabilities import MPESA, check_amount
from rails.model import (
    INSUFFICIENT_FUNDS,
    KEY_SPENT,
    NOT_NOW,
    OperationKind,
    RailOutcome,
)
from rails.model_events import Authentic
from rails.mpesa.rules import Address, endpoint_of
from rails.port import PaymentPageRail, StatementRail, WebhookRail
from rails.refusals import AmountNotPossible, BadEvent, BadSignature, CurrencyNotTaken
from tests.doubles.frame import Fault, Order
from tests.doubles.mpesa_double.double import BEGIN
from tests.rails.mpesa.stage import PHONE, Stage

FUND, PAYOUT = OperationKind.FUND, OperationKind.PAYOUT
PENDING, DONE = RailOutcome.PENDING, RailOutcome.DONE
REFUSED, UNKNOWN = RailOutcome.REFUSED, RailOutcome.UNKNOWN


def test_mpesa_is_a_rail_with_callbacks_and_nothing_more(stage: Stage) -> None:
    """No page, no statement, no disputes, no refunds: its flags and ports say so."""
    assert isinstance(stage.rail, WebhookRail)
    assert not isinstance(stage.rail, PaymentPageRail | StatementRail)
    assert (MPESA.refund_window_days, MPESA.partial_refund, MPESA.disputes) == (0, False, False)
    shown = repr(stage.rail) + repr(stage.settings)
    assert "secret" not in shown
    assert "token-of-tests" not in shown


def test_a_push_is_done_once_its_payer_has_paid(stage: Stage) -> None:
    """Accepted is pending; the query, which answers at once, says the rest."""
    push = stage.started(FUND, 150_000)

    before = stage.read(push)
    stage.double.answer_push(push.rail_ref)
    after = stage.read(push)
    stage.settle()

    said = stage.double.pushes[push.rail_ref]["said"]
    assert (said["Amount"], said["PhoneNumber"]) == ("1500", PHONE)
    assert before.outcome is PENDING
    assert (after.outcome, after.amount_minor, after.fee_minor) == (DONE, 150_000, 0)
    assert after.rail_ref == after.transaction_ref == push.rail_ref
    (notice,) = stage.told_of(push.id).values()
    assert (notice.outcome, notice.amount_minor, notice.currency) == (DONE, 150_000, "KES")
    assert notice.transaction_ref == after.transaction_ref
    assert stage.double.balance == 1_500


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (1, "no_funds"),
        (1019, "expired"),
        (1032, "cancelled"),
        (1037, "unreachable"),
        (2001, "wrong_pin"),
    ],
)
def test_a_push_that_fails_says_why(stage: Stage, code: int, word: str) -> None:
    """Each final result code refuses the funding by its own word."""
    push = stage.started(FUND, 10_000)
    stage.double.answer_push(push.rail_ref, code=code)

    result = stage.read(push)
    stage.settle()

    assert (result.outcome, result.code) == (REFUSED, f"mpesa.{word}")
    assert [each.code for each in stage.told_of(push.id).values()] == [f"mpesa.{word}"]
    assert stage.double.balance == 0


def test_a_result_code_that_we_do_not_know_is_no_end(stage: Stage) -> None:
    """It may be a new word for `still at it`: the payment stays pending."""
    push = stage.started(FUND, 10_000)
    stage.double.answer_push(push.rail_ref, code=4999)

    assert stage.read(push).outcome is PENDING
    stage.settle()
    assert [each.outcome for each in stage.told_of(push.id).values()] == [PENDING]


def test_a_push_that_nobody_answers_ends_and_its_callback_may_never_come(stage: Stage) -> None:
    """A dropped callback changes nothing: the query finds the end."""
    stage.double.deliveries.drop = 1.0
    push = stage.started(FUND, 10_000)

    stage.settle(minutes=4)

    assert stage.heard == []
    assert stage.read(push).code == "mpesa.unreachable"


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.ERROR_AFTER])
def test_a_push_whose_answer_was_lost_is_named_by_its_callback(stage: Stage, fault: Fault) -> None:
    """It stays unknown, is never sent again by a read, and its own callback finds it."""
    push = stage.operation(FUND, 10_000)
    stage.double.faults.force(fault, path="/stkpush/")

    lost = stage.do(push)
    read = stage.read(push)
    (name,) = stage.double.pushes
    stage.double.answer_push(name)
    stage.settle()

    assert (lost.outcome, lost.code, read.outcome, read.code) == (UNKNOWN, "", UNKNOWN, "")
    (notice,) = stage.told_of(push.id).values()
    assert (notice.outcome, notice.rail_ref, notice.amount_minor) == (DONE, name, 10_000)
    assert len(stage.double.pushes) == 1


@pytest.mark.parametrize(("fault", "wait_s"), [(Fault.RATE_LIMIT, 120), (Fault.LOCK_TIMEOUT, 120)])
def test_a_busy_mpesa_took_nothing_in(stage: Stage, fault: Fault, wait_s: int) -> None:
    """Daraja says so with 500 and a code of its own; the neighbour goes on."""
    first, second = stage.operation(FUND, 10_000), stage.operation(FUND, 20_000)
    stage.double.faults.force(fault, path="/stkpush/")

    busy, fine = stage.rail.execute([first, second], at=stage.now)

    assert (busy.outcome, busy.code) == (UNKNOWN, NOT_NOW)
    assert busy.retry_at == stage.now + timedelta(seconds=wait_s)
    assert fine.outcome is PENDING
    assert len(stage.double.pushes) == 1


def test_a_token_that_daraja_forgot_is_fetched_anew(stage: Stage) -> None:
    """It says so with 404; the call is made once more, and given up if that does not help."""
    stage.started(FUND, 10_000)
    stage.double.revoke_tokens()

    stage.started(FUND, 10_000)
    stage.double.errors["/stkpush/"] = (404, "404.001.03", "Invalid Access Token")
    result = stage.do(stage.operation(FUND, 10_000))

    assert stage.double.tokens == 3
    assert (result.code, result.retry_at) == (NOT_NOW, stage.now + timedelta(minutes=5))


def test_what_daraja_refuses_or_does_not_understand_is_told_apart(stage: Stage) -> None:
    """A bad request is refused; wrong credentials are ours to mend, and wait."""
    stage.double.errors["/stkpush/"] = (400, "400.002.02", "Bad Request - Invalid PhoneNumber")
    refused = stage.do(stage.operation(FUND, 10_000))
    stage.double.errors["/stkpush/"] = (500, "500.001.1001", "Wrong credentials")
    waits = stage.do(stage.operation(FUND, 10_000))

    assert (refused.outcome, refused.code) == (REFUSED, "mpesa.400.002.02")
    assert (waits.outcome, waits.code) == (UNKNOWN, NOT_NOW)


def test_only_whole_shillings_of_kenya_are_taken(stage: Stage) -> None:
    """Other amounts are refused at the door, and once more before a call is made."""
    check_amount("mpesa", 150_000, currency="KES")
    for minor in (150_050, 99, 25_000_100):
        with pytest.raises(AmountNotPossible):
            check_amount("mpesa", minor, currency="KES")
    for currency in ("JPY", "EUR", "KWD"):
        with pytest.raises(CurrencyNotTaken):
            check_amount("mpesa", 150_000, currency=currency)

    part = stage.do(stage.operation(FUND, 150_050))
    foreign = stage.do(stage.operation(PAYOUT, 150_000, currency="EUR"))

    assert {(e.outcome, e.code) for e in (part, foreign)} == {(REFUSED, AmountNotPossible.code)}
    assert stage.double.asked == []


@pytest.mark.parametrize("phone", ["", "0712345678", "25471234567", "254212345678", "card"])
def test_a_payer_without_a_number_of_mpesa_is_refused(stage: Stage, phone: str) -> None:
    """A method names the number, with the country and without a plus or with it."""
    assert stage.do(stage.operation(FUND, 10_000, phone=phone)).code == "mpesa.no_phone"
    assert stage.do(stage.operation(FUND, 10_000, phone=f"+{PHONE}")).outcome is PENDING


def test_refunds_and_all_else_are_not_offered(stage: Stage) -> None:
    """No reversal: the money goes to the client's wallet, as the flags say."""
    kinds = (OperationKind.REFUND, OperationKind.TRANSFER, OperationKind.BANK_TRANSFER)

    results = [stage.do(stage.operation(kind, 10_000)) for kind in kinds]

    assert {(each.outcome, each.code) for each in results} == {(REFUSED, "rail.not_offered")}


# Payouts


def test_a_payout_is_done_when_a_status_query_says_so(stage: Stage) -> None:
    """Its callback has M-Pesa asked, and the answer of that comes by another callback."""
    stage.double.balance = 5_000
    payout = stage.started(PAYOUT, 120_000)

    stage.settle(minutes=1)

    assert stage.double.payments[str(payout.id)]["said"]["Amount"] == "1200"
    (notice,) = stage.told_of(payout.id).values()
    assert (notice.outcome, notice.amount_minor, notice.rail_ref) == (
        DONE,
        120_000,
        payout.rail_ref,
    )
    assert notice.transaction_ref == stage.double.payments[str(payout.id)]["receipt"]
    assert notice.occurred_at == BEGIN + timedelta(seconds=30)
    assert stage.double.balance == 3_800


def test_a_callback_alone_pays_nobody(stage: Stage) -> None:
    """A hint that says `done` while M-Pesa says `pending` changes nothing."""
    payout = stage.started(PAYOUT, 120_000)
    address = Address("b2c", payout.id, 120_000)
    endpoint = endpoint_of(address, token=stage.settings.callback_token)
    body = json.dumps({"Result": {"ResultCode": 0, "ConversationID": payout.rail_ref}}).encode()

    (event,) = stage.rail.open_event(body, {}, endpoint=endpoint, at=stage.now)
    told = stage.rail.read_event(event, at=stage.now)
    stage.double.clock.advance(timedelta(seconds=6))
    stage.double.deliveries.deliver()

    assert event.authentic is Authentic.NONE
    assert (told, stage.heard) == ([], [])


def test_a_payout_that_fails_says_why(stage: Stage) -> None:
    """Our short balance is not the payee's fault; his own trouble has its own word."""
    short = stage.started(PAYOUT, 120_000)
    stage.settle(minutes=1)
    stage.double.balance = 5_000
    stage.double.ends[PHONE] = 2040
    unregistered = stage.started(PAYOUT, 120_000)
    stage.settle(minutes=1)

    assert [each.code for each in stage.told_of(short.id).values()] == [INSUFFICIENT_FUNDS]
    (notice,) = stage.told_of(unregistered.id).values()
    assert (notice.outcome, notice.code) == (REFUSED, "mpesa.not_registered")
    assert stage.double.balance == 5_000


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.ERROR_AFTER])
def test_a_payout_whose_answer_was_lost_is_asked_for_and_never_twice(
    stage: Stage, fault: Fault
) -> None:
    """Its id is ours: M-Pesa is asked by it, and refuses a second payment of it."""
    stage.double.balance = 5_000
    stage.double.deliveries.drop = 1.0
    payout = stage.operation(PAYOUT, 120_000)
    stage.double.faults.force(fault, path="/b2c/")

    lost = stage.do(payout)
    again = stage.do(payout)
    stage.double.clock.advance(timedelta(minutes=1))
    stage.double.deliveries.drop = 0.0
    read = stage.read(payout)
    stage.settle()

    assert (lost.outcome, lost.code) == (UNKNOWN, "")
    assert (again.outcome, again.code) == (UNKNOWN, KEY_SPENT)
    assert (read.outcome, read.code) == (UNKNOWN, "")
    assert [each.outcome for each in stage.told_of(payout.id).values()] == [DONE]
    assert stage.double.balance == 3_800


def test_a_payout_that_never_came_in_stays_unknown(stage: Stage) -> None:
    """M-Pesa knows nothing of it: that is no proof, and people decide."""
    payout = stage.operation(PAYOUT, 120_000)
    stage.double.faults.force(Fault.ERROR_BEFORE, path="/b2c/")

    stage.do(payout)
    stage.read(payout)
    stage.settle(minutes=1)

    assert stage.heard == []
    assert stage.double.payments == {}


def test_callbacks_come_twice_shuffled_and_late_and_say_the_same(stage: Stage) -> None:
    """The first truth stands; a repeated callback is the same event."""
    stage.double.balance = 50_000
    stage.double.deliveries.duplicate = 1.0
    stage.double.deliveries.order = Order.SHUFFLE
    pushes = [stage.started(FUND, 10_000 * number) for number in (1, 2, 3)]
    payouts = [stage.started(PAYOUT, 10_000 * number) for number in (1, 2, 3)]
    for push in pushes:
        stage.double.answer_push(push.rail_ref, code=0)

    stage.settle(days=3)

    for operation in (*pushes, *payouts):
        (notice,) = stage.told_of(operation.id).values()
        assert (notice.outcome, notice.amount_minor) == (DONE, operation.amount_minor)
    assert set(stage.answered) == {200}
    assert len(set(stage.event_ids)) < len(stage.event_ids)
    assert stage.double.balance == 50_000 + 600 - 600


# Callbacks


def test_an_address_that_we_did_not_make_is_refused(stage: Stage) -> None:
    """Operation, amount, kind and reason are all under the code of the address."""
    push = stage.started(FUND, 10_000)
    token = stage.settings.callback_token
    good = endpoint_of(Address("stk", push.id, 10_000), token=token)
    body = json.dumps(
        {"Body": {"stkCallback": {"CheckoutRequestID": push.rail_ref, "ResultCode": 0}}}
    ).encode()
    others = [
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        good.replace("-10000-", "-99900-"),
        good.replace("stk-", "status-"),
        good.replace(push.id.hex, "0" * 32),
        endpoint_of(Address("stk", push.id, 10_000), token="another"),
        "platform",
        "",
    ]

    (event,) = stage.rail.open_event(body, {}, endpoint=good, at=stage.now)

    assert (event.kind, event.object_ref) == ("stk", push.rail_ref)
    for endpoint in others:
        with pytest.raises(BadSignature):
            stage.rail.open_event(body, {}, endpoint=endpoint, at=stage.now)
    for junk in (b"", b"[]", b"{}", b'{"Body": 1}', b'{"Result": {}}'):
        with pytest.raises(BadEvent):
            stage.rail.open_event(junk, {}, endpoint=good, at=stage.now)


def test_nothing_of_a_person_and_no_code_is_kept_of_a_callback(stage: Stage) -> None:
    """Numbers and names are left out, and so is what makes the address unguessable."""
    stage.double.balance = 5_000
    push = stage.started(FUND, 10_000)
    stage.double.answer_push(push.rail_ref)
    stage.started(PAYOUT, 10_000)

    stage.settle(minutes=1)

    kept = b"".join(stage.kept).decode() + "".join(stage.event_ids)
    codes = [d.endpoint.rsplit("-", 1)[1] for d in stage.double.deliveries.delivered]
    assert len(codes) == 3
    assert not [code for code in codes if code in kept]
    assert PHONE not in kept
    assert "JANE" not in kept.upper()


def test_a_status_that_speaks_of_another_payment_is_for_people(stage: Stage) -> None:
    """Another amount or another id than asked for breaks, and books nothing."""
    payout = stage.operation(PAYOUT, 10_000)
    address = Address("status", payout.id, 10_000)
    endpoint = endpoint_of(address, token=stage.settings.callback_token)
    good = {
        "TransactionStatus": "Completed",
        "ReceiptNo": "SC20000001",
        "Amount": "100.00",
        "OriginatorConversationID": str(payout.id),
    }
    bodies = [
        {**good, **changed}
        for changed in (
            {},
            {"Amount": "1000"},
            {"Amount": "1e2"},
            {"OriginatorConversationID": "another"},
            {"ReceiptNo": ""},
            {"TransactionStatus": "Authorized"},
        )
    ]
    events = [
        stage.rail.open_event(
            json.dumps(
                {
                    "Result": {
                        "ResultCode": 0,
                        "ResultParameters": {
                            "ResultParameter": [{"Key": k, "Value": v} for k, v in body.items()]
                        },
                    }
                }
            ).encode(),
            {},
            endpoint=endpoint,
            at=stage.now,
        )[0]
        for body in bodies
    ]

    (notice,) = stage.rail.read_event(events[0], at=stage.now)

    assert (notice.outcome, notice.transaction_ref) == (DONE, "SC20000001")
    for event in events[1:4]:
        with pytest.raises(Broken):
            stage.rail.read_event(event, at=stage.now)
    assert [stage.rail.read_event(event, at=stage.now) for event in events[4:]] == [[], []]


def test_a_read_of_many_takes_each_by_itself(stage: Stage) -> None:
    """Trouble with one leaves the others their answers."""
    paid, open_, strange = (stage.started(FUND, 10_000) for _ in range(3))
    stage.double.answer_push(paid.rail_ref)

    results = stage.rail.resolve(
        [paid, replace(strange, rail_ref="ws_CO_none"), open_], at=stage.now
    )

    assert [each.outcome for each in results] == [DONE, UNKNOWN, PENDING]
