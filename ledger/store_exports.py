"""SQL of the accounting exports: the sealed journal line by line, and balances of a span of days.

Everything is read from the journal up to a number, never from what an account row says today, so
that the same arguments give the same rows for ever. Rows come through server-side cursors.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, LiteralString
from uuid import uuid4

from sqlalchemy import Connection

from kernel.database import driver
from ledger.exports.model import (
    AccountSums,
    Actor,
    AsKnown,
    JournalEvent,
    JournalLine,
    MonthSums,
    NamedAccount,
    Period,
    Span,
)
from ledger.rules_periods import MANUAL_JOURNAL

_PAGE: Final = 2_000

# No event lies outside (event_effective_at_sane).
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)

# The number of an entry in its book: the count that its event was sealed with, less the entries of
# that book which stand behind it in the event (decision 0004).
_BOOK_NO: Final = """
CASE {entry}.book WHEN 'custody' THEN {seal}.custody_entries ELSE {seal}.platform_entries END
    - (SELECT count(*) FROM entry o
       WHERE o.event_id = {entry}.event_id AND o.book = {entry}.book
           AND o.entry_no > {entry}.entry_no)
"""

_WITHIN: Final = """
s.journal_no <= %(journal_no)s AND v.effective_at >= %(start)s AND v.effective_at < %(end)s
"""

_LINES: Final = f"""
SELECT s.journal_no, v.id, v.kind, v.subject, v.reason, v.actor_id, v.actor_kind, v.effective_at,
       v.recorded_at, n.entry_no, n.book, {_BOOK_NO.format(entry="n", seal="s")}, n.currency,
       n.line_count, {_BOOK_NO.format(entry="u", seal="us")}, us.journal_no,
       {_BOOK_NO.format(entry="r", seal="rs")}, rs.journal_no,
       l.line_no, a.code, a.kind, k.nature, a.subject, l.account_seq, l.amount_minor,
       l.balance_after_minor, CASE WHEN v.kind = '{MANUAL_JOURNAL}' THEN v.detail ELSE '' END
FROM seal s
JOIN event v ON v.id = s.event_id
JOIN entry n ON n.event_id = v.id
JOIN line l ON l.event_id = n.event_id AND l.entry_no = n.entry_no
JOIN account a ON a.id = l.account_id
JOIN account_kind k ON k.kind = a.kind
LEFT JOIN (entry u JOIN seal us ON us.event_id = u.event_id)
    ON u.event_id = n.reverses_event_id AND u.entry_no = n.reverses_entry_no
LEFT JOIN (entry r JOIN seal rs ON rs.event_id = r.event_id)
    ON r.reverses_event_id = n.event_id AND r.reverses_entry_no = n.entry_no
    AND rs.journal_no <= %(journal_no)s
WHERE {_WITHIN}
"""

_IN_JOURNAL_ORDER: Final = "ORDER BY s.journal_no, n.entry_no, l.line_no"
_IN_DAY_ORDER: Final = """
ORDER BY date_trunc('day', v.effective_at, 'UTC'), s.journal_no, n.entry_no, l.line_no
"""

_EVENTS: Final = f"""
SELECT s.journal_no, v.id, v.kind, v.subject, v.actor_id, v.actor_kind, v.party_id,
       v.effective_at, v.recorded_at, v.reason, v.detail, v.entry_count,
       encode(v.leaf_hash, 'hex')
FROM seal s JOIN event v ON v.id = s.event_id
WHERE {_WITHIN}
ORDER BY s.journal_no
"""

_ACCOUNT: Final = "a.code, a.book, a.kind, k.nature, k.subject, a.subject, a.currency"

_IN_NAME_ORDER: Final = """
ORDER BY a.kind COLLATE "C", a.subject COLLATE "C", a.currency COLLATE "C"
"""

_KNOWN_LINES: Final = """
FROM seal s
JOIN line l ON l.event_id = s.event_id
JOIN account a ON a.id = l.account_id
JOIN account_kind k ON k.kind = a.kind
WHERE s.journal_no <= %(journal_no)s AND l.effective_at < %(end)s
"""

# Every account with a line before the end of the span has a row.
_BALANCES: Final = f"""
SELECT {_ACCOUNT},
       coalesce(sum(l.amount_minor) FILTER (WHERE l.effective_at < %(start)s), 0),
       coalesce(sum(l.amount_minor)
           FILTER (WHERE l.effective_at >= %(start)s AND l.amount_minor > 0), 0),
       coalesce(-sum(l.amount_minor)
           FILTER (WHERE l.effective_at >= %(start)s AND l.amount_minor < 0), 0),
       count(*) FILTER (WHERE l.effective_at >= %(start)s)
{_KNOWN_LINES}
GROUP BY a.id, k.kind
{_IN_NAME_ORDER}
"""

# What each account moved in each month; before the span: one sum, with no month.
_MONTHS: Final = f"""
SELECT {_ACCOUNT},
       CASE WHEN l.effective_at >= %(start)s
           THEN date_trunc('month', l.effective_at, 'UTC') END AS month,
       coalesce(sum(l.amount_minor) FILTER (WHERE l.amount_minor > 0), 0),
       coalesce(-sum(l.amount_minor) FILTER (WHERE l.amount_minor < 0), 0)
{_KNOWN_LINES}
GROUP BY a.id, k.kind, month
{_IN_NAME_ORDER}, month NULLS FIRST
"""

# What the chain of each account says stands on it after its last line of the journal.
_CHAIN_ENDS: Final = """
SELECT DISTINCT ON (a.kind COLLATE "C", a.subject COLLATE "C", a.currency COLLATE "C")
       l.balance_after_minor
