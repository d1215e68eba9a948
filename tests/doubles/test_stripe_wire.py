"""What may go wrong between us and Stripe, as the double plays it: keys, lost answers, webhooks."""

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
import stripe

from tests.doubles.fixtures import stripe_double
from tests.doubles.frame import Delivery, Fault, Order
from tests.doubles.stripe_double.double import CONNECT_SECRET, PLATFORM_SECRET, StripeDouble
from tests.doubles.stripe_scenes import a_payee, a_payment, refused, types

__all__ = ["stripe_double"]


def _top_up(double: StripeDouble, key: str, amount: int = 500, *, retries: int = 0) -> stripe.Topup:
    params: Any = {"amount": amount, "currency": "eur", "metadata": {"op_id": key}}
    client = double.client(retries=retries)
    return client.v1.topups.create(params, {"idempotency_key": key})


def _topups(double: StripeDouble) -> int:
    return len([*double.world.ledgers["acct_platform"].all_of("topup")])


def test_the_same_key_is_answered_the_same(stripe_double: StripeDouble) -> None:
    """A repeated call gets the first answer and does nothing."""
    first = _top_up(stripe_double, "k")
    stripe_double.advance(hours=23)

    again = _top_up(stripe_double, "k")

    assert again.id == first.id
    assert again.status == "pending"
    assert _topups(stripe_double) == 1


def test_a_key_with_other_params_is_refused(stripe_double: StripeDouble) -> None:
    """400 idempotency_error, and nothing is done."""
    _top_up(stripe_double, "k")

    with pytest.raises(stripe.IdempotencyError):
        _top_up(stripe_double, "k", amount=501)

    assert _topups(stripe_double) == 1


def test_a_key_is_forgotten_after_a_day(stripe_double: StripeDouble) -> None:
    """Sent again after 24 hours, it works again: two objects carry the operation."""
    first = _top_up(stripe_double, "k")
    stripe_double.advance(hours=24)

    second = _top_up(stripe_double, "k")

    assert second.id != first.id
    assert stripe_double.operations_twice() == {"k": 2}
    assert len(stripe_double.objects_of("k")) == 2


def test_a_refusal_is_saved_with_its_key(stripe_double: StripeDouble) -> None:
    """What was refused once is refused again, though it would work by now."""
    payee = a_payee(stripe_double)
    client = stripe_double.client()

    def transfer(key: str) -> object:
        return client.v1.transfers.create(
            {"amount": 500, "currency": "eur", "destination": payee}, {"idempotency_key": key}
        )

    assert refused(lambda: transfer("k")) == "balance_insufficient"
    a_payment(stripe_double, method="pm_card_bypassPending")

    assert refused(lambda: transfer("k")) == "balance_insufficient"
    assert transfer("k2")


def test_a_lost_answer_is_found_by_the_key(stripe_double: StripeDouble) -> None:
    """The call was worked; the SDK's own retry gets its answer."""
    stripe_double.faults.force(Fault.LOST_REPLY, method="POST")
    with pytest.raises(stripe.APIConnectionError):
        _top_up(stripe_double, "k")
    assert _topups(stripe_double) == 1

    assert _top_up(stripe_double, "k").status == "pending"

    assert _topups(stripe_double) == 1


def test_a_saved_error_is_answered_again(stripe_double: StripeDouble) -> None:
    """A 500 after the work is what its key says for a day; the work is found by a list."""
    stripe_double.faults.force(Fault.ERROR_AFTER)
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            _top_up(stripe_double, "k")

    (found,) = stripe_double.client().v1.topups.list().data
    assert found.metadata.to_dict() == {"op_id": "k"}


@pytest.mark.parametrize("fault", [Fault.ERROR_BEFORE, Fault.RATE_LIMIT, Fault.LOCK_TIMEOUT])
def test_what_was_not_taken_in_may_be_sent_again(stripe_double: StripeDouble, fault: Fault) -> None:
    """Nothing was done and nothing is saved under the key."""
    stripe_double.faults.force(fault)
    with pytest.raises(stripe.StripeError) as caught:
        _top_up(stripe_double, "k")
    assert _topups(stripe_double) == 0

    _top_up(stripe_double, "k")

    assert _topups(stripe_double) == 1
    if fault is not Fault.ERROR_BEFORE:
        assert caught.value.error is not None
        assert caught.value.error.code == fault.value


def test_two_calls_with_one_key_at_once(stripe_double: StripeDouble) -> None:
    """The second is told that the first is still being answered."""
    stripe_double.faults.force(Fault.HOLD)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(_top_up, stripe_double, "k")
        assert stripe_double.faults.held.acquire(timeout=10)

        code = refused(lambda: _top_up(stripe_double, "k"))
        stripe_double.faults.release()

        assert code == "idempotency_key_in_use"
        assert first.result().status == "pending"
    assert _topups(stripe_double) == 1


