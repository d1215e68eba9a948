"""The decision that opens a dispute: what is claimed is frozen, and the slot stands still."""

from datetime import datetime
from typing import Any

from escrow.machine import Trigger
from escrow.machine_dispute import DISPUTES
from escrow.machine_slot import SLOTS
from escrow.model import Plan, Role, Slot, SlotState
from escrow.model_dispute import Dispute, OpenDispute
from escrow.movements_more import p12_freeze
from escrow.refusals import AmountOutOfRange, ReasonRequired, StaleVersion
from escrow.refusals_dispute import NoClaimant
from escrow.rules import Deal, roles, slot_step, step
from escrow.rules_deal import acted, event
from escrow.rules_dispute import DisputeRules, Moves, dispute_facts
from kernel.money import share_bps, to_json


def open_dispute(deal: Deal, rules: DisputeRules, command: OpenDispute, at: datetime) -> Moves:
    """Freeze what is claimed; the whole slot stands still until it is settled (rows 11, 13).

    Refuses: `escrow.wrong_state` where nothing is held or a dispute is open,
    `escrow.amount_out_of_range`, `escrow.reason_required`, `dispute.no_claimant`.
    """
    slot = deal.slot
    trigger = Trigger.REJECT_REFUND if command.rejects_refund else Trigger.DISPUTE
    row, role = slot_step(SLOTS, deal, trigger, command, at)
    claimed = check_opening(slot, command, most_minor=slot.held_minor)
    dispute = new_dispute(deal, rules, command, role, claimed, at)
    step(DISPUTES, None, Trigger.OPEN_DISPUTE, roles(command.actor, deal.contract))
    return _opened(slot, SlotState(row.to), dispute, command, at)


def check_opening(slot: Slot, command: OpenDispute, *, most_minor: int) -> int:
    """What is claimed, 1 to `most_minor`; on the version that was looked at, with a reason."""
    if command.version not in {None, slot.version}:
        raise StaleVersion(slot_id=str(slot.id), version=slot.version, given=command.version)
    claimed = most_minor if command.amount_minor is None else command.amount_minor
    if not 0 < claimed <= most_minor:
        raise AmountOutOfRange(amount_minor=claimed, lowest=1, highest=most_minor)
    if not command.reason.strip():
        raise ReasonRequired(slot_id=str(slot.id))
    return claimed


def new_dispute(
    deal: Deal,
    rules: DisputeRules,
    command: OpenDispute,
    role: Role,
    claimed_minor: int,
    at: datetime,
) -> Dispute:
    """A dispute over a slot, with limit and fees pinned."""
    slot = deal.slot
    is_small = claimed_minor <= rules.small_claim_minor
    return Dispute(
        id=command.dispute_id,
        slot_id=slot.id,
        contract_id=slot.contract_id,
        currency=slot.currency,
        opened_by=role,
        opener_id=command.actor.principal_id,
        claimant=claimant_of(role, command),
        claim_minor=claimed_minor,
        state_before=slot.state,
        hold_id=None,
        is_small=is_small,
        fee_minor=share_bps(claimed_minor, rules.small_fee_bps if is_small else rules.fee_bps),
        opened_at=at,
    )


def claimant_of(role: Role, command: OpenDispute, *, only: Role | None = None) -> Role:
    """The side that claims: a party for itself, an operator for whom he names."""
    may_be = {Role.CLIENT, Role.PAYEE} if only is None else {only}
    claimant = command.claimant or role
    if claimant not in may_be or role not in {Role.OPERATOR, claimant}:
        raise NoClaimant(slot_id=str(command.slot_id))
    return claimant


def opening_facts(dispute: Dispute, slot: Slot) -> dict[str, Any]:
    """What an answer says of a dispute that was just opened, besides the dispute itself."""
    return {
        "slot_state": slot.state.value,
        "slot_version": slot.version,
        "is_small": dispute.is_small,
        "arbitration_fee": to_json(dispute.fee_minor, dispute.currency),
    }


def _opened(
    slot: Slot, to: SlotState, dispute: Dispute, command: OpenDispute, at: datetime
) -> Moves:
    frozen = acted(slot, at, state=to, disputed_minor=dispute.claim_minor)
    draft = event(
        command,
        at,
        kind="dispute.opened",
        subject=dispute.subject,
        entries=p12_freeze(
            slot_id=slot.id, currency=slot.currency, amount_minor=dispute.claim_minor
        ),
        detail={
            "slot_id": str(slot.id),
            "by": dispute.opened_by.value,
            "claimant": dispute.claimant.value,
            "state_before": slot.state.value,
            "is_small": dispute.is_small,
        },
    )
    facts = dispute_facts(dispute, **opening_facts(dispute, frozen))
    plan = Plan(drafts=(draft,), facts=facts, moved_slots=((slot, frozen),))
    return Moves(plan=plan, before=None, after=dispute)
