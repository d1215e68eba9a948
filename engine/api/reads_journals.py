"""What can be looked at of manual journals."""

from typing import Any, Final

from sqlalchemy import Connection

from engine.api.access import Scope
from engine.api.answers_periods import JournalAnswer
from engine.api.calls import Look, Page, PageQuery, Read, after_id, by_id, declare, page_of
from engine.api.refusals import PlatformOnly
from ledger import store_journals
from ledger.model_journals import State, as_json


class JournalsQuery(PageQuery):
    """Which journals."""

    state: State | None = None


def _journals(connection: Connection, look: Look) -> Page:
    if look.sees_only is not None:
        raise PlatformOnly
    query = look.query
    rows = store_journals.list_journals(
        connection, after=after_id(look), limit=query.limit + 1, state=query.state
    )
    return page_of(rows, query.limit, show=as_json, key=by_id)


def _journal(connection: Connection, look: Look) -> dict[str, Any] | None:
    if look.sees_only is not None:
        raise PlatformOnly
    found = store_journals.find_journal(connection, look.ids["journal_id"])
    return None if found is None else as_json(found)


JOURNAL_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/journals",
        Scope.LEDGER_READ,
        _journals,
        JournalAnswer,
        summary="Manual journals",
        query=JournalsQuery,
        pages=True,
    ),
    declare(
        "/v1/journals/{journal_id}",
        Scope.LEDGER_READ,
        _journal,
        JournalAnswer,
        summary="A manual journal",
    ),
)
"""Every look at manual journals."""
