"""What can be looked at of the books: accounts and their extracts, events, entries, the clock."""

from types import MappingProxyType
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field
from sqlalchemy import Connection

from engine.api import answers_books, store, views
from engine.api.access import Scope
from engine.api.calls import Look, Page, PageQuery, Read, after_numbers, page_of
from engine.api.refusals import PlatformOnly
from kernel import clock
from ledger import reads
from ledger.chart import CHART, SET_ASIDE, whose

_LARGEST_ID: Final = 2**63 - 1
_LARGEST_ENTRY_NO: Final = 2**15 - 1

_SUBJECT_KINDS: Final = MappingProxyType(
    {
        "slot": "slot",
        "party": "party",
        "payee": "party",
        "client": "party",
        "payout": "payout",
        "refund": "refund",
    }
)


class AccountsQuery(PageQuery):
    """Which accounts; the filters are literal."""

    kind: Annotated[str, Field(max_length=100)] | None = None
    subject: Annotated[str, Field(max_length=100)] | None = None
    currency: Annotated[str, Field(max_length=10)] | None = None


class EventsQuery(PageQuery):
    """Whose events: `slot:<id>`, `contract:<id>`, `party:<id>`, ..."""

    subject: Annotated[str, Field(max_length=100)] | None = None


class EntriesQuery(PageQuery):
    """Which entries."""

    event_id: Annotated[str, Field(pattern="^[0-9]{1,18}$")] | None = None


def number(text: str) -> int | None:
    """A number of the books from a path; None for what cannot be one."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    value = int(text)
    return value if value <= _LARGEST_ID else None


def _accounts(connection: Connection, look: Look) -> Page:
    query = look.query
    subjects = None if query.subject is None else [query.subject]
    party_id = look.sees_only
    if party_id is not None:
        own = [str(party_id), f"{party_id}{SET_ASIDE}"]
        wanted = own if query.subject is None else [query.subject]
        subjects = wanted if _owns(connection, whose(wanted[0]), party_id) else []
    rows = reads.list_accounts(
        connection,
        kind=query.kind,
        subjects=subjects,
        currency=query.currency,
        after=after_numbers(look)[0],
        limit=query.limit + 1,
    )
    return page_of(rows, query.limit, show=views.account_of, key=lambda row: (row.id,))


def _owns(connection: Connection, subject: str, party_id: UUID) -> bool:
    """Whether an account's subject is the party, or something of a deal of its."""
    try:
        named = UUID(subject)
    except ValueError:
        return False
    kinds = ("party", "slot", "payout", "refund")
    return any(store.is_seen(connection, kind, named, party_id=party_id) for kind in kinds)


def _account(connection: Connection, look: Look) -> dict[str, Any] | None:
    row = visible_account(connection, look)
    return None if row is None else views.account_of(row)


def visible_account(connection: Connection, look: Look) -> reads.AccountView | None:
    """The account that the path names; None where there is none, or not for the caller."""
    account_id = number(look.texts["account_id"])
    row = None if account_id is None else reads.find_account(connection, account_id)
    if row is None or look.sees_only is None:
        return row
    kind = _SUBJECT_KINDS.get(CHART[row.kind].subject)
    if kind is None or not store.is_seen(
        connection, kind, UUID(whose(row.subject)), party_id=look.sees_only
    ):
        return None
    return row


def _extract(connection: Connection, look: Look) -> Page | None:
    row = visible_account(connection, look)
    if row is None:
        return None
    limit = look.query.limit
    (after,) = after_numbers(look)
    lines = reads.list_lines(connection, row.id, after=after, limit=limit + 1)
    return page_of(
        lines,
        limit,
        show=lambda line: views.line(line, row.currency),
        key=lambda line: (line.account_seq,),
    )


def _events(connection: Connection, look: Look) -> Page:
    query = look.query
    if look.sees_only is not None and not _sees_subject(connection, look, query.subject):
        return Page([], None)
    rows = reads.list_events(
        connection,
        subject=query.subject,
        after=after_numbers(look)[0],
        limit=query.limit + 1,
    )
    return page_of(rows, query.limit, show=views.event, key=lambda row: (row.id,))


