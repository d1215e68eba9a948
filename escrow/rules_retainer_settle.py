"""Decisions that divide a period's money: settled at its end (P07, P11, P32), cancelled (P31).

Whatever is divided goes to the payee, to the client or into the next period; nothing else.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from escrow.commands import SlotCommand
from escrow.machine import Transition, Trigger
from escrow.machine_retainer import PERIODS
from escrow.machine_slot import SLOTS, WORKING
from escrow.maths_retainer import (
    Span,
    days_between,
    earned_by_time,
)
from escrow.model import (
    Method,
    Plan,
    Role,
    Slot,
    SlotState,
)
from escrow.model_retainer import Carried, Moves, OnPause
from escrow.movements import p11_roll
from escrow.movements_retainer import ClientPart, PayeePart, p31_divide
from escrow.refusals import FundingOpen, Held, WrongState
from escrow.refusals_retainer import DrawdownsOpen, NextNotFunded, PeriodBeforeOpen
from escrow.rules import clocks, slot_step, step, subject_of
from escrow.rules_deal import acted, event
from escrow.rules_payout import Payout, alarms_of, pay_out, rows_of
from escrow.rules_refund import NewId, refund_facts, send_back
from escrow.rules_retainer import Case, period_subject
from escrow.rules_retainer_period import is_over, stops, to_state
from escrow.rules_retainer_share import (
    Share,
    divided,
    gone,
    rolled_fee,
    rolled_lots,
    to_wallet,
)
from kernel.commands import Command
from kernel.money import to_json
from kernel.principals import SYSTEM


def settle(case: Case, command: Command, at: datetime, new_id: NewId) -> Moves:
    """The period's end: an access fee is earned, what nobody drew goes by its policy.

    Refuses: `retainer.drawdowns_open`, `retainer.period_before_open`,
    `retainer.next_not_funded` while what rolls has no place yet, and as any outflow.
    """
    row, _ = step(PERIODS, case.period.state, Trigger.SETTLE, (Role.SYSTEM,))
    check_reviewed(case)
    _check_there(case.deal.slot)
    shares = divided(case)
    if case.deal.slot.held_minor and case.deal.slot.state not in WORKING:
        raise WrongState(
            slot_id=str(case.deal.slot.id), state=case.deal.slot.state, trigger="settle"
        )
    if any(share.rolled_minor for share in shares) and case.target is None:
        raise NextNotFunded(period_id=str(case.period.id))
    return _divide(case, shares, row, "period.settled", command, at, new_id)


def cancel(case: Case, command: Command, at: datetime, new_id: NewId) -> Moves:
    """The period is cancelled: what is earned stays, the rest goes back as it came (P31).

    Earned is the greater of the days elapsed, as a part of the amount, and of what was approved.
    """
    row, _ = step(PERIODS, case.period.state, Trigger.CANCEL, (Role.SYSTEM,))
    slot = case.deal.slot
    if slot.state is SlotState.FUNDING:
        raise FundingOpen(contract_id=str(case.contract.id))
    _check_there(slot)
    if not slot.held_minor:
        return _cancel_empty(case, row, command, at)
    check_reviewed(case)
    if slot.state not in WORKING:
        raise WrongState(slot_id=str(slot.id), state=slot.state, trigger="cancel")
    due = max(0, earned_now(case, at) - slot.released_minor)
    payee, after, payout = _pay(case, min(due, slot.held_minor), at, new_id)
    return _give_back(case, row, payee, after, payout, command, at, new_id)


def _check_there(slot: Slot) -> None:
    """A period whose money the client's bank has taken waits for the bank's decision."""
    if slot.recalled_minor:
        raise Held(slot_id=str(slot.id), holds=["slot:chargeback"])


def earned_now(case: Case, at: datetime) -> int:
    """What the days elapsed have earned of the period's amount; those of a pause do not count."""
    period, terms = case.period, case.retainer.terms
    paused = period.paused_days
    if period.paused_at is not None:
        paused += days_between(begin=period.paused_at, end=at, zone=terms.zone)
    return earned_by_time(
        terms.amount_minor,
        Span(period.first_on, period.next_on, period.starts_at, period.ends_at),
        at,
        terms.zone,
        paused_days=paused,
        added_days=period.paused_days if terms.on_pause is OnPause.EXTEND else 0,
    )


def check_reviewed(case: Case) -> None:
    """Refuse while drawdowns wait, or while the period before may still carry something over."""
    if case.waiting_minor:
        raise DrawdownsOpen(period_id=str(case.period.id))
    if not is_over(case.before):
        raise PeriodBeforeOpen(period_id=str(case.period.id))


