"""How a disputed line ends: upheld, or refunded in whole or in part, to the cent (P12, P27).

While the week is under review what is upheld thaws, and is released with the rest on Friday. After
the review it is released at once, since nothing else keeps it.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from escrow.commands import SlotCommand
from escrow.machine import Timer, Transition, Trigger
from escrow.machine_slot import SLOTS
from escrow.maths import Part, take_newest
from escrow.model import Plan, Slot, SlotState
from escrow.model_hourly import Step, Week, WeekState, Worked
from escrow.model_lines import LineCommand, LineDispute, LineState
from escrow.model_price import FeeLine
from escrow.movements import p10_release_part
from escrow.movements_hourly import p27_settle_line
from escrow.movements_more import p12_thaw
from escrow.refusals import Held, WrongState
from escrow.rules import Deal, clocks, slot_step, subject_of
from escrow.rules_deal import acted, event
from escrow.rules_hourly_lines import LineCase, dispute_facts, line_step, moved_line
from escrow.rules_hourly_step import moved_week, told_week, week_facts, week_step
from escrow.rules_payout import Payout, alarms_of, pay_out, rows_of, with_tax_of
from escrow.rules_price import earn_late
from escrow.rules_refund import Back, NewId, back_of, refund_detail, refund_facts, rows_back
from kernel.commands import Command
from kernel.principals import SYSTEM
from ledger.entries import Entries
from ledger.model import Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """What becomes of a frozen line: back to the client, released, or thawed; with the fee's parts.

    `parts` are the lots that give back, newest first; `fee_back_minor` is the fee in them, and
    `fee_earned_minor` is earned by the release.
    """

    parts: tuple[Part, ...]
    back_minor: int
    released_minor: int
    thawed_minor: int
    fee_back_minor: int
    fee_earned_minor: int


def concede(case: LineCase, command: LineCommand, at: datetime, new_id: NewId) -> Step:
    """The payee agrees: all of the line goes back (P27)."""
    return _end(case, Trigger.CONCEDE, case.dispute.amount_minor, command, at, new_id)


def withdraw(case: LineCase, command: LineCommand, at: datetime, new_id: NewId) -> Step:
    """The client thinks better of it: the line is upheld."""
    return _end(case, Trigger.WITHDRAW_DISPUTE, 0, command, at, new_id)


def default(case: LineCase, command: LineCommand, at: datetime, new_id: NewId) -> Step:
    """The payee was told and said nothing: protected hours are upheld, the others go back."""
    dispute = case.dispute
    is_there = case.deal.slot.disputed_minor >= dispute.amount_minor
    back = dispute.amount_minor - dispute.protected_minor if is_there else 0
    return _decide(case, back, command, at, new_id)


def approve(case: LineCase, command: LineCommand, at: datetime, new_id: NewId) -> Step:
    """A second operator agrees with what the first one proposed; it is carried out."""
    return _decide(case, case.dispute.proposed_refund_minor or 0, command, at, new_id)


def release_undisputed(
    week: Week, deal: Deal, command: Command, at: datetime, release_id: UUID
) -> Step:
    """Friday night: what no line has frozen goes to the payee, with its part of the fee (P10)."""
    row, _ = week_step(week, deal.contract, Trigger.RELEASE_UNDISPUTED, command)
    after = moved_week(week, state=WeekState(row.to))
    said = told_week(after, "week.released_undisputed", command, at)
    slot_row = _slot_row(deal, Trigger.RELEASE_UNDISPUTED, at)
    worked = Worked(moved_weeks=((week, after),))
    if deal.slot.held_minor == deal.slot.disputed_minor:
        plan = Plan(drafts=(said,), facts=week_facts(after, deal.slot.currency))
        return Step(plan, worked)
    payout, rest, draft = _undisputed(deal, SlotState(slot_row.to), command, at, release_id)
    return Step(
        Plan(
            drafts=(draft, said),
            facts=week_facts(after, deal.slot.currency, release=payout.facts),
            moved_slots=((deal.slot, rest),),
            **rows_of(payout),
            alarms=alarms_of(payout),
        ),
        worked,
    )


def _undisputed(
    deal: Deal, state: SlotState, command: Command, at: datetime, release_id: UUID
) -> tuple[Payout, Slot, Draft]:
    """The payee's release of what is free, the slot without it, and the event with P10."""
    slot, contract = deal.slot, deal.contract
    free = slot.held_minor - slot.disputed_minor
    kept_fee = slot.fee_deferred_minor * slot.disputed_minor // slot.held_minor
    earned = slot.fee_deferred_minor - kept_fee
    payout = pay_out(
        deal, free, release_id=release_id, at=at, strict=False, fee_earned_minor=earned
    )
    entries = p10_release_part(
        slot_id=slot.id,
        payee_id=contract.payee_id,
        currency=slot.currency,
        amount_minor=free,
        commission_minor=payout.charge.ours_minor,
        fee_earned_minor=earned,
    )
    rest = acted(
        slot,
        at,
        state=state,
        held_minor=slot.disputed_minor,
        released_minor=slot.released_minor + free,
        fee_deferred_minor=kept_fee,
    )
    detail = {"by": Trigger.RELEASE_UNDISPUTED.value, "release_id": str(release_id)}
    draft = event(
        command,
        at,
        kind="slot.partly_released",
        subject=subject_of(slot),
        entries=payout.entries(entries),
        detail=detail | payout.detail,
    )
    return payout, rest, draft


