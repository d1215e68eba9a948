"""The worker, a real database, and an M-Pesa that fails a third of all calls: nothing is twice."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from kernel.database import Tenant, transaction
from rails import events, service
from rails.caller import run_once
from rails.model import (
    OperationKind,
    RailOperation,
    RailOutcome,
    RailResult,
)
from tests.doubles.frame import Delivery, Fault, Order
from tests.rails.mpesa.stage import PHONE, Stage

ROUNDS = 40
NO_WAIT = "UPDATE rail_event SET leased_until = NULL WHERE state = 'new'"
"""What was put off in real time is due in the next round."""

LOSSES = (Fault.LOST_REPLY, Fault.ERROR_AFTER, Fault.RATE_LIMIT)


class Books:
    """What handlers heard, as they would book it."""

    def __init__(self, stage: Stage, engine: Engine, tenant: Tenant) -> None:
        self.stage, self.engine, self.tenant = stage, engine, tenant
        self.heard: list[RailResult] = []
        stage.double.deliveries.send_to(self.take_in)

    def hear(self, _connection: Connection, results: Sequence[RailResult], _at: datetime) -> None:
        self.heard += results

    def take_in(self, delivery: Delivery) -> int:
        at = self.stage.now
        came = self.stage.rail.open_event(
            delivery.body, delivery.headers, endpoint=delivery.endpoint, at=at
        )
        with transaction(self.engine, self.tenant) as connection:
            events.take_in(connection, came, at)
        return 200

    @property
    def ends(self) -> list[RailResult]:
        return [each for each in self.heard if each.outcome is not RailOutcome.PENDING]

    def work(self, operations: Sequence[RailOperation]) -> None:
        """Rounds of the worker until all have ended; customers answer what they are asked."""
        rail, double, handlers = self.stage.rail, self.stage.double, {"tests": self.hear}
        with transaction(self.engine, self.tenant) as connection:
            service.intend(connection, operations, at=self.stage.now)
        for _ in range(ROUNDS):
            double.clock.advance(timedelta(minutes=1))
            at = self.stage.now
            run_once(self.engine, self.tenant, rail, handlers, at, lease=timedelta(0))
            for name, push in list(double.pushes.items()):
                if push["code"] is None:
                    double.answer_push(name, code=1032 if push["amount"] == "104" else 0)
            double.deliveries.deliver()
            with transaction(self.engine, self.tenant) as connection:
                connection.exec_driver_sql(NO_WAIT)
            events.step(self.engine, self.tenant, rail, handlers, {}, at)
            if {each.operation_id for each in self.ends} >= {each.id for each in operations}:
                return

    def done(self, kind: OperationKind) -> int:
        return sum(
            each.amount_minor
            for each in self.ends
            if each.kind is kind and each.outcome is RailOutcome.DONE
        )


def test_a_failing_mpesa_moves_each_operation_once_and_the_books_agree(
    stage: Stage, own_engine: Engine, tenant: Tenant
) -> None:
    """Lost answers and busy calls on a third of all; callbacks twice and shuffled."""
    books, double = Books(stage, own_engine, tenant), stage.double
    double.deliveries.duplicate = 0.3
    double.deliveries.order = Order.SHUFFLE
    double.faults.plan(rate=0.33, kinds=LOSSES, seed=3)
    fundings = [stage.operation(OperationKind.FUND, 10_000 + 100 * i) for i in range(6)]
    payouts = [stage.operation(OperationKind.PAYOUT, 5_000 + 100 * i) for i in range(4)]

    books.work(fundings)
    books.work(payouts)
    double.faults.plan(rate=0)

    expected = {(each.id, RailOutcome.DONE): 1 for each in (*fundings, *payouts)}
    del expected[fundings[4].id, RailOutcome.DONE]
    expected[fundings[4].id, RailOutcome.REFUSED] = 1
    assert Counter((each.operation_id, each.outcome) for each in books.ends) == expected
    assert len(double.faults.laid) > 10
    assert [push["said"]["PartyA"] for push in double.pushes.values()] == [PHONE] * 6
    assert sorted(double.payments) == sorted(str(each.id) for each in payouts)
    paid, gone = books.done(OperationKind.FUND), books.done(OperationKind.PAYOUT)
    assert (paid, gone) == (51_100, 20_600)
    assert double.balance * 100 == paid - gone
