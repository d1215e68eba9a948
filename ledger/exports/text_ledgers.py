"""Journals for hledger and beancount: one transaction per entry, closed by balance assertions.

Transactions stand day by day, and in journal order within a day. Under a period the balances
before it are brought in first, against `Equity:Opening-balances`. Without one the assertions state
what the chain of each account says (`balance_after` of its last line), which is no sum of ours:
the tool adds up the lines and must come to the same.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from ledger import store_exports as store
from ledger.exports.dialects import BEANCOUNT, HLEDGER, Dialect, Leg
from ledger.exports.files import OutFile, reporting
from ledger.exports.model import AsKnown, ExportedFile, NamedAccount, Period
from ledger.exports.names import OPENING, tool_name

_LEGS: Final = 200


def write_hledger(
    connection: Connection,
    known: AsKnown,
    folder: Path,
    *,
    period: Period | None,
    progress: Callable[[int], None],
) -> list[ExportedFile]:
    """Write `hledger/ledger.journal`; a `formats.Writer`."""
    out = OutFile(folder, f"hledger/ledger.{HLEDGER.suffix}")
    _write(out, HLEDGER, connection, known, period, progress)
    return [out.close()]


def write_beancount(
    connection: Connection,
    known: AsKnown,
    folder: Path,
    *,
    period: Period | None,
    progress: Callable[[int], None],
) -> list[ExportedFile]:
    """Write `beancount/ledger.beancount`; a `formats.Writer`."""
    out = OutFile(folder, f"beancount/ledger.{BEANCOUNT.suffix}")
    _write(out, BEANCOUNT, connection, known, period, progress)
    return [out.close()]


def _write(
    out: OutFile,
    dialect: Dialect,
    connection: Connection,
    known: AsKnown,
    period: Period | None,
    progress: Callable[[int], None],
) -> None:
    span = store.get_span(connection, known, period)
    out.write(dialect.heading(f"Holdfast, {span.tenant}, journal 1 to {known.journal_no}"))
    currencies = _declare(out, dialect, connection, known, period)
    if period is not None:
        for legs in _groups(_openings(connection, known, period)):
            out.write(dialect.opening(span.first_on, [*legs, *_against(legs)]))
    _write_entries(out, dialect, connection, known, period, progress)
    for legs in _groups(_closings(connection, known, period, currencies)):
        out.write(dialect.closing(span.last_on, legs))


def _declare(
    out: OutFile,
    dialect: Dialect,
    connection: Connection,
    known: AsKnown,
    period: Period | None,
) -> list[str]:
    """Declare accounts and commodities; gives the currencies."""
    used: set[str] = set()
    rows = store.list_balances(connection, known, period)
    for name, same in groupby((row.account for row in rows), _name):
        currencies = [account.currency for account in same]
        used.update(currencies)
        out.write(dialect.account(name, currencies))
    if period is not None and used:
        out.write(dialect.account(OPENING, sorted(used)))
    for currency in sorted(used):
        out.write(dialect.commodity(currency))
    out.write("\n")
    return sorted(used)


def _write_entries(
    out: OutFile,
    dialect: Dialect,
    connection: Connection,
    known: AsKnown,
    period: Period | None,
    progress: Callable[[int], None],
) -> None:
    lines = store.list_lines(connection, known, period, by_day=True)
    entries = groupby(reporting(lines, progress), lambda line: (line.journal_no, line.entry_no))
    for _, entry in entries:
        drawn = list(entry)
        legs = []
        for line in drawn:
            name = tool_name(
                kind=line.account_kind, nature=line.nature, subject=line.account_subject
            )
            legs.append(Leg(name, line.amount_minor, line.currency))
            out.count(line.currency, line.amount_minor)
        out.write(dialect.transaction(drawn[0], legs))
        out.rows += 1


def _openings(connection: Connection, known: AsKnown, period: Period | None) -> Iterator[Leg]:
    for row in store.list_balances(connection, known, period):
        if row.opening_minor:
            yield Leg(_name(row.account), row.opening_minor, row.account.currency)


def _against(legs: Iterable[Leg]) -> list[Leg]:
    """What balances opening legs, by currency."""
    sums: Counter[str] = Counter()
    for leg in legs:
        sums[leg.currency] -= leg.amount_minor
    return [Leg(OPENING, amount, currency) for currency, amount in sorted(sums.items()) if amount]


def _closings(
    connection: Connection, known: AsKnown, period: Period | None, currencies: Iterable[str]
) -> Iterator[Leg]:
    rows = store.list_balances(connection, known, period)
    if period is None:
        for row, balance_minor in zip(rows, store.list_chain_ends(connection, known), strict=True):
            yield Leg(_name(row.account), balance_minor, row.account.currency)
        return
    for row in rows:
        yield Leg(_name(row.account), row.closing_minor, row.account.currency)
    for currency in currencies:
        yield Leg(OPENING, 0, currency)


def _groups(legs: Iterator[Leg]) -> Iterator[list[Leg]]:
    """So many legs at a time, that no transaction grows with the books."""
    while group := list(islice(legs, _LEGS)):
        yield group


def _name(account: NamedAccount) -> str:
    return tool_name(kind=account.kind, nature=account.nature, subject=account.subject)
