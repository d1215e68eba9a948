"""All SQL of account extracts: a party's accounts, its lines in one order, and what they are about.

Whatever is asked of a list of lines is one statement for the page.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from escrow.model_extract import About, Exchange, Fees, Row, Spot
from ledger.chart import SET_ASIDE
from ledger.known import Known

KINDS: Final = (
    *("custody.wallet", "custody.earned_pending", "custody.earned_available"),
    *("custody.earned_reserved", "custody.blocked"),
    *("platform.claim_on_payee", "platform.claim_on_client"),
)
"""Kinds of account that are kept per party; a client's money in deals is kept per slot."""


class Named(NamedTuple):
    """An account by its name in the chart."""

    code: str
    kind: str
    subject: str
    currency: str


class Chain(NamedTuple):
    """A part of an account's chain: the lines behind `after`, up to `last`."""

    account_id: int
    after: int
    last: int


# Which accounts hold a party's money: its own by its id, and as a client those of his slots.
_LIST_ACCOUNTS: Final = f"""
SELECT a.code, a.kind, a.subject, a.currency
FROM account a
WHERE a.subject IN (%(party)s, %(party)s || '{SET_ASIDE}') AND a.kind = ANY (%(kinds)s::text[])
    AND a.line_count > 0 AND (%(currency)s::text IS NULL OR a.currency = %(currency)s)
UNION ALL
SELECT a.code, a.kind, a.subject, a.currency
FROM contract c
JOIN slot s ON s.contract_id = c.id
JOIN account a ON a.subject IN (s.id::text, s.id::text || '{SET_ASIDE}')
WHERE c.client_id = %(party)s::uuid AND a.kind IN ('custody.escrow', 'custody.escrow_disputed')
    AND a.line_count > 0 AND (%(currency)s::text IS NULL OR a.currency = %(currency)s)
"""

# Which lines come next on all these accounts together, in the order in which they were written?
_LIST_LINES: Final = """
SELECT w.account_id, l.account_seq, l.recorded_at, l.event_id, l.entry_no, l.line_no, s.journal_no,
       l.amount_minor, l.effective_at, e.kind, e.subject, e.detail
FROM unnest(%(accounts)s::bigint[], %(afters)s::bigint[], %(lasts)s::bigint[])
    AS w (account_id, after, last)
CROSS JOIN LATERAL (
    SELECT *
    FROM line
    WHERE account_id = w.account_id AND account_seq > w.after AND account_seq <= w.last
      AND effective_at >= %(start)s AND effective_at < %(before)s
    ORDER BY account_seq
    LIMIT %(limit)s
) l
JOIN event e ON e.id = l.event_id
LEFT JOIN seal s ON s.event_id = l.event_id
ORDER BY l.recorded_at, l.event_id, l.entry_no, l.line_no
LIMIT %(limit)s
"""

# How many lines of each account stand at or before a spot? A chain is in the order of time, so its
# end is found by halving, all chains at once.
_COUNT_UP_TO: Final = """
WITH RECURSIVE halving AS (
    SELECT account_id, 0::bigint AS low, last AS high
    FROM unnest(%(accounts)s::bigint[], %(lasts)s::bigint[]) AS w (account_id, last)
    UNION ALL
    SELECT h.account_id, CASE WHEN p.is_done THEN m.middle ELSE h.low END,
           CASE WHEN p.is_done THEN h.high ELSE m.middle - 1 END
    FROM halving h
    CROSS JOIN LATERAL (SELECT (h.low + h.high + 1) / 2 AS middle) m
    CROSS JOIN LATERAL (
        SELECT (recorded_at, event_id, entry_no, line_no)
            <= (%(recorded_at)s::timestamptz, %(event_id)s, %(entry_no)s, %(line_no)s) AS is_done
        FROM line WHERE account_id = h.account_id AND account_seq = m.middle
    ) p
    WHERE h.low < h.high
)
SELECT account_id, low FROM halving WHERE low = high
"""

_SLOT_OF: Final = MappingProxyType(
    {
        "slot": ("slot x", "x.id"),
        "period": ("retainer_period x", "x.id"),
        "week": ("work_week x", "x.slot_id"),
        "release": ("release x", "x.slot_id"),
        "funding": ("funding x", "x.slot_id"),
        "dispute": ("dispute x", "x.slot_id"),
        "chargeback": ("chargeback x JOIN funding f ON f.id = x.funding_id", "f.slot_id"),
        "reserve": ("reserve x JOIN release r ON r.id = x.release_id", "r.slot_id"),
        "refund": ("(SELECT r.*, o.contract_id FROM refund r JOIN slot o ON o.id = r.slot_id) x",
                   "x.slot_id"),
    }
)  # fmt: skip
"""Kind of an event's subject -> its rows, and where they name their slot."""

# Which deal is a subject of?
_LIST_ABOUT: Final = " UNION ALL ".join(
    (
        """
SELECT 'contract:' || id AS subject, id AS contract_id, NULL::uuid AS slot_id, '' AS title
FROM contract WHERE id = ANY (%(contract)s::uuid[])
""",
        *(
            f"""
SELECT '{name}:' || x.id, x.contract_id, s.id, coalesce(t.title, '')
FROM {rows} LEFT JOIN slot s ON s.id = {slot_id} LEFT JOIN term t ON t.id = s.term_id
WHERE x.id = ANY (%({name})s::uuid[])
"""
            for name, (rows, slot_id) in _SLOT_OF.items()
        ),
    )
)

_SUBJECTS: Final = ("contract", *_SLOT_OF)