def _decide(
    case: LineCase, back_minor: int, command: LineCommand, at: datetime, new_id: NewId
) -> Step:
    trigger = Trigger.REFUND_LINE if back_minor else Trigger.UPHOLD_LINE
    approver = None if command.actor == SYSTEM else command.actor.principal_id
    return _end(case, trigger, back_minor, command, at, new_id, approved_by=approver)


def _end(
    case: LineCase,
    trigger: Trigger,
    back_minor: int,
    command: LineCommand,
    at: datetime,
    new_id: NewId,
    **changes: Any,  # noqa: ANN401  fields of LineDispute
) -> Step:
    """Carry out what becomes of the line, in the slot, in the week and in the books."""
    row, role = line_step(case, trigger, command)
    _check_hold(case)
    if case.deal.slot.disputed_minor < case.dispute.amount_minor:
        return _moot(case, row, command, at)
    ended = moved_line(
        case.dispute, row, refunded_minor=back_minor, due_at=None, ended_at=at, **changes
    )
    assert (ended.state is LineState.REFUNDED) == (back_minor > 0)
    split = divide(case, back_minor)
    after, slot_row = _slot_after(case, split, at)
    back = back_of(case.deal, case.fundings, split.parts, at, new_id) if back_minor else None
    payout = _payout(case, split, at, new_id)
    late = (
        () if payout else earn_late(case.deal.pricing.price, case.contract, split.fee_earned_minor)
    )
    set_to, cancelled, _ = clocks(slot_row, after, case.contract, at)
    said, moved_weeks = _week_after(case, after, command, at)
    named = {"by": role.value, "week_id": str(ended.week_id), "line_no": ended.line_no}
    sent = refund_detail(back, by=trigger.value) if back else {}
    draft = event(
        command,
        at,
        kind=f"line.{ended.state.value}",
        subject=ended.subject,
        entries=_entries(case, split, payout, back, late),
        detail={**named, **sent, **(payout.detail if payout else {})},
    )
    plan = Plan(
        drafts=(draft, *said),
        facts=_facts(ended, after, back, payout),
        moved_slots=((case.deal.slot, after),),
        **(
            rows_of(payout)
            or {"billed": tuple((case.deal.pricing.price.pair, line) for line in late)}
        ),
        **rows_back(back),
        alarms=(*set_to, *alarms_of(payout)),
        cancelled=(*cancelled, (ended.subject, Timer.LINE_REPLY)),
    )
    return Step(plan, Worked(moved_disputes=((case.dispute, ended),), moved_weeks=moved_weeks))


def _check_hold(case: LineCase) -> None:
    if case.deal.held_by:
        raise Held(line_dispute_id=str(case.dispute.id), holds=list(case.deal.held_by))


def _moot(case: LineCase, row: Transition, command: Command, at: datetime) -> Step:
    """The client's bank took the money back meanwhile: there is nothing left to give or to pay."""
    if LineState(row.to) is not LineState.UPHELD:
        slot = case.deal.slot
        raise WrongState(slot_id=str(slot.id), state=slot.state, trigger=Trigger.REFUND_LINE)
    ended = moved_line(case.dispute, row, due_at=None, ended_at=at)
    detail = {"week_id": str(ended.week_id), "line_no": ended.line_no}
    draft = event(command, at, kind="line.moot", subject=ended.subject, detail=detail)
    plan = Plan(
        drafts=(draft,),
        facts=dispute_facts(ended),
        cancelled=((ended.subject, Timer.LINE_REPLY),),
    )
    return Step(plan, Worked(moved_disputes=((case.dispute, ended),)))