def test_v2_works_failed_work_again(stripe_double: StripeDouble) -> None:
    """A key of v2 lasts 30 days, and does not replay a failure."""
    client = stripe_double.client()

    def open_account() -> stripe.v2.core.Account:
        return client.v2.core.accounts.create({"display_name": "A"}, {"idempotency_key": "k"})

    stripe_double.faults.force(Fault.ERROR_AFTER)
    with pytest.raises(stripe.APIError):
        open_account()
    made = open_account()
    stripe_double.advance(days=29)

    assert open_account().id == made.id
    stripe_double.advance(days=2)
    assert open_account().id != made.id


def test_random_trouble_never_makes_two(stripe_double: StripeDouble) -> None:
    """Whatever is lost on the way, the same key sent until it is answered makes one object."""
    kinds = (Fault.LOST_REPLY, Fault.ERROR_BEFORE, Fault.RATE_LIMIT)
    stripe_double.faults.plan(rate=0.5, kinds=kinds, seed=7)

    for number in range(10):
        for _ in range(50):
            try:
                _top_up(stripe_double, f"k{number}")
            except stripe.StripeError:
                continue
            break
    stripe_double.faults.plan(rate=0)

    assert _topups(stripe_double) == 10
    assert not stripe_double.operations_twice()
    assert len(stripe_double.faults.laid) >= 5


def test_an_object_is_found_in_its_own_account_only(stripe_double: StripeDouble) -> None:
    """With another account's header, or none, there is no such object."""
    payee, client = a_payee(stripe_double), stripe_double.client()
    a_payment(stripe_double, method="pm_card_bypassPending")
    client.v1.transfers.create({"amount": 500, "currency": "eur", "destination": payee})
    own: Any = {"stripe_account": payee}
    payout = client.v1.payouts.create({"amount": 500, "currency": "eur"}, own)

    assert client.v1.payouts.retrieve(payout.id, {}, own).livemode is False
    assert refused(lambda: client.v1.payouts.retrieve(payout.id)) == "resource_missing"
    nobody: Any = {"stripe_account": "acct_nobody"}
    assert refused(lambda: client.v1.balance.retrieve({}, nobody)) == "account_invalid"
    assert [event.type for event in client.v1.events.list({}, own).data][-1] == "account.updated"


def test_parts_of_an_account_come_when_they_are_asked_for(stripe_double: StripeDouble) -> None:
    """v2 answers null, not less, for what `include` does not name."""
    client = stripe_double.client()
    account = client.v2.core.accounts.create({"display_name": "A", "metadata": {"op_id": "1"}})

    bare = client.v2.core.accounts.retrieve(account.id).to_dict()
    whole = client.v2.core.accounts.retrieve(
        account.id, {"include": ["requirements", "configuration.recipient"]}
    ).to_dict()

    assert (bare["requirements"], bare["configuration"], bare["metadata"]["op_id"]) == (
        None,
        None,
        "1",
    )
    assert len(whole["requirements"]["entries"]) == 2
    assert whole["identity"] is None


@pytest.mark.parametrize(
    ("status", "payouts", "transfers", "may_be_paid_out"),
    [
        ("active", None, "active", True),
        ("active", False, "active", False),
        ("restricted", None, "inactive", False),
        ("rejected", None, "inactive", False),
    ],
)
def test_what_stripe_knows_of_a_payee_shows_in_both_versions(
    stripe_double: StripeDouble,
    status: str,
    transfers: str,
    *,
    payouts: bool | None,
    may_be_paid_out: bool,
) -> None:
    """The capability and the requirements of v2 are those of v1, with their deadline."""
    client, payee = stripe_double.client(), a_payee(stripe_double)
    due = datetime(2030, 1, 1, tzinfo=UTC)
    asked = [] if status == "active" else ["identity.individual.documents"]

    stripe_double.verify(payee, status=status, payouts=payouts, asked=asked, deadline=due)

    old = client.v1.accounts.retrieve(payee)
    new = client.v2.core.accounts.retrieve(
        payee, {"include": ["requirements", "configuration.recipient"]}
    ).to_dict()
    balance = new["configuration"]["recipient"]["capabilities"]["stripe_balance"]
    assert old.capabilities is not None
    assert old.requirements is not None
    assert (old.capabilities.transfers, old.payouts_enabled) == (transfers, may_be_paid_out)
    assert balance["stripe_transfers"]["status"] == status
    assert old.requirements.currently_due == asked
    assert [entry["description"] for entry in new["requirements"]["entries"]] == asked
    assert (old.requirements.current_deadline is None) == (not asked)


