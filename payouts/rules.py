"""What payouts and settlements are decided by: pure, nothing here reads or writes."""

from typing import Final
from uuid import UUID

from kernel.principals import Actor, PrincipalKind
from payouts.machine import Trigger
from payouts.model import (
    MethodState,
    PayeeStanding,
    PayoutMethod,
    PayoutState,
    Position,
    Role,
    Settlement,
    Transfer,
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
from rails.model import INSUFFICIENT_FUNDS, PAYOUT_RETURNED, RailAccount, RailOutcome, RailResult

_PROCESSOR: Final = RailAccount.PROCESSOR_AVAILABLE.value
_BANK: Final = RailAccount.CUSTODY_BANK.value
_PLATFORM_BANK: Final = RailAccount.PLATFORM_BANK.value


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


def settle_currency(position: Position) -> Settlement:
    """What one currency needs so that nothing is due from the platform and refunds can be paid.

    First what both books owe each other is set off. Then the platform tops up what it still owes,
    as far as its bank goes. The processor keeps what promised refunds need, or gets it from the
    custody bank; the rest of it lands in the bank. Earned fees are swept last, from what the bank
    holds beyond promised payouts. What earlier settlements have under way is never moved twice.

    Source: domain/escrow.md 2.10, P02 to P04.
    """
    way = position.under_way
    owed_minor = position.due_from_platform_minor - way.get((_PLATFORM_BANK, _BANK), 0)
    earned_minor = position.due_to_platform_minor - way.get((_BANK, _PLATFORM_BANK), 0)
    set_off_minor = max(0, min(owed_minor, earned_minor))
    owed_minor = max(0, owed_minor - set_off_minor)
    earned_minor = max(0, earned_minor - set_off_minor)

    own_minor = position.platform_bank_minor - position.leaving(_PLATFORM_BANK)
    top_up_minor = min(owed_minor, max(0, own_minor))
    bank_minor = position.bank_minor - position.leaving(_BANK) + top_up_minor
    to_bank_minor, to_processor_minor = _between_processor_and_bank(position, bank_minor)
    bank_minor += to_bank_minor - to_processor_minor
    sweep_minor = min(earned_minor, max(0, bank_minor - position.payouts_minor))
    transfers = (
        Transfer(_PLATFORM_BANK, _BANK, top_up_minor),
        Transfer(_PROCESSOR, _BANK, to_bank_minor),
        Transfer(_BANK, _PROCESSOR, to_processor_minor),
        Transfer(_BANK, _PLATFORM_BANK, sweep_minor),
    )
    return Settlement(
        currency=position.currency,
        set_off_minor=set_off_minor,
        transfers=tuple(transfer for transfer in transfers if transfer.amount_minor),
        shortfall_minor=owed_minor - top_up_minor,
        postponed_minor=earned_minor - sweep_minor,
    )


def _between_processor_and_bank(position: Position, bank_minor: int) -> tuple[int, int]:
    """What goes from the processor to the bank, and what the other way; one of them is zero."""
    there_minor = position.processor_minor - position.leaving(_PROCESSOR)
    with_coming_minor = there_minor + position.coming(_PROCESSOR)
    spare_minor = with_coming_minor - position.refunds_minor
    if spare_minor >= 0:
        return max(0, min(spare_minor, there_minor)), 0
    return 0, min(-spare_minor, max(0, bank_minor))
