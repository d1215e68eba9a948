"""The words of what chargebacks refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CHARGEBACKS: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "chargeback.unknown": (404, "Unknown chargeback", "There is no such chargeback."),
        "chargeback.payment_open": (
            409,
            "Payment not heard of yet",
            "The payment is {state}; the word is heard again once it was made.",
        ),
        "chargeback.payee_not_heard": (
            409,
            "Payee not heard yet",
            "The payee answers first, or is told and has his time: until {heard_by}.",
        ),
        "chargeback.too_late": (
            409,
            "Deadline is over",
            "The client's bank took evidence until {due_by}.",
        ),
        "rail.unknown_payment": (
            404,
            "Unknown payment",
            "The rail has no payment of this id that was made.",
        ),
        "rail.unknown_chargeback": (
            409,
            "Another payment's chargeback",
            "The rail knows {chargeback} as a chargeback of another payment.",
        ),
        "rail.bad_act": (
            422,
            "The bank cannot do this",
            "It says a word that rails know, or moves an amount above zero under a name.",
        ),
        "chargeback.bad_statement": (
            422,
            "Malformed statement",
            "A statement names a document; its SHA-256 has 64 hexadecimal digits.",
        ),
    }
)
"""By code."""