def test_an_onboarding_link_leads_to_stripe(stripe_double: StripeDouble) -> None:
    """It is good for minutes, and names the account and where it leads back to."""
    payee = a_payee(stripe_double, verified=False)
    onboarding: Any = {
        "type": "account_onboarding",
        "account_onboarding": {
            "refresh_url": "https://a.example",
            "return_url": "https://b.example",
        },
    }

    link = stripe_double.client().v2.core.account_links.create(
        {"account": payee, "use_case": onboarding}
    )

    assert link.account == payee
    assert link.url.startswith("https://connect.stripe.com/")


def test_a_payee_may_take_our_access_away(stripe_double: StripeDouble) -> None:
    """It is told, and from then on there is no such account for us; the platform goes on."""
    client, payee, heard = stripe_double.client(), a_payee(stripe_double), _hear(stripe_double)

    stripe_double.deauthorize(payee)

    own: Any = {"stripe_account": payee}
    assert refused(lambda: client.v1.balance.retrieve({}, own)) == "account_invalid"
    assert refused(lambda: client.v1.accounts.retrieve(payee)) == "account_invalid"
    assert client.v2.core.accounts.list().data == []
    stripe_double.deliver()
    assert json.loads(heard[-1].body)["type"] == "account.application.deauthorized"
    assert client.v1.balance.retrieve().object == "balance"


def test_a_key_that_is_no_test_key_is_refused(stripe_double: StripeDouble) -> None:
    """401 to a live key, so that no test can carry one."""
    live = requests.get(
        f"{stripe_double.url}/v1/balance", headers={"authorization": "Bearer sk_live_1"}, timeout=10
    )

    assert live.status_code == 401


def test_lists_come_by_pages_newest_first(stripe_double: StripeDouble) -> None:
    """The SDK's auto-paging walks all of them, forwards and within filters."""
    client = stripe_double.client()
    for number in range(7):
        stripe_double.advance(hours=1)
        a_payment(stripe_double, 1_000 + number, transfer_group="odd" if number % 2 else "even")
    since = int(stripe_double.clock.now.timestamp()) - 2 * 3600

    page = client.v1.payment_intents.list({"limit": 3})
    walked = [one.amount for one in page.auto_paging_iter()]
    odd = client.v1.charges.list({"transfer_group": "odd"}).data
    late = client.v1.charges.list({"created": {"gte": since}, "limit": 2})

    assert walked == [1_006 - number for number in range(7)]
    assert [one.amount for one in odd] == [1_005, 1_003, 1_001]
    assert [one.amount for one in late.auto_paging_iter()] == [1_006, 1_005, 1_004]
    assert late.has_more


def test_lists_of_v2_come_by_pages_too(stripe_double: StripeDouble) -> None:
    """By the address of the next page, which keeps the filters."""
    client = stripe_double.client()
    payees = [a_payee(stripe_double) for _ in range(5)]
    created = "v2.core.account.created"

    accounts = client.v2.core.accounts.list({"limit": 2}).auto_paging_iter()
    events = client.v2.core.events.list({"limit": 2, "types": [created]}).auto_paging_iter()
    since: Any = {"created": {"gt": stripe_double.world.iso()}}

    assert [one.id for one in accounts] == payees[::-1]
    assert [one.type for one in events] == [created] * 5
    assert not client.v2.core.events.list(since).data


def _hear(double: StripeDouble) -> list[Delivery]:
    heard: list[Delivery] = []

    def hear(delivery: Delivery) -> int:
        heard.append(delivery)
        return 200

    double.deliveries.send_to(hear)
    return heard


def test_webhooks_are_signed_for_their_endpoint(stripe_double: StripeDouble) -> None:
    """Our own account's events come to one endpoint, payees' to the other, each by its secret."""
    client, heard = stripe_double.client(), _hear(stripe_double)
    payee = a_payee(stripe_double)
    a_payment(stripe_double)

    assert stripe_double.deliver() == len(heard)

    secrets = {"platform": PLATFORM_SECRET, "connect": CONNECT_SECRET}
    kinds = set[str]()
    for delivery in heard:
        header, secret = delivery.headers["stripe-signature"], secrets[delivery.endpoint]
        if b'"v2.core.event"' in delivery.body:
            thin = client.parse_event_notification(delivery.body, header, secret)
            assert thin.fetch_event().id == thin.id
            kinds.add(thin.type)
        else:
            event = client.construct_event(delivery.body, header, secret)
            assert ("account" in event) == (delivery.endpoint == "connect")
            kinds.add(event.type)
    assert {"payment_intent.succeeded", "account.updated", "v2.core.account.created"} <= kinds
    assert payee in {json.loads(delivery.body).get("account") for delivery in heard}


def test_a_webhook_with_the_other_secret_is_refused(stripe_double: StripeDouble) -> None:
    """The endpoint's own secret proves that it is Stripe's."""
    heard = _hear(stripe_double)
    a_payment(stripe_double)
    stripe_double.deliver()

    with pytest.raises(stripe.SignatureVerificationError):
        stripe_double.client().construct_event(
            heard[0].body, heard[0].headers["stripe-signature"], CONNECT_SECRET
        )


