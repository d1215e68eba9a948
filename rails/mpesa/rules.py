"""What M-Pesa is sent and what its words mean: pure, no call is made here.

Daraja signs nothing. What proves a callback is its address: each operation has its own, with a
code that only we can make and that holds what we asked for. What a callback says is a hint all the
same, but for the answer to a status query, which Daraja gives in no other way.

Sources: Daraja 3.0, M-Pesa Express, B2C v3 and Transaction Status; domain/rails.md section 3.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from kernel.errors import Broken
from rails.model import (
    INSUFFICIENT_FUNDS,
    OPERATION_CHANGED,
    Notice,
    RailOperation,
    RailOutcome,
    RailResult,
)
from rails.refusals import AmountNotPossible, BadEvent, BadSignature

NAME: Final = "mpesa"
CURRENCY: Final = "KES"
WHOLE: Final = 100
"""Minor units of a shilling: M-Pesa moves whole ones."""

NAIROBI: Final = timezone(timedelta(hours=3))
"""Daraja's times; Kenya does not change its clocks."""

STK: Final = "stk"
B2C: Final = "b2c"
TIMEOUT: Final = "timeout"
STATUS: Final = "status"
LATE: Final = "late"

_PHONE: Final = re.compile(r"254[17][0-9]{8}", re.ASCII)
_ADDRESS: Final = re.compile(
    r"(stk|b2c|timeout|status|late)-([0-9a-f]{32})-([0-9]{1,15})-([0-9A-Za-z]{0,12})-([0-9a-f]{32})",
    re.ASCII,
)

FINAL: Final[Mapping[str, str]] = MappingProxyType(
    {
        "1": "no_funds",
        "2": "too_small",
        "3": "too_large",
        "4": "daily_limit",
        "8": "balance_limit",
        "17": "too_soon",
        "1019": "expired",
        "1025": "not_pushed",
        "1032": "cancelled",
        "1037": "unreachable",
        "2001": "wrong_pin",
        "2028": "not_permitted",
        "2040": "not_registered",
        "8006": "locked",
        "SFC_IC0003": "no_such_number",
    }
)
"""Result codes after which nothing more comes; another one leaves a payment pending."""

_ENDED: Final = frozenset({"failed", "declined", "cancelled", "expired", "reversed"})


@dataclass(frozen=True, slots=True)
class Address:
    """The last part of the address of a callback, once its code was found right.

    `reason` is the result code that an earlier hint gave: why, never whether, something failed.
    """

    what: str
    operation_id: UUID
    amount_minor: int
    reason: str = ""

    @property
    def open_part(self) -> str:
        """All of it but its code."""
        return f"{self.what}-{self.operation_id.hex}-{self.amount_minor}-{self.reason}"


def endpoint_of(address: Address, *, token: str) -> str:
    """The last part of a callback's address, which nobody can guess."""
    return f"{address.open_part}-{_code(address, token)}"


def address_of(endpoint: str, *, token: str) -> Address:
    """What an address says; BadSignature if we did not make it."""
    found = _ADDRESS.fullmatch(endpoint)
    if found is None:
        raise BadSignature(why="no address of ours")
    address = Address(found[1], UUID(hex=found[2]), int(found[3]), found[4])
    if not hmac.compare_digest(_code(address, token), found[5]):
        raise BadSignature(why="no address of ours")
    return address


def _code(address: Address, token: str) -> str:
    return hmac.new(token.encode(), address.open_part.encode(), hashlib.sha256).hexdigest()[:32]


# What is sent


def phone_of(method: str) -> str:
    """The number of a payer or payee, as `mpesa:254712345678` or bare; empty if it is none."""
    number = method.removeprefix("mpesa:").removeprefix("+")
    return number if _PHONE.fullmatch(number) else ""