# What did these events exchange? The bridge takes what is sold and gives what is bought.
_LIST_EXCHANGES: Final = """
SELECT l.event_id, a.currency, sum(l.amount_minor)::bigint
FROM line l JOIN account a ON a.id = l.account_id
WHERE l.event_id = ANY (%(events)s::bigint[]) AND a.kind = 'custody.fx'
GROUP BY l.event_id, a.currency
HAVING sum(l.amount_minor) <> 0
"""

_FEES: Final = """
    coalesce(sum(f.gross_minor) FILTER (WHERE f.kind = 'commission'), 0)::bigint,
    coalesce(sum(f.fee_minor) FILTER (WHERE f.kind = 'commission'), 0)::bigint,
    coalesce(sum(f.fee_minor) FILTER (WHERE f.kind = 'client_fee'), 0)::bigint,
    coalesce(sum(f.fee_minor) FILTER (WHERE f.kind NOT IN ('commission', 'client_fee')), 0)::bigint,
    sum(f.tax_minor)::bigint
"""

# What did these events take of the party itself, or give back?
_LIST_FEES: Final = f"""
SELECT f.event_id, f.currency, {_FEES}
FROM fee_line f
WHERE f.event_id = ANY (%(events)s::bigint[]) AND f.party_id = %(party_id)s
GROUP BY f.event_id, f.currency
"""

# What did we take of a party in a span, as it was known? A line without an event is older than
# the lines are, and counts when it was written.
_SUM_FEES: Final = f"""
SELECT f.currency, {_FEES}
FROM fee_line f
LEFT JOIN event e ON e.id = f.event_id
LEFT JOIN seal s ON s.event_id = f.event_id
WHERE f.party_id = %(party_id)s
    AND coalesce(e.effective_at, f.recorded_at) >= %(start)s
    AND coalesce(e.effective_at, f.recorded_at) < %(before)s
    AND (%(provisional)s OR s.journal_no <= %(journal_no)s)
GROUP BY f.currency
"""


def list_accounts(
    connection: Connection, party_id: UUID, *, currency: str | None = None
) -> list[Named]:
    """The accounts that hold a party's money, in no order."""
    given = {"party": str(party_id), "kinds": list(KINDS), "currency": currency}
    return [Named(*row) for row in connection.exec_driver_sql(_LIST_ACCOUNTS, given)]


def list_rows(
    connection: Connection,
    chains: Sequence[Chain],
    *,
    start: datetime,
    before: datetime,
    limit: int,
) -> list[Row]:
    """The next lines of these chains that count from `start` until before `before`."""
    given: Mapping[str, object] = {
        "accounts": [each.account_id for each in chains],
        "afters": [each.after for each in chains],
        "lasts": [each.last for each in chains],
        "start": start,
        "before": before,
        "limit": limit,
    }
    rows = connection.exec_driver_sql(_LIST_LINES, given)
    return [Row(row[0], row[1], Spot(*row[2:6]), *row[6:]) for row in rows]


def count_up_to(connection: Connection, chains: Sequence[Chain], spot: Spot) -> dict[int, int]:
    """By account how many of its known lines stand at or before a spot."""
    given: Mapping[str, object] = {
        "accounts": [each.account_id for each in chains],
        "lasts": [each.last for each in chains],
        **spot._asdict(),
    }
    return {row[0]: row[1] for row in connection.exec_driver_sql(_COUNT_UP_TO, given)}


def list_about(connection: Connection, subjects: Iterable[str]) -> dict[str, About]:
    """By subject (`slot:<id>`) the deal it is about; a subject of another kind is missing."""
    asked: dict[str, list[str]] = {name: [] for name in _SUBJECTS}
    for subject in set(subjects):
        name, _, number = subject.partition(":")
        if name in asked:
            asked[name].append(number)
    if not any(asked.values()):
        return {}
    rows = connection.exec_driver_sql(_LIST_ABOUT, asked)
    return {subject: About(*about) for subject, *about in rows}


def list_exchanges(connection: Connection, event_ids: Iterable[int]) -> dict[int, Exchange]:
    """By event what it sold and bought; one that sold or bought two things is missing."""
    rows = connection.exec_driver_sql(_LIST_EXCHANGES, {"events": sorted(set(event_ids))})
    sold: dict[int, list[tuple[str, int]]] = {}
    bought: dict[int, list[tuple[str, int]]] = {}
    for event_id, currency, amount in rows:
        side = bought if amount > 0 else sold
        side.setdefault(event_id, []).append((currency, abs(amount)))
    return {
        event_id: Exchange(*sold[event_id][0], *got[0])
        for event_id, got in bought.items()
        if len(got) == 1 and len(sold.get(event_id, ())) == 1
    }


def list_fees(
    connection: Connection, event_ids: Iterable[int], *, party_id: UUID
) -> dict[int, Fees]:
    """By event the fees that this party bears of it."""
    given = {"events": sorted(set(event_ids)), "party_id": party_id}
    rows = connection.exec_driver_sql(_LIST_FEES, given)
    return {event_id: Fees(currency, *fees) for event_id, currency, *fees in rows}


def sum_fees(
    connection: Connection, party_id: UUID, *, start: datetime, before: datetime, known: Known
) -> dict[str, Fees]:
    """By currency the fees that a party bore within a span, as it was known."""
    given: Mapping[str, object] = {
        "party_id": party_id,
        "start": start,
        "before": before,
        "provisional": known.provisional,
        "journal_no": known.journal_no,
    }
    rows = connection.exec_driver_sql(_SUM_FEES, given)
    return {currency: Fees(currency, *fees) for currency, *fees in rows}
