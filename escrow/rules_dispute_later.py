"""Disputes over released money in its security hold: opened, split, put back, appealed.

The money lies with the payee already: P12 moves his part of what is claimed to
`custody.earned_reserved`, and P13 splits it from there (domain/escrow.md 2.8, edge case 1).
"""

from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from escrow.commands import SlotCommand
from escrow.machine import RELEASES, Trigger
from escrow.machine_dispute import DISPUTES
from escrow.machine_slot import SLOTS
from escrow.model import Method, Plan, Refund, Release, ReleaseState, Role, Slot
from escrow.model_dispute import Appeal, Dispute, DisputeState, OpenDispute
from escrow.model_price import Returned
from escrow.movements_more import p12_put_back, p12_set_aside, p13_split_set_aside
from escrow.movements_price import as_loss
from escrow.refusals import ReasonRequired
from escrow.refusals_dispute import Converted
from escrow.rules import Deal, roles, slot_step, step
from escrow.rules_deal import acted, event
from escrow.rules_dispute import (
    REPLY_BUSINESS_DAYS,
    Case,
    DisputeRules,
    Moves,
    business_days_after,
    dispute_facts,
    dispute_step,
    stage_alarms,
)
from escrow.rules_dispute_open import check_opening, claimant_of, new_dispute, opening_facts
from escrow.rules_payout import with_tax_of
from escrow.rules_price import NOTHING_BACK, give_back
from escrow.rules_refund import NewId, ask_of, given, gone
from escrow.rules_refund_later import refunds_of, take_released
from kernel.commands import Command
from kernel.money import to_json
from kernel.principals import SYSTEM
from ledger.entries import Entries


class Ending(NamedTuple):
    """What carrying out the shares does to the slot."""

    slot: Slot
    entries: Entries
    plan: Plan
    facts: dict[str, Any]
    detail: dict[str, Any]


class _Parts(NamedTuple):
    """What a split of set-aside money gives: his own to the payee, our commission to the client.

    `fronted_minor` is what the platform adds where less was left to set aside.
    """

    payee_net_minor: int
    returned: Returned
    fronted_minor: int


def open_later(deal: Deal, rules: DisputeRules, command: OpenDispute, at: datetime) -> Moves:
    """Set aside what is claimed of a release in its security hold; for the client.

    The slot keeps its state, and the rest of the release becomes available in time. Refuses
    `dispute.not_in_security_hold`, `dispute.open_already`, `escrow.amount_out_of_range`,
    `escrow.reason_required`, `dispute.no_claimant`.
    """
    _, role = slot_step(SLOTS, deal, Trigger.DISPUTE_RELEASED, command, at)
    claimed = check_opening(deal.slot, command, most_minor=deal.disputable_minor)
    assert deal.in_hold is not None
    dispute = replace(
        new_dispute(deal, rules, command, role, claimed, at),
        claimant=claimant_of(role, command, only=Role.CLIENT),
        release_id=deal.in_hold.id,
        reserved_minor=set_aside_minor(deal, claimed),
    )
    step(DISPUTES, None, Trigger.OPEN_LATER, roles(command.actor, deal.contract))
    return _set_aside(deal, dispute, "dispute.opened", command, at)


def appeal(case: Case, rules: DisputeRules, command: Appeal, at: datetime) -> Moves:
    """Who lost by silence is heard after all, once: negotiation over what is not yet withdrawn.

    Refuses `dispute.no_default`, `dispute.only_respondent`, `dispute.appealed_already`,
    `dispute.appeal_too_late`, `dispute.not_in_security_hold`.
    """
    _, role = dispute_step(case, Trigger.APPEAL, command, at)
    deal = case.deal
    if not command.reason.strip():
        raise ReasonRequired(dispute_id=str(case.dispute.id))
    step(SLOTS, deal.slot.state, Trigger.DISPUTE_RELEASED, (role,))
    row, _ = step(DISPUTES, None, Trigger.OPEN_APPEAL, (role,))
    assert deal.in_hold is not None
    claimed = deal.disputable_minor
    opening = OpenDispute(
        actor=command.actor, dispute_id=command.appeal_id, slot_id=deal.slot.id, claimant=role
    )
    dispute = replace(
        new_dispute(deal, rules, opening, role, claimed, at),
        state=DisputeState(row.to),
        release_id=deal.in_hold.id,
        reserved_minor=set_aside_minor(deal, claimed),
        appeal_of=case.dispute.id,
        heard_by=business_days_after(at, REPLY_BUSINESS_DAYS),
    )
    (alarm,) = stage_alarms(row, dispute, at)
    moves = _set_aside(deal, replace(dispute, due_at=alarm.due_at), "dispute.appealed", command, at)
    return replace(moves, plan=replace(moves.plan, alarms=(alarm,)))


