"""Decisions on the way of a dispute: serve, offer, file evidence, mediate, elect, decide."""

import re
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from escrow.machine import Timer, Trigger
from escrow.machine_dispute import DISPUTES
from escrow.model import Alarm, Plan, Role
from escrow.model_dispute import (
    AcceptOffer,
    Decision,
    Dispute,
    DisputeCommand,
    DisputeState,
    Evidence,
    FileEvidence,
    MakeOffer,
    Offer,
    ProposeDecision,
    Recommend,
    Serve,
    Served,
)
from escrow.movements_more import p45_arbitration_fee
from escrow.refusals import NotYours, ReasonRequired, StaleVersion
from escrow.refusals_dispute import BadEvidence, BadShares, DecisionStands
from escrow.rules import check_text, roles
from escrow.rules_deal import event
from escrow.rules_dispute import (
    Case,
    Moves,
    decision_facts,
    dispute_facts,
    dispute_step,
    latest_offer,
    moved_dispute,
    other,
    stage_alarms,
)
from escrow.rules_dispute_end import Shares, resolve, shares_of
from escrow.rules_refund import NewId
from kernel.commands import Command
from kernel.money import to_json
from ledger.entries import Entries

_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LONGEST_REFERENCE: Final = 500


def serve(case: Case, command: Serve, at: datetime) -> Moves:
    """The other side was told, and this proves it; its time to answer runs from now."""
    for text in (command.channel, command.proof):
        check_text(text, field="proof", longest=_LONGEST_REFERENCE)
    row, _ = dispute_step(case, Trigger.SERVE, command, at)
    (alarm,) = stage_alarms(row, case.dispute, at)
    notice = Served(
        case.dispute.id,
        len(case.notices) + 1,
        command.channel[:100],
        command.proof,
        command.actor.principal_id,
        at,
    )
    after = moved_dispute(
        case.dispute,
        state=DisputeState(row.to),
        served_at=at,
        due_at=alarm.due_at,
        heard_by=alarm.due_at,
    )
    detail = {"channel": notice.channel, "proof": notice.proof}
    moves = _moves(case, after, command, at, "dispute.served", detail=detail, alarms=(alarm,))
    return replace(moves, notices=(notice,))


def answer(case: Case, command: MakeOffer, at: datetime) -> Moves:
    """A reply with a figure begins the negotiation; later offers take the place of earlier ones.

    Who answers before he was served has been reached: his time for evidence runs from now.
    """
    _check_figure(case, command.payee_minor)
    trigger = Trigger.REPLY if command.is_reply else Trigger.OFFER
    row, role = dispute_step(case, trigger, command, at)
    alarms = stage_alarms(row, case.dispute, at)
    after = moved_dispute(case.dispute, state=DisputeState(row.to))
    if alarms:
        window = stage_alarms(DISPUTES[DisputeState.OPENED, Trigger.SERVE], case.dispute, at)
        heard_by = case.dispute.heard_by or window[0].due_at
        after = replace(after, due_at=alarms[0].due_at, heard_by=heard_by)
    offer = Offer(case.dispute.id, len(case.offers) + 1, role, command.payee_minor, at)
    detail = {"by": role.value, "offer_no": offer.offer_no, "payee_minor": offer.payee_minor}
    kind = "dispute.answered" if command.is_reply else "dispute.offered"
    moves = _moves(
        case,
        after,
        command,
        at,
        kind,
        detail=detail,
        alarms=alarms,
        cancelled=row.cancels,
        facts={"offer_no": offer.offer_no},
    )
    return replace(moves, offers=(offer,))


def accept_offer(case: Case, command: AcceptOffer, at: datetime, new_id: NewId) -> Moves:
    """The other side's figure is agreed, and carried out."""
    mine = roles(command.actor, case.deal.contract)
    role = next((each for each in mine if each in {Role.CLIENT, Role.PAYEE}), None)
    latest = latest_offer(case, other(role)) if role else None
    shares = shares_of(case.dispute, latest.payee_minor) if latest else Shares(None, None)
    return resolve(case, Trigger.ACCEPT_OFFER, shares, command, at, new_id)


def concede(case: Case, command: DisputeCommand, at: datetime, new_id: NewId) -> Moves:
    """The other side gives the claimant what he claims."""
    shares = shares_of(case.dispute, case.dispute.claimed_payee_minor)
    return resolve(case, Trigger.CONCEDE, shares, command, at, new_id)


def default(case: Case, command: DisputeCommand, at: datetime, new_id: NewId) -> Moves:
    """The other side was told and kept silent: the claimant has what he claims."""
    shares = shares_of(case.dispute, case.dispute.claimed_payee_minor)
    return resolve(case, Trigger.DEFAULT, shares, command, at, new_id)


