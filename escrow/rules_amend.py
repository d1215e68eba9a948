"""Decisions on amendments: another price, or the rest rolled forward, once both have signed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from escrow.commands import ProposeAmendment, SignAmendment
from escrow.machine import Trigger
from escrow.machine_slot import SLOTS, WORKING
from escrow.maths import Part, remaining
from escrow.model import (
    Amendment,
    AmendmentState,
    Funding,
    Lot,
    Plan,
    Role,
    Slot,
    SlotState,
)
from escrow.movements import p11_roll
from escrow.refusals import (
    AmountOutOfRange,
    BadAmendment,
    NotAMilestone,
    NotYours,
    OtherPartyMustSign,
    StaleVersion,
    WrongState,
)
from escrow.rules import (
    Deal,
    check_amount,
    check_version,
    clocks,
    roles,
    slot_step,
    subject_of,
)
from escrow.rules_deal import acted, event, slot_facts
from escrow.rules_refund import NewId, gone, refund_detail, refund_facts, send_back
from kernel.commands import Command


def propose_amendment(
    deal: Deal,
    target: Slot | None,
    command: ProposeAmendment,
    at: datetime,
    *,
    drawn_from: Collection[UUID] = (),
) -> Plan:
    """One side offers and signs; nothing changes until the other signs too.

    `drawn_from` are the periods of retainers whose money may roll as a milestone's does. Refuses:
    `escrow.bad_amendment`, `escrow.amount_out_of_range`, `escrow.wrong_state`,
    `escrow.not_a_milestone`.
    """
    slot = deal.slot
    role = _side(deal, command)
    _check_kinds(slot, target, drawn_from if command.to_slot_id else ())
    check_version(slot, command)
    if slot.state not in WORKING:
        raise WrongState(slot_id=str(slot.id), state=slot.state, trigger="amend")
    if (command.new_amount_minor is None) is (command.to_slot_id is None):
        raise BadAmendment(slot_id=str(slot.id))
    _check_target(slot, target, command.to_slot_id)
    if command.new_amount_minor is not None:
        check_price(slot, command.new_amount_minor)
    offer = Amendment(
        command.amendment_id,
        slot.contract_id,
        slot.id,
        command.to_slot_id,
        command.new_amount_minor,
        role,
        slot.version,
        AmendmentState.PROPOSED,
        at,
    )
    return Plan(
        drafts=(
            event(
                command,
                at,
                kind="slot.amendment_proposed",
                subject=subject_of(slot),
                detail=_detail(offer),
            ),
        ),
        facts=slot_facts(slot, amendment_id=str(offer.id)),
        amendments=(offer,),
    )


def _check_target(slot: Slot, target: Slot | None, to_slot_id: UUID | None) -> None:
    """Refuse to roll to what is no other slot of the contract."""
    is_other = (
        target is not None and target.id != slot.id and target.contract_id == slot.contract_id
    )
    if to_slot_id is not None and not is_other:
        raise BadAmendment(slot_id=str(slot.id), to_slot_id=str(to_slot_id))


def _check_kinds(slot: Slot, target: Slot | None, drawn_from: Collection[UUID]) -> None:
    """Refuse what is neither a milestone nor a period whose money is free to roll."""
    for each in (slot, target):
        if each is not None and each.term_id != each.id and each.id not in drawn_from:
            raise NotAMilestone(slot_id=str(each.id), trigger="amend")


def check_price(slot: Slot, new_amount_minor: int) -> None:
    """Refuse a price that is the same, or not above what is released already."""
    check_amount(new_amount_minor)
    if new_amount_minor == slot.amount_minor or new_amount_minor <= slot.released_minor:
        raise AmountOutOfRange(
            amount_minor=new_amount_minor, lowest=slot.released_minor + 1, now=slot.amount_minor
        )


def sign(
    offer: Amendment,
    deal: Deal,
    target: Deal | None,
    fundings: Mapping[UUID, Funding],
    command: SignAmendment,
    at: datetime,
    new_id: NewId,
    drawn_from: Collection[UUID] = (),
) -> Plan:
    """The other side signs, and the amendment takes effect (rows 7 and 20, P11, P14).

    Refuses: `escrow.other_party_must_sign`; `escrow.stale_version` if the slot has moved since.
    """
    role = _side(deal, command)
    if offer.proposed_by is role:
        raise OtherPartyMustSign(amendment_id=str(offer.id))
    if offer.state is not AmendmentState.PROPOSED:
        raise WrongState(amendment_id=str(offer.id), state=offer.state, trigger="sign")
    if offer.slot_version != deal.slot.version:
        raise StaleVersion(
            slot_id=str(deal.slot.id), version=deal.slot.version, given=offer.slot_version
        )
    _check_kinds(deal.slot, target.slot if target else None, drawn_from)
    signed_deal = replace(deal, other_has_signed=True)
    if offer.new_amount_minor is None:
        assert target is not None
        signed_target = replace(target, other_has_signed=True)
        plan = _roll(signed_deal, signed_target, offer, command, at)
    elif offer.new_amount_minor > deal.slot.amount_minor:
        plan = _raise_price(signed_deal, offer, command, at)
    else:
        plan = _lower_price(signed_deal, fundings, offer, command, at, new_id)
    signed = replace(offer, state=AmendmentState.SIGNED)
    facts = {**plan.facts, "amendment_id": str(offer.id)}
    return replace(plan, facts=facts, moved_amendments=((offer, signed),))


def _side(deal: Deal, command: Command) -> Role:
    for role in roles(command.actor, deal.contract):
        if role in {Role.CLIENT, Role.PAYEE}:
            return role
    raise NotYours(slot_id=str(deal.slot.id), trigger="amend")


def _detail(offer: Amendment) -> dict[str, object]:
    return {
        "amendment_id": str(offer.id),
        "new_amount_minor": offer.new_amount_minor,
        "to_slot_id": str(offer.to_slot_id) if offer.to_slot_id else None,
    }


def _raise_price(deal: Deal, offer: Amendment, command: Command, at: datetime) -> Plan:
    """The new price counts; the client pays the difference as a top-up."""
    slot_step(SLOTS, deal, Trigger.AMEND_UP, command, at)
    assert offer.new_amount_minor is not None
    after = acted(deal.slot, at, amount_minor=offer.new_amount_minor)
    return Plan(
        drafts=(
            event(
                command, at, kind="slot.amended", subject=subject_of(after), detail=_detail(offer)
            ),
        ),
        facts=slot_facts(after, unpaid_minor=after.unpaid_minor),
        moved_slots=((deal.slot, after),),
    )


def _lower_price(
    deal: Deal,
    fundings: Mapping[UUID, Funding],
    offer: Amendment,
    command: Command,
    at: datetime,
    new_id: NewId,
) -> Plan:
    """The new price counts; what is paid in above it goes back with its part of the fee."""
    slot_step(SLOTS, deal, Trigger.AMEND_DOWN, command, at)
    assert offer.new_amount_minor is not None
    check_price(deal.slot, offer.new_amount_minor)
    slot = deal.slot
    excess = max(0, slot.held_minor + slot.released_minor - offer.new_amount_minor)
    after = acted(slot, at, amount_minor=offer.new_amount_minor)
    subject = subject_of(slot)
    if not excess:
        return Plan(
            drafts=(
                event(command, at, kind="slot.amended", subject=subject, detail=_detail(offer)),
            ),
            facts=slot_facts(after, unpaid_minor=after.unpaid_minor),
            moved_slots=((slot, after),),
        )
    back = send_back(deal, fundings, excess, at, new_id)
    after = replace(
        after,
        held_minor=slot.held_minor - excess,
        refunded_minor=slot.refunded_minor + excess,
        fee_deferred_minor=slot.fee_deferred_minor - back.fee_minor,
    )
    detail = {**_detail(offer), **refund_detail(back, by="amend_down")}
    return Plan(
        drafts=(
            event(
                command,
                at,
                kind="slot.amended",
                subject=subject,
                entries=back.entries,
                detail=detail,
            ),
        ),
        facts=slot_facts(after, **refund_facts(back, slot.currency)),
        moved_slots=((slot, after),),
        refunds=back.refunds,
        moved_lots=back.moved_lots,
        moved_fundings=back.moved_fundings,
        asks=back.asks,
    )


def _roll(deal: Deal, target: Deal, offer: Amendment, command: Command, at: datetime) -> Plan:
    """All the slot still holds becomes money of the target, lot by lot, with its deferred fee."""
    trigger = Trigger.ROLL_REST if deal.slot.released_minor else Trigger.ROLL_ALL
    row, _ = slot_step(SLOTS, deal, trigger, command, at)
    target_row, _ = slot_step(SLOTS, target, Trigger.ROLL_IN, command, at)
    amount = deal.slot.held_minor
    parts = [part for part in reversed(remaining(deal.slot, deal.lots)) if part.amount_minor]
    source = acted(
        deal.slot,
        at,
        state=SlotState(row.to),
        held_minor=0,
        rolled_out_minor=deal.slot.rolled_out_minor + amount,
        fee_deferred_minor=0,
    )
    filled = _rolled_in(target.slot, deal.slot, SlotState(target_row.to), len(parts), at)
    check_amount(filled.amount_minor)
    entries = p11_roll(
        from_slot_id=source.id,
        to_slot_id=filled.id,
        currency=source.currency,
        amount_minor=amount,
    )
    target_alarms = clocks(target_row, filled, deal.contract, at).alarms
    return Plan(
        drafts=(
            event(
                command,
                at,
                kind="slot.rolled_forward",
                subject=subject_of(source),
                entries=entries,
                detail=_detail(offer),
            ),
            event(
                command,
                at,
                kind="slot.rolled_in",
                subject=subject_of(filled),
                detail=_detail(offer),
            ),
        ),
        facts=slot_facts(source, to=slot_facts(filled)),
        moved_slots=((deal.slot, source), (target.slot, filled)),
        lots=_new_lots(target.slot, parts),
        moved_lots=tuple((part.lot, gone(part)) for part in parts),
        alarms=target_alarms,
        cancelled=clocks(row, source, deal.contract, at).cancelled,
    )


def _rolled_in(target: Slot, source: Slot, state: SlotState, lots: int, at: datetime) -> Slot:
    """The target with the source's money: a running one costs more, an unpaid one owes less."""
    amount = source.held_minor
    price = target.amount_minor + amount
    if target.state is SlotState.AWAITING_FUNDING:
        price = max(target.amount_minor, amount)
    return acted(
        target,
        at,
        state=state,
        amount_minor=price,
        held_minor=target.held_minor + amount,
        rolled_in_minor=target.rolled_in_minor + amount,
        fee_deferred_minor=target.fee_deferred_minor + source.fee_deferred_minor,
        lot_count=target.lot_count + lots,
    )


def _new_lots(target: Slot, parts: Sequence[Part]) -> tuple[Lot, ...]:
    return tuple(
        Lot(
            target.id,
            number,
            part.lot.funding_id,
            part.amount_minor,
            part.fee_minor,
            target.released_minor,
        )
        for number, part in enumerate(parts, start=target.lot_count + 1)
    )
