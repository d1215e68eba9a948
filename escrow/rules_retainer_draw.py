"""Decisions on drawdowns: what the payee charges against a period, and what the client says."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from escrow.commands import SlotCommand
from escrow.machine import Timer, Transition, Trigger
from escrow.machine_retainer import DRAWDOWNS
from escrow.machine_slot import SLOTS
from escrow.maths_retainer import (
    minutes_within,
    pieces_within,
    worth_of_minutes,
    worth_of_pieces,
)
from escrow.model import Alarm, Plan, Slot, SlotState
from escrow.model_retainer import (
    Draw,
    Drawdown,
    DrawdownCommand,
    DrawdownState,
    Moves,
    Overage,
    Period,
    PeriodState,
    RetainerKind,
    RetainerTerms,
)
from escrow.movements import p10_release_part
from escrow.refusals import AmountOutOfRange, EmptySubmission, ReasonRequired, StaleVersion
from escrow.refusals_retainer import (
    BadDrawdown,
    NotFunded,
    NothingToDraw,
    Overdrawn,
    PeriodBeforeOpen,
)
from escrow.rules import check_amount, check_text, clocks, roles, slot_step, step
from escrow.rules_deal import acted, event
from escrow.rules_payout import Payout, pay_out, rows_of, security_alarm
from escrow.rules_retainer import Case, period_subject
from escrow.rules_retainer_hours import check_hours, split, worked
from escrow.rules_retainer_period import is_over
from kernel.money import to_json
from kernel.principals import SYSTEM
from ledger.entries import Entries

REVIEW: Final = timedelta(days=7)
"""How long the client has before silence approves."""

MOST_UNITS: Final = 100_000
_LONGEST_REF: Final = 500
_COUNTED: Final = frozenset({DrawdownState.SUBMITTED, DrawdownState.APPROVED})
_FUNDED: Final = frozenset(
    {PeriodState.FUNDED, PeriodState.ACTIVE, PeriodState.PAUSED, PeriodState.CLOSING}
)


class _Part(NamedTuple):
    """A part of what was drawn: within the period's money, or over it."""

    units: int
    amount_minor: int
    exceeds: bool


def drawdown_facts(drawdown: Drawdown, case: Case, **more: object) -> dict[str, Any]:
    """What an answer says of a drawdown: also whether the period is funded (edge case 33)."""
    currency = case.contract.currency
    return {
        "drawdown_id": str(drawdown.id),
        "period_id": str(drawdown.period_id),
        "state": drawdown.state.value,
        "version": drawdown.version,
        "amount": to_json(drawdown.amount_minor, currency),
        "units": drawdown.units,
        "exceeds": drawdown.exceeds,
        "due_at": drawdown.due_at.isoformat(),
        "funded": is_funded(case.period) and not drawdown.exceeds,
        **more,
    }


def is_funded(period: Period) -> bool:
    """Whether the client's money for the period is with us."""
    return period.state in _FUNDED


def draw(case: Case, command: Draw, at: datetime) -> Moves:
    """The payee charges hours or pieces; silence for seven days approves what the period holds.

    What exceeds it is a drawdown of its own, if the terms allow that at all.

    Refuses: `retainer.not_funded`, `retainer.overdrawn`, `retainer.nothing_to_draw`,
    `retainer.bad_drawdown`.
    """
    row, _ = step(DRAWDOWNS, None, Trigger.DRAW, roles(command.actor, case.contract))
    if case.retainer.terms.kind is RetainerKind.ACCESS_FEE:
        raise NothingToDraw(period_id=str(case.period.id))
    if case.period.state is not PeriodState.ACTIVE:
        raise NotFunded(period_id=str(case.period.id), state=case.period.state, funded=False)
    units = _units(case, command, at)
    check_text(command.message_ref, field="message_ref", longest=_LONGEST_REF)
    if not command.message_ref:
        raise EmptySubmission(period_id=str(case.period.id))
    parts = _parts(case, units)
    ids = (command.drawdown_id, command.over_id or command.drawdown_id)
    drawdowns = tuple(
        Drawdown(
            drawdown_id,
            case.period.id,
            len(case.drawdowns) + number,
            part.units,
            part.amount_minor,
            command.message_ref,
            DrawdownState(row.to),
            1,
            at,
            at + REVIEW,
            exceeds=part.exceeds,
        )
        for number, (part, drawdown_id) in enumerate(zip(parts, ids, strict=False), start=1)
    )
    return _drawn(case, drawdowns, command, at)


