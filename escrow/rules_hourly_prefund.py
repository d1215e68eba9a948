"""Decisions on deposits: asked for before the week, billed from, the rest rolled on or returned.

A week that is paid ahead has its slot from the start; a deposit is limit x rate. At the invoice
the slot keeps what was worked, to be reviewed like any other week; what was not worked becomes
money of the next week's slot (P11), or goes back by the way it came (P14), each with its fee.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from escrow.commands import SlotCommand
from escrow.commands_hourly import WeekCommand
from escrow.machine import Timer, Transition, Trigger
from escrow.machine_slot import SLOTS, WORKING
from escrow.maths import Part, take_newest
from escrow.maths_hourly import amount_minor, lines_of
from escrow.model import Alarm, Contract, Funding, Lot, Plan, Role, Slot, SlotState
from escrow.model_hourly import HourlyTerm, Judged, Rate, Step, Week, WeekState, Worked
from escrow.movements import p11_roll
from escrow.refusals import FundingOpen, Held, WrongState
from escrow.rules import Deal, clocks, slot_step, subject_of
from escrow.rules_deal import event, moved
from escrow.rules_hourly import opened, opening_alarms
from escrow.rules_hourly_step import moved_week, told_week, week_facts, week_step, week_subject
from escrow.rules_hourly_weeks import Ledger, billed_entries, invoice
from escrow.rules_refund import Back, NewId, back_of, gone, refund_detail
from kernel.principals import SYSTEM
from ledger.entries import Entries
from ledger.model import Draft

SHORTEST_REVIEW: Final = timedelta(days=1)
"""An invoice that had to wait leaves the client this long at least."""

AGAIN: Final = timedelta(days=1)
"""A deposit that was not made is asked for again each day of its week."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """A week with the slot of its deposit; the next week's, where there is one to roll into."""

    deal: Deal
    target: Deal | None
    fundings: Mapping[UUID, Funding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What becomes of what was not worked: entries, and the rows that change with it."""

    entries: Entries = ()
    fee_minor: int = 0
    back: Back | None = None
    moved_lots: tuple[tuple[Lot, Lot], ...] = ()
    lots: tuple[Lot, ...] = ()
    target: tuple[tuple[Slot, Slot], ...] = ()
    drafts: tuple[Draft, ...] = ()
    alarms: tuple[Alarm, ...] = ()


def full_minor(week: Week, rates: Sequence[Rate]) -> int:
    """What a week costs at most: its limit at the newest rate."""
    return amount_minor(week.limit_minutes, rate_minor=rates[-1].rate_minor)


def ask_deposit(
    week: Week,
    contract: Contract,
    needed_minor: int,
    *,
    seq: int,
    slot_id: UUID,
    command: WeekCommand,
    at: datetime,
) -> Step:
    """The week's slot, to be paid before its hours."""
    week_step(week, contract, Trigger.START_FUNDING, command)
    slot = Slot(
        id=slot_id,
        term_id=week.term_id,
        contract_id=week.contract_id,
        currency=contract.currency,
        seq=seq,
        proposed_by=Role.PAYEE,
        state=SlotState.AWAITING_FUNDING,
        version=1,
        amount_minor=needed_minor,
        created_at=at,
        active_at=at,
        due_at=week.review_ends_at,
    )
    after = moved_week(week, slot_id=slot_id)
    detail = {"slot_id": str(slot_id), "deposit_minor": needed_minor}
    return Step(
        Plan(
            drafts=(
                told_week(after, "week.deposit_asked", command, at, **detail),
                event(command, at, kind="slot.accepted", subject=subject_of(slot)),
            ),
            facts=week_facts(after, slot.currency),
            slots=(slot,),
            titles=(None,),
        ),
        Worked(moved_weeks=((week, after),)),
    )


def raise_deposit(
    week: Week, deal: Deal, needed_minor: int, command: WeekCommand, at: datetime
) -> Step:
    """A higher limit or rate asks for a higher deposit."""
    after = moved(deal.slot, amount_minor=needed_minor)
    said = told_week(week, "week.deposit_raised", command, at, deposit_minor=needed_minor)
    plan = Plan(
        drafts=(said,),
        facts=week_facts(week, deal.slot.currency),
        moved_slots=((deal.slot, after),),
        alarms=(Alarm(week_subject(week), Timer.WEEK_DEPOSIT, at, 0),),
    )
    return Step(plan, Worked())


def open_following(
    week: Week, term: HourlyTerm, command: WeekCommand, at: datetime, *, following: Week
) -> Step:
    """The next week is opened days ahead, so that its deposit can be made."""
    plan = Plan(
        drafts=(opened(following, command, at),),
        facts=week_facts(week, term.currency),
        alarms=opening_alarms(following, term, at),
    )
    return Step(plan, Worked(weeks=(following,)))


def bill_deposit(
    book: Ledger, deposit: Deposit, command: WeekCommand, at: datetime, new_id: NewId
) -> Step:
    """The invoice of a week that was paid ahead.

    Refuses `escrow.funding_open` while a payment is on its way, and what keeps money from going
    out; where nobody paid the deposit the week is charged in arrears, unprotected.
    """
    slot = deposit.deal.slot
    if slot.state is SlotState.FUNDING:
        raise FundingOpen(contract_id=str(book.contract.id))
    if slot.recalled_minor:  # the client's bank has taken of it: its decision is waited for
        raise Held(slot_id=str(slot.id), holds=["slot:chargeback"])
    if slot.state is SlotState.AWAITING_FUNDING:
        return _unfunded(book, slot, command, at)
    if slot.state in {SlotState.RELEASED, SlotState.REFUNDED, SlotState.CANCELLED}:
        return _closed(book, command, at)
    if slot.state not in WORKING:
        raise WrongState(slot_id=str(slot.id), state=slot.state, trigger=Trigger.BILL_DEPOSIT)
    judged = fitting(book.judged, slot.held_minor)
    lines = lines_of(book.week.id, judged)
    billed = sum(line.amount_minor for line in lines)
    lines = lines if billed else []
    rest = _rest(deposit, slot.held_minor - billed, command, at, new_id)
    after, row = _slot_after(deposit, billed, rest, at)
    trigger = Trigger.BILL_DEPOSIT if billed else Trigger.CLOSE
    week_row, _ = week_step(book.week, book.contract, trigger, command)
    week = moved_week(
        book.week,
        state=WeekState(week_row.to),
        amount_minor=billed,
        protected_minor=sum(line.protected_minor for line in lines),
        review_ends_at=max(book.week.review_ends_at, at + SHORTEST_REVIEW),
    )
    return _billed(book, (slot, after), (book.week, week), lines, judged, rest, row, command, at)


def fitting(judged: Sequence[Judged], held_minor: int) -> tuple[Judged, ...]:
    """The week's own hours, and those late ones that the deposit has room for; others wait."""
    kept = [each for each in judged if not each.entry.is_late]
    for each in judged:
        if each.entry.is_late:
            lines = lines_of(each.entry.term_id, [*kept, each])
            if sum(line.amount_minor for line in lines) <= held_minor:
                kept.append(each)
    return tuple(kept)


def _unfunded(book: Ledger, slot: Slot, command: WeekCommand, at: datetime) -> Step:
    """No deposit was made: the slot is the invoice's, to be charged now; no hours, no slot."""
    found = invoice(book, seq=slot.seq, slot_id=slot.id, command=command, at=at)
    billed = sum(each.amount_minor for each in found.plan.slots)
    by_engine = SlotCommand(actor=SYSTEM, slot_id=slot.id)
    row, _ = slot_step(SLOTS, Deal(slot, book.contract), Trigger.CANCEL, by_engine, at)
    after = moved(slot, amount_minor=billed) if billed else moved(slot, state=SlotState(row.to))
    kind = "slot.repriced" if billed else "slot.cancelled"
    draft = event(command, at, kind=kind, subject=subject_of(slot))
    plan = replace(
        found.plan,
        drafts=(found.plan.drafts[0], draft),
        slots=(),
        titles=(),
        moved_slots=((slot, after),),
        cancelled=_stopped(book.week),
    )
    return Step(plan, found.worked)


def _closed(book: Ledger, command: WeekCommand, at: datetime) -> Step:
    """The payee gave the deposit back, or a dispute divided it: there is nothing to bill."""
    row, _ = week_step(book.week, book.contract, Trigger.CLOSE, command)
    after = moved_week(book.week, state=WeekState(row.to))
    said = told_week(after, "week.empty", command, at)
    plan = Plan(
        drafts=(said,),
        facts=week_facts(after, book.contract.currency),
        cancelled=_stopped(book.week),
    )
    entries = billed_entries(book.judged, book.week.id, ())
    return Step(plan, Worked(moved_weeks=((book.week, after),), moved_entries=entries))


def _rest(
    deposit: Deposit,
    unused_minor: int,
    command: WeekCommand,
    at: datetime,
    new_id: NewId,
) -> Rest:
    """What was not worked rolls on, where there is a week to roll into; else it goes back."""
    if not unused_minor:
        return Rest()
    slot = deposit.deal.slot
    parts = take_newest(slot, deposit.deal.lots, unused_minor)
    if deposit.target is not None:
        return _rolled(deposit.target, slot, parts, unused_minor, command, at)
    back = back_of(deposit.deal, deposit.fundings, parts, at, new_id)
    return Rest(
        entries=back.entries, fee_minor=back.fee_minor, back=back, moved_lots=back.moved_lots
    )


def _rolled(
    deal: Deal,
    source: Slot,
    parts: Sequence[Part],
    unused_minor: int,
    command: WeekCommand,
    at: datetime,
) -> Rest:
    """P11: each lot's part becomes a lot of the next week's slot, with its funding and its fee."""
    target = deal.slot
    row, _ = slot_step(
        SLOTS, deal, Trigger.ROLL_IN, SlotCommand(actor=SYSTEM, slot_id=target.id), at
    )
    fee = sum(part.fee_minor for part in parts)
    price = target.amount_minor + unused_minor
    if target.state is SlotState.AWAITING_FUNDING:
        price = max(target.amount_minor, unused_minor)
    filled = moved(
        target,
        state=SlotState(row.to),
        amount_minor=price,
        held_minor=target.held_minor + unused_minor,
        rolled_in_minor=target.rolled_in_minor + unused_minor,
        fee_deferred_minor=target.fee_deferred_minor + fee,
        lot_count=target.lot_count + len(parts),
    )
    detail = {"from_slot_id": str(source.id), "amount_minor": unused_minor}
    draft = event(command, at, kind="slot.rolled_in", subject=subject_of(filled), detail=detail)
    return Rest(
        entries=p11_roll(
            from_slot_id=source.id,
            to_slot_id=target.id,
            currency=source.currency,
            amount_minor=unused_minor,
        ),
        fee_minor=fee,
        moved_lots=tuple((part.lot, gone(part)) for part in parts),
        lots=_rolled_lots(target, parts),
        target=((target, filled),),
        drafts=(draft,),
        alarms=clocks(row, filled, deal.contract, at).alarms,
    )


def _rolled_lots(target: Slot, parts: Sequence[Part]) -> tuple[Lot, ...]:
    return tuple(
        Lot(
            target.id,
            number,
            part.lot.funding_id,
            part.amount_minor,
            part.fee_minor,
            target.released_minor,
        )
        for number, part in enumerate(reversed(parts), start=target.lot_count + 1)
    )


def _slot_after(
    deposit: Deposit, billed: int, rest: Rest, at: datetime
) -> tuple[Slot, Transition | None]:
    slot = deposit.deal.slot
    unused = slot.held_minor - billed
    changes = {
        "amount_minor": billed or slot.amount_minor,
        "held_minor": billed,
        "refunded_minor": slot.refunded_minor + (unused if rest.back else 0),
        "rolled_out_minor": slot.rolled_out_minor + (unused if rest.target else 0),
        "fee_deferred_minor": slot.fee_deferred_minor - rest.fee_minor,
    }
    if not unused:
        return moved(slot, **changes), None
    trigger = Trigger.SETTLE_DEPOSIT
    if not billed:
        trigger = Trigger.SETTLE_REFUNDED if rest.back else Trigger.SETTLE_ROLLED
        if slot.released_minor:
            trigger = Trigger.SETTLE_RELEASED
    by_engine = SlotCommand(actor=SYSTEM, slot_id=slot.id)
    row, _ = slot_step(SLOTS, deposit.deal, trigger, by_engine, at)
    return moved(slot, state=SlotState(row.to), **changes), row


def _billed(
    book: Ledger,
    moved_slot: tuple[Slot, Slot],
    moved: tuple[Week, Week],
    lines: Sequence[Any],
    judged: Sequence[Judged],
    rest: Rest,
    row: Transition | None,
    command: WeekCommand,
    at: datetime,
) -> Step:
    week, slot, back = moved[1], moved_slot[1], rest.back
    subject = week_subject(week)
    detail: dict[str, Any] = {"amount_minor": week.amount_minor, "lines": len(lines)}
    if back:
        detail |= refund_detail(back, by=Trigger.SETTLE_DEPOSIT.value)
    kind = "week.billed_from_deposit" if lines else "week.empty"
    review = Alarm(subject, Timer.WEEK_REVIEW_END, week.review_ends_at, 0)
    plan = Plan(
        drafts=(
            event(command, at, kind=kind, subject=subject, entries=rest.entries, detail=detail),
            *rest.drafts,
        ),
        facts=week_facts(week, slot.currency),
        moved_slots=(moved_slot, *rest.target),
        refunds=back.refunds if back else (),
        moved_lots=rest.moved_lots,
        lots=rest.lots,
        moved_fundings=back.moved_fundings if back else (),
        asks=back.asks if back else (),
        alarms=((review,) if lines else ()) + rest.alarms,
        cancelled=_stopped(week) + (clocks(row, slot, book.contract, at).cancelled if row else ()),
    )
    entries = billed_entries(judged, week.id, lines)
    return Step(plan, Worked(moved_weeks=(moved,), lines=tuple(lines), moved_entries=entries))


def surplus_minor(week: Week, held_minor: int, rates: Sequence[Rate]) -> int:
    """What of a week's deposit cannot be worked whatever comes: the next week needs less of one."""
    return max(0, held_minor - full_minor(week, rates))


def _stopped(week: Week) -> tuple[tuple[str, str], ...]:
    subject = week_subject(week)
    return ((subject, Timer.WEEK_DEPOSIT), (subject, Timer.WEEK_AHEAD))
