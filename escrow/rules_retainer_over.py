"""Decisions on what exceeds a period: charged to a slot of its own (P01, P05), then paid (P07)."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from escrow.commands import Fund, SlotCommand
from escrow.machine import Timer, Trigger
from escrow.machine_retainer import DRAWDOWNS
from escrow.model import Alarm, Plan, Role, Slot, SlotState
from escrow.model_retainer import Drawdown, DrawdownCommand, DrawdownState, Moves
from escrow.rules import Deal, step
from escrow.rules_deal import event, moved
from escrow.rules_release import release_earned
from escrow.rules_retainer import Case, period_subject
from escrow.rules_retainer_draw import drawdown_facts, drawdown_step, drawdown_subject
from escrow.rules_retainer_period import RETRY_DAYS, charge_alone
from kernel.commands import Command
from kernel.principals import SYSTEM

AGAIN: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class OverCase:
    """What exceeded a period, with its period's case and the slot that it is charged to."""

    case: Case
    drawdown: Drawdown
    deal: Deal


def bill(
    case: Case,
    drawdown: Drawdown,
    command: DrawdownCommand,
    at: datetime,
    *,
    slot_id: UUID,
    seq: int,
) -> Moves:
    """The client agrees, or the terms let silence agree: it gets a slot and is charged at once."""
    row = drawdown_step(case, drawdown, Trigger.BILL, command)
    after = replace(
        drawdown,
        state=DrawdownState(row.to),
        version=drawdown.version + 1,
        slot_id=slot_id,
        opened_at=at,
    )
    slot = _slot_of(case, after, at, seq=seq)
    detail = {"drawdown_id": str(drawdown.id), "slot_id": str(slot_id)}
    draft = event(
        command,
        at,
        kind="period.overage_billed",
        subject=period_subject(case.period),
        detail={**detail, "amount_minor": drawdown.amount_minor},
    )
    subject = drawdown_subject(drawdown)
    return Moves(
        plan=Plan(
            drafts=(draft,),
            facts=drawdown_facts(after, case, slot_id=str(slot_id)),
            slots=(slot,),
            titles=(None,),
            alarms=(Alarm(subject, Timer.OVERAGE_CHARGE, at, 0),),
            cancelled=((subject, Timer.DRAWDOWN_REVIEW),),
        ),
        moved_drawdowns=((drawdown, after),),
    )


def _slot_of(case: Case, drawdown: Drawdown, at: datetime, *, seq: int) -> Slot:
    assert drawdown.slot_id is not None
    return Slot(
        id=drawdown.slot_id,
        term_id=case.retainer.id,
        contract_id=case.contract.id,
        currency=case.contract.currency,
        seq=seq,
        proposed_by=Role.PAYEE,
        state=SlotState.AWAITING_FUNDING,
        version=1,
        amount_minor=drawdown.amount_minor,
        created_at=at,
        active_at=at,
    )


def lapse(case: Case, drawdown: Drawdown, command: DrawdownCommand, at: datetime) -> Moves:
    """The client never said yes: nothing is owed, and the payee is told."""
    drawdown_step(case, drawdown, Trigger.LAPSE, command)
    return _over(case, drawdown, Trigger.LAPSE, command, at)


def charge(over: OverCase, command: Fund, at: datetime) -> Moves:
    """Charge it by the pinned method; the next attempt is set."""
    plan = charge_alone(over.deal, command, at)
    noted = note_charge(over, command, at)
    return replace(
        noted,
        plan=replace(
            plan,
            drafts=(*plan.drafts, *noted.plan.drafts),
            alarms=(*plan.alarms, *noted.plan.alarms),
        ),
    )


def note_charge(over: OverCase, command: Command, at: datetime) -> Moves:
    """A charge was tried; the next is due after 1, 3 and 5 days, and after 7 it is given up."""
    drawdown = over.drawdown
    row, _ = step(DRAWDOWNS, drawdown.state, Trigger.START_FUNDING, (Role.SYSTEM,))
    attempts = drawdown.attempts + 1
    first = drawdown.opened_at or at
    after = replace(
        drawdown,
        state=DrawdownState(row.to),
        version=drawdown.version + 1,
        attempts=attempts,
        opened_at=first,
    )
    due = max(first + timedelta(days=RETRY_DAYS[min(attempts, len(RETRY_DAYS)) - 1]), at)
    detail = {"drawdown_id": str(drawdown.id), "attempt": attempts, "next_at": due.isoformat()}
    subject = period_subject(over.case.period)
    draft = event(command, at, kind="period.overage_charged", subject=subject, detail=detail)
    alarm = Alarm(drawdown_subject(drawdown), Timer.OVERAGE_CHARGE, due, attempts)
    return Moves(
        plan=Plan(drafts=(draft,), facts={"drawdown_id": str(drawdown.id)}, alarms=(alarm,)),
        moved_drawdowns=((drawdown, after),),
    )


def pay(over: OverCase, at: datetime, release_id: UUID) -> Moves:
    """The client's payment is there: it goes to the payee (P07)."""
    drawdown = over.drawdown
    assert drawdown.slot_id is not None
    row, _ = step(DRAWDOWNS, drawdown.state, Trigger.RELEASE_EARNED, (Role.SYSTEM,))
    by_engine = SlotCommand(actor=SYSTEM, slot_id=drawdown.slot_id)
    plan = release_earned(over.deal, by_engine, at, release_id)
    after = replace(
        drawdown,
        state=DrawdownState(row.to),
        version=drawdown.version + 1,
        release_id=release_id,
    )
    cancelled = (*plan.cancelled, (drawdown_subject(drawdown), Timer.OVERAGE_CHARGE))
    return Moves(
        plan=replace(plan, cancelled=cancelled, led=(drawdown.slot_id,)),
        moved_drawdowns=((drawdown, after),),
    )


def give_up(over: OverCase, command: Command, at: datetime) -> Moves:
    """Nobody paid in time: the payee is told, and the hours are his again."""
    slot = over.deal.slot
    moves = _over(over.case, over.drawdown, Trigger.LEAVE_UNPAID, command, at)
    draft = event(command, at, kind="slot.cancelled", subject=f"slot:{slot.id}")
    return replace(
        moves,
        plan=replace(
            moves.plan,
            drafts=(*moves.plan.drafts, draft),
            moved_slots=((slot, moved(slot, state=SlotState.CANCELLED)),),
            led=(slot.id,),
        ),
    )


def _over(
    case: Case, drawdown: Drawdown, trigger: Trigger, command: Command, at: datetime
) -> Moves:
    """It came to nothing; its hours are free again."""
    row, _ = step(DRAWDOWNS, drawdown.state, trigger, (Role.SYSTEM,))
    after = replace(drawdown, state=DrawdownState(row.to), version=drawdown.version + 1)
    subject = drawdown_subject(drawdown)
    draft = event(
        command,
        at,
        kind=f"period.overage_{after.state.value}",
        subject=period_subject(case.period),
        detail={"drawdown_id": str(drawdown.id), "told": "not paid"},
    )
    return Moves(
        plan=Plan(
            drafts=(draft,),
            facts=drawdown_facts(after, case),
            cancelled=((subject, Timer.DRAWDOWN_REVIEW), (subject, Timer.OVERAGE_CHARGE)),
        ),
        moved_drawdowns=((drawdown, after),),
        voided=(drawdown.id,),
    )