def set_aside_minor(deal: Deal, claimed_minor: int) -> int:
    """The payee's own part of what is claimed: without our commission on it.

    At most what is left to him of the release; the odd cent of several releases is ours. Refuses
    `dispute.converted`: shares are in the contract's currency, and only what is paid out of them
    is converted (edge case 37).
    """
    assert deal.in_hold is not None
    if deal.in_hold.paid_currency is not None:
        raise Converted(slot_id=str(deal.slot.id), currency=deal.in_hold.paid_currency)
    own = claimed_minor - give_back(deal.pricing.price, claimed_minor).ours_minor
    return max(0, min(own, deal.in_hold.free_minor))


def split_later(case: Case, at: datetime, new_id: NewId) -> Ending:
    """P13 from the payee's reserve: his share is his again, the client's goes back as in P17."""
    slot, dispute, release = case.deal.slot, case.dispute, case.release
    assert release is not None
    to_client = dispute.client_minor or 0
    slot_step(SLOTS, case.deal, Trigger.SPLIT_LATER, engine_command(slot), at)
    parts = _parts(case, to_client)
    lots = take_released(slot, case.deal.lots, to_client) if to_client else []
    refunds = refunds_of(case.deal, case.fundings, lots, Role.SYSTEM, at, new_id)
    after = acted(
        slot,
        at,
        returned_minor=slot.returned_minor + to_client,
        contested_minor=slot.contested_minor - dispute.claim_minor,
    )
    plan = Plan(
        drafts=(),
        moved_slots=((slot, after),),
        moved_releases=((release, _put_back(release, dispute, parts.payee_net_minor)),),
        billed=tuple((case.deal.pricing.price.pair, line) for line in parts.returned.lines),
        refunds=tuple(refunds),
        moved_lots=tuple((part.lot, gone(part)) for part in lots),
        moved_fundings=tuple(
            (case.fundings[each.funding_id], given(case.fundings[each.funding_id], each))
            for each in refunds
        ),
        asks=tuple(
            ask_of(each, case.fundings[each.funding_id])
            for each in refunds
            if each.method is not Method.WALLET
        ),
    )
    entries = _entries(case, release, refunds, parts)
    return Ending(after, entries, plan, _facts(case, refunds, parts), _detail(release, refunds))


def put_back(case: Case, at: datetime) -> Ending:
    """P12 the other way: what was set aside is the payee's again."""
    slot, dispute, release = case.deal.slot, case.dispute, case.release
    assert release is not None
    slot_step(SLOTS, case.deal, Trigger.SPLIT_LATER, engine_command(slot), at)
    after = acted(slot, at, contested_minor=slot.contested_minor - dispute.claim_minor)
    whole = replace(dispute, payee_minor=dispute.claim_minor)
    plan = Plan(
        drafts=(),
        moved_slots=((slot, after),),
        moved_releases=((release, _put_back(release, whole, dispute.reserved_minor)),),
    )
    entries = p12_put_back(
        payee_id=release.payee_id,
        currency=release.currency,
        net_minor=dispute.reserved_minor,
        is_available=release.state is ReleaseState.AVAILABLE,
    )
    return Ending(after, entries, plan, {}, {"release_id": str(release.id)})


def engine_command(slot: Slot) -> SlotCommand:
    """What the engine itself does to a slot."""
    return SlotCommand(actor=SYSTEM, slot_id=slot.id)


