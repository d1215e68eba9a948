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
        "webhook.operator_only": (403, "Operators only", "Only an operator may do this."),
        "webhook.unknown_endpoint": (404, "Unknown endpoint", "There is no such endpoint."),
        "webhook.endpoint_disabled": (409, "Endpoint disabled", "Nothing is sent there."),
        "webhook.delivery_arrived": (
            409,
            "Delivery does not wait",
            "No delivery {delivery_no} is dead or waits: it has arrived, or there is none.",
        ),
        "webhook.bad_url": (
            422,
            "Address not allowed",
            "Webhooks go over TLS to public addresses, at the ports 443, 4443 and 8443: {why}.",
        ),
    }
)
"""By code."""
