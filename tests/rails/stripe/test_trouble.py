"""When the line or Stripe fails: nothing is lost, nothing happens twice, and nobody guesses."""

import time
from dataclasses import replace
from datetime import timedelta
from uuid import uuid5

import pytest

from kernel.errors import RailTrouble
from rails.model import KEY_SPENT, NOT_FOUND, NOT_NOW, OperationKind, RailOperation, RailOutcome
from rails.stripe.service import StripeRail
from tests.doubles.frame import Fault
from tests.rails.stripe.builders import Stage, settings
from tests.rails.stripe.fixtures import stage, stripe_double

__all__ = ["stage", "stripe_double"]

LOST = [Fault.LOST_REPLY, Fault.ERROR_AFTER]


def _prepared(stage: Stage, kind: OperationKind) -> tuple[RailOperation, str]:
    """An operation that will succeed, and the path that it is posted to."""
    if kind is OperationKind.FUND:
        return stage.operation(kind, method="pm_card_visa"), "/v1/payment_intents"
    if kind is OperationKind.PAYEE:
        return stage.operation(kind, 0, country="DE"), "/v2/core/accounts"
    if kind is OperationKind.PAYOUT:
        return stage.payout(stage.funded_payee()), "/v1/payouts"
    account = stage.payee()
    funding, _ = stage.fund(20_000)
    stage.double.advance(days=3)
    if kind is OperationKind.REFUND:
        return stage.operation(kind, 5_000, funding_id=str(funding.id)), "/v1/refunds"
    transfer = stage.transfer(account)
    if kind is OperationKind.TRANSFER:
        return transfer, "/v1/transfers"
    assert kind is OperationKind.TRANSFER_BACK
    stage.do(transfer)
    facts = {"source": f"stripe:{account}", "target": "stripe", "transfer": str(transfer.id)}
    return stage.operation(kind, 5_000, **facts), "/reversals"


