"""What every reader gives: statements, their lines, and the refusal of what cannot be read.

Pure. Amounts are whole minor units; money in is above zero, as in our books.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final

from kernel.errors import Refusal
from kernel.money import NotPositive, exponent, parse_minor

Currency = str
"""A code of ISO 4217."""

LARGEST_BYTES: Final = 64 * 1024 * 1024
"""No statement file may be larger; a year of a busy account is far below."""

MOST_LINES: Final = 500_000
"""No file may have more lines of money."""

_AMOUNT: Final = re.compile(r"([+-]?)0*([0-9]{1,18})(?:\.([0-9]*))?", re.ASCII)
_IBAN: Final = re.compile(r"\b[A-Z]{2}[0-9]{2}[A-Z0-9]{7,28}([A-Z0-9]{4})\b", re.ASCII)
_LONG_NUMBER: Final = re.compile(r"\b[0-9](?:[0-9 -]{6,30})[0-9]\b", re.ASCII)
_NO_REFERENCE: Final = frozenset({"", "NONREF", "NOTPROVIDED", "NOT PROVIDED", "N/A", "EREF"})


class Unreadable(Refusal):
    """A statement file that is not what it says, or does not add up; nothing of it is kept."""

    code = "statement.unreadable"

    def __init__(self, line: int, reason: str) -> None:
        """`line` is the line of the file (0: the file as a whole)."""
        super().__init__(line=line, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One movement as a bank or rail tells it.

    `amount_minor` is signed: money in above zero. `ref` is the teller's own id of it, and `own_id`
    what makes it known again in any statement of the account (empty where nothing does);
    `end_to_end_id` is the payer's; `group_ref` the payout or batch that it is part of, or is;
    `trace_ref` what a bank may show of it; `other_refs` more names. `fee_minor` is what was kept
    of it already. `file_line` says where it stands.
    """

    amount_minor: int
    currency: str
    booked_on: date
    value_on: date
    ref: str = ""
    own_id: str = ""
    end_to_end_id: str = ""
    group_ref: str = ""
    trace_ref: str = ""
    other_refs: tuple[str, ...] = ()
    kind: str = ""
    text: str = ""
    is_reversal: bool = False
    is_pending: bool = False
    fee_minor: int = 0
    file_line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of one account in one currency; what a format lacks is empty.

    `account` is the account's name as the file has it: a bank number, which is never stored.
    `controls` are the totals and counts of the file that were checked.
    """

    source: str
    account: str
    currency: str
    reference: str = ""
    from_on: date | None = None
    to_on: date | None = None
    opening_minor: int | None = None
    closing_minor: int | None = None
    lines: tuple[StatementLine, ...] = ()
    controls: Mapping[str, int] = field(default_factory=dict)
    file_line: int = 0


def read_minor(text: str, currency: Currency, line: int) -> int:
    """A decimal amount of major units, signed or not, as minor units; exact or refused."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise Unreadable(line, f"{text[:30]!r} is no amount")
    sign, whole, part = match.groups()
    try:
        minor = parse_minor(f"{whole}.{part}" if part else whole, currency)
    except NotPositive:
        minor = 0
    except Refusal as refusal:
        raise Unreadable(line, f"{text[:30]!r} {currency[:3]}: {refusal.code}") from None
    return -minor if sign == "-" else minor


def read_whole(text: str, currency: Currency, line: int) -> int:
    """An amount that is written in minor units already, signed or not."""
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text, re.ASCII) is None:
        raise Unreadable(line, f"{text[:30]!r} is no whole amount of minor units")
    known_currency(currency, line)
    return int(text)


def read_count(text: str, line: int) -> int:
    """A number of records or lines."""
    if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) is None:
        raise Unreadable(line, f"{text[:30]!r} is no count")
    return int(text)


def read_day(text: str, line: int) -> date:
    """A day, or the day of a time, as ISO 8601 writes it (in the zone in which it is written)."""
    try:
        return datetime.fromisoformat(text.strip().removesuffix(" UTC")).date()
    except ValueError:
        raise Unreadable(line, f"{text[:30]!r} is no date") from None


def known_currency(currency: str, line: int) -> str:
    """The currency, if we keep books in it."""
    try:
        exponent(currency)
    except Refusal:
        raise Unreadable(line, f"{currency[:10]!r} is no currency of ours") from None
    return currency


def text_of(data: bytes, *, may_be_latin: bool = False) -> str:
    """A file as text: UTF-8 (or Latin-1 where it may be); no NUL, not empty, not too large."""
    check_size(data)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable(1, "the file is in UTF-16; save it as UTF-8")
    nul = data.find(b"\0")
    if nul >= 0:
        raise Unreadable(data.count(b"\n", 0, nul) + 1, "there is a NUL in it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if may_be_latin:
            return data.decode("latin-1")
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable(line, "the file is not in UTF-8") from None


def check_size(data: bytes) -> None:
    """Refuse an empty file and one that is too large."""
    if not data.strip():
        raise Unreadable(0, "the file is empty")
    if len(data) > LARGEST_BYTES:
        raise Unreadable(0, f"the file has {len(data)} bytes, more than {LARGEST_BYTES}")


def check_totals(statement: Statement) -> Statement:
    """The statement, if its opening balance and its booked lines make its closing balance."""
    if statement.opening_minor is None or statement.closing_minor is None:
        return statement
    total = sum(line.amount_minor for line in statement.lines if not line.is_pending)
    if statement.opening_minor + total != statement.closing_minor:
        raise Unreadable(
            statement.file_line,
            f"opening {statement.opening_minor} and lines {total} make"
            f" {statement.opening_minor + total}, not closing {statement.closing_minor}",
        )
    return statement


def check_total(what: str, *, told: int, found: int, line: int) -> None:
    """Refuse a control total or count of the file that its records do not make."""
    if told != found:
        raise Unreadable(line, f"{what}: the file says {told}, its records make {found}")


def identified(lines: Sequence[StatementLine]) -> tuple[StatementLine, ...]:
    """Lines of a bank's statement, each named by day and reference where that is its alone."""
    used = Counter((line.booked_on, line.ref) for line in lines if line.ref)
    return tuple(
        replace(line, own_id=f"{line.booked_on.isoformat()}/{line.ref}")
        if used[line.booked_on, line.ref] == 1
        else line
        for line in lines
    )


def named(reference: str | None) -> str:
    """A reference, or nothing where it only says that there is none."""
    found = " ".join((reference or "").split())
    return "" if found.upper() in _NO_REFERENCE else found


def masked(text: str) -> str:
    """Text with bank numbers cut to their last four signs: what is kept names no account."""
    short = _IBAN.sub(r"...\1", " ".join(text.split()))
    return _LONG_NUMBER.sub(lambda found: f"...{found[0][-4:]}", short)[:500]
