"""The list of open items: what does not hold exactly zero though it is over, and what waits.

A clean house has none. Each item names its subject, so that one can look at it and put it right.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from kernel.money import to_json
from reconciliation.model import SORTS, OpenItem, Patience
from reconciliation.store import START, list_open_items

_PAGE: Final = 1_000
STANDARD: Final = Patience()
"""Ten days for a refund, three for a payout, one for what nobody has matched."""


def open_items(
    connection: Connection, *, at: datetime, patience: Patience = STANDARD
) -> Iterator[OpenItem]:
    """All of them, page by page, by sort, subject and currency."""
    after = START
    while True:
        some = list_open_items(connection, patience, at=at, after=after, limit=_PAGE)
        yield from some
        if len(some) < _PAGE:
            return
        after = some[-1].sort, some[-1].subject, some[-1].currency


def as_json(item: OpenItem, at: datetime) -> dict[str, Any]:
    """An open item for the API and the command line; the amount may be negative."""
    return {
        "sort": item.sort,
        "meaning": SORTS[item.sort],
        "subject": item.subject,
        "amount": to_json(item.amount_minor, item.currency),
        "state": item.state,
        "since": item.since.isoformat(),
        "days": item.days(at),
    }
