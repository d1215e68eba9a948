"""Orders to our banks, the files they go out in, and whom they name; nothing here reads a clock."""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from kernel.money import to_json


class OrderState(StrEnum):
    """How far an order is: given, in a file, with the bank, or what a statement said of it."""

    ORDERED = "ordered"
    FILED = "filed"
    RELEASED = "released"
    BOOKED = "booked"
    RETURNED = "returned"
    REFUSED = "refused"


class FileState(StrEnum):
    """MADE by one person, RELEASED to the bank by another, or WITHDRAWN before that."""

    MADE = "made"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"


class FileFormat(StrEnum):
    """What a bank is given: SEPA credit transfers in euro, or a payment list to be typed in."""

    PAIN_03 = "pain.001.001.03"
    PAIN_09 = "pain.001.001.09"
    CSV = "csv"


class Heard(StrEnum):
    """What a bank's statement says of an order."""

    BOOKED = "booked"
    RETURNED = "returned"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class AccountDetails:
    """Who and where, as it stands sealed; it is never logged, shown or kept open."""

    name: str = field(repr=False)
    iban: str = field(repr=False)
    bic: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BankAccount:
    """An account that may be paid to, or one of ours (`serves`: the RailAccount that it is)."""

    id: UUID
    party_id: UUID
    sealed: bytes = field(repr=False)
    country: str
    last4: str
    serves: str = ""
    currency: str | None = None
    added_at: datetime
    ended_at: datetime | None = None

    @property
    def bound_to(self) -> str:
        """What its sealed details are bound to."""
        return f"bank_account:{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BankOrder:
    """One payment that we want of a bank; its id is the operation's.

    It goes to `account_id`, or to the bank of ours that `target` names. `kept_minor` is what was
    kept of a return, `statement_ref` where the bank said so.
    """

    id: UUID
    source: str
    target: str
    account_id: UUID | None
    currency: str
    amount_minor: int
    state: OrderState = OrderState.ORDERED
    file_id: UUID | None = None
    code: str = ""
    kept_minor: int = 0
    statement_ref: str = ""
    ordered_at: datetime
    heard_at: datetime | None = None

    @property
    def end_to_end_id(self) -> str:
        """What the payment carries from end to end: 32 characters, so that any bank keeps it."""
        return self.id.hex


@dataclass(frozen=True, slots=True, kw_only=True)
class BankFile:
    """A file of payments. Its bytes are made of the orders; `content_sha256` says that they are."""

    id: UUID
    message_id: str
    format: FileFormat
    account_id: UUID
    currency: str
    execute_on: date
    order_count: int
    control_minor: int
    content_sha256: bytes
    state: FileState = FileState.MADE
    made_by: UUID
    made_at: datetime
    decided_by: UUID | None = None
    decided_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One line of a file, opened: whom, how much, and the id from end to end."""

    end_to_end_id: str
    to: AccountDetails
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BankMatch:
    """A line of a statement that was found to be about an order.

    `amount_minor` is the order's whole amount, above zero; `kept_minor` what the bank kept of a
    return; `statement_ref` names the line; `code` is the bank's reason of a return or rejection.
    """

    operation_id: UUID
    heard: Heard
    amount_minor: int
    currency: str
    statement_ref: str
    occurred_at: datetime
    kept_minor: int = 0
    code: str = ""


def file_json(file: BankFile) -> dict[str, Any]:
    """The file as the API shows it: nobody's name or number."""
    return {
        "file_id": str(file.id),
        "message_id": file.message_id,
        "format": file.format.value,
        "account_id": str(file.account_id),
        "execute_on": file.execute_on.isoformat(),
        "order_count": file.order_count,
        "control_sum": to_json(file.control_minor, file.currency),
        "content": file.content_sha256.hex(),
        "state": file.state.value,
        "made_by": str(file.made_by),
        "made_at": file.made_at.isoformat(),
        "decided_by": str(file.decided_by) if file.decided_by else None,
        "decided_at": file.decided_at.isoformat() if file.decided_at else None,
    }


def account_json(account: BankAccount) -> dict[str, Any]:
    """The account as anybody sees it: its country and last four characters."""
    return {
        "account_id": str(account.id),
        "party_id": str(account.party_id),
        "country": account.country,
        "last4": account.last4,
        "token": f"bank:{account.id}",
        "serves": account.serves,
        "currency": account.currency,
        "added_at": account.added_at.isoformat(),
        "ended_at": account.ended_at.isoformat() if account.ended_at else None,
    }
