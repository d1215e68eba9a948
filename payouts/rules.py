"""What payouts are decided by: pure, nothing here reads or writes."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from kernel.principals import Actor, PrincipalKind
from payouts.machine import Trigger
from payouts.model import (
    MethodState,
    PayeeStanding,
    Payout,
    PayoutMethod,
    PayoutState,
    Role,
)
from payouts.refusals import (
    BadMethod,
    MethodCooling,
    MethodDisabled,
    MethodUnverified,
    NotVerified,
    NotYours,
    OnHold,
    Paused,
    SanctionsHit,
    SecondPerson,
    UnknownMethod,
)
from rails.model import (
    INSUFFICIENT_FUNDS,
    PAYOUT_RETURNED,
    PAYOUT_UNCLAIMED,
    RailOutcome,
    RailResult,
)


def role_of(actor: Actor, payee_id: UUID) -> Role:
    """In which role someone acts on this payee's payouts; refuses who has none.

    A payee who is an operator too acts as payee on his own payouts.
    """
    if actor.kind is PrincipalKind.SYSTEM:
        return Role.SYSTEM
    if actor.kind is PrincipalKind.RAIL:
        return Role.RAIL
    if actor.party_id == payee_id:
        return Role.PAYEE
    if actor.is_operator:
        return Role.OPERATOR
    raise NotYours(payee_id=str(payee_id))


def check_payee(payee_id: UUID, standing: PayeeStanding) -> None:
    """Refuse an outflow to someone unverified, sanctioned, on hold or paused, in this order.

    Source: domain/escrow.md 2.9 and section 0, rule 2.
    """
    facts = {"payee_id": str(payee_id)}
    if standing.kyc_state != "verified":
        raise NotVerified(**facts, kyc_state=str(standing.kyc_state))
    if standing.sanction_state != "clear":
        raise SanctionsHit(**facts)
    if standing.holds:
        raise OnHold(**facts, holds=list(standing.holds))
    if standing.paused_for is not None:
        raise Paused(**facts, reason=standing.paused_for)


def check_method(
    method: PayoutMethod | None, *, method_id: UUID, payee_id: UUID, at: datetime
) -> PayoutMethod:
    """The method, if it is this payee's, verified, not disabled, and older than its cooling.

    Source: domain/escrow.md 2.9, payout requested.
    """
    facts = {"method_id": str(method_id)}
    if method is None or method.party_id != payee_id:
        raise UnknownMethod(**facts)
    if method.state is MethodState.DISABLED:
        raise MethodDisabled(**facts)
    if method.state is MethodState.UNVERIFIED:
        raise MethodUnverified(**facts)
    if at < method.usable_from:
        raise MethodCooling(**facts, usable_from=method.usable_from.isoformat())
    return method


def check_approver(payout: Payout, actor: Actor) -> None:
    """Refuse whoever asked for it, and whoever is no person: an approval is a person's word.

    A payout of which nobody knows any more who asked (from before this was kept) is asked for anew.

    Source: domain/escrow.md 2.11, edge case 14.
    """
    is_known = payout.requested_by not in (None, actor.principal_id)
    if not is_known or actor.kind is not PrincipalKind.PERSON:
        raise SecondPerson(payout_id=str(payout.id))


def check_token(token: str) -> None:
    """Refuse a token that no rail would know."""
    if not (0 < len(token) <= 200 and token.isascii() and token.isprintable() and " " not in token):
        raise BadMethod(token=token[:40])


_GONE: Final = frozenset({PayoutState.IN_TRANSIT, PayoutState.UNCLAIMED, PayoutState.PAID})
"""Where the money has left the account that pays, by the rail's word."""

LATE_RETURN: Final = timedelta(days=397)
"""A payout comes back within thirteen months (domain/escrow.md 2.9), or people look at it."""


def trigger_of(result: RailResult, state: PayoutState) -> Trigger | None:
    """What a rail's word means for a payout; None where it changes nothing yet.

    A refusal after the money has left is a return whatever its code.
    """
    if result.outcome is RailOutcome.DONE:
        return Trigger.CONFIRM
    if result.outcome is RailOutcome.PENDING and result.has_left:
        if result.code == PAYOUT_UNCLAIMED:
            return None if state is PayoutState.UNCLAIMED else Trigger.UNCLAIM
        return None if state in _GONE else Trigger.LEAVE
    if result.outcome is not RailOutcome.REFUSED:
        return None
    came_back = state in _GONE or result.has_left or result.code == PAYOUT_RETURNED
    return Trigger.RETURN if came_back else Trigger.FAIL


def comes_too_late(payout: Payout, at: datetime) -> bool:
    """Whether a return is so late that somebody must look before anything is booked."""
    return payout.paid_at is not None and at > payout.paid_at + LATE_RETURN


def is_methods_fault(result: RailResult) -> bool:
    """Whether a refusal speaks against the method: not if our bank was short, or by a list."""
    return result.code not in (INSUFFICIENT_FUNDS, SanctionsHit.code)
