"""The broker's contract with dramatiq, kept by ours and by dramatiq's own StubBroker alike."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import QueueNotFound
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from kernel import jobs
from kernel.broker import BROKER, TableBroker, actor, middleware, working_for, workplace
from kernel.consumer import TENANT_OPTION
from kernel.database import Tenant, transaction
from kernel.doorbell import Doorbell, Listener
from kernel.errors import Broken, Refusal
from kernel.relay import drain
from migrations import runner
from tests.fixtures.databases import TestDatabase
from tests.kernel.worker_process import RUN_TABLE, declare

DEADLINE_S = 30.0


class TooLate(Refusal):
    """The rules say no."""

    code = "test.too_late"


@contextmanager
def working(broker: dramatiq.Broker, *, threads: int = 2) -> Iterator[None]:
    """A worker in this process, stopped at the end."""
    worker = dramatiq.Worker(broker, worker_timeout=50, worker_threads=threads)
    broker.emit_after("process_boot")
    worker.start()
    try:
        yield
    finally:
        worker.stop(timeout=10_000)


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that another thread or process brings about."""
    ends_at = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < ends_at, "it did not come about in time"
        time.sleep(0.01)


@pytest.fixture
def ours(own_engine: Engine, tenant: Tenant) -> Iterator[TableBroker]:
    """Our broker on a database of the test's own."""
    broker = TableBroker()
    broker.open(own_engine, lambda: [tenant])
    yield broker
    broker.close()


@pytest.fixture(params=["ours", "stub"])
def broker(
    request: pytest.FixtureRequest, own_engine: Engine, tenant: Tenant
) -> Iterator[dramatiq.Broker]:
    """Ours, then dramatiq's in memory; `send` goes to the test's tenant."""
    with ExitStack() as stack, working_for(own_engine, tenant):
        if request.param == "ours":
            one: dramatiq.Broker = TableBroker()
            assert isinstance(one, TableBroker)
            one.open(own_engine, lambda: [tenant])
        else:
            # The stub takes no tenant from anywhere, so it goes without our first middleware.
            one = StubBroker(middleware(lambda: own_engine)[1:], fail_fast_default=False)
        stack.callback(one.close)
        yield one


def test_dramatiq_never_picks_a_broker_of_its_own() -> None:
    """Whoever imports kernel.broker has set the only broker that dramatiq knows."""
    assert dramatiq.get_broker() is BROKER


def test_a_broker_without_a_database_refuses_to_work() -> None:
    """Actors may be declared before there is a database; sending needs one."""
    broker = TableBroker()
    count = actor(queue="default", retries=0, time_limit_s=5, broker=broker)(lambda: None)

    with pytest.raises(Broken):
        count.send()


def test_what_is_sent_is_run_once(broker: dramatiq.Broker) -> None:
    """Every message reaches its actor with its arguments, once."""
    seen: list[tuple[int, str]] = []

    @actor(queue="default", retries=0, time_limit_s=5, broker=broker)
    def note(number: int, *, word: str) -> None:
        seen.append((number, word))

    with working(broker):
        for number in range(100):
            note.send(number, word="x")
        broker.join("default", timeout=10_000)

    assert sorted(seen) == [(number, "x") for number in range(100)]


def test_a_failing_actor_is_tried_again_with_the_same_message(broker: dramatiq.Broker) -> None:
    """A retry carries the same message id, and success ends it."""
    tries: list[int] = []

    @actor(queue="default", retries=3, time_limit_s=5, broker=broker)
    def stumble() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise dramatiq.errors.Retry("again", delay=1)

    with working(broker):
        stumble.send()
        broker.join("default", timeout=10_000)

    assert len(tries) == 3


def test_a_refusal_is_not_tried_again(broker: dramatiq.Broker, tenant: Tenant) -> None:
    """The rules will say no again: the job goes to the dead at once."""
    tries: list[int] = []

    @actor(queue="default", retries=3, time_limit_s=5, broker=broker)
    def refuse() -> None:
        tries.append(1)
        raise TooLate(slot_id="a")

    with working(broker):
        refuse.send()
        broker.join("default", timeout=10_000)

    assert len(tries) == 1
    if isinstance(broker, StubBroker):
        assert len(broker.dead_letters) == 1
    else:
        (dead,) = _dead(workplace().engine, tenant)
        assert dead.startswith("TooLate: test.too_late")


def test_a_pipeline_hands_results_on(broker: dramatiq.Broker) -> None:
    """The next actor of a pipeline gets the result of the one before, for the same tenant."""
    seen: list[int] = []

    @actor(queue="default", retries=0, time_limit_s=5, broker=broker)
    def double(number: int) -> int:
        return number * 2

    @actor(queue="default", retries=0, time_limit_s=5, broker=broker)
    def note(number: int) -> None:
        seen.append(number)

    with working(broker):
        steps = [double.message(4), double.message_with_options(), note.message_with_options()]
        dramatiq.pipeline(steps, broker=broker).run()  # type: ignore[no-untyped-call]
        until(lambda: bool(seen))

    assert seen == [16]


