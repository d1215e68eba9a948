"""Decisions on worked weeks: close, invoice, what became of the charge, release, advance."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from escrow.commands import SlotCommand
from escrow.commands_hourly import WeekCommand
from escrow.machine import Timer, Trigger
from escrow.machine_hourly import ENTRIES, WEEKS
from escrow.machine_slot import WORKING
from escrow.maths_hourly import key_of, lines_of
from escrow.model import Alarm, Contract, Plan, Role, Slot, SlotState
from escrow.model_hourly import (
    EntryState,
    HourlyTerm,
    Judged,
    Step,
    TimeEntry,
    Week,
    WeekLine,
    WeekState,
    Worked,
)
from escrow.rules import Deal, subject_of
from escrow.rules_deal import event
from escrow.rules_hourly import opened, opening_alarms
from escrow.rules_hourly_advance import advance
from escrow.rules_hourly_lines_end import release_undisputed
from escrow.rules_hourly_step import moved_week, told_week, week_facts, week_step, week_subject
from escrow.rules_release import release_earned

RETRY_DAYS: Final = (1, 2, 2)
"""A charge that failed is tried again after one day, and then twice after two."""

PAUSE: Final = timedelta(days=1)
"""When what a hold or an uncleared payment stopped is looked at again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """A week with its term, its contract and what it would bill, as locked."""

    week: Week
    term: HourlyTerm
    contract: Contract
    judged: tuple[Judged, ...]


def close_week(book: Ledger, following: Week | None, command: WeekCommand, at: datetime) -> Step:
    """The week is over: its entries are locked with their flags; the next week opens.

    `following` is the week to open; None where one is there already or the contract rests.
    """
    row, _ = week_step(book.week, book.contract, Trigger.CLOSE_WEEK, command)
    after = moved_week(book.week, state=WeekState(row.to))
    locked = tuple(
        (each.entry, _flagged(each, EntryState.LOCKED))
        for each in book.judged
        if each.entry.state is EntryState.LOGGED
    )
    new = (following,) if following else ()
    ended_at = book.term.ended_at
    never_began = ended_at is not None and after.starts_at >= ended_at
    due = at if never_began else after.invoice_at
    alarm = Alarm(week_subject(after), Timer.WEEK_INVOICE, due, 0)
    return Step(
        Plan(
            drafts=(
                told_week(after, "week.closed", command, at),
                *(opened(week, command, at) for week in new),
            ),
            facts=week_facts(after, book.contract.currency),
            alarms=(
                alarm,
                *(each for week in new for each in opening_alarms(week, book.term, at)),
            ),
        ),
        Worked(weeks=new, moved_weeks=((book.week, after),), moved_entries=locked),
    )


def invoice(book: Ledger, *, seq: int, slot_id: UUID, command: WeekCommand, at: datetime) -> Step:
    """One line per rate, each rounded once, in a slot of the week's own; no hours: closed.

    `book.judged` has the late entries that the client approved as well.
    """
    week, contract = book.week, book.contract
    lines = lines_of(week.id, book.judged)
    total = sum(line.amount_minor for line in lines)
    trigger = Trigger.INVOICE if total else Trigger.CLOSE
    row, _ = week_step(week, contract, trigger, command)
    billed = billed_entries(book.judged, week.id, lines if total else ())
    if not total:
        after = moved_week(week, state=WeekState(row.to))
        said = told_week(after, "week.empty", command, at)
        plan = Plan(drafts=(said,), facts=week_facts(after, contract.currency))
        return Step(plan, Worked(moved_weeks=((week, after),), moved_entries=billed))
    slot = _slot(book, slot_id, seq, total, at)
    after = moved_week(
        week,
        slot_id=slot_id,
        state=WeekState(row.to),
        amount_minor=total,
        protected_minor=sum(line.protected_minor for line in lines),
        charge_attempts=1,
    )
    detail = {"slot_id": str(slot_id), "amount_minor": total, "lines": len(lines)}
    return Step(
        Plan(
            drafts=(
                told_week(after, "week.invoiced", command, at, **detail),
                event(command, at, kind="slot.accepted", subject=subject_of(slot)),
            ),
            facts=week_facts(after, contract.currency),
            slots=(slot,),
            titles=(None,),
            alarms=(Alarm(week_subject(after), Timer.WEEK_REVIEW_END, after.review_ends_at, 0),),
        ),
        Worked(moved_weeks=((week, after),), lines=tuple(lines), moved_entries=billed),
    )


def billed_entries(
    judged: Sequence[Judged], week_id: UUID, lines: Sequence[WeekLine]
) -> tuple[tuple[TimeEntry, TimeEntry], ...]:
    """The entries as the invoice leaves them, each on the line of its rate, or on none."""
    numbers = {(line.is_late, line.rate_minor): line.line_no for line in lines}
    return tuple((each.entry, _billed(each, week_id, numbers.get(key_of(each)))) for each in judged)


