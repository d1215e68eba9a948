"""Decisions on time entries until the lock, and what an hourly term is to them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from escrow.commands_hourly import (
    EditTime,
    EntryCommand,
    Interval,
    LogTime,
)
from escrow.machine import Timer, Trigger
from escrow.machine_hourly import ENTRIES
from escrow.maths_hourly import WeekBounds, split_at_weeks, to_minute, week_of
from escrow.model import Alarm, Contract, ContractState, Plan
from escrow.model_hourly import (
    Collect,
    EntryState,
    HourlyTerm,
    Rate,
    Source,
    Step,
    TermState,
    TimeEntry,
    Week,
    WeekState,
    Worked,
)
from escrow.refusals import (
    ContractNotRunning,
    StaleVersion,
)
from escrow.refusals_hourly import BadEntry, HoursOverlap, LoggingPaused
from escrow.rules import check_text, roles, step
from escrow.rules_deal import LONGEST_TEXT, event
from escrow.rules_hourly_protection import protection
from kernel.commands import Command
from kernel.money import to_json

AHEAD: Final = timedelta(days=3)
"""So long before a week its deposit is asked for."""

LONGEST_ENTRY: Final = timedelta(hours=24)
MOST_ENTRIES: Final = 500
MOST_PERCENT: Final = 100
LOGGING: Final = (WeekState.OPEN, WeekState.PAYEE_REVIEW)
"""States in which a week takes entries: late offline segments until its invoice."""

NewId = Callable[[], UUID]
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """An hourly term with what logging looks at, as it stands under its locks.

    `weeks` by their first instant. `taken` are the payee's hours under any term that lie near
    those of the command. `is_payee_clear`: no hold on the payee or the contract.
    """

    term: HourlyTerm
    contract: Contract
    rates: tuple[Rate, ...]
    weeks: Mapping[datetime, Week]
    taken: Sequence[Span]
    is_identified: bool
    is_payee_clear: bool
    logged_minutes: int = 0


def term_facts(term: HourlyTerm, **more: object) -> dict[str, Any]:
    """What an answer says of an hourly term."""
    return {
        "term_id": str(term.term_id),
        "contract_id": str(term.contract_id),
        "state": term.state.value,
        "version": term.version,
        "limit_minutes": term.limit_minutes,
        **more,
    }


def log_time(desk: Desk, command: LogTime, at: datetime, new_id: NewId) -> Step:
    """Hours are kept, each part in its week; what comes after its week's invoice is late.

    Refuses: `escrow.bad_entry`, `escrow.hours_overlap`, `escrow.contract_not_running`,
    `escrow.logging_paused`.
    """
    term = desk.term
    step(ENTRIES, None, Trigger.LOG_TIME, roles(command.actor, desk.contract))
    check_logging(desk, [each.ended_at for each in command.entries])
    if not 0 < len(command.entries) <= MOST_ENTRIES:
        raise BadEntry(why=f"1 to {MOST_ENTRIES} entries at once")
    for each in command.entries:
        _check_interval(each, at)
        _check_signed(each, term)
    _check_free([*desk.taken, *((each.started_at, each.ended_at) for each in command.entries)])
    return keep(desk, command.entries, command, at, new_id)


def check_logging(desk: Desk, ends: Sequence[datetime]) -> None:
    """Refuse hours under a term that does not run, that rests, or that was ended before them."""
    term, contract = desk.term, desk.contract
    runs = contract.state is ContractState.ACTIVE or (
        contract.state is ContractState.ENDING and term.ended_at is not None
    )
    if term.state is not TermState.ACTIVE or not runs:
        raise ContractNotRunning(contract_id=str(term.contract_id), state=contract.state)
    latest = max(ends, default=None)
    if latest is None:
        return
    if term.ended_at is not None and latest > term.ended_at:
        raise BadEntry(why=f"the contract was ended at {term.ended_at.isoformat()}")
    if term.paused_at is not None and latest > term.paused_at:
        raise LoggingPaused(term_id=str(term.term_id), paused_at=term.paused_at.isoformat())


def keep(
    desk: Desk, intervals: Sequence[Interval], command: Command, at: datetime, new_id: NewId
) -> Step:
    """Hours as entries, each part in its week; weeks that were not there open."""
    term = desk.term
    opened_weeks: dict[datetime, Week] = {}
    kept: list[TimeEntry] = []
    for each in intervals:
        parts = split_at_weeks(
            ZoneInfo(term.week_zone), started_at=each.started_at, ended_at=each.ended_at
        )
        for number, (bounds, started_at, ended_at) in enumerate(parts):
            week = _week_for(desk, opened_weeks, bounds, at, new_id)
            entry_id = each.entry_id if number == 0 else new_id()
            span = (started_at, ended_at)
            kept.append(_new_entry(desk, each, entry_id, bounds.starts_at, week, span, at))
    new = tuple(opened_weeks.values())
    return Step(
        Plan(
            drafts=(
                *(opened(week, command, at) for week in new),
                *(_logged(entry, command, at) for entry in kept),
            ),
            facts=term_facts(term, entries=[entry_facts(each, term) for each in kept]),
            alarms=tuple(alarm for week in new for alarm in opening_alarms(week, term, at)),
        ),
        Worked(weeks=new, entries=tuple(kept)),
    )


def edit_time(desk: Desk, entry: TimeEntry, command: EditTime, at: datetime) -> Step:
    """The payee corrects an entry that is not locked; tracked hours made longer become manual.

    Other times are refused as hours logged anew would be; another memo alone is not.
    """
    row = _entry_step(desk.contract, entry, Trigger.EDIT_TIME, command)
    given = Interval(
        entry_id=entry.id,
        started_at=command.started_at or entry.started_at,
        ended_at=command.ended_at or entry.ended_at,
        memo=entry.memo if command.memo is None else command.memo,
    )
    if (given.started_at, given.ended_at) != (entry.started_at, entry.ended_at):
        check_logging(desk, [given.ended_at])
        _check_signed(given, desk.term)
    _check_interval(given, at)
    bounds = week_of(given.started_at, ZoneInfo(desk.term.week_zone))
    if bounds.starts_at != entry.week_starts_at or given.ended_at > bounds.ends_at:
        raise BadEntry(why="an entry stays within its week: delete it and log another")
    _check_free([*desk.taken, (given.started_at, given.ended_at)])
    is_within = entry.started_at <= given.started_at and given.ended_at <= entry.ended_at
    after = replace(
        entry,
        started_at=given.started_at,
        ended_at=given.ended_at,
        memo=given.memo,
        source=entry.source if is_within else Source.MANUAL,
        rate_minor=rate_at(desk.rates, given.started_at),
        state=EntryState(row),
        version=entry.version + 1,
    )
    return _entry_moved(desk.term, entry, after, "time.edited", command, at)


def delete_time(desk: Desk, entry: TimeEntry, command: EntryCommand, at: datetime) -> Step:
    """The payee takes back an entry that is not locked, or a late one that nobody approved."""
    state = _entry_step(desk.contract, entry, Trigger.DELETE_TIME, command)
    after = replace(entry, state=EntryState(state), version=entry.version + 1)
    return _entry_moved(desk.term, entry, after, "time.deleted", command, at)


def approve_late(desk: Desk, entry: TimeEntry, command: EntryCommand, at: datetime) -> Step:
    """The client agrees that late hours go on the next invoice (edge case 30)."""
    state = _entry_step(desk.contract, entry, Trigger.APPROVE_LATE, command)
    after = replace(entry, state=EntryState(state), version=entry.version + 1)
    return _entry_moved(desk.term, entry, after, "time.late_approved", command, at)


def entry_facts(entry: TimeEntry, term: HourlyTerm) -> dict[str, Any]:
    """What an answer says of an entry; protection as far as it is known before the limit is."""
    is_protected, reason = protection(
        entry, is_within_limit=True, activity_floor=term.activity_floor
    )
    return {
        "entry_id": str(entry.id),
        "state": entry.state.value,
        "version": entry.version,
        "week_id": str(entry.week_id) if entry.week_id else None,
        "started_at": entry.started_at.isoformat(),
        "ended_at": entry.ended_at.isoformat(),
        "minutes": entry.minutes,
        "source": entry.source.value,
        "rate": to_json(entry.rate_minor, term.currency),
        "protected": is_protected,
        "unprotected_because": reason.value,
    }


def rate_at(rates: Sequence[Rate], at: datetime) -> int:
    """The rate of hours that start then (edge case 29)."""
    return max((each for each in rates if each.from_at <= at), key=lambda each: each.seq).rate_minor


def new_week(term: HourlyTerm, bounds: WeekBounds, week_id: UUID) -> Week:
    """A week of a term, open."""
    return Week(
        week_id,
        term.term_id,
        term.contract_id,
        None,
        *bounds,
        WeekState.OPEN,
        1,
        term.limit_minutes,
    )


def opened(week: Week, command: Command, at: datetime) -> Any:  # noqa: ANN401  a draft
    """The event of a week that opens."""
    detail = {"term_id": str(week.term_id), "starts_at": week.starts_at.isoformat()}
    return event(command, at, kind="week.opened", subject=f"week:{week.id}", detail=detail)


def opening_alarms(week: Week, term: HourlyTerm, at: datetime) -> tuple[Alarm, ...]:
    """When the week closes; and where the client pays ahead, its deposit and that of the next."""
    subject = f"week:{week.id}"
    close = Alarm(subject, Timer.WEEK_CLOSE, week.ends_at, 0)
    if term.collect is Collect.ARREARS:
        return (close,)
    ahead = max(at, week.ends_at - AHEAD)
    return (
        close,
        Alarm(subject, Timer.WEEK_DEPOSIT, at, 0),
        Alarm(subject, Timer.WEEK_AHEAD, ahead, 0),
    )


def _check_signed(given: Interval, term: HourlyTerm) -> None:
    """Refuse hours that began before both had signed the term, to the minute."""
    if term.accepted_at is None or given.started_at < to_minute(term.accepted_at):
        raise BadEntry(why="hours are worked under a signed term")


def _check_interval(given: Interval, at: datetime) -> None:
    check_text(given.memo, field="memo", longest=LONGEST_TEXT)
    if not 0 <= given.activity <= MOST_PERCENT:
        raise BadEntry(why="activity is 0 to 100 percent")
    if any(each.second or each.microsecond for each in (given.started_at, given.ended_at)):
        raise BadEntry(why="hours are logged in whole minutes")
    if not timedelta() < given.ended_at - given.started_at <= LONGEST_ENTRY:
        raise BadEntry(why="an entry lasts a minute to 24 hours")
    if given.ended_at > at:
        raise BadEntry(why="hours are logged after they were worked")


def _check_free(spans: Iterable[Span]) -> None:
    latest: datetime | None = None
    for started_at, ended_at in sorted(spans):
        if latest is not None and started_at < latest:
            raise HoursOverlap(started_at=started_at.isoformat())
        latest = ended_at


def _week_for(
    desk: Desk,
    opened_weeks: dict[datetime, Week],
    bounds: WeekBounds,
    at: datetime,
    new_id: NewId,
) -> Week | None:
    """The week that takes hours of these bounds; None if they are late."""
    known = desk.weeks.get(bounds.starts_at) or opened_weeks.get(bounds.starts_at)
    if known is not None:
        return known if known.state in LOGGING else None
    if at >= bounds.invoice_at:
        return None
    return opened_weeks.setdefault(bounds.starts_at, new_week(desk.term, bounds, new_id()))


def _new_entry(
    desk: Desk,
    given: Interval,
    entry_id: UUID,
    week_starts_at: datetime,
    week: Week | None,
    span: Span,
    at: datetime,
) -> TimeEntry:
    trigger = Trigger.LOG_LATE if week is None else Trigger.LOG_TIME
    return TimeEntry(
        entry_id,
        desk.term.term_id,
        desk.term.contract_id,
        desk.term.payee_id,
        week_starts_at,
        None if week is None else week.id,
        *span,
        given.source,
        given.memo,
        given.activity,
        rate_at(desk.rates, span[0]),
        EntryState(ENTRIES[None, trigger].to),
        1,
        not desk.term.method_failed,
        desk.is_identified,
        desk.is_payee_clear,
        at,
    )


def _logged(entry: TimeEntry, command: Command, at: datetime) -> Any:  # noqa: ANN401  a draft
    detail = {
        "term_id": str(entry.term_id),
        "started_at": entry.started_at.isoformat(),
        "ended_at": entry.ended_at.isoformat(),
        "source": entry.source.value,
        "state": entry.state.value,
    }
    return event(command, at, kind="time.logged", subject=f"entry:{entry.id}", detail=detail)


def _entry_step(
    contract: Contract, entry: TimeEntry, trigger: Trigger, command: EntryCommand
) -> str:
    mine = roles(command.actor, contract)
    row, _ = step(ENTRIES, entry.state, trigger, mine, entry_id=str(entry.id))
    if command.version not in {None, entry.version}:
        raise StaleVersion(entry_id=str(entry.id), version=entry.version, given=command.version)
    return row.to


def _entry_moved(
    term: HourlyTerm,
    entry: TimeEntry,
    after: TimeEntry,
    kind: str,
    command: Command,
    at: datetime,
) -> Step:
    draft = event(command, at, kind=kind, subject=f"entry:{entry.id}")
    return Step(
        Plan(drafts=(draft,), facts=entry_facts(after, term)),
        Worked(moved_entries=((entry, after),)),
    )