def test_an_actor_over_its_time_limit_is_stopped(broker: dramatiq.Broker) -> None:
    """After time_limit_s an exception is raised in the actor."""
    stopped = threading.Event()

    @actor(queue="default", retries=0, time_limit_s=0.1, broker=broker)
    def dawdle() -> None:
        try:
            until(lambda: False)
        except dramatiq.middleware.TimeLimitExceeded:
            stopped.set()
            raise

    with working(broker):
        dawdle.send()
        assert stopped.wait(DEADLINE_S)


def test_an_undeclared_queue_is_refused(broker: dramatiq.Broker) -> None:
    """Neither sending to nor reading from a queue that nobody declared."""
    stray: dramatiq.Message[None] = dramatiq.Message(
        queue_name="nowhere", actor_name="nobody", args=(), kwargs={}, options={}
    )

    with pytest.raises(QueueNotFound):
        broker.enqueue(stray)
    with pytest.raises(QueueNotFound):
        broker.consume("nowhere")


def test_flush_forgets_what_waits(broker: dramatiq.Broker) -> None:
    """A flushed queue is empty."""
    count = actor(queue="default", retries=0, time_limit_s=5, broker=broker)(lambda: None)
    count.send()

    broker.flush_all()

    assert next(broker.consume("default", timeout=1)) is None


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
        ours.join("default", timeout=10_000)

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
        ours.join("default", timeout=10_000)

    dead = sorted(_dead(own_engine, tenant))
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
        ours.join("default", timeout=10_000)

    assert runs == [2]
    assert len(_dead(own_engine, tenant)) == 1


def test_a_long_job_keeps_its_lease(own_engine: Engine, tenant: Tenant) -> None:
    """While a job runs longer than its lease, no other worker may take it."""
    broker = TableBroker()
    broker.open(own_engine, lambda: [tenant], lease_for=timedelta(seconds=0.3))
    started, finish = threading.Event(), threading.Event()

    @actor(queue="default", retries=0, time_limit_s=30, broker=broker)
    def linger() -> None:
        started.set()
        finish.wait(DEADLINE_S)

    with working(broker), working_for(own_engine, tenant):
        linger.send()
        assert started.wait(DEADLINE_S)
        (first,) = _leases(own_engine, tenant)
        until(lambda: _leases(own_engine, tenant)[0] > first)
        with transaction(own_engine, tenant) as connection:
            taken = jobs.claim(
                connection,
                queue="default",
                worker=uuid4(),
                limit=1,
                lease_for=timedelta(seconds=1),
            )
        finish.set()
        broker.join("default", timeout=10_000)
    broker.close()

    assert taken == []


def test_a_stopped_worker_gives_back_what_it_did_not_begin(
    ours: TableBroker, own_engine: Engine, tenant: Tenant
) -> None:
    """After a clean stop every job is either done or free, without waiting for a lease."""
    started, finish = threading.Event(), threading.Event()

    @actor(queue="default", retries=0, time_limit_s=30, broker=ours)
    def linger() -> None:
        started.set()
        finish.wait(DEADLINE_S)

    with transaction(own_engine, tenant) as connection:
        jobs.add(connection, [linger.message() for _ in range(10)])
    with working(ours, threads=1):
        assert started.wait(DEADLINE_S)
        threading.Timer(0.1, finish.set).start()

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

    @actor(queue="default", retries=5, time_limit_s=30, broker=ours)
    def note(number: int) -> None:
        seen.append(number)

    with working(ours):
        for batch in range(5):
            with transaction(own_engine, tenant) as connection:
                jobs.add(connection, [note.message(batch * 20 + n) for n in range(20)])
            _end_all_sessions(own_database)
            own_engine.dispose()
        until(lambda: len(set(seen)) == 100)
        until(lambda: _waiting(own_engine, tenant) == 0)

    assert set(seen) == set(range(100))


def test_many_rings_become_few_notifications(own_engine: Engine, tenant: Tenant) -> None:
    """The doorbell rings at once, and then at most once in 10 ms however often it is pressed."""
    heard: list[Tenant] = []
    listener = Listener(own_engine, heard.append)
    assert listener.is_listening.wait(DEADLINE_S)
    bell = Doorbell(own_engine)

    for _ in range(1_000):
        bell.ring(tenant)
    bell.close()
    until(lambda: bool(heard))
    listener.close()

    assert set(heard) == {tenant}
    assert len(heard) < 100


def test_a_lost_ring_costs_one_poll(ours: TableBroker, own_engine: Engine, tenant: Tenant) -> None:
    """A job whose commit nobody rang for is found by looking."""
    ran = threading.Event()
    note = actor(queue="default", retries=0, time_limit_s=5, broker=ours)(ran.set)

    with working(ours):
        with transaction(own_engine, tenant) as connection:
            jobs.add(connection, [note.message()])
        assert ran.wait(DEADLINE_S)


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
        outside.join("default", timeout=10_000)

    assert published == 5
    assert sorted(seen, key=lambda pair: pair[1]) == [(tenant, n) for n in range(5)]
    assert _waiting(own_engine, tenant) == 0


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


