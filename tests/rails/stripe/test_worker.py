"""The rail under the loop that works it, on a real database, while a third of all calls fail."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from kernel.database import Tenant, transaction
from rails import events, service
from rails.caller import run_once
from rails.model import OperationKind, RailOutcome, RailResult
from tests.doubles.frame import Delivery, Fault
from tests.rails.stripe.builders import Stage
from tests.rails.stripe.fixtures import stage, stripe_double

__all__ = ["stage", "stripe_double"]

_FAULTS = (
    Fault.LOST_REPLY,
    Fault.ERROR_AFTER,
    Fault.ERROR_BEFORE,
    Fault.RATE_LIMIT,
    Fault.LOCK_TIMEOUT,
)


class _Ear:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[RailResult] = []

    def hear(
        self, _connection: Connection, results: Sequence[RailResult], _at: datetime
    ) -> list[object]:
        self.heard += results
        return []


def test_a_third_of_all_calls_may_fail(own_engine: Engine, tenant: Tenant, stage: Stage) -> None:
    """Every payment is made once and told once, whatever is lost on the way."""
    ear = _Ear()
    operations = [stage.operation(OperationKind.FUND, method="pm_card_visa") for _ in range(12)]
    with transaction(own_engine, tenant) as connection:
        service.intend(connection, operations, at=stage.now)
    stage.double.faults.plan(rate=0.33, kinds=_FAULTS, seed=7)

    for _ in range(200):
        run_once(
            own_engine,
            tenant,
            stage.rail,
            {"test.heard": ear.hear},
            stage.now,
            lease=timedelta(days=-1),
        )
        stage.double.advance(seconds=30)
        if len(ear.heard) == len(operations):
            break

    assert {each.outcome for each in ear.heard} == {RailOutcome.DONE}
    assert {each.operation_id for each in ear.heard} == {each.id for each in operations}
    assert len(ear.heard) == len(operations)
    assert len({each.transaction_ref for each in ear.heard}) == len(operations)
    assert not stage.double.operations_twice()


def test_webhooks_and_gap_fill_book_one_truth(
    own_engine: Engine, tenant: Tenant, stage: Stage
) -> None:
    """A payment made on the page is told once, though events come twice and are listed as well."""
    ear = _Ear()
    paid = stage.operation(OperationKind.FUND, method="")
    with transaction(own_engine, tenant) as connection:
        service.intend(connection, [paid], at=stage.now)
    run_once(own_engine, tenant, stage.rail, {"test.heard": ear.hear}, stage.now)
    (pending,) = ear.heard

    def receive(delivery: Delivery) -> int:
        opened = stage.rail.open_event(
            delivery.body, delivery.headers, endpoint=delivery.endpoint, at=stage.now
        )
        with transaction(own_engine, tenant) as connection:
            events.take_in(connection, opened, stage.now)
        return 200

    stage.double.deliveries.send_to(receive)
    stage.double.deliveries.duplicate = 1.0
    stage.double.pay(pending.rail_ref)
    stage.double.deliver()
    for _ in range(3):
        events.step(
            own_engine, tenant, stage.rail, {"test.heard": ear.hear}, {}, stage.now, limit=100
        )

    assert [each.outcome for each in ear.heard] == [RailOutcome.PENDING, RailOutcome.DONE]
    with transaction(own_engine, tenant) as connection:
        kept = events.list_events(connection, limit=100)
    assert {each.state for each in kept} == {"processed"}
