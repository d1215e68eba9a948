"""The words on invoices, in English; what has no words is told by its own name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {"invoice": "Invoice", "receipt": "Receipt", "credit_note": "Credit note"}
)
FEES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "commission": "Commission on a release",
        "client_fee": "Marketplace fee",
        "subscription": "Subscription",
    }
)
NOTES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "reverse_charge": "Reverse charge: the tax is to be accounted for by the recipient.",
        "outside_scope": "Outside the scope of the supplier's tax: the place of supply is that of"
        " the recipient.",
    }
)
TREATMENTS: Final[Mapping[str, str]] = MappingProxyType(
    {"reverse_charge": "reverse charge", "outside_scope": "outside the scope"}
)


def fee_words(kind: str) -> str:
    """What a kind of fee is called."""
    return FEES.get(kind) or kind.replace("_", " ").capitalize()


def rate_words(rate_bps: int) -> str:
    """A rate in percent: 25.5 %."""
    whole, part = divmod(rate_bps, 100)
    decimals = f".{part:02d}".rstrip("0").rstrip(".")
    return f"{whole}{decimals} %"