def _drawn(case: Case, drawdowns: tuple[Drawdown, ...], command: Draw, at: datetime) -> Moves:
    """The rows, events and clocks of one or two drawdowns, with the hours of each."""
    spans = split(command.hours, drawdowns[0].units)
    subject = period_subject(case.period)
    drafts = [
        event(
            command,
            at,
            kind="period.drawn",
            subject=subject,
            detail={
                "drawdown_id": str(each.id),
                "amount_minor": each.amount_minor,
                "units": each.units,
                "exceeds": each.exceeds,
            },
        )
        for each in drawdowns
    ]
    shown = [drawdown_facts(each, case) for each in drawdowns]
    alarms = (
        Alarm(drawdown_subject(each), Timer.DRAWDOWN_REVIEW, each.due_at, 1) for each in drawdowns
    )
    payee_id = case.contract.payee_id
    return Moves(
        plan=Plan(
            drafts=tuple(drafts),
            facts={**shown[0], "exceeding": shown[1] if len(shown) > 1 else None},
            alarms=tuple(alarms),
        ),
        drawdowns=drawdowns,
        worked=tuple(
            row
            for each, some in zip(drawdowns, spans, strict=False)
            for row in worked(each, payee_id, some)
        ),
    )


def _units(case: Case, command: Draw, at: datetime) -> int:
    """Minutes or pieces. Where another term bills hours, too, it is said when they were worked."""
    is_hours = case.retainer.terms.kind is RetainerKind.HOURS_DRAWDOWN
    if bool(command.units) == bool(command.hours) or (command.hours and not is_hours):
        what = "either units or hours" if is_hours else "units"
        raise BadDrawdown(why=f"this retainer is drawn in {what}")
    if is_hours and case.bills_hours_beside and not command.hours:
        raise BadDrawdown(why="another term of the contract bills hours, so name the hours")
    units = check_hours(command.hours, case.period, at) if command.hours else command.units
    if not 0 < units <= MOST_UNITS:
        raise AmountOutOfRange(units=units, lowest=1, highest=MOST_UNITS)
    return units


def _parts(case: Case, units: int) -> tuple[_Part, ...]:
    """What the period pays for, and what exceeds it; each part worth something."""
    terms, left = case.retainer.terms, case.available_minor
    whole = worth(case, units)
    if whole <= left:
        check_amount(whole)
        return (_Part(units, whole, exceeds=False),)
    if terms.overage is Overage.BLOCK:
        raise Overdrawn(period_id=str(case.period.id), amount_minor=whole, available_minor=left)
    before = _counted(case)
    if terms.kind is RetainerKind.HOURS_DRAWDOWN:
        within = minutes_within(left, hourly_minor=terms.hourly_minor)
    else:
        within = pieces_within(
            left, amount_minor=terms.amount_minor, quota=terms.quota, before=before
        )
    within = min(max(within, 0), units)
    covered = worth(case, within)
    if not covered:
        within = 0
    exceeding = _worth_above(terms, before=before + within, units=units - within)
    check_amount(exceeding)
    over = _Part(units - within, exceeding, exceeds=True)
    return (_Part(within, covered, exceeds=False), over) if within else (over,)


def _worth_above(terms: RetainerTerms, *, before: int, units: int) -> int:
    """The price of what exceeds the period: its own, or that of what is within."""
    if terms.kind is RetainerKind.HOURS_DRAWDOWN:
        price = terms.overage_minor or terms.hourly_minor
        return worth_of_minutes(minutes=units, hourly_minor=price)
    if terms.overage_minor:
        return units * terms.overage_minor
    return worth_of_pieces(
        amount_minor=terms.amount_minor, quota=terms.quota, before=before, pieces=units
    )


def worth(case: Case, units: int) -> int:
    """The price of some minutes, or of some pieces after those drawn in the period before."""
    terms = case.retainer.terms
    if terms.kind is RetainerKind.HOURS_DRAWDOWN:
        return worth_of_minutes(minutes=units, hourly_minor=terms.hourly_minor)
    return worth_of_pieces(
        amount_minor=terms.amount_minor, quota=terms.quota, before=_counted(case), pieces=units
    )


def _counted(case: Case) -> int:
    """Units that the period's money has paid for or may yet pay for."""
    return sum(each.units for each in case.drawdowns if each.state in _COUNTED and not each.exceeds)


def approve(
    case: Case, drawdown: Drawdown, command: DrawdownCommand, at: datetime, release_id: UUID
) -> Moves:
    """The client says yes: the payee is paid for it (P10), from what expires first."""
    return _pay(case, drawdown, Trigger.APPROVE, command, at, release_id)


def review_ends(
    case: Case, drawdown: Drawdown, command: DrawdownCommand, at: datetime, release_id: UUID
) -> Moves:
    """The client was silent for seven days."""
    return _pay(case, drawdown, Trigger.REVIEW_ENDS, command, at, release_id)


def reject(case: Case, drawdown: Drawdown, command: DrawdownCommand, at: datetime) -> Moves:
    """The client says no, with a reason; the money stays in the period."""
    row = drawdown_step(case, drawdown, Trigger.REJECT, command)
    if not command.reason.strip():
        raise ReasonRequired(drawdown_id=str(drawdown.id))
    return _ended(case, drawdown, row, command, at)


