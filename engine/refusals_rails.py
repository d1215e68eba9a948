"""The words of what rails refuse before anything is written.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

RAILS: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "rail.unknown": (422, "Unknown rail", "No rail of the name {rail} is set up here."),
        "rail.amount_not_possible": (
            422,
            "Amount not possible",
            "{rail} moves {currency} in steps of {step_minor} minor units from {smallest_minor}.",
        ),
        "rail.currency_not_taken": (
            422,
            "Currency not taken",
            "The rail {rail} does not take {currency}.",
        ),
        "rail.not_offered": (409, "Not offered", "The rail has no such thing."),
        "rail.bad_signature": (
            400,
            "Bad signature",
            "The event was not signed by the rail, or too long ago.",
        ),
        "rail.bad_event": (400, "Unreadable event", "The event cannot be read."),
    }
)
"""By code."""
