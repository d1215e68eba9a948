"""The timer scanner: each due timer fires once, none early, and a poisonous one fails alone."""

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from engine.scanner import Scanner, TimerHandler
from kernel import clock, timers
from kernel.database import Tenant, transaction
from kernel.timers import Arm, DueTimer
from tests.fixtures.databases import TestDatabase
from tests.kernel.broker_at_work import DEADLINE_S, as_admin, until

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KIND, OTHER = "test.ring", "test.other"


class Bells:
    """Handlers that claim their timers and write down, in the same transaction, what they fired."""

    def __init__(self, engine: Engine, tenant: Tenant) -> None:
        self._engine = engine
        self._tenant = tenant
        self.chunks: list[int] = []

    def fire(self, connection: Connection, chunk: Sequence[DueTimer], at: datetime) -> int:
        """Lock the subjects in order, skip those that another holds, claim, note."""
        subjects = sorted({due.subject for due in chunk})
        rows = connection.exec_driver_sql(
            "SELECT name FROM bell WHERE name = ANY (%s) ORDER BY name FOR UPDATE SKIP LOCKED",
            (subjects,),
        )
        locked = {row.name for row in rows}
        claimed = timers.claim(connection, [due for due in chunk if due.subject in locked])
        self.chunks.append(len(chunk))
        connection.exec_driver_sql(
            "INSERT INTO fired SELECT *, %s FROM unnest(%s::text[], %s::timestamptz[])",
            (at, [due.subject for due in claimed], [due.due_at for due in claimed]),
        )
        return len(claimed)

    def fired(self) -> list[tuple[str, datetime, datetime]]:
        """What was fired and committed: subject, due time, and when by the tenant's clock."""
        with transaction(self._engine, self._tenant) as connection:
            rows = connection.exec_driver_sql("SELECT subject, due_at, at FROM fired")
            return [(row.subject, row.due_at, row.at) for row in rows]

    def subjects(self) -> list[str]:
        """The subjects that fired, in order of name, each as often as it fired."""
        return sorted(subject for subject, _, _ in self.fired())


@pytest.fixture
def bells(own_database: TestDatabase, own_engine: Engine, tenant: Tenant) -> Bells:
    """Two hundred subjects in a sandbox at noon, and a table of what fired."""
    as_admin(
        own_database,
        f"SET LOCAL search_path TO {tenant.schema}",
        "CREATE TABLE bell (name text PRIMARY KEY)",
        "CREATE TABLE fired (subject text, due_at timestamptz, at timestamptz)",
        "INSERT INTO bell SELECT 'bell:' || n FROM generate_series(0, 199) n",
        f"GRANT SELECT, INSERT, UPDATE ON bell, fired TO {tenant.role}",
    )
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=NOON)
    return Bells(own_engine, tenant)


@pytest.fixture
def scanner(own_engine: Engine, tenant: Tenant, bells: Bells) -> Scanner:
    """A scanner with small pages and chunks, so that few timers fill several."""
    return build(own_engine, tenant, {KIND: bells.fire, OTHER: bells.fire})


def build(engine: Engine, tenant: Tenant, handlers: dict[str, TimerHandler]) -> Scanner:
    return Scanner(
        engine=engine,
        tenants=lambda: [tenant],
        handlers=handlers,
        chunk_size=20,
        page_size=70,
        interval_s=0.02,
    )


def arm(engine: Engine, tenant: Tenant, due: dict[str, datetime], kind: str = KIND) -> None:
    with transaction(engine, tenant) as connection:
        timers.arm(connection, [Arm(name, kind, due_at, 1) for name, due_at in due.items()])


def advance(engine: Engine, tenant: Tenant, to: datetime) -> None:
    with transaction(engine, tenant) as connection:
        clock.advance(connection, to=to)


def bell_names(count: int = 200) -> list[str]:
    return [f"bell:{number}" for number in range(count)]


def test_each_due_timer_fires_once(
    scanner: Scanner, bells: Bells, own_engine: Engine, tenant: Tenant
) -> None:
    """All that is due fires, over pages and chunks, and a second scan finds nothing."""
    arm(own_engine, tenant, dict.fromkeys(bell_names(), NOON - timedelta(hours=1)))

    first, second = scanner.run_once(), scanner.run_once()

    assert (first, second) == (Counter({KIND: 200}), Counter())
    assert bells.subjects() == sorted(bell_names())
    assert max(bells.chunks) <= 20


