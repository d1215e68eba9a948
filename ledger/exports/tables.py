"""The five tables that CSV and Parquet share: lines, entries, events, accounts, trial balance.

All but the accounts are cut by months of `effective_at` (UTC), into folders `period=2026-03`, as
DuckDB, Spark and pandas read them. Amounts are whole minor units beside the exponent of their
currency.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from itertools import groupby
from typing import Final, NamedTuple

from sqlalchemy import Connection

from kernel.money import exponent
from ledger import store_exports as store
from ledger.exports.files import OutFile, reporting
from ledger.exports.model import AsKnown, JournalLine, MonthSums, NamedAccount, Period, Span


class Cell(Enum):
    """What stands in a column."""

    TEXT = "text"
    NUMBER = "number"
    MINOR = "minor"
    TIME = "time"
    DAY = "day"
    UUID = "uuid"


class Table(NamedTuple):
    """One table: its name, and its columns in order."""

    name: str
    columns: tuple[tuple[str, Cell], ...]


def _table(name: str, columns: str) -> Table:
    cells = [column.split(":") for column in columns.split()]
    return Table(name, tuple((name, Cell(cell)) for name, cell in cells))


LINES: Final = _table(
    "lines",
    "journal_no:number book:text book_no:number event_id:number entry_no:number line_no:number"
    " account:text account_seq:number currency:text exponent:number amount_minor:minor"
    " debit_minor:minor credit_minor:minor balance_after_minor:minor effective_at:time"
    " recorded_at:time",
)
ENTRIES: Final = _table(
    "entries",
    "journal_no:number book:text book_no:number event_id:number entry_no:number currency:text"
    " exponent:number line_count:number debit_minor:minor credit_minor:minor effective_at:time"
    " recorded_at:time reverses_journal_no:number reverses_book_no:number"
    " reversed_by_journal_no:number reversed_by_book_no:number",
)
EVENTS: Final = _table(
    "events",
    "journal_no:number event_id:number kind:text subject:text actor_id:uuid actor_kind:text"
    " party_id:uuid effective_at:time recorded_at:time reason:text detail:text entry_count:number"
    " leaf_hash:text",
)
ACCOUNTS: Final = _table(
    "accounts",
    "account:text book:text kind:text nature:text kept_per:text subject:text currency:text"
    " exponent:number opening_minor:minor debit_minor:minor credit_minor:minor"
    " closing_minor:minor line_count:number",
)
TRIAL_BALANCE: Final = _table(
    "trial_balance",
    "month:day account:text book:text kind:text nature:text currency:text exponent:number"
    " opening_minor:minor debit_minor:minor credit_minor:minor closing_minor:minor",
)

AddRow = Callable[[Sequence[object]], object]


class Shelf:
    """The files of all tables and months, opened when their first row comes."""

    def __init__(self, open_file: Callable[[Table, str], tuple[OutFile, AddRow]]) -> None:
        self._open_file = open_file
        self._files: dict[tuple[str, str], tuple[OutFile, AddRow]] = {}

    def file(self, table: Table, month: str = "") -> tuple[OutFile, AddRow]:
        """The file of a table, or of one month of it."""
        found = self._files.get((table.name, month))
        if found is None:
            folder = f"{table.name}/period={month}/" if month else ""
            found = self._open_file(table, f"{folder}{table.name}")
            self._files[table.name, month] = found
        return found

    def files(self) -> list[OutFile]:
        """All files, by table and month."""
        return [self._files[name][0] for name in sorted(self._files)]


def fill(
    connection: Connection,
    known: AsKnown,
    shelf: Shelf,
    *,
    period: Period | None,
    progress: Callable[[int], None],
) -> None:
    """Write all tables; lines are told to `progress`."""
    _fill_journal(shelf, reporting(store.list_lines(connection, known, period), progress))
    for event in store.list_events(connection, known, period):
        out, add = shelf.file(EVENTS, month_of(event.effective_at))
        add(event)
        out.rows += 1
    _fill_accounts(shelf, connection, known, period)
    span = store.get_span(connection, known, period)
    sums = store.list_months(connection, known, period)
    for account, months in groupby(sums, lambda row: row.account):
        _fill_months(shelf, account, list(months), span)


def month_of(at: datetime) -> str:
    """The month of a time in UTC, as `2026-03`."""
    return at.astimezone(UTC).strftime("%Y-%m")


def _fill_journal(shelf: Shelf, lines: Iterator[JournalLine]) -> None:
    for _, legs in groupby(lines, lambda line: (line.journal_no, line.entry_no)):
        entry = list(legs)
        _add_entry(shelf, entry)
        out, add = shelf.file(LINES, month_of(entry[0].effective_at))
        decimals = exponent(entry[0].currency)
        for line in entry:
            amount = line.amount_minor
            add(
                (
                    *(line.journal_no, line.book, line.book_no, line.event_id, line.entry_no),
                    *(line.line_no, line.account, line.account_seq, line.currency, decimals),
                    *(amount, max(amount, 0), max(-amount, 0), line.balance_after_minor),
                    *(line.effective_at, line.recorded_at),
                )
            )
            out.count(line.currency, amount)
        out.rows += len(entry)


def _add_entry(shelf: Shelf, entry: Sequence[JournalLine]) -> None:
    head = entry[0]
    debit_minor = sum(line.amount_minor for line in entry if line.amount_minor > 0)
    credit_minor = -sum(line.amount_minor for line in entry if line.amount_minor < 0)
    out, add = shelf.file(ENTRIES, month_of(head.effective_at))
    add(
        (
            *(head.journal_no, head.book, head.book_no, head.event_id, head.entry_no),
            *(head.currency, exponent(head.currency), head.line_count, debit_minor, credit_minor),
            *(head.effective_at, head.recorded_at),
            *(head.reverses_journal_no, head.reverses_book_no),
            *(head.reversed_by_journal_no, head.reversed_by_book_no),
        )
    )
    out.rows += 1
    out.count(head.currency, debit_minor)
    out.count(head.currency, -credit_minor)


def _fill_accounts(
    shelf: Shelf, connection: Connection, known: AsKnown, period: Period | None
) -> None:
    out, add = shelf.file(ACCOUNTS)
    for sums in store.list_balances(connection, known, period):
        account = sums.account
        moved = (sums.opening_minor, sums.debit_minor, sums.credit_minor, sums.closing_minor)
        add((*account, exponent(account.currency), *moved, sums.lines))
        out.rows += 1
        out.count(account.currency, sums.debit_minor)
        out.count(account.currency, -sums.credit_minor)


def _fill_months(
    shelf: Shelf, account: NamedAccount, sums: Sequence[MonthSums], span: Span
) -> None:
    """A row for each month of the span in which something stood on the account or moved."""
    balance_minor = sum(row.debit_minor - row.credit_minor for row in sums if row.month is None)
    moved = {row.month: (row.debit_minor, row.credit_minor) for row in sums if row.month}
    names = (account.code, account.book, account.kind, account.nature, account.currency)
    for month in _months(span):
        debit_minor, credit_minor = moved.get(month, (0, 0))
        if not (balance_minor or debit_minor or credit_minor):
            continue
        closing_minor = balance_minor + debit_minor - credit_minor
        out, add = shelf.file(TRIAL_BALANCE, f"{month:%Y-%m}")
        sides = (balance_minor, debit_minor, credit_minor, closing_minor)
        add((month, *names, exponent(account.currency), *sides))
        out.rows += 1
        out.count(account.currency, debit_minor)
        out.count(account.currency, -credit_minor)
        balance_minor = closing_minor


def _months(span: Span) -> Iterator[date]:
    """The first days of the months of the span."""
    first, last = span.first_on, span.last_on
    for number in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
        yield date(number // 12, number % 12 + 1, 1)
