"""The words of what clocks, notices and reserves refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CLOCKS: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "clock.unknown": (
            404,
            "No such clock",
            "No clock of this kind is about this subject and concerns this party.",
        ),
        "clock.bad_notice": (
            422,
            "No notice",
            "A notice names a channel and a proof, and was given before now.",
        ),
        "clock.not_yours": (
            403,
            "Not yours to say",
            "Operators say how clocks run; a party vouches for itself alone.",
        ),
        "clock.in_person_only": (
            403,
            "In person only",
            "How clocks run is decided by people, not by programs.",
        ),
        "clock.bad_rules": (422, "Rules out of range", "A value lies outside of what is allowed."),
    }
)
"""By code."""
