"""The worker, a real database, and a PayPal that fails a third of all calls: nothing is twice."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, Engine

from kernel.database import Tenant, transaction
from kernel.errors import RailTrouble
from rails import events, service
from rails.caller import run_once
from rails.model import OperationKind, RailOperation, RailOutcome, RailResult
from rails.paypal.rules import operation_of
from rails.refusals import BadSignature
from tests.doubles.frame import Delivery, Order
from tests.rails.paypal.stage import Stage

ROUNDS = 60
NO_WAIT = "UPDATE rail_event SET leased_until = NULL WHERE state = 'new'"
"""What was put off in real time is due in the next round."""


class Books:
    """What handlers heard, as they would book it: each DONE once."""

    def __init__(self, stage: Stage, engine: Engine, tenant: Tenant) -> None:
        self.stage, self.engine, self.tenant = stage, engine, tenant
        self.heard: list[RailResult] = []
        stage.double.deliveries.send_to(self.take_in)

    def hear(self, _connection: Connection, results: Sequence[RailResult], _at: datetime) -> None:
        self.heard += results

    def take_in(self, delivery: Delivery) -> int:
        """What the webhook endpoint does: verify, keep, commit, answer."""
        at = self.stage.now
        try:
            came = self.stage.rail.open_event(
                delivery.body, delivery.headers, endpoint="platform", at=at
            )
        except BadSignature:
            return 400
        except RailTrouble:
            return 503
        with transaction(self.engine, self.tenant) as connection:
            events.take_in(connection, came, at)
        return 200

    def intend(self, operations: Sequence[RailOperation]) -> None:
        with transaction(self.engine, self.tenant) as connection:
            service.intend(connection, operations, at=self.stage.now)

    def known(self, operations: Sequence[RailOperation]) -> list[RailOperation]:
        with transaction(self.engine, self.tenant) as connection:
            return service.list_operations(connection, [each.id for each in operations])

    def work(self, operations: Sequence[RailOperation]) -> None:
        """Rounds of the worker until all have ended; payers approve what they have a link to."""
        stage, handlers = self.stage, {"tests": self.hear}
        for _ in range(ROUNDS):
            stage.wait(minutes=1)
            run_once(self.engine, self.tenant, stage.rail, handlers, stage.now, lease=timedelta(0))
            for each in self.known(operations):
                order = stage.double.state.orders.get(each.rail_ref)
                if order is not None and order["status"] == "PAYER_ACTION_REQUIRED":
                    stage.double.state.approve(each.rail_ref)
            stage.double.deliveries.deliver()
            with transaction(self.engine, self.tenant) as connection:
                connection.exec_driver_sql(NO_WAIT)
            events.step(self.engine, self.tenant, stage.rail, handlers, {}, stage.now)
            ended = {r.operation_id for r in self.heard if r.outcome is not RailOutcome.PENDING}
            if ended >= {each.id for each in operations}:
                return

    def done(self, operations: Sequence[RailOperation]) -> list[RailResult]:
        ids = {each.id for each in operations}
        return [
            each
            for each in self.heard
            if each.operation_id in ids and each.outcome is RailOutcome.DONE
        ]


def test_a_failing_paypal_moves_each_operation_once_and_the_books_agree(
    stage: Stage, own_engine: Engine, tenant: Tenant
) -> None:
    """Lost answers, errors and 429 on a third of all calls; webhooks twice, shuffled, dropped."""
    books = Books(stage, own_engine, tenant)
    double = stage.double
    double.faults.plan(rate=0.33, seed=7)
    double.deliveries.duplicate, double.deliveries.drop = 0.3, 0.3
    double.deliveries.order = Order.SHUFFLE
    fundings = [stage.operation(OperationKind.FUND, 10_000 + i, "EUR") for i in range(6)]
    fundings += [stage.operation(OperationKind.FUND, 20_000 + i, "JPY") for i in range(2)]

    books.intend(fundings)
    books.work(fundings)
    funded = books.known(fundings)
    refunds = [stage.refund(each, 1_000) for each in funded[:4]]
    payouts = [stage.payout(2_000 + i, "EUR") for i in range(4)]
    books.intend([*refunds, *payouts])
    books.work([*refunds, *payouts])
    double.faults.plan(rate=0)

    state, every = double.state, [*fundings, *refunds, *payouts]
    assert len(double.faults.laid) > 20
    assert Counter(each.operation_id for each in books.done(every)) == {e.id: 1 for e in every}
    assert Counter(operation_of(c["custom_id"]) for c in state.captures.values()) == {
        each.id: 1 for each in fundings
    }
    assert Counter(operation_of(r["custom_id"]) for r in state.refunds.values()) == {
        each.id: 1 for each in refunds
    }
    assert Counter(b["sender_batch_id"] for b in state.batches.values()) == {
        str(each.id): 1 for each in payouts
    }
    signs = {OperationKind.FUND: 1, OperationKind.REFUND: -1, OperationKind.PAYOUT: -1}
    booked = {"EUR": 0, "JPY": 0}
    for each in books.done(every):
        booked[each.currency] += signs[each.kind] * each.amount_minor - each.fee_minor
    payout_fees = sum((Decimal(each.amount_minor) / 50 for each in payouts), Decimal())
    assert booked["EUR"] - int(payout_fees.quantize(Decimal(1))) == state.balance["EUR"] * 100
    assert booked["JPY"] == state.balance["JPY"]
