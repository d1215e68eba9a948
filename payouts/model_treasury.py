"""The treasury's rows: what stays at a rail account, and the stops of payouts."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kernel.commands import Command
from payouts.model_settlement import Mode


@dataclass(frozen=True, slots=True)
class TreasuryRule:
    """What becomes of free money at a rail account from a time on.

    `currency` None: of every currency that has no row of its own, with a floor of zero.
    """

    rail_account: str
    currency: str | None
    mode: Mode
    floor_minor: int
    valid_from: datetime
    set_by: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTreasury(Command):
    """Say what becomes of money at a rail account; by an operator."""

    rail_account: str
    currency: str | None
    mode: Mode
    floor_minor: int = 0
    valid_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class PayoutStop:
    """No payout of a currency leaves while a rail account of ours is below zero in it.

    Source: domain/escrow.md 2.11, edge case 45.
    """

    id: UUID
    rail_account: str
    currency: str
    shortfall_minor: int
    stopped_at: datetime
    lifted_at: datetime | None = None
