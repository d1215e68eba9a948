"""What PayPal's answers mean: pure, no call is made here.

Amounts are decimal strings and never numbers. Sources: PayPal's
specifications of Orders 2.13, Payments 2.5 and Payouts 1.9; domain/rails.md section 3.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from kernel.errors import RailTrouble, Refusal
from kernel.money import parse_minor
from rails.model import (
    INSUFFICIENT_FUNDS,
    OPERATION_CHANGED,
    PAYOUT_RETURNED,
    PAYOUT_UNCLAIMED,
    Notice,
    RailOperation,
    RailOutcome,
    RailResult,
)

NAME: Final = "paypal"

APPROVED: Final = "paypal.approved"
"""Code of a pending funding: the payer said yes, and we have not captured yet."""

_SHORT: Final = frozenset({"REFUND_FAILED_INSUFFICIENT_FUNDS", "INSUFFICIENT_FUNDS"})

_PAYER_LINKS: Final = ("payer-action", "approve")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What PayPal says of one operation of ours; None for an amount that it does not say."""

    outcome: RailOutcome
    rail_ref: str
    amount_minor: int | None = None
    currency: str = ""
    fee_minor: int = 0
    code: str = ""
    occurred_at: datetime | None = None
    has_left: bool = False
    transaction_ref: str = ""


def result_of(operation: RailOperation, said: Said, *, at: datetime) -> RailResult:
    """The result of an operation; what was refused or is open counts at the amount asked for."""
    moved = said.outcome is RailOutcome.DONE and said.amount_minor is not None
    return RailResult(
        operation_id=operation.id,
        kind=operation.kind,
        subject=operation.subject,
        outcome=said.outcome,
        amount_minor=said.amount_minor or 0 if moved else operation.amount_minor,
        currency=said.currency if moved else operation.currency,
        fee_minor=said.fee_minor,
        rail_ref=said.rail_ref or operation.rail_ref,
        code=said.code,
        occurred_at=said.occurred_at or at,
        has_left=said.has_left,
        transaction_ref=said.transaction_ref,
    )


def notice_of(operation_id: UUID, said: Said, *, at: datetime) -> Notice | None:
    """The same truth as a notice, named by it; None where the amount is not said."""
    if said.amount_minor is None:
        return None
    truth = f"{said.outcome}{'+' if said.has_left else ''}"
    return Notice(
        rail=NAME,
        notice_id=f"{said.rail_ref}:{operation_id}:{truth}:{said.transaction_ref}",
        kind=OPERATION_CHANGED,
        rail_ref=said.rail_ref,
        operation_id=operation_id,
        outcome=said.outcome,
        amount_minor=said.amount_minor,
        currency=said.currency,
        fee_minor=said.fee_minor,
        code=said.code,
        occurred_at=said.occurred_at or at,
        has_left=said.has_left,
        transaction_ref=said.transaction_ref,
    )


def order_says(order: Mapping[str, Any]) -> Said:
    """What an order says of its funding: open, approved, captured, declined or void.

    PENDING stays a capture that waits (for a review, or for the payer's bank): its money is not
    there. What was refunded later was captured all the same.
    """
    order_id = _text(order, "id")
    unit: Mapping[str, Any] = next(iter(order.get("purchase_units") or ()), {})
    minor, currency = _money_or_none(unit.get("amount"))
    captures = (unit.get("payments") or {}).get("captures") or ()
    if captures:
        return capture_says(captures[-1], order_id=order_id)
    status = order.get("status")
    outcome, code = RailOutcome.PENDING, APPROVED if status == "APPROVED" else ""
    if status == "VOIDED":
        outcome, code = RailOutcome.REFUSED, "paypal.voided"
    return Said(
        outcome=outcome,
        rail_ref=order_id,
        amount_minor=minor,
        currency=currency,
        code=code,
        occurred_at=time_of(order.get("update_time") or order.get("create_time")),
    )


_CAPTURES: Final[Mapping[str, tuple[RailOutcome, str]]] = {
    "COMPLETED": (RailOutcome.DONE, ""),
    "PARTIALLY_REFUNDED": (RailOutcome.DONE, ""),
    "REFUNDED": (RailOutcome.DONE, ""),
    "DECLINED": (RailOutcome.REFUSED, "paypal.declined"),
    "FAILED": (RailOutcome.REFUSED, "paypal.failed"),
}


