"""The words of what breaks, write-offs and certificates refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

BREAKS: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "certificate.day_not_over": (
            409,
            "The day has not come",
            "{on} has not begun yet: it cannot be certified.",
        ),
        "certificate.unknown": (404, "Unknown certificate", "There is no such certificate."),
        "certificate.people_sign": (
            403,
            "People sign",
            "A certificate is signed by a person, not by a program.",
        ),
        "certificate.needs_another": (
            409,
            "Another person must sign",
            "A certificate that is not clean is signed by another than made it, with a remark.",
        ),
        "certificate.signed_already": (
            409,
            "Signed already",
            "You have signed this certificate before.",
        ),
        "break.unknown": (404, "Unknown break", "There is no such break."),
        "break.closed": (409, "The break is over", "The break is {state}; nothing is left to do."),
        "break.says_nothing": (
            422,
            "Say why",
            "Words are needed: say what it is, or why it is so.",
        ),
        "write_off.above_limit": (
            409,
            "Too much to write off",
            "Two people may write off {limit} at most, and not of our own bank: post a journal.",
        ),
        "write_off.proposed_already": (
            409,
            "Proposed already",
            "A write-off of this break waits, or was approved.",
        ),
        "write_off.unknown": (404, "Unknown write-off", "There is no such write-off."),
        "write_off.decided_already": (
            409,
            "Decided already",
            "The write-off was approved or rejected before.",
        ),
        "write_off.other_person": (
            403,
            "Another person must decide",
            "A write-off is decided by another person than proposed it.",
        ),
        "write_off.people_decide": (
            403,
            "People decide",
            "Write-offs are proposed and decided by people, not by programs.",
        ),
        "safeguarding.no_such_hour": (422, "No such hour", "An hour is from 0 to 23."),
    }
)
"""By code."""
