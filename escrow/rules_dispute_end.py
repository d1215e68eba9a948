"""How a dispute ends: money thawed, or split to the cent, and arbitration fees given back."""

from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from escrow.machine import Timer, Trigger
from escrow.machine_slot import RESTORES, SLOTS
from escrow.model import Alarm, Plan, Role, Slot, SlotState
from escrow.model_dispute import Dispute, DisputeCommand, DisputeState
from escrow.movements_more import p12_thaw, p13_split, p45_arbitration_fee, p45_fee_back
from escrow.refusals import Held, NotCleared
from escrow.rules import clocks, slot_step
from escrow.rules_deal import acted, event
from escrow.rules_dispute import (
    TRY_AGAIN,
    Case,
    Moves,
    dispute_facts,
    dispute_step,
    has_elected,
    moved_dispute,
    other,
)
from escrow.rules_dispute_later import Ending, engine_command, put_back, split_later
from escrow.rules_payout import Payout, alarms_of, pay_out, rows_of
from escrow.rules_refund import Back, NewId, refund_detail, refund_facts, rows_back, send_back
from kernel.commands import Command
from kernel.money import to_json
from ledger.entries import Entries


class Shares(NamedTuple):
    """What is agreed or decided; `payee_minor` None: the deal goes on as before."""

    payee_minor: int | None
    client_minor: int | None


def shares_of(dispute: Dispute, payee_minor: int | None) -> Shares:
    """The payee's share and the rest of what is frozen."""
    if payee_minor is None:
        return Shares(None, None)
    return Shares(payee_minor, dispute.claim_minor - payee_minor)


def resolve(
    case: Case,
    trigger: Trigger,
    shares: Shares,
    command: Command,
    at: datetime,
    new_id: NewId,
) -> Moves:
    """Take a step after which the shares stand, and carry them out in the same act.

    Where another hold or uncleared money is in the way, they stand and wait for
    `dispute_execute`.
    """
    row, role = dispute_step(case, trigger, command, at)
    state = DisputeState(row.to)
    stands = moved_dispute(
        case.dispute,
        state=state,
        resolution=state,
        payee_minor=shares.payee_minor,
        client_minor=shares.client_minor,
        due_at=None,
    )
    cancelled = tuple((stands.subject, timer) for timer in row.cancels)
    detail = {"by": role.value, "trigger": trigger.value}
    return _finish(
        replace(case, dispute=stands), case.dispute, cancelled, detail, command, at, new_id
    )


def execute(case: Case, command: DisputeCommand, at: datetime, new_id: NewId) -> Moves:
    """Carry out shares that stand already; by the engine. Refuses what still is in the way."""
    dispute_step(case, Trigger.EXECUTE, command, at)
    stands = moved_dispute(case.dispute)
    return _finish(replace(case, dispute=stands), case.dispute, (), {}, command, at, new_id)


def withdraw(case: Case, command: DisputeCommand, at: datetime) -> Moves:
    """Whoever opened thinks better of it: all is as it was (row 14)."""
    row, role = dispute_step(case, Trigger.WITHDRAW_DISPUTE, command, at)
    after = moved_dispute(case.dispute, state=DisputeState(row.to), due_at=None, ended_at=at)
    ending = _undo(case, at)
    draft = event(
        command,
        at,
        kind="dispute.withdrawn",
        subject=after.subject,
        entries=ending.entries,
        detail={"slot_id": str(after.slot_id), "by": role.value},
    )
    plan = replace(
        ending.plan,
        drafts=(draft,),
        facts=dispute_facts(after, slot_state=ending.slot.state.value),
        cancelled=tuple((after.subject, timer) for timer in row.cancels),
    )
    return Moves(plan=plan, before=case.dispute, after=after)


def _finish(
    case: Case,
    before: Dispute,
    cancelled: tuple[tuple[str, str], ...],
    detail: dict[str, Any],
    command: Command,
    at: datetime,
    new_id: NewId,
) -> Moves:
    """Carry out the shares of the case's dispute, or let them wait."""
    dispute = case.dispute
    assert dispute.resolution is not None
    try:
        ending = _carry_out(case, at, new_id)
    except (Held, NotCleared) as obstacle:
        if before.resolution is not None:
            raise
        return _wait(case, before, cancelled, detail, command, at, obstacle.code)
    made = ending.plan.releases
    after = replace(
        dispute,
        state=DisputeState.EXECUTED,
        ended_at=at,
        awarded_id=made[0].id if made else None,
    )
    fees = loser_pays(case)
    draft = event(
        command,
        at,
        kind=f"dispute.{dispute.resolution.value}",
        subject=dispute.subject,
        entries=ending.entries + fees_back(case) + fees.entries,
        detail={"slot_id": str(dispute.slot_id), **detail, **ending.detail, **fees.facts},
    )
    plan = replace(
        ending.plan,
        drafts=(draft,),
        facts=dispute_facts(
            after, slot_state=ending.slot.state.value, **ending.facts, **fees.facts
        ),
        cancelled=(
            *ending.plan.cancelled,
            *cancelled,
            (dispute.subject, Timer.DISPUTE_EXECUTE),
        ),
    )
    return Moves(plan=plan, before=before, after=after)


