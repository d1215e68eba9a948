"""The words of what the log and its signer refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

LOG: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "log.not_sealed_yet": (
            409,
            "Not sealed yet",
            "The log has {newest} events by now; what was committed is sealed within seconds.",
        ),
        "log.bad_range": (
            422,
            "No such range",
            "A proof goes from a smaller tree to a larger one, and both have at least one event.",
        ),
    }
)
