"""Stripe's events and its own statement, worked to the end: the books equal Stripe's balances."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine

from kernel.database import Tenant, transaction
from kernel.principals import RAIL
from ledger.chart import account
from ledger.model import AccountKey, Book, Draft, Entry, Line
from ledger.proof import prove
from ledger.service import balances, post
from payouts.service_transactions import hear_statement
from rails import events, service
from rails.caller import run_once
from rails.model import (
    TRANSACTIONS_BOOKED,
    OperationKind,
    RailOperation,
    RailOutcome,
    RailResult,
)
from rails.model_kept import EventState
from tests.doubles.frame import Delivery, Order
from tests.doubles.stripe_double.world import PLATFORM
from tests.rails.stripe.builders import VISA, Stage
from tests.rails.stripe.fixtures import stage, stripe_double

__all__ = ["stage", "stripe_double"]


class _Books:
    """Books each result as the product does: payments come in pending, all else is available."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ways: dict[str, tuple[str, str]] = {}

    def hear(self, connection: Connection, results: Sequence[RailResult], at: datetime) -> None:
        for each in results:
            if each.outcome is not RailOutcome.DONE:
                continue
            lines, cost = self._lines(each), each.fee_minor
            entries = [Entry(Book.CUSTODY, each.currency, tuple(line for line in lines if line[1]))]
            if cost:
                platform = (
                    Line(account("platform.expense.processor", each.currency), cost),
                    Line(account("platform.due_to_custody", each.currency), -cost),
                )
                entries.append(Entry(Book.PLATFORM, each.currency, platform))
            draft = Draft("test.booked", each.subject, RAIL, at, tuple(entries))
            (answer,) = post(connection, [draft])
            assert not isinstance(answer, Exception), answer

    def _lines(self, each: RailResult) -> list[Line]:
        def at_stripe(which: str, place: str) -> AccountKey:
            return account(f"custody.processor_{which}", each.currency, place)

        amount, fee = each.amount_minor, each.fee_minor
        owed = account("custody.due_to_platform", each.currency)
        mirror = Line(account("custody.due_from_platform", each.currency), fee)
        if each.kind is OperationKind.FUND:
            pending = Line(at_stripe("pending", "stripe"), amount - fee)
            return [pending, mirror, Line(account("custody.wallet", each.currency, "w"), -amount)]
        if each.kind is OperationKind.REFUND:
            available = Line(at_stripe("available", "stripe"), -amount - fee)
            return [available, mirror, Line(account("custody.wallet", each.currency, "w"), amount)]
        assert each.kind is OperationKind.TRANSFER, owed
        source, target = self.ways[str(each.operation_id)]
        return [
            Line(at_stripe("available", target), amount),
            Line(at_stripe("available", source), -amount),
        ]


def _held(connection: Connection, place: str, currency: str) -> dict[str, int]:
    keys = {
        which: account(f"custody.processor_{which}", currency, place)
        for which in ("available", "pending", "reserved")
    }
    found = balances(connection, list(keys.values()))
    return {which: found[key] for which, key in keys.items()}


def _send(
    engine: Engine, tenant: Tenant, stage: Stage, books: _Books, *wanted: RailOperation
) -> None:
    for each in wanted:
        if each.kind is OperationKind.TRANSFER:
            books.ways[str(each.id)] = (each.facts["source"], each.facts["target"])
    with transaction(engine, tenant) as connection:
        service.intend(connection, wanted, at=stage.now)
    handlers = {"test.heard": books.hear}
    assert run_once(engine, tenant, stage.rail, handlers, stage.now).failed == 0


def _listen(engine: Engine, tenant: Tenant, stage: Stage) -> None:
    """Every second webhook is lost, the others come twice and in any order."""

    def receive(delivery: Delivery) -> int:
        opened = stage.rail.open_event(
            delivery.body, delivery.headers, endpoint=delivery.endpoint, at=stage.now
        )
        with transaction(engine, tenant) as connection:
            events.take_in(connection, opened, stage.now)
        return 200

    for endpoint in ("platform", "connect"):
        stage.double.deliveries.send_to(receive, endpoint=endpoint)
    stage.double.deliveries.duplicate = 1.0
    stage.double.deliveries.drop = 0.5
    stage.double.deliveries.order = Order.SHUFFLE


def _work(engine: Engine, tenant: Tenant, stage: Stage, books: _Books) -> None:
    """Deliver, fill the gaps and work until nothing is left; and once more, which adds nothing."""
    handlers = {"test.heard": books.hear}
    notices = {
        TRANSACTIONS_BOOKED: hear_statement,
        "payee_changed": lambda _connection, _notices, _at: None,
    }
    stage.double.deliver()
    with transaction(engine, tenant) as connection:
        connection.exec_driver_sql("UPDATE rail_cursor SET asked_at = NULL")
    while not events.step(engine, tenant, stage.rail, handlers, notices, stage.now).is_quiet:
        pass


def test_the_books_equal_stripes_balances_whatever_webhooks_do(
    own_engine: Engine, tenant: Tenant, stage: Stage
) -> None:
    """Payments in three currencies, a refund, a transfer of unsettled money, a bill, a reserve.

    On the day, and when all has become available, each account of the books holds to the minor
    unit what Stripe says: its own and the payee's, available, pending and reserved.
    """
    books = _Books(stage)
    _listen(own_engine, tenant, stage)
    amounts = {"EUR": 10_300, "JPY": 9_000, "KWD": 10_300}
    paid = {
        currency: stage.operation(OperationKind.FUND, amount, currency=currency, method=VISA)
        for currency, amount in amounts.items()
    }
    _send(own_engine, tenant, stage, books, *paid.values())
    payee = stage.payee()
    transfer = stage.transfer(payee, 4_000, charge_of=str(paid["EUR"].id))
    _send(own_engine, tenant, stage, books, transfer)
    _work(own_engine, tenant, stage, books)
    _check(own_engine, tenant, stage, payee)

    stage.double.advance(days=8)
    refund = stage.operation(
        OperationKind.REFUND, 2_000, currency="JPY", funding_id=str(paid["JPY"].id)
    )
    _send(own_engine, tenant, stage, books, refund)
    stage.double.bill(250, "eur")
    stage.double.reserve(1_000, "eur")
    _work(own_engine, tenant, stage, books)
    _check(own_engine, tenant, stage, payee)

    with transaction(own_engine, tenant) as connection:
        left = events.list_events(connection, limit=1_000)
        assert prove(connection).is_clean
    assert {each.state for each in left} == {EventState.PROCESSED}


def _check(engine: Engine, tenant: Tenant, stage: Stage, payee: str) -> None:
    told = stage.double.balances()
    with transaction(engine, tenant) as connection:
        for name, place in ((PLATFORM, "stripe"), (payee, f"stripe:{payee}")):
            assert "eur" in told[name]
            for currency, held in told[name].items():
                assert _held(connection, place, currency.upper()) == held, (place, currency)
