"""Account extracts of a party: what it had, what came and went, what we took; on both axes.

Every figure is a sum of lines of the ledger, cut by `ledger.asof`: opening + movements = closing to
the cent, for any span and as known at any journal number. Lines are read page by page in the order
in which they were written, so an extract of any length takes the memory of one page. Call these in
one snapshot together with `ledger.known.resolve`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from escrow import store_extract as store
from escrow.model_extract import About, Fees, Movement, Row, Spot, Standing, Summary
from escrow.rules_extract import ACCOUNT_WORDS, Kind, account_of, sort_of, words_for
from ledger import asof
from ledger.known import Known
from ledger.reports import Span
from ledger.store_asof import KnownAccount, Turnover
from ledger.store_reports import START_OF_TIME

PAGE: Final = 1_000
"""How many lines are read at once."""


@dataclass(frozen=True, slots=True)
class Held:
    """One account of the party, and how many of its lines are known."""

    known: KnownAccount
    account: str
    subject: str
    currency: str


@dataclass(slots=True)
class Book:
    """All accounts of one party over a span, read up to a spot.

    `after` and `balances` move on as lines are read: by account the last line that was read, by
    currency what the party had behind it.
    """

    party_id: UUID
    span: Span
    known: Known
    held: tuple[Held, ...]
    currency: str | None = None
    after: dict[int, int] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)


def open_book(
    connection: Connection,
    party_id: UUID,
    *,
    known: Known,
    span: Span,
    currency: str | None = None,
    after: Spot | None = None,
) -> Book:
    """A party's accounts, to be read from the beginning of the span or behind a spot."""
    named = {
        each.code: each for each in store.list_accounts(connection, party_id, currency=currency)
    }
    held = tuple(
        Held(each, account_of(name.kind, subject=name.subject), name.subject, name.currency)
        for each in asof.list_known(connection, list(named), known=known)
        if each.line_count
        for name in (named[each.code],)
    )
    book = Book(party_id, span, known, held, currency)
    if after is not None and held:
        chains = [store.Chain(each.known.account_id, 0, each.known.line_count) for each in held]
        book.after = store.count_up_to(connection, chains, after)
    book.balances = _balances(connection, book)
    return book


def read_on(connection: Connection, book: Book, *, limit: int = PAGE) -> list[Movement]:
    """The next lines of a book, at most so many; the book stands behind the last of them."""
    chains = [
        store.Chain(each.known.account_id, done, each.known.line_count)
        for each in book.held
        if (done := book.after.get(each.known.account_id, 0)) < each.known.line_count
    ]
    if not chains:
        return []
    rows = store.list_rows(
        connection,
        chains,
        start=book.span.start or START_OF_TIME,
        before=asof.before_of(book.span.end),
        limit=limit,
    )
    return _told(connection, book, rows)


def movements(connection: Connection, book: Book) -> Iterator[Movement]:
    """All lines of a book, a page in memory at a time."""
    while page := read_on(connection, book):
        yield from page


def page_of_kinds(
    connection: Connection, book: Book, kinds: Sequence[Kind], *, limit: int
) -> tuple[list[Movement], Spot | None]:
    """Up to so many lines of some sorts, and where the next page begins (None: at the end).

    Looks at no more than some thousand lines, so a page may be short and the list still go on.
    """
    found: list[Movement] = []
    for _ in range(5):
        page = read_on(connection, book, limit=PAGE if kinds else limit + 1)
        for each in page:
            if kinds and sort_of(each.event_kind) not in kinds:
                continue
            if len(found) == limit:
                return found, found[-1].spot
            found.append(each)
        if len(page) < (PAGE if kinds else limit + 1):
            return found, None
        last = page[-1].spot
    return found, last