def _pay(
    case: Case, amount_minor: int, at: datetime, new_id: NewId
) -> tuple[PayeePart, Slot, Payout | None]:
    """The payee's part of the slot, taken out of it; the first of a slot earns the whole fee."""
    slot = case.deal.slot
    if not amount_minor:
        return PayeePart(), slot, None
    payout = pay_out(case.deal, amount_minor, release_id=new_id(), at=at, strict=False)
    payee = PayeePart(
        amount_minor=amount_minor,
        commission_minor=payout.charge.ours_minor,
        fee_earned_minor=slot.fee_deferred_minor,
    )
    after = replace(
        slot,
        held_minor=slot.held_minor - amount_minor,
        released_minor=slot.released_minor + amount_minor,
        fee_deferred_minor=0,
    )
    return payee, after, payout


def _give_back(
    case: Case,
    row: Transition,
    payee: PayeePart,
    slot: Slot,
    payout: Payout | None,
    command: Command,
    at: datetime,
    new_id: NewId,
) -> Moves:
    """P31: all that the slot still holds goes back by the way it came."""
    slot_row = _check_slot(case, _trigger(slot, refunded=bool(slot.held_minor)), at)
    plan = Plan(drafts=())
    client = ClientPart()
    facts: dict[str, object] = {}
    if slot.held_minor:
        rest = replace(case.deal, slot=slot)
        back = send_back(rest, case.fundings, slot.held_minor, at, new_id)
        wallet = [each for each in back.refunds if each.method is Method.WALLET]
        client = ClientPart(
            refunds=tuple(
                (each.id, each.total_minor) for each in back.refunds if each not in wallet
            ),
            to_wallet_minor=sum(each.total_minor for each in wallet),
            fee_returned_minor=back.fee_minor,
        )
        facts = refund_facts(back, slot.currency)
        plan = Plan(
            drafts=(),
            refunds=back.refunds,
            moved_lots=back.moved_lots,
            moved_fundings=back.moved_fundings,
            asks=back.asks,
        )
    returned = slot.held_minor
    after = acted(
        case.deal.slot,
        at,
        state=SlotState(slot_row.to),
        held_minor=0,
        released_minor=slot.released_minor,
        refunded_minor=slot.refunded_minor + returned,
        fee_deferred_minor=0,
    )
    return _write(
        case, row, slot_row, plan, payee, client, after, payout, "period.cancelled",
        facts, command, at,
    )  # fmt: skip


def _divide(
    case: Case,
    shares: Sequence[Share],
    row: Transition,
    kind: str,
    command: Command,
    at: datetime,
    new_id: NewId,
) -> Moves:
    """P07 or P32a, P32b and P11 for one slot in one act."""
    slot = case.deal.slot
    if not slot.held_minor:
        return _cancel_empty(case, row, command, at, kind=kind)
    rolled = sum(share.rolled_minor for share in shares)
    back = sum(share.back_minor for share in shares)
    payee, left, payout = _pay(case, slot.held_minor - rolled - back, at, new_id)
    is_paid = payout is not None
    refunds, moved_fundings = to_wallet(case, shares, at, new_id, with_fee=not is_paid)
    client = ClientPart(
        to_wallet_minor=sum(each.total_minor for each in refunds),
        fee_returned_minor=sum(each.fee_minor for each in refunds),
    )
    slot_row = _check_slot(case, _trigger(left, refunded=bool(back)), at)
    after = acted(
        slot,
        at,
        state=SlotState(slot_row.to),
        held_minor=0,
        released_minor=left.released_minor,
        refunded_minor=slot.refunded_minor + back,
        rolled_out_minor=slot.rolled_out_minor + rolled,
        fee_deferred_minor=0,
    )
    moved_lots = tuple(
        (share.part.lot, gone(share, with_fee=not is_paid))
        for share in shares
        if share.rolled_minor or share.back_minor
    )
    plan = Plan(drafts=(), refunds=refunds, moved_lots=moved_lots, moved_fundings=moved_fundings)
    facts: dict[str, object] = {
        "rolled": to_json(rolled, slot.currency),
        "to_client": to_json(client.to_wallet_minor, slot.currency),
    }
    moves = _write(
        case, row, slot_row, plan, payee, client, after, payout, kind, facts, command, at
    )
    return _roll(case, shares, moves, command, at, with_fee=not is_paid) if rolled else moves


