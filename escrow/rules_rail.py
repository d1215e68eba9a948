"""Decisions on what a rail says: of a payment that came, failed, came late or in another amount."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from escrow.machine import FUNDINGS, OPEN_FUNDING, RETURNABLE, Timer, Trigger
from escrow.machine_slot import HOLDING, SLOTS
from escrow.model import Alarm, FundingState, Plan, Purpose, Slot, SlotState
from escrow.movements import p01_fund, p06_credit_wallet, p06_receive_unidentified
from escrow.rules import Deal, clocks, roles, slot_step, step, subject_of
from escrow.rules_deal import event, moved, slot_facts
from escrow.rules_funding import (
    GONE_FUNDING,
    NEEDS_ACTION,
    Payment,
    end_funding,
    filled,
    freed,
    fund_alarm,
    fund_timer,
    funded_event,
    funding_facts,
    moved_on,
)
from escrow.rules_payout import rows_of, security_alarm
from escrow.rules_rail_fx import Heard, captured, convert_in
from escrow.rules_tip import tip_payout, tipped_event
from kernel.errors import Broken
from rails.model import RailOutcome, RailResult


def hear(payment: Payment, command: Heard, release_id: UUID, at: datetime) -> Plan:
    """What a rail said of a funding; a word that is old, or said twice, changes nothing."""
    trigger = result_trigger(payment, command.result)
    if trigger is None:
        return Plan(drafts=(), facts=funding_facts(payment.funding, is_news=False))
    if trigger in {Trigger.SUCCEED, Trigger.SUCCEED_UNCLEARED}:
        return _succeed(payment, trigger, command, release_id, at)
    if trigger in {Trigger.MISMATCH, Trigger.ARRIVE_LATE}:
        return _receive_stray(payment, trigger, command, at)
    if trigger is Trigger.FAIL:
        return end_funding(payment, trigger, command, at, code=command.result.code)
    if trigger is Trigger.REVERSE:
        raise Broken("a payment was returned while we heard that it was made; hear it again")
    if trigger is Trigger.CLEAR:
        return _clear(payment, command, at)
    return _wait(payment, trigger, command, at)


def result_trigger(payment: Payment, result: RailResult) -> Trigger | None:
    """What a rail's word means to the funding as it stands; None if it is no news."""
    state = payment.funding.state
    if result.outcome is RailOutcome.DONE:
        return _done_trigger(payment, result)
    if result.outcome is RailOutcome.REFUSED:
        if state in RETURNABLE:
            return Trigger.REVERSE
        return Trigger.FAIL if state in OPEN_FUNDING else None
    trigger = Trigger.LOSE_SIGHT
    if result.outcome is RailOutcome.PENDING:
        needs_action = result.code == NEEDS_ACTION and state is FundingState.CREATED
        trigger = Trigger.NEED_ACTION if needs_action else Trigger.PEND
    return trigger if (state, trigger) in FUNDINGS else None


def _done_trigger(payment: Payment, result: RailResult) -> Trigger | None:
    funding = payment.funding
    if funding.state is FundingState.SUCCEEDED_UNCLEARED:
        return Trigger.CLEAR if result.cleared else None
    if funding.state not in (*OPEN_FUNDING, *GONE_FUNDING):
        return None
    if result.amount_minor != funding.asked_minor:
        return Trigger.MISMATCH
    may_wait = funding.quote_id is None
    if funding.state in OPEN_FUNDING and _is_awaited(payment) and (result.cleared or may_wait):
        return Trigger.SUCCEED if result.cleared else Trigger.SUCCEED_UNCLEARED
    return Trigger.ARRIVE_LATE if result.cleared else Trigger.MISMATCH


def _is_awaited(payment: Payment) -> bool:
    """Whether what was to be paid for still takes the money.

    A price that was lowered while a top-up was on its way takes no more than it lacks.
    """
    slot, funding = payment.slot, payment.funding
    if slot is None:
        return True
    if funding.purpose is Purpose.SLOT:
        enough = payment.quote is None or payment.quote.bought_minor >= slot.unpaid_minor
        return slot.state is SlotState.FUNDING and enough
    return slot.state in HOLDING and funding.amount_minor <= slot.unpaid_minor


