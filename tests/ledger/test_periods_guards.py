"""What the database refuses of periods to the tenant's role and to the owner alike, by raw SQL."""

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from kernel.copying import teach
from kernel.database import Tenant, driver, enter
from ledger.seal import seal
from tests.ledger.period_rows import (
    ANN,
    APRIL,
    BOB,
    IN_APRIL,
    KINDS,
    act_by_hand,
    act_row,
    add_period,
    move,
    period_row,
)
from tests.ledger.raw_rows import Row, check, draw, insert, refuses, transfer, write

FEBRUARY = "[2026-02-01 00:00:00+00,2026-03-01 00:00:00+00)"


def march(books: Connection) -> int:
    return int(books.exec_driver_sql("SELECT min(id) FROM period").scalar_one())


def seal_all(books: Connection) -> None:
    """Seal what this very transaction wrote, too."""
    teach(driver(books))
    seal(books, at=datetime.now(UTC))


def closing_row(act: Row, **spoiled: Any) -> Row:
    last = spoiled.pop("last_journal_no", 10**9)
    return {
        "period_id": act["period_id"],
        "version": act["version"],
        "act_no": act["act_no"],
        "last_journal_no": last,
        "trial_balance": "{}",
        "trial_balance_sha256": sha256(b"{}").digest(),
        "checks": "[]",
        "warnings": "[]",
        "closed_by": act["actor_id"],
        "closed_at": datetime.now(UTC),
        **spoiled,
    }


def close_by_hand(books: Connection, period_id: int, **spoiled: Any) -> None:
    """Close a softly closed or reopened period, all rows drawn up right unless one is spoiled."""
    act = act_row(books, period_id, "close")
    insert(books, "period_act", [act])
    insert(books, "period_closing", [closing_row(act, **spoiled)])
    move(books, period_id, "closed", act_no=act["act_no"], version=act["version"])


def closed_march(books: Connection) -> int:
    period_id = march(books)
    act_by_hand(books, period_id, "soft_close")
    check(books)
    seal_all(books)
    close_by_hand(books, period_id)
    check(books)
    return period_id


@pytest.mark.parametrize("state", ["soft_closed", "closed", "reopened"])
def test_a_period_does_not_move_without_an_act(books: Connection, state: str) -> None:
    """Not even to the next state: the state follows from the acts."""
    for more in ({}, {"act_no": 1}, {"act_no": 1, "version": 1}):
        with refuses(books, "HF012"):
            move(books, march(books), state, **more)


def test_a_period_begins_open(books: Connection) -> None:
    """Nobody opens a period that is closed already."""
    with refuses(books, "HF012", "42501"):
        books.exec_driver_sql(f"INSERT INTO period (during, state) VALUES ('{APRIL}', 'closed')")


def test_an_act_that_moves_nothing_is_refused(books: Connection) -> None:
    """At the latest at its commit: acts and states cannot part."""
    with refuses(books, "HF012"):
        insert(books, "period_act", [act_row(books, march(books), "soft_close")])


@pytest.mark.parametrize(
    ("spoiled", "code"),
    [
        ({"act_no": 2}, "HF012"),
        ({"version": 3}, "HF012"),
        ({"event_id": 1}, "HF012"),
        ({"actor_id": BOB.principal_id}, "HF012"),
        ({"actor_kind": "key"}, "23514"),
    ],
    ids=str,
)
def test_an_act_comes_in_its_turn_with_its_event(
    books: Connection, spoiled: Row, code: str
) -> None:
    """A skipped number, another's event, a program as actor: each is refused."""
    with refuses(books, code):
        act_by_hand(books, march(books), "soft_close", **spoiled)

    act_by_hand(books, march(books), "soft_close")
    check(books)


def test_a_closing_needs_its_trial_balance_and_its_hash(books: Connection) -> None:
    """No row, no closing; and the hash is that of the text."""
    period_id = march(books)
    act_by_hand(books, period_id, "soft_close")
    check(books)
    seal_all(books)

    with refuses(books, "HF012"):
        act_by_hand(books, period_id, "close")
    with refuses(books, "23514"):
        close_by_hand(books, period_id, trial_balance="{ }")

    close_by_hand(books, period_id)
    check(books)


def test_what_is_not_sealed_or_sealed_behind_is_not_closed(books: Connection) -> None:
    """The database looks itself: at what waits, and at what has a higher journal number."""
    period_id = march(books)
    act_by_hand(books, period_id, "soft_close")
    check(books)

    with refuses(books, "HF012"):
        close_by_hand(books, period_id)
    seal_all(books)
    with refuses(books, "HF012"):
        close_by_hand(books, period_id, last_journal_no=0)

    close_by_hand(books, period_id)
    check(books)


