"""What passes between us and whatever moves real money: operations, results, notices, balances.

Pure: no rail is named here, and nothing here reads a clock or a database.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID


class OperationKind(StrEnum):
    """What a rail is asked to do with money."""

    FUND = "fund"
    REFUND = "refund"
    PAYOUT = "payout"
    BANK_TRANSFER = "bank_transfer"
    TOP_UP = "top_up"
    EVIDENCE = "evidence"
    TRANSFER = "transfer"
    TRANSFER_BACK = "transfer_back"
    CAPTURE = "capture"
    CANCEL = "cancel"
    PAYEE = "payee"


class RailOutcome(StrEnum):
    """What a rail says about an operation; UNKNOWN stays so until a read proves otherwise."""

    DONE = "done"
    PENDING = "pending"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class OperationState(StrEnum):
    """How far an operation is: an intent, withdrawn or on its way, or what the rail last said."""

    CREATED = "created"
    WITHDRAWN = "withdrawn"
    SENT = "sent"
    UNKNOWN = "unknown"
    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"


class RailAccount(StrEnum):
    """The places where a rail and our banks keep money, as the rail's own log names them."""

    PROCESSOR_PENDING = "processor_pending"
    PROCESSOR_AVAILABLE = "processor_available"
    PROCESSOR_RESERVED = "processor_reserved"
    CUSTODY_BANK = "custody_bank"
    PLATFORM_BANK = "platform_bank"


OWNER: Final = "owner"
"""Source of a top-up that brings money from outside: the owner's capital."""

NOT_FOUND: Final = "rail.not_found"
"""Code of an UNKNOWN result of a read: the rail has never seen this operation."""

NOT_NOW: Final = "rail.not_now"
"""Code of an UNKNOWN result: the rail took nothing in; the same may be sent again at `retry_at`."""

KEY_SPENT: Final = "rail.key_spent"
"""Code of an UNKNOWN result: the rail's answer to this key is no use, and a read must decide."""

INSUFFICIENT_FUNDS: Final = "rail.insufficient_funds"
"""Code of a refusal: the account at the rail or bank that pays does not hold enough."""

PAYOUT_RETURNED: Final = "payout.returned"
"""Code of a refusal that follows a payment: the money came back, less `fee_minor`."""

PAYOUT_UNCLAIMED: Final = "payout.unclaimed"
"""Code of a pending payout that has left: the payee must claim it, or it comes back."""

FUNDS_AVAILABLE: Final = "funds_available"
"""Kind of a notice: `amount_minor` of the processor's pending money has become available."""

OPERATION_CHANGED: Final = "operation_changed"
"""Kind of a notice: an operation of ours has a new outcome."""


CHARGEBACK_CHANGED: Final = "chargeback_changed"
"""Kind of a notice: a chargeback of one of our fundings has a new status (`facts`)."""

CHARGEBACK_FUNDS: Final = "chargeback_funds"
"""Kind of a notice: a chargeback moved money on our balance at the rail (`facts`)."""

PAYEE_CHANGED: Final = "payee_changed"
"""Kind of a notice: what a payee's account at the rail may do has changed (`facts`)."""

TRANSACTIONS_BOOKED: Final = "transactions_booked"
"""Kind of a notice: the rail's statement has grown; nothing is read from the notice itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RailOperation:
    """One effect that we want of a rail, written down before the rail is called.

    `id` is the rail's idempotency key. `handler` names who hears the results. `subject` is the
    funding, refund, payout, ... as `<kind>:<uuid>`. `amount_minor` is above zero. `method` is the
    payment method's token at the rail. `facts` are plain JSON values; a transfer between accounts
    has its `source` and `target` there (RailAccount).
    """

    id: UUID
    kind: OperationKind
    handler: str
    subject: str
    amount_minor: int
    currency: str
    method: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    rail: str = "simulated"
    key_no: int = 0
    rail_ref: str = field(default="", compare=False)
    created_at: datetime | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        """The idempotency key that the rail is given with it."""
        return f"{self.id}:{self.key_no}" if self.key_no else str(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class RailResult:
    """What the rail says became of an operation, at first or later.

    `amount_minor` is what moved: the operation's own amount, but a funding may bring another.
    `fee_minor` is what the rail keeps of it (with a returned payout: what the bank kept).
    `cleared` is False while a done funding may still be taken back by the payer's bank.
    `occurred_at` is the rail's own time. `has_left` says of a pending payout that the money has
    left the account that pays it. `transaction_ref` is the rail's balance transaction that moved
    the money; empty where none did, or where the rail has none. `retry_at` goes with NOT_NOW.
    """

    operation_id: UUID
    kind: OperationKind
    subject: str
    outcome: RailOutcome
    amount_minor: int
    currency: str
    fee_minor: int = 0
    rail_ref: str = ""
    code: str = ""
    occurred_at: datetime
    cleared: bool = True
    has_left: bool = False
    transaction_ref: str = ""
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a rail says by itself. It may come twice, late, and in any order.

    `notice_id` is unique per rail. `operation_id` is None where it is about no operation of ours
    (FUNDS_AVAILABLE); `outcome`, `fee_minor`, `code`, `cleared` are then empty. A notice on a
    chargeback names the funding as its operation, has no outcome, and tells in `facts`:
    `chargeback` (the rail's name of it), and `status`, `reason`, `due_by`, or `movement` (the
    balance transaction), `direction` and `disputed_minor` (what of the payment it stands for).
    One on a payee (PAYEE_CHANGED) tells in `facts`: `account` (the rail's name of it),
    `may_receive`, `may_be_paid_out`, `requirements`, `deadline`, `disabled_reason`, `as_of` (the
    rail's time).
    """

    rail: str
    notice_id: str
    kind: str
    rail_ref: str = ""
    operation_id: UUID | None = None
    outcome: RailOutcome | None = None
    amount_minor: int = 0
    currency: str
    fee_minor: int = 0
    code: str = ""
    cleared: bool = True
    occurred_at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    has_left: bool = False
    transaction_ref: str = ""


