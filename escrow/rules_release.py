"""Decisions that let money go to the payee: approve, in part, by both, by the clock, dormant."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from escrow.commands import ReleaseCommand, ReleasePart, SlotCommand
from escrow.machine import RELEASES, Transition, Trigger
from escrow.machine_slot import SLOTS
from escrow.model import Contract, Plan, Release, ReleaseState, Slot, SlotState
from escrow.movements import p07_release, p09_end_security_hold
from escrow.refusals import Held
from escrow.rules import Deal, clocks, roles, slot_step, step, subject_of
from escrow.rules_deal import acted, event, slot_facts
from escrow.rules_payout import UNATTENDED, Payout, pay_out, rows_of, security_alarm
from kernel.money import to_json
from ledger.model import Draft


def approve(deal: Deal, command: SlotCommand, at: datetime, release_id: UUID) -> Plan:
    """The client lets all go (row 6)."""
    return _release_all(deal, Trigger.APPROVE, command, at, release_id)


def auto_release(deal: Deal, command: SlotCommand, at: datetime, release_id: UUID) -> Plan:
    """The review ran out in silence (row 8)."""
    return _release_all(deal, Trigger.AUTO_RELEASE, command, at, release_id)


def confirm(deal: Deal, command: SlotCommand, at: datetime, release_id: UUID) -> Plan:
    """One side says the work is done; the second to say so lets all go (row 8b)."""
    if deal.slot.confirmed_by is not None:
        return _release_all(deal, Trigger.CONFIRM_SECOND, command, at, release_id)
    _, role = slot_step(SLOTS, deal, Trigger.CONFIRM_FIRST, command, at)
    after = acted(deal.slot, at, confirmed_by=role)
    detail = {"by": role.value, "submission_no": after.submission_no}
    return Plan(
        drafts=(
            event(command, at, kind="slot.confirmed", subject=subject_of(after), detail=detail),
        ),
        facts=slot_facts(after, confirmed_by=role.value),
        moved_slots=((deal.slot, after),),
    )


def release_earned(deal: Deal, command: SlotCommand, at: datetime, release_id: UUID) -> Plan:
    """A week's or a period's own machine says that it was earned."""
    return _release_all(deal, Trigger.RELEASE_EARNED, command, at, release_id)


def release_dormant(deal: Deal, command: SlotCommand, at: datetime, release_id: UUID) -> Plan:
    """A dormant slot whose work was shown goes to the payee (row 18)."""
    return _release_all(deal, Trigger.RELEASE_DORMANT, command, at, release_id)


def release_part(deal: Deal, command: ReleasePart, at: datetime, release_id: UUID) -> Plan:
    """The client lets a part go; the slot stays as it is with less money (row 7, P10)."""
    return _release(deal, Trigger.RELEASE_PART, command, command.amount_minor, at, release_id)


def end_security_hold(
    release: Release,
    contract: Contract,
    held_by: tuple[str, ...],
    command: ReleaseCommand,
    at: datetime,
) -> Plan:
    """The payee may withdraw what was released to him (P09); not what a dispute set aside."""
    row, _ = step(
        RELEASES,
        release.state,
        Trigger.HOLD_ENDS,
        roles(command.actor, contract),
        release_id=str(release.id),
    )
    if held_by:
        raise Held(release_id=str(release.id), holds=list(held_by))
    after = replace(release, state=ReleaseState(row.to))
    entries = p09_end_security_hold(
        payee_id=release.payee_id,
        currency=release.purse_currency,
        amount_minor=release.free_minor,
    )
    subject = f"release:{release.id}"
    detail = {"slot_id": str(release.slot_id)} if release.slot_id else {}
    return Plan(
        drafts=(
            event(
                command,
                at,
                kind="release.available",
                subject=subject,
                entries=entries,
                detail=detail,
            ),
        ),
        facts={
            "release_id": str(release.id),
            "state": after.state.value,
            "available": to_json(release.free_minor, release.purse_currency),
        },
        moved_releases=((release, after),),
    )


def _release_all(
    deal: Deal, trigger: Trigger, command: SlotCommand, at: datetime, release_id: UUID
) -> Plan:
    return _release(deal, trigger, command, deal.slot.held_minor, at, release_id)


def _release(
    deal: Deal,
    trigger: Trigger,
    command: SlotCommand,
    amount_minor: int,
    at: datetime,
    release_id: UUID,
) -> Plan:
    """P07 or P10: the payee's net waits in its security hold, the client's whole fee is earned."""
    row, _ = slot_step(SLOTS, deal, trigger, command, at)
    slot = deal.slot
    payout = pay_out(
        deal, amount_minor, release_id=release_id, at=at, strict=trigger not in UNATTENDED
    )
    entries = p07_release(
        slot_id=slot.id,
        payee_id=deal.contract.payee_id,
        currency=slot.currency,
        amount_minor=amount_minor,
        commission_minor=payout.charge.ours_minor,
        fee_earned_minor=slot.fee_deferred_minor,
    )
    after = acted(
        slot,
        at,
        state=SlotState(row.to),
        held_minor=slot.held_minor - amount_minor,
        released_minor=slot.released_minor + amount_minor,
        fee_deferred_minor=0,
    )
    detail = {
        "by": trigger.value,
        "release_id": str(release_id),
        "submission_no": slot.submission_no,
        "state": after.state.value,
        **payout.detail,
    }
    draft = event(
        command,
        at,
        kind="slot.partly_released" if after.held_minor else "slot.released",
        subject=subject_of(slot),
        entries=payout.entries(entries),
        detail=detail,
    )
    return _released(deal, row, after, payout, draft, at)


def _released(
    deal: Deal, row: Transition, after: Slot, payout: Payout, draft: Draft, at: datetime
) -> Plan:
    set_to, cancelled, paused = clocks(row, after, deal.contract, at)
    return Plan(
        drafts=(draft,),
        facts=slot_facts(after, **payout.facts),
        moved_slots=((deal.slot, after),),
        **rows_of(payout),
        alarms=(*set_to, security_alarm(payout.release)),
        cancelled=cancelled,
        paused=paused,
    )
