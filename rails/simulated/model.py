"""The simulated rail's own words: a story is all that will ever come of one operation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from rails.model import RailAccount, RailOperation, RailOutcome


@dataclass(frozen=True, slots=True)
class Fee:
    """What the rail keeps of a funding: basis points of it, and basis points of one unit."""

    rate_bps: int
    fixed_bps_of_unit: int


CARD_FEE: Final = Fee(290, 3_000)
"""2.9 % + 0.30 of the currency's unit: 3.29 of 103.00 (domain/escrow.md 2.10, P01)."""

BANK_FEE: Final = Fee(80, 0)
"""0.8 % of a bank debit."""

DEFAULT_FEES: Final = MappingProxyType({"card": CARD_FEE, "bank": BANK_FEE, "bank_debit": BANK_FEE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How the simulated world behaves. All rates are in basis points, 0 unless said otherwise.

    Args:
        seed: with an operation's id it decides every draw, whatever the order of calls.
        declined_bps: fundings that are refused.
        lost_reply_bps: operations that take effect while their reply is lost.
        slow_bps: fundings, refunds and payouts that are pending for `slow_days` first.
        refund_bounced_bps: refunds that are refused because the card is closed.
        payout_failed_bps: payouts refused before any money leaves.
        payout_returned_bps: payouts that come back `return_days` after they were paid.
        duplicate_notice_bps: operations whose notices are each sent twice.
        reordered_notice_bps: operations whose notices come together, the last one first.
        settlement_days: until a cleared funding is available; days begin at midnight UTC.
        clearing_days: until a bank debit is cleared.
        return_charge_bps_of_unit: what the bank keeps of a returned payout; 5.00 units.
        fees: by the family of a method (`card`, `bank_debit` or `bank` for short); a family
            without one is free, as `bank_transfer` is.
    """

    seed: str = "holdfast"
    declined_bps: int = 0
    lost_reply_bps: int = 0
    slow_bps: int = 0
    refund_bounced_bps: int = 0
    payout_failed_bps: int = 0
    payout_returned_bps: int = 0
    duplicate_notice_bps: int = 0
    reordered_notice_bps: int = 0
    settlement_days: int = 2
    clearing_days: int = 4
    slow_days: int = 3
    return_days: int = 21
    return_charge_bps_of_unit: int = 50_000
    fees: Mapping[str, Fee] = field(default_factory=lambda: DEFAULT_FEES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that becomes true of an operation at a time."""

    outcome: RailOutcome
    effective_at: datetime
    fee_minor: int = 0
    code: str = ""
    cleared: bool = True


@dataclass(frozen=True, slots=True)
class Movement:
    """One movement on an account of the rail or a bank, signed: what it adds."""

    account: RailAccount
    amount_minor: int
    kind: str
    effective_at: datetime


@dataclass(frozen=True, slots=True)
class Story:
    """An operation and all that will ever come of it: written once, then only read."""

    operation: RailOperation
    facts: tuple[Fact, ...]
    movements: tuple[Movement, ...]
    reply_is_lost: bool = False
    notices_are_doubled: bool = False
    notices_are_reordered: bool = False

    @property
    def rail_ref(self) -> str:
        """The rail's own name for the operation."""
        return f"sim_{self.operation.kind.value}_{self.operation.id.hex}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A notice that will be sent at `due_at`; of those due, the lower `ordinal` goes first."""

    notice_id: str
    copy_no: int
    kind: str
    operation_id: UUID | None
    fact: Fact
    amount_minor: int
    currency: str
    rail_ref: str
    due_at: datetime
    ordinal: int
