"""The words of what statements, matches and proposals refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

STATEMENTS: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "statement.unreadable": (
            422,
            "The statement cannot be read",
            "Line {line}: {reason}. Nothing of the file was kept.",
        ),
        "statement.unknown_account": (
            409,
            "Unknown account",
            "Nobody has said what the account {account} in {currency} stands for in the books.",
        ),
        "statement.account_exists": (
            409,
            "Account known",
            "The account {label} in {currency} stands for a place already.",
        ),
        "statement.bad_place": (
            422,
            "No such place",
            "A place is the processor with a rail account, custody_bank or platform_bank.",
        ),
        "statement.contradicts": (
            409,
            "The statement contradicts an earlier one",
            "Line {line}: {ref} is {amount_minor} minor units now, and was {known_minor} before.",
        ),
        "reconciliation.operator_only": (
            403,
            "The platform only",
            "Statements and matches are the platform's own business.",
        ),
        "match.unknown": (404, "Unknown match", "There is no such match."),
        "match.undone_already": (409, "Undone already", "The match was taken back before."),
        "proposal.unknown": (404, "Unknown proposal", "There is no such proposal."),
        "proposal.decided_already": (
            409,
            "Decided already",
            "The proposal was accepted or rejected before.",
        ),
        "proposal.overtaken": (
            409,
            "Overtaken",
            "A line or an item of the proposal was matched meanwhile.",
        ),
        "proposal.difference_not_posted": (
            409,
            "Difference not posted",
            "The two sides are {difference_minor} minor units apart, and nobody posts that.",
        ),
    }
)
"""By code."""