def let_stand(case: Case, command: DisputeCommand, at: datetime, new_id: NewId) -> Moves:
    """Nobody elected arbitration: the mediator's recommendation stands."""
    shares = shares_of(case.dispute, case.dispute.recommended_minor)
    return resolve(case, Trigger.LET_STAND, shares, command, at, new_id)


def file_evidence(case: Case, command: FileEvidence, at: datetime) -> Moves:
    """A document, by hash and reference."""
    is_named = len(command.reference.strip()) > 0 and len(command.reference) <= _LONGEST_REFERENCE
    if _SHA256.fullmatch(command.sha256) is None or not is_named:
        raise BadEvidence(dispute_id=str(case.dispute.id))
    check_text(command.reference, field="reference", longest=_LONGEST_REFERENCE)
    _, role = dispute_step(case, Trigger.FILE_EVIDENCE, command, at)
    filed = Evidence(
        case.dispute.id,
        len(case.evidence) + 1,
        role,
        command.actor.principal_id,
        command.sha256,
        command.reference,
        at,
    )
    detail = {"by": role.value, "evidence_no": filed.evidence_no, "sha256": filed.sha256}
    moves = _moves(
        case,
        moved_dispute(case.dispute),
        command,
        at,
        "dispute.evidence_filed",
        detail=detail,
        facts={"evidence_no": filed.evidence_no},
    )
    return replace(moves, evidence=(filed,))


def extend(case: Case, command: DisputeCommand, at: datetime) -> Moves:
    """The running stage gets its length once more; by an operator, and both are told why."""
    row, _ = dispute_step(case, Trigger.EXTEND, command, at)
    if not command.reason.strip():
        raise ReasonRequired(dispute_id=str(case.dispute.id))
    dispute = case.dispute
    assert dispute.due_at is not None
    clock = STAGE_CLOCK[dispute.state]
    (alarm,) = stage_alarms(replace(row, arms=(clock,)), dispute, dispute.due_at)
    window = alarm.due_at if clock is Timer.DISPUTE_REPLY else dispute.heard_by
    after = moved_dispute(dispute, due_at=alarm.due_at, heard_by=window, extended_in=dispute.state)
    contract = case.deal.contract
    detail = {
        "stage": dispute.state.value,
        "due_at": alarm.due_at.isoformat(),
        "was_due_at": dispute.due_at.isoformat(),
        "told": [str(contract.client_id), str(contract.payee_id)],
    }
    return _moves(case, after, command, at, "dispute.extended", detail=detail, alarms=(alarm,))


STAGE_CLOCK: Final = {
    DisputeState.AWAITING_REPLY: Timer.DISPUTE_REPLY,
    DisputeState.NEGOTIATION: Timer.DISPUTE_NEGOTIATION,
    DisputeState.MEDIATION: Timer.MEDIATION_MAX,
    DisputeState.RECOMMENDATION: Timer.ARBITRATION_ELECT,
    DisputeState.ARBITRATION_ELECT: Timer.ARBITRATION_ELECT,
}
"""The clock that runs in each timed stage."""


def advance(case: Case, trigger: Trigger, command: DisputeCommand, at: datetime) -> Moves:
    """A step that changes nothing but the stage: mediation, the short way, arbitration."""
    row, role = dispute_step(case, trigger, command, at)
    alarms = stage_alarms(row, case.dispute, at)
    due_at = alarms[0].due_at if alarms else None
    after = moved_dispute(case.dispute, state=DisputeState(row.to), due_at=due_at)
    kind = f"dispute.{after.state.value}"
    detail = {"by": role.value, "trigger": trigger.value}
    return _moves(
        case, after, command, at, kind, detail=detail, alarms=alarms, cancelled=row.cancels
    )


def mediate(case: Case, command: DisputeCommand, at: datetime) -> Moves:
    """Negotiation is given up, or over: a mediator looks at it, or a small claim is decided."""
    trigger = Trigger.TAKE_SMALL if case.dispute.is_small else Trigger.MEDIATE
    return advance(case, trigger, command, at)


def recommend(case: Case, command: Recommend, at: datetime) -> Moves:
    """The mediator's figure; it stands unless somebody elects arbitration in time."""
    row, _ = dispute_step(case, Trigger.RECOMMEND, command, at)
    (alarm,) = stage_alarms(row, case.dispute, at)
    after = moved_dispute(
        case.dispute,
        state=DisputeState(row.to),
        due_at=alarm.due_at,
        mediator_id=command.actor.principal_id,
        recommended_minor=command.payee_minor,
    )
    return _moves(
        case,
        after,
        command,
        at,
        "dispute.recommended",
        detail={"payee_minor": command.payee_minor},
        alarms=(alarm,),
        cancelled=row.cancels,
        facts={"recommended_payee": to_json(command.payee_minor, after.currency)},
    )