def test_no_timer_fires_before_its_time_and_grace(
    scanner: Scanner, bells: Bells, own_engine: Engine, tenant: Tenant
) -> None:
    """As the tenant's clock walks on, a timer fires at due time plus 60 s and not before."""
    due = {name: NOON + timedelta(seconds=n) for n, name in enumerate(bell_names(120))}
    arm(own_engine, tenant, due)

    for seconds in range(0, 240, 15):
        advance(own_engine, tenant, NOON + timedelta(seconds=seconds))
        scanner.run_once()

    fired = bells.fired()
    assert len(fired) == 120
    for _subject, due_at, at in fired:
        assert timers.GRACE <= at - due_at < timers.GRACE + timedelta(seconds=15)


def test_two_scanners_fire_each_timer_once(
    scanner: Scanner, bells: Bells, own_engine: Engine, tenant: Tenant
) -> None:
    """Two scanners that both walk the tenant, without its lock, fire no timer twice."""
    arm(own_engine, tenant, dict.fromkeys(bell_names(), NOON - timedelta(hours=1)))
    both_ready = threading.Barrier(2)

    def scan() -> int:
        both_ready.wait(DEADLINE_S)
        return scanner.fire_due(tenant).total()

    with ThreadPoolExecutor(2) as pool:
        racers = [pool.submit(scan) for _ in range(2)]
        fired = sum(racer.result(DEADLINE_S) for racer in racers)

    # What one skipped because the other held it, the other fired.
    fired += scanner.run_once().total()
    assert fired == 200
    assert bells.subjects() == sorted(bell_names())
    assert not scanner.deadlocks


def test_a_tenant_is_walked_by_one_scanner_at_a_time(
    bells: Bells, own_engine: Engine, tenant: Tenant
) -> None:
    """While one scanner is at work for a tenant, another passes it by."""
    arm(own_engine, tenant, {"bell:1": NOON - timedelta(hours=1)})
    at_work, go_on = threading.Event(), threading.Event()

    def slowly(connection: Connection, chunk: Sequence[DueTimer], at: datetime) -> int:
        at_work.set()
        go_on.wait(DEADLINE_S)
        return bells.fire(connection, chunk, at)

    scanner = build(own_engine, tenant, {KIND: slowly})
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(scanner.run_once)
        assert at_work.wait(DEADLINE_S)
        second = scanner.run_once()
        go_on.set()

    assert second == Counter()
    assert first.result(DEADLINE_S) == Counter({KIND: 1})


def test_a_poisonous_timer_fails_alone_and_is_never_lost(
    bells: Bells, own_engine: Engine, tenant: Tenant
) -> None:
    """Its neighbours fire, it is pushed back once, and it keeps its due time."""
    names = bell_names(60)
    arm(own_engine, tenant, dict.fromkeys(names, NOON - timedelta(hours=1)))

    def choke(connection: Connection, chunk: Sequence[DueTimer], at: datetime) -> int:
        fired = bells.fire(connection, chunk, at)
        if any(due.subject == "bell:7" for due in chunk):
            raise ZeroDivisionError
        return fired

    fired = build(own_engine, tenant, {KIND: choke}).run_once()

    assert fired == Counter({KIND: 59})
    assert bells.subjects() == sorted(set(names) - {"bell:7"})
    with transaction(own_engine, tenant) as connection:
        (left,) = timers.list_of(connection, names)
    assert (left.subject, left.due_at) == ("bell:7", NOON - timedelta(hours=1))
    assert left.failed_times == 1


