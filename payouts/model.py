"""Payouts and the methods they go to."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from kernel.money import to_json


class PayoutState(StrEnum):
    """Where a payout is. PAID is not the end: it may still come back.

    REQUESTED needs nobody's word. SCREENING waits for a second person, APPROVED has it. IN_TRANSIT
    has left the account that pays and is not confirmed; UNCLAIMED has, and waits for the payee.
    """

    REQUESTED = "requested"
    SCREENING = "screening"
    APPROVED = "approved"
    BLOCKED = "blocked"
    SUBMITTED = "submitted"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    FAILED = "failed"
    RETURNED = "returned"
    UNCLAIMED = "unclaimed"
    CANCELLED = "cancelled"


class Role(StrEnum):
    """Who acts on a payout."""

    PAYEE = "payee"
    OPERATOR = "operator"
    SYSTEM = "system"
    RAIL = "rail"


class MethodState(StrEnum):
    """Whether a payout may go to a method; a payout that failed or came back disables it."""

    UNVERIFIED = "unverified"
    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutMethod:
    """Where a party wants its money: a token at the rail, never a bank number.

    `usable_from` is when it has cooled: whoever takes over an account names a method of his own
    first, and the payee shall hear of it in time. `verified_at` is None where the policy of the
    day needed no verification, too.
    """

    id: UUID
    party_id: UUID
    token: str
    state: MethodState = MethodState.ACTIVE
    rail: str = "simulated"
    verified_at: datetime | None = None
    usable_from: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """One payout. `amount_minor` leaves the payee's balance, `fee_minor` of it is our fee.

    Its id is the rail's key too, so it is sent once. `charge_minor` is what the bank kept of a
    returned payout. `rail` is its method's. `paid_from` is the rail account that it leaves from
    (`paypal`, `stripe:acct_1`), known once it is submitted; empty for the custody bank.
    `requested_by` and `approved_by` are principals. `transferred_at` is when its money had come to
    the payee's account, `back_at` when that was called home, `back_tries` how often it was tried.
    """

    id: UUID
    payee_id: UUID
    method_id: UUID
    amount_minor: int
    fee_minor: int
    currency: str
    state: PayoutState = PayoutState.REQUESTED
    version: int = 1
    rail_ref: str = ""
    code: str = ""
    charge_minor: int = 0
    requested_at: datetime
    submitted_at: datetime | None = None
    paid_at: datetime | None = None
    ended_at: datetime | None = None
    rail: str = "simulated"
    paid_from: str = ""
    is_instant: bool = False
    requested_by: UUID | None = None
    screened_at: datetime | None = None
    approved_by: UUID | None = None
    transferred_at: datetime | None = None
    left_at: datetime | None = None
    back_at: datetime | None = None
    back_tries: int = 0

    @property
    def by_payees_account(self) -> bool:
        """Whether it goes over an account of the payee at the rail."""
        return ":" in self.paid_from

    @property
    def net_minor(self) -> int:
        """What the payee receives."""
        return self.amount_minor - self.fee_minor

    @property
    def subject(self) -> str:
        """Its name in events and operations."""
        return f"payout:{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PayeeStanding:
    """What may keep a payee's money from leaving."""

    kyc_state: str
    sanction_state: str
    holds: tuple[str, ...] = ()
    paused_for: str | None = None


def as_json(payout: Payout) -> dict[str, Any]:
    """The payout as the API shows it."""
    times = {
        name: moment.isoformat() if moment else None
        for name, moment in (
            ("requested_at", payout.requested_at),
            ("screened_at", payout.screened_at),
            ("submitted_at", payout.submitted_at),
            ("left_at", payout.left_at),
            ("paid_at", payout.paid_at),
            ("ended_at", payout.ended_at),
        )
    }
    return {
        "id": str(payout.id),
        "payee_id": str(payout.payee_id),
        "method_id": str(payout.method_id),
        "state": payout.state.value,
        "version": payout.version,
        "amount": to_json(payout.amount_minor, payout.currency),
        "fee": to_json(payout.fee_minor, payout.currency),
        "net": to_json(payout.net_minor, payout.currency),
        "bank_charge": to_json(payout.charge_minor, payout.currency),
        "rail": payout.rail,
        "is_instant": payout.is_instant,
        "paid_from": payout.paid_from,
        "approved_by": None if payout.approved_by is None else str(payout.approved_by),
        "rail_ref": payout.rail_ref,
        "code": payout.code,
        **times,
    }
