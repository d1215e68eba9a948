"""The words of what is refused at the auditor's door and to the journal-entry tests.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

AUDITOR: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "audit.bad_value": (422, "Value not taken", "A value of the tests cannot be read."),
        "audit.unknown_value": (422, "Unknown value", "The tests have no value of this name."),
        "auditor.bad_name": (
            422,
            "Malformed auditor",
            "A name is a small letter, then up to 23 small letters, digits, underscores.",
        ),
        "auditor.exists": (409, "Auditor exists", "The tenant has an auditor of this name."),
        "auditor.unknown": (404, "Unknown auditor", "The tenant has no auditor of this name."),
        "auditor.date_is_past": (422, "Date is past", "The last day lies before today."),
    }
)