def elect(case: Case, command: DisputeCommand, at: datetime) -> Moves:
    """A side elects arbitration and pays its fee (P45); when both have, it begins."""
    dispute, contract = case.dispute, case.deal.contract
    mine = roles(command.actor, contract)
    has_other = dispute.payee_elected if Role.CLIENT in mine else dispute.client_elected
    trigger = Trigger.ELECT_TOO if has_other else Trigger.ELECT
    row, role = dispute_step(case, trigger, command, at)
    by_client = role is Role.CLIENT
    after = moved_dispute(
        dispute,
        state=DisputeState(row.to),
        client_elected=dispute.client_elected or by_client,
        payee_elected=dispute.payee_elected or not by_client,
        due_at=None if has_other else dispute.due_at,
    )
    entries = p45_arbitration_fee(
        client_id=contract.client_id,
        payee_id=contract.payee_id,
        currency=dispute.currency,
        client_minor=dispute.fee_minor if by_client else 0,
        payee_minor=0 if by_client else dispute.fee_minor,
    )
    return _moves(
        case,
        after,
        command,
        at,
        "dispute.elected",
        detail={"by": role.value},
        entries=entries,
        cancelled=row.cancels,
        facts={"paid": to_json(dispute.fee_minor, dispute.currency)},
    )


def propose_decision(case: Case, command: ProposeDecision, at: datetime) -> Moves:
    """An operator in person proposes the award; a newer proposal takes the place of an older."""
    _check_first(case, command)
    check_text(command.award_ref, field="award_ref", longest=_LONGEST_REFERENCE)
    if not command.award_ref.strip():
        raise ReasonRequired(dispute_id=str(case.dispute.id))
    dispute_step(case, Trigger.PROPOSE_DECISION, command, at)
    decision = Decision(
        case.dispute.id,
        len(case.decisions) + 1,
        command.payee_minor,
        command.client_minor,
        command.award_ref,
        command.actor.principal_id,
        at,
    )
    told = decision_facts(decision, case.dispute.currency)
    moves = _moves(
        case,
        moved_dispute(case.dispute),
        command,
        at,
        "dispute.decision_proposed",
        detail=told,
        facts={"decision": told},
    )
    return replace(moves, decisions=(decision,))


def approve_decision(case: Case, command: DisputeCommand, at: datetime, new_id: NewId) -> Moves:
    """Another operator in person approves the newest proposal, and it is carried out."""
    _check_first(case, command)
    newest = case.decisions[-1] if case.decisions else None
    shares = Shares(newest.payee_minor, newest.client_minor) if newest else Shares(None, None)
    moves = resolve(case, Trigger.APPROVE_DECISION, shares, command, at, new_id)
    assert newest is not None
    approved = replace(newest, approver_id=command.actor.principal_id, approved_at=at)
    told = decision_facts(approved, case.dispute.currency)
    plan = replace(moves.plan, facts={**moves.plan.facts, "decision": told})
    return replace(moves, plan=plan, approved=(approved,))


def _check_first(case: Case, command: DisputeCommand) -> None:
    """Who comes second is shown the first's decision (edge case 13); both name the version."""
    if Role.OPERATOR not in roles(command.actor, case.deal.contract):
        raise NotYours(dispute_id=str(case.dispute.id))
    newest = case.decisions[-1] if case.decisions else None
    is_over = case.dispute.state in {DisputeState.DECIDED, DisputeState.EXECUTED}
    is_stale = command.version not in {None, case.dispute.version}
    if newest is not None and ((is_over and newest.approver_id) or is_stale):
        raise DecisionStands(
            dispute_id=str(case.dispute.id),
            version=case.dispute.version,
            **decision_facts(newest, case.dispute.currency),
        )
    if command.version is None and not is_over:
        raise StaleVersion(
            dispute_id=str(case.dispute.id), version=case.dispute.version, given=None
        )


def _check_figure(case: Case, payee_minor: int | None) -> None:
    if payee_minor is not None and not 0 <= payee_minor <= case.dispute.claim_minor:
        frozen = to_json(case.dispute.claim_minor, case.dispute.currency)
        raise BadShares(dispute_id=str(case.dispute.id), frozen=frozen)


def _moves(
    case: Case,
    after: Dispute,
    command: Command,
    at: datetime,
    kind: str,
    *,
    detail: dict[str, Any],
    entries: Entries = (),
    alarms: tuple[Alarm, ...] = (),
    cancelled: tuple[Timer, ...] = (),
    facts: dict[str, Any] | None = None,
) -> Moves:
    """A step that leaves the slot as it is."""
    subject = after.subject
    draft = event(
        command,
        at,
        kind=kind,
        subject=subject,
        entries=entries,
        detail={"slot_id": str(after.slot_id), "state": after.state.value, **detail},
    )
    plan = Plan(
        drafts=(draft,),
        facts=dispute_facts(after, **(facts or {})),
        alarms=alarms,
        cancelled=tuple((subject, timer) for timer in cancelled),
    )
    return Moves(plan=plan, before=case.dispute, after=after)
