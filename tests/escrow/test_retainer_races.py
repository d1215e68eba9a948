"""Two connections at once on one retainer: the result is that of one of the two serial orders."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier

import pytest
from sqlalchemy import Connection, Engine

from escrow import timers
from escrow.model_retainer import Every, RetainerKind, RetainerTerms, Unused
from kernel import timers as clock_rows
from kernel.database import Tenant, transaction
from tests.escrow.stage import prove_books
from tests.escrow.stage_hybrid import Trio
from tests.escrow.stage_retainer import Lease
from tests.escrow.test_hybrid_stories import HOURS as HYBRID
from tests.escrow.test_hybrid_stories import at, trio

Act = Callable[[Lease], str]

APRIL = date(2026, 4, 1)
HOURS = RetainerTerms(
    kind=RetainerKind.HOURS_DRAWDOWN,
    amount_minor=300_000,
    every=Every.MONTH,
    anchor_on=APRIL,
    hourly_minor=10_000,
    unused=Unused.TO_CLIENT,
)


def on(lease: Lease, connection: Connection) -> Lease:
    """The same retainer on another connection."""
    other = object.__new__(Lease)
    other.__dict__.update(lease.__dict__, connection=connection)
    stage = object.__new__(type(lease.stage))
    stage.__dict__.update(lease.stage.__dict__, connection=connection)
    other.stage = stage
    return other


def prepared(engine: Engine, tenant: Tenant, until: date, *, draws: bool = True) -> Lease:
    """A running period with a drawdown of ten hours before the client, all committed."""
    with transaction(engine, tenant) as connection:
        lease = Lease(connection, HOURS).agreed()
        lease.until(until)
        if draws:
            assert lease.draw(1, 600).is_done
    return lease


def race(engine: Engine, tenant: Tenant, lease: Lease, *acts: Act) -> list[str]:
    """What the acts say, done at the same time, each in a transaction of its own."""
    start = Barrier(len(acts))

    def run(act: Act) -> str:
        with transaction(engine, tenant) as connection:
            mine = on(lease, connection)
            start.wait(timeout=120)
            return act(mine)

    with ThreadPoolExecutor(len(acts)) as pool:
        return [each.result(timeout=120) for each in [pool.submit(run, act) for act in acts]]


def seen(engine: Engine, tenant: Tenant, lease: Lease) -> tuple[str, str, int]:
    """(retainer, first period, paid to the payee so far); the books are proved."""
    with transaction(engine, tenant) as connection:
        prove_books(connection)
        mine = on(lease, connection)
        paid = connection.exec_driver_sql("SELECT coalesce(sum(gross_minor), 0) FROM release")
        return mine.retainer.state, mine.period(1).state, int(paid.scalar_one())


def approve(lease: Lease) -> str:
    return lease.on_drawdown("approve_drawdown", lease.stage.client).code


def ring(kind: str) -> Act:
    """Everything of a kind that is due in a month, rung now."""

    def act(lease: Lease) -> str:
        until = lease.stage.now + timedelta(days=31)
        due = clock_rows.list_due(lease.connection, at=until, limit=100, grace=timedelta())
        mine = [each for each in due if each.kind == f"escrow.{kind}"]
        return f"rung {timers.HANDLERS[mine[0].kind](lease.connection, mine, until)}"

    return act


@pytest.mark.parametrize("turn", range(2))
def test_the_end_of_a_period_against_an_approval(
    own_engine: Engine, tenant: Tenant, turn: int
) -> None:
    """The drawdown is paid once; the period is settled, or waits for its next ring."""
    lease = prepared(own_engine, tenant, date(2026, 4, 28))
    acts: list[Act] = [approve, ring("period_close")]

    said = race(own_engine, tenant, lease, *(acts if turn else acts[::-1]))

    assert "done" in said
    state = seen(own_engine, tenant, lease)
    assert state in {("running", "settled", 100_000), ("running", "closing", 100_000),
                     ("running", "active", 100_000)}  # fmt: skip


@pytest.mark.parametrize("turn", range(2))
def test_a_cancellation_against_an_approval(own_engine: Engine, tenant: Tenant, turn: int) -> None:
    """Approved first, all is divided; cancelled first, the open drawdown stands in its way."""
    lease = prepared(own_engine, tenant, date(2026, 4, 11))
    acts: list[Act] = [approve, lambda each: each.cancel(each.stage.operator).code]

    said = race(own_engine, tenant, lease, *(acts if turn else acts[::-1]))

    assert set(said) <= {"done", "retainer.drawdowns_open"}
    expected = {
        ("ended", "cancelled", 100_000): ["done", "done"],
        ("running", "active", 100_000): ["done", "retainer.drawdowns_open"],
    }
    assert sorted(said) == expected[seen(own_engine, tenant, lease)]


@pytest.mark.parametrize("turn", range(2))
def test_a_cancellation_against_a_drawdown(own_engine: Engine, tenant: Tenant, turn: int) -> None:
    """Drawn first, the cancellation is refused; cancelled first, there is nothing to draw from."""
    lease = prepared(own_engine, tenant, date(2026, 4, 11), draws=False)
    acts: list[Act] = [
        lambda each: each.draw(1, 600).code,
        lambda each: each.cancel(each.stage.operator).code,
    ]

    said = race(own_engine, tenant, lease, *(acts if turn else acts[::-1]))

    ends = {
        ("ended", "cancelled", 100_000): ["done", "retainer.not_funded"],
        ("running", "active", 0): ["done", "retainer.drawdowns_open"],
    }
    assert sorted(said) == ends[seen(own_engine, tenant, lease)]


def test_two_cancellations_at_once(own_engine: Engine, tenant: Tenant) -> None:
    """Both sides at once: the first gives notice, the second ends it; divided once (P31)."""
    lease = prepared(own_engine, tenant, date(2026, 4, 11), draws=False)

    said = race(
        own_engine,
        tenant,
        lease,
        lambda each: str(each.cancel(each.stage.client).facts.get("state")),
        lambda each: str(each.cancel(each.stage.payee).facts.get("state")),
    )

    assert sorted(said) == ["ended", "ending"]
    assert seen(own_engine, tenant, lease) == ("ended", "cancelled", 100_000)


def test_two_rings_of_one_review_pay_once(own_engine: Engine, tenant: Tenant) -> None:
    """Of two scanners one takes the timer; the other finds it gone, or its contract held."""
    lease = prepared(own_engine, tenant, date(2026, 4, 11))
    due = ring("drawdown_review")

    said = race(own_engine, tenant, lease, due, due)

    assert sorted(said) == ["rung 0", "rung 1"]
    assert seen(own_engine, tenant, lease) == ("running", "active", 100_000)


def test_a_clock_against_its_command_never_deadlocks(own_engine: Engine, tenant: Tenant) -> None:
    """The clock takes its contract before its timer, as the command does: one waits or yields."""
    lease = prepared(own_engine, tenant, date(2026, 4, 11))

    said = race(own_engine, tenant, lease, approve, ring("drawdown_review"), approve)

    assert said.count("done") <= 1
    assert seen(own_engine, tenant, lease) == ("running", "active", 100_000)


@pytest.mark.parametrize("turn", range(2))
def test_one_hour_against_two_terms(own_engine: Engine, tenant: Tenant, turn: int) -> None:
    """Logged and drawn at the same time, an hour is billed by one of the two terms."""
    with transaction(own_engine, tenant) as connection:
        made = trio(connection, HYBRID)
        made.until(date(2026, 3, 7))
    start = Barrier(2)
    hours = (at(6, 8), at(6, 12))

    def run(verb: str) -> str:
        with transaction(own_engine, tenant) as connection:
            mine = object.__new__(Trio)
            mine.__dict__.update(made.__dict__, connection=connection)
            start.wait(timeout=120)
            return getattr(mine, verb)(hours).code  # type: ignore[no-any-return]

    verbs = ["log", "draw"] if turn else ["draw", "log"]
    with ThreadPoolExecutor(2) as pool:
        said = [each.result(timeout=120) for each in [pool.submit(run, verb) for verb in verbs]]

    assert sorted(said) == ["done", "escrow.hours_overlap"]
    with transaction(own_engine, tenant) as connection:
        prove_books(connection)
        both = connection.exec_driver_sql(
            "SELECT (SELECT count(*) FROM time_entry) + (SELECT count(*) FROM drawdown_time)"
        )
        assert both.scalar_one() == 1
