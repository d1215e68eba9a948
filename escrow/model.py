"""What escrow keeps: contracts, slots, fundings, refunds, releases, and the states of each.

Rows are frozen and in the order of their tables' columns; amounts are minor units of the
contract's currency. What a decided command will write is a `Plan`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from commissions.model_fx import Conversion, ConvertAt
from escrow.model_claim import Claim, Recovery
from escrow.model_price import FeeLine, Pair
from escrow.states import (
    AmendmentState,
    ContractState,
    FundingState,
    Method,
    Purpose,
    RefundState,
    ReleaseRule,
    ReleaseState,
    Role,
    SlotState,
)
from ledger.model import Draft

__all__ = [
    "Alarm",
    "Amendment",
    "AmendmentState",
    "Ask",
    "Contract",
    "ContractState",
    "ConvertAt",
    "Funding",
    "FundingState",
    "Lot",
    "Method",
    "Pins",
    "Plan",
    "Purpose",
    "Refund",
    "RefundState",
    "Release",
    "ReleaseRule",
    "ReleaseState",
    "Role",
    "Slot",
    "SlotState",
    "Submission",
    "Terms",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the proposer sets and acceptance pins; nobody changes it afterwards.

    Rates are basis points; a fee schedule that fits the deal is stronger than they are. `origin`
    and `category` are what schedules ask for. `payee_currency`: the payee is paid in another
    currency than the contract's, converted at `convert_at`. `dormant_limit_minor`: a dormant
    slot that holds more than this waits for an operator. `free_change_rounds`: how often the
    client may ask for changes.
    """

    commission_bps: int = 1_000
    client_fee_bps: int = 300
    security_hold_days: int = 5
    auto_release_after: timedelta = timedelta(days=14)
    release_rule: ReleaseRule = ReleaseRule.CLIENT_OR_TIMER
    refund_reply_after: timedelta = timedelta(days=7)
    dormant_after: timedelta = timedelta(days=90)
    dormant_limit_minor: int = 100_000
    free_change_rounds: int = 3
    origin: str = "marketplace"
    category: str | None = None
    payee_currency: str | None = None
    convert_at: ConvertAt = ConvertAt.RELEASE


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What the first acceptance chose for the deal, by what was known then.

    Without a schedule the flat rates of the terms hold. `promotion_until`: a promotion holds for
    releases before it; None: for the contract's life. `fx_margin_bps` is taken off the mid rate.
    """

    payee_schedule_id: UUID | None = None
    client_schedule_id: UUID | None = None
    promotion_schedule_id: UUID | None = None
    promotion_until: datetime | None = None
    fx_margin_bps: int = 0


NO_PINS: Final = Pins()


@dataclass(frozen=True, slots=True)
class Contract:
    """One deal between a client and a payee in one currency, with the terms pinned."""

    id: UUID
    client_id: UUID
    payee_id: UUID
    currency: str
    state: ContractState
    version: int
    proposed_by: Role
    terms: Terms
    created_at: datetime
    accepted_at: datetime | None = None
    pins: Pins = NO_PINS


@dataclass(frozen=True, slots=True)
class Slot:
    """A milestone: what holds money and has the state machine.

    funded + rolled_in = held + recalled + released + refunded + rolled_out + charged_back,
    always. `recalled_minor` was taken by a chargeback that is not decided, `charged_back_minor`
    by one that was lost. `amount_minor` is the agreed price; `uncleared_minor` the part of held
    that the client's bank may still take back;
    `fee_deferred_minor` the client's fee that is not yet ours. `submission_no` is the submission
    that lies before the client (0: none), `submission_count` how many there were.
    `disputed_minor` is the part of held that a dispute freezes, `returned_minor` the part of
    released that went back to the client afterwards, `contested_minor` the part of released that
    a dispute sets aside.
    """

    id: UUID
    term_id: UUID
    contract_id: UUID
    currency: str
    seq: int
    proposed_by: Role
    state: SlotState
    version: int
    amount_minor: int
    created_at: datetime
    active_at: datetime
    due_at: datetime | None = None
    funded_minor: int = 0
    rolled_in_minor: int = 0
    held_minor: int = 0
    released_minor: int = 0
    refunded_minor: int = 0
    rolled_out_minor: int = 0
    uncleared_minor: int = 0
    fee_deferred_minor: int = 0
    lot_count: int = 0
    submission_no: int = 0
    submission_count: int = 0
    change_rounds: int = 0
    confirmed_by: Role | None = None
    notices: int = 0
    disputed_minor: int = 0
    returned_minor: int = 0
    recalled_minor: int = 0
    charged_back_minor: int = 0
    contested_minor: int = 0

    @property
    def is_milestone(self) -> bool:
        """Whether it is its own term; the slot of a week or period ends by its term's clocks."""
        return self.term_id == self.id

    @property
    def kept_minor(self) -> int:
        """What was released and has not come back from the payee since; before commission."""
        return self.released_minor - self.returned_minor

    @property
    def unpaid_minor(self) -> int:
        """What the client still has to pay in before the agreed price is covered."""
        paid = self.funded_minor + self.rolled_in_minor
        gone = self.refunded_minor + self.rolled_out_minor + self.charged_back_minor
        return max(0, self.amount_minor - (paid - gone))


