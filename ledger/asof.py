"""Balances on two axes: what counts before T, as it was known at a prefix of the journal.

Always equal to a full scan of the lines. Whole chunks are read from cells (`ledger.cells`), the
rest line by line by the primary key; back-dating never rewrites a row. Call these in one snapshot
together with `ledger.known.resolve`.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from ledger import store_asof as store
from ledger.known import Known, aware
from ledger.model import AccountKey
from ledger.store_asof import END_OF_TIME, KindTurnover, KnownAccount, Turnover


def balance(
    connection: Connection, key: AccountKey, *, effective_at: datetime | None = None, known: Known
) -> int:
    """The signed balance of an account in minor units: debit positive; never opened is zero.

    Args:
        connection: in one snapshot.
        key: the account by its name.
        effective_at: lines count that are effective before it; None: all of them.
        known: the prefix of the journal, from `ledger.known.resolve`.
    """
    found = find_known(connection, key, known=known)
    if found is None or found.line_count == 0:
        return 0
    if effective_at is None:
        return store.get_balance_after(connection, found.account_id, seq=found.line_count)
    return turnovers(connection, [(found, effective_at)])[0].balance_minor


def balances(
    connection: Connection,
    codes: Sequence[str],
    *,
    effective_at: datetime | None = None,
    known: Known,
) -> dict[str, int]:
    """The signed balances of accounts by their names; zero for one that was never opened."""
    found = list_known(connection, codes, known=known)
    sums = turnovers(connection, [(each, effective_at) for each in found])
    standing = {
        each.code: turnover.balance_minor for each, turnover in zip(found, sums, strict=True)
    }
    return {code: standing.get(code, 0) for code in codes}


def find_known(connection: Connection, code: str, *, known: Known) -> KnownAccount | None:
    """An account by its name, and how many of its lines were known."""
    found = list_known(connection, [code], known=known)
    return found[0] if found else None


def list_known(connection: Connection, codes: Sequence[str], *, known: Known) -> list[KnownAccount]:
    """Accounts by their names, and how many of their lines were known."""
    return store.list_known(
        connection, codes, journal_no=known.journal_no, provisional=known.provisional
    )


def turnovers(
    connection: Connection, wanted: Sequence[tuple[KnownAccount, datetime | None]]
) -> list[Turnover]:
    """Debits and credits of accounts among their known lines, each counting before a time.

    The time None means all lines; one answer for each, in order.
    """
    asked = [
        (account.account_id, account.line_count, before_of(effective_at))
        for account, effective_at in wanted
    ]
    return store.sum_accounts(connection, asked) if asked else []


def openings(
    connection: Connection, accounts: Sequence[KnownAccount], start: datetime | None
) -> list[Turnover]:
    """What stood on accounts when a span began; nothing where it begins with the books."""
    if start is None:
        return [Turnover(0, 0, 0)] * len(accounts)
    return turnovers(connection, [(account, start) for account in accounts])


def kind_turnovers(
    connection: Connection, *, effective_at: datetime | None, known: Known
) -> list[KindTurnover]:
    """Debits and credits of all lines, per kind, currency and kind of event, in that order."""
    return store.sum_kinds(
        connection,
        journal_no=known.journal_no,
        provisional=known.provisional,
        before=before_of(effective_at),
    )


def before_of(effective_at: datetime | None) -> datetime:
    """The upper bound, itself not included; refuses `ledger.naive_time`."""
    return END_OF_TIME if effective_at is None else aware(effective_at)
