"""The words of what the log and its signer refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

LOG: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "log.not_sealed_yet": (
            404,
            "Not sealed yet",
            "The log has {newest} events by now; what was committed is sealed within seconds.",
        ),
        "log.bad_range": (
            422,
            "No such range",
            "A proof goes from a smaller tree to a larger one, and both have at least one event.",
        ),
        "log.signer_away": (
            503,
            "Signer away",
            "The signer does not answer; what is sealed is signed once it is back.",
        ),
        "log.empty": (409, "Empty log", "No event is sealed yet: there is nothing to sign."),
        "log.bad_note": (422, "No checkpoint", "This is no checkpoint as a signed note: {why}."),
        "signer.bad_request": (422, "Not for the signer", "The signer cannot read {why}."),
        "signer.shrunk": (
            409,
            "The log shrank",
            "The signer has signed {signed} events and is shown {size}: the tail was cut.",
        ),
        "signer.inconsistent": (
            409,
            "The past was altered",
            "The log of {size} events does not go on from the {signed} that the signer signed.",
        ),
        "signer.forgotten": (
            409,
            "Memory lost",
            "The signer once signed {log} and has lost what: give its state back from a copy.",
        ),
    }
)
