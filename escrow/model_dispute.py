"""What a dispute keeps, and what it can be asked to do.

Amounts are minor units of the slot's currency. A figure is always the payee's share of what is
frozen; the client has the rest. Rows stand in the order of their tables' columns.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from escrow.model import Role, SlotState
from kernel.commands import Command


class DisputeState(StrEnum):
    """The life of a dispute (domain/escrow.md 2.8)."""

    OPENED = "opened"
    AWAITING_REPLY = "awaiting_reply"
    NEGOTIATION = "negotiation"
    MEDIATION = "mediation"
    RECOMMENDATION = "recommendation"
    ARBITRATION_ELECT = "arbitration_elect"
    ARBITRATION = "arbitration"
    CONCEDED = "conceded"
    DEFAULTED = "defaulted"
    SETTLED = "settled"
    DECIDED = "decided"
    EXECUTED = "executed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Dispute:
    """One dispute over `claim_minor` of a slot, all of it claimed by `claimant`.

    `is_small` and `fee_minor` (what each side pays for arbitration) are pinned at opening.
    Who elected arbitration has paid `fee_minor`. `due_at` ends the present stage, `heard_by` the
    window in which both may file evidence.
    `resolution` is the state that settled it; without shares the deal goes on as before.

    Of released money it names the `release_id` whose part it sets aside, `reserved_minor` of the
    payee's own. A small claim's `fee_minor` is paid by who loses it. `awarded_id` is the release
    that its execution made, `appeal_of` the dispute that was lost by silence.
    """

    id: UUID
    slot_id: UUID
    contract_id: UUID
    currency: str
    opened_by: Role
    opener_id: UUID
    claimant: Role
    claim_minor: int
    state_before: SlotState
    hold_id: UUID | None
    is_small: bool
    fee_minor: int
    opened_at: datetime
    state: DisputeState = DisputeState.OPENED
    version: int = 1
    served_at: datetime | None = None
    due_at: datetime | None = None
    heard_by: datetime | None = None
    extended_in: DisputeState | None = None
    mediator_id: UUID | None = None
    recommended_minor: int | None = None
    client_elected: bool = False
    payee_elected: bool = False
    resolution: DisputeState | None = None
    payee_minor: int | None = None
    client_minor: int | None = None
    ended_at: datetime | None = None
    release_id: UUID | None = None
    reserved_minor: int = 0
    awarded_id: UUID | None = None
    appeal_of: UUID | None = None

    @property
    def respondent(self) -> Role:
        """The side that is to answer."""
        return Role.PAYEE if self.claimant is Role.CLIENT else Role.CLIENT

    @property
    def subject(self) -> str:
        """The dispute's name in events and timers."""
        return f"dispute:{self.id}"

    @property
    def claimed_payee_minor(self) -> int:
        """The payee's share if the claimant has his way."""
        return self.claim_minor if self.claimant is Role.PAYEE else 0


@dataclass(frozen=True, slots=True)
class Offer:
    """A figure that binds whoever made it until he makes another; None: go on as before."""

    dispute_id: UUID
    offer_no: int
    made_by: Role
    payee_minor: int | None
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """A document by its hash and the caller's own name for it, never its content."""

    dispute_id: UUID
    evidence_no: int
    filed_by: Role
    principal_id: UUID
    sha256: str
    reference: str
    filed_at: datetime


@dataclass(frozen=True, slots=True)
class Served:
    """That the other side was told: by which channel, and what proves it."""

    dispute_id: UUID
    notice_no: int
    channel: str
    proof: str
    served_by: UUID
    served_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What one operator proposes and another approves; the newest proposal counts."""

    dispute_id: UUID
    decision_no: int
    payee_minor: int
    client_minor: int
    award_ref: str
    proposer_id: UUID
    proposed_at: datetime
    approver_id: UUID | None = None
    approved_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDispute(Command):
    """Freeze `amount_minor` of a slot, 1 to what it holds; None: all of it.

    An operator names the `claimant` for whom he opens; a party is its own.
    `rejects_refund`: the payee refuses the refund that the client asked for. `release_id`: what
    was released already, in its security hold; where nothing is held, the newest such release.
    """

    dispute_id: UUID
    slot_id: UUID
    amount_minor: int | None = None
    claimant: Role | None = None
    rejects_refund: bool = False
    release_id: UUID | None = None
    version: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeCommand(Command):
    """A step of a dispute that needs nothing more: concede, withdraw, mediate, elect, extend.

    `version`, where given, must be the dispute's.
    """

    dispute_id: UUID
    version: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve(DisputeCommand):
    """Record that the other side was told, with the proof."""

    channel: str
    proof: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeal(DisputeCommand):
    """Once more, by the side that lost by silence; `appeal_id` is the new dispute's."""

    appeal_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeOffer(DisputeCommand):
    """A figure: the payee's share of what is frozen; None: go on as before.

    With `is_reply` it is the respondent's answer to the claim and begins the negotiation.
    """

    payee_minor: int | None = None
    is_reply: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptOffer(DisputeCommand):
    """Accept the other side's latest offer, by its number."""

    offer_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEvidence(DisputeCommand):
    """File a document: 64 hex digits of SHA-256, and a reference of 1 to 500 characters."""

    sha256: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommend(DisputeCommand):
    """The mediator's figure: the payee's share."""

    payee_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeDecision(DisputeCommand):
    """The award as one operator proposes it; the shares sum to what is frozen."""

    payee_minor: int
    client_minor: int
    award_ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDisputeRules(Command):
    """Up to what a claim in a currency is small, and what arbitration costs.

    The fees are shares of the claim, 0 to 10,000 bps: `fee_bps` of each side before arbitration,
    `small_fee_bps` of who loses a small claim.
    """

    currency: str
    small_claim_minor: int
    fee_bps: int
    small_fee_bps: int = 0
