"""The guards and lengths of a dispute: pure, on a dispute and its slot under their locks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from escrow.machine import Guard, Timer, Transition, Trigger
from escrow.machine_dispute import DISPUTES
from escrow.model import Alarm, Funding, Plan, Release, Role
from escrow.model_dispute import (
    AcceptOffer,
    Decision,
    Dispute,
    DisputeCommand,
    DisputeState,
    Evidence,
    Offer,
    ProposeDecision,
    Recommend,
    Served,
)
from escrow.refusals import Held, StaleVersion
from escrow.refusals_dispute import (
    AlreadyInvolved,
    AppealedAlready,
    AppealTooLate,
    BadShares,
    ExtendedAlready,
    InPersonOnly,
    NoDefault,
    NoRecommendation,
    NoSmallClaim,
    NoSuchOffer,
    NotHeard,
    NothingProposed,
    NotServed,
    OnlyOpener,
    OnlyRespondent,
    PaidAlready,
    SamePerson,
    SmallClaim,
)
from escrow.rules import GUARDS as DEAL_GUARDS
from escrow.rules import Deal, roles, step
from kernel.commands import Command
from kernel.money import exponent, to_json
from kernel.principals import PrincipalKind

REPLY_BUSINESS_DAYS: Final = 5
"""Monday to Friday in UTC, without public holidays: a calendar that both sides can count."""

STAGE_LENGTHS: Final[Mapping[Timer, timedelta]] = MappingProxyType(
    {
        Timer.DISPUTE_NEGOTIATION: timedelta(days=7),
        Timer.MEDIATION_MAX: timedelta(days=30),
        Timer.ARBITRATION_ELECT: timedelta(days=7),
    }
)
"""How long a stage lasts at most; the reply has its business days."""

APPEAL_WITHIN: Final = timedelta(days=7)
"""How long who lost by silence may appeal, while the money is in its security hold."""

TRY_AGAIN: Final = timedelta(days=1)
"""When what a hold or uncleared money stopped is looked at again."""


_SMALL_CLAIM_UNITS: Final = 200
_FEE_BPS: Final = 500
_WEEKEND: Final = 5


@dataclass(frozen=True, slots=True)
class DisputeRules:
    """What a tenant set for a currency: up to what a claim is small, and the fees."""

    currency: str
    small_claim_minor: int
    fee_bps: int
    small_fee_bps: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """A dispute with all that its guards look at; `deal` leaves the dispute's own hold out.

    `wallet_minor` and `available_minor` are what client and payee could pay a loser's fee from.
    """

    deal: Deal
    dispute: Dispute
    fundings: Mapping[UUID, Funding]
    offers: tuple[Offer, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    notices: tuple[Served, ...] = ()
    decisions: tuple[Decision, ...] = ()
    release: Release | None = None
    has_appeal: bool = False
    wallet_minor: int = 0
    available_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What one decided command writes: the slot's plan, and the dispute's own rows."""

    plan: Plan
    before: Dispute | None
    after: Dispute
    offers: tuple[Offer, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    notices: tuple[Served, ...] = ()
    decisions: tuple[Decision, ...] = ()
    approved: tuple[Decision, ...] = ()


def standard_rules(currency: str) -> DisputeRules:
    """Claims up to 200 of the currency are small; arbitration costs each side 5 % of the claim."""
    return DisputeRules(currency, _SMALL_CLAIM_UNITS * 10 ** exponent(currency), _FEE_BPS)


def business_days_after(at: datetime, days: int) -> datetime:
    """The same time of day so many weekdays (UTC) later; a weekend's start counts from Monday."""
    while days:
        at += timedelta(days=1)
        days -= at.weekday() < _WEEKEND
    return at


def stage_end(timer: Timer, at: datetime) -> datetime:
    """When a stage that begins now, or is extended from here, is over."""
    if timer is Timer.DISPUTE_REPLY:
        return business_days_after(at, REPLY_BUSINESS_DAYS)
    return at + STAGE_LENGTHS[timer]


def latest_offer(case: Case, role: Role) -> Offer | None:
    """The offer of a side that counts: its latest."""
    mine = [each for each in case.offers if each.made_by is role]
    return mine[-1] if mine else None


def other(role: Role) -> Role:
    """The other party."""
    return Role.CLIENT if role is Role.PAYEE else Role.PAYEE


def dispute_step(
    case: Case, trigger: Trigger, command: Command, at: datetime
) -> tuple[Transition, Role]:
    """The row for this dispute, its version and all its guards checked in order."""
    dispute = case.dispute
    mine = roles(command.actor, case.deal.contract)
    row, role = step(DISPUTES, dispute.state, trigger, mine, dispute_id=str(dispute.id))
    if isinstance(command, DisputeCommand) and command.version not in {None, dispute.version}:
        raise StaleVersion(
            dispute_id=str(dispute.id), version=dispute.version, given=command.version
        )
    for guard in row.guards:
        GUARDS[guard](case, command, role, at)
    return row, role


def moved_dispute(dispute: Dispute, **changes: Any) -> Dispute:  # noqa: ANN401  fields of Dispute
    """The dispute one version on."""
    return replace(dispute, version=dispute.version + 1, **changes)


def stage_alarms(row: Transition, dispute: Dispute, at: datetime) -> tuple[Alarm, ...]:
    """The clocks of the stage that this row begins."""
    return tuple(
        Alarm(dispute.subject, timer, stage_end(timer, at), 0)
        for timer in row.arms
        if timer in STAGE_LENGTHS or timer is Timer.DISPUTE_REPLY
    )


def dispute_facts(dispute: Dispute, **more: object) -> dict[str, Any]:
    """What an answer says of a dispute."""
    shares = (
        {}
        if dispute.payee_minor is None
        else {
            "payee": to_json(dispute.payee_minor, dispute.currency),
            "client": to_json(dispute.client_minor or 0, dispute.currency),
        }
    )
    return {
        "dispute_id": str(dispute.id),
        "slot_id": str(dispute.slot_id),
        "state": dispute.state.value,
        "version": dispute.version,
        "frozen": to_json(dispute.claim_minor, dispute.currency),
        "due_at": dispute.due_at.isoformat() if dispute.due_at else None,
        "resolution": dispute.resolution.value if dispute.resolution else None,
        **shares,
        **more,
    }


def decision_facts(decision: Decision, currency: str) -> dict[str, Any]:
    """What people are told of a decision."""
    return {
        "decision_no": decision.decision_no,
        "payee": to_json(decision.payee_minor, currency),
        "client": to_json(decision.client_minor, currency),
        "award_ref": decision.award_ref,
        "proposed_by": str(decision.proposer_id),
        "proposed_at": decision.proposed_at.isoformat(),
        "approved_by": str(decision.approver_id) if decision.approver_id else None,
        "approved_at": decision.approved_at.isoformat() if decision.approved_at else None,
    }


def is_heard(case: Case, at: datetime) -> bool:
    """Both have filed evidence, or the window for it is over (domain/escrow.md 2.8)."""
    filed = {each.filed_by for each in case.evidence}
    by = case.dispute.heard_by
    return filed >= {Role.CLIENT, Role.PAYEE} or (by is not None and at >= by)


def has_elected(dispute: Dispute, role: Role) -> bool:
    """Whether a side has elected arbitration, and so paid for it."""
    return dispute.client_elected if role is Role.CLIENT else dispute.payee_elected


def _id(case: Case) -> str:
    return str(case.dispute.id)


def _respondent(case: Case, _command: Command, role: Role, _at: datetime) -> None:
    if role is not case.dispute.respondent:
        raise OnlyRespondent(dispute_id=_id(case), respondent=case.dispute.respondent.value)


def _opener(case: Case, _command: Command, role: Role, _at: datetime) -> None:
    if role is not case.dispute.opened_by:
        raise OnlyOpener(dispute_id=_id(case), opened_by=case.dispute.opened_by.value)


def _served(case: Case, _command: Command, _role: Role, _at: datetime) -> None:
    if not case.notices:
        raise NotServed(dispute_id=_id(case))


def _no_hold(case: Case, _command: Command, _role: Role, _at: datetime) -> None:
    if case.deal.held_by:
        raise Held(dispute_id=_id(case), holds=list(case.deal.held_by))


def _no_compliance_hold(case: Case, _command: Command, _role: Role, _at: datetime) -> None:
    holds = [each for each in case.deal.held_by if each.endswith(":compliance")]
    if holds:
        raise Held(dispute_id=_id(case), holds=holds)


def _was_default(case: Case, _command: Command, _role: Role, _at: datetime) -> None:
    if case.dispute.resolution is not DisputeState.DEFAULTED:
        raise NoDefault(dispute_id=_id(case))


def _appeal_in_time(case: Case, _command: Command, _role: Role, at: datetime) -> None:
    ended_at = case.dispute.ended_at
    if ended_at is None or at >= ended_at + APPEAL_WITHIN:
        raise AppealTooLate(dispute_id=_id(case))


def _not_appealed(case: Case, _command: Command, _role: Role, _at: datetime) -> None:
    if case.has_appeal:
        raise AppealedAlready(dispute_id=_id(case))


def _of_its_deal(guard: Guard) -> "Check":
    """A guard of the slot, asked in a dispute."""
    return lambda case, command, role, at: DEAL_GUARDS[guard](case.deal, command, role, at)


def _small_claim(case: Case, _command: Command, _role: Role, _at: datetime) -> None:
    if not case.dispute.is_small:
        raise NoSmallClaim(dispute_id=_id(case))


def _above_small_claim(case: Case, _command: Command, _role: Role, _at: datetime) -> None:
    if case.dispute.is_small:
        raise SmallClaim(dispute_id=_id(case))


def _others_offer(case: Case, command: Command, role: Role, _at: datetime) -> None:
    latest = latest_offer(case, other(role))
    given = command.offer_no if isinstance(command, AcceptOffer) else None
    if latest is None or given not in {None, latest.offer_no}:
        raise NoSuchOffer(
            dispute_id=_id(case), given=given, latest=latest.offer_no if latest else None
        )


def _both_heard(case: Case, _command: Command, _role: Role, at: datetime) -> None:
    if not is_heard(case, at):
        by = case.dispute.heard_by
        raise NotHeard(
            dispute_id=_id(case),
            filed=sorted({each.filed_by.value for each in case.evidence}),
            heard_by=by.isoformat() if by else None,
        )


def _in_person(case: Case, command: Command, _role: Role, _at: datetime) -> None:
    if command.actor.kind is not PrincipalKind.PERSON:
        raise InPersonOnly(dispute_id=_id(case))


def _not_involved(case: Case, command: Command, _role: Role, _at: datetime) -> None:
    involved = {case.dispute.opener_id} | {each.principal_id for each in case.evidence}
    if command.actor.principal_id in involved:
        raise AlreadyInvolved(dispute_id=_id(case))


def _not_extended(case: Case, _command: Command, _role: Role, _at: datetime) -> None:
    if case.dispute.extended_in is case.dispute.state:
        raise ExtendedAlready(dispute_id=_id(case), state=case.dispute.state.value)


def _none_paid(case: Case, _command: Command, role: Role, _at: datetime) -> None:
    dispute = case.dispute
    if dispute.client_elected or dispute.payee_elected:
        raise PaidAlready(dispute_id=_id(case), by=role.value)


def _other_paid(case: Case, _command: Command, role: Role, _at: datetime) -> None:
    dispute = case.dispute
    if has_elected(dispute, role) or not has_elected(dispute, other(role)):
        raise PaidAlready(dispute_id=_id(case), by=role.value)


def _recommended(case: Case, _command: Command, _role: Role, _at: datetime) -> None:
    if case.dispute.recommended_minor is None:
        raise NoRecommendation(dispute_id=_id(case))


def _shares_add_up(case: Case, command: Command, _role: Role, _at: datetime) -> None:
    claim = case.dispute.claim_minor
    if isinstance(command, ProposeDecision):
        shares = (command.payee_minor, command.client_minor)
    elif isinstance(command, Recommend):
        shares = (command.payee_minor, claim - command.payee_minor)
    else:
        return
    if min(shares) < 0 or sum(shares) != claim:
        raise BadShares(dispute_id=_id(case), frozen=to_json(claim, case.dispute.currency))


def _second_person(case: Case, command: Command, _role: Role, _at: datetime) -> None:
    newest = case.decisions[-1] if case.decisions else None
    if newest is None:
        raise NothingProposed(dispute_id=_id(case))
    if newest.proposer_id == command.actor.principal_id:
        raise SamePerson(dispute_id=_id(case), decision_no=newest.decision_no)


def _asked_at_opening(_case: Case, _command: Command, _role: Role, _at: datetime) -> None:
    """The claim's bounds are checked before there is a dispute."""


Check = Callable[[Case, Command, Role, datetime], None]

GUARDS: Final[Mapping[Guard, Check]] = MappingProxyType(
    {
        Guard.CLAIM_WITHIN_HELD: _asked_at_opening,
        Guard.RESPONDENT: _respondent,
        Guard.OPENER: _opener,
        Guard.SERVED: _served,
        Guard.NO_HOLD: _no_hold,
        Guard.SMALL_CLAIM: _small_claim,
        Guard.ABOVE_SMALL_CLAIM: _above_small_claim,
        Guard.OTHERS_OFFER: _others_offer,
        Guard.BOTH_HEARD: _both_heard,
        Guard.IN_PERSON: _in_person,
        Guard.NOT_INVOLVED: _not_involved,
        Guard.NOT_EXTENDED: _not_extended,
        Guard.NONE_PAID: _none_paid,
        Guard.OTHER_PAID: _other_paid,
        Guard.RECOMMENDED: _recommended,
        Guard.SHARES_ADD_UP: _shares_add_up,
        Guard.SECOND_PERSON: _second_person,
        Guard.NO_COMPLIANCE_HOLD: _no_compliance_hold,
        Guard.WAS_DEFAULT: _was_default,
        Guard.APPEAL_IN_TIME: _appeal_in_time,
        Guard.NOT_APPEALED: _not_appealed,
        Guard.IN_SECURITY_HOLD: _of_its_deal(Guard.IN_SECURITY_HOLD),
        Guard.NONE_OPEN: _of_its_deal(Guard.NONE_OPEN),
    }
)
"""The check of each guard that the dispute's table names."""
