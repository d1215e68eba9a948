"""Words for what is refused of questions as of a date: code -> status, title, sentence."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

AXES: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "ledger.unknown_journal_no": (
            422,
            "Unknown journal number",
            "The journal has no event {journal_no}; it ends at {newest}.",
        ),
        "ledger.before_journal": (
            422,
            "Before the journal",
            "Nothing was sealed by then; the first seal is of {first_sealed_at}.",
        ),
        "ledger.naive_time": (
            422,
            "Time without offset",
            "A time must say its offset from UTC, as in 2026-03-31T00:00:00Z.",
        ),
        "ledger.bad_span": (422, "Span ends before it begins", "{start} is not before {end}."),
        "ledger.unknown_account": (
            404,
            "Unknown account",
            "The books have no account with number {account_id}.",
        ),
    }
)
