"""What PayPal knows: orders, captures, refunds, batches, a balance and every movement on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any, Final

from tests.doubles.frame import Clock

Json = dict[str, Any]

WHOLE: Final = frozenset({"HUF", "JPY", "TWD"})
TAKEN: Final = WHOLE | {"AUD", "CAD", "CHF", "EUR", "GBP", "PLN", "SEK", "USD"}

ITEM_EVENTS: Final = {
    "SUCCESS": "SUCCEEDED",
    "ONHOLD": "HELD",
    "FAILED": "FAILED",
    "BLOCKED": "BLOCKED",
    "UNCLAIMED": "UNCLAIMED",
    "RETURNED": "RETURNED",
    "REFUNDED": "REFUNDED",
    "DENIED": "DENIED",
}


class Refused(Exception):  # noqa: N818  what the double answers, not an error of its own
    """An answer of 4xx."""

    def __init__(self, status: int, issue: str, **more: Any) -> None:
        super().__init__(issue)
        self.status, self.issue, self.more = status, issue, more


def stamp(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def text(amount: Decimal, currency: str) -> str:
    return str(amount.quantize(Decimal(1) if currency in WHOLE else Decimal("0.01")))


def money(amount: Decimal, currency: str) -> Json:
    return {"currency_code": currency, "value": text(amount, currency)}


def read(said: Mapping[str, Any], name: str = "currency_code") -> tuple[Decimal, str]:
    currency, value = said[name], Decimal(said["value"])
    if currency not in TAKEN:
        raise Refused(422, "CURRENCY_NOT_SUPPORTED")
    if currency in WHOLE and "." in said["value"]:
        raise Refused(422, "DECIMALS_NOT_SUPPORTED")
    if value <= 0:
        raise Refused(422, "CANNOT_BE_ZERO_OR_NEGATIVE")
    return value, currency


def _there(objects: Mapping[str, Json], name: str) -> Json:
    if name not in objects:
        raise Refused(404, "INVALID_RESOURCE_ID")
    return objects[name]


@dataclass
class State:
    clock: Clock
    tell: Callable[[str, str, Json], None] = lambda *_: None
    base: str = "https://api-m.sandbox.paypal.com"
    orders: dict[str, Json] = field(default_factory=dict)
    captures: dict[str, Json] = field(default_factory=dict)
    refunds: dict[str, Json] = field(default_factory=dict)
    batches: dict[str, Json] = field(default_factory=dict)
    items: dict[str, Json] = field(default_factory=dict)
    balance: dict[str, Decimal] = field(default_factory=dict)
    movements: list[Json] = field(default_factory=list)
    declines: dict[str, str] = field(default_factory=dict)
    refund_status: str = "COMPLETED"
    capture_status: str = "COMPLETED"
    count: int = 0

    def new_id(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count:015d}"

    # Orders

    def create_order(self, said: Json) -> Json:
        unit = said["purchase_units"][0]
        read(unit["amount"])
        order_id = self.new_id("5O")
        now = stamp(self.clock.now)
        order = {
            "id": order_id,
            "intent": said["intent"],
            "status": "PAYER_ACTION_REQUIRED",
            "create_time": now,
            "update_time": now,
            "purchase_units": [unit | {"payments": {"captures": [], "refunds": []}}],
            "links": [
                self._link(f"/v2/checkout/orders/{order_id}", "self"),
                {
                    "href": f"https://www.sandbox.paypal.com/checkoutnow?token={order_id}",
                    "rel": "payer-action",
                    "method": "GET",
                },
            ],
        }
        self.orders[order_id] = order
        return order

    def approve(self, order_id: str, *, decline: str = "") -> None:
        order = self.orders[order_id]
        order["status"] = "APPROVED"
        order["links"] = order["links"][:1]
        if decline:
            self.declines[order_id] = decline
        self.tell("CHECKOUT.ORDER.APPROVED", "checkout-order", order)

    def void(self, order_id: str) -> None:
        self.orders[order_id]["status"] = "VOIDED"
        self.tell("CHECKOUT.ORDER.VOIDED", "checkout-order", self.orders[order_id])

    def capture(self, order_id: str) -> Json:
        order = _there(self.orders, order_id)
        if order["status"] == "COMPLETED":
            raise Refused(422, "ORDER_ALREADY_CAPTURED")
        if order["status"] != "APPROVED":
            raise Refused(422, "ORDER_NOT_APPROVED")
        if order_id in self.declines:
            raise Refused(422, self.declines[order_id])
        unit = order["purchase_units"][0]
        invoices = [each["invoice_id"] for each in self.captures.values()]
        if unit["invoice_id"] in invoices:
            raise Refused(422, "DUPLICATE_INVOICE_ID")
        amount, currency = read(unit["amount"])
        capture_id = self.new_id("3C")
        now = stamp(self.clock.now)
        capture = {
            "id": capture_id,
            "status": self.capture_status,
            "amount": money(amount, currency),
            "final_capture": True,
            "custom_id": unit["custom_id"],
            "invoice_id": unit["invoice_id"],
            "create_time": now,
            "update_time": now,
            "links": [
                self._link(f"/v2/payments/captures/{capture_id}", "self"),
                self._link(f"/v2/checkout/orders/{order_id}", "up"),
            ],
        }
        self.captures[capture_id] = capture
        unit["payments"]["captures"].append(capture)
        order["status"] = "COMPLETED"
        order["update_time"] = now
        if self.capture_status == "COMPLETED":
            self.complete(capture_id)
        else:
            word = "DECLINED" if self.capture_status == "DECLINED" else "PENDING"
            self.tell(f"PAYMENT.CAPTURE.{word}", "capture", capture)
        return order

    def complete(self, capture_id: str) -> None:
        capture = self.captures[capture_id]
        amount, currency = read(capture["amount"])
        step = Decimal(1) if currency in WHOLE else Decimal("0.01")
        fee = (amount * Decimal("0.0349")).quantize(step, ROUND_HALF_UP) + 49 * step
        capture["status"] = "COMPLETED"
        capture["seller_receivable_breakdown"] = {
            "gross_amount": money(amount, currency),
            "paypal_fee": money(fee, currency),
            "net_amount": money(amount - fee, currency),
        }
        self._move("T0006", capture_id, amount, -fee, currency, capture["custom_id"])
        self.tell("PAYMENT.CAPTURE.COMPLETED", "capture", capture)

    def seen_order(self, order_id: str) -> Json:
        return _there(self.orders, order_id)

    def seen_refund(self, refund_id: str) -> Json:
        return _there(self.refunds, refund_id)

    def seen_capture(self, capture_id: str) -> Json:
        capture = _there(self.captures, capture_id)
        order_id = next(
            each["href"].rsplit("/", 1)[1] for each in capture["links"] if each["rel"] == "up"
        )
        return capture | {"supplementary_data": {"related_ids": {"order_id": order_id}}}

    def refund(self, capture_id: str, said: Json) -> Json:
        capture = _there(self.captures, capture_id)
        if capture["status"] == "PENDING":
            raise Refused(422, "PENDING_CAPTURE")
        whole, currency = read(capture["amount"])
        amount, _ = read(said.get("amount") or capture["amount"])
        unit = next(
            order["purchase_units"][0]
            for order in self.orders.values()
            if capture in order["purchase_units"][0]["payments"]["captures"]
        )
        given = sum(read(each["amount"])[0] for each in unit["payments"]["refunds"])
        if given + amount > whole:
            raise Refused(422, "REFUND_AMOUNT_EXCEEDED")
        if self.balance.get(currency, Decimal()) < amount:
            raise Refused(422, "REFUND_FAILED_INSUFFICIENT_FUNDS")
        refund_id = self.new_id("1R")
        refund = {
            "id": refund_id,
            "status": self.refund_status,
            "amount": money(amount, currency),
            "custom_id": said["custom_id"],
            "create_time": stamp(self.clock.now),
            "links": [
                self._link(f"/v2/payments/refunds/{refund_id}", "self"),
                self._link(f"/v2/payments/captures/{capture_id}", "up"),
            ],
        }
        self.refunds[refund_id] = refund
        unit["payments"]["refunds"].append(refund)
        capture["status"] = "REFUNDED" if given + amount == whole else "PARTIALLY_REFUNDED"
        if self.refund_status == "COMPLETED":
            self.settle_refund(refund_id, "COMPLETED")
        return refund

    def settle_refund(self, refund_id: str, status: str) -> None:
        refund = self.refunds[refund_id]
        refund["status"] = status
        if status == "COMPLETED":
            amount, currency = read(refund["amount"])
            self._move("T1107", refund_id, -amount, Decimal(), currency, refund["custom_id"])
        word = "PAYMENT.CAPTURE.REFUNDED" if status == "COMPLETED" else "PAYMENT.REFUND.FAILED"
        self.tell(word, "refund", refund)

    # Payouts

    def pay_out(self, said: Json) -> Json:
        header = said["sender_batch_header"]
        for batch in self.batches.values():
            if batch["sender_batch_id"] == header["sender_batch_id"]:
                raise Refused(400, "Batch with given sender_batch_id already exists", batch=batch)
        for each in said["items"]:
            read(each["amount"], "currency")
        batch_id = self.new_id("B")
        item_ids = [self.new_id("I") for _ in said["items"]]
        for item_id, each in zip(item_ids, said["items"], strict=True):
            self.items[item_id] = {
                "payout_item_id": item_id,
                "payout_batch_id": batch_id,
                "transaction_status": "PENDING",
                "payout_item": each,
            }
        batch = {
            "id": batch_id,
            "status": "PENDING",
            "items": item_ids,
            "sender_batch_id": header["sender_batch_id"],
            "created_at": stamp(self.clock.now),
        }
        self.batches[batch_id] = batch
        self.clock.after(timedelta(minutes=1), lambda: self.process(batch_id))
        return batch

    def taken_batch(self, said: Json) -> Json:
        batch = self.pay_out(said)
        link = self._link(f"/v1/payments/payouts/{batch['id']}", "self")
        return {"batch_header": self.header(batch), "links": [link]}

    def process(self, batch_id: str) -> None:
        """Pay what waits. The receiver's name forces an end: `unclaimed@`, `failed@`, ..."""
        batch = self.batches[batch_id]
        batch["status"] = "SUCCESS"
        for item_id in batch["items"]:
            item = self.items[item_id]
            amount, currency = read(item["payout_item"]["amount"], "currency")
            forced = item["payout_item"]["receiver"].partition("@")[0].upper()
            fee = min(amount * 2 / 100, Decimal(1) if currency not in WHOLE else Decimal(100))
            fee = fee.quantize(Decimal(1) if currency in WHOLE else Decimal("0.01"))
            if self.balance.get(currency, Decimal()) < amount + fee:
                batch["status"] = "DENIED"
                item["errors"] = {
                    "name": "INSUFFICIENT_FUNDS",
                    "message": "Sender does not have sufficient funds.",
                    "debug_id": "d",
                }
                self.tell("PAYMENT.PAYOUTSBATCH.DENIED", "payouts", self.seen_batch(batch_id))
                continue
            status = forced if forced in ITEM_EVENTS else "SUCCESS"
            self.set_item(item_id, "UNCLAIMED" if status == "RETURNED" else status, fee=fee)
            if status == "RETURNED":
                self.clock.after(timedelta(days=30), partial(self.set_item, item_id, "RETURNED"))

    def set_item(self, item_id: str, status: str, *, fee: Decimal = Decimal()) -> None:
        item = self.items[item_id]
        amount, currency = read(item["payout_item"]["amount"], "currency")
        pays = {"SUCCESS", "UNCLAIMED"}
        was_paid = item["transaction_status"] in pays
        if status in pays and not was_paid:
            item["transaction_id"] = self.new_id("7T")
            self._move("T0001", item["transaction_id"], -amount, -fee, currency, "")
        if status in {"RETURNED", "REFUNDED"} and was_paid:
            self._move("T1115", self.new_id("7T"), amount, Decimal(), currency, "")
        item["transaction_status"] = status
        item["time_processed"] = stamp(self.clock.now)
        word = ITEM_EVENTS[status]
        self.tell(f"PAYMENT.PAYOUTS-ITEM.{word}", "payouts_item", self.seen_item(item_id))

    def seen_batch(self, batch_id: str) -> Json:
        batch = _there(self.batches, batch_id)
        return {
            "batch_header": self.header(batch),
            "items": [self.items[each] for each in batch["items"]],
            "links": [],
        }

    def header(self, batch: Json) -> Json:
        return {
            "payout_batch_id": batch["id"],
            "batch_status": batch["status"],
            "time_created": batch["created_at"],
            "sender_batch_header": {"sender_batch_id": batch["sender_batch_id"]},
        }

    def seen_item(self, item_id: str) -> Json:
        return _there(self.items, item_id)

    def _move(
        self, code: str, ref: str, amount: Decimal, fee: Decimal, currency: str, custom: str
    ) -> None:
        self.balance[currency] = self.balance.get(currency, Decimal()) + amount + fee
        info: Json = {
            "transaction_id": ref,
            "transaction_event_code": code,
            "transaction_initiation_date": stamp(self.clock.now),
            "transaction_amount": money(amount, currency),
            "transaction_status": "S",
        }
        if fee:
            info["fee_amount"] = money(fee, currency)
        if custom:
            info["custom_field"] = custom
        self.movements.append(info)

    def _link(self, path: str, rel: str) -> Json:
        return {"href": f"{self.base}{path}", "rel": rel, "method": "GET"}
