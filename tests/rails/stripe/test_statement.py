"""Stripe's own statement: every movement once, by our words, and its sum is the balance."""

from collections import defaultdict

import pytest

from rails.model import OperationKind, RailAccount
from rails.model_events import Authentic, RailTransaction, TransactionKind
from rails.stripe.statement import kind_of, line_of
from tests.rails.stripe.builders import TENANT, Stage
from tests.rails.stripe.fixtures import stage, stripe_double

__all__ = ["stage", "stripe_double"]


def _all(stage: Stage, *, limit: int = 1_000) -> list[RailTransaction]:
    """The whole statement, asked for until nothing is left in the round."""
    position, lines = "", list[RailTransaction]()
    for _ in range(1_000):
        page = stage.rail.transactions(after=position, limit=limit, at=stage.now)
        lines += page.transactions
        position = page.position
        if page.is_last:
            return lines
    raise AssertionError("the statement never ends")


def _busy(stage: Stage) -> str:
    """A day of everything: paid, refunded, transferred, paid out and returned, charged back."""
    account = stage.payee()
    first, _ = stage.fund(20_000)
    _, second = stage.fund(30_000)
    stage.fund(5_000, "JPY")
    stage.fund(90_000, "KWD")
    stage.double.advance(days=3)
    stage.do(stage.operation(OperationKind.REFUND, 2_000, funding_id=str(first.id)))
    stage.do(stage.transfer(account, 9_000))
    stage.double.bank(account, does="fail_after_paid")
    stage.do(stage.payout(account, 4_000))
    charge = stage.rail.wire.payment(second.rail_ref)["latest_charge"]["id"]
    dispute = stage.double.dispute(charge)
    stage.double.move_dispute(dispute["id"], "won")
    stage.double.bill(250, "eur")
    stage.double.reserve(1_000, "eur")
    stage.double.advance(days=10)
    return account


@pytest.mark.parametrize("limit", [2, 1_000])
def test_the_statement_adds_up_to_the_balance(stage: Stage, limit: int) -> None:
    """Every movement of ours and of the payee's is listed; what they add is what is there."""
    account = _busy(stage)
    lines = {line.transaction_ref: line for line in _all(stage, limit=limit)}

    sums: dict[tuple[str, str], int] = defaultdict(int)
    for line in lines.values():
        if line.facts["balance_type"] == "payments":
            sums[line.account, line.currency] += line.net_minor
    held: dict[tuple[str, str], int] = defaultdict(int)
    for balance in stage.rail.balances(at=stage.now):
        if balance.account is not RailAccount.PROCESSOR_RESERVED:
            name = balance.rail_account.partition(":")[2]
            held[name, balance.currency] += balance.amount_minor

    assert {key: value for key, value in held.items() if value} == {
        key: value for key, value in sums.items() if value
    }
    kinds = {line.kind for line in lines.values() if not line.account}
    assert kinds == {
        TransactionKind.FUNDING,
        TransactionKind.REFUND,
        TransactionKind.TRANSFER,
        TransactionKind.CHARGEBACK,
        TransactionKind.CHARGEBACK_BACK,
        TransactionKind.FEE,
        TransactionKind.RESERVE,
    }
    assert {line.kind for line in lines.values() if line.account == account} == {
        TransactionKind.TRANSFER,
        TransactionKind.PAYOUT,
        TransactionKind.PAYOUT_BACK,
    }


def test_a_line_names_its_operation_and_when_it_counts(stage: Stage) -> None:
    """A payment's line is its operation's, pending until its money is available."""
    operation, result = stage.fund()

    (line,) = _all(stage)

    assert line.operation_id == operation.id
    assert line.transaction_ref == result.transaction_ref
    assert (line.amount_minor, line.fee_minor) == (result.amount_minor, result.fee_minor)
    assert line.available_at > line.occurred_at
    assert line.facts["payment"] == result.rail_ref


def test_what_a_payee_got_is_our_transfers(stage: Stage) -> None:
    """A payee's line has no metadata of ours: it is named by the transfer, or by its reversal."""
    account = stage.payee()
    funding, _ = stage.fund()
    transfer = stage.transfer(account, charge_of=str(funding.id))
    sent = stage.do(transfer)
    stage.double.advance(days=3)
    facts = {"source": f"stripe:{account}", "target": "stripe", "transfer": str(transfer.id)}
    some = stage.operation(OperationKind.TRANSFER_BACK, 2_000, **facts)
    rest = stage.operation(OperationKind.TRANSFER_BACK, 3_000, **facts)
    stage.rail.execute([some, rest], at=stage.now)

    lines = [line for line in _all(stage) if line.account == account]

    assert [(line.kind, line.operation_id) for line in lines] == [
        (TransactionKind.TRANSFER, transfer.id),
        (TransactionKind.TRANSFER_BACK, some.id),
        (TransactionKind.TRANSFER_BACK, rest.id),
    ]
    assert {line.facts["transfer"] for line in lines} == {sent.rail_ref}


