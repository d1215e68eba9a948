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
        "escrow.unknown_line": (404, "Unknown line", "The week's invoice has no line {line_no}."),
        "escrow.unknown_line_dispute": (
            404,
            "Unknown disputed line",
            "No disputed line has this id.",
        ),
        "escrow.unknown_run": (404, "Unknown run", "No time that runs has this id."),
        "escrow.line_disputed_already": (
            409,
            "Disputed already",
            "A line is disputed once; see {line_dispute_id}.",
        ),
        "escrow.bad_refund": (
            422,
            "More than is frozen",
            "Of a disputed line nothing up to all that is frozen goes back.",
        ),
        "escrow.line_in_person": (
            403,
            "People decide",
            "A contested line is decided by operators in person, not by programs.",
        ),
        "escrow.line_not_proposed": (
            409,
            "Nothing proposed",
            "One operator proposes what goes back, then another approves.",
        ),
        "escrow.line_same_person": (
            403,
            "Takes another person",
            "Who proposed what goes back does not approve it.",
        ),
        "escrow.logging_paused": (
            409,
            "Logging rests",
            "The client's payment failed at {paused_at}; hours worked since wait until he pays.",
        ),
        "escrow.refund_too_late": (
            409,
            "Too late to give back",
            "You may give this back until {until}; later an operator does, with your agreement.",
        ),
        "escrow.runs_already": (
            409,
            "Time runs already",
            "Stop what runs first: {run_id}.",
        ),
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