@dataclass(frozen=True, slots=True)
class Submission:
    """Work shown to the client: references to a message and to artefacts, never their content."""

    slot_id: UUID
    submission_no: int
    message_ref: str
    artefact_refs: tuple[str, ...]
    submitted_at: datetime


@dataclass(frozen=True, slots=True)
class Funding:
    """One payment by the client: `amount_minor` for the slot and `client_fee_minor` for us.

    `slot_id` is None for a tip. Its id is the key with which the rail is asked. `refunded_minor`
    and `charged_back_minor` never exceed `captured_minor` together; `in_dispute` while a
    chargeback of it is not decided. A tip's `release_id` names its security hold. `method_token`
    is the rail's own name for the means of payment; empty: the method's name. With a `quote_id` it
    is in the quote's sold currency, and comes into the slot as a payment from the wallet does.
    """

    id: UUID
    contract_id: UUID
    slot_id: UUID | None
    purpose: Purpose
    method: Method
    rail_account: str
    currency: str
    amount_minor: int
    client_fee_minor: int
    state: FundingState
    version: int
    created_at: datetime
    captured_minor: int = 0
    refunded_minor: int = 0
    rail_fee_minor: int = 0
    rail_ref: str = ""
    code: str = ""
    release_id: UUID | None = None
    method_token: str = ""
    charged_back_minor: int = 0
    in_dispute: bool = False
    quote_id: UUID | None = None

    @property
    def asked_minor(self) -> int:
        """What the rail is asked to take from the client."""
        return self.amount_minor + self.client_fee_minor


@dataclass(frozen=True, slots=True)
class Lot:
    """What one funding put into one slot. Releases use the oldest first, refunds the newest.

    `gone_minor` was refunded or rolled away, with `fee_gone_minor` of its fee. The lot's fee is
    still deferred while the slot has released nothing since (`released_before_minor`).
    """

    slot_id: UUID
    seq: int
    funding_id: UUID
    amount_minor: int
    fee_minor: int
    released_before_minor: int
    gone_minor: int = 0
    fee_gone_minor: int = 0


