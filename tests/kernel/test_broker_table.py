"""What our broker promises beyond dramatiq: tenants, leases, the dead, and coming back."""

import os
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import dramatiq
import pytest
from sqlalchemy import Engine

from kernel import jobs
from kernel.broker import TableBroker, actor, working_for, workplace
from kernel.consumer import TENANT_OPTION
from kernel.database import Tenant, transaction
from kernel.doorbell import Doorbell, Listener
from kernel.errors import Broken
from migrations import runner
from tests.fixtures.databases import TestDatabase
from tests.kernel.broker_at_work import (
    DEADLINE_S,
    as_admin,
    count_waiting,
    dead_of,
    leases_of,
    until,
    working,
)


class OnShutdown(dramatiq.Middleware):
    """Lets an actor end when its worker has been told to stop."""

    def __init__(self, finish: threading.Event) -> None:
        self._finish = finish

    def before_worker_shutdown(self, _broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Stop the threads as the worker is about to, so that none begins another job."""
        for thread in worker.workers:
            thread.stop()
        self._finish.set()


@pytest.fixture
def ours(own_engine: Engine, tenant: Tenant) -> Iterator[TableBroker]:
    """Our broker on a database of the test's own."""
    broker = TableBroker()
    broker.open(own_engine, lambda: [tenant])
    yield broker
    broker.close()


def test_an_actor_works_for_the_tenant_whose_job_it_is(
    ours: TableBroker, own_engine: Engine, tenant: Tenant
) -> None:
    """The workplace names engine and tenant while the actor runs, and is gone afterwards."""
    seen: list[Tenant] = []

    @actor(queue="default", retries=0, time_limit_s=5, broker=ours)
    def look() -> None:
        seen.append(workplace().tenant)

    with transaction(own_engine, tenant) as connection:
        jobs.add(connection, [look.message()])
    with working(ours):
        ours.ring(tenant)
        ours.join("default", timeout=120_000)

    assert seen == [tenant]
    with pytest.raises(Broken):
        workplace()


def test_a_job_of_an_unknown_actor_and_an_unreadable_one_go_to_the_dead(
    ours: TableBroker, own_engine: Engine, tenant: Tenant
) -> None:
    """What cannot be run stands in nobody's way."""
    count = actor(queue="default", retries=0, time_limit_s=5, broker=ours)(lambda: None)
    unknown = count.message().copy(actor_name="nobody")
    with transaction(own_engine, tenant) as connection:
        jobs.add(connection, [unknown, count.message(), count.message()])
        connection.exec_driver_sql("UPDATE job SET body = '{' WHERE id = (SELECT max(id) FROM job)")

    with working(ours):
        ours.join("default", timeout=120_000)

    dead = sorted(dead_of(own_engine, tenant))
    assert dead == ["ActorNotFound: nobody", "the message cannot be read"]


def test_a_lost_job_that_was_started_too_often_goes_to_the_dead(
    ours: TableBroker, own_engine: Engine, tenant: Tenant
) -> None:
    """A job whose workers died more than MAX_LOST_STARTS times is not run again."""
    runs: list[int] = []

    @actor(queue="default", retries=0, time_limit_s=5, broker=ours)
    def note(number: int) -> None:
        runs.append(number)

    with transaction(own_engine, tenant) as connection:
        jobs.add(connection, [note.message(1), note.message(2)])
        connection.exec_driver_sql(
            "UPDATE job SET worker = %s, attempts = CASE id WHEN (SELECT min(id) FROM job)"
            " THEN %s ELSE 0 END",
            (uuid4(), jobs.MAX_LOST_STARTS),
        )

    with working(ours):
        ours.join("default", timeout=120_000)

    assert runs == [2]
    assert len(dead_of(own_engine, tenant)) == 1


def test_a_long_job_keeps_its_lease(own_engine: Engine, tenant: Tenant) -> None:
    """While a job runs longer than its lease, no other worker may take it."""
    broker = TableBroker()
    broker.open(own_engine, lambda: [tenant], lease_for=timedelta(seconds=2))
    started, finish = threading.Event(), threading.Event()

    @actor(queue="default", retries=0, time_limit_s=300, broker=broker)
    def linger() -> None:
        started.set()
        finish.wait(DEADLINE_S)

    with working(broker), working_for(own_engine, tenant):
        linger.send()
        assert started.wait(DEADLINE_S)
        (first,) = leases_of(own_engine, tenant)
        taken: list[jobs.Claimed] = []

        def try_under_a_new_lease() -> bool:
            with transaction(own_engine, tenant) as connection:
                is_leased = connection.exec_driver_sql(
                    "SELECT run_at > greatest(now(), %s) FROM job", (first,)
                ).scalar_one()
                if is_leased:
                    lease_for = timedelta(seconds=1)
                    taken.extend(
                        jobs.claim(
                            connection,
                            queue="default",
                            worker=uuid4(),
                            limit=1,
                            lease_for=lease_for,
                        )
                    )
            return bool(is_leased)

        until(try_under_a_new_lease)
        finish.set()
        broker.join("default", timeout=120_000)
    broker.close()

    assert taken == []


def test_a_stopped_worker_gives_back_what_it_did_not_begin(
    ours: TableBroker, own_engine: Engine, tenant: Tenant
) -> None:
    """After a clean stop every job is either done or free, without waiting for a lease."""
    started, finish = threading.Event(), threading.Event()

    @actor(queue="default", retries=0, time_limit_s=300, broker=ours)
    def linger() -> None:
        started.set()
        finish.wait(DEADLINE_S)

    with transaction(own_engine, tenant) as connection:
        jobs.add(connection, [linger.message() for _ in range(10)])
    ours.add_middleware(OnShutdown(finish))
    with working(ours, threads=1):
        assert started.wait(DEADLINE_S)

    with transaction(own_engine, tenant) as connection:
        held = connection.exec_driver_sql("SELECT count(worker) FROM job").scalar_one()
        left = jobs.count_waiting(connection, "default")
    assert held == 0
    assert 0 < left < 10


def test_a_backlog_of_one_tenant_leaves_room_for_another(
    own_engine: Engine, own_database: TestDatabase, tenant: Tenant
) -> None:
    """With one tenant's backlog waiting, the first refill takes another tenant's job too."""
    other = _second_tenant(own_database)
    broker = TableBroker()
    broker.open(own_engine, lambda: [tenant, other], prefetch=8)
    count = actor(queue="default", retries=0, time_limit_s=5, broker=broker)(lambda: None)
    for whose, how_many in ((tenant, 100), (other, 1)):
        with transaction(own_engine, whose) as connection:
            jobs.add(connection, [count.message() for _ in range(how_many)])

    consumer = broker.consume("default", timeout=1)
    taken = [next(consumer) for _ in range(5)]
    consumer.close()
    broker.close()

    names = [message.options[TENANT_OPTION] for message in taken if message is not None]
    assert names == [tenant.name] * 4 + [other.name]


def test_lost_connections_only_delay(
    ours: TableBroker, own_engine: Engine, own_database: TestDatabase, tenant: Tenant
) -> None:
    """When the server ends all our sessions, the worker comes back and finishes every job."""
    seen: list[int] = []

    @actor(queue="default", retries=5, time_limit_s=300, broker=ours)
    def note(number: int) -> None:
        seen.append(number)

    with working(ours):
        for batch in range(5):
            with transaction(own_engine, tenant) as connection:
                jobs.add(connection, [note.message(batch * 20 + n) for n in range(20)])
            _end_all_sessions(own_database)
            own_engine.dispose()
        until(lambda: len(set(seen)) == 100)
        until(lambda: count_waiting(own_engine, tenant) == 0)

    assert set(seen) == set(range(100))


def test_a_lost_ring_costs_one_poll(ours: TableBroker, own_engine: Engine, tenant: Tenant) -> None:
    """A job whose commit nobody rang for is found by looking."""
    ran = threading.Event()
    note = actor(queue="default", retries=0, time_limit_s=5, broker=ours)(ran.set)

    with working(ours):
        with transaction(own_engine, tenant) as connection:
            jobs.add(connection, [note.message()])
        assert ran.wait(DEADLINE_S)


def test_many_rings_become_few_notifications(own_engine: Engine, tenant: Tenant) -> None:
    """The doorbell rings at once, and then at most once in 10 ms however often it is pressed."""
    heard: list[Tenant] = []
    listener = Listener(own_engine, heard.append)
    assert listener.is_listening.wait(DEADLINE_S)
    bell = Doorbell(own_engine)

    began_at = time.monotonic()
    for _ in range(1_000):
        bell.ring(tenant)
    bell.close()
    rang_for_s = time.monotonic() - began_at
    until(lambda: bool(heard))
    listener.close()

    assert set(heard) == {tenant}
    assert len(heard) <= 2 + rang_for_s / 0.01


def _second_tenant(database: TestDatabase) -> Tenant:
    other = Tenant(f"other{os.getpid()}")
    runner.create_tenant(database.owner_url, other)
    return other


def _end_all_sessions(database: TestDatabase) -> None:
    as_admin(
        database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