def hear_charge(
    week: Week, deal: Deal, term: HourlyTerm, code: str, command: WeekCommand, at: datetime
) -> Step | None:
    """What became of the charge, from the state of the week's slot; None if it is no news.

    From a charge that failed until one that succeeds, logging rests.
    """
    paid = deal.slot.state in WORKING
    trigger = Trigger.FUND if paid else Trigger.FUNDING_ENDED
    is_open = deal.slot.state in {SlotState.FUNDING, SlotState.CANCELLED}
    if is_open or (week.state, trigger) not in WEEKS:
        return None
    row, _ = week_step(week, deal.contract, trigger, command)
    after = moved_week(week, state=WeekState(row.to), code="" if paid else code)
    kind = "week.charged" if paid else "week.charge_failed"
    signed = replace(
        term,
        method_failed=not paid,
        paused_at=None if paid else at,
        version=term.version + 1,
    )
    moves = ((term, signed),) if term.method_failed is paid else ()
    subject = week_subject(after)
    retry = Alarm(subject, Timer.WEEK_CHARGE, at + timedelta(days=RETRY_DAYS[0]), 0)
    return Step(
        Plan(
            drafts=(told_week(after, kind, command, at, code=after.code),),
            facts=week_facts(after, term.currency),
            alarms=() if paid else (retry,),
            cancelled=((subject, Timer.WEEK_CHARGE),) if paid else (),
        ),
        Worked(moved_weeks=((week, after),), moved_terms=moves),
    )


def try_again(week: Week, contract: Contract, command: WeekCommand, at: datetime) -> Step:
    """The charge is asked for once more; when, if it fails again, is counted here."""
    week_step(week, contract, Trigger.START_FUNDING, command)
    after = moved_week(week, charge_attempts=week.charge_attempts + 1)
    alarms: tuple[Alarm, ...] = ()
    if week.charge_attempts < len(RETRY_DAYS):
        due = at + timedelta(days=RETRY_DAYS[week.charge_attempts])
        alarms = (Alarm(week_subject(week), Timer.WEEK_CHARGE, due, 0),)
    said = told_week(after, "week.charged_again", command, at, attempt=after.charge_attempts)
    return Step(
        Plan(drafts=(said,), facts=week_facts(after, contract.currency), alarms=alarms),
        Worked(moved_weeks=((week, after),)),
    )


def end_review(
    week: Week,
    deal: Deal,
    command: WeekCommand,
    at: datetime,
    new_id: UUID,
    *,
    frozen_minor: int = 0,
) -> Step:
    """Friday night: release what was paid, advance what is protected, say what stays unpaid.

    `frozen_minor` is what disputed lines have frozen; what is undisputed is released. Refuses
    `escrow.held`, `escrow.not_cleared`, and `escrow.wrong_state` while a dispute of the whole slot
    is not over.
    """
    slot = deal.slot
    if week.state is WeekState.IN_REVIEW and 0 < frozen_minor == slot.disputed_minor:
        return release_undisputed(week, deal, command, at, new_id)
    is_unfunded = slot.state is SlotState.AWAITING_FUNDING  # the client's bank took it back
    if week.state is WeekState.UNPAID or (week.state is WeekState.IN_REVIEW and not is_unfunded):
        return _release(week, deal, command, at, new_id)
    if week.protected_minor:
        return advance(week, deal, command, at, new_id)
    row, _ = week_step(week, deal.contract, Trigger.LEAVE_UNPAID, command)
    after = moved_week(week, state=WeekState(row.to))
    return Step(
        Plan(
            drafts=(told_week(after, "week.unpaid", command, at),),
            facts=week_facts(after, slot.currency),
        ),
        Worked(moved_weeks=((week, after),)),
    )


def _release(week: Week, deal: Deal, command: WeekCommand, at: datetime, release_id: UUID) -> Step:
    """P07 by the slot's own row; a slot that was released or refunded meanwhile is followed."""
    slot = deal.slot
    if slot.state is SlotState.REFUNDED:
        row, _ = week_step(week, deal.contract, Trigger.GIVE_BACK, command)
        after = moved_week(week, state=WeekState(row.to))
        said = told_week(after, "week.refunded", command, at)
        plan = Plan(drafts=(said,), facts=week_facts(after, slot.currency))
        return Step(plan, Worked(moved_weeks=((week, after),)))
    row, _ = week_step(week, deal.contract, Trigger.REVIEW_ENDS, command)
    after = moved_week(week, state=WeekState(row.to))
    said = told_week(after, "week.released", command, at)
    if slot.state is SlotState.RELEASED:
        plan = Plan(drafts=(said,), facts=week_facts(after, slot.currency))
        return Step(plan, Worked(moved_weeks=((week, after),)))
    plan = release_earned(deal, SlotCommand(actor=command.actor, slot_id=slot.id), at, release_id)
    facts = week_facts(after, slot.currency, release=dict(plan.facts))
    plan = replace(plan, drafts=(*plan.drafts, said), facts=facts)
    return Step(plan, Worked(moved_weeks=((week, after),)))


def _flagged(each: Judged, state: EntryState) -> TimeEntry:
    return replace(
        each.entry,
        state=state,
        version=each.entry.version + 1,
        over_limit=each.over_limit,
        is_protected=each.is_protected,
        reason=each.reason,
    )


def _billed(each: Judged, week_id: UUID, line_no: int | None) -> TimeEntry:
    row = ENTRIES[each.entry.state, Trigger.BILL]
    minutes = each.billed_minutes if line_no is not None else 0
    return replace(
        _flagged(each, EntryState(row.to)),
        week_id=week_id,
        billed_minutes=minutes,
        line_no=line_no if minutes else None,
    )


def _slot(book: Ledger, slot_id: UUID, seq: int, amount_minor: int, at: datetime) -> Slot:
    return Slot(
        id=slot_id,
        term_id=book.term.term_id,
        contract_id=book.contract.id,
        currency=book.contract.currency,
        seq=seq,
        proposed_by=Role.PAYEE,
        state=SlotState.AWAITING_FUNDING,
        version=1,
        amount_minor=amount_minor,
        created_at=at,
        active_at=at,
        due_at=book.week.review_ends_at,
    )
