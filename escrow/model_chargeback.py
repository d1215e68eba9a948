"""What takes released money back: a refund that the payee agrees to, and the client's own bank.

A chargeback follows what the rail says of it, by rank. Its money is a list of movements, each
known by the rail's own balance transaction; what each took from where is a list of pieces.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from escrow.commands import SlotCommand
from kernel.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundLater(SlotCommand):
    """Send released money back; minor units before commission.

    An operator names the payee's agreement (`agreement_ref`): a message, a signed paper.
    """

    amount_minor: int
    agreement_ref: str = ""


class ChargebackState(StrEnum):
    """What the client's bank last decided. `warning` asks, without money; `closed` was only asked.

    `prevented`: the client was paid back without a case, so what left stays away.
    """

    WARNING = "warning"
    CLOSED = "closed"
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    PREVENTED = "prevented"
    APPEAL_OPEN = "appeal_open"
    APPEAL_UNDER_REVIEW = "appeal_under_review"
    APPEAL_WON = "appeal_won"
    APPEAL_LOST = "appeal_lost"


class Direction(StrEnum):
    """Whether the rail took money from us, or gave it back."""

    WITHDRAWN = "withdrawn"
    REINSTATED = "reinstated"


class Source(StrEnum):
    """Where a piece of a withdrawal came from.

    `held`: a slot that still held it. `released`: it was with the payee by then, and the platform
    fronts it. `tip`: the same of a tip. `beyond`: more than was left of the payment.
    """

    HELD = "held"
    RELEASED = "released"
    TIP = "tip"
    BEYOND = "beyond"


@dataclass(frozen=True, slots=True)
class Chargeback:
    """A claim of the client's bank on one payment; `amount_minor` of it is disputed.

    `state_at` and `decided_at` are the rail's own times. `decision` is the last word that ended
    it, which an open appeal leaves standing. `ahead_minor` came back before it was taken.
    `heard_by` ends the payee's time to answer.
    """

    id: UUID
    funding_id: UUID
    contract_id: UUID
    currency: str
    rail: str
    rail_ref: str
    reason: str
    amount_minor: int
    opened_at: datetime
    state: ChargebackState
    state_at: datetime
    version: int
    decision: ChargebackState | None = None
    decided_at: datetime | None = None
    ahead_minor: int = 0
    due_by: datetime | None = None
    told_at: datetime | None = None
    heard_by: datetime | None = None
    answered_at: datetime | None = None
    submitted_at: datetime | None = None
    is_settled: bool = False

    @property
    def subject(self) -> str:
        """The chargeback's name in events."""
        return f"chargeback:{self.id}"


@dataclass(frozen=True, slots=True)
class Movement:
    """One balance transaction of the rail, known by `rail_ref`.

    `amount_minor` moved, and stands for `disputed_minor` of the payment: the difference is drift
    of the rail's currency. `fee_minor` is the network's own fee, or comes back with the money.
    """

    rail: str
    rail_ref: str
    chargeback_id: UUID
    direction: Direction
    amount_minor: int
    disputed_minor: int
    fee_minor: int
    occurred_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Piece:
    """What one withdrawal took from one place: money, and the client's fee that goes with it.

    `frozen_minor` of the money lay frozen by a dispute. `back_*` have come back. Once `is_lost`,
    the payee owed the money less our commission, of which `recovered_minor` was reserved, the
    rest is the claim.
    """

    chargeback_id: UUID
    piece_no: int
    movement_ref: str
    source: Source
    slot_id: UUID | None
    release_id: UUID | None
    lot_seq: int | None
    money_minor: int
    fee_minor: int
    frozen_minor: int = 0
    back_money_minor: int = 0
    back_fee_minor: int = 0
    is_lost: bool = False
    recovered_minor: int = 0
    paid_back_minor: int = 0
    claim_id: UUID | None = None

    @property
    def money_out_minor(self) -> int:
        """The money that is still away."""
        return self.money_minor - self.back_money_minor

    @property
    def fee_out_minor(self) -> int:
        """The client's fee that is still away."""
        return self.fee_minor - self.back_fee_minor

    @property
    def out_minor(self) -> int:
        """All that is still away."""
        return self.money_out_minor + self.fee_out_minor

    @property
    def is_contested(self) -> bool:
        """Whether something is away, and nothing is decided."""
        return self.out_minor > 0 and not self.is_lost


@dataclass(frozen=True, slots=True)
class Reserve:
    """What is kept of a payee for a piece: of a release still pending, or of what is available.

    `lifted_minor` he has again, `taken_minor` paid for the loss; the rest is reserved.
    `gross_minor` is the same before commission, where it is of a release.
    """

    chargeback_id: UUID
    reserve_no: int
    piece_no: int
    release_id: UUID | None
    amount_minor: int
    gross_minor: int = 0
    lifted_minor: int = 0
    taken_minor: int = 0

    @property
    def left_minor(self) -> int:
        """What is reserved now."""
        return self.amount_minor - self.lifted_minor - self.taken_minor

    def gross_of(self, lifted_minor: int) -> int:
        """What of the gross goes with so much lifted."""
        return self.gross_minor * lifted_minor // self.amount_minor


@dataclass(frozen=True, slots=True)
class Statement:
    """What was filed for the evidence: by the payee or an operator, by reference and hash."""

    chargeback_id: UUID
    statement_no: int
    filed_by: str
    principal_id: UUID
    reference: str
    sha256: str
    filed_at: datetime


@dataclass(frozen=True, slots=True)
class Notified:
    """Proof that the payee was told."""

    chargeback_id: UUID
    notice_no: int
    channel: str
    proof: str
    told_by: UUID
    told_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Word(Command):
    """What a rail says of a chargeback: a new state, a movement, or both.

    `rail_ref` is the rail's name of the chargeback, `funding_id` the payment's. `is_return`: the
    client's bank took a debit back, which nobody can contest.
    """

    rail: str
    rail_ref: str
    funding_id: UUID
    currency: str
    amount_minor: int
    occurred_at: datetime
    state: ChargebackState | None = None
    reason: str = ""
    due_by: datetime | None = None
    movement: Movement | None = None
    is_return: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargebackCommand(Command):
    """A step of a person on a chargeback."""

    chargeback_id: UUID
    version: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TellPayee(ChargebackCommand):
    """Record by which channel the payee was told, and what proves it."""

    channel: str
    proof: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStatement(ChargebackCommand):
    """What the payee answers, or what an operator adds: a document by reference and hash."""

    reference: str
    sha256: str = ""
