"""The states and the choices that rows of escrow are in, each as the database writes it."""

from enum import StrEnum


class Role(StrEnum):
    """What an actor is to one contract. SYSTEM fires timers, RAIL reports on money."""

    CLIENT = "client"
    PAYEE = "payee"
    OPERATOR = "operator"
    SYSTEM = "system"
    RAIL = "rail"


class ContractState(StrEnum):
    """The life of a contract. `closed_disputed`: it was ended, and a dispute runs still."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    ENDING = "ending"
    ENDED = "ended"
    CLOSED_DISPUTED = "closed_disputed"


class SlotState(StrEnum):
    """The life of a milestone (domain/escrow.md 2.4). A hold is not a state."""

    PROPOSED = "proposed"
    AWAITING_FUNDING = "awaiting_funding"
    FUNDING = "funding"
    FUNDED = "funded"
    SUBMITTED = "submitted"
    CHANGES_REQUESTED = "changes_requested"
    REFUND_REQUESTED = "refund_requested"
    DORMANT = "dormant"
    DISPUTED = "disputed"
    RELEASED = "released"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


class FundingState(StrEnum):
    """The life of a payment by the client (domain/escrow.md 2.3).

    `mismatch`: money came that nobody asked for in this amount; it lies in suspense for a
    person to look at. `credited`: money that could not fund the slot lies in the client's wallet.
    `reversed`: the client's bank took the money back.
    """

    CREATED = "created"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    UNKNOWN = "unknown"
    SUCCEEDED_UNCLEARED = "succeeded_uncleared"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    MISMATCH = "mismatch"
    CREDITED = "credited"
    REVERSED = "reversed"


class RefundState(StrEnum):
    """The life of money on its way back to the client (domain/escrow.md 2.9)."""

    APPROVED = "approved"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    WALLET_CREDITED = "wallet_credited"


class ReleaseState(StrEnum):
    """Released money is pending in its security hold, then available to the payee."""

    PENDING = "pending"
    AVAILABLE = "available"


class AmendmentState(StrEnum):
    """An amendment waits for the other side's signature."""

    PROPOSED = "proposed"
    SIGNED = "signed"


class ReleaseRule(StrEnum):
    """Who may let the money go, pinned at acceptance (domain/escrow.md 0.9)."""

    CLIENT_OR_TIMER = "client_or_timer"
    BOTH_CONFIRM = "both_confirm"
    CLIENT_ONLY = "client_only"


class Method(StrEnum):
    """How the client pays. WALLET moves money he already has with us; the others are a rail's."""

    CARD = "card"
    BANK_DEBIT = "bank_debit"
    BANK_TRANSFER = "bank_transfer"
    WALLET = "wallet"


class Purpose(StrEnum):
    """What a funding pays for: a slot, more of a running slot, or a tip."""

    SLOT = "slot"
    TOP_UP = "top_up"
    TIP = "tip"
