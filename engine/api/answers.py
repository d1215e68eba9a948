"""The shapes of answers, for the OpenAPI document and for those who program against it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.api.models import ID_PATTERN

IdText = Annotated[str, Field(pattern=f"^{ID_PATTERN}$")]
TimeText = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Number = Annotated[str, Field(pattern="^[0-9]{1,19}$")]
"""A 64-bit number as text: JSON readers lose its last digits."""


class Answer(BaseModel):
    """What the API sends: exactly these fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


class OpenAnswer(BaseModel):
    """What a command answers: these fields, and more facts of the act itself."""

    model_config = ConfigDict(extra="allow", strict=True)


class Money(Answer):
    """An amount; a minus sign where the books have more credit than debit."""

    amount: Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]


class Problem(Answer):
    """A refusal (RFC 9457): `code` is stable, `facts` say what it rests on."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    facts: dict[str, Any]


class PartyAnswer(Answer):
    """A party."""

    id: IdText
    kind: Literal["client", "freelancer", "agency", "operator"]
    kyc_state: Literal["none", "pending", "verified", "rejected"]
    sanction_state: Literal["clear", "hit"]
    country: str | None
    reference: str
    version: int
    created_at: TimeText


class HoldAnswer(OpenAnswer):
    """A hold."""

    id: IdText
    subject: str
    kind: str
    reason: str
    placed_at: TimeText


class BalanceAnswer(Answer):
    """What we hold for a party in one currency; `set_aside` is what reservations hold of it."""

    currency: str
    wallet: Money
    earned_pending: Money
    earned_available: Money
    earned_reserved: Money
    blocked: Money
    set_aside: Money


class BalancesAnswer(Answer):
    """What we hold for a party, by currency."""

    party_id: IdText
    balances: list[BalanceAnswer]


class TermsAnswer(Answer):
    """What acceptance pinned."""

    commission_bps: int
    client_fee_bps: int
    security_hold_days: int
    auto_release_hours: int
    release_rule: str
    refund_reply_hours: int
    dormant_days: int
    dormant_limit: Money
    free_change_rounds: int
    origin: str
    category: str | None
    payee_currency: str | None
    convert_at: str


class ContractAnswer(Answer):
    """A contract."""

    id: IdText
    client_id: IdText
    payee_id: IdText
    currency: str
    state: str
    version: int
    proposed_by: str
    terms: TermsAnswer
    created_at: TimeText
    accepted_at: TimeText | None


class ContractActed(OpenAnswer):
    """What became of a contract."""

    contract_id: IdText
    state: str
    version: int


class TermAnswer(Answer):
    """A term of a contract."""

    id: IdText
    contract_id: IdText
    kind: str
    title: str
    created_at: TimeText


class SlotAnswer(Answer):
    """A slot: what holds money. `contested` is what a dispute set aside of what was released."""

    id: IdText
    term_id: IdText
    contract_id: IdText
    seq: int
    state: str
    version: int
    proposed_by: str
    amount: Money
    held: Money
    funded: Money
    rolled_in: Money
    released: Money
    refunded: Money
    rolled_out: Money
    disputed: Money
    recalled: Money
    charged_back: Money
    contested: Money
    uncleared: Money
    unpaid: Money
    submission_no: int
    change_rounds: int
    confirmed_by: str | None
    created_at: TimeText
    active_at: TimeText
    due_at: TimeText | None


class SubmissionAnswer(Answer):
    """Work shown to the client."""

    submission_no: int
    message_ref: str
    artefact_refs: list[str]
    submitted_at: TimeText


class SubmissionsAnswer(Answer):
    """All work shown for a slot."""

    items: list[SubmissionAnswer]


class SlotActed(OpenAnswer):
    """What became of a slot."""

    slot_id: IdText
    contract_id: IdText
    state: str
    version: int
    submission_no: int
    held: Money


class FundingActed(OpenAnswer):
    """What became of a funding."""

    funding_id: IdText
    funding_state: str
    funding_version: int
    client_pays: Money


class FundingAnswer(Answer):
    """One payment by the client."""

    id: IdText
    contract_id: IdText
    slot_id: IdText | None
    purpose: str
    method: str
    rail_account: str
    amount: Money
    client_fee: Money
    captured: Money
    refunded: Money
    charged_back: Money
    in_dispute: bool
    state: str
    version: int
    code: str
    created_at: TimeText


class ReleaseAnswer(Answer):
    """Money released to the payee; `taken` is what disputes took of his net, now or for good."""

    id: IdText
    contract_id: IdText
    slot_id: IdText | None
    payee_id: IdText
    gross: Money
    commission: Money
    net: Money
    taken: Money
    available_at: TimeText
    state: str


class RefundAnswer(Answer):
    """Money on its way back to the client."""

    id: IdText
    slot_id: IdText
    funding_id: IdText
    method: str
    client_id: IdText
    amount: Money
    fee: Money
    state: str
    version: int
    code: str
    created_at: TimeText


class AmendmentAnswer(Answer):
    """A change that both must sign."""

    id: IdText
    contract_id: IdText
    slot_id: IdText
    to_slot_id: IdText | None
    new_amount: Money | None
    proposed_by: str
    slot_version: int
    state: str
    created_at: TimeText


class MethodAnswer(Answer):
    """A place to be paid to."""

    id: IdText
    party_id: IdText
    token: str
    rail: str
    state: str
    verified_at: TimeText | None
    usable_from: TimeText


class MethodsAnswer(Answer):
    """All places to which a party was ever paid."""

    items: list[MethodAnswer]


class MethodActed(OpenAnswer):
    """What became of a payout method."""

    payee_id: IdText


class PayoutAnswer(Answer):
    """A payout."""

    id: IdText
    payee_id: IdText
    method_id: IdText
    amount: Money
    fee: Money
    net: Money
    bank_charge: Money
    state: str
    version: int
    rail: str
    is_instant: bool
    paid_from: str
    approved_by: IdText | None
    rail_ref: str
    code: str
    requested_at: TimeText
    screened_at: TimeText | None
    submitted_at: TimeText | None
    left_at: TimeText | None
    paid_at: TimeText | None
    ended_at: TimeText | None


class ActionAnswer(Answer):
    """One step that is possible now: by whom, where it leads, what must hold, what stops it.

    `open`: it is yours and would be done now. `needs` is what you bring along, `call` how you ask.
    `blocked_by` has the code with which it would be refused, `why` says it in words.
    """

    trigger: str
    by: list[str]
    yours: bool
    open: bool
    leads_to: str
    guards: list[str]
    needs: list[str]
    call: str | None
    blocked_by: list[str]
    why: str


class ClockAnswer(Answer):
    """What happens if nobody does anything; `blocked_by` what would stop it as things stand."""

    kind: str
    due_at: TimeText
    paused: bool
    consequence: str
    leads_to: str | None
    blocked_by: list[str]


class ActionsAnswer(Answer):
    """What can be done with a subject now, and what happens if nobody does it."""

    subject: str
    state: str
    version: int | None
    actions: list[ActionAnswer]
    if_nothing_happens: list[ClockAnswer]
    holds: list[HoldAnswer]