@dataclass(frozen=True, slots=True)
class NoticePage:
    """Some notices and the position after the last of them, to be asked for more with."""

    notices: tuple[Notice, ...]
    position: str


@dataclass(frozen=True, slots=True)
class RailBalance:
    """What the rail itself says that it (or the bank) holds; may be below zero.

    `rail_account` is the subject of `custody.processor_*` in the books; empty for a bank.
    """

    account: RailAccount
    currency: str
    amount_minor: int
    rail_account: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One movement of the rail's own log; the sum of an account's lines is its balance.

    `operation_id` is the operation that caused it. `line_no` rises with the order of writing,
    `effective_at` says when the movement counts.
    """

    line_no: int
    account: RailAccount
    currency: str
    amount_minor: int
    kind: str
    operation_id: UUID
    effective_at: datetime


class ResolveBy(StrEnum):
    """How a rail is asked what became of an operation whose answer was lost."""

    OPERATION = "operation"
    LISTING = "listing"
    QUERY = "query"
    STATEMENT = "statement"


class WebhookAuth(StrEnum):
    """What proves that a webhook comes from the rail; with NONE it is only a hint."""

    HMAC = "hmac"
    CERTIFICATE = "certificate"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a rail can do. Callers ask these flags and never a rail's name.

    Args:
        rail_account: subject of `custody.processor_*` in the books for the platform's account.
        idempotency_ttl_hours: how long the rail remembers an operation's id; within it an
            operation that a read did not find may be sent again with the same id.
        partial_refund: whether less than the whole of a funding can be refunded.
        refund_window_days: how long after funding a refund goes back to its method; 0: never.
        separate_payout: whether payouts are made from our bank and not from the rail's balance.
        late_return: whether a payout that was paid can still come back.
        clears_late: whether a done funding may be uncleared at first.
        event_replay: whether notices can be asked for again from an earlier position.
        statement: whether the rail gives a log of its movements.
        currencies: what it takes; empty: every currency of ours.
        auth_hold_days: how long a payment may be authorised before it is captured; 0: never.
        partial_capture, multi_capture: whether less, or in parts, may be captured.
        hold_deadline_days: how long money may stay there, by the country of the account that
            holds it, "" for all others; empty: as long as we like.
        cancels: whether a payment that is not made yet can be called off there.
        split_release: whether one payment may go to several payees.
        reversal: whether money that was moved to a payee's account can be taken back.
        payee_accounts: whether payees have accounts of their own there, which pay them out.
        payee_onboarding: whether the rail itself verifies payees.
        resolve_by: how a lost answer is found out.
        webhook_auth: what proves a webhook.
        disputes: whether it tells of chargebacks and takes evidence.
        fx: whether it exchanges currencies by itself.
        amount_steps: by currency, the step in minor units that its amounts keep; 1 if not named.
        smallest_minor, largest_minor: what one operation may move, by currency.
        instant_payouts: whether it can pay out within minutes, for a method that takes it.
        available_at_once: whether a payment can be paid out as soon as it is made.
        poll_every_s: how often it is asked for what it has to say by itself, in seconds of real
            time; 0: whenever we look.

    Source: domain/rails.md section 3.
    """

    rail_account: str
    idempotency_ttl_hours: int
    partial_refund: bool
    refund_window_days: int
    separate_payout: bool
    late_return: bool
    clears_late: bool
    event_replay: bool
    statement: bool
    currencies: frozenset[str] = frozenset()
    auth_hold_days: int = 0
    partial_capture: bool = False
    multi_capture: bool = False
    hold_deadline_days: Mapping[str, int] = field(default_factory=dict)
    cancels: bool = False
    split_release: bool = True
    reversal: bool = False
    payee_accounts: bool = False
    payee_onboarding: bool = False
    resolve_by: ResolveBy = ResolveBy.OPERATION
    webhook_auth: WebhookAuth = WebhookAuth.NONE
    disputes: bool = True
    fx: bool = False
    amount_steps: Mapping[str, int] = field(default_factory=dict)
    smallest_minor: Mapping[str, int] = field(default_factory=dict)
    largest_minor: Mapping[str, int] = field(default_factory=dict)
    instant_payouts: bool = False
    poll_every_s: int = 0
    available_at_once: bool = False