def test_webhooks_come_in_any_order_twice_or_never(stripe_double: StripeDouble) -> None:
    """Reversed, shuffled by a seed, each twice, all lost; what is not taken comes again."""
    queue, heard = stripe_double.deliveries, _hear(stripe_double)
    fifo = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]
    fifo.append("charge.updated")

    def deliver() -> list[str]:
        heard.clear()
        stripe_double.deliver()
        return [json.loads(delivery.body)["type"] for delivery in heard]

    a_payment(stripe_double)
    assert deliver() == fifo
    queue.order = Order.REVERSE
    a_payment(stripe_double)
    assert deliver() == fifo[::-1]
    queue.order, queue._random = Order.SHUFFLE, random.Random(3)
    a_payment(stripe_double)
    assert sorted(deliver()) == sorted(fifo)
    queue.order, queue.duplicate = Order.FIFO, 1.0
    a_payment(stripe_double)
    assert deliver() == [name for name in fifo for _ in range(2)]
    queue.duplicate, queue.drop = 0.0, 1.0
    a_payment(stripe_double)
    assert deliver() == []
    assert [message.name.split()[0] for message in queue.dropped] == fifo


def test_a_webhook_that_is_not_taken_comes_again(stripe_double: StripeDouble) -> None:
    """Anything but 2xx leaves it in the queue."""
    answers = iter([500, 200])
    heard: list[str] = []

    def hear(delivery: Delivery) -> int:
        heard.append(delivery.name)
        return next(answers)

    stripe_double.client().v1.topups.create({"amount": 500, "currency": "eur"})
    stripe_double.deliveries.send_to(hear)

    stripe_double.deliver()
    stripe_double.deliver()

    assert len(heard) == 2
    assert heard[0] == heard[1]
    assert not stripe_double.deliveries.waiting


SIM: dict[str, tuple[dict[str, Any], Callable[[Any], bool]]] = {
    "clock": ({"advance_s": 3 * 86_400}, lambda said: "now" in said),
    "balances": ({}, lambda said: said["result"]["acct_platform"]["eur"]["available"] == 9_680),
    "violations": ({}, lambda said: said["result"] == []),
    "objects_of": ({"op_id": "op"}, lambda said: len(said["result"]) == 1),
    "reserve": ({"amount": 5, "currency": "eur"}, lambda said: said["result"]["amount"] == 5),
    "delivery": ({"order": "shuffle", "drop": 0.1}, lambda said: said["result"] == {}),
    "force": ({"fault": "error_before", "path": "/v1/topups"}, lambda said: said == {}),
    "plan": ({"rate": 0, "kinds": ["lost_reply"]}, lambda said: said == {}),
    "pay": ({"intent": "pi_no"}, lambda said: "No such payment_intent" in said["error"]),
    "nothing": ({}, lambda said: "no such verb" in said["error"] and "pay" in said["error"]),
}


@pytest.mark.parametrize("verb", SIM)
def test_the_control_plane_is_on_the_wire_too(stripe_double: StripeDouble, verb: str) -> None:
    """Every verb is a POST with a JSON object, for tests in another process."""
    body, is_right = SIM[verb]
    a_payment(stripe_double)
    requests.post(f"{stripe_double.url}/_sim/clock", json={"advance_s": 2 * 86_400}, timeout=10)

    said = requests.post(f"{stripe_double.url}/_sim/{verb}", json=body, timeout=10).json()

    assert is_right(said)


def test_balances_agree_with_the_transactions(stripe_double: StripeDouble) -> None:
    """Money that was moved without a transaction is found."""
    a_payment(stripe_double)
    held = stripe_double.world.ledgers["acct_platform"].money["eur"]
    held.available += 1

    with pytest.raises(AssertionError):
        stripe_double.balances()
    held.available -= 1

    assert types(stripe_double) == ["charge"]


def test_the_double_starts_at_a_time_of_ours() -> None:
    """The clock stands still until it is moved."""
    began = datetime(2026, 3, 1, 12, tzinfo=UTC)

    with StripeDouble(now=began) as double:
        payment = a_payment(double)

        assert payment.created == int(began.timestamp())
        assert double.clock.now == began


def test_what_a_verb_does_not_take_is_said() -> None:
    """To whoever typed it, instead of a line that hangs up; a test's own mistake counts, too."""
    with StripeDouble() as double:
        answer = requests.post(f"{double.url}/_sim/pay", json={"intents": "pi_1"}, timeout=10)

        assert (answer.status_code, "not what pay takes" in answer.json()["error"]) == (400, True)
        assert len(double.frame.broken) == 1
