"""The words of refusals about events of rails and about webhooks that we send.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

EVENTS: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "rail.operator_only": (403, "Operators only", "Only an operator may do this."),
        "rail.event_not_waiting": (
            409,
            "Event does not wait",
            "No event {event_no} waits: it is processed, or new, or there is none.",
        ),
    }
)
"""By code."""
