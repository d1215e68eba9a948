"""The words of what refunds after release and claims refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CLAIMS: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "escrow.nothing_released": (
            409,
            "Nothing released",
            "The payee has nothing of this slot that could go back.",
        ),
        "claim.payee_short": (
            409,
            "Payee's balance too low",
            "The payee's part is {needed_minor} minor units and {available_minor} are available.",
        ),
        "claim.unknown": (404, "Unknown claim", "There is no such claim."),
        "claim.in_person_only": (
            403,
            "In person only",
            "A write-off is proposed and approved by people, not by programs.",
        ),
        "claim.second_person": (
            403,
            "A second person must approve",
            "Who proposed a write-off cannot approve it.",
        ),
        "claim.not_proposed": (409, "Not proposed", "Nobody has proposed to write this claim off."),
        "claim.proposed_already": (
            409,
            "Proposed already",
            "A proposal to write this claim off waits for its second person.",
        ),
        "claim.bad_rules": (
            422,
            "Rules out of range",
            "The share of a release that goes to claims is 0 to 10,000 basis points.",
        ),
    }
)
"""By code."""
