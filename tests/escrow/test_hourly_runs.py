"""Time that runs: started, cut where a week ends, stopped by the payee or where things rest."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from escrow import service, store_hourly_lines
from escrow.commands import ContractCommand, Fund
from escrow.model import SlotState
from escrow.model_hourly import WeekState
from escrow.model_runs import RunCommand, RunState, StartTime
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import Actor
from rails.model import RailOutcome
from tests.escrow.stage import check_balances, prove_books
from tests.escrow.stage_hourly import MONDAY, HourlyStage, hours

WEEK = timedelta(days=7)


def start(stage: HourlyStage, memo: str = "work", actor: Actor | None = None) -> Outcome:
    command = StartTime(
        actor=actor or stage.payee, term_id=stage.term_id, run_id=new_id(), memo=memo, activity=70
    )
    return service.start_time(stage.connection, [command], at=stage.now)[0]


def on_run(stage: HourlyStage, verb: str, run: Outcome, **fields: object) -> Outcome:
    command = RunCommand(
        actor=stage.payee,
        run_id=UUID(run.facts["run_id"]),
        **fields,  # type: ignore[arg-type]
    )
    return getattr(service, verb)(stage.connection, [command], at=stage.now)[0]  # type: ignore[no-any-return]


def run_state(stage: HourlyStage, run: Outcome) -> RunState:
    return store_hourly_lines.find_runs(stage.connection, [UUID(run.facts["run_id"])])[0].state


def on_contract(stage: HourlyStage, verb: str, actor: Actor) -> Outcome:
    command = ContractCommand(actor=actor, contract_id=stage.contract_id)
    return getattr(service, verb)(stage.connection, [command], at=stage.now)[0]  # type: ignore[no-any-return]


def test_time_runs_from_start_to_stop_in_whole_minutes(connection: Connection) -> None:
    """09:00:30 to 11:30:59 is two hours and a half; what it is worth is told at once."""
    stage = HourlyStage(connection).ready()
    stage.wait(hours=9, seconds=30)
    run = start(stage)
    assert run.is_done, run
    stage.wait(hours=2, minutes=30, seconds=29)

    stopped = on_run(stage, "stop_time", run, memo="design")

    (entry,) = stopped.facts["entries"]
    assert (entry["minutes"], entry["source"], entry["protected"]) == (150, "tracked", True)
    (kept,) = stage.entries()
    assert (kept.memo, kept.activity) == ("design", 70)
    assert on_run(stage, "stop_time", run).code == "escrow.wrong_state"


def test_one_thing_at_a_time_whatever_the_contract(connection: Connection) -> None:
    """A second start is refused under any term, and so are hours logged beside what runs."""
    stage = HourlyStage(connection).ready()
    other = HourlyStage(connection)
    other.payee = stage.payee
    other.ready()
    stage.wait(hours=8)
    other.now = stage.now
    run = start(stage)

    refused = start(other)

    assert (refused.code, refused.facts["run_id"]) == ("escrow.runs_already", run.facts["run_id"])
    assert other.log(hours(0, 7, 8)).is_done
    assert other.log(hours(0, 8, 9)).code == "escrow.hours_overlap"
    stage.now = other.now
    assert on_run(stage, "discard_time", run).facts["state"] == "discarded"
    assert stage.entries() == []
    assert other.log(hours(0, 8, 9)).is_done


def test_the_database_lets_one_run_at_a_time(connection: Connection) -> None:
    """Whatever the program says."""
    stage = HourlyStage(connection).ready()
    assert start(stage).is_done
    columns = "term_id, contract_id, payee_id, started_at, memo, activity, state, version"
    nested = connection.begin_nested()

    with pytest.raises(IntegrityError, match="time_run_one_at_a_time"):
        connection.exec_driver_sql(
            f"INSERT INTO time_run (id, {columns}) SELECT %s, {columns} FROM time_run",
            (new_id(),),
        )

    nested.rollback()


def test_what_runs_over_sunday_midnight_is_cut_there(connection: Connection) -> None:
    """The old week gets its 40 minutes at the lock; the rest is logged at the stop."""
    stage = HourlyStage(connection).ready()
    stage.pass_to(MONDAY + WEEK - timedelta(minutes=40))
    run = start(stage)

    stage.pass_to(MONDAY + WEEK)

    assert [each.minutes for each in stage.entries(0)] == [40]
    assert run_state(stage, run) is RunState.RUNNING
    stage.wait(minutes=50)
    assert on_run(stage, "stop_time", run).is_done
    assert [each.minutes for each in stage.entries(1)] == [50]


def test_a_stop_before_the_week_was_closed_splits_as_well(connection: Connection) -> None:
    """The clock of the week may ring late; the hours fall where they belong all the same."""
    stage = HourlyStage(connection).ready()
    stage.pass_to(MONDAY + WEEK - timedelta(minutes=40))
    run = start(stage)
    stage.now += timedelta(minutes=90)

    assert on_run(stage, "stop_time", run).is_done

    stage.pass_to(stage.now)
    assert [each.minutes for each in stage.entries(0)] == [40]
    assert [each.minutes for each in stage.entries(1)] == [50]


def test_a_forgotten_run_counts_24_hours(connection: Connection) -> None:
    """Nobody works three days without a stop."""
    stage = HourlyStage(connection).ready()
    run = start(stage)
    stage.wait(days=3)

    (entry,) = on_run(stage, "stop_time", run).facts["entries"]

    assert entry["minutes"] == 24 * 60


def test_a_forgotten_run_ends_with_its_week(connection: Connection) -> None:
    """More than 24 hours at the week's end: it is stopped there."""
    stage = HourlyStage(connection).ready()
    run = start(stage)

    stage.pass_to(MONDAY + WEEK)

    assert run_state(stage, run) is RunState.STOPPED
    assert [each.minutes for each in stage.entries(0)] == [24 * 60]


