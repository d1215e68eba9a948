"""BAI2 files, with every control total and count: records 01, 02, 03, 16, 49, 88, 98 and 99.

Amounts are minor units of the account's currency already. Type codes 100 to 399 are credits, 400 to
699 debits (Cash Management Balance Reporting Specifications, version 2).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Final

from rails.statements.model import (
    MOST_LINES,
    Statement,
    StatementLine,
    Unreadable,
    check_total,
    check_totals,
    identified,
    known_currency,
    masked,
    named,
    read_count,
    read_whole,
    text_of,
)

SOURCE: Final = "bai2"
_BETWEEN: Final = re.compile(r"/\s*(?=(?:01|02|03|16|49|88|98|99),)")
_STARTS: Final = re.compile(r"\s*(01|02|03|16|49|88|98|99),")
_OPENING, _CLOSING, _CREDITS, _DEBITS = "010", "015", "100", "400"


@dataclass(slots=True)
class _Record:
    """One logical record: its own fields and those of the 88 records behind it."""

    code: str
    body: str
    line: int
    physical: int = 1
    is_open: bool = False

    def fields(self) -> list[str]:
        """What stands between the commas, without the code."""
        return [field.strip() for field in self.body.split(",")]


@dataclass(slots=True)
class _Account:
    """An account while it is read: its head, its lines, and what its 49 must say."""

    head: _Record
    number: str
    currency: str
    as_of: date
    told: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    lines: list[StatementLine] = field(default_factory=list)
    total: int = 0
    records: int = 0


@dataclass(slots=True)
class _Level:
    """What the control record of a group or of the file must say."""

    total: int = 0
    members: int = 0
    records: int = 0


def read(data: bytes) -> list[Statement]:
    """The accounts of a file, in its order; `statement.unreadable` if it is not sound."""
    file = _File()
    for record in _records(text_of(data)):
        if file.is_over or (file.whole is None) != (record.code == "01"):
            raise Unreadable(record.line, f"record {record.code} is not in its place")
        _TAKERS[record.code](file, record)
    if not file.is_over:
        raise Unreadable(0, "the file ends before its record 99")
    return file.found


@dataclass(slots=True)
class _File:
    """How far a file is read: its levels that are open, and the accounts that have ended."""

    found: list[Statement] = field(default_factory=list)
    whole: _Level | None = None
    group: _Level | None = None
    as_of: date | None = None
    currency: str = ""
    account: _Account | None = None
    is_over: bool = False


def _begin_file(file: _File, record: _Record) -> None:
    file.whole = _Level(records=record.physical)


def _begin_group(file: _File, record: _Record) -> None:
    if file.group is not None:
        raise Unreadable(record.line, "a group begins inside another")
    file.group = _Level(records=record.physical)
    file.as_of, file.currency = _group_head(record)


def _begin_account(file: _File, record: _Record) -> None:
    if file.group is None or file.account is not None:
        raise Unreadable(record.line, "an account begins outside a group or inside another")
    assert file.as_of is not None
    file.account = _account(record, file.as_of, file.currency)


def _take(file: _File, record: _Record) -> None:
    if file.account is None:
        raise Unreadable(record.line, "record 16 stands outside an account")
    _take_line(file.account, record)


def _end_account(file: _File, record: _Record) -> None:
    if file.account is None or file.group is None:
        raise Unreadable(record.line, "record 49 stands outside an account")
    file.found.append(_ended(file.account, record))
    _add(file.group, file.account.total, file.account.records)
    file.account = None


def _end_group(file: _File, record: _Record) -> None:
    if file.group is None or file.account is not None:
        raise Unreadable(record.line, "a group ends that has not begun, or inside an account")
    _check_control(record, file.group, "accounts")
    assert file.whole is not None
    _add(file.whole, file.group.total, file.group.records)
    file.group = None


def _end_file(file: _File, record: _Record) -> None:
    if file.group is not None:
        raise Unreadable(record.line, "the file ends inside a group")
    assert file.whole is not None
    _check_control(record, file.whole, "groups")
    file.is_over = True


_TAKERS: Final[Mapping[str, Callable[[_File, _Record], None]]] = MappingProxyType(
    {
        "01": _begin_file,
        "02": _begin_group,
        "03": _begin_account,
        "16": _take,
        "49": _end_account,
        "98": _end_group,
        "99": _end_file,
    }
)


def _records(text: str) -> Iterator[_Record]:
    """Logical records; what a line brings without a code goes on with the record before it."""
    last: _Record | None = None
    for number, row in enumerate(text.splitlines(), start=1):
        for part in _BETWEEN.split(row):
            start = _STARTS.match(part)
            if start is None:
                if part.strip():
                    _go_on(last, part, number)
                continue
            code, body = start[1], part[start.end() :]
            ends = body.rstrip().endswith("/")
            body = body.rstrip().removesuffix("/")
            if code == "88":
                if last is None or last.code in {"01", "02", "49", "98", "99"}:
                    raise Unreadable(number, "record 88 goes on with nothing")
                last.body += ("," if last.code == "03" else " ") + body
                last.physical += 1
                continue
            if last is not None:
                yield last
            last = _Record(code, body, number, is_open=not ends)
    if last is None:
        raise Unreadable(1, "there is no record in it")
    yield last


def _go_on(last: _Record | None, part: str, number: int) -> None:
    if last is None or last.code != "16":
        raise Unreadable(number, "the line begins with no record code")
    last.body += " " + part.strip().removesuffix("/")


def _group_head(record: _Record) -> tuple[date, str]:
    fields = record.fields()
    if len(fields) < 4 or fields[2] != "1":
        raise Unreadable(record.line, "the group is no update (status 1): a test, or a correction")
    currency = fields[5] if len(fields) > 5 and fields[5] else "USD"
    return _day(fields[3], record.line), known_currency(currency, record.line)


def _account(record: _Record, as_of: date, group_currency: str) -> _Account:
    fields = record.fields()
    currency = (fields[1] if len(fields) > 1 else "") or group_currency
    known_currency(currency, record.line)
    account = _Account(record, fields[0], currency, as_of, records=record.physical)
    rest = fields[2:]
    while rest:
        if not any(rest):
            break
        kind, amount, count = (*rest[:3], "", "", "")[:3]
        minor = read_whole(amount, currency, record.line) if amount else 0
        items = read_count(count, record.line) if count else None
        rest = rest[3:]
        rest = _after_funds(rest, record.line)[1] if rest else []
        if kind:
            account.told[kind] = (minor, items)
            account.total += minor
    return account


def _after_funds(rest: Sequence[str], line: int) -> tuple[str, list[str]]:
    """The value date that a funds type brings (yymmdd), and the fields behind it."""
    kind, behind = rest[0].upper(), list(rest[1:])
    if kind in {"", "Z", "0", "1", "2"}:
        return "", behind
    if kind == "V":
        return (behind[0] if behind else ""), behind[2:]
    if kind == "S":
        return "", behind[3:]
    if kind == "D" and behind:
        return "", behind[1 + 2 * read_count(behind[0], line) :]
    raise Unreadable(line, f"{kind[:10]!r} is no funds type")


def _take_line(account: _Account, record: _Record) -> None:
    if len(account.lines) >= MOST_LINES:
        raise Unreadable(record.line, f"there are more than {MOST_LINES} lines")
    fields = record.fields()
    if len(fields) < 2:
        raise Unreadable(record.line, "the record ends before its amount")
    kind, amount = fields[:2]
    minor = read_whole(amount, account.currency, record.line) if amount else 0
    valued, rest = _after_funds(fields[2:] or [""], record.line)
    bank, customers, *text = [*rest, "", ""]
    account.total += minor
    account.records += record.physical
    account.lines.append(
        StatementLine(
            amount_minor=minor * _sign(kind, record.line),
            currency=account.currency,
            booked_on=account.as_of,
            value_on=_day(valued, record.line) if valued else account.as_of,
            ref=named(bank),
            end_to_end_id=named(customers),
            kind=kind,
            text=masked(" ".join(text)),
            file_line=record.line,
        )
    )


def _sign(kind: str, line: int) -> int:
    if re.fullmatch(r"[1-3][0-9][0-9]", kind, re.ASCII):
        return 1
    if re.fullmatch(r"[4-6][0-9][0-9]", kind, re.ASCII):
        return -1
    raise Unreadable(line, f"type {kind[:10]!r} says neither credit nor debit")


def _ended(account: _Account, record: _Record) -> Statement:
    account.records += record.physical
    total, records = _control(record, 2)
    check_total("account total", told=total, found=account.total, line=record.line)
    check_total("account records", told=records, found=account.records, line=record.line)
    controls = {"records": records, "total": total}
    for kind, sign, what in ((_CREDITS, 1, "credits"), (_DEBITS, -1, "debits")):
        if kind not in account.told:
            continue
        minor, items = account.told[kind]
        amounts = [each.amount_minor for each in account.lines if each.amount_minor * sign > 0]
        check_total(what, told=minor, found=abs(sum(amounts)), line=account.head.line)
        if items is not None:
            check_total(f"{what}, number", told=items, found=len(amounts), line=account.head.line)
        controls[what] = minor
    opening, closing = account.told.get(_OPENING), account.told.get(_CLOSING)
    has_both = opening is not None and closing is not None
    return check_totals(
        Statement(
            source=SOURCE,
            account=account.number,
            currency=account.currency,
            reference=account.as_of.isoformat(),
            from_on=account.as_of,
            to_on=account.as_of,
            opening_minor=opening[0] if has_both and opening else None,
            closing_minor=closing[0] if has_both and closing else None,
            lines=identified(account.lines),
            controls=controls,
            file_line=account.head.line,
        )
    )


def _check_control(record: _Record, level: _Level, members: str) -> None:
    """98 and 99 count their members and all records, their own among them."""
    level.records += record.physical
    total, number, records = _control(record, 3)
    check_total(f"total of {members}", told=total, found=level.total, line=record.line)
    check_total(members, told=number, found=level.members, line=record.line)
    check_total("records", told=records, found=level.records, line=record.line)


def _control(record: _Record, wanted: int) -> list[int]:
    fields = record.fields()
    if len(fields) < wanted:
        raise Unreadable(record.line, f"record {record.code} lacks a total")
    total = read_whole(fields[0] or "0", "USD", record.line)
    return [total, *(read_count(each, record.line) for each in fields[1:wanted])]


def _add(level: _Level, total: int, records: int) -> None:
    level.total += total
    level.members += 1
    level.records += records


def _day(text: str, line: int) -> date:
    if re.fullmatch(r"[0-9]{6}", text, re.ASCII) is None:
        raise Unreadable(line, f"{text[:20]!r} is no date (yymmdd)")
    try:
        return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:]))
    except ValueError:
        raise Unreadable(line, f"{text!r} is no date (yymmdd)") from None
