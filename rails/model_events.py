"""What rails send and list by themselves: events, the lines of their statements, payment pages.

Pure: no rail is named here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class Authentic(StrEnum):
    """How we know that an event comes from the rail; NONE is a hint that anyone may have sent."""

    SIGNATURE = "signature"
    API = "api"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class RailEvent:
    """Something that came in from outside, as it came: a hint what to read from the rail.

    `account` is the rail's name of the payee's account that it is about; empty for our own.
    `object_ref` is the rail's name of what it is about. `is_live` tells real money from a sandbox.
    """

    rail: str
    account: str
    event_id: str
    kind: str
    object_ref: str
    authentic: Authentic
    is_live: bool
    body: bytes
    occurred_at: datetime | None = None


class TransactionKind(StrEnum):
    """What a movement on our balance at a rail is, in our words; OTHER must be looked at."""

    FUNDING = "funding"
    FUNDING_BACK = "funding_back"
    REFUND = "refund"
    REFUND_BACK = "refund_back"
    TRANSFER = "transfer"
    TRANSFER_BACK = "transfer_back"
    PAYOUT = "payout"
    PAYOUT_BACK = "payout_back"
    TOP_UP = "top_up"
    FEE = "fee"
    CHARGEBACK = "chargeback"
    CHARGEBACK_BACK = "chargeback_back"
    RESERVE = "reserve"
    RESERVE_BACK = "reserve_back"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class RailTransaction:
    """One line of the rail's own statement of an account; what it adds is signed.

    `amount_minor` is the whole, `fee_minor` what the rail kept of it, so that the balance changes
    by `net_minor`. `account` is the payee's account; empty for our own. `source_ref` is the object
    that caused it, `operation_id` the operation of ours where the rail knows it. `rail_kind` and
    `category` are the rail's own words, `rate_text` its exchange rate as it was written.
    """

    rail: str
    account: str
    transaction_ref: str
    kind: TransactionKind
    rail_kind: str
    category: str = ""
    amount_minor: int
    fee_minor: int
    currency: str
    source_ref: str
    operation_id: UUID | None = None
    occurred_at: datetime
    available_at: datetime
    rate_text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def net_minor(self) -> int:
        """What it adds to the balance."""
        return self.amount_minor - self.fee_minor


@dataclass(frozen=True, slots=True)
class TransactionPage:
    """Some lines of a statement, oldest first, and the position to be asked for more with."""

    transactions: tuple[RailTransaction, ...]
    position: str
    is_last: bool = True


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """Where the payer pays: an address to be sent to, or a secret for the rail's own fields.

    The secret is shown once to whoever pays and is never stored or logged.
    """

    url: str = ""
    client_secret: str = ""
