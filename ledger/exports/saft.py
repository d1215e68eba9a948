"""SAF-T, the OECD's Standard Audit File for Tax 2.0, the ledger's part of it.

One file for each book and currency: the file's totals are sums in its default currency, and no sum
of ours mixes two. Header, the accounts with opening and closing balance, then every entry as a
transaction whose TransactionID is its gapless number in the book. Customers, suppliers and taxes
are none of the ledger's knowledge and left out.

Source: domain/audit-and-reliability.md 3.4; docs/exports.md lists what stands in each element.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from itertools import groupby
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from sqlalchemy import Connection

from kernel.errors import Broken
from kernel.money import format_minor
from ledger import store_exports as store
from ledger.exports.ads import DoesNotFit
from ledger.exports.files import OutFile, reporting
from ledger.exports.model import AccountSums, AsKnown, ExportedFile, JournalLine, Period, Span

NAMESPACE: Final = "urn:OECD:StandardAuditFile-Taxation/2.00"

UNKNOWN: Final = "NotUsed"
"""What stands where the schema asks for something that no ledger knows: address and contact."""

# Characters that XML 1.0 has no way to write.
_NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def write(
    connection: Connection,
    known: AsKnown,
    folder: Path,
    *,
    period: Period | None,
    progress: Callable[[int], None],
) -> list[ExportedFile]:
    """Write `saft/<book>_<currency>.xml`; a `formats.Writer`."""
    span = store.get_span(connection, known, period)
    entries = store.count_entries(connection, known, period)
    files: dict[tuple[str, str], OutFile] = {}
    totals: dict[tuple[str, str], tuple[int, int]] = {}
    for sums in store.list_balances(connection, known, period):
        key = (sums.account.book, sums.account.currency)
        if key not in files:
            files[key] = OutFile(folder, f"saft/{key[0]}_{key[1]}.xml")
            files[key].write(_header(span, known, book=key[0], currency=key[1]))
        files[key].write(_account(sums))
        debit, credit = totals.get(key, (0, 0))
        totals[key] = debit + sums.debit_minor, credit + sums.credit_minor
    for key, out in files.items():
        out.write(_entries_header(key, entries.get(key, 0), totals[key]))
    lines = reporting(store.list_lines(connection, known, period), progress)
    _write_entries(files, lines)
    return [_finish(files[key], key[1], entries.get(key, 0), totals[key]) for key in sorted(files)]


def _write_entries(files: dict[tuple[str, str], OutFile], lines: Iterator[JournalLine]) -> None:
    for _, entry in groupby(lines, lambda line: (line.journal_no, line.entry_no)):
        drawn = list(entry)
        out = files[drawn[0].book, drawn[0].currency]
        out.write(_transaction(drawn))
        out.rows += 1
        for line in drawn:
            out.count(line.currency, line.amount_minor)


def _finish(out: OutFile, currency: str, entries: int, totals: tuple[int, int]) -> ExportedFile:
    """Close the file; Broken if its entries are not those that its header announced."""
    out.write("</Journal></GeneralLedgerEntries>\n</AuditFile>\n")
    written = out.totals.get(currency, (0, 0))
    if (out.rows, written) != (entries, totals):
        raise Broken("a SAF-T file and its header differ", file=out.name)
    return out.close()


def _header(span: Span, known: AsKnown, *, book: str, currency: str) -> str:
    fields = [
        ("AuditFileVersion", "2.00"),
        ("AuditFileCountry", "ZZ"),
        ("AuditFileDateCreated", str(span.recorded_on)),
        ("SoftwareCompanyName", "Holdfast"),
        ("SoftwareID", "Holdfast"),
        ("SoftwareVersion", "ledger"),
    ]
    company = (
        f"<Company>{_element('RegistrationNumber', span.tenant)}{_element('Name', span.tenant)}"
        f"<Address>{_element('City', UNKNOWN)}{_element('PostalCode', UNKNOWN)}</Address>"
        f"<Contact><ContactPerson>{_element('FirstName', UNKNOWN)}"
        f"{_element('LastName', UNKNOWN)}</ContactPerson></Contact></Company>"
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<AuditFile xmlns="{NAMESPACE}">\n<Header>'
        f"{''.join(_element(name, value) for name, value in fields)}{company}"
        f"{_element('DefaultCurrencyCode', currency)}"
        f"<SelectionCriteria>{_element('CompanyEntity', book)}"
        f"{_element('SelectionStartDate', str(span.first_on))}"
        f"{_element('SelectionEndDate', str(span.last_on))}</SelectionCriteria>"
        f"{_element('HeaderComment', f'Journal 1 to {known.journal_no}')}"
        f"{_element('TaxAccountingBasis', 'Other')}{_element('TaxEntity', book)}"
        "</Header>\n<MasterFiles><GeneralLedgerAccounts>\n"
    )


def _account(sums: AccountSums) -> str:
    account = sums.account
    return (
        f"<Account>{_element('AccountID', account_id(account.kind, subject=account.subject))}"
        f"{_element('AccountDescription', account.code, cut=256)}"
        f"{_element('StandardAccountID', account.kind, fit=35)}"
        f"{_element('AccountType', account.nature.capitalize())}"
        f"{_balance('Opening', sums.opening_minor, account.currency)}"
        f"{_balance('Closing', sums.closing_minor, account.currency)}</Account>\n"
    )


def account_id(kind: str, *, subject: str) -> str:
    """The account's name within its file, which is of one book and currency; at most 70 letters."""
    short = kind.partition(".")[2]
    name = f"{short}[{subject}]" if subject else short
    if len(name) > 70:
        raise DoesNotFit(field="AccountID", longest=70, value=name[:200])
    return name


