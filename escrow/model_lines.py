"""What a disputed line of a week's invoice keeps, and what it can be asked to do.

Amounts are minor units of the contract's currency. Fields stand in the order of the table.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from kernel.commands import Command


class LineState(StrEnum):
    """The life of a disputed line; of a refunded one a part may have been upheld."""

    OPENED = "opened"
    AWAITING_REPLY = "awaiting_reply"
    CONTESTED = "contested"
    UPHELD = "upheld"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class LineDispute:
    """One line that the client disputes; `amount_minor` of it is frozen (P12).

    `protected_minor` is what of it stands for protected hours. `reply` is the payee's word.
    `proposed_refund_minor` is what one operator would give back, `refunded_minor` what was.
    """

    id: UUID
    week_id: UUID
    line_no: int
    slot_id: UUID
    contract_id: UUID
    currency: str
    amount_minor: int
    protected_minor: int
    opened_by: UUID
    reason: str
    opened_at: datetime
    state: LineState = LineState.OPENED
    version: int = 1
    served_at: datetime | None = None
    served_by: UUID | None = None
    channel: str = ""
    proof: str = ""
    due_at: datetime | None = None
    reply: str = ""
    proposed_refund_minor: int | None = None
    proposed_by: UUID | None = None
    approved_by: UUID | None = None
    refunded_minor: int = 0
    ended_at: datetime | None = None

    @property
    def subject(self) -> str:
        """The disputed line's name in events and timers."""
        return f"line_dispute:{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeLine(Command):
    """Dispute one line of the invoice under review, with the reason; by the client."""

    line_dispute_id: UUID
    week_id: UUID
    line_no: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCommand(Command):
    """A step of a disputed line: reply (with a reason), concede, withdraw, approve.

    `version`, where given, must be its own.
    """

    line_dispute_id: UUID
    version: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeLine(LineCommand):
    """Record that the payee was told, with the proof; his three days run from then."""

    channel: str
    proof: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeLine(LineCommand):
    """What of a contested line an operator would give back: zero to all of it."""

    refund_minor: int
