"""What PayPal is sent: pure. Amounts are decimal strings; three currencies have no decimals there.

Sources: PayPal's specifications of Orders 2.13, Payments 2.5 and Payouts 1.9.
"""

from typing import Any, Final

from kernel.money import exponent, format_minor
from rails.model import RailOperation

WITHOUT_DECIMALS: Final = frozenset({"HUF", "JPY", "TWD"})
"""An amount of these with decimals is refused there."""


def value_of(amount_minor: int, currency: str) -> str:
    """The amount as PayPal writes it: whole where the currency has no decimals there."""
    text = format_minor(amount_minor, currency)
    if currency not in WITHOUT_DECIMALS or exponent(currency) == 0:
        return text
    whole, _, fraction = text.partition(".")
    assert int(fraction) == 0
    return whole


def order_body(operation: RailOperation, *, return_url: str, cancel_url: str) -> dict[str, Any]:
    """An order that is captured in a second step, once its payer said yes.

    Only means that pay at once are let in. The invoice id is ours: an account that blocks double
    payments captures it once, even where two orders were made.
    """
    said_id = str(operation.id)
    context = {
        "payment_method_preference": "IMMEDIATE_PAYMENT_REQUIRED",
        "shipping_preference": "NO_SHIPPING",
        "user_action": "PAY_NOW",
    }
    urls = {"return_url": return_url, "cancel_url": cancel_url}
    unit = {
        "reference_id": operation.key,
        "custom_id": said_id,
        "invoice_id": said_id,
        "amount": {
            "currency_code": operation.currency,
            "value": value_of(operation.amount_minor, operation.currency),
        },
    }
    return {
        "intent": "CAPTURE",
        "purchase_units": [unit],
        "payment_source": {
            "paypal": {
                "experience_context": context | {name: url for name, url in urls.items() if url}
            }
        },
    }


def refund_body(operation: RailOperation) -> dict[str, Any]:
    """A refund of a part or the whole, which can be found again by its custom id."""
    return {
        "custom_id": str(operation.id),
        "amount": {
            "currency_code": operation.currency,
            "value": value_of(operation.amount_minor, operation.currency),
        },
    }


def payout_body(operation: RailOperation) -> dict[str, Any]:
    """A batch of one: its id is ours and is remembered for 30 days."""
    receiver = operation.method.removeprefix("paypal:")
    return {
        "sender_batch_header": {"sender_batch_id": operation.key},
        "items": [
            {
                "recipient_type": recipient_type(receiver),
                "receiver": receiver,
                "sender_item_id": str(operation.id),
                "amount": {
                    "currency": operation.currency,
                    "value": value_of(operation.amount_minor, operation.currency),
                },
            }
        ],
    }


def recipient_type(receiver: str) -> str:
    """What a payee is known by there: an e-mail address, a phone number, or PayPal's own id."""
    if "@" in receiver:
        return "EMAIL"
    return "PHONE" if receiver.lstrip("+").replace("-", "").isdigit() else "PAYPAL_ID"