def test_less_than_a_minute_is_nothing(connection: Connection) -> None:
    """Started and stopped at once leaves no entry."""
    stage = HourlyStage(connection).ready()
    run = start(stage)
    stage.wait(seconds=59)

    stopped = on_run(stage, "stop_time", run)

    assert (stopped.facts["state"], stopped.facts["entries"]) == ("stopped", [])


def test_a_paused_contract_stops_what_runs(connection: Connection) -> None:
    """The hours until the pause are kept; nothing starts before it goes on."""
    stage = HourlyStage(connection).ready()
    run = start(stage)
    stage.wait(hours=2)

    assert on_contract(stage, "pause", stage.client).is_done

    assert run_state(stage, run) is RunState.STOPPED
    assert [each.minutes for each in stage.entries()] == [120]
    assert start(stage).code == "escrow.contract_not_running"
    assert on_contract(stage, "resume", stage.client).is_done
    assert start(stage).is_done


def test_a_charge_that_failed_rests_logging_until_it_is_paid(connection: Connection) -> None:
    """What runs is cut at the failure; hours since are refused, those before are still taken."""
    stage = HourlyStage(connection).ready().invoiced(hours(0, 8, 18))
    run = start(stage)
    stage.wait(minutes=10)
    assert stage.hear(RailOutcome.REFUSED).is_done

    assert stage.week(0).state is WeekState.CHARGE_FAILED
    assert run_state(stage, run) is RunState.STOPPED
    assert [each.minutes for each in stage.entries(1)] == [10]
    assert start(stage).code == "escrow.logging_paused"
    refused = stage.log(hours(7, 14, 15))
    assert refused.code == "escrow.logging_paused"
    assert stage.log(hours(7, 9, 10)).is_done

    stage.pass_to(MONDAY + timedelta(days=8, hours=12, minutes=10))
    assert stage.hear().is_done
    assert stage.week(0).state is WeekState.IN_REVIEW
    assert start(stage).is_done
    prove_books(connection)


def test_while_nobody_pays_no_week_opens(connection: Connection) -> None:
    """An unpaid contract opens no further weeks; paid at last, the next hours open one."""
    stage = HourlyStage(connection).ready().invoiced()
    assert stage.hear(RailOutcome.REFUSED).is_done
    stage.pass_to(MONDAY + 3 * WEEK)
    assert len(stage.weeks()) == 2


def test_the_end_of_a_contract_makes_a_short_week(connection: Connection) -> None:
    """On Wednesday: closed at once, invoiced twelve hours later, released after its review."""
    stage = HourlyStage(connection).ready()
    assert stage.log(hours(0, 8, 18)).is_done
    stage.pass_to(MONDAY + timedelta(days=2, hours=9))
    run = start(stage)
    stage.wait(hours=1)

    ended = on_contract(stage, "end", stage.client)

    assert ended.facts["state"] == "ending"
    assert run_state(stage, run) is RunState.STOPPED
    assert stage.week().ends_at == stage.now
    assert stage.log(hours(1, 8, 9)).is_done
    assert stage.log(hours(2, 10, 11)).code == "escrow.bad_entry"
    stage.pass_to(stage.week().invoice_at)
    assert [line.minutes for line in stage.lines()] == [720]
    assert stage.hear().is_done
    stage.wait(days=5)
    assert (stage.week().state, stage.slot().state) == (WeekState.RELEASED, SlotState.RELEASED)
    assert len(stage.weeks()) == 1
    stage.wait(days=5)
    state = connection.exec_driver_sql(
        "SELECT state FROM contract WHERE id = %s", (stage.contract_id,)
    ).scalar_one()
    assert state == "ended"
    check_balances(connection, "USD", "escrow 0.00 · earned available 432.00")
    prove_books(connection)


def test_ending_leaves_a_week_in_review_alone(connection: Connection) -> None:
    """What was invoiced before goes on as if nothing had ended: no refund is asked for."""
    stage = HourlyStage(connection).ready().invoiced()
    assert stage.hear().is_done

    assert on_contract(stage, "end", stage.payee).facts["state"] == "ending"

    assert (stage.week().state, stage.slot().state) == (WeekState.IN_REVIEW, SlotState.FUNDED)
    stage.wait(days=5)
    assert stage.week().state is WeekState.RELEASED
    stage.wait(days=9)
    assert stage.week(1).state is WeekState.CLOSED
    prove_books(connection)


def test_ending_does_not_cancel_what_a_client_still_owes(connection: Connection) -> None:
    """An advanced week of an ended contract is still paid for, or written off."""
    stage = HourlyStage(connection).ready().invoiced()
    assert stage.hear(RailOutcome.REFUSED).is_done
    stage.pass_to(stage.week().review_ends_at)
    assert stage.week().state is WeekState.ADVANCED
    assert on_contract(stage, "end", stage.payee).facts["state"] == "ending"

    assert stage.slot().state is SlotState.AWAITING_FUNDING
    command = Fund(actor=stage.client, slot_id=stage.slot().id, funding_id=new_id())
    assert service.fund(connection, [command], at=stage.now)[0].is_done
    assert stage.hear().is_done

    assert stage.week().state is WeekState.RELEASED
    check_balances(connection, "USD", "claim on client 0.00 · escrow 0.00")
    prove_books(connection)
