"""What the scanner does beside firing: it signs, reminds, paces a backlog, gives others a turn."""

import ast
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine

from engine.scanner import BACKLOG_AFTER, Scanner
from escrow.service_reminders import begin_round, remind
from kernel import clock, outages, timers
from kernel.database import Tenant, transaction
from kernel.timers import GRACE, Arm, DueTimer
from tests.fixtures.sources import sources

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KIND = "test.ring"
DAY = timedelta(days=1)


class Waits(threading.Event):
    """A stop that never comes, and writes down how long the scanner would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.lengths.append(timeout or 0.0)
        return self.is_set()


def fire(connection: Connection, due: Sequence[DueTimer], _at: datetime) -> int:
    return len(timers.claim(connection, due))


def arm(engine: Engine, tenant: Tenant, due: Sequence[Arm], reminded: Sequence[str] = ()) -> None:
    with transaction(engine, tenant) as connection:
        timers.arm(connection, due, reminded=reminded)


def real_now(engine: Engine, tenant: Tenant) -> datetime:
    with transaction(engine, tenant) as connection:
        return clock.real_now(connection)


def at_rate(rate: int | None, engine: Engine, tenant: Tenant, **more: int) -> Scanner:
    return Scanner(
        engine=engine,
        tenants=lambda: [tenant],
        handlers={KIND: fire},
        begin_round=lambda _connection, _at: rate,
        chunk_size=10,
        **more,  # type: ignore[arg-type]
    )


def test_a_backlog_is_paced(own_engine: Engine, tenant: Tenant) -> None:
    """At one a second thirty overdue timers take half a minute, in chunks that wait their time."""
    long_ago = real_now(own_engine, tenant) - DAY
    arm(own_engine, tenant, [Arm(f"bell:{n}", KIND, long_ago, 1) for n in range(30)])
    stop = Waits()

    fired = at_rate(1, own_engine, tenant).fire_due(tenant, stop)

    assert fired == Counter({KIND: 30})
    assert len(stop.lengths) == 3
    assert all(length <= 10 * (1 + n) for n, length in enumerate(stop.lengths))
    assert stop.lengths[-1] > 0


def test_what_is_on_time_is_not_paced(own_engine: Engine, tenant: Tenant) -> None:
    """Only what is late beyond its grace waits for others."""
    now = real_now(own_engine, tenant)
    due = now - GRACE - BACKLOG_AFTER / 2
    arm(own_engine, tenant, [Arm(f"bell:{n}", KIND, due, 1) for n in range(30)])
    stop = Waits()

    fired = at_rate(10, own_engine, tenant).fire_due(tenant, stop)

    assert (fired, stop.lengths) == (Counter({KIND: 30}), [])


def test_without_a_rate_nothing_waits(own_engine: Engine, tenant: Tenant) -> None:
    """A sandbox that leapt over a month works it off at once."""
    long_ago = real_now(own_engine, tenant) - DAY
    arm(own_engine, tenant, [Arm(f"bell:{n}", KIND, long_ago, 1) for n in range(30)])
    stop = Waits()

    at_rate(None, own_engine, tenant).fire_due(tenant, stop)

    assert stop.lengths == []


def test_a_backlog_is_taken_in_due_order(own_engine: Engine, tenant: Tenant) -> None:
    """Over chunks and pages: who waited longest comes first."""
    long_ago = real_now(own_engine, tenant) - DAY
    order = [(number * 37) % 100 for number in range(100)]
    arm(
        own_engine,
        tenant,
        [Arm(f"bell:{n}", KIND, long_ago + timedelta(minutes=n), 1) for n in order],
    )
    seen: list[DueTimer] = []

    def listen(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
        seen.extend(due)
        return fire(connection, due, at)

    scanner = Scanner(
        engine=own_engine,
        tenants=lambda: [tenant],
        handlers={KIND: listen},
        chunk_size=7,
        page_size=30,
    )

    assert scanner.run_once() == Counter({KIND: 100})
    assert seen == sorted(seen)


def test_a_tenant_with_endless_work_is_left_for_the_others(
    own_engine: Engine, tenant: Tenant
) -> None:
    """A timer that always sets itself anew does not keep the scanner for ever."""
    long_ago = real_now(own_engine, tenant) - DAY
    arm(own_engine, tenant, [Arm("bell:1", KIND, long_ago, 1)])

    def again(connection: Connection, due: Sequence[DueTimer], at: datetime) -> int:
        count = fire(connection, due, at)
        timers.arm(connection, [Arm("bell:1", KIND, long_ago, 1)])
        return count

    scanner = Scanner(
        engine=own_engine, tenants=lambda: [tenant], handlers={KIND: again}, longest_visit_s=0.05
    )

    assert scanner.run_once(threading.Event())[KIND] >= 1


def test_each_visit_leaves_a_sign_of_life(own_engine: Engine, tenant: Tenant) -> None:
    """The worker's scanner signs, also where nothing is due."""
    scanner = Scanner(
        engine=own_engine,
        tenants=lambda: [tenant],
        handlers={},
        begin_round=begin_round,
        remind=remind,
    )

    scanner.run_once()

    with transaction(own_engine, tenant) as connection:
        sign, now = outages.find_sign(connection)
    assert sign is not None
    assert now - sign < timedelta(minutes=1)


