"""Parties and holds as the database shows them.

No names, addresses or tax numbers here: personal data lives outside the books (design.md 7).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class PartyKind(StrEnum):
    """What a party is in the marketplace."""

    CLIENT = "client"
    FREELANCER = "freelancer"
    AGENCY = "agency"
    OPERATOR = "operator"


class KycState(StrEnum):
    """How far the check of a party's identity has come; money leaves only to VERIFIED."""

    NONE = "none"
    PENDING = "pending"
    VERIFIED = "verified"
    REJECTED = "rejected"


class SanctionState(StrEnum):
    """Whether a sanctions list names the party."""

    CLEAR = "clear"
    HIT = "hit"


@dataclass(frozen=True, slots=True)
class Party:
    """One party as the database shows it."""

    id: UUID
    kind: PartyKind
    kyc_state: KycState
    sanction_state: SanctionState
    country: str | None
    reference: str
    version: int
    created_at: datetime

    @property
    def subject(self) -> str:
        """The party as events and holds name it."""
        return f"party:{self.id}"


class HoldKind(StrEnum):
    """Why money must not leave."""

    DISPUTE = "dispute"
    CHARGEBACK = "chargeback"
    COMPLIANCE = "compliance"
    PROCESSOR = "processor"
    TAX = "tax"


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold; open while `lifted_at` is None. `subject` is `slot:<uuid>`, `party:<uuid>`, ..."""

    id: UUID
    subject: str
    kind: HoldKind
    reason: str
    placed_by: UUID
    placed_at: datetime
    lifted_at: datetime | None
