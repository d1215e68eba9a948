"""Decisions on time that runs: start, cut where a week ends, stop, discard (domain/escrow.md 2.5).

What a run was worth becomes time entries like any other, tracked, each in its week.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from escrow.commands_hourly import Interval
from escrow.machine import Trigger
from escrow.machine_hourly import RUNS
from escrow.maths_hourly import to_minute, week_of
from escrow.model import Plan, Role
from escrow.model_hourly import Source, Step, Worked
from escrow.model_runs import RunCommand, RunState, StartTime, TimeRun
from escrow.refusals_hourly import BadEntry, RunsAlready
from escrow.rules import check_text, roles, step
from escrow.rules_deal import LONGEST_TEXT, event
from escrow.rules_hourly import LONGEST_ENTRY, MOST_PERCENT, Desk, NewId, check_logging, keep
from kernel.commands import Command

SHORTEST: Final = 60
"""Seconds; a run that is shorter leaves no entry."""


def run_facts(run: TimeRun, **more: object) -> dict[str, Any]:
    """What an answer says of a run."""
    return {
        "run_id": str(run.id),
        "term_id": str(run.term_id),
        "contract_id": str(run.contract_id),
        "state": run.state.value,
        "version": run.version,
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "memo": run.memo,
        "activity": run.activity,
        **more,
    }


def start(desk: Desk, running: TimeRun | None, command: StartTime, at: datetime) -> Step:
    """The payee begins to work, from this minute on.

    Refuses: `escrow.runs_already`, `escrow.logging_paused`, `escrow.contract_not_running`.
    """
    row, _ = step(RUNS, None, Trigger.START_TIME, roles(command.actor, desk.contract))
    check_logging(desk, [at + timedelta(seconds=SHORTEST)])
    if running is not None:
        raise RunsAlready(run_id=str(running.id), term_id=str(running.term_id))
    _check(command.memo, command.activity)
    run = TimeRun(
        command.run_id,
        desk.term.term_id,
        desk.term.contract_id,
        desk.term.payee_id,
        to_minute(at),
        command.memo,
        command.activity,
        RunState(row.to),
    )
    draft = event(command, at, kind="time.started", subject=f"run:{run.id}")
    return Step(Plan(drafts=(draft,), facts=run_facts(run)), Worked(runs=(run,)))


def stop(desk: Desk, run: TimeRun, command: RunCommand, at: datetime, new_id: NewId) -> Step:
    """Time stops: by the payee, or by the engine where contract or payment rest.

    At most 24 hours count. Hours after the term rests or ends do not.
    """
    row, _ = step(RUNS, run.state, Trigger.STOP_TIME, roles(command.actor, desk.contract))
    memo = run.memo if command.memo is None else command.memo
    activity = run.activity if command.activity is None else command.activity
    _check(memo, activity)
    bounds = [at, run.started_at + LONGEST_ENTRY, desk.term.paused_at, desk.term.ended_at]
    until = max(run.started_at, to_minute(min(each for each in bounds if each is not None)))
    told = replace(run, memo=memo, activity=activity)
    kept = _kept(desk, told, until, command, at, new_id)
    after = replace(told, state=RunState(row.to), version=run.version + 1, ended_at=until)
    return _moved(run, after, kept, "time.stopped", command, at)


def cut(desk: Desk, run: TimeRun, command: RunCommand, at: datetime, new_id: NewId) -> Step:
    """A week ended: what ran until then is logged in it, and the run goes on from there.

    A run of more than 24 hours was forgotten: it is stopped.
    """
    boundary = week_of(at, ZoneInfo(desk.term.week_zone)).starts_at
    if boundary - run.started_at > LONGEST_ENTRY:
        return stop(desk, run, command, boundary, new_id)
    row, _ = step(RUNS, run.state, Trigger.CUT_TIME, (Role.SYSTEM,))
    kept = _kept(desk, run, boundary, command, at, new_id)
    after = replace(run, state=RunState(row.to), version=run.version + 1, started_at=boundary)
    return _moved(run, after, kept, "time.cut", command, at)


def discard(desk: Desk, run: TimeRun, command: RunCommand, at: datetime) -> Step:
    """The payee drops what runs: no hours."""
    row, _ = step(RUNS, run.state, Trigger.DISCARD_TIME, roles(command.actor, desk.contract))
    after = replace(
        run,
        state=RunState(row.to),
        version=run.version + 1,
        ended_at=max(run.started_at, to_minute(at)),
    )
    return _moved(run, after, None, "time.discarded", command, at)


def _kept(
    desk: Desk, run: TimeRun, until: datetime, command: Command, at: datetime, new_id: NewId
) -> Step | None:
    """The entries of a run; None for less than a minute."""
    if (until - run.started_at).total_seconds() < SHORTEST:
        return None
    interval = Interval(
        entry_id=new_id(),
        started_at=run.started_at,
        ended_at=until,
        source=Source.TRACKED,
        memo=run.memo,
        activity=run.activity,
    )
    return keep(desk, [interval], command, at, new_id)


def _moved(
    run: TimeRun, after: TimeRun, kept: Step | None, kind: str, command: Command, at: datetime
) -> Step:
    draft = event(command, at, kind=kind, subject=f"run:{run.id}")
    if kept is None:
        facts = run_facts(after, entries=[])
        return Step(Plan(drafts=(draft,), facts=facts), Worked(moved_runs=((run, after),)))
    plan = replace(
        kept.plan,
        drafts=(draft, *kept.plan.drafts),
        facts=run_facts(after, entries=kept.plan.facts["entries"]),
    )
    return Step(plan, replace(kept.worked, moved_runs=((run, after),)))


def _check(memo: str, activity: int) -> None:
    check_text(memo, field="memo", longest=LONGEST_TEXT)
    if not 0 <= activity <= MOST_PERCENT:
        raise BadEntry(why="activity is 0 to 100 percent")
