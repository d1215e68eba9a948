"""Use cases of disputes: open and freeze, answer, agree, judge, carry out, withdraw.

Disputes are few and each step is a case of its own: the slots of a list are locked first, in
order; then its commands are served one after the other, each on what the one before left.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from escrow import rules_dispute_end as ends
from escrow import rules_dispute_open as opening
from escrow import rules_dispute_steps as steps
from escrow import store_dispute
from escrow.machine import Trigger
from escrow.model import Funding, Plan
from escrow.model_dispute import (
    AcceptOffer,
    Dispute,
    DisputeCommand,
    FileEvidence,
    MakeOffer,
    OpenDispute,
    ProposeDecision,
    Recommend,
    Serve,
    SetDisputeRules,
)
from escrow.refusals import IdTaken, NotYours
from escrow.refusals_dispute import BadRules, InPersonOnly, UnknownDispute
from escrow.rules import Deal
from escrow.rules_deal import event
from escrow.rules_dispute import Case, DisputeRules, Moves, standard_rules
from escrow.service_batch import get_deal, lock_deals, run
from escrow.service_clocks import pause_clocks, resume_clocks
from escrow.service_refund import lock_with_lots
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.money import MAX_MINOR, exponent
from kernel.principals import SYSTEM, PrincipalKind
from ledger import holds

D = TypeVar("D", bound=DisputeCommand)

_HOUSE: Final = replace(SYSTEM, is_operator=True)
"""Who places and lifts the hold that stands beside a dispute."""

_OWN_HOLD: Final = "slot:dispute"
_HIGHEST_BPS: Final = 10_000


def open_dispute(
    connection: Connection, commands: Sequence[OpenDispute], *, at: datetime
) -> list[Outcome]:
    """Freeze a part of what a slot holds; by either party, or by an operator for one of them."""
    lock_deals(connection, [command.slot_id for command in commands])
    return [_open(connection, command, at) for command in commands]


def serve_dispute(
    connection: Connection, commands: Sequence[Serve], *, at: datetime
) -> list[Outcome]:
    """Record, with proof, that the other side was told; by an operator. Its time now runs."""
    return _on_cases(connection, commands, lambda case, c: steps.serve(case, c, at), at=at)


def concede_dispute(
    connection: Connection, commands: Sequence[DisputeCommand], *, at: datetime
) -> list[Outcome]:
    """Give the claimant what he claims; by the other side (P13)."""
    return _on_cases(
        connection, commands, lambda case, c: steps.concede(case, c, at, new_id), at=at
    )


def offer_in_dispute(
    connection: Connection, commands: Sequence[MakeOffer], *, at: datetime
) -> list[Outcome]:
    """Reply with a figure, or offer another; by either party. It binds once it is accepted."""
    return _on_cases(connection, commands, lambda case, c: steps.answer(case, c, at), at=at)


def accept_dispute_offer(
    connection: Connection, commands: Sequence[AcceptOffer], *, at: datetime
) -> list[Outcome]:
    """Accept the other side's latest figure; it is carried out at once (P13)."""
    return _on_cases(
        connection, commands, lambda case, c: steps.accept_offer(case, c, at, new_id), at=at
    )


def file_evidence(
    connection: Connection, commands: Sequence[FileEvidence], *, at: datetime
) -> list[Outcome]:
    """File a document by hash and reference; by either party."""
    return _on_cases(connection, commands, lambda case, c: steps.file_evidence(case, c, at), at=at)


def extend_dispute(
    connection: Connection, commands: Sequence[DisputeCommand], *, at: datetime
) -> list[Outcome]:
    """Give the running stage its length once more; by an operator, once per stage."""
    return _on_cases(connection, commands, lambda case, c: steps.extend(case, c, at), at=at)


def mediate_dispute(
    connection: Connection, commands: Sequence[DisputeCommand], *, at: datetime
) -> list[Outcome]:
    """Give up negotiation: a mediator looks at it, or a small claim goes to a decision."""
    return _on_cases(connection, commands, lambda case, c: steps.mediate(case, c, at), at=at)


