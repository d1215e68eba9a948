"""The worker, a real database, and an M-Pesa that fails a third of all calls: nothing is twice."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from kernel.database import Tenant, transaction
from rails import events, service
from rails.caller import run_once
from rails.model import (
    FUNDS_AVAILABLE,
    Notice,
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


def test_a_failing_mpesa_moves_each_operation_once_and_the_books_agree(
    stage: Stage, own_engine: Engine, tenant: Tenant
) -> None:
    """Lost answers and busy calls on a third of all; callbacks twice and shuffled."""
    heard: list[RailResult] = []
    available: list[int] = []
    double = stage.double

    def hear(_connection: Connection, results: Sequence[RailResult], _at: datetime) -> None:
        heard.extend(results)

    def note(_connection: Connection, notices: Sequence[Notice], _at: datetime) -> None:
        available.extend(each.amount_minor for each in notices)

    def take_in(delivery: Delivery) -> int:
        came = stage.rail.open_event(
            delivery.body, delivery.headers, endpoint=delivery.endpoint, at=stage.now
        )
        with transaction(own_engine, tenant) as connection:
            events.take_in(connection, came, stage.now)
        return 200

    def work(operations: Sequence[RailOperation]) -> None:
        with transaction(own_engine, tenant) as connection:
            service.intend(connection, operations, at=stage.now)
        for _ in range(ROUNDS):
            stage.double.clock.advance(timedelta(minutes=1))
            run_once(own_engine, tenant, stage.rail, {"tests": hear}, stage.now, lease=timedelta(0))
            for name, push in list(double.pushes.items()):
                if push["code"] is None:
                    double.answer_push(name, code=1032 if push["amount"] == "104" else 0)
            double.deliveries.deliver()
            with transaction(own_engine, tenant) as connection:
                connection.exec_driver_sql(NO_WAIT)
            events.step(
                own_engine,
                tenant,
                stage.rail,
                {"tests": hear},
                {FUNDS_AVAILABLE: note},
                stage.now,
            )
            ended = {r.operation_id for r in heard if r.outcome is not RailOutcome.PENDING}
            if ended >= {each.id for each in operations}:
                return

    double.deliveries.send_to(take_in)
    double.deliveries.duplicate = 0.3
    double.deliveries.order = Order.SHUFFLE
    double.faults.plan(rate=0.33, kinds=LOSSES, seed=3)
    fundings = [stage.operation(OperationKind.FUND, 10_000 + 100 * i) for i in range(6)]
    payouts = [stage.operation(OperationKind.PAYOUT, 5_000 + 100 * i) for i in range(4)]
    work(fundings)
    work(payouts)
    double.faults.plan(rate=0)

    ends = Counter(
        (r.operation_id, r.outcome) for r in heard if r.outcome is not RailOutcome.PENDING
    )
    expected = {(each.id, RailOutcome.DONE): 1 for each in (*fundings, *payouts)}
    del expected[fundings[4].id, RailOutcome.DONE]
    assert ends == expected | {(fundings[4].id, RailOutcome.REFUSED): 1}
    assert len(double.faults.laid) > 10
    assert [push["said"]["PartyA"] for push in double.pushes.values()] == [PHONE] * 6
    assert sorted(double.payments) == sorted(str(each.id) for each in payouts)
    paid = sum(r.amount_minor for r in heard if r.kind is OperationKind.FUND and _is_done(r))
    gone = sum(r.amount_minor for r in heard if r.kind is OperationKind.PAYOUT and _is_done(r))
    assert (paid, gone) == (51_100, 20_600)
    assert double.balance * 100 == paid - gone
    assert sum(available) <= paid
    assert len(available) == len(set(available))


def _is_done(result: RailResult) -> bool:
    return result.outcome is RailOutcome.DONE
