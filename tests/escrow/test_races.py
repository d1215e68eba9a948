"""Two connections at once: the row lock decides, money moves once, nobody waits for ever."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import Connection, Engine

from escrow import service, timers
from escrow.commands import SlotCommand
from kernel import timers as clock_rows
from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from tests.escrow.stage import Stage, prove_books

Act = Callable[[Connection], object]


def race(engine: Engine, tenant: Tenant, *acts: Act) -> list[object]:
    """Run the acts at the same time, each in a transaction of its own."""
    start = Barrier(len(acts))

    def run(act: Act) -> object:
        with transaction(engine, tenant) as connection:
            start.wait(timeout=120)
            return act(connection)

    with ThreadPoolExecutor(len(acts)) as pool:
        return [each.result(timeout=120) for each in [pool.submit(run, act) for act in acts]]


@pytest.fixture
def stage(own_engine: Engine, tenant: Tenant) -> Stage:
    """A submitted slot that is committed; its connection is closed."""
    with transaction(own_engine, tenant) as connection:
        return Stage(connection).submitted()


def code(outcome: object) -> str:
    assert isinstance(outcome, Outcome)
    return outcome.code


def test_two_approvals_release_once(own_engine: Engine, tenant: Tenant, stage: Stage) -> None:
    """E15: of two clicks at the same time one releases, the other finds it released."""
    command = SlotCommand(actor=stage.client, slot_id=stage.slot_id)

    def approve(connection: Connection) -> object:
        return service.approve(connection, [command], at=stage.now)[0]

    codes = sorted(code(each) for each in race(own_engine, tenant, approve, approve))

    assert codes == ["done", "escrow.wrong_state"]
    with transaction(own_engine, tenant) as connection:
        prove_books(connection)


def test_approval_against_withdrawal(own_engine: Engine, tenant: Tenant, stage: Stage) -> None:
    """E16: either the approval or the withdrawal counts, never both."""
    approve = SlotCommand(actor=stage.client, slot_id=stage.slot_id, submission_no=1)
    withdraw = SlotCommand(actor=stage.payee, slot_id=stage.slot_id, submission_no=1)

    answers = race(
        own_engine,
        tenant,
        lambda c: service.approve(c, [approve], at=stage.now)[0],
        lambda c: service.withdraw_submission(c, [withdraw], at=stage.now)[0],
    )

    assert sorted(code(each) == "done" for each in answers) == [False, True]
    with transaction(own_engine, tenant) as connection:
        prove_books(connection)


def test_two_scanners_fire_a_timer_once(own_engine: Engine, tenant: Tenant, stage: Stage) -> None:
    """Two scanners read the same timer: together they fire it exactly once."""
    later = stage.now + timedelta(days=14)
    with transaction(own_engine, tenant) as connection:
        due = [
            each
            for each in clock_rows.list_due(connection, at=later, limit=9, grace=timedelta())
            if each.kind == "escrow.auto_release"
        ]

    def fire(connection: Connection) -> object:
        return timers.auto_release(connection, due, later)

    fired = race(own_engine, tenant, fire, fire)

    assert sorted(fired) == [0, 1]  # type: ignore[type-var]
    with transaction(own_engine, tenant) as connection:
        assert replace(stage, connection=connection) is not None
        prove_books(connection)


def test_a_result_heard_twice_at_once_funds_once(own_engine: Engine, tenant: Tenant) -> None:
    """E2: the same word of a rail in two transactions at the same time counts once."""
    with transaction(own_engine, tenant) as connection:
        stage = Stage(connection)
        assert stage.propose().is_done
        assert stage.accept().is_done
        assert stage.start_funding().is_done
        result = stage.result()

    def hear(connection: Connection) -> object:
        return service.funding_results(connection, [result], at=stage.now)[0]

    heard = race(own_engine, tenant, hear, hear)

    news = [each.facts["is_news"] for each in heard if isinstance(each, Outcome)]
    assert sorted(news) == [False, True]
    with transaction(own_engine, tenant) as connection:
        prove_books(connection)


def test_a_hold_and_an_approval_exclude_each_other(
    own_engine: Engine, tenant: Tenant, stage: Stage
) -> None:
    """Either the hold is there first and the approval sees it, or the money is out already."""
    command = SlotCommand(actor=stage.client, slot_id=stage.slot_id)

    def hold(connection: Connection) -> object:
        connection.exec_driver_sql("SELECT 1 FROM slot WHERE id = %s FOR UPDATE", (stage.slot_id,))
        connection.exec_driver_sql(
            "INSERT INTO hold (id, subject, kind, reason, placed_by, placed_at)"
            " VALUES (%s, %s, 'dispute', 'a reason', %s, %s)",
            (new_id(), f"slot:{stage.slot_id}", new_id(), stage.now),
        )
        return None

    answers = race(
        own_engine,
        tenant,
        hold,
        lambda c: service.approve(c, [command], at=stage.now)[0],
    )

    assert code(answers[1]) in {"done", "escrow.held"}
    with transaction(own_engine, tenant) as connection:
        prove_books(connection)


def test_many_lists_in_any_order_do_not_deadlock(own_engine: Engine, tenant: Tenant) -> None:
    """Releases of the same slots named in opposite orders wait for each other, no more."""
    with transaction(own_engine, tenant) as connection:
        stages = [Stage(connection).submitted() for _ in range(8)]
    commands = [SlotCommand(actor=each.client, slot_id=each.slot_id) for each in stages]
    at = stages[0].now

    answers = race(
        own_engine,
        tenant,
        lambda c: service.approve(c, commands, at=at),
        lambda c: service.approve(c, commands[::-1], at=at),
    )

    done = [each.is_done for outcomes in answers for each in outcomes]  # type: ignore[attr-defined]
    assert sum(done) == 8
    with transaction(own_engine, tenant) as connection:
        prove_books(connection)
