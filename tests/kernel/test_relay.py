"""The relay: jobs leave the table for another broker at least once and never get lost."""

from collections.abc import Iterator

import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import QueueNotFound
from sqlalchemy import Engine

from kernel import jobs
from kernel.broker import TableBroker, actor, middleware, workplace
from kernel.database import Tenant, transaction
from kernel.relay import drain
from tests.kernel.broker_at_work import (
    count_waiting,
    working,
)


@pytest.fixture
def ours(own_engine: Engine, tenant: Tenant) -> Iterator[TableBroker]:
    """Our broker on a database of the test's own."""
    broker = TableBroker()
    broker.open(own_engine, lambda: [tenant])
    yield broker
    broker.close()


def test_the_relay_publishes_each_job_and_then_deletes_it(
    ours: TableBroker, own_engine: Engine, tenant: Tenant
) -> None:
    """With another broker configured a row leaves the table when that broker has it."""
    outside = StubBroker(middleware(lambda: own_engine))
    seen: list[tuple[Tenant, int]] = []

    @actor(queue="default", retries=0, time_limit_s=5, broker=ours)
    def note(number: int) -> None:
        seen.append((workplace().tenant, number))

    outside.declare_actor(note)
    with transaction(own_engine, tenant) as connection:
        jobs.add(connection, [note.message(n) for n in range(5)])

    published = drain(own_engine, tenant, outside, ["default"])
    with working(outside):
        outside.join("default", timeout=120_000)

    assert published == 5
    assert sorted(seen, key=lambda pair: pair[1]) == [(tenant, n) for n in range(5)]
    assert count_waiting(own_engine, tenant) == 0


def test_the_relay_gives_back_what_it_could_not_publish(
    ours: TableBroker, own_engine: Engine, tenant: Tenant
) -> None:
    """When the other broker refuses, the rest stays in the table, free for the next try."""
    outside = StubBroker(middleware(lambda: own_engine))
    note = actor(queue="default", retries=0, time_limit_s=5, broker=ours)(lambda _number: None)
    with transaction(own_engine, tenant) as connection:
        jobs.add(connection, [note.message(n) for n in range(3)])

    with pytest.raises(QueueNotFound):
        drain(own_engine, tenant, outside, ["default"])

    with transaction(own_engine, tenant) as connection:
        held = connection.exec_driver_sql("SELECT count(worker), count(*) FROM job").one()
    assert tuple(held) == (0, 3)
