"""The words of what is refused of worked hours.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

HOURLY: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "escrow.unknown_term": (404, "Unknown hourly term", "No hourly term has this id."),
        "escrow.unknown_week": (404, "Unknown week", "No worked week has this id."),
        "escrow.unknown_entry": (404, "Unknown time entry", "No time entry has this id."),
        "escrow.bad_hours": (
            422,
            "Hourly terms out of range",
            "{field} lies between {lowest} and {highest}.",
        ),
        "escrow.bad_entry": (422, "No such hours", "These hours cannot be logged: {why}."),
        "escrow.hours_overlap": (
            409,
            "Hours overlap",
            "Hours from {started_at} are logged already, under this term or another.",
        ),
        "escrow.rate_only_rises": (
            422,
            "Rate only rises",
            "A rate is raised above {rate_minor} minor units an hour; a lower one is a new term.",
        ),
    }
)