KINDS = [
    OperationKind.FUND,
    OperationKind.REFUND,
    OperationKind.TRANSFER,
    OperationKind.TRANSFER_BACK,
    OperationKind.PAYOUT,
    OperationKind.PAYEE,
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", LOST)
def test_a_lost_reply_leaves_one_object(stage: Stage, kind: OperationKind, fault: Fault) -> None:
    """The effect stands though the reply was lost: a read finds it, and no second is made.

    The account of a payee is found only once its second step is done, too.
    """
    operation, path = _prepared(stage, kind)
    before = len(stage.double.objects_of(str(operation.id)))
    stage.double.faults.force(fault, method="POST", path=path)

    lost = stage.do(operation)
    read = stage.ask(operation)
    if kind is OperationKind.PAYEE:
        assert read.code == NOT_FOUND
        read = stage.do(operation)

    assert (lost.outcome, lost.code) == (RailOutcome.UNKNOWN, "")
    assert before == 0
    assert read.outcome in {RailOutcome.DONE, RailOutcome.PENDING}
    assert read.rail_ref
    if kind is not OperationKind.PAYEE:
        assert len(stage.double.objects_of(str(operation.id))) == 1
    assert len(stage.rail.wire.accounts()) == (kind is not OperationKind.FUND)


@pytest.mark.parametrize("kind", KINDS)
def test_an_old_key_does_nothing_twice(stage: Stage, kind: OperationKind) -> None:
    """After Stripe has forgotten a key, a read by listing finds what it did."""
    operation, path = _prepared(stage, kind)
    if kind is not OperationKind.PAYEE:
        stage.double.faults.force(Fault.LOST_REPLY, method="POST", path=path)
    stage.do(operation)
    stage.double.advance(hours=30)

    read = stage.ask(replace(operation, rail_ref=""))

    assert read.outcome in {RailOutcome.DONE, RailOutcome.PENDING}


@pytest.mark.parametrize("fault", [Fault.RATE_LIMIT, Fault.LOCK_TIMEOUT])
def test_what_stripe_did_not_take_in_waits(stage: Stage, fault: Fault) -> None:
    """429 is not now: so are all behind it, each with a time of its own; none was sent."""
    operations = [stage.operation(OperationKind.FUND, method="pm_card_visa") for _ in range(3)]
    stage.double.faults.force(fault, method="POST")

    results = stage.rail.execute(operations, at=stage.now)

    assert [(r.outcome, r.code) for r in results] == [(RailOutcome.UNKNOWN, NOT_NOW)] * 3
    assert all(r.retry_at is not None and r.retry_at > stage.now for r in results)
    assert len({r.retry_at for r in results}) > 1
    assert all(r.code == NOT_FOUND for r in stage.rail.resolve(operations, at=stage.now))
    again = stage.rail.execute(operations, at=stage.now)
    assert [r.outcome for r in again] == [RailOutcome.DONE] * 3


def test_a_failure_of_stripe_before_the_work_is_unknown(stage: Stage) -> None:
    """500 says nothing: a read finds nothing, and the same key does it then."""
    operation = stage.operation(OperationKind.FUND, method="pm_card_visa")
    stage.double.faults.force(Fault.ERROR_BEFORE, method="POST")

    assert (stage.do(operation).outcome, stage.ask(operation).code) == (
        RailOutcome.UNKNOWN,
        NOT_FOUND,
    )
    assert stage.do(operation).outcome is RailOutcome.DONE


def test_a_read_that_fails_says_nothing(stage: Stage) -> None:
    """An operation that could not be read is unknown without a code: it is not sent again."""
    operation, _ = stage.fund()
    stage.double.faults.force(Fault.ERROR_BEFORE, times=9, method="GET")

    read = stage.ask(operation)

    assert (read.outcome, read.code) == (RailOutcome.UNKNOWN, "")


def test_a_saved_failure_is_not_asked_for_again(stage: Stage) -> None:
    """A key that answers with its saved failure is spent: only a read can tell."""
    operation = stage.operation(OperationKind.FUND, method="pm_card_visa")
    stage.double.faults.force(Fault.ERROR_AFTER, method="POST")
    stage.do(operation)

    replayed = stage.do(operation)

    assert (replayed.outcome, replayed.code) == (RailOutcome.UNKNOWN, KEY_SPENT)
    assert stage.ask(operation).outcome is RailOutcome.DONE


def test_a_key_with_other_parameters_is_spent(stage: Stage) -> None:
    """The same key with another amount changes nothing at Stripe, and is no refusal either."""
    operation, _ = stage.fund()

    other = stage.do(replace(operation, amount_minor=9_999))

    assert (other.outcome, other.code) == (RailOutcome.UNKNOWN, KEY_SPENT)


def test_a_line_that_is_down_stops_the_batch(stage: Stage) -> None:
    """The first is unknown, the rest were not sent; a rail that is away raises where it must."""
    rail = StripeRail(settings(stage.double, api_base="http://127.0.0.1:9"))
    operations = [stage.operation(OperationKind.FUND) for _ in range(3)]

    results = rail.execute(operations, at=stage.now)

    assert [(r.outcome, r.code) for r in results] == [
        (RailOutcome.UNKNOWN, ""),
        (RailOutcome.UNKNOWN, NOT_NOW),
        (RailOutcome.UNKNOWN, NOT_NOW),
    ]
    assert {(r.outcome, r.code) for r in rail.resolve(operations, at=stage.now)} == {
        (RailOutcome.UNKNOWN, "")
    }
    with pytest.raises(RailTrouble):
        rail.balances(at=stage.now)
    rail.close()


def test_a_key_that_stripe_does_not_accept_refuses_nothing(stage: Stage) -> None:
    """A wrong key is our mistake: payments wait for a person, they are not refused."""
    rail = StripeRail(settings(stage.double, api_key="sk_live_wrong"))
    operation = stage.operation(OperationKind.FUND)

    (result,) = rail.execute([operation], at=stage.now)

    assert (result.outcome, result.code) == (RailOutcome.UNKNOWN, NOT_NOW)
    assert result.retry_at is not None
    assert result.retry_at >= stage.now + timedelta(minutes=10)
    rail.close()


def test_too_many_calls_of_our_own_are_told_to_come_back(stage: Stage) -> None:
    """Our own pace never sleeps long: what would have to wait is not now."""
    rail = StripeRail(settings(stage.double, calls_per_s=1))
    operations = [stage.operation(OperationKind.FUND, method="pm_card_visa") for _ in range(40)]
    rail.wire._http._key_pace._turns[""] = (-1_000.0, time.monotonic())

    results = rail.execute(operations, at=stage.now)

    assert [(r.outcome, r.code) for r in results] == [(RailOutcome.UNKNOWN, NOT_NOW)] * 40
    assert not stage.double.door.calls
    rail.close()


def test_no_word_of_stripes_and_no_secret_is_shown(stage: Stage) -> None:
    """Neither a rail's trouble nor its settings show a key, a message or a secret."""
    with pytest.raises(RailTrouble) as caught:
        stage.rail.payee("acct_none", at=stage.now)

    assert "resource_missing" in str(caught.value)
    assert "No such" not in str(caught.value)
    assert "sk_test" not in repr(stage.rail.settings)
    assert "whsec" not in repr(stage.rail.settings)


@pytest.mark.parametrize("kind", [OperationKind.FUND, OperationKind.TRANSFER])
def test_a_clock_that_runs_ahead_hides_nothing(stage: Stage, kind: OperationKind) -> None:
    """A tenant whose clock is weeks ahead of Stripe's still finds what he has sent."""
    operation, path = _prepared(stage, kind)
    ahead = replace(operation, created_at=stage.now + timedelta(days=60))
    foreign = replace(ahead, id=uuid5(operation.id, "by another"))
    for each in (ahead, foreign):
        stage.double.faults.force(Fault.LOST_REPLY, method="POST", path=path)
        stage.do(each)

    read = stage.rail.resolve([ahead, foreign], at=stage.now + timedelta(days=60))

    assert [r.outcome for r in read] == [RailOutcome.DONE] * 2


def test_reads_are_shared_by_a_batch(stage: Stage) -> None:
    """Fifty payments that nobody has made are found by one walk over the list, not by fifty."""
    operations = [stage.operation(OperationKind.FUND) for _ in range(50)]
    stage.rail.execute(operations, at=stage.now)
    stage.double.door.calls.clear()

    results = stage.rail.resolve(operations, at=stage.now)

    assert {r.outcome for r in results} == {RailOutcome.PENDING}
    lists = [call for call in stage.double.door.calls if call[1] == "/v1/payment_intents"]
    assert len(lists) == 1


def test_a_payees_second_step_is_done_again(stage: Stage) -> None:
    """The account is open, but not set up: it is not found yet, and no second one is opened."""
    operation = stage.operation(OperationKind.PAYEE, 0, country="DE")
    stage.double.faults.force(Fault.ERROR_BEFORE, method="POST", path="/v1/balance_settings")

    first, asked, second = stage.do(operation), stage.ask(operation), stage.do(operation)

    assert (first.outcome, asked.code) == (RailOutcome.UNKNOWN, NOT_FOUND)
    assert second.outcome is RailOutcome.DONE
    assert stage.rail.wire.accounts() == [second.rail_ref]


def test_one_account_that_shut_us_out_hides_no_other(stage: Stage) -> None:
    """A payee who took our access away is passed over by statement, events and balances."""
    stage.fund()
    account = stage.payee()
    rail = stage.rail
    known = [*rail.wire.accounts(), "acct_shut"]
    rail.wire.accounts = lambda: known  # type: ignore[method-assign]

    page = rail.transactions(after="", limit=100, at=stage.now)
    events, _ = rail.list_events(after="", limit=100, at=stage.now)
    balances = rail.balances(at=stage.now)

    assert page.is_last
    assert len(page.transactions) == 1
    assert {event.account for event in events} == {"", account}
    assert {each.rail_account for each in balances} == {"stripe"}