def withdraw(case: Case, drawdown: Drawdown, command: DrawdownCommand, at: datetime) -> Moves:
    """The payee takes it back."""
    return _ended(
        case, drawdown, drawdown_step(case, drawdown, Trigger.WITHDRAW, command), command, at
    )


def drawdown_step(
    case: Case, drawdown: Drawdown, trigger: Trigger, command: DrawdownCommand
) -> Transition:
    """The row of the table for this drawdown, its version checked."""
    row, _ = step(
        DRAWDOWNS,
        drawdown.state,
        trigger,
        roles(command.actor, case.contract),
        drawdown_id=str(drawdown.id),
    )
    if command.version not in {None, drawdown.version}:
        raise StaleVersion(
            drawdown_id=str(drawdown.id), version=drawdown.version, given=command.version
        )
    return row


def _ended(
    case: Case, drawdown: Drawdown, row: Transition, command: DrawdownCommand, at: datetime
) -> Moves:
    after = replace(drawdown, state=DrawdownState(row.to), version=drawdown.version + 1)
    draft = event(
        command,
        at,
        kind=f"period.drawdown_{after.state.value}",
        subject=period_subject(case.period),
        detail={"drawdown_id": str(drawdown.id)},
    )
    plan = Plan(
        drafts=(draft,),
        facts=drawdown_facts(after, case),
        alarms=_last_of_closing(case, at),
        cancelled=((drawdown_subject(drawdown), Timer.DRAWDOWN_REVIEW),),
    )
    return Moves(plan=plan, moved_drawdowns=((drawdown, after),), voided=(drawdown.id,))


def _pay(
    case: Case,
    drawdown: Drawdown,
    trigger: Trigger,
    command: DrawdownCommand,
    at: datetime,
    release_id: UUID,
) -> Moves:
    row = drawdown_step(case, drawdown, trigger, command)
    if not is_over(case.before):
        raise PeriodBeforeOpen(period_id=str(case.period.id))
    slot, contract, amount = case.deal.slot, case.contract, drawdown.amount_minor
    is_last = amount == slot.held_minor
    slot_trigger = Trigger.RELEASE_EARNED if is_last else Trigger.RELEASE_DRAWN
    by_engine = SlotCommand(actor=SYSTEM, slot_id=slot.id)
    slot_row, _ = slot_step(SLOTS, case.deal, slot_trigger, by_engine, at)
    entries, paid, payout = _paid_out(case, amount, slot_row, release_id, at)
    after = replace(
        drawdown,
        state=DrawdownState(row.to),
        version=drawdown.version + 1,
        release_id=release_id,
    )
    detail = {
        "by": trigger.value,
        "drawdown_id": str(drawdown.id),
        "release_id": str(release_id),
        **payout.detail,
    }
    draft = event(
        command,
        at,
        kind="period.drawdown_approved",
        subject=period_subject(case.period),
        entries=entries,
        detail=detail,
    )
    set_to, cancelled, _ = clocks(slot_row, paid, contract, at)
    plan = Plan(
        drafts=(draft,),
        facts=drawdown_facts(after, case, **payout.facts),
        moved_slots=((slot, paid),),
        **rows_of(payout),
        alarms=(*set_to, security_alarm(payout.release), *_last_of_closing(case, at)),
        cancelled=(*cancelled, (drawdown_subject(drawdown), Timer.DRAWDOWN_REVIEW)),
        led=(slot.id,),
    )
    return Moves(plan=plan, moved_drawdowns=((drawdown, after),))


def _paid_out(
    case: Case, amount: int, slot_row: Transition, release_id: UUID, at: datetime
) -> tuple[Entries, Slot, Payout]:
    """P10, the slot without the amount, and the payee's release."""
    slot = case.deal.slot
    payout = pay_out(case.deal, amount, release_id=release_id, at=at, strict=False)
    entries = p10_release_part(
        slot_id=slot.id,
        payee_id=case.contract.payee_id,
        currency=slot.currency,
        amount_minor=amount,
        commission_minor=payout.charge.ours_minor,
        fee_earned_minor=slot.fee_deferred_minor,
    )
    paid = acted(
        slot,
        at,
        state=SlotState(slot_row.to),
        held_minor=slot.held_minor - amount,
        released_minor=slot.released_minor + amount,
        fee_deferred_minor=0,
    )
    return payout.entries(entries), paid, payout


def _last_of_closing(case: Case, at: datetime) -> tuple[Alarm, ...]:
    """A closing period is settled as soon as its drawdowns are decided."""
    if case.period.state is not PeriodState.CLOSING:
        return ()
    subject = period_subject(case.period)
    return (Alarm(subject, Timer.PERIOD_CLOSE, at, case.period.number),)


def drawdown_subject(drawdown: Drawdown) -> str:
    """The drawdown's name in timers."""
    return f"drawdown:{drawdown.id}"