def _succeed(
    payment: Payment, trigger: Trigger, command: Heard, release_id: UUID, at: datetime
) -> Plan:
    funding, contract, result = payment.funding, payment.contract, command.result
    if funding.quote_id is not None:
        return convert_in(payment, command, release_id, at)
    row, _ = step(FUNDINGS, funding.state, trigger, roles(command.actor, contract))
    paid = captured(funding, FundingState(row.to), result)
    cancelled = (fund_timer(funding),)
    if payment.slot is None:
        paid = replace(paid, release_id=release_id)
        payout = tip_payout(paid, contract, payment.pricing.price, release_id, at)
        return Plan(
            drafts=(tipped_event(paid, contract, payout, command, at),),
            facts=funding_facts(paid, release_id=str(release_id), is_news=True),
            moved_fundings=((funding, paid),),
            **rows_of(payout),
            alarms=(security_alarm(payout.release),) if result.cleared else (),
            cancelled=cancelled,
        )
    slot_trigger = Trigger.FUND if funding.purpose is Purpose.SLOT else Trigger.TOP_UP
    deal = Deal(payment.slot, contract)
    slot_row, _ = slot_step(SLOTS, deal, slot_trigger, command, at)
    after, lot = filled(payment.slot, paid, SlotState(slot_row.to), is_cleared=result.cleared)
    entries = p01_fund(
        slot_id=payment.slot.id,
        rail_account=funding.rail_account,
        currency=funding.currency,
        amount_minor=funding.amount_minor,
        client_fee_minor=funding.client_fee_minor,
        rail_fee_minor=result.fee_minor,
    )
    after = replace(after, active_at=max(after.active_at, at))
    return Plan(
        drafts=(funded_event(paid, after, entries, command, at),),
        facts=slot_facts(after, **funding_facts(paid, is_news=True)),
        moved_slots=((payment.slot, after),),
        moved_fundings=((funding, paid),),
        lots=(lot,),
        alarms=clocks(slot_row, after, contract, at).alarms,
        cancelled=cancelled,
    )


def _receive_stray(payment: Payment, trigger: Trigger, command: Heard, at: datetime) -> Plan:
    """Money that cannot fund its slot: suspense, and on to the wallet if all is clear (P06)."""
    funding, contract, result = payment.funding, payment.contract, command.result
    row, _ = step(FUNDINGS, funding.state, trigger, roles(command.actor, contract))
    after = captured(funding, FundingState(row.to), result)
    entries = p06_receive_unidentified(
        rail_account=funding.rail_account,
        currency=result.currency,
        amount_minor=result.amount_minor,
        rail_fee_minor=result.fee_minor,
    )
    if trigger is Trigger.ARRIVE_LATE:
        entries += p06_credit_wallet(
            client_id=contract.client_id,
            currency=result.currency,
            amount_minor=result.amount_minor,
        )
    kind = "funding.mismatched" if trigger is Trigger.MISMATCH else "funding.arrived_late"
    detail = {"asked_minor": funding.asked_minor, "captured_minor": result.amount_minor}
    slots = freed(payment) if funding.state in OPEN_FUNDING else ()
    return Plan(
        drafts=(
            event(
                command,
                at,
                kind=kind,
                subject=f"funding:{funding.id}",
                entries=entries,
                detail=detail,
            ),
            *(
                event(command, at, kind="slot.funding_ended", subject=subject_of(new))
                for _, new in slots
            ),
        ),
        facts=funding_facts(after, is_news=True),
        moved_slots=slots,
        moved_fundings=((funding, after),),
        cancelled=(fund_timer(funding),),
    )


def _clear(payment: Payment, command: Heard, at: datetime) -> Plan:
    """The client's bank can no longer take the money back: releases may begin."""
    funding, contract, slot = payment.funding, payment.contract, payment.slot
    row, _ = step(FUNDINGS, funding.state, Trigger.CLEAR, roles(command.actor, contract))
    after = moved_on(funding, state=FundingState(row.to))
    moves: tuple[tuple[Slot, Slot], ...] = ()
    alarms: tuple[Alarm, ...] = ()
    if slot is None:
        assert funding.release_id is not None
        due = at + timedelta(days=contract.terms.security_hold_days)
        alarms = (Alarm(f"release:{funding.release_id}", Timer.SECURITY_HOLD, due, 0),)
    elif slot.uncleared_minor:
        slot_step(SLOTS, Deal(slot, contract), Trigger.CLEAR, command, at)
        left = max(0, slot.uncleared_minor - funding.amount_minor)
        moves = ((slot, moved(slot, uncleared_minor=left)),)
    subject = f"funding:{funding.id}"
    return Plan(
        drafts=(
            event(command, at, kind="funding.cleared", subject=subject),
            *(event(command, at, kind="slot.cleared", subject=subject_of(new)) for _, new in moves),
        ),
        facts=funding_facts(after, is_news=True),
        moved_slots=moves,
        moved_fundings=((funding, after),),
        alarms=alarms,
    )


def _wait(payment: Payment, trigger: Trigger, command: Heard, at: datetime) -> Plan:
    """The payment goes on, or nobody knows; out of sight it cannot expire, back it can again."""
    funding = payment.funding
    row, _ = step(FUNDINGS, funding.state, trigger, roles(command.actor, payment.contract))
    after = moved_on(funding, state=FundingState(row.to), rail_ref=command.result.rail_ref)
    was_unknown = funding.state is FundingState.UNKNOWN
    lost = trigger is Trigger.LOSE_SIGHT
    return Plan(
        drafts=(
            event(
                command, at, kind=f"funding.{after.state.value}", subject=f"funding:{funding.id}"
            ),
        ),
        facts=funding_facts(after, is_news=True),
        moved_fundings=((funding, after),),
        alarms=(fund_alarm(funding, at),) if was_unknown else (),
        cancelled=(fund_timer(funding),) if lost else (),
    )
