"""What a payee owes the platform, what was recovered of it, and how it is written off."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from kernel.commands import Command


class ClaimState(StrEnum):
    """A claim is open until all of it was recovered or the rest written off."""

    OPEN = "open"
    RECOVERED = "recovered"
    WRITTEN_OFF = "written_off"


class ClaimCause(StrEnum):
    """Why the platform paid for the payee."""

    REFUND = "refund"
    CHARGEBACK = "chargeback"


@dataclass(frozen=True, slots=True)
class Claim:
    """Minor units that a payee owes the platform; `subject` is what it came of.

    `relieved_minor` he owes no longer, because the bank gave the money back.
    """

    id: UUID
    payee_id: UUID
    currency: str
    cause: ClaimCause
    subject: str
    amount_minor: int
    remaining_minor: int
    state: ClaimState
    version: int
    created_at: datetime
    relieved_minor: int = 0


@dataclass(frozen=True, slots=True)
class Recovery:
    """What one release gave to one claim."""

    claim_id: UUID
    release_id: UUID
    amount_minor: int
    recovered_at: datetime


@dataclass(frozen=True, slots=True)
class WriteOff:
    """A proposal to give a claim up; `amount_minor` is what remained when it was approved."""

    id: UUID
    claim_id: UUID
    reason: str
    proposer_id: UUID
    proposed_at: datetime
    approver_id: UUID | None = None
    approved_at: datetime | None = None
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """How the platform acts in a currency.

    `fronts_refunds`: it pays a refund after release where the payee's balance is short, and
    claims the rest. `recovery_bps`: the most of a release, in basis points, that goes to claims.
    """

    currency: str
    fronts_refunds: bool = False
    recovery_bps: int = 2_500
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeWriteOff(Command):
    """Propose to give up what remains of a claim; the reason is kept."""

    claim_id: UUID
    write_off_id: UUID
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveWriteOff(Command):
    """Approve what another person proposed."""

    claim_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SetClaimRules(Command):
    """Set how the platform acts in a currency, from now on."""

    currency: str
    fronts_refunds: bool
    recovery_bps: int