def shillings(amount_minor: int, currency: str) -> str:
    """The amount in whole shillings.

    Refuses `rail.amount_not_possible` for a part of one, or for other money.
    """
    if currency != CURRENCY or amount_minor <= 0 or amount_minor % WHOLE:
        raise AmountNotPossible(
            rail=NAME, currency=currency, amount_minor=amount_minor, step_minor=WHOLE
        )
    return str(amount_minor // WHOLE)


def account_reference(operation_id: UUID) -> str:
    """What the payer sees as his account: twelve letters and digits made of our id."""
    return base64.b32encode(hashlib.sha256(operation_id.bytes).digest()).decode()[:12]


def stamp(at: datetime) -> str:
    """A time in Daraja's digits."""
    return at.astimezone(NAIROBI).strftime("%Y%m%d%H%M%S")


def password(*, shortcode: str, passkey: str, stamped: str) -> str:
    """What an STK push is let in by."""
    return base64.b64encode(f"{shortcode}{passkey}{stamped}".encode()).decode()


# What is said


def result_of(
    operation: RailOperation,
    outcome: RailOutcome,
    *,
    at: datetime,
    rail_ref: str = "",
    code: str = "",
    transaction_ref: str = "",
) -> RailResult:
    """A result over the amount that was asked for: M-Pesa moves that or nothing."""
    return RailResult(
        operation_id=operation.id,
        kind=operation.kind,
        subject=operation.subject,
        outcome=outcome,
        amount_minor=operation.amount_minor,
        currency=operation.currency,
        rail_ref=rail_ref or operation.rail_ref,
        code=code,
        occurred_at=at,
        transaction_ref=transaction_ref,
    )


def notice_of(
    address: Address,
    outcome: RailOutcome,
    *,
    at: datetime,
    rail_ref: str,
    code: str = "",
    transaction_ref: str = "",
) -> Notice:
    """The same truth as a notice, named by it."""
    return Notice(
        rail=NAME,
        notice_id=f"{address.operation_id}:{outcome}:{transaction_ref}",
        kind=OPERATION_CHANGED,
        rail_ref=rail_ref,
        operation_id=address.operation_id,
        outcome=outcome,
        amount_minor=address.amount_minor,
        currency=CURRENCY,
        code=code,
        occurred_at=at,
        transaction_ref=transaction_ref,
    )


def push_says(result_code: str) -> tuple[RailOutcome, str]:
    """What the result code of an STK push means; an unknown one is no end."""
    if result_code == "0":
        return RailOutcome.DONE, ""
    if result_code in FINAL:
        return RailOutcome.REFUSED, f"{NAME}.{FINAL[result_code]}"
    return RailOutcome.PENDING, ""


def reason_code(result_code: str) -> str:
    """Why a payout failed. Code 1 is our own account that was short, not the payee's fault."""
    if result_code == "1":
        return INSUFFICIENT_FUNDS
    return f"{NAME}.{FINAL.get(result_code, 'failed')}"


def kept_of(address: Address, body: bytes) -> dict[str, str]:
    """What is kept of a callback: codes and names of objects, no number and no name of a person.

    BadEvent where it is not what Daraja sends to such an address.
    """
    try:
        said = json.loads(body)
        if address.what == STK:
            call = said["Body"]["stkCallback"]
            return {
                "checkout": _plain(call["CheckoutRequestID"]),
                "code": _plain(call["ResultCode"]),
            }
        result = said["Result"]
        kept = {
            "code": _plain(result.get("ResultCode", "")),
            "conversation": _plain(result.get("ConversationID", "")),
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadEvent(why="not what Daraja sends") from None
    return kept | (_status_kept(result) if address.what == STATUS else {})


def _status_kept(result: Mapping[str, Any]) -> dict[str, str]:
    listed = (result.get("ResultParameters") or {}).get("ResultParameter") or []
    if not isinstance(listed, list):
        raise BadEvent(why="not what Daraja sends")
    named = {str(each.get("Key")): each.get("Value", "") for each in listed}
    names = {
        "status": "TransactionStatus",
        "receipt": "ReceiptNo",
        "amount": "Amount",
        "key": "OriginatorConversationID",
        "paid_by": "ConversationID",
        "ended": "FinalisedTime",
    }
    return {ours: _plain(named.get(theirs, "")) for ours, theirs in names.items()}


def _plain(value: object) -> str:
    text = str(value)
    if len(text) > 80 or not (text.isascii() and text.isprintable()):
        raise ValueError(value)
    return text


def status_says(address: Address, kept: Mapping[str, str], *, at: datetime) -> Notice | None:
    """What the answer to a status query says of a payout; None where it does not tell.

    Broken if it speaks of another payment or of another amount: people must look.
    """
    status = kept.get("status", "").lower()
    if kept.get("code") != "0" or not (status == "completed" or status in _ENDED):
        return None
    is_other = kept.get("key") not in {"", str(address.operation_id)}
    if is_other or _minor(kept.get("amount", "")) not in {None, address.amount_minor}:
        raise Broken("M-Pesa tells of another payment", operation_id=str(address.operation_id))
    receipt = kept.get("receipt", "")
    is_paid = status == "completed" and bool(receipt)
    if status == "completed" and not is_paid:
        return None
    return notice_of(
        address,
        RailOutcome.DONE if is_paid else RailOutcome.REFUSED,
        at=_time(kept.get("ended", "")) or at,
        rail_ref=kept.get("paid_by") or kept.get("conversation", ""),
        code="" if is_paid else reason_code(address.reason),
        transaction_ref=receipt if is_paid else "",
    )


def _minor(shillings_text: str) -> int | None:
    """Whole shillings as `300` or `300.00`; anything else is an amount that we did not ask for."""
    if not shillings_text:
        return None
    found = re.fullmatch(r"([0-9]{1,12})(?:\.([0-9]{1,2}))?", shillings_text, re.ASCII)
    if found is None:
        return -1
    return int(found[1]) * WHOLE + int((found[2] or "").ljust(2, "0"))


def _time(digits: str) -> datetime | None:
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=NAIROBI)
    except ValueError:
        return None
