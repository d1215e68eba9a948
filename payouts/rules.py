"""What payouts are decided by: pure, nothing here reads or writes."""

from uuid import UUID

from kernel.principals import Actor, PrincipalKind
from payouts.machine import Trigger
from payouts.model import (
    MethodState,
    PayeeStanding,
    PayoutMethod,
    PayoutState,
    Role,
)
from payouts.refusals import (
    BadMethod,
    MethodDisabled,
    NotVerified,
    NotYours,
    OnHold,
    Paused,
    SanctionsHit,
    UnknownMethod,
)
from rails.model import INSUFFICIENT_FUNDS, PAYOUT_RETURNED, RailOutcome, RailResult


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


def check_method(method: PayoutMethod | None, *, method_id: UUID, payee_id: UUID) -> PayoutMethod:
    """The method, if it is this payee's and active."""
    if method is None or method.party_id != payee_id:
        raise UnknownMethod(method_id=str(method_id))
    if method.state is not MethodState.ACTIVE:
        raise MethodDisabled(method_id=str(method_id))
    return method


def check_token(token: str) -> None:
    """Refuse a token that no rail would know."""
    if not (0 < len(token) <= 200 and token.isascii() and token.isprintable() and " " not in token):
        raise BadMethod(token=token[:40])


def trigger_of(result: RailResult, state: PayoutState) -> Trigger | None:
    """What a rail's word means for a payout; None where it changes nothing yet.

    A refusal after "paid" is a return whatever its code: the money had left.
    """
    if result.outcome is RailOutcome.DONE:
        return Trigger.CONFIRM
    if result.outcome is not RailOutcome.REFUSED:
        return None
    came_back = state is PayoutState.PAID or result.code == PAYOUT_RETURNED
    return Trigger.RETURN if came_back else Trigger.FAIL


def is_methods_fault(result: RailResult) -> bool:
    """Whether a refusal speaks against the method: not if it was our bank that was short."""
    return result.code != INSUFFICIENT_FUNDS
