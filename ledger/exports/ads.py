"""The AICPA's Audit Data Standards: GL_Detail, Trial_Balance, Chart_Of_Accounts, User_Listing.

Flat files in UTF-8, cells parted by `|` and quoted as in RFC 4180 where need be, CRLF, one heading;
dates YYYYMMDD, amounts positive beside D or C. Each book is a business unit in a folder of its own,
since Journal_ID is gapless per book. What a field has no room for is cut in descriptions and
refused anywhere else.

Source: domain/audit-and-reliability.md 3.4.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Connection

from kernel.errors import Refusal
from kernel.money import format_minor
from ledger import store_exports as store
from ledger.exports.files import OutFile, reporting
from ledger.exports.model import (
    AccountSums,
    Actor,
    AsKnown,
    ExportedFile,
    JournalLine,
    Period,
    Span,
)
from ledger.model import Book

GL_DETAIL: Final = (
    "Journal_ID Journal_ID_Line_Number JE_Header_Description JE_Line_Description Source"
    " Business_Unit_Code Effective_Date Fiscal_Year Period GL_Account_Number Amount"
    " Amount_Currency Amount_Credit_Debit_Indicator Reporting_Amount Reporting_Amount_Currency"
    " Local_Amount Local_Amount_Currency Entered_By Entered_Date Entered_Time Last_Modified_By"
    " Last_Modified_Date Approved_By Approved_Date Reversal_Indicator Reversal_Journal_ID Segment01"
).split()
TRIAL_BALANCE: Final = (
    "GL_Account_Number Business_Unit_Code Balance_As_Of_Date Fiscal_Year Period Amount_Beginning"
    " Amount_Ending Amount_Currency"
).split()
CHART: Final = (
    "GL_Account_Number GL_Account_Name FS_Caption Account_Type Account_Subtype"
    " GL_Account_Description Parent_GL_Account_Number Business_Unit_Code"
).split()
USERS: Final = (
    "User_ID User_Active_Status User_Status_Modified_Date User_First_Name User_Last_Name"
    " User_Title User_Department User_Role_Responsibility Actor_ID"
).split()

LONGEST: Final = MappingProxyType(
    {
        "Journal_ID": 100,
        "GL_Account_Number": 100,
        "GL_Account_Name": 100,
        "FS_Caption": 100,
        "Source": 25,
    }
)
"""The fields of the standard whose length depends on what others chose to write."""

_TYPES: Final = MappingProxyType(
    {
        "asset": "Assets",
        "liability": "Liabilities",
        "equity": "Equity",
        "clearing": "Clearing",
        "revenue": "Revenue",
        "expense": "Expenses",
    }
)

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


class DoesNotFit(Refusal):
    """A value is longer than its field of the standard, and may not be cut."""

    code = "export.does_not_fit"


def write(
    connection: Connection,
    known: AsKnown,
    folder: Path,
    *,
    period: Period | None,
    progress: Callable[[int], None],
) -> list[ExportedFile]:
    """Write `ads/<book>/<table>_<first day>_<last day>.txt`; a `formats.Writer`."""
    span = store.get_span(connection, known, period)
    details = _open(folder, "GL_Detail", span, GL_DETAIL)
    for line in reporting(store.list_lines(connection, known, period), progress):
        details[line.book].add(_detail(line))
        details[line.book].out.count(line.currency, line.amount_minor)
    balances = _open(folder, "Trial_Balance", span, TRIAL_BALANCE)
    chart = _open(folder, "Chart_Of_Accounts", span, CHART)
    kind = ""
    for sums in store.list_balances(connection, known, period):
        account = sums.account
        if account.kind != kind:
            kind = account.kind
            chart[account.book].add(_parent(sums))
        chart[account.book].add(_account(sums))
        balances[account.book].add(_balance(sums, span))
        balances[account.book].out.count(account.currency, sums.debit_minor)
        balances[account.book].out.count(account.currency, -sums.credit_minor)
    users = _open(folder, "User_Listing", span, USERS)
    for actor in store.list_actors(connection, known, period):
        users[actor.book].add(_user(actor))
    return [
        sheets[book].out.close() for book in Book for sheets in (details, balances, chart, users)
    ]


class _Sheet:
    """One file: its cells joined by `|`."""

    def __init__(self, out: OutFile, heading: Sequence[str]) -> None:
        self.out = out
        self._writer = csv.writer(out, delimiter="|", lineterminator="\r\n")
        self._writer.writerow(heading)

    def add(self, row: Sequence[object]) -> None:
        """Write one record."""
        self._writer.writerow(row)
        self.out.rows += 1


def _open(
    folder: Path, table: str, span: Span, heading: Sequence[str]
) -> Mapping[Book | str, _Sheet]:
    days = f"{_day(span.first_on)}_{_day(span.last_on)}"
    return {
        book: _Sheet(OutFile(folder, f"ads/{book}/{table}_{days}.txt"), heading) for book in Book
    }


def fit(value: str, *, field: str) -> str:
    """The value, if its field has room for it; refuses what does not fit."""
    if len(value) > LONGEST[field]:
        raise DoesNotFit(field=field, longest=LONGEST[field], value=value[:200])
    return value


def user_id(actor_id: UUID) -> str:
    """The number of a principal in base 36: 25 digits, the room that the standard gives it."""
    number, digits = actor_id.int, ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits.rjust(25, "0")


def _detail(line: JournalLine) -> list[Any]:
    effective = line.effective_at.astimezone(UTC)
    header = f"{line.event_kind}: {line.reason}" if line.reason else line.event_kind
    return [
        *(fit(str(line.book_no), field="Journal_ID"), line.line_no),
        *(header[:1000], line.event_subject[:1000]),
        *(fit(line.event_kind.partition(".")[0], field="Source"), line.book),
        *(_day(effective), effective.strftime("%Y"), f"M{effective.month}"),
        fit(line.account, field="GL_Account_Number"),
        *(format_minor(abs(line.amount_minor), line.currency), line.currency),
        "D" if line.amount_minor > 0 else "C",
        *("", "", "", ""),
        *_people(line),
        *_reversal(line),
        line.journal_no,
    ]


def _people(line: JournalLine) -> list[str]:
    """Who entered it and when, who changed it (nobody), who approved it and when.

    A manual journal is entered by its preparer and posted by its approver.
    """
    actor, recorded = user_id(line.actor_id), line.recorded_at.astimezone(UTC)
    if not line.manual_detail:
        return [actor, _day(recorded), _time(recorded), "", "", "", ""]
    told = orjson.loads(line.manual_detail)
    prepared = datetime.fromisoformat(told["prepared_at"]).astimezone(UTC)
    preparer = user_id(UUID(told["preparer"]))
    return [preparer, _day(prepared), _time(prepared), "", "", actor, _day(recorded)]


def _reversal(line: JournalLine) -> list[Any]:
    """1: this is a reversal; 2: it was reversed; and the Journal_ID of the other one."""
    if line.reverses_book_no is not None:
        return ["1", line.reverses_book_no]
    if line.reversed_by_book_no is not None:
        return ["2", line.reversed_by_book_no]
    return ["", ""]


def _balance(sums: AccountSums, span: Span) -> list[Any]:
    account = sums.account
    return [
        *(fit(account.code, field="GL_Account_Number"), account.book, _day(span.last_on)),
        *(span.last_on.strftime("%Y"), _period(span)),
        format_minor(sums.opening_minor, account.currency),
        format_minor(sums.closing_minor, account.currency),
        account.currency,
    ]


def _account(sums: AccountSums) -> list[Any]:
    account = sums.account
    per = f" per {account.kept_per}" if account.kept_per else ""
    return [
        fit(account.code, field="GL_Account_Number"),
        fit(account.code, field="GL_Account_Name"),
        fit(account.kind, field="FS_Caption"),
        *(_TYPES[account.nature], account.kept_per[:25]),
        f"{account.kind}{per}, in {account.currency}"[:256],
        *(account.kind, account.book),
    ]


def _parent(sums: AccountSums) -> list[Any]:
    account = sums.account
    kind = fit(account.kind, field="FS_Caption")
    return [kind, kind, kind, _TYPES[account.nature], "", kind, "", account.book]


def _user(actor: Actor) -> list[Any]:
    return [user_id(actor.actor_id), *[""] * 6, actor.actor_kind, actor.actor_id]


def _period(span: Span) -> str:
    """The months of the span: `M3`, or `2025M12-2026M3` where there are more."""
    first, last = span.first_on, span.last_on
    if (first.year, first.month) == (last.year, last.month):
        return f"M{last.month}"
    return f"{first.year}M{first.month}-{last.year}M{last.month}"


def _day(day: date | datetime) -> str:
    return day.strftime("%Y%m%d")


def _time(at: datetime) -> str:
    return at.strftime("%H%M%S")