def recommend_in_dispute(
    connection: Connection, commands: Sequence[Recommend], *, at: datetime
) -> list[Outcome]:
    """Recommend a figure; by an operator in person who had no part in it before."""
    return _on_cases(connection, commands, lambda case, c: steps.recommend(case, c, at), at=at)


def elect_arbitration(
    connection: Connection, commands: Sequence[DisputeCommand], *, at: datetime
) -> list[Outcome]:
    """Elect arbitration and pay one's fee for it (P45); by either party."""
    return _on_cases(connection, commands, lambda case, c: steps.elect(case, c, at), at=at)


def propose_decision(
    connection: Connection, commands: Sequence[ProposeDecision], *, at: datetime
) -> list[Outcome]:
    """Propose the award; by an operator in person, on the version that he looked at."""
    return _on_cases(
        connection, commands, lambda case, c: steps.propose_decision(case, c, at), at=at
    )


def approve_decision(
    connection: Connection, commands: Sequence[DisputeCommand], *, at: datetime
) -> list[Outcome]:
    """Approve the newest proposal and carry it out; by another operator in person (P13, P45)."""
    return _on_cases(
        connection, commands, lambda case, c: steps.approve_decision(case, c, at, new_id), at=at
    )


def withdraw_dispute(
    connection: Connection, commands: Sequence[DisputeCommand], *, at: datetime
) -> list[Outcome]:
    """Withdraw a dispute: all is as it was before; by whoever opened it."""
    return _on_cases(connection, commands, lambda case, c: ends.withdraw(case, c, at), at=at)


def set_dispute_rules(
    connection: Connection, commands: Sequence[SetDisputeRules], *, at: datetime
) -> list[Outcome]:
    """Set up to what a claim is small, and the arbitration fee; by an operator in person.

    Disputes that are open keep what was pinned when they were opened.
    """
    outcomes = run(connection, commands, lambda command: _rules_plan(command, at), at=at)
    for command, outcome in zip(commands, outcomes, strict=True):
        if outcome.is_done:
            rules = DisputeRules(command.currency, command.small_claim_minor, command.fee_bps)
            store_dispute.save_rules(connection, rules)
    return outcomes


def on_case(
    connection: Connection,
    command: D,
    decide: Callable[[Case, D], Moves],
    *,
    at: datetime,
) -> Outcome:
    """One step of one dispute: lock its slot, its money and it, decide, post, save."""
    moves: list[Moves] = []

    def plan(given: D) -> Plan:
        moves.append(decide(_case(connection, given.dispute_id), given))
        return moves[0].plan

    (outcome,) = run(connection, [command], plan, at=at)
    if outcome.is_done:
        _save(connection, moves[0], at)
    return outcome


def _on_cases(
    connection: Connection,
    commands: Sequence[D],
    decide: Callable[[Case, D], Moves],
    *,
    at: datetime,
) -> list[Outcome]:
    known = store_dispute.find_disputes(connection, [command.dispute_id for command in commands])
    lock_with_lots(connection, [each.slot_id for each in known])
    return [on_case(connection, command, decide, at=at) for command in commands]


def _case(connection: Connection, dispute_id: UUID) -> Case:
    known = store_dispute.find_disputes(connection, [dispute_id])
    if not known:
        raise UnknownDispute(dispute_id=str(dispute_id))
    deals, fundings = lock_with_lots(connection, [known[0].slot_id])
    (dispute,) = store_dispute.lock_disputes(connection, [dispute_id])
    return look_at_case(connection, deals[dispute.slot_id], dispute, fundings)