def _wait(
    case: Case,
    before: Dispute,
    cancelled: tuple[tuple[str, str], ...],
    detail: dict[str, Any],
    command: Command,
    at: datetime,
    code: str,
) -> Moves:
    """The shares stand; the money follows once nothing is in its way."""
    stands = replace(case.dispute, due_at=at + TRY_AGAIN)
    draft = event(
        command,
        at,
        kind=f"dispute.{stands.state.value}",
        subject=stands.subject,
        detail={"slot_id": str(stands.slot_id), **detail, "waits_for": code},
    )
    alarm = Alarm(stands.subject, Timer.DISPUTE_EXECUTE, at + TRY_AGAIN, 0)
    plan = Plan(
        drafts=(draft,),
        facts=dispute_facts(stands, waits_for=code),
        alarms=(alarm,),
        cancelled=cancelled,
    )
    return Moves(plan=plan, before=before, after=stands)


def _carry_out(case: Case, at: datetime, new_id: NewId) -> Ending:
    """The shares are paid; without shares all is as it was."""
    if case.dispute.payee_minor is None:
        return _undo(case, at)
    if case.dispute.release_id is not None:
        return split_later(case, at, new_id)
    return _split(case, at, new_id)


def _undo(case: Case, at: datetime) -> Ending:
    return _thaw(case, at) if case.dispute.release_id is None else put_back(case, at)


def _thaw(case: Case, at: datetime) -> Ending:
    """P12 the other way: the slot is as it was before the dispute."""
    slot = case.deal.slot
    restored = _restore(case, acted(slot, at, disputed_minor=0), at)
    entries = p12_thaw(
        slot_id=slot.id, currency=slot.currency, amount_minor=case.dispute.claim_minor
    )
    plan = Plan(drafts=(), moved_slots=((slot, restored),))
    return Ending(restored, entries, plan, {}, {})


def _restore(case: Case, slot: Slot, at: datetime) -> Slot:
    """What is left of the slot goes on in the state before the dispute."""
    trigger = RESTORES[case.dispute.state_before]
    row, _ = slot_step(SLOTS, case.deal, trigger, engine_command(slot), at)
    return replace(slot, state=SlotState(row.to))


def _split(case: Case, at: datetime, new_id: NewId) -> Ending:
    """P13: the payee's share is released first, then the client's goes back, newest lot first.

    A share of the payee earns the client's whole fee, as any first release does; without one the
    client's fee goes back in proportion.
    """
    slot, dispute = case.deal.slot, case.dispute
    to_payee, to_client = dispute.payee_minor or 0, dispute.client_minor or 0
    rest = slot.held_minor - dispute.claim_minor
    trigger = _split_step(slot, to_payee, rest)
    row, _ = slot_step(SLOTS, case.deal, trigger, engine_command(slot), at)
    payout = _payout(case, to_payee, at, new_id())
    earned = slot.fee_deferred_minor if to_payee else 0
    released = replace(
        slot,
        held_minor=slot.held_minor - to_payee,
        released_minor=slot.released_minor + to_payee,
        fee_deferred_minor=slot.fee_deferred_minor - earned,
    )
    back = _send_back(case, released, to_client, at, new_id)
    after = acted(
        released,
        at,
        state=SlotState(row.to),
        held_minor=rest,
        refunded_minor=slot.refunded_minor + to_client,
        fee_deferred_minor=released.fee_deferred_minor - (back.fee_minor if back else 0),
        disputed_minor=0,
    )
    if rest:
        after = _restore(case, after, at)
    set_to, cancelled, _ = clocks(row, after, case.deal.contract, at)
    plan = Plan(
        drafts=(),
        moved_slots=((slot, after),),
        **rows_of(payout),
        **rows_back(back),
        alarms=(*set_to, *alarms_of(payout)),
        cancelled=cancelled,
    )
    facts = (payout.facts if payout else {}) | (refund_facts(back, slot.currency) if back else {})
    detail: dict[str, Any] = {}
    if payout:
        detail = {"release_id": str(payout.release.id), **payout.detail}
    if back:
        detail |= refund_detail(back, by=trigger.value)
    return Ending(after, _split_entries(case, payout, back, earned), plan, facts, detail)