def _balance(side: str, amount_minor: int, currency: str) -> str:
    name = f"{side}{'Credit' if amount_minor < 0 else 'Debit'}Balance"
    return _element(name, format_minor(abs(amount_minor), currency))


def _entries_header(key: tuple[str, str], entries: int, totals: tuple[int, int]) -> str:
    book, currency = key
    debit_minor, credit_minor = totals
    return (
        "</GeneralLedgerAccounts></MasterFiles>\n<GeneralLedgerEntries>"
        f"{_element('NumberOfEntries', str(entries))}"
        f"{_element('TotalDebit', format_minor(debit_minor, currency))}"
        f"{_element('TotalCredit', format_minor(credit_minor, currency))}\n"
        f"<Journal>{_element('JournalID', book)}"
        f"{_element('Description', f'All entries of the book {book} in {currency}')}"
        f"{_element('Type', 'GL')}\n"
    )


def _transaction(entry: Sequence[JournalLine]) -> str:
    head = entry[0]
    effective_on = head.effective_at.astimezone(UTC).date()
    recorded_on = head.recorded_at.astimezone(UTC).date()
    words = f"{head.event_kind}: {head.reason}" if head.reason else head.event_kind
    return (
        f"<Transaction><TransactionID>{head.book_no}</TransactionID>"
        f"<Period>{effective_on.month}</Period><PeriodYear>{effective_on.year}</PeriodYear>"
        f"<TransactionDate>{effective_on}</TransactionDate>"
        f"<SourceID>{head.actor_id.hex}</SourceID>"
        f"<TransactionType>{head.actor_kind}</TransactionType>"
        f"{_element('Description', words, cut=256)}<BatchID>{head.journal_no}</BatchID>"
        f"<SystemEntryDate>{recorded_on}</SystemEntryDate>"
        f"<GLPostingDate>{effective_on}</GLPostingDate>"
        f"<SystemID>{head.event_id}</SystemID>\n"
        f"{''.join(_line(line) for line in entry)}</Transaction>\n"
    )


def _line(line: JournalLine) -> str:
    side = "DebitAmount" if line.amount_minor > 0 else "CreditAmount"
    amount = format_minor(abs(line.amount_minor), line.currency)
    account = account_id(line.account_kind, subject=line.account_subject)
    return (
        f"<Line><RecordID>{line.line_no}</RecordID>{_element('AccountID', account)}"
        f"{_element('Description', line.event_subject or line.event_kind, cut=256)}"
        f"<{side}><Amount>{amount}</Amount><CurrencyCode>{line.currency}</CurrencyCode>"
        f"<CurrencyAmount>{amount}</CurrencyAmount></{side}></Line>\n"
    )


def _element(name: str, value: str, *, cut: int | None = None, fit: int | None = None) -> str:
    """One element; what XML cannot write becomes U+FFFD, and a carriage return survives."""
    if fit is not None and len(value) > fit:
        raise DoesNotFit(field=name, longest=fit, value=value[:200])
    text = escape(_NO_XML.sub("\ufffd", value[:cut]), {"\r": "&#13;"})
    return f"<{name}>{text}</{name}>"