@pytest.mark.slow
def test_killed_workers_lose_no_job(own_database: TestDatabase, own_engine: Engine) -> None:
    """Five times kill -9 of two workers with jobs in flight: every job is done at least once."""
    tenant, count = _runs_table(own_database), declare(TableBroker())["count"]
    with transaction(own_engine, tenant) as connection:
        jobs.add(connection, [count.message(n) for n in range(300)])
    with ExitStack() as stack:
        workers = [_start_worker(stack, own_database, tenant) for _ in range(2)]
        for wanted in range(20, 120, 20):
            until(lambda wanted=wanted: len(_runs(own_engine, tenant)) >= wanted)  # type: ignore[misc]
            workers[0].kill()
            workers.append(_start_worker(stack, own_database, tenant))
            workers.pop(0)
        until(lambda: _waiting(own_engine, tenant, "counted") == 0)

    assert set(_runs(own_engine, tenant)) == set(range(300))


@pytest.mark.slow
def test_a_job_that_kills_its_workers_dies_and_its_neighbours_live(
    own_database: TestDatabase, own_engine: Engine
) -> None:
    """A poisonous job ends with the dead after MAX_LOST_STARTS + 1 starts, and it alone."""
    tenant, actors = _runs_table(own_database), declare(TableBroker())
    with transaction(own_engine, tenant) as connection:
        jobs.add(connection, [actors["poison"].message(-1)])
        jobs.add(connection, [actors["count"].message(n) for n in range(20)])
    with ExitStack() as stack:
        worker = _start_worker(stack, own_database, tenant)
        ends_at = time.monotonic() + 2 * DEADLINE_S
        while _waiting(own_engine, tenant, "counted") and time.monotonic() < ends_at:
            if worker.poll() is not None:
                worker = _start_worker(stack, own_database, tenant)
            time.sleep(0.05)

    runs = _runs(own_engine, tenant)
    assert runs.count(-1) == jobs.MAX_LOST_STARTS + 1
    assert set(range(20)) <= set(runs)
    assert len(_dead(own_engine, tenant)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_ends_cleanly_on_a_signal(
    own_database: TestDatabase, own_engine: Engine, number: signal.Signals
) -> None:
    """SIGTERM and SIGINT end the worker with code 0, and no job is left under a lease."""
    tenant, count = _runs_table(own_database), declare(TableBroker())["count"]
    with transaction(own_engine, tenant) as connection:
        jobs.add(connection, [count.message(n) for n in range(200)])
    with ExitStack() as stack:
        worker = _start_worker(stack, own_database, tenant)
        until(lambda: bool(_runs(own_engine, tenant)))
        worker.send_signal(number)
        code = worker.wait(DEADLINE_S)

    runs = _runs(own_engine, tenant)
    with transaction(own_engine, tenant) as connection:
        held, left = connection.exec_driver_sql("SELECT count(worker), count(*) FROM job").one()
    assert code == 0
    assert held == 0
    assert len(runs) == len(set(runs)) == 200 - left


def _start_worker(
    stack: ExitStack, database: TestDatabase, tenant: Tenant
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.kernel.worker_process", database.app_url]
    process = subprocess.Popen(
        [*command, tenant.name, "1"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": "."},
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def _runs_table(database: TestDatabase) -> Tenant:
    tenant = Tenant("test")
    _as_admin(
        database,
        f"SET search_path TO {tenant.schema}",
        RUN_TABLE,
        f"GRANT SELECT, INSERT ON run TO {tenant.role}",
    )
    return tenant


def _second_tenant(database: TestDatabase) -> Tenant:
    other = Tenant(f"other{os.getpid()}")
    runner.create_tenant(database.owner_url, other)
    return other


def _end_all_sessions(database: TestDatabase) -> None:
    _as_admin(
        database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


def _as_admin(database: TestDatabase, *statements: str) -> None:
    engine = create_engine(database.admin_url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _runs(engine: Engine, tenant: Tenant) -> list[int]:
    with transaction(engine, tenant) as connection:
        return [row.job for row in connection.exec_driver_sql("SELECT job FROM run")]


def _waiting(engine: Engine, tenant: Tenant, queue: str = "default") -> int:
    with transaction(engine, tenant) as connection:
        return jobs.count_waiting(connection, queue)


def _leases(engine: Engine, tenant: Tenant) -> list[datetime]:
    with transaction(engine, tenant) as connection:
        return [row.run_at for row in connection.exec_driver_sql("SELECT run_at FROM job")]


def _dead(engine: Engine, tenant: Tenant) -> list[str]:
    with transaction(engine, tenant) as connection:
        return [row.why for row in connection.exec_driver_sql("SELECT why FROM job_dead")]