def look_at_case(
    connection: Connection, deal: Deal, dispute: Dispute, fundings: Mapping[UUID, Funding]
) -> Case:
    """A dispute with its lists; its own hold does not stand in its way."""
    others = list(deal.held_by)
    if _OWN_HOLD in others:
        others.remove(_OWN_HOLD)
    return Case(
        replace(deal, held_by=tuple(others)),
        dispute,
        fundings,
        offers=store_dispute.list_offers(connection, dispute.id),
        evidence=store_dispute.list_evidence(connection, dispute.id),
        notices=store_dispute.list_notices(connection, dispute.id),
        decisions=store_dispute.list_decisions(connection, dispute.id),
    )


def _open(connection: Connection, command: OpenDispute, at: datetime) -> Outcome:
    deals = lock_deals(connection, [command.slot_id])
    moves: list[Moves] = []

    def plan(given: OpenDispute) -> Plan:
        deal = get_deal(deals, given.slot_id)
        if store_dispute.find_disputes(connection, [given.dispute_id]):
            raise IdTaken(id=str(given.dispute_id))
        currency = deal.slot.currency
        rules = store_dispute.find_rules(connection, currency) or standard_rules(currency)
        moves.append(opening.open_dispute(deal, rules, given, at))
        return moves[0].plan

    (outcome,) = run(connection, [command], plan, at=at)
    if outcome.is_done:
        _freeze(connection, moves[0].after, command.reason, at)
    return outcome


def _freeze(connection: Connection, dispute: Dispute, reason: str, at: datetime) -> None:
    """The hold beside the dispute, the dispute, and the slot's clocks stopped."""
    subject = f"slot:{dispute.slot_id}"
    kind = holds.HoldKind.DISPUTE
    hold = holds.PlaceHold(actor=_HOUSE, subject=subject, kind=kind, reason=reason)
    (placed,) = holds.place(connection, [hold], at=at)
    assert placed.is_done
    hold_id = UUID(placed.facts["id"])
    store_dispute.add_dispute(connection, replace(dispute, hold_id=hold_id))
    pause_clocks(connection, [subject], at=at)


def _save(connection: Connection, moves: Moves, at: datetime) -> None:
    """The dispute's rows; when it is over, its hold is lifted and the slot's clocks run on."""
    store_dispute.save_moves(connection, moves)
    dispute = moves.after
    if dispute.ended_at is None or dispute.hold_id is None:
        return
    lift = holds.LiftHold(actor=_HOUSE, hold_id=dispute.hold_id, reason=dispute.state.value)
    holds.lift(connection, [lift], at=at)  # an operator may have lifted it by hand
    resume_clocks(connection, [f"slot:{dispute.slot_id}"], at=at)


def _rules_plan(command: SetDisputeRules, at: datetime) -> Plan:
    if not command.actor.is_operator:
        raise NotYours(currency=command.currency[:3])
    if command.actor.kind is not PrincipalKind.PERSON:
        raise InPersonOnly(currency=command.currency[:3])
    exponent(command.currency)
    in_range = 0 <= command.small_claim_minor <= MAX_MINOR and 0 <= command.fee_bps <= _HIGHEST_BPS
    if not in_range:
        raise BadRules(fee_bps=command.fee_bps)
    detail = {"small_claim_minor": command.small_claim_minor, "fee_bps": command.fee_bps}
    subject = f"dispute_rule:{command.currency}"
    draft = event(command, at, kind="dispute.rules_set", subject=subject, detail=detail)
    return Plan(drafts=(draft,), facts={"currency": command.currency, **detail})


def case_of_timer(trigger: Trigger) -> Callable[[Case, DisputeCommand, datetime], Moves]:
    """What the engine does when a clock of a dispute rings."""
    by_trigger: dict[Trigger, Callable[[Case, DisputeCommand, datetime], Moves]] = {
        Trigger.DEFAULT: lambda case, c, at: steps.default(case, c, at, new_id),
        Trigger.MEDIATE: steps.mediate,
        Trigger.LET_STAND: lambda case, c, at: steps.let_stand(case, c, at, new_id),
        Trigger.EXECUTE: lambda case, c, at: ends.execute(case, c, at, new_id),
    }
    return by_trigger.get(trigger, lambda case, c, at: steps.advance(case, trigger, c, at))
