"""What changes the terms of a running contract: an amendment that both must sign.

A term is added by offering it (milestones, hours, a retainer), which counts once the other side
has accepted. An amendment ends a term, or sets a retainer's price from its next period on.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from escrow.model import Role
from kernel.commands import Command


class TermKind(StrEnum):
    """What a term is about; each kind has its own machine and its own way to end."""

    MILESTONE = "milestone"
    HOURLY = "hourly"
    RETAINER = "retainer"


class TermAction(StrEnum):
    """What both would agree on."""

    END = "end"
    CHANGE = "change"


class OfferState(StrEnum):
    """The life of an amendment: the other side signs or rejects it, its own side withdraws it."""

    PROPOSED = "proposed"
    SIGNED = "signed"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Price:
    """What a retainer costs: the amount of a period, the hour, the pieces that it pays for."""

    amount_minor: int
    hourly_minor: int = 0
    quota: int = 0


@dataclass(frozen=True, slots=True)
class Term:
    """A term, of whatever kind."""

    id: UUID
    contract_id: UUID
    kind: TermKind


@dataclass(frozen=True, slots=True)
class TermAmendment:
    """An offer to end a term, or to change a retainer's price from period `from_no` on."""

    id: UUID
    contract_id: UUID
    term_id: UUID
    action: TermAction
    proposed_by: Role
    state: OfferState
    version: int
    created_at: datetime
    amount_minor: int | None = None
    hourly_minor: int | None = None
    quota: int | None = None
    from_no: int | None = None
    signed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeTermAmendment(Command):
    """Offer to end a term (no price), or another price of a retainer."""

    amendment_id: UUID
    term_id: UUID
    price: Price | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TermAmendmentCommand(Command):
    """Sign, reject or withdraw a term amendment."""

    amendment_id: UUID
    version: int | None = None
    reason: str = ""