def test_a_closed_period_takes_no_entry(books: Connection) -> None:
    """Nothing counts in it any more, and no month begins before it."""
    closed_march(books)
    late = draw(books, transfer(100), recorded_at=datetime.now(UTC))

    with refuses(books, "HF004"):
        write(books, late)
    with refuses(books, "HF012"):
        add_period(books, FEBRUARY)

    add_period(books, APRIL)
    write(books, draw(books, transfer(5), recorded_at=datetime.now(UTC), effective_at=IN_APRIL))
    check(books)


def ask_alone(books: Connection, period_id: int) -> None:
    """One person asks and agrees."""
    act_by_hand(books, period_id, "ask_reopening")
    asked = {"asked_by": ANN.principal_id, "asked_act_no": 3}
    act_by_hand(books, period_id, "reopen", **asked)


def ask_nobody(books: Connection, period_id: int) -> None:
    """A question is named that was never asked."""
    asked = {"asked_by": ANN.principal_id, "asked_act_no": 2}
    act_by_hand(books, period_id, "reopen", actor=BOB, **asked)


def name_another(books: Connection, period_id: int) -> None:
    """Bob asked, and Bob agrees in Ann's name... as whoever the question does not show."""
    act_by_hand(books, period_id, "ask_reopening", actor=BOB)
    asked = {"asked_by": ANN.principal_id, "asked_act_no": 3}
    act_by_hand(books, period_id, "reopen", actor=BOB, **asked)


def say_nothing(books: Connection, period_id: int) -> None:
    """No reason is given."""
    act_by_hand(books, period_id, "ask_reopening", reason=" ")


def move_alone(books: Connection, period_id: int) -> None:
    """The row is moved without any act."""
    was = period_row(books, period_id)
    move(books, period_id, "reopened", act_no=was["act_no"] + 1)


@pytest.mark.parametrize(
    "trick",
    [ask_alone, ask_nobody, name_another, say_nothing, move_alone],
    ids=lambda f: f.__name__,
)
def test_a_reopening_without_two_people_is_impossible(
    books: Connection, trick: Callable[[Connection, int], None]
) -> None:
    """Each way to reopen a period alone is refused; two people and a reason do it."""
    period_id = closed_march(books)

    with refuses(books, "HF012", "23514"):
        trick(books, period_id)

    act_by_hand(books, period_id, "ask_reopening", actor=ANN)
    asked = {"asked_by": ANN.principal_id, "asked_act_no": 3}
    act_by_hand(books, period_id, "reopen", actor=BOB, **asked)
    check(books)
    assert period_row(books, period_id)["state"] == KINDS["reopen"][0]


def test_an_old_question_reopens_no_second_closing(books: Connection) -> None:
    """A question is about one version; the next closing needs a new one."""
    period_id = closed_march(books)
    asked = {"asked_by": ANN.principal_id, "asked_act_no": 3}
    act_by_hand(books, period_id, "ask_reopening", actor=ANN)
    act_by_hand(books, period_id, "reopen", actor=BOB, **asked)
    close_by_hand(books, period_id)

    with refuses(books, "HF012"):
        act_by_hand(books, period_id, "reopen", actor=BOB, **asked)
    check(books)


@pytest.mark.parametrize("table", ["period_act", "period_closing", "period_step"])
@pytest.mark.parametrize("act", ["UPDATE", "DELETE", "TRUNCATE"])
def test_acts_and_closings_are_append_only(books: Connection, table: str, act: str) -> None:
    """No act, no closing and no step is changed or taken away."""
    closed_march(books)
    column = "from_state" if table == "period_step" else "act"
    statement = {
        "UPDATE": f"UPDATE {table} SET {column} = {column}",
        "DELETE": f"DELETE FROM {table}",
        "TRUNCATE": f"TRUNCATE {table} CASCADE",
    }[act]

    with refuses(books, "HF001", "42501"):
        books.exec_driver_sql(statement)


def test_a_soft_closed_period_takes_no_event_that_calls_itself_a_journal(
    books: Connection,
) -> None:
    """An event of the right kind without an approved row behind it is as any other."""
    act_by_hand(books, march(books), "soft_close")
    rows = draw(books, transfer(100), recorded_at=datetime.now(UTC))
    rows.events[0] |= {"kind": "journal.posted", "actor_kind": "person"}

    with refuses(books, "HF004"):
        write(books, rows)


def test_a_period_is_not_closed_from_an_old_snapshot(engine: Engine, tenant: Tenant) -> None:
    """A transaction that cannot see what was committed while it waited does not act."""
    with engine.connect() as plain:
        connection = plain.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin() as running:
            enter(connection, tenant)
            period_id = add_period(connection, APRIL)
            with refuses(connection, "HF012"):
                act_by_hand(connection, period_id, "soft_close")
            running.rollback()