def _roll(
    case: Case, shares: Sequence[Share], moves: Moves, command: Command, at: datetime, *,
    with_fee: bool,
) -> Moves:  # fmt: skip
    """P11: each lot's part becomes a lot of the next period, with its funding and its expiry."""
    assert case.target is not None
    target = case.target.slot
    row, _ = slot_step(SLOTS, case.target, Trigger.ROLL_IN, command, at)
    some = [share for share in shares if share.rolled_minor]
    amount = sum(share.rolled_minor for share in some)
    fees = [rolled_fee(share) if with_fee else 0 for share in some]
    lots = rolled_lots(target, some, fees)
    filled = acted(
        target,
        at,
        state=SlotState(row.to),
        amount_minor=target.amount_minor + amount,
        held_minor=target.held_minor + amount,
        rolled_in_minor=target.rolled_in_minor + amount,
        fee_deferred_minor=target.fee_deferred_minor + sum(fees),
    )
    plan = moves.plan
    first = plan.drafts[0]
    entries = p11_roll(
        from_slot_id=case.deal.slot.id,
        to_slot_id=target.id,
        currency=target.currency,
        amount_minor=amount,
    )
    detail = {"from_period": str(case.period.id), "amount_minor": amount}
    rolled_in = event(command, at, kind="slot.rolled_in", subject=subject_of(filled), detail=detail)
    return replace(
        moves,
        plan=replace(
            plan,
            drafts=(
                replace(first, entries=first.entries + entries),
                *plan.drafts[1:],
                rolled_in,
            ),
            moved_slots=(*plan.moved_slots, (target, filled)),
            lots=lots,
            led=(*plan.led, target.id),
        ),
        carried=tuple(
            Carried(target.id, lot.seq, share.expires_no)
            for lot, share in zip(lots, some, strict=True)
        ),
    )


def _trigger(slot: Slot, *, refunded: bool) -> Trigger:
    if slot.released_minor:
        return Trigger.SETTLE_RELEASED
    return Trigger.SETTLE_REFUNDED if refunded else Trigger.SETTLE_ROLLED


def _check_slot(case: Case, trigger: Trigger, at: datetime) -> Transition:
    by_engine = SlotCommand(actor=SYSTEM, slot_id=case.deal.slot.id)
    row, _ = slot_step(SLOTS, case.deal, trigger, by_engine, at)
    return row


def _write(
    case: Case, row: Transition, slot_row: Transition, plan: Plan, payee: PayeePart,
    client: ClientPart, after: Slot, payout: Payout | None, kind: str, facts: dict[str, object],
    command: Command, at: datetime,
) -> Moves:  # fmt: skip
    contract, period = case.contract, to_state(case.period, row)
    entries = p31_divide(
        slot_id=after.id,
        client_id=contract.client_id,
        payee_id=contract.payee_id,
        currency=contract.currency,
        payee=payee,
        client=client,
    )
    detail = {
        "earned_minor": payee.amount_minor,
        "slot_state": after.state.value,
        "release_ids": [str(payout.release.id)] if payout else [],
        "refund_ids": [str(each.id) for each in plan.refunds],
    }
    draft = event(
        command,
        at,
        kind=kind,
        subject=period_subject(period),
        entries=payout.entries(entries) if payout else entries,
        detail=detail | (payout.detail if payout else {}),
    )
    set_to, cancelled, _ = clocks(slot_row, after, contract, at)
    told = {**facts, "period_id": str(period.id), "state": period.state.value}
    return Moves(
        plan=replace(
            plan,
            drafts=(draft,),
            facts=told | (payout.facts if payout else {}),
            moved_slots=((case.deal.slot, after),),
            **rows_of(payout),
            alarms=(*set_to, *alarms_of(payout)),
            cancelled=(*cancelled, *stops(period, row)),
            led=(after.id,),
        ),
        moved_periods=((case.period, period),),
    )


def _cancel_empty(
    case: Case, row: Transition, command: Command, at: datetime, *, kind: str = "period.cancelled"
) -> Moves:
    """A period whose slot holds nothing: never funded, or drawn to the last cent."""
    slot, period = case.deal.slot, to_state(case.period, row)
    drafts = [event(command, at, kind=kind, subject=period_subject(period))]
    moves: tuple[tuple[Slot, Slot], ...] = ()
    if slot.state is SlotState.AWAITING_FUNDING:
        moves = ((slot, acted(slot, at, state=SlotState.CANCELLED)),)
        drafts.append(event(command, at, kind="slot.cancelled", subject=subject_of(slot)))
    return Moves(
        plan=Plan(
            drafts=tuple(drafts),
            facts={"period_id": str(period.id), "state": period.state.value},
            moved_slots=moves,
            cancelled=stops(period, row),
            led=(slot.id,),
        ),
        moved_periods=((case.period, period),),
    )