def summaries(connection: Connection, book: Book) -> list[Summary]:
    """By currency what stood on each kind of account, came and went within the span.

    What stood at zero and did not move is left out.
    """
    totals: dict[tuple[str, str], Standing] = {}
    starts, ends = _turnovers(connection, book, [each.known for each in book.held])
    for held, start, end in zip(book.held, starts, ends, strict=True):
        key = held.currency, held.account
        was = totals.get(key) or Standing(held.account, held.currency, 0, 0, 0, 0)
        totals[key] = replace(
            was,
            opening_minor=was.opening_minor - start.balance_minor,
            credits_minor=was.credits_minor + end.credit_minor - start.credit_minor,
            debits_minor=was.debits_minor + end.debit_minor - start.debit_minor,
            line_count=was.line_count + end.line_count - start.line_count,
        )
    by_currency: dict[str, list[Standing]] = {}
    for currency, account in sorted(totals, key=_shown):
        standing = totals[currency, account]
        if standing.opening_minor or standing.line_count:
            by_currency.setdefault(currency, []).append(standing)
    fees = store.sum_fees(
        connection,
        book.party_id,
        start=book.span.start or START_OF_TIME,
        before=asof.before_of(book.span.end),
        known=book.known,
    )
    return [
        Summary(currency, tuple(by_currency.get(currency, ())), fees.get(currency, Fees(currency)))
        for currency in sorted({*by_currency, *fees})
        if book.currency in {None, currency}
    ]


_PLACES: Final = {name: place for place, name in enumerate(ACCOUNT_WORDS)}


def _shown(key: tuple[str, str]) -> tuple[str, int]:
    currency, account = key
    return currency, _PLACES[account]


def _balances(connection: Connection, book: Book) -> dict[str, int]:
    """What the party had in each currency when the span began, and of what was read since."""
    starts, ends = _turnovers(connection, book, [_read(book, each) for each in book.held])
    openings = asof.openings(connection, [each.known for each in book.held], book.span.start)
    found: dict[str, int] = {}
    for held, opening, start, end in zip(book.held, openings, starts, ends, strict=True):
        moved = end.balance_minor - start.balance_minor
        found[held.currency] = found.get(held.currency, 0) - opening.balance_minor - moved
    return found


def _read(book: Book, held: Held) -> KnownAccount:
    return held.known._replace(line_count=book.after.get(held.known.account_id, 0))


def _turnovers(
    connection: Connection, book: Book, accounts: Sequence[KnownAccount]
) -> tuple[list[Turnover], list[Turnover]]:
    """What accounts add up to before the span begins, and before it ends."""
    ends = asof.turnovers(connection, [(each, book.span.end) for each in accounts])
    return asof.openings(connection, accounts, book.span.start), ends


def _told(connection: Connection, book: Book, rows: Sequence[Row]) -> list[Movement]:
    """Rows in words, with their deals, fees and exchanges; the book moves on."""
    held = {each.known.account_id: each for each in book.held}
    about = store.list_about(connection, {_deal_of(held[row.account_id], row) for row in rows})
    events = {row.spot.event_id for row in rows}
    fees = store.list_fees(connection, events, party_id=book.party_id)
    exchanges = store.list_exchanges(connection, events)
    told = []
    for row in rows:
        mine = held[row.account_id]
        amount = -row.amount_minor
        # What a client's money became in the payee's hands is not the client's.
        is_paid_away = mine.account.startswith("escrow") and amount < 0
        book.after[row.account_id] = row.account_seq
        book.balances[mine.currency] = book.balances.get(mine.currency, 0) + amount
        told.append(
            Movement(
                spot=row.spot,
                journal_no=row.journal_no,
                effective_at=row.effective_at,
                account=mine.account,
                currency=mine.currency,
                amount_minor=amount,
                balance_minor=book.balances[mine.currency],
                event_kind=row.event_kind,
                event_subject=row.event_subject,
                what=words_for(row.event_kind, is_credit=amount > 0),
                about=about.get(_deal_of(mine, row), About()),
                fees=fees.get(row.spot.event_id),
                exchange=None if is_paid_away else exchanges.get(row.spot.event_id),
            )
        )
    return told


def _deal_of(held: Held, row: Row) -> str:
    """The subject that tells which deal a line is about: a slot's own account names it best."""
    if held.account.startswith("escrow"):
        return f"slot:{held.subject}"
    return row.event_subject