@pytest.mark.slow
def test_a_deadlock_is_tried_again_and_counted(
    bells: Bells, own_engine: Engine, own_database: TestDatabase, tenant: Tenant
) -> None:
    """The chunk that PostgreSQL chose as the victim fires on its second try."""
    rival = create_engine(own_database.admin_url, poolclass=NullPool)
    arm(own_engine, tenant, {"bell:1": NOON - timedelta(hours=1)})
    first_is_locked, second_is_locked = threading.Event(), threading.Event()

    def tangle(connection: Connection, chunk: Sequence[DueTimer], at: datetime) -> int:
        if not first_is_locked.is_set():
            lock(connection, "bell:1")
            first_is_locked.set()
            assert second_is_locked.wait(DEADLINE_S)
            lock(connection, "bell:2")
        return bells.fire(connection, chunk, at)

    scanner = build(own_engine, tenant, {KIND: tangle})
    with ThreadPoolExecutor(2) as pool, rival.begin() as command:
        command.exec_driver_sql(f"SET LOCAL search_path TO {tenant.schema}")
        # The rival never looks whether it waits in a circle, so the handler finds that it does.
        command.exec_driver_sql("SET LOCAL deadlock_timeout = '1h'")
        command.exec_driver_sql("SET LOCAL lock_timeout = 0")
        lock(command, "bell:2")
        scanning = pool.submit(scanner.run_once)
        assert first_is_locked.wait(DEADLINE_S)
        waiting = pool.submit(lock, command, "bell:1")
        until(lambda: is_someone_waiting(own_engine))
        second_is_locked.set()
        waiting.result(DEADLINE_S)
        command.rollback()
        fired = scanning.result(DEADLINE_S)

    assert (fired, scanner.deadlocks) == (Counter({KIND: 1}), Counter({KIND: 1}))


def lock(connection: Connection, name: str) -> None:
    connection.exec_driver_sql("SELECT FROM bell WHERE name = %s FOR UPDATE", (name,))


def is_someone_waiting(engine: Engine) -> bool:
    """Whether a transaction of this database waits for another's lock."""
    statement = (
        "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE NOT granted AND datname = current_database())"
    )
    with engine.connect() as connection:
        return bool(connection.exec_driver_sql(statement).scalar_one())


def test_a_held_subject_waits_and_stops_nobody(
    scanner: Scanner, bells: Bells, own_engine: Engine, tenant: Tenant
) -> None:
    """A subject that a command has locked is skipped in this scan and fires in the next."""
    arm(own_engine, tenant, dict.fromkeys(bell_names(30), NOON - timedelta(hours=1)))
    with transaction(own_engine, tenant) as busy:
        busy.exec_driver_sql("SELECT FROM bell WHERE name = 'bell:3' FOR UPDATE")
        first = scanner.run_once()

    second = scanner.run_once()

    assert (first, second) == (Counter({KIND: 29}), Counter({KIND: 1}))
    assert bells.subjects() == sorted(bell_names(30))


def test_a_command_that_cancels_goes_before_the_timer(
    scanner: Scanner, bells: Bells, own_engine: Engine, tenant: Tenant
) -> None:
    """A timer cancelled under its subject's lock after it was read does not fire."""
    arm(own_engine, tenant, {"bell:1": NOON - timedelta(hours=1)})

    def late(connection: Connection, chunk: Sequence[DueTimer], at: datetime) -> int:
        with transaction(own_engine, tenant) as command:
            command.exec_driver_sql("SELECT FROM bell WHERE name = 'bell:1' FOR UPDATE")
            timers.cancel(command, [("bell:1", KIND)])
        return bells.fire(connection, chunk, at)

    fired = build(own_engine, tenant, {KIND: late}).run_once()

    assert fired == Counter()
    assert bells.fired() == []
    assert scanner.run_once() == Counter()


def test_what_a_timer_makes_due_fires_in_the_same_scan(
    bells: Bells, own_engine: Engine, tenant: Tenant
) -> None:
    """After a long jump of a sandbox's clock a chain of timers runs to its end."""
    arm(own_engine, tenant, {"bell:1": NOON - timedelta(hours=9)})

    def chain(connection: Connection, chunk: Sequence[DueTimer], at: datetime) -> int:
        fired = bells.fire(connection, chunk, at)
        following = [Arm(d.subject, KIND, d.due_at + timedelta(hours=1), 1) for d in chunk]
        timers.arm(connection, following)
        return fired

    fired = build(own_engine, tenant, {KIND: chain}).run_once()

    assert fired == Counter({KIND: 9})


