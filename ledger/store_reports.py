"""SQL of the reports: known accounts page by page, lines within a span, and how old money is."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import Connection

from ledger.known import Known
from ledger.store_asof import KNOWN_LINES, KnownAccount

_SQL: Final = Path(__file__).parent / "sql" / "reports"

START_OF_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""No event counts before it (CHECK `event_effective_at_sane`)."""


class ListedAccount(NamedTuple):
    """An account with known lines, and where it stands in the chart."""

    known: KnownAccount
    book: str
    kind: str
    subject: str
    currency: str


class Slice(NamedTuple):
    """A part of an account's chain: the lines behind `after`, up to `last`."""

    account_id: int
    after: int
    last: int


class ReportLine(NamedTuple):
    """A line with its event; `journal_no` is None while it is not sealed."""

    account_id: int
    account_seq: int
    journal_no: int | None
    event_id: int
    entry_no: int
    line_no: int
    amount_minor: int
    effective_at: datetime
    recorded_at: datetime
    event_kind: str
    event_subject: str
    actor_kind: str
    reason: str


class Owed(NamedTuple):
    """What an account owes among its known lines, and the subject whose events tell why."""

    account: KnownAccount
    owed_minor: int
    subject: str


class HeldPart(NamedTuple):
    """Some of what an account owes (its place among those asked for, from 0), and since when."""

    nth: int
    since: datetime
    held_minor: int
    last_event: str | None


_LIST_KNOWN: Final = f"""
SELECT k.id, k.code, k.lines, k.book, k.kind, k.subject, k.currency
FROM (
    SELECT a.id, a.code, {KNOWN_LINES} AS lines, a.book, a.kind, a.subject, a.currency
    FROM account a
    WHERE a.id > %(after)s AND a.line_count > 0
      AND (%(kinds)s::text[] IS NULL OR a.kind = ANY(%(kinds)s))
      AND (%(currency)s::text IS NULL OR a.currency = %(currency)s)
      AND (%(only)s::bigint IS NULL OR a.id = %(only)s)
    ORDER BY a.id
    OFFSET 0
) k
WHERE k.lines > 0
LIMIT %(limit)s
"""

_IS_ACCOUNT: Final = "SELECT EXISTS (SELECT FROM account WHERE id = %(id)s)"

_LIST_LINES: Final = (_SQL / "lines.sql").read_text(encoding="utf-8")
_LIST_HELD: Final = (_SQL / "held.sql").read_text(encoding="utf-8")


def list_known(
    connection: Connection,
    known: Known,
    *,
    kind: str | None = None,
    kinds: Sequence[str] | None = None,
    currency: str | None = None,
    only: int | None = None,
    after: int = 0,
    limit: int,
) -> list[ListedAccount]:
    """Accounts with known lines, in the order of their numbers; the filters are literal."""
    given: Mapping[str, object] = {
        "journal_no": known.journal_no,
        "provisional": known.provisional,
        "kinds": [kind] if kind is not None else kinds and list(kinds),
        "currency": currency,
        "only": only,
        "after": after,
        "limit": limit,
    }
    rows = connection.exec_driver_sql(_LIST_KNOWN, given)
    return [ListedAccount(KnownAccount(*row[:3]), *row[3:]) for row in rows]


def is_account(connection: Connection, account_id: int) -> bool:
    """Whether the books have an account of this number."""
    return bool(connection.exec_driver_sql(_IS_ACCOUNT, {"id": account_id}).scalar_one())


def list_lines(
    connection: Connection,
    slices: Sequence[Slice],
    *,
    start: datetime | None,
    before: datetime,
    limit: int,
) -> list[ReportLine]:
    """Lines of parts of chains that count in a span, up to `limit` of each account."""
    given: Mapping[str, object] = {
        "accounts": [each.account_id for each in slices],
        "afters": [each.after for each in slices],
        "lines": [each.last for each in slices],
        "start": start or START_OF_TIME,
        "before": before,
        "limit": limit,
    }
    return [ReportLine(*row) for row in connection.exec_driver_sql(_LIST_LINES, given)]


def list_held(
    connection: Connection,
    owed: Sequence[Owed],
    known: Known,
    *,
    before: datetime,
    kinds: Sequence[str],
) -> list[HeldPart]:
    """Since when each part of what is owed is held, and the newest event of one of the kinds."""
    given: Mapping[str, object] = {
        "accounts": [each.account.account_id for each in owed],
        "lines": [each.account.line_count for each in owed],
        "owed": [each.owed_minor for each in owed],
        "subjects": [each.subject for each in owed],
        "before": before,
        "kinds": list(kinds),
        "journal_no": known.journal_no,
        "provisional": known.provisional,
    }
    rows = connection.exec_driver_sql(_LIST_HELD, given)
    return [
        HeldPart(int(nth) - 1, since, int(held), last_event)
        for nth, since, held, last_event in rows
    ]
