"""What the books knew: a time or a `journal_no` turned into a prefix of the journal.

The second of the two axes. What was known as of R is the journal up to R and nothing else, so the
answer to a question about a prefix never changes (decision 0004, "As of").
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from kernel.errors import Refusal
from ledger import store_asof as store


class UnknownJournalNo(Refusal):
    """The journal has no event of this number."""

    code = "ledger.unknown_journal_no"


class BeforeJournal(Refusal):
    """The time lies before the first seal: nothing was known to the journal yet."""

    code = "ledger.before_journal"


class NaiveTime(Refusal):
    """A time says its offset from UTC; without one it names no instant."""

    code = "ledger.naive_time"


@dataclass(frozen=True, slots=True)
class Known:
    """A prefix of the journal: all events up to `journal_no`, 0 for none.

    Where `provisional`, committed events that are not sealed yet count as well: the answer may
    change and carries no hash.
    """

    journal_no: int
    provisional: bool


def resolve(connection: Connection, as_of: datetime | int | None) -> Known:
    """The prefix that a time, a `journal_no` or "now" (None) stands for.

    A time means the last block sealed at or before it; one after the newest block, and None, are
    provisional. Read in the same snapshot as what is asked of it.

    Refuses: `ledger.unknown_journal_no`, `ledger.before_journal`, `ledger.naive_time`.
    """
    if isinstance(as_of, datetime):
        return _at(connection, aware(as_of))
    newest = store.find_newest_block(connection)
    if as_of is None:
        return Known(newest.journal_no if newest else 0, provisional=True)
    last = newest.journal_no if newest else 0
    if not 1 <= as_of <= last:
        raise UnknownJournalNo(journal_no=as_of, newest=last)
    return Known(as_of, provisional=False)


def aware(at: datetime) -> datetime:
    """The same time; refuses `ledger.naive_time` for one without an offset."""
    if at.utcoffset() is None:
        raise NaiveTime(time=at.isoformat())
    return at


def _at(connection: Connection, at: datetime) -> Known:
    newest = store.find_newest_block(connection)
    if newest is None:
        raise BeforeJournal(as_of=at.isoformat(), first_sealed_at=None)
    if at > newest.sealed_at:
        return Known(newest.journal_no, provisional=True)
    known = store.find_block_at(connection, at)
    if known is None:
        first = store.find_first_block(connection)
        raise BeforeJournal(
            as_of=at.isoformat(), first_sealed_at=first and first.sealed_at.isoformat()
        )
    return Known(known.journal_no, provisional=False)
