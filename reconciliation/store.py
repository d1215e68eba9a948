"""The SQL of open items."""

from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from kernel.database import driver
from reconciliation.model import OpenItem, Patience

_OPEN_ITEMS: Final = (Path(__file__).parent / "sql" / "open_items.sql").read_bytes()

Position = tuple[str, str, str]
"""Sort, subject and currency of an item: behind it a list goes on."""

START: Final[Position] = ("", "", "")


def list_open_items(
    connection: Connection,
    patience: Patience,
    *,
    at: datetime,
    after: Position = START,
    limit: int,
) -> list[OpenItem]:
    """What is open, by sort, subject and currency; at most `limit` of it behind a position."""
    sort, subject, currency = after
    rows = driver(connection).execute(
        _OPEN_ITEMS,
        {
            "at": at,
            "refund_after": patience.refund,
            "payout_after": patience.payout,
            "suspense_after": patience.suspense,
            "conversion_after": patience.conversion,
            "after_sort": sort,
            "after_subject": subject,
            "after_currency": currency,
            "limit": limit,
        },
    )
    return [OpenItem(*row) for row in rows]
