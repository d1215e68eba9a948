"""Two connections at once: entries at the lock, the same hours twice, two starts, two lines."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine

from escrow import service, timers
from escrow.commands_hourly import Interval, LogTime
from escrow.model_hourly import EntryState, WeekState
from escrow.model_lines import DisputeLine, LineCommand
from escrow.model_runs import RunCommand, StartTime
from kernel import timers as clock_rows
from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from tests.escrow.stage import prove_books
from tests.escrow.stage_hourly import MONDAY, HourlyStage, hours
from tests.escrow.stage_lines import LineStage
from tests.escrow.test_races import code, race

WEEK = timedelta(days=7)


def at_once(stage: HourlyStage, connection: Connection) -> HourlyStage:
    """The same deal on another connection."""
    stage.connection = connection
    return stage


def logging(
    stage: HourlyStage, span: tuple[datetime, datetime], at: datetime, term_id: UUID | None = None
) -> Callable[[Connection], object]:
    """An act that logs hours."""
    interval = Interval(
        entry_id=new_id(), started_at=span[0], ended_at=span[1], memo="work", activity=80
    )
    command = LogTime(actor=stage.payee, term_id=term_id or stage.term_id, entries=(interval,))
    return lambda connection: service.log_time(connection, [command], at=at)[0]


def firing(engine: Engine, tenant: Tenant, kind: str, at: datetime) -> Callable[[Connection], int]:
    """An act that fires what is due of a kind."""
    with transaction(engine, tenant) as connection:
        listed = clock_rows.list_due(connection, at=at, limit=99, grace=timedelta())
    due = [each for each in listed if each.kind == kind]
    assert due
    return lambda connection: timers.HANDLERS[kind](connection, due, at)


@pytest.fixture
def stage(own_engine: Engine, tenant: Tenant) -> HourlyStage:
    """A signed contract on hours, committed, on the first Monday."""
    with transaction(own_engine, tenant) as connection:
        return HourlyStage(connection).ready()


@pytest.mark.parametrize("order", [0, 1])
def test_hours_at_the_lock_of_their_week_are_locked_or_taken_as_offline(
    own_engine: Engine, tenant: Tenant, stage: HourlyStage, order: int
) -> None:
    """Whoever comes first: the entry is in its week once, and the invoice has it once."""
    at = MONDAY + WEEK
    close = firing(own_engine, tenant, "escrow.week_close", at)
    acts = [logging(stage, hours(6, 20, 23), at), close]

    answers = race(own_engine, tenant, *(acts if order else reversed(acts)))

    outcome = next(each for each in answers if isinstance(each, Outcome))
    assert outcome.is_done
    with transaction(own_engine, tenant) as connection:
        there = at_once(stage, connection)
        (entry,) = there.entries(0)
        assert entry.state in {EntryState.LOCKED, EntryState.LOGGED}
        there.pass_to(at)  # the clock may have let the hours go ahead
        there.pass_to(at + timedelta(hours=12))
        assert [line.minutes for line in there.lines(0)] == [180]
        assert len(there.weeks()) == 2
        prove_books(connection)


def test_hours_at_the_invoice_are_billed_once_or_late(
    own_engine: Engine, tenant: Tenant, stage: HourlyStage
) -> None:
    """At noon an entry is on the invoice, or waits for the client as a late one; never both."""
    at = MONDAY + WEEK + timedelta(hours=12)
    with transaction(own_engine, tenant) as connection:
        assert at_once(stage, connection).log(hours(0, 8, 10)).is_done
        stage.pass_to(at - timedelta(minutes=1))
    invoice = firing(own_engine, tenant, "escrow.week_invoice", at)

    answers = race(own_engine, tenant, logging(stage, hours(1, 8, 9), at), invoice)

    assert code(answers[0]) == "done"
    with transaction(own_engine, tenant) as connection:
        there = at_once(stage, connection)
        there.pass_to(at)  # the clock may have let the hours go ahead
        minutes = sum(line.minutes for line in there.lines(0))
        states = connection.exec_driver_sql("SELECT state FROM time_entry ORDER BY started_at")
        second = list(states.scalars())[1]
        assert (minutes, second) in {(180, "billed"), (120, "late")}
        prove_books(connection)


def test_the_same_hours_are_taken_once(
    own_engine: Engine, tenant: Tenant, stage: HourlyStage
) -> None:
    """Two terms of one payee, logged at the same moment: one is refused, neither waits for ever."""
    with transaction(own_engine, tenant) as connection:
        other = HourlyStage(connection)
        other.payee = stage.payee
        other.ready()
    at = MONDAY + timedelta(hours=12)

    answers = race(
        own_engine,
        tenant,
        logging(stage, hours(0, 8, 10), at),
        logging(stage, hours(0, 9, 11), at, other.term_id),
    )

    assert sorted(code(each) for each in answers) == ["done", "escrow.hours_overlap"]


def test_one_of_two_starts_counts(own_engine: Engine, tenant: Tenant, stage: HourlyStage) -> None:
    """A double click starts once, and what runs is stopped once."""
    at = MONDAY + timedelta(hours=9)

    def start(connection: Connection) -> object:
        command = StartTime(actor=stage.payee, term_id=stage.term_id, run_id=new_id())
        return service.start_time(connection, [command], at=at)[0]

    answers = race(own_engine, tenant, start, start)

    assert sorted(code(each) for each in answers) == ["done", "escrow.runs_already"]
    began = next(each for each in answers if isinstance(each, Outcome) and each.is_done)

    def stop(connection: Connection) -> object:
        command = RunCommand(actor=stage.payee, run_id=UUID(began.facts["run_id"]))
        return service.stop_time(connection, [command], at=at + timedelta(hours=1))[0]

    stopped = race(own_engine, tenant, stop, stop)
    assert sorted(code(each) for each in stopped) == ["done", "escrow.wrong_state"]
    with transaction(own_engine, tenant) as connection:
        assert [each.minutes for each in at_once(stage, connection).entries()] == [60]


def test_a_line_at_the_end_of_its_review(own_engine: Engine, tenant: Tenant) -> None:
    """A dispute stamped before Friday night against the clock: frozen first, or too late."""
    with transaction(own_engine, tenant) as connection:
        stage = LineStage(connection).in_review()
        week = stage.week()
    at = week.review_ends_at
    command = DisputeLine(
        actor=stage.client,
        line_dispute_id=new_id(),
        week_id=week.id,
        line_no=2,
        reason="not worked",
    )
    before = at - timedelta(seconds=1)

    answers = race(
        own_engine,
        tenant,
        lambda connection: service.dispute_line(connection, [command], at=before)[0],
        firing(own_engine, tenant, "escrow.week_review_end", at),
    )

    with transaction(own_engine, tenant) as connection:
        stage.connection = connection
        if code(answers[0]) == "done":
            stage.pass_to(at)
            assert stage.week().state in {WeekState.LINES_DISPUTED, WeekState.IN_REVIEW}
        else:
            assert code(answers[0]) == "escrow.wrong_state"
            assert stage.week().state is WeekState.RELEASED
        prove_books(connection)


def test_two_ends_of_one_line(own_engine: Engine, tenant: Tenant) -> None:
    """The payee concedes while the client withdraws: one of them counts."""
    with transaction(own_engine, tenant) as connection:
        stage = LineStage(connection).in_review()
        dispute = stage.dispute(2)

    def concede(connection: Connection) -> object:
        command = LineCommand(actor=stage.payee, line_dispute_id=dispute)
        return service.concede_line(connection, [command], at=stage.now)[0]

    def withdraw(connection: Connection) -> object:
        command = LineCommand(actor=stage.client, line_dispute_id=dispute)
        return service.withdraw_line(connection, [command], at=stage.now)[0]

    answers = race(own_engine, tenant, concede, withdraw)

    assert sorted(code(each) for each in answers) == ["done", "escrow.wrong_state"]
    with transaction(own_engine, tenant) as connection:
        prove_books(connection)
