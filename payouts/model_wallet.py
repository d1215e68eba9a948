"""Clients' wallets: top-ups, withdrawals, what is the least of both, and the commands."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from kernel.commands import Command
from kernel.money import to_json
from rails.model import Capabilities


class TopUpState(StrEnum):
    """Where a top-up is. UNCLEARED money is not in the wallet: its bank may still take it back."""

    SUBMITTED = "submitted"
    UNCLEARED = "uncleared"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUp:
    """One payment into a wallet. `refunded_minor` has gone back by it or is on its way.

    `taken_minor` and `claimed_minor` is what a chargeback took from the wallet and what it left
    the client to owe.
    """

    id: UUID
    client_id: UUID
    currency: str
    asked_minor: int
    captured_minor: int = 0
    rail_account: str
    method: str
    state: TopUpState = TopUpState.SUBMITTED
    refunded_minor: int = 0
    taken_minor: int = 0
    claimed_minor: int = 0
    asked_at: datetime
    paid_at: datetime | None = None
    code: str = ""

    def refundable_minor(self, able: Capabilities, at: datetime) -> int:
        """What may still go back to its method, by the rail's window (edge case 47)."""
        if self.state is not TopUpState.SUCCEEDED or self.paid_at is None:
            return 0
        if at > self.paid_at + timedelta(days=able.refund_window_days):
            return 0
        left = self.captured_minor - self.refunded_minor - self.taken_minor - self.claimed_minor
        return left if able.partial_refund else (left if left == self.captured_minor else 0)


class Way(StrEnum):
    """How wallet money goes back."""

    REFUND = "refund"
    PAYOUT = "payout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """One part of a wish: back by one top-up, or by a payout, whose id it then has."""

    id: UUID
    asked_as: UUID
    party_id: UUID
    currency: str
    amount_minor: int
    way: Way
    top_up_id: UUID | None
    state: str
    rail_account: str
    code: str = ""
    asked_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUpWallet(Command):
    """Pay money into a client's wallet by a rail; `method` is its token there."""

    top_up_id: UUID
    client_id: UUID
    currency: str
    amount_minor: int
    method: str = "card"
    rail_account: str = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw(Command):
    """Take wallet money out: back to the last payments, the rest to a payout method."""

    withdrawal_id: UUID
    party_id: UUID
    currency: str
    amount_minor: int
    method_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseWallet(Command):
    """The client leaves: all of every currency goes back as a withdrawal does."""

    party_id: UUID
    method_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMinimum(Command):
    """The least that a top-up and a withdrawal move from a time on; 0: anything."""

    currency: str
    top_up_minor: int
    withdrawal_minor: int
    valid_from: datetime | None = None


def top_up_facts(each: TopUp) -> dict[str, Any]:
    """A top-up as the API shows it."""
    return {
        "top_up_id": str(each.id),
        "client_id": str(each.client_id),
        "asked": to_json(each.asked_minor, each.currency),
        "captured": to_json(each.captured_minor, each.currency),
        "refunded": to_json(each.refunded_minor, each.currency),
        "rail_account": each.rail_account,
        "state": each.state.value,
        "asked_at": each.asked_at.isoformat(),
        "paid_at": each.paid_at.isoformat() if each.paid_at else None,
        "code": each.code,
    }


def withdrawal_facts(each: Withdrawal) -> dict[str, Any]:
    """A part of a withdrawal as the API shows it."""
    return {
        "id": str(each.id),
        "withdrawal_id": str(each.asked_as),
        "party_id": str(each.party_id),
        "amount": to_json(each.amount_minor, each.currency),
        "way": each.way.value,
        "top_up_id": str(each.top_up_id) if each.top_up_id else None,
        "state": each.state,
        "code": each.code,
        "asked_at": each.asked_at.isoformat(),
        "ended_at": each.ended_at.isoformat() if each.ended_at else None,
    }
