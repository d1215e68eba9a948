"""Payouts, the methods they go to, and what the daily settlement looks at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from kernel.money import to_json


class PayoutState(StrEnum):
    """Where a payout is. PAID is not the end: it may still come back."""

    REQUESTED = "requested"
    SUBMITTED = "submitted"
    PAID = "paid"
    FAILED = "failed"
    RETURNED = "returned"
    CANCELLED = "cancelled"


class Role(StrEnum):
    """Who acts on a payout."""

    PAYEE = "payee"
    OPERATOR = "operator"
    SYSTEM = "system"
    RAIL = "rail"


class MethodState(StrEnum):
    """Whether a payout may go to a method; a payout that failed or came back disables it."""

    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutMethod:
    """Where a party wants its money: a token at the rail, never a bank number."""

    id: UUID
    party_id: UUID
    token: str
    state: MethodState = MethodState.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """One payout. `amount_minor` leaves the payee's balance, `fee_minor` of it is our fee.

    Its id is the rail's key too, so it is sent once. `charge_minor` is what the bank kept of a
    returned payout.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One currency before its settlement, in minor units as people say them: never signed lines.

    `due_to_platform_minor` is earned fees still in client money, `due_from_platform_minor` what
    the platform owes it. `processor_minor` is the available balance there. `refunds_minor` and
    `payouts_minor` are promised and not gone. `under_way` is what settlements moved earlier and
    no rail has confirmed, by (source, target).
    """

    currency: str
    due_to_platform_minor: int = 0
    due_from_platform_minor: int = 0
    processor_minor: int = 0
    bank_minor: int = 0
    platform_bank_minor: int = 0
    refunds_minor: int = 0
    payouts_minor: int = 0
    under_way: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def leaving(self, account: str) -> int:
        """What is under way out of an account."""
        return sum(minor for (source, _), minor in self.under_way.items() if source == account)

    def coming(self, account: str) -> int:
        """What is under way into an account."""
        return sum(minor for (_, target), minor in self.under_way.items() if target == account)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Real money to be moved between two accounts (RailAccount values, or the owner)."""

    source: str
    target: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What one settlement of one currency comes to.

    `set_off_minor` is booked at once; `transfers` are asked of the rail, in this order, and booked
    when it confirms them. `shortfall_minor` is what the platform owes and has no money for;
    `postponed_minor` is earned fees that wait for cash in the custody bank.
    """

    currency: str
    set_off_minor: int
    transfers: tuple[Transfer, ...]
    shortfall_minor: int
    postponed_minor: int

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to settle."""
        return not (self.set_off_minor or self.transfers)


def as_json(payout: Payout) -> dict[str, Any]:
    """The payout as the API shows it."""
    times = {
        name: moment.isoformat() if moment else None
        for name, moment in (
            ("requested_at", payout.requested_at),
            ("submitted_at", payout.submitted_at),
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
        "rail_ref": payout.rail_ref,
        "code": payout.code,
        **times,
    }