@dataclass(frozen=True, slots=True)
class Release:
    """Money released to the payee, from a slot or a tip, in its security hold until available.

    `taken_gross_minor` is the part that a dispute or a chargeback took out of it, for now or for
    good, before commission; `taken_net_minor` what it took from the payee, in his currency.
    `tax_minor` is the tax on our commission. `paid_minor` is what the payee gets in
    `paid_currency`, where that is not the contract's.
    """

    id: UUID
    contract_id: UUID
    slot_id: UUID | None
    payee_id: UUID
    currency: str
    gross_minor: int
    commission_minor: int
    available_at: datetime
    state: ReleaseState = ReleaseState.PENDING
    taken_gross_minor: int = 0
    taken_net_minor: int = 0
    tax_minor: int = 0
    paid_currency: str | None = None
    paid_minor: int | None = None

    @property
    def net_minor(self) -> int:
        """What is left to the payee, in the contract's currency."""
        return self.gross_minor - self.commission_minor - self.tax_minor

    @property
    def purse_currency(self) -> str:
        """The currency that the payee gets it in."""
        return self.paid_currency or self.currency

    @property
    def free_minor(self) -> int:
        """What the payee gets of it when its security hold ends, in his currency."""
        gets = self.net_minor if self.paid_minor is None else self.paid_minor
        return gets - self.taken_net_minor


@dataclass(frozen=True, slots=True)
class Refund:
    """Money on its way back to the client, by the way it came; its id is the rail's key."""

    id: UUID
    slot_id: UUID
    funding_id: UUID
    method: Method
    rail_account: str
    client_id: UUID
    currency: str
    amount_minor: int
    fee_minor: int
    state: RefundState
    version: int
    created_at: datetime
    rail_ref: str = ""
    code: str = ""

    @property
    def total_minor(self) -> int:
        """What goes to the client: slot money and his fee."""
        return self.amount_minor + self.fee_minor


@dataclass(frozen=True, slots=True)
class Amendment:
    """A change of a running slot that counts once both have signed.

    Either `new_amount_minor` (a new price) or `to_slot_id` (the rest rolls forward to that slot).
    """

    id: UUID
    contract_id: UUID
    slot_id: UUID
    to_slot_id: UUID | None
    new_amount_minor: int | None
    proposed_by: Role
    slot_version: int
    state: AmendmentState
    created_at: datetime


class Alarm(NamedTuple):
    """A timer to set: kind without its room (`auto_release`), and the version it belongs to."""

    subject: str
    kind: str
    due_at: datetime
    subject_version: int


class Ask(NamedTuple):
    """What a rail shall be asked for, once this transaction is committed.

    `kind` is fund or refund; `method` the rail's own name for the means of payment.
    """

    id: UUID
    kind: str
    subject: str
    amount_minor: int
    currency: str
    method: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one decided command will write, all of it or nothing.

    `moved_*` are pairs (as it stood under its lock, as it will be). Only the first draft may
    carry journal entries, so that the ledger's answer to it decides for the whole plan. `led`
    names the slots whose week or period moves in the same act; of other slots it follows.
    """

    drafts: tuple[Draft, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    contracts: tuple[Contract, ...] = ()
    moved_contracts: tuple[tuple[Contract, Contract], ...] = ()
    slots: tuple[Slot, ...] = ()
    moved_slots: tuple[tuple[Slot, Slot], ...] = ()
    titles: tuple[str | None, ...] = ()
    submissions: tuple[Submission, ...] = ()
    fundings: tuple[Funding, ...] = ()
    moved_fundings: tuple[tuple[Funding, Funding], ...] = ()
    lots: tuple[Lot, ...] = ()
    moved_lots: tuple[tuple[Lot, Lot], ...] = ()
    releases: tuple[Release, ...] = ()
    moved_releases: tuple[tuple[Release, Release], ...] = ()
    refunds: tuple[Refund, ...] = ()
    moved_refunds: tuple[tuple[Refund, Refund], ...] = ()
    amendments: tuple[Amendment, ...] = ()
    moved_amendments: tuple[tuple[Amendment, Amendment], ...] = ()
    claims: tuple[Claim, ...] = ()
    moved_claims: tuple[tuple[Claim, Claim], ...] = ()
    recoveries: tuple[Recovery, ...] = ()
    billed: tuple[tuple[Pair, FeeLine], ...] = ()
    conversions: tuple[Conversion, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    cancelled: tuple[tuple[str, str], ...] = ()
    paused: tuple[tuple[str, str], ...] = ()
    asks: tuple[Ask, ...] = ()
    led: tuple[UUID, ...] = ()
