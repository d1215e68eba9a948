"""SQL that looks back at the books: the entries of events, and what was reversed."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from kernel.database import driver
from ledger.chart import account
from ledger.model import Book, Entry, EntryRef, Line

_LINES_OF: Final = """
SELECT l.event_id, l.entry_no, e.book, e.currency, e.reverses_event_id, a.kind, a.subject,
       l.amount_minor
FROM line l
JOIN entry e ON e.event_id = l.event_id AND e.entry_no = l.entry_no
JOIN account a ON a.id = l.account_id
WHERE l.event_id = ANY(%s::bigint[])
ORDER BY l.event_id, l.entry_no, l.line_no
"""

_REVERSED: Final = """
SELECT DISTINCT reverses_event_id FROM entry WHERE reverses_event_id = ANY(%s::bigint[])
"""

_KNOWN: Final = "SELECT id FROM event WHERE id = ANY(%s::bigint[])"


def list_known(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Those of the numbers that are events of this tenant."""
    return {found for (found,) in driver(connection).execute(_KNOWN, (list(ids),))}


def list_reversed(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Those of the events that were reversed already."""
    return {found for (found,) in driver(connection).execute(_REVERSED, (list(ids),))}


def find_entries(connection: Connection, ids: Sequence[int]) -> dict[int, list[Entry]]:
    """The entries of these events as they were drawn up, by event, in order."""
    lines: dict[tuple[int, int, str, str, int | None], list[Line]] = {}
    for event_id, entry_no, book, currency, reverses, kind, subject, amount in driver(
        connection
    ).execute(_LINES_OF, (list(ids),)):
        head = (event_id, entry_no, book, currency, reverses)
        lines.setdefault(head, []).append(Line(account(kind, currency, subject), amount))
    entries: dict[int, list[Entry]] = {}
    for (event_id, _, book, currency, reverses), drawn in lines.items():
        back = None if reverses is None else EntryRef(reverses, 1)
        entries.setdefault(event_id, []).append(Entry(Book(book), currency, tuple(drawn), back))
    return entries