def divide(case: LineCase, back_minor: int) -> Division:
    """The line's money and its part of the client's fee; the odd cent stays with the slot.

    All deferred fee belongs to what the slot holds, so the last of it takes all of it.
    """
    slot, amount = case.deal.slot, case.dispute.amount_minor
    kept = amount - back_minor
    is_over = case.week.state is WeekState.LINES_DISPUTED
    released = kept if is_over else 0
    fee = slot.fee_deferred_minor * amount // slot.held_minor
    parts = _parts(case, back_minor, fee * back_minor // amount)
    fee_back = sum(part.fee_minor for part in parts)
    is_last = slot.held_minor == back_minor + released
    return Division(
        parts=parts,
        back_minor=back_minor,
        released_minor=released,
        thawed_minor=kept - released,
        fee_back_minor=fee_back,
        fee_earned_minor=fee - fee_back if released or is_last else 0,
    )


def _slot_after(case: LineCase, split: Division, at: datetime) -> tuple[Slot, Transition]:
    slot = case.deal.slot
    frozen = slot.disputed_minor - case.dispute.amount_minor
    held = slot.held_minor - split.back_minor - split.released_minor
    released = slot.released_minor + split.released_minor
    if split.back_minor or split.released_minor:
        trigger = Trigger.SPLIT_PART
        if not held:
            trigger = Trigger.SPLIT_RELEASED if released else Trigger.SPLIT_REFUNDED
    else:
        trigger = Trigger.THAW_LINE
    row = _slot_row(case.deal, trigger, at)
    state = SlotState(row.to)
    if held and not frozen:
        state = SlotState(_slot_row(case.deal, Trigger.RESTORE_FUNDED, at).to)
    after = acted(
        slot,
        at,
        state=state,
        held_minor=held,
        disputed_minor=frozen,
        released_minor=released,
        refunded_minor=slot.refunded_minor + split.back_minor,
        fee_deferred_minor=slot.fee_deferred_minor - split.fee_back_minor - split.fee_earned_minor,
    )
    return after, row


def _parts(case: LineCase, back_minor: int, fee_minor: int) -> tuple[Part, ...]:
    """The lots that give back, newest first, the fee in proportion and within what each has."""
    if not back_minor:
        return ()
    parts, left = [], back_minor
    for part in take_newest(case.deal.slot, case.deal.lots, back_minor):
        share = min(_room(part), fee_minor * part.amount_minor // left)
        parts.append(Part(part.lot, part.amount_minor, share))
        fee_minor, left = fee_minor - share, left - part.amount_minor
    for place, part in enumerate(parts):
        # What the oldest had no room for is another's: no fee is kept that nothing was paid for.
        more = min(fee_minor, _room(part) - part.fee_minor)
        parts[place] = Part(part.lot, part.amount_minor, part.fee_minor + more)
        fee_minor -= more
    return tuple(parts)


def _room(part: Part) -> int:
    """How much of its lot's fee has not gone back yet."""
    return part.lot.fee_minor - part.lot.fee_gone_minor


def _payout(case: LineCase, split: Division, at: datetime, new_id: NewId) -> Payout | None:
    if not split.released_minor:
        return None
    return pay_out(
        case.deal,
        split.released_minor,
        release_id=new_id(),
        at=at,
        strict=False,
        fee_earned_minor=split.fee_earned_minor,
    )


def _entries(
    case: LineCase,
    split: Division,
    payout: Payout | None,
    back: Back | None,
    late: tuple[FeeLine, ...],
) -> Entries:
    slot, contract = case.deal.slot, case.contract
    sent = {ask.id for ask in back.asks} if back else set()
    refunds = back.refunds if back else ()
    settled = p27_settle_line(
        slot_id=slot.id,
        client_id=contract.client_id,
        payee_id=contract.payee_id,
        currency=slot.currency,
        payee_minor=split.released_minor,
        commission_minor=payout.charge.ours_minor if payout else 0,
        fee_earned_minor=split.fee_earned_minor,
        refunds=tuple((each.id, each.total_minor) for each in refunds if each.id in sent),
        to_wallet_minor=sum(each.total_minor for each in refunds if each.id not in sent),
        fee_returned_minor=split.fee_back_minor,
    )
    thawed = p12_thaw(slot_id=slot.id, currency=slot.currency, amount_minor=split.thawed_minor)
    priced = payout.entries(settled) if payout else with_tax_of(settled, slot.currency, late)
    return thawed + priced


def _week_after(
    case: LineCase, slot: Slot, command: Command, at: datetime
) -> tuple[tuple[Any, ...], tuple[tuple[Week, Week], ...]]:
    """The week ends with its last disputed line, once its review is over."""
    week = case.week
    if week.state is not WeekState.LINES_DISPUTED or slot.held_minor:
        return (), ()
    trigger = Trigger.REVIEW_ENDS if slot.state is SlotState.RELEASED else Trigger.GIVE_BACK
    row, _ = week_step(week, case.contract, trigger, replace(command, actor=SYSTEM))
    after = moved_week(week, state=WeekState(row.to))
    return (told_week(after, f"week.{after.state.value}", command, at),), ((week, after),)


def _facts(
    ended: LineDispute, slot: Slot, back: Back | None, payout: Payout | None
) -> dict[str, Any]:
    more: dict[str, object] = {"slot_state": slot.state.value}
    if back:
        found = refund_facts(back, slot.currency)
        more |= {"refund_ids": found["refund_ids"], "fee_returned": found["fee_returned"]}
    if payout:
        more["release"] = payout.facts
    return dispute_facts(ended, **more)


def _slot_row(deal: Deal, trigger: Trigger, at: datetime) -> Transition:
    """The slot's own row for what the engine does to it, with its guards."""
    row, _ = slot_step(SLOTS, deal, trigger, SlotCommand(actor=SYSTEM, slot_id=deal.slot.id), at)
    return row