def _split_step(slot: Slot, to_payee: int, rest: int) -> Trigger:
    if rest:
        return Trigger.SPLIT_PART
    is_released = slot.released_minor + to_payee > 0
    return Trigger.SPLIT_RELEASED if is_released else Trigger.SPLIT_REFUNDED


def _payout(case: Case, to_payee: int, at: datetime, release_id: UUID) -> Payout | None:
    """His share as it is paid; without a rate of exchange today in the contract's currency."""
    if not to_payee:
        return None
    return pay_out(case.deal, to_payee, release_id=release_id, at=at, strict=False)


def _send_back(
    case: Case, released: Slot, to_client: int, at: datetime, new_id: NewId
) -> Back | None:
    if not to_client:
        return None
    return send_back(replace(case.deal, slot=released), case.fundings, to_client, at, new_id)


def _split_entries(case: Case, payout: Payout | None, back: Back | None, earned: int) -> Entries:
    contract, refunds = case.deal.contract, back.refunds if back else ()
    sent = {ask.id for ask in back.asks} if back else set()
    entries = p13_split(
        slot_id=case.deal.slot.id,
        client_id=contract.client_id,
        payee_id=contract.payee_id,
        currency=contract.currency,
        payee_minor=payout.release.gross_minor if payout else 0,
        commission_minor=payout.charge.ours_minor if payout else 0,
        fee_earned_minor=earned,
        refunds=tuple((each.id, each.total_minor) for each in refunds if each.id in sent),
        to_wallet_minor=sum(each.total_minor for each in refunds if each.id not in sent),
        fee_returned_minor=back.fee_minor if back else 0,
    )
    return payout.entries(entries) if payout else entries


def fees_back(case: Case) -> Entries:
    """P45: the winner of an arbitration gets his fee back; who settles before it, each his own.

    The winner has more than half of what was frozen; at half and half nobody has won.
    """
    dispute, contract = case.dispute, case.deal.contract
    to_client, to_payee = dispute.client_elected, dispute.payee_elected
    if dispute.resolution is DisputeState.DECIDED:
        winner = winner_of(dispute)
        to_client = to_client and winner is Role.CLIENT
        to_payee = to_payee and winner is Role.PAYEE
    return p45_fee_back(
        client_id=contract.client_id,
        payee_id=contract.payee_id,
        currency=contract.currency,
        client_minor=dispute.fee_minor if to_client else 0,
        payee_minor=dispute.fee_minor if to_payee else 0,
    )


def winner_of(dispute: Dispute) -> Role | None:
    """The side with more than half; None at half and half."""
    to_payee, to_client = dispute.payee_minor or 0, dispute.client_minor or 0
    if to_payee == to_client:
        return None
    return Role.PAYEE if to_payee > to_client else Role.CLIENT


class LoserFee(NamedTuple):
    """What who lost pays for the decision, and what is said of it."""

    entries: Entries
    facts: dict[str, Any]


def loser_pays(case: Case) -> LoserFee:
    """P45: the loser of a small claim pays its fee, and of an arbitration that the winner paid.

    Never more than he has: a client in his wallet, a payee in what he may withdraw. At half and
    half nobody has lost.
    """
    dispute, contract = case.dispute, case.deal.contract
    winner = winner_of(dispute)
    if dispute.resolution is not DisputeState.DECIDED or winner is None:
        return LoserFee((), {})
    loser = other(winner)
    owes = not has_elected(dispute, loser) and (dispute.is_small or has_elected(dispute, winner))
    has_minor = case.wallet_minor if loser is Role.CLIENT else case.available_minor
    paid = min(dispute.fee_minor, max(0, has_minor)) if owes else 0
    if not paid:
        return LoserFee((), {})
    entries = p45_arbitration_fee(
        client_id=contract.client_id,
        payee_id=contract.payee_id,
        currency=contract.currency,
        client_minor=paid if loser is Role.CLIENT else 0,
        payee_minor=paid if loser is Role.PAYEE else 0,
    )
    return LoserFee(entries, {"loser_paid": to_json(paid, contract.currency), "loser": loser.value})
