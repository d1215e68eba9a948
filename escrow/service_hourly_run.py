"""Use cases of time that runs: start, stop, discard; and what the engine cuts or stops."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from escrow import rules_hourly_run, store, store_hourly, store_hourly_lines
from escrow.maths_hourly import week_of
from escrow.model_hourly import HourlyTerm, Step
from escrow.model_runs import RunCommand, StartTime, TimeRun
from escrow.refusals import IdTaken
from escrow.refusals_hourly import UnknownRun
from escrow.rules_hourly import Desk
from escrow.service_batch import once_each
from escrow.service_hourly import run_hours
from escrow.service_hourly_desk import get_desk, lock_desks, look_desks, tell_live
from escrow.tables_hourly import TIME_RUN
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import SYSTEM

R = TypeVar("R", bound=RunCommand)


def start_time(
    connection: Connection, commands: Sequence[StartTime], *, at: datetime
) -> list[Outcome]:
    """Begin to work; by the payee, who does one thing at a time whatever the contract."""

    def serve(alone: Sequence[StartTime]) -> list[Outcome]:
        found = store_hourly.find_terms(connection, [c.term_id for c in alone])
        store_hourly.lock_payees(connection, [each.payee_id for each in found])
        desks = lock_desks(connection, [c.term_id for c in alone], None)

        def decide(command: StartTime) -> Step:
            desk = get_desk(desks, command.term_id)
            if store.list_taken(connection, TIME_RUN, [command.run_id]):
                raise IdTaken(id=str(command.run_id))
            running = store_hourly_lines.find_running(connection, [desk.term.payee_id])
            return rules_hourly_run.start(desk, running[0] if running else None, command, at)

        # one at a time: what one starts, the next must see
        return [run_hours(connection, [command], decide, at=at)[0] for command in alone]

    return once_each(commands, lambda c: (c.term_id, c.run_id), serve)


def stop_time(
    connection: Connection, commands: Sequence[RunCommand], *, at: datetime
) -> list[Outcome]:
    """Stop what runs; by the payee. The hours are logged, each part in its week."""
    outcomes = _on_runs(
        connection,
        commands,
        lambda desk, run, c: rules_hourly_run.stop(desk, run, c, at, new_id),
        at=at,
    )
    return tell_live(connection, outcomes)


def discard_time(
    connection: Connection, commands: Sequence[RunCommand], *, at: datetime
) -> list[Outcome]:
    """Drop what runs; by the payee. Nothing is logged."""
    return _on_runs(
        connection,
        commands,
        lambda desk, run, c: rules_hourly_run.discard(desk, run, c, at),
        at=at,
    )


def lock_at_work(
    connection: Connection, *, contract_ids: Iterable[UUID] = (), funding_ids: Iterable[UUID] = ()
) -> None:
    """Before any row of these deals: whoever works is about to be stopped, and logs nothing else.

    So the payee is locked first, as by those who log hours.
    """
    at_work = store_hourly_lines.list_at_work(
        connection, contract_ids=contract_ids, funding_ids=funding_ids
    )
    store_hourly.lock_payees(connection, at_work)


def stop_runs(connection: Connection, terms: Sequence[HourlyTerm], at: datetime) -> None:
    """Stop what runs under terms that rest or end now; the terms are locked."""
    _by_engine(connection, terms, rules_hourly_run.stop, at)


def cut_runs(connection: Connection, terms: Sequence[HourlyTerm], at: datetime) -> None:
    """Cut what runs under terms whose week is over; the terms are locked."""
    _by_engine(connection, terms, rules_hourly_run.cut, at, started_before_week=True)


def _by_engine(
    connection: Connection,
    terms: Sequence[HourlyTerm],
    decide: Callable[..., Step],
    at: datetime,
    *,
    started_before_week: bool = False,
) -> None:
    running = store_hourly_lines.list_running(connection, [each.term_id for each in terms])
    if started_before_week:
        zones = {each.term_id: ZoneInfo(each.week_zone) for each in terms}
        running = [r for r in running if r.started_at < week_of(at, zones[r.term_id]).starts_at]
    if not running:
        return
    desks = look_desks(connection, terms)
    for run in store_hourly_lines.lock_runs(connection, [each.id for each in running]):
        command = RunCommand(actor=SYSTEM, run_id=run.id)
        desk = desks[run.term_id]
        run_hours(
            connection,
            [command],
            lambda c, run=run, desk=desk: decide(desk, run, c, at, new_id),  # type: ignore[misc]
            at=at,
        )


def _on_runs(
    connection: Connection,
    commands: Sequence[R],
    decide: Callable[[Desk, TimeRun, R], Step],
    *,
    at: datetime,
) -> list[Outcome]:
    def serve(alone: Sequence[R]) -> list[Outcome]:
        found = store_hourly_lines.find_runs(connection, [c.run_id for c in alone])
        store_hourly.lock_payees(connection, [each.payee_id for each in found])
        desks = lock_desks(connection, [each.term_id for each in found], None)
        locked = store_hourly_lines.lock_runs(connection, [each.id for each in found])
        runs: dict[UUID, TimeRun] = {each.id: each for each in locked}

        def choose(command: R) -> Step:
            run = runs.get(command.run_id)
            if run is None:
                raise UnknownRun(run_id=str(command.run_id))
            return decide(desks[run.term_id], run, command)

        return [run_hours(connection, [command], choose, at=at)[0] for command in alone]

    return once_each(commands, lambda c: (c.run_id,), serve)
