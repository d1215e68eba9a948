"""The shapes of what is answered about disputes."""

from typing import Annotated

from pydantic import Field

from engine.api.answers import (
    ActionAnswer,
    Answer,
    HoldAnswer,
    IdText,
    Money,
    OpenAnswer,
    TimeText,
)


class DisputeActed(OpenAnswer):
    """What became of a dispute."""

    dispute_id: IdText
    slot_id: IdText
    state: str
    version: int
    frozen: Money
    due_at: TimeText | None
    resolution: str | None


class OfferAnswer(Answer):
    """A figure; without shares: go on as before. The latest of each side counts."""

    offer_no: int
    made_by: str
    payee: Money | None
    client: Money | None
    made_at: TimeText


class EvidenceAnswer(Answer):
    """A document, by hash and reference."""

    evidence_no: int
    filed_by: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    reference: str
    filed_at: TimeText


class NoticeAnswer(Answer):
    """That the other side was told, and the proof."""

    notice_no: int
    channel: str
    proof: str
    served_at: TimeText


class DecisionAnswer(Answer):
    """What one operator proposed, and another approved."""

    decision_no: int
    payee: Money
    client: Money
    award_ref: str
    proposed_by: IdText
    proposed_at: TimeText
    approved_by: IdText | None
    approved_at: TimeText | None


class DisputeAnswer(Answer):
    """A dispute: what is frozen, how far it is, and who has the next word.

    Over released money it names the release and what is reserved of the payee's own. The
    arbitration fee is each side's; of a small claim it is what the loser pays.
    """

    id: IdText
    slot_id: IdText
    contract_id: IdText
    state: str
    version: int
    opened_by: str
    claimant: str
    respondent: str
    frozen: Money
    slot_state_before: str
    is_small_claim: bool
    arbitration_fee: Money
    client_elected: bool
    payee_elected: bool
    recommended_payee: Money | None
    resolution: str | None
    payee: Money | None
    client: Money | None
    opened_at: TimeText
    served_at: TimeText | None
    due_at: TimeText | None
    evidence_until: TimeText | None
    extended_in: str | None
    ended_at: TimeText | None
    release_id: IdText | None
    reserved: Money | None
    appeal_of: IdText | None
    appeal_until: TimeText | None


class DisputeClockAnswer(Answer):
    """What happens by itself, when, and what would stop it."""

    kind: str
    due_at: TimeText
    step: str
    leads_to: str
    consequence: str
    blocked_by: list[str]


class DisputeInFull(DisputeAnswer):
    """A dispute with its lists, the steps that are open, and what happens if nobody acts."""

    offers: list[OfferAnswer]
    evidence: list[EvidenceAnswer]
    notices: list[NoticeAnswer]
    decisions: list[DecisionAnswer]
    options: list[ActionAnswer]
    if_nothing: list[DisputeClockAnswer]
    holds: list[HoldAnswer]


class DisputeRulesActed(OpenAnswer):
    """What holds for disputes that are opened from now on."""

    currency: str
    small_claim_minor: int
    fee_bps: int
    small_fee_bps: int