def _sees_subject(connection: Connection, look: Look, subject: str | None) -> bool:
    """Whether a party may read a subject's events; refuses to show it everybody's."""
    if look.sees_only is None:
        return True
    if subject is None:
        raise PlatformOnly
    kind, _, text = subject.partition(":")
    try:
        named = UUID(text)
    except ValueError:
        return False
    return store.is_seen(connection, kind, named, party_id=look.sees_only)


def _event(connection: Connection, look: Look) -> dict[str, Any] | None:
    event_id = number(look.texts["event_id"])
    row = None if event_id is None else reads.find_event(connection, event_id)
    if row is None or not _sees_subject(connection, look, row.subject):
        return None
    return views.event(row)


def _entries(connection: Connection, look: Look) -> Page:
    if look.sees_only is not None:
        raise PlatformOnly
    query = look.query
    event_id, entry_no = after_numbers(look, 2)
    rows = reads.list_entries(
        connection,
        event_id=None if query.event_id is None else int(query.event_id),
        after=(event_id, min(entry_no, _LARGEST_ENTRY_NO)),
        limit=query.limit + 1,
    )
    return page_of(
        rows, query.limit, show=views.entry, key=lambda row: (row.event_id, row.entry_no)
    )


def _trial_balance(connection: Connection, look: Look) -> dict[str, Any]:
    if look.sees_only is not None:
        raise PlatformOnly
    rows, totals = reads.trial_balance(connection)
    return {
        "at": clock.now(connection).isoformat(),
        "rows": [views.trial_row(row) for row in rows],
        "totals": [views.trial_total(row) for row in totals],
    }


def _clock(connection: Connection, _look: Look) -> dict[str, Any]:
    mode = clock.get_mode(connection)
    return {"now": clock.now(connection).isoformat(), "mode": mode.value}


BOOK_READS: Final[tuple[Read, ...]] = (
    Read(
        path="/v1/accounts",
        scope=Scope.LEDGER_READ,
        fetch=_accounts,
        answer=answers_books.AccountAnswer,
        summary="Accounts with their balances",
        query=AccountsQuery,
        pages=True,
    ),
    Read(
        path="/v1/accounts/{account_id}",
        scope=Scope.LEDGER_READ,
        fetch=_account,
        answer=answers_books.AccountAnswer,
        summary="An account with its balance",
    ),
    Read(
        path="/v1/accounts/{account_id}/extract",
        scope=Scope.LEDGER_READ,
        fetch=_extract,
        answer=answers_books.LineAnswer,
        summary="The lines of an account, each with the balance behind it",
        query=PageQuery,
        pages=True,
    ),
    Read(
        path="/v1/trial_balance",
        scope=Scope.LEDGER_READ,
        fetch=_trial_balance,
        answer=answers_books.TrialBalanceAnswer,
        summary="The trial balance",
    ),
    Read(
        path="/v1/entries",
        scope=Scope.LEDGER_READ,
        fetch=_entries,
        answer=answers_books.EntryAnswer,
        summary="Journal entries with their lines",
        query=EntriesQuery,
        pages=True,
    ),
    Read(
        path="/v1/events",
        scope=Scope.EVENTS_READ,
        fetch=_events,
        answer=answers_books.EventAnswer,
        summary="Events of the log, all or of one subject",
        query=EventsQuery,
        pages=True,
    ),
    Read(
        path="/v1/events/{event_id}",
        scope=Scope.EVENTS_READ,
        fetch=_event,
        answer=answers_books.EventAnswer,
        summary="An event of the log",
    ),
    Read(
        path="/v1/clock",
        scope=Scope.EVENTS_READ,
        fetch=_clock,
        answer=answers_books.TimeAnswer,
        summary="What time it is for this tenant",
    ),
)
"""Every look at the books."""