def _set_aside(deal: Deal, dispute: Dispute, kind: str, command: Command, at: datetime) -> Moves:
    slot, release = deal.slot, deal.in_hold
    assert release is not None
    step(RELEASES, release.state, Trigger.SET_ASIDE, roles(command.actor, deal.contract))
    after = acted(slot, at, contested_minor=slot.contested_minor + dispute.claim_minor)
    kept = replace(
        release,
        taken_gross_minor=release.taken_gross_minor + dispute.claim_minor,
        taken_net_minor=release.taken_net_minor + dispute.reserved_minor,
    )
    draft = event(
        command,
        at,
        kind=kind,
        subject=dispute.subject,
        entries=p12_set_aside(
            payee_id=release.payee_id,
            currency=release.currency,
            net_minor=dispute.reserved_minor,
        ),
        detail={
            "slot_id": str(slot.id),
            "by": dispute.opened_by.value,
            "claimant": dispute.claimant.value,
            "state_before": slot.state.value,
            "is_small": dispute.is_small,
            "release_id": str(release.id),
            **({"appeal_of": str(dispute.appeal_of)} if dispute.appeal_of else {}),
        },
    )
    facts = dispute_facts(
        dispute,
        **opening_facts(dispute, after),
        release_id=str(release.id),
        reserved=to_json(dispute.reserved_minor, dispute.currency),
    )
    plan = Plan(
        drafts=(draft,),
        facts=facts,
        moved_slots=((slot, after),),
        moved_releases=((release, kept),),
    )
    return Moves(plan=plan, before=None, after=dispute)


def _parts(case: Case, to_client: int) -> _Parts:
    """Both sums are exact; what the payee's part would lack the platform fronts."""
    returned = give_back(case.deal.pricing.price, to_client) if to_client else NOTHING_BACK
    net = case.dispute.reserved_minor - (to_client - returned.ours_minor)
    return _Parts(max(0, net), returned, max(0, -net))


def _put_back(release: Release, dispute: Dispute, net_minor: int) -> Release:
    step(RELEASES, release.state, Trigger.PUT_BACK, (Role.SYSTEM,))
    return replace(
        release,
        taken_gross_minor=release.taken_gross_minor - (dispute.payee_minor or 0),
        taken_net_minor=max(0, release.taken_net_minor - net_minor),
    )


def _entries(case: Case, release: Release, refunds: list[Refund], parts: _Parts) -> Entries:
    entries = p13_split_set_aside(
        client_id=case.deal.contract.client_id,
        payee_id=release.payee_id,
        currency=release.currency,
        reserved_minor=case.dispute.reserved_minor,
        payee_net_minor=parts.payee_net_minor,
        commission_minor=parts.returned.ours_minor + parts.fronted_minor,
        refunds=tuple(
            (each.id, each.total_minor) for each in refunds if each.method is not Method.WALLET
        ),
        to_wallet_minor=sum(each.total_minor for each in refunds if each.method is Method.WALLET),
        is_available=release.state is ReleaseState.AVAILABLE,
    )
    return with_tax_of(
        as_loss(entries, currency=release.currency, amount_minor=parts.fronted_minor),
        release.currency,
        parts.returned.lines,
    )


def _facts(case: Case, refunds: list[Refund], parts: _Parts) -> dict[str, Any]:
    currency = case.dispute.currency
    return {
        "refund_ids": [str(each.id) for each in refunds],
        "refunded": to_json(case.dispute.client_minor or 0, currency),
        "commission_returned": to_json(parts.returned.commission_minor, currency),
        "tax_returned": to_json(sum(parts.returned.tax_minor.values()), currency),
        "payee_keeps": to_json(parts.payee_net_minor, currency),
    }


def _detail(release: Release, refunds: list[Refund]) -> dict[str, Any]:
    return {
        "release_id": str(release.id),
        "refunds": [
            {"refund_id": str(each.id), "funding_id": str(each.funding_id), "method": each.method}
            for each in refunds
        ],
    }