def capture_says(capture: Mapping[str, Any], *, order_id: str) -> Said:
    """What a capture says of its funding: what it brought, and what PayPal kept of it."""
    outcome, code = _CAPTURES.get(str(capture.get("status")), (RailOutcome.PENDING, ""))
    minor, currency = minor_of(capture.get("amount"))
    is_done = outcome is RailOutcome.DONE
    return Said(
        outcome=outcome,
        rail_ref=order_id,
        amount_minor=minor,
        currency=currency,
        fee_minor=_fee_minor(capture, currency) if is_done else 0,
        code=code,
        occurred_at=time_of(capture.get("create_time")),
        transaction_ref=_text(capture, "id") if is_done else "",
    )


def order_of_capture(capture: Mapping[str, Any]) -> str:
    """The order that a capture belongs to; empty where it does not say."""
    related = (capture.get("supplementary_data") or {}).get("related_ids") or {}
    if related.get("order_id"):
        return str(related["order_id"])
    paths = [str(link.get("href")) for link in _links(capture) if link.get("rel") == "up"]
    return next((path.rsplit("/", 1)[1] for path in paths if "/checkout/orders/" in path), "")


_REFUNDS: Final[Mapping[str, tuple[RailOutcome, str]]] = {
    "COMPLETED": (RailOutcome.DONE, ""),
    "CANCELLED": (RailOutcome.REFUSED, "paypal.refund_cancelled"),
    "FAILED": (RailOutcome.REFUSED, "paypal.refund_failed"),
}


def refund_says(refund: Mapping[str, Any]) -> Said:
    """What a refund says of itself."""
    outcome, code = _REFUNDS.get(str(refund.get("status")), (RailOutcome.PENDING, ""))
    minor, currency = _money_or_none(refund.get("amount"))
    refund_id = _text(refund, "id")
    return Said(
        outcome=outcome,
        rail_ref=refund_id,
        amount_minor=minor,
        currency=currency,
        code=code,
        occurred_at=time_of(refund.get("create_time")),
        transaction_ref=refund_id if outcome is RailOutcome.DONE else "",
    )


def captured_in(order: Mapping[str, Any]) -> str:
    """The id of an order's capture; empty where nothing was captured."""
    found = [each for each in _payments(order, "captures") if each.get("status") in _CAPTURES]
    return _text(found[-1], "id") if found else ""


def refund_in(order: Mapping[str, Any], operation_id: UUID) -> Mapping[str, Any] | None:
    """Our refund among those of an order, by its custom id."""
    for refund in _payments(order, "refunds"):
        if refund.get("custom_id") == str(operation_id):
            return refund
    return None


_ITEMS: Final[Mapping[str, tuple[RailOutcome, str]]] = {
    "SUCCESS": (RailOutcome.DONE, ""),
    "UNCLAIMED": (RailOutcome.PENDING, PAYOUT_UNCLAIMED),
    "FAILED": (RailOutcome.REFUSED, "paypal.failed"),
    "BLOCKED": (RailOutcome.REFUSED, "paypal.blocked"),
    "DENIED": (RailOutcome.REFUSED, "paypal.denied"),
    "RETURNED": (RailOutcome.REFUSED, PAYOUT_RETURNED),
    "REFUNDED": (RailOutcome.REFUSED, PAYOUT_RETURNED),
    "REVERSED": (RailOutcome.REFUSED, PAYOUT_RETURNED),
}


def item_says(item: Mapping[str, Any], *, batch_status: str = "") -> Said:
    """What the item of a payout says. Only UNCLAIMED money has left without having arrived.

    An item of a batch that was denied never went, whatever it says of itself.
    """
    status = str(item.get("transaction_status") or "PENDING")
    if batch_status in {"DENIED", "CANCELED"} and status == "PENDING":
        status = "DENIED"
    outcome, code = _ITEMS.get(status, (RailOutcome.PENDING, ""))
    named = str((item.get("errors") or {}).get("name") or "")
    if outcome is RailOutcome.REFUSED and code != PAYOUT_RETURNED and named:
        code = code_of(named)
    minor, currency = minor_of((item.get("payout_item") or {}).get("amount"))
    gone = outcome is RailOutcome.DONE or code == PAYOUT_UNCLAIMED
    return Said(
        outcome=outcome,
        rail_ref=_text(item, "payout_batch_id"),
        amount_minor=minor,
        currency=currency,
        code=code,
        occurred_at=time_of(item.get("time_processed")),
        has_left=code == PAYOUT_UNCLAIMED,
        transaction_ref=str(item.get("transaction_id") or "") if gone else "",
    )


def batch_of(answer: Mapping[str, Any]) -> Said:
    """What the answer to a new batch says: taken in, and not more."""
    header = answer.get("batch_header") or {}
    return Said(outcome=RailOutcome.PENDING, rail_ref=_text(header, "payout_batch_id"))