def test_kinds_go_to_their_own_handlers(bells: Bells, own_engine: Engine, tenant: Tenant) -> None:
    """A handler sees only its own kind; a kind that nobody knows stays where it is."""
    seen: list[str] = []

    def listen(connection: Connection, chunk: Sequence[DueTimer], at: datetime) -> int:
        seen.extend(due.kind for due in chunk)
        return bells.fire(connection, chunk, at)

    for kind in (KIND, OTHER, "test.unknown"):
        arm(own_engine, tenant, {"bell:1": NOON - timedelta(hours=1)}, kind)

    fired = build(own_engine, tenant, {KIND: listen, OTHER: bells.fire}).run_once()

    assert fired == Counter({KIND: 1, OTHER: 1})
    assert seen == [KIND]
    with transaction(own_engine, tenant) as connection:
        assert [left.kind for left in timers.list_of(connection, ["bell:1"])] == ["test.unknown"]


def test_a_broken_tenant_does_not_stop_the_others(
    bells: Bells, own_engine: Engine, tenant: Tenant
) -> None:
    """A tenant whose schema is gone is logged and passed by."""
    arm(own_engine, tenant, {"bell:1": NOON - timedelta(hours=1)})
    scanner = Scanner(
        engine=own_engine,
        tenants=lambda: [Tenant("gone"), tenant],
        handlers={KIND: bells.fire},
    )

    assert scanner.run_once() == Counter({KIND: 1})


def test_the_scanner_runs_until_it_is_told_to_stop(
    scanner: Scanner, bells: Bells, own_engine: Engine, tenant: Tenant
) -> None:
    """A timer that falls due while the scanner runs is found, and the scanner ends when told."""
    stop = threading.Event()
    arm(own_engine, tenant, {"bell:1": NOON + timedelta(hours=1)})

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(scanner.run_forever, stop)
        advance(own_engine, tenant, NOON + timedelta(hours=2))
        until(lambda: bool(bells.fired()))
        stop.set()
        running.result(DEADLINE_S)

    assert bells.subjects() == ["bell:1"]


def test_a_chunk_rings_after_its_commit(bells: Bells, own_engine: Engine, tenant: Tenant) -> None:
    """When the workers are told, what the handler wrote is there to be seen."""
    seen: list[list[str]] = []
    arm(own_engine, tenant, {"bell:1": NOON - timedelta(hours=1)})
    scanner = Scanner(
        engine=own_engine,
        tenants=lambda: [tenant],
        handlers={KIND: bells.fire},
        ring=lambda _tenant: seen.append(bells.subjects()),
    )

    scanner.run_once()

    assert seen == [["bell:1"]]


def test_a_scan_leaves_a_hint_for_the_next(own_engine: Engine, tenant: Tenant) -> None:
    """A live tenant's hint moves to its soonest timer plus grace; without timers it goes."""
    soon = datetime.now(UTC) + timedelta(hours=1)
    scanner = build(own_engine, tenant, {})
    arm(own_engine, tenant, {"bell:1": soon})
    scanner.run_once()
    planned = _hints(own_engine)
    with transaction(own_engine, tenant) as connection:
        timers.cancel(connection, [("bell:1", KIND)])
    scanner.run_once()

    assert planned == [soon + timers.GRACE]
    assert _hints(own_engine) == []


def test_a_sandbox_is_awake_only_while_something_is_due(
    scanner: Scanner, bells: Bells, own_engine: Engine, tenant: Tenant
) -> None:
    """Time does not pass in a sandbox: a later timer needs no hint, a skipped one keeps it."""
    arm(own_engine, tenant, {"bell:1": NOON + timedelta(hours=1)})
    scanner.run_once()
    asleep = _hints(own_engine)
    advance(own_engine, tenant, NOON + timedelta(hours=2))
    with transaction(own_engine, tenant) as busy:
        busy.exec_driver_sql("SELECT FROM bell WHERE name = 'bell:1' FOR UPDATE")
        scanner.run_once()

    assert asleep == []
    assert len(_hints(own_engine)) == 1
    assert bells.fired() == []


def _hints(engine: Engine) -> list[datetime]:
    with engine.begin() as connection:
        return list(connection.exec_driver_sql("SELECT due_at FROM holdfast.tenant_due").scalars())