FROM seal s
JOIN line l ON l.event_id = s.event_id
JOIN account a ON a.id = l.account_id
WHERE s.journal_no <= %(journal_no)s
ORDER BY a.kind COLLATE "C", a.subject COLLATE "C", a.currency COLLATE "C", l.account_seq DESC
"""

_SPAN: Final = f"""
SELECT min(v.effective_at), max(v.effective_at), max(v.recorded_at), current_schema()
FROM seal s JOIN event v ON v.id = s.event_id
WHERE {_WITHIN} AND v.entry_count > 0
"""

_ENTRY_COUNTS: Final = f"""
SELECT n.book, n.currency, count(*)
FROM seal s JOIN event v ON v.id = s.event_id JOIN entry n ON n.event_id = v.id
WHERE {_WITHIN}
GROUP BY n.book, n.currency
ORDER BY n.book COLLATE "C", n.currency COLLATE "C"
"""

_ACTORS: Final = f"""
SELECT DISTINCT n.book, v.actor_id, v.actor_kind
FROM seal s JOIN event v ON v.id = s.event_id JOIN entry n ON n.event_id = v.id
WHERE {_WITHIN}
UNION
SELECT n.book, (v.detail::json ->> 'preparer')::uuid, 'person'
FROM seal s JOIN event v ON v.id = s.event_id JOIN entry n ON n.event_id = v.id
WHERE {_WITHIN} AND v.kind = '{MANUAL_JOURNAL}'
ORDER BY 2, 3, 1
"""


def list_lines(
    connection: Connection, known: AsKnown, period: Period | None, *, by_day: bool = False
) -> Iterator[JournalLine]:
    """The lines of the span in journal order; `by_day`: day by day, in journal order within."""
    statement = _LINES + (_IN_DAY_ORDER if by_day else _IN_JOURNAL_ORDER)
    return map(JournalLine._make, _stream(connection, statement, known, period))


def list_events(
    connection: Connection, known: AsKnown, period: Period | None
) -> Iterator[JournalEvent]:
    """The events of the span in journal order, with entries or without."""
    return map(JournalEvent._make, _stream(connection, _EVENTS, known, period))


def list_balances(
    connection: Connection, known: AsKnown, period: Period | None
) -> Iterator[AccountSums]:
    """Each account in the order of its name: what stood on it before, and what moved."""
    for row in _stream(connection, _BALANCES, known, period):
        opening, debit, credit, lines = row[7:]
        yield AccountSums(NamedAccount(*row[:7]), int(opening), int(debit), int(credit), lines)


def list_months(
    connection: Connection, known: AsKnown, period: Period | None
) -> Iterator[MonthSums]:
    """Each account in the order of its name, and within it month by month what moved."""
    for row in _stream(connection, _MONTHS, known, period):
        month, debit, credit = row[7:]
        day = None if month is None else month.date()
        yield MonthSums(NamedAccount(*row[:7]), day, int(debit), int(credit))


def list_chain_ends(connection: Connection, known: AsKnown) -> Iterator[int]:
    """What stands on each account after its last line, in the order of `list_balances`."""
    for (balance_minor,) in _stream(connection, _CHAIN_ENDS, known, None):
        yield balance_minor


def list_actors(connection: Connection, known: AsKnown, period: Period | None) -> Iterator[Actor]:
    """Who caused entries in the span, by book; of a manual journal also who prepared it."""
    return map(Actor._make, _stream(connection, _ACTORS, known, period))


def get_span(connection: Connection, known: AsKnown, period: Period | None) -> Span:
    """The first and last day that have entries, cut to the period, and whose books they are."""
    ((first, last, recorded_at, schema),) = _stream(connection, _SPAN, known, period)
    recorded_on = (recorded_at or _EARLIEST).date()
    tenant = schema.removeprefix("tenant_")
    if period is not None:
        return Span(tenant, *period, recorded_on)
    return Span(tenant, (first or _EARLIEST).date(), (last or _EARLIEST).date(), recorded_on)


def count_entries(
    connection: Connection, known: AsKnown, period: Period | None
) -> dict[tuple[str, str], int]:
    """How many entries the span has, by book and currency."""
    rows = _stream(connection, _ENTRY_COUNTS, known, period)
    return {(book, currency): entries for book, currency, entries in rows}


def _stream(
    connection: Connection, statement: LiteralString, known: AsKnown, period: Period | None
) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement, a page at a time from a cursor of the server."""
    start, end = _EARLIEST, _LATEST
    if period is not None:
        start, end = (datetime.combine(day, time(), UTC) for day in period)
        end += timedelta(days=1)
    given = {"journal_no": known.journal_no, "start": start, "end": end}
    with driver(connection).cursor(name=f"export_{uuid4().hex}") as cursor:
        cursor.itersize = _PAGE
        yield from cursor.execute(statement, given, binary=True)
