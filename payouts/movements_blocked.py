"""Money of a party that a sanctions list names: blocked, and given back as it came (P43)."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from ledger.chart import account
from ledger.entries import Entries, custody

BLOCKABLE: Final = (
    "custody.earned_available",
    "custody.earned_pending",
    "custody.earned_reserved",
    "custody.wallet",
)
"""Where a party's money may lie when it is blocked."""


def p43_block(*, party_id: UUID, currency: str, parts: Iterable[tuple[str, int]]) -> Entries:
    """Move (kind, minor units) of a party to its blocked account; other parties' stay untouched."""
    kept = tuple(parts)
    return custody(
        currency,
        *((account(kind, currency, party_id), minor) for kind, minor in kept),
        (account("custody.blocked", currency, party_id), -sum(minor for _, minor in kept)),
    )


def p43_release(*, party_id: UUID, currency: str, parts: Iterable[tuple[str, int]]) -> Entries:
    """The same the other way: each part goes back to the account that it came from."""
    return p43_block(
        party_id=party_id, currency=currency, parts=[(kind, -minor) for kind, minor in parts]
    )
