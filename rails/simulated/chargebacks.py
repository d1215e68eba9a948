"""The client's bank at the simulated rail: it claims a payment back, takes it, and decides.

Each act is told by a notice of its own, at once or later, once or twice, so that a test or a
sandbox can have them in any order. A balance transaction moves money on the rail's own log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from kernel.errors import Refusal
from rails.model import (
    CHARGEBACK_CHANGED,
    CHARGEBACK_FUNDS,
    OPERATION_CHANGED,
    RailAccount,
    RailOutcome,
)
from rails.simulated import store_chargebacks as store
from rails.simulated.service import SimulatedRail
from rails.simulated.store_chargebacks import Told

STATUSES: Final = frozenset(
    {
        *("warning", "closed", "needs_response", "under_review", "won", "lost", "prevented"),
        *("appeal_open", "appeal_under_review", "appeal_won", "appeal_lost"),
    }
)
"""The words of the simulated rail; a real one's adapter translates its own into them."""


class Direction(StrEnum):
    """Whether money leaves the platform's balance at the rail, or comes back."""

    WITHDRAWN = "withdrawn"
    REINSTATED = "reinstated"


class UnknownPayment(Refusal):
    """The rail has no payment with this id that was made."""

    code = "rail.unknown_payment"


class UnknownCase(Refusal):
    """The rail knows no chargeback of this name, or it is of another payment."""

    code = "rail.unknown_chargeback"


class BadAct(Refusal):
    """The bank cannot do this: a word the rail does not know, or an amount that is not positive."""

    code = "rail.bad_act"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing that the bank does about a payment.

    `status` is a new word, `direction` moves `amount_minor` (`movement` names the balance
    transaction), which stands for `disputed_minor` of the payment. `after` delays the notice;
    `twice` sends it twice.
    """

    ref: str
    operation_id: UUID
    amount_minor: int
    currency: str = ""
    status: str = ""
    reason: str = "fraudulent"
    due_days: int = 14
    direction: Direction | None = None
    movement: str = ""
    disputed_minor: int | None = None
    fee_minor: int = 0
    after: timedelta = timedelta()
    twice: bool = False


_SIGN: Final = MappingProxyType({Direction.WITHDRAWN: -1, Direction.REINSTATED: 1})


def act(rail: SimulatedRail, deed: Act, *, at: datetime) -> str:
    """Let the bank act; gives the notice's id. The same balance transaction moves once.

    Refuses `rail.unknown_payment`, `rail.unknown_chargeback`, `rail.bad_act`.
    """
    _check(deed)
    with rail.engine.begin() as connection:
        store.lock_platform(connection, rail.platform)
        payment = store.find_payment(connection, rail.platform, deed.operation_id, at)
        if payment is None:
            raise UnknownPayment(operation_id=str(deed.operation_id))
        if deed.currency not in {"", payment.currency}:
            raise BadAct(chargeback=deed.ref)
        known = store.find_chargeback(connection, rail.platform, ref=deed.ref)
        if known is None:
            store.add_chargeback(
                connection,
                rail.platform,
                ref=deed.ref,
                operation_id=deed.operation_id,
                currency=payment.currency,
                amount_minor=deed.amount_minor,
                at=at,
            )
        elif known != deed.operation_id:
            raise UnknownCase(chargeback=deed.ref)
        told = _told(deed, payment.currency, at)
        if not store.add_notice(connection, rail.platform, told):
            return told.notice_id
        if deed.direction is not None:
            amount = _SIGN[deed.direction] * deed.amount_minor
            fee = -deed.fee_minor if deed.direction is Direction.WITHDRAWN else deed.fee_minor
            store.add_movement(
                connection,
                rail.platform,
                operation_id=deed.operation_id,
                currency=payment.currency,
                account=RailAccount.PROCESSOR_AVAILABLE.value,
                amount_minor=amount + fee,
                kind=f"chargeback_{deed.direction.value}",
                at=at,
            )
    return told.notice_id


def take_back(rail: SimulatedRail, operation_id: UUID, *, at: datetime, fee_minor: int = 0) -> str:
    """The bank returns a debit that was paid: all of it leaves, and the payment is refused.

    Refuses `rail.unknown_payment`.
    """
    with rail.engine.begin() as connection:
        store.lock_platform(connection, rail.platform)
        payment = store.find_payment(connection, rail.platform, operation_id, at)
        if payment is None:
            raise UnknownPayment(operation_id=str(operation_id))
        told = Told(
            notice_id=f"{operation_id}:returned",
            kind=OPERATION_CHANGED,
            operation_id=operation_id,
            outcome=RailOutcome.REFUSED.value,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            fee_minor=fee_minor,
            code="debit.returned",
            occurred_at=at,
            due_at=at,
        )
        if store.add_notice(connection, rail.platform, told):
            store.add_return(connection, rail.platform, operation_id, fee_minor=fee_minor, at=at)
            store.add_movement(
                connection,
                rail.platform,
                operation_id=operation_id,
                currency=payment.currency,
                account=RailAccount.PROCESSOR_AVAILABLE.value,
                amount_minor=-payment.amount_minor - fee_minor,
                kind="debit_returned",
                at=at,
            )
    return told.notice_id


def _check(deed: Act) -> None:
    disputed = deed.amount_minor if deed.disputed_minor is None else deed.disputed_minor
    is_word = deed.status in STATUSES and deed.direction is None
    is_move = not deed.status and deed.direction is not None and bool(deed.movement)
    if deed.amount_minor <= 0 or disputed <= 0 or deed.fee_minor < 0 or not (is_word or is_move):
        raise BadAct(chargeback=deed.ref)


def _told(deed: Act, currency: str, at: datetime) -> Told:
    facts: Mapping[str, Any]
    if deed.direction is None:
        due_by = (at + timedelta(days=deed.due_days)).isoformat()
        facts = {
            "chargeback": deed.ref,
            "status": deed.status,
            "reason": deed.reason,
            "due_by": due_by if deed.status in {"needs_response", "appeal_open"} else None,
        }
        kind, notice_id = CHARGEBACK_CHANGED, f"{deed.ref}:{deed.status}:{at.isoformat()}"
    else:
        disputed = deed.amount_minor if deed.disputed_minor is None else deed.disputed_minor
        facts = {
            "chargeback": deed.ref,
            "movement": deed.movement,
            "direction": deed.direction.value,
            "disputed_minor": disputed,
        }
        kind, notice_id = CHARGEBACK_FUNDS, f"{deed.ref}:{deed.movement}"
    return Told(
        notice_id=notice_id,
        kind=kind,
        operation_id=deed.operation_id,
        outcome=None,
        amount_minor=deed.amount_minor,
        currency=currency,
        fee_minor=deed.fee_minor,
        code="",
        occurred_at=at,
        due_at=at + deed.after,
        facts=facts,
        copies=2 if deed.twice else 1,
    )