def test_the_statement_goes_on_where_it_stood(stage: Stage) -> None:
    """Only what is new, and the last minute, is listed again; nothing is left out."""
    stage.fund()
    stage.double.advance(hours=1)
    stage.fund()
    first = stage.rail.transactions(after="", limit=100, at=stage.now)
    stage.double.advance(hours=1)
    stage.fund()

    more = stage.rail.transactions(after=first.position, limit=100, at=stage.now)
    again = stage.rail.transactions(after=more.position, limit=100, at=stage.now)

    assert [len(page.transactions) for page in (first, more, again)] == [2, 2, 1]
    assert first.transactions[-1] == more.transactions[0]
    assert again.position == more.position


def test_gaps_in_events_are_filled_over_many_pages(stage: Stage) -> None:
    """Events of ours and of payees' accounts are listed, oldest first, each with its account."""
    account = stage.payee()
    for _ in range(30):
        stage.fund(method="")
    for _ in range(20):
        stage.fund()
    stage.hear()
    sent = {event.event_id for event in stage.heard}
    position, found = "", []
    for _ in range(100):
        events, after = stage.rail.list_events(after=position, limit=40, at=stage.now)
        found += events
        if after == position:
            break
        position = after

    assert len(sent) > 100
    assert {event.event_id for event in found} == sent
    assert {event.account for event in found} == {"", account}
    assert {event.authentic for event in found} == {Authentic.API}
    assert "v2.core.account.created" in {event.kind for event in found}
    is_thin = {event.event_id: event.kind.startswith("v2.") for event in found}
    ours = [e.event_id for e in found if not e.account and not is_thin[e.event_id]]
    assert list(dict.fromkeys(ours)) == sorted(set(ours))


def test_an_anchor_that_stripe_forgot_starts_anew(stage: Stage) -> None:
    """Events are kept for 30 days: behind a forgotten one, all that is left is listed."""
    stage.fund()
    _, position = stage.rail.list_events(after="", limit=1, at=stage.now)
    stage.double.advance(days=31)
    stage.fund()

    events, _ = stage.rail.list_events(after=position, limit=100, at=stage.now)

    assert {event.kind for event in events} >= {"payment_intent.created", "charge.succeeded"}


@pytest.mark.parametrize(
    ("kind", "category", "amount", "account", "word"),
    [
        ("charge", "charge", 1, "", "funding"),
        ("payment", "charge", 1, "", "funding"),
        ("payment", "charge", 1, "acct_1", "transfer"),
        ("payment_refund", "refund", -1, "acct_1", "transfer_back"),
        ("payment_failure_refund", "charge_failure", -1, "", "funding_back"),
        ("refund", "partial_capture_reversal", -1, "", "funding_back"),
        ("refund", "refund", -1, "", "refund"),
        ("refund_failure", "refund_failure", 1, "", "refund_back"),
        ("transfer_refund", "transfer_reversal", 1, "", "transfer_back"),
        ("payout", "payout", -1, "acct_1", "payout"),
        ("payout_failure", "payout_reversal", 1, "acct_1", "payout_back"),
        ("payout_cancel", "payout_reversal", 1, "", "payout_back"),
        ("adjustment", "dispute", -1, "", "chargeback"),
        ("adjustment", "dispute_reversal", 1, "", "chargeback_back"),
        ("adjustment", "other_adjustment", 1, "", "other"),
        ("stripe_fee", "fee", -1, "", "fee"),
        ("stripe_fx_fee", "fee", -1, "", "fee"),
        ("topup", "topup", 1, "", "top_up"),
        ("reserve_hold", "risk_reserved_funds", -1, "", "reserve"),
        ("reserve_release", "risk_reserved_funds", 1, "", "reserve_back"),
        ("reserved_funds", "risk_reserved_funds", 1, "", "reserve_back"),
        ("payment_network_reserve_hold", "network", -1, "", "reserve"),
        ("payout_minimum_balance_release", "payout_minimum_balance", 1, "", "reserve_back"),
        ("climate_order_purchase", "climate_order_purchase", -1, "", "other"),
        ("a_new_type", "a_new_category", 1, "", "other"),
    ],
)
def test_every_type_has_a_word(
    kind: str, category: str, amount: int, account: str, word: str
) -> None:
    """The table of types; what it does not know must be looked at."""
    found = {"type": kind, "reporting_category": category, "amount": amount}

    assert kind_of(found, account=account) == TransactionKind(word)


def test_a_rate_is_kept_as_it_was_written() -> None:
    """An exchange rate is text and never becomes a number of ours."""
    line = line_of(
        {
            "id": "txn_1",
            "amount": 5_000,
            "fee": 0,
            "currency": "jpy",
            "created": 1_772_000_000,
            "available_on": 1_772_000_000,
            "exchange_rate": "161.2300000000000001",
            "reporting_category": "charge",
            "source": "ch_1",
            "status": "available",
            "type": "charge",
        },
        account="",
        tenant=TENANT,
    )

    assert line.rate_text == "161.2300000000000001"
    assert (line.amount_minor, line.currency, line.operation_id) == (5_000, "JPY", None)
