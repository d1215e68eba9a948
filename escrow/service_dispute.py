"""Use cases of disputes: open and freeze, answer, agree, judge, carry out, withdraw.

Disputes are few and each step is a case of its own: the slots of a list are locked first, in
order; then its commands are served one after the other, each on what the one before left.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy import Connection

from escrow import rules_dispute_end as ends
from escrow import rules_dispute_later as later
from escrow import rules_dispute_open as opening
from escrow import rules_dispute_steps as steps
from escrow import store, store_dispute
from escrow.machine import Trigger
from escrow.machine_slot import HOLDING
from escrow.model import Plan, SlotState
from escrow.model_dispute import (
    AcceptOffer,
    Appeal,
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
from escrow.refusals_dispute import BadRules, InPersonOnly, NotInSecurityHold
from escrow.rules import Deal
from escrow.rules_deal import event
from escrow.rules_dispute import Case, DisputeRules, Moves, standard_rules
from escrow.service_batch import get_deal, lock_deals, run
from escrow.service_dispute_case import freeze, lock_above, lock_case, lock_contracts, on_case
from escrow.service_price import price_deals
from escrow.service_refund import lock_with_lots
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.money import MAX_MINOR, exponent
from kernel.principals import PrincipalKind

D = TypeVar("D", bound=DisputeCommand)

_HELD: Final = frozenset({*HOLDING, SlotState.DISPUTED})
"""Where a slot holds money: a dispute that names no release is about that."""

_HIGHEST_BPS: Final = 10_000


def open_dispute(
    connection: Connection, commands: Sequence[OpenDispute], *, at: datetime
) -> list[Outcome]:
    """Freeze a part of what a slot holds; by either party, or by an operator for one of them.

    Of what was released and is in its security hold a client, or an operator for him, may have a
    part set aside.
    """
    slot_ids = [command.slot_id for command in commands]
    lock_contracts(connection, {row[1] for row in store.find_parents(connection, slot_ids)})
    lock_deals(connection, slot_ids)
    return [_open(connection, command, at) for command in commands]


def appeal_dispute(
    connection: Connection, commands: Sequence[Appeal], *, at: datetime
) -> list[Outcome]:
    """Be heard after all, once, having lost by silence; by the side that did."""
    known = store_dispute.find_disputes(connection, [command.dispute_id for command in commands])
    lock_above(connection, known)
    lock_with_lots(connection, [each.slot_id for each in known])
    return [_appeal(connection, command, at) for command in commands]


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
            rules = DisputeRules(
                command.currency,
                command.small_claim_minor,
                command.fee_bps,
                command.small_fee_bps,
            )
            store_dispute.save_rules(connection, rules)
    return outcomes


def _on_cases(
    connection: Connection,
    commands: Sequence[D],
    decide: Callable[[Case, D], Moves],
    *,
    at: datetime,
) -> list[Outcome]:
    known = store_dispute.find_disputes(connection, [command.dispute_id for command in commands])
    lock_above(connection, known)
    lock_with_lots(connection, [each.slot_id for each in known])
    return [on_case(connection, command, decide, at=at) for command in commands]


def _open(connection: Connection, command: OpenDispute, at: datetime) -> Outcome:
    deals = lock_deals(connection, [command.slot_id])
    price_deals(connection, deals.values(), at=at, with_lines=True)
    moves: list[Moves] = []

    def plan(given: OpenDispute) -> Plan:
        deal = _asked(connection, get_deal(deals, given.slot_id), given)
        if store_dispute.find_disputes(connection, [given.dispute_id]):
            raise IdTaken(id=str(given.dispute_id))
        rules = _rules(connection, deal.slot.currency)
        decide = later.open_later if deal.in_hold else opening.open_dispute
        moves.append(decide(deal, rules, given, at))
        return moves[0].plan

    (outcome,) = run(connection, [command], plan, at=at)
    if outcome.is_done:
        freeze(connection, moves[0].after, command.reason, at)
    return outcome


def _asked(connection: Connection, deal: Deal, command: OpenDispute) -> Deal:
    """The deal with the release that is meant, if the dispute is about one.

    Refuses `dispute.not_in_security_hold` for a release that was named and is not there any more.
    """
    is_open = store_dispute.find_open(connection, deal.slot.id) is not None
    seen = replace(deal, has_open_dispute=is_open)
    if command.release_id is None and (deal.slot.state in _HELD or command.rejects_refund):
        return seen
    pending = store.list_pending_releases(connection, deal.slot.id)
    meant = [each for each in pending if command.release_id in {None, each.id}]
    if command.release_id is not None and not meant:
        raise NotInSecurityHold(slot_id=str(deal.slot.id))
    return replace(seen, in_hold=meant[-1]) if meant else seen


def _appeal(connection: Connection, command: Appeal, at: datetime) -> Outcome:
    moves: list[Moves] = []

    def plan(given: Appeal) -> Plan:
        case = lock_case(connection, given.dispute_id, at)
        if store_dispute.find_disputes(connection, [given.appeal_id]):
            raise IdTaken(id=str(given.appeal_id))
        rules = _rules(connection, case.dispute.currency)
        moves.append(later.appeal(case, rules, given, at))
        return moves[0].plan

    (outcome,) = run(connection, [command], plan, at=at)
    if outcome.is_done:
        freeze(connection, moves[0].after, command.reason, at)
    return outcome


def _rules(connection: Connection, currency: str) -> DisputeRules:
    return store_dispute.find_rules(connection, currency) or standard_rules(currency)


def _rules_plan(command: SetDisputeRules, at: datetime) -> Plan:
    if not command.actor.is_operator:
        raise NotYours(currency=command.currency[:3])
    if command.actor.kind is not PrincipalKind.PERSON:
        raise InPersonOnly(currency=command.currency[:3])
    exponent(command.currency)
    rates = (command.fee_bps, command.small_fee_bps)
    are_rates = all(0 <= rate <= _HIGHEST_BPS for rate in rates)
    if not (are_rates and 0 <= command.small_claim_minor <= MAX_MINOR):
        raise BadRules(fee_bps=command.fee_bps, small_fee_bps=command.small_fee_bps)
    detail = {
        "small_claim_minor": command.small_claim_minor,
        "fee_bps": command.fee_bps,
        "small_fee_bps": command.small_fee_bps,
    }
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
