"""SQL of the readers: accounts, their extracts, events, entries, and the trial balance."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection

_ACCOUNT: Final = """
SELECT a.id, a.kind, a.subject, a.currency, a.book, k.nature, k.subject AS kept_per, a.state,
       a.balance_minor, a.line_count, a.opened_at
FROM account a JOIN account_kind k ON k.kind = a.kind
"""

LIST_ACCOUNTS: Final = f"""
{_ACCOUNT}
WHERE a.id > %(after)s
    AND (%(kind)s::text IS NULL OR a.kind = %(kind)s)
    AND (%(subjects)s::text[] IS NULL OR a.subject = ANY (%(subjects)s))
    AND (%(currency)s::text IS NULL OR a.currency = %(currency)s)
ORDER BY a.id
LIMIT %(limit)s
"""

FIND_ACCOUNT: Final = f"{_ACCOUNT} WHERE a.id = %(id)s"

# The extract of one account, line by line, with the event that each line hangs on.
LIST_LINES: Final = """
SELECT l.account_seq, l.event_id, l.entry_no, l.line_no, l.amount_minor, l.balance_after_minor,
       l.effective_at, l.recorded_at, e.kind, e.subject
FROM line l JOIN event e ON e.id = l.event_id
WHERE l.account_id = %(account_id)s AND l.account_seq > %(after)s
ORDER BY l.account_seq
LIMIT %(limit)s
"""

_EVENT: Final = """
SELECT id, kind, subject, actor_id, actor_kind, party_id, effective_at, recorded_at, reason,
       detail, entry_count, encode(leaf_hash, 'hex') AS leaf_hash, journal_no
FROM event LEFT JOIN seal ON event_id = id
"""

LIST_EVENTS: Final = f"{_EVENT} WHERE id > %(after)s ORDER BY id LIMIT %(limit)s"

LIST_EVENTS_OF: Final = f"""
{_EVENT} WHERE subject = %(subject)s AND id > %(after)s ORDER BY id LIMIT %(limit)s
"""

LIST_JOURNAL: Final = f"{_EVENT} WHERE journal_no > %(after)s ORDER BY journal_no LIMIT %(limit)s"

FIND_EVENT: Final = f"{_EVENT} WHERE id = %(id)s"

LIST_ENTRIES: Final = """
SELECT event_id, entry_no, book, currency, reverses_event_id, reverses_entry_no
FROM entry
WHERE (event_id, entry_no) > (%(after_event)s, %(after_entry)s)
    AND (%(event_id)s::bigint IS NULL OR event_id = %(event_id)s)
ORDER BY event_id, entry_no
LIMIT %(limit)s
"""

LIST_LINES_OF: Final = """
SELECT l.event_id, l.entry_no, l.line_no, l.account_id, a.code, l.amount_minor,
       l.balance_after_minor
FROM line l JOIN account a ON a.id = l.account_id
WHERE l.event_id = ANY (%(events)s::bigint[])
ORDER BY l.event_id, l.entry_no, l.line_no
"""

TRIAL_BALANCE: Final = """
SELECT a.book, a.kind, k.nature, a.currency, count(*) AS accounts,
       sum(greatest(a.balance_minor, 0)) AS debit_minor,
       sum(greatest(-a.balance_minor, 0)) AS credit_minor
FROM account a JOIN account_kind k ON k.kind = a.kind
GROUP BY a.book, a.kind, k.nature, a.currency
ORDER BY a.book, a.currency, a.kind
"""


def fetch_all(connection: Connection, statement: str, **given: object) -> Sequence[Any]:
    """All rows of one of the statements above, their columns by name."""
    return connection.exec_driver_sql(statement, given).all()