def twin_of(answer: Mapping[str, Any]) -> str:
    """The batch that had this batch id before, which the refusal of a second one links to.

    Empty where the answer speaks of no other batch; RailTrouble where it does without a link, for
    then the first one may have paid.
    """
    links = _links(answer)
    for detail in answer.get("details") or ():
        links += detail.get("link") or detail.get("links") or []
    for link in links:
        path = str(link.get("href") or "")
        if "/payments/payouts/" in path:
            return path.rsplit("/", 1)[1].partition("?")[0]
    if any(word in str(answer).lower() for word in ("duplicate", "already exists")):
        raise RailTrouble("PayPal: a batch of this id is there, and it is not said which")
    return ""


def payer_link(order: Mapping[str, Any]) -> str:
    """Where the payer says yes; empty where there is nothing more to be said."""
    by_rel = {link.get("rel"): str(link.get("href") or "") for link in _links(order)}
    return next((by_rel[rel] for rel in _PAYER_LINKS if by_rel.get(rel)), "")


def issue_of(answer: Mapping[str, Any]) -> str:
    """PayPal's own word for what was wrong."""
    for detail in answer.get("details") or ():
        if detail.get("issue"):
            return str(detail["issue"])
    return str(answer.get("name") or "unknown")


def code_of(issue: str) -> str:
    """The code of a refusal in our words."""
    return INSUFFICIENT_FUNDS if issue in _SHORT else f"{NAME}.{issue.lower()[:60]}"


def minor_of(money: object) -> tuple[int, str]:
    """Minor units, signed, and currency of an amount; RailTrouble if it cannot be read."""
    if not isinstance(money, Mapping):
        raise RailTrouble("PayPal: an amount is missing")
    currency = money.get("currency_code") or money.get("currency")
    value = money.get("value")
    if not isinstance(currency, str) or not isinstance(value, str):
        raise RailTrouble("PayPal: an amount cannot be read")
    digits = value.removeprefix("-")
    if "." in digits:
        whole, _, fraction = digits.partition(".")
        fraction = fraction.rstrip("0")
        digits = (whole or "0") + (f".{fraction}" if fraction else "")
    try:
        minor = 0 if digits and not digits.strip("0") else parse_minor(digits, currency)
    except Refusal as refusal:
        raise RailTrouble(f"PayPal: an amount cannot be read: {refusal.code}") from refusal
    return -minor if value.startswith("-") else minor, currency


def operation_of(custom_id: object) -> UUID | None:
    """The operation that an object names; None where it is none of ours."""
    try:
        return UUID(str(custom_id))
    except ValueError:
        return None


def object_of(event: Mapping[str, Any]) -> str:
    """PayPal's name of what an event is about: an order, a payment, an item or a batch."""
    resource = event.get("resource")
    if not isinstance(resource, Mapping):
        return ""
    header = resource.get("batch_header") or {}
    found = resource.get("payout_item_id") or header.get("payout_batch_id") or resource.get("id")
    text = str(found or "")
    return text if text.isascii() and text.replace("-", "").isalnum() and len(text) < 64 else ""


def kept_of(event: Mapping[str, Any]) -> dict[str, str]:
    """What is kept of an event: names of things. Payers' names and addresses are left out."""
    names = ("id", "event_type", "event_version", "create_time", "resource_type")
    return {name: str(event.get(name) or "")[:200] for name in names} | {
        "resource": object_of(event)
    }


def next_page(answer: Mapping[str, Any]) -> dict[str, str]:
    """The query of the next page of a list; empty at its end. Its host is not looked at."""
    for link in _links(answer):
        if link.get("rel") == "next":
            return dict(parse_qsl(urlsplit(str(link.get("href") or "")).query))
    return {}


def _money_or_none(money: object) -> tuple[int | None, str]:
    return minor_of(money) if money else (None, "")


def _fee_minor(capture: Mapping[str, Any], currency: str) -> int:
    """The fee in the currency of the payment; trouble where it was taken in another."""
    fee = (capture.get("seller_receivable_breakdown") or {}).get("paypal_fee")
    if not fee:
        return 0
    minor, of = minor_of(fee)
    if of != currency:
        raise RailTrouble("PayPal: the fee is in another currency than the payment")
    return minor


def _payments(order: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    for unit in order.get("purchase_units") or ():
        yield from (unit.get("payments") or {}).get(kind) or ()


def _links(said: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(said.get("links") or ())


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value:
        raise RailTrouble(f"PayPal: the answer has no {name}")
    return value


def time_of(text: object) -> datetime | None:
    """A time with its zone; None where none is said, RailTrouble if it cannot be read."""
    if not text:
        return None
    try:
        read = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise RailTrouble("PayPal: a time cannot be read") from error
    if read.tzinfo is None:
        raise RailTrouble("PayPal: a time without a zone")
    return read
