"""The words of what is refused while books are taken over or brought back from an export.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

TAKEN: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "adoption.unreadable": (422, "Unreadable file", "The file cannot be read: {why}."),
        "adoption.faulty": (
            422,
            "Faults in the file",
            "The file has {faults} faults; a dry run lists them. The first: {first}.",
        ),
        "adoption.prepared_already": (
            409,
            "Prepared before",
            "This very file was prepared at {prepared_at}; another person approves it.",
        ),
        "adoption.not_prepared": (
            409,
            "Not prepared",
            "Nobody has prepared this very file; one byte more is another file.",
        ),
        "adoption.approved_already": (
            409,
            "Taken over before",
            "The books of this file were taken over by event {event_id}.",
        ),
        "adoption.same_person": (
            403,
            "Second person needed",
            "Who prepared a file does not approve it.",
        ),
        "adoption.people_only": (
            403,
            "For people only",
            "Books are taken over by people who are operators, not by programs.",
        ),
        "import.other_tenant": (
            409,
            "Another tenant's export",
            "The export is of tenant {export}: it goes into a tenant of that name.",
        ),
        "import.altered": (
            422,
            "Altered export",
            "The export is not what was sealed; nothing more of it is written.",
        ),
        "import.not_empty": (
            409,
            "Tenant not empty",
            "The tenant has books that are no beginning of this export.",
        ),
        "import.not_postable": (
            422,
            "Books that cannot be",
            "The database refuses what stands in the export: {why}.",
        ),
    }
)
