"""Decisions on claims: what a release gives to them (P23), and how one is written off (P24)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from escrow.machine import Machine, Trigger
from escrow.machine_claim import CLAIMS
from escrow.model import Plan, Release, Role
from escrow.model_claim import (
    ApproveWriteOff,
    Claim,
    ClaimCause,
    ClaimRules,
    ClaimState,
    ProposeWriteOff,
    Recovery,
    SetClaimRules,
    WriteOff,
)
from escrow.movements_chargeback import p23_recover_claim, p24_write_off
from escrow.refusals import NotYours, ReasonRequired
from escrow.refusals_claim import (
    BadClaimRules,
    InPersonOnly,
    NotProposed,
    ProposedAlready,
    SecondPerson,
)
from escrow.rules import step
from escrow.rules_deal import event
from kernel.commands import Command
from kernel.money import exponent, to_json
from kernel.principals import Actor, PrincipalKind
from ledger.model import Draft

_HIGHEST_BPS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Owed:
    """A claim under its lock, with the proposal to write it off that waits, if one does."""

    claim: Claim
    proposed: WriteOff | None = None


def new_claim(
    *,
    claim_id: UUID,
    payee_id: UUID,
    currency: str,
    cause: ClaimCause,
    subject: str,
    amount_minor: int,
    role: Role,
    at: datetime,
) -> Claim:
    """What the payee owes from now on; minor units above zero."""
    row, _ = step(CLAIMS, None, Trigger.CREATE, (role,))
    state = ClaimState(row.to)
    return Claim(
        claim_id, payee_id, currency, cause, subject, amount_minor, amount_minor, state, 1, at
    )


def claim_draft(claim: Claim, command: Command, at: datetime) -> Draft:
    """That a claim arose; its money moved with what it came of."""
    return event(
        command,
        at,
        kind="claim.opened",
        subject=f"claim:{claim.id}",
        detail={
            "payee_id": str(claim.payee_id),
            "cause": claim.cause.value,
            "of": claim.subject,
            "amount": to_json(claim.amount_minor, claim.currency),
        },
    )


def claim_facts(claim: Claim) -> dict[str, object]:
    """What an answer says of a claim."""
    return {
        "claim_id": str(claim.id),
        "payee_id": str(claim.payee_id),
        "cause": claim.cause.value,
        "subject": claim.subject,
        "amount": to_json(claim.amount_minor, claim.currency),
        "remaining": to_json(claim.remaining_minor, claim.currency),
        "state": claim.state.value,
        "version": claim.version,
        "created_at": claim.created_at.isoformat(),
    }


def recover(
    plan: Plan,
    release: Release,
    claims: Sequence[Claim],
    rules: ClaimRules,
    command: Command,
    at: datetime,
) -> Plan:
    """The plan that makes a release available, with what its payee's claims take of it (P23).

    `claims` are open and oldest first; together they take at most `recovery_bps` of what becomes
    available.
    """
    left = cap_minor(release.free_minor, rate_bps=rules.recovery_bps)
    moves: list[tuple[Claim, Claim]] = []
    for claim in claims:
        amount = min(left, claim.remaining_minor)
        if amount:
            left -= amount
            moves.append((claim, _recovered(claim, amount)))
    if not moves:
        return plan
    taken = sum(old.remaining_minor - new.remaining_minor for old, new in moves)
    entries = p23_recover_claim(
        payee_id=release.payee_id, currency=release.purse_currency, amount_minor=taken
    )
    first = replace(plan.drafts[0], entries=plan.drafts[0].entries + entries)
    told = tuple(_recovered_draft(old, new, release, command, at) for old, new in moves)
    return replace(
        plan,
        drafts=(first, *plan.drafts[1:], *told),
        facts={**plan.facts, "recovered": to_json(taken, release.purse_currency)},
        moved_claims=tuple(moves),
        recoveries=tuple(
            Recovery(old.id, release.id, old.remaining_minor - new.remaining_minor, at)
            for old, new in moves
        ),
    )


def cap_minor(net_minor: int, *, rate_bps: int) -> int:
    """The most of a release that claims take: rounded down, so never more than stated."""
    return net_minor * rate_bps // _HIGHEST_BPS


def _recovered(claim: Claim, amount_minor: int) -> Claim:
    remaining = claim.remaining_minor - amount_minor
    trigger = Trigger.RECOVER if remaining else Trigger.RECOVER_ALL
    row, _ = step(CLAIMS, claim.state, trigger, (Role.SYSTEM,))
    return replace(
        claim,
        remaining_minor=remaining,
        state=ClaimState(row.to),
        version=claim.version + 1,
    )


def _recovered_draft(
    old: Claim, new: Claim, release: Release, command: Command, at: datetime
) -> Draft:
    return event(
        command,
        at,
        kind="claim.recovered",
        subject=f"claim:{new.id}",
        detail={
            "release_id": str(release.id),
            "amount": to_json(old.remaining_minor - new.remaining_minor, new.currency),
            "remaining": to_json(new.remaining_minor, new.currency),
        },
    )


def propose_write_off(owed: Owed, command: ProposeWriteOff, at: datetime) -> tuple[Plan, WriteOff]:
    """An operator in person proposes to give up what remains."""
    claim = owed.claim
    _claim_step(CLAIMS, claim, Trigger.PROPOSE_WRITE_OFF, command.actor)
    if not command.reason.strip():
        raise ReasonRequired(claim_id=str(claim.id))
    if owed.proposed is not None:
        raise ProposedAlready(claim_id=str(claim.id))
    proposal = WriteOff(
        command.write_off_id, claim.id, command.reason, command.actor.principal_id, at
    )
    draft = event(command, at, kind="claim.write_off_proposed", subject=f"claim:{claim.id}")
    facts = {**claim_facts(claim), "write_off_id": str(proposal.id)}
    return Plan(drafts=(draft,), facts=facts), proposal


def approve_write_off(owed: Owed, command: ApproveWriteOff, at: datetime) -> tuple[Plan, WriteOff]:
    """Another operator in person approves; what remains by now is our loss (P24)."""
    claim, proposal = owed.claim, owed.proposed
    state = _claim_step(CLAIMS, claim, Trigger.APPROVE_WRITE_OFF, command.actor)
    if proposal is None:
        raise NotProposed(claim_id=str(claim.id))
    if proposal.proposer_id == command.actor.principal_id:
        raise SecondPerson(claim_id=str(claim.id))
    after = replace(claim, remaining_minor=0, state=state, version=claim.version + 1)
    draft = event(
        command,
        at,
        kind="claim.written_off",
        subject=f"claim:{claim.id}",
        entries=p24_write_off(
            payee_id=claim.payee_id, currency=claim.currency, amount_minor=claim.remaining_minor
        ),
        detail={
            "write_off_id": str(proposal.id),
            "proposer_id": str(proposal.proposer_id),
            "amount": to_json(claim.remaining_minor, claim.currency),
        },
    )
    approved = replace(
        proposal,
        approver_id=command.actor.principal_id,
        approved_at=at,
        amount_minor=claim.remaining_minor,
    )
    plan = Plan(drafts=(draft,), facts=claim_facts(after), moved_claims=((claim, after),))
    return plan, approved


def _claim_step(machine: Machine, claim: Claim, trigger: Trigger, actor: Actor) -> ClaimState:
    """The state that a person's step leads to; refuses programs and who is no operator."""
    mine = (Role.OPERATOR,) if actor.is_operator else ()
    row, _ = step(machine, claim.state, trigger, mine, claim_id=str(claim.id))
    if actor.kind is not PrincipalKind.PERSON:
        raise InPersonOnly(claim_id=str(claim.id))
    return ClaimState(row.to)


def set_rules(command: SetClaimRules, at: datetime) -> Plan:
    """How the platform acts in a currency from now on; by an operator in person."""
    exponent(command.currency)
    if not command.actor.is_operator:
        raise NotYours(currency=command.currency)
    if command.actor.kind is not PrincipalKind.PERSON:
        raise InPersonOnly(currency=command.currency)
    if not 0 <= command.recovery_bps <= _HIGHEST_BPS:
        raise BadClaimRules(recovery_bps=command.recovery_bps)
    facts = {
        "currency": command.currency,
        "fronts_refunds": command.fronts_refunds,
        "recovery_bps": command.recovery_bps,
    }
    return Plan(
        drafts=(event(command, at, kind="claim.rules_set", subject="", detail=facts),),
        facts=facts,
    )