def test_reminders_go_out_beside_the_timers(own_engine: Engine, tenant: Tenant) -> None:
    """A mark that has passed is told in the same visit, and the next one plans the next visit."""
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=NOON)
        timers.arm(
            connection,
            [Arm("slot:a", "escrow.auto_release", NOON + 10 * DAY, 1)],
            at=NOON,
            reminded=["escrow.auto_release"],
        )
        clock.advance(connection, to=NOON + 5 * DAY)
    scanner = Scanner(
        engine=own_engine,
        tenants=lambda: [tenant],
        handlers={},
        begin_round=begin_round,
        remind=remind,
    )

    scanner.run_once()

    with transaction(own_engine, tenant) as connection:
        told = connection.exec_driver_sql(
            "SELECT count(*) FROM event WHERE kind = 'clock.reminded'"
        ).scalar_one()
        (timer,) = timers.list_of(connection, ["slot:a"])
    assert told == 1
    assert timer.reminded == 1


def test_a_reminder_plans_the_next_visit(own_engine: Engine, tenant: Tenant) -> None:
    """A sleeping tenant is woken for a mark, long before its clock rings."""
    now = real_now(own_engine, tenant)
    arm(
        own_engine,
        tenant,
        [Arm("slot:a", "escrow.auto_release", now + 10 * DAY, 1)],
        ["escrow.auto_release"],
    )
    scanner = Scanner(engine=own_engine, tenants=lambda: [tenant], handlers={}, remind=remind)

    scanner.run_once()

    with own_engine.begin() as connection:
        hint: datetime = connection.exec_driver_sql(
            "SELECT due_at FROM holdfast.tenant_due"
        ).scalar_one()
    assert abs(hint - now - 5 * DAY) < timedelta(minutes=1)


OURS = {
    *("engine/scanner.py", "engine/handlers.py"),
    *("kernel/timers.py", "kernel/reminders.py", "kernel/outages.py", "kernel/clock.py"),
}


@pytest.mark.parametrize("call", ["now", "utcnow", "today", "time"])
def test_e49_no_clock_of_a_worker_counts(call: str) -> None:
    """E49: what fires timers, and all that they fire, asks the database what time it is."""
    asked = [
        source.at(node)
        for source in sources("kernel", "escrow", "engine")
        if source.path.startswith(
            ("escrow/", "kernel/timers", "kernel/reminders", "kernel/outages")
        )
        or source.path in OURS
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == call
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"datetime", "date", "time"}
    ]

    assert not asked, asked
