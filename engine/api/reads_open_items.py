"""What finance looks at: things that should be over by now and are not."""

from typing import Final

from sqlalchemy import Connection

from engine.api.access import Scope
from engine.api.answers import Answer, Money, TimeText
from engine.api.calls import Look, Page, PageQuery, Read, after_texts, declare, page_of
from engine.api.refusals import PlatformOnly
from kernel import clock
from reconciliation.open_items import STANDARD, as_json
from reconciliation.store import START, list_open_items


class OpenItemAnswer(Answer):
    """One thing to look at: of which sort, what it is about, how much, and since when."""

    sort: str
    meaning: str
    subject: str
    amount: Money
    state: str
    since: TimeText
    days: int


def _open_items(connection: Connection, look: Look) -> Page:
    if look.sees_only is not None:
        raise PlatformOnly
    at, limit = clock.now(connection), look.query.limit
    sort, subject, currency = after_texts(look, 3) or START
    rows = list_open_items(
        connection, STANDARD, at=at, after=(sort, subject, currency), limit=limit + 1
    )
    return page_of(
        rows,
        limit,
        show=lambda row: as_json(row, at),
        key=lambda row: (row.sort, row.subject, row.currency),
    )


OPEN_ITEM_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/open_items",
        Scope.LEDGER_READ,
        _open_items,
        OpenItemAnswer,
        summary="What does not hold zero though it is over, and what waits too long",
        query=PageQuery,
        pages=True,
    ),
)
"""The list of open items."""
