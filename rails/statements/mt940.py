"""MT940 statements, by the `mt-940` library; its totals and ours are held against each other.

The library passes over what it does not know, so that every `:61:` of the text must be found again
among its transactions, and both balances must be there.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import mt940
from mt940.models import Amount, Balance, SumAmount

from rails.statements.model import (
    Statement,
    StatementLine,
    Unreadable,
    check_total,
    check_totals,
    identified,
    known_currency,
    masked,
    named,
    read_minor,
    text_of,
)

SOURCE: Final = "mt940"

# The library writes what it cannot read into its log, bank numbers and all.
_QUIET: Final = logging.getLogger("mt940")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False

_BLOCK: Final = re.compile(r"(?m)^(?=:20:)")
_ENTRY: Final = re.compile(r"(?m)^:61:")
_END_TO_END: Final = re.compile(r"/EREF/([^/\n]+)")
_REVERSALS: Final = frozenset({"RC", "RD"})


def read(data: bytes) -> list[Statement]:
    """The statements of a file, in its order; `statement.unreadable` if one is not sound."""
    text = text_of(data, may_be_latin=True).replace("\r\n", "\n")
    found: list[Statement] = []
    line = 1
    for block in _BLOCK.split(text):
        if block.startswith(":20:"):
            found.append(_statement(block, line))
        elif ":61:" in block or ":60" in block:
            raise Unreadable(line, "a statement begins without its :20:")
        line += block.count("\n")
    if not found:
        raise Unreadable(1, "there is no :20: in it")
    return found


def _statement(block: str, line: int) -> Statement:
    try:
        (parsed,) = mt940.parse_statements(block, options=mt940.Options.all())
    except (RuntimeError, ValueError, ArithmeticError, LookupError, TypeError):
        raise Unreadable(line, "the library cannot read this statement") from None
    facts: Mapping[str, Any] = parsed.data
    opening = _balance(facts, "opening_balance", ":60", line)
    closing = _balance(facts, "closing_balance", ":62", line)
    currency = known_currency(opening.currency, line)
    if closing.currency != currency:
        raise Unreadable(line, f"opening in {currency}, closing in {closing.currency}")
    places = [line + block.count("\n", 0, entry.start()) for entry in _ENTRY.finditer(block)]
    told = [each.data for each in parsed if "amount" in each.data]
    check_total("entries", told=len(places), found=len(told), line=line)
    lines = [_line(entry, currency, place) for entry, place in zip(told, places, strict=True)]
    return check_totals(
        Statement(
            source=SOURCE,
            account=named(facts.get("account_identification")),
            currency=currency,
            reference=_reference(facts),
            from_on=opening.day,
            to_on=max(opening.day, closing.day),
            opening_minor=opening.amount_minor,
            closing_minor=closing.amount_minor,
            lines=identified(lines),
            controls=_controls(facts, lines, currency, line),
            file_line=line,
        )
    )


@dataclass(frozen=True, slots=True)
class _Standing:
    """A balance as the file says it."""

    amount_minor: int
    currency: str
    day: date


def _balance(facts: Mapping[str, Any], what: str, tag: str, line: int) -> _Standing:
    for name in (f"final_{what}", f"intermediate_{what}", what):
        found = facts.get(name)
        if isinstance(found, Balance) and isinstance(found.amount, Amount):
            currency = known_currency(found.amount.currency or "", line)
            minor = read_minor(f"{found.amount.amount:f}", currency, line)
            return _Standing(minor, currency, _day(found.date, line))
    raise Unreadable(line, f"there is no {what.replace('_', ' ')} ({tag}F: or {tag}M:)")


def _reference(facts: Mapping[str, Any]) -> str:
    parts = (facts.get("statement_number"), facts.get("sequence_number"))
    number = "/".join(part for part in parts if part)
    return f"{named(facts.get('transaction_reference'))} {number}".strip()


def _line(entry: Mapping[str, Any], currency: str, place: int) -> StatementLine:
    valued = _day(entry.get("date"), place)
    details = str(entry.get("transaction_details") or entry.get("purpose") or "")
    told = _END_TO_END.search(details.replace("\n", ""))
    end_to_end = entry.get("end_to_end_reference") or (told[1] if told else "")
    customers = named(entry.get("customer_reference"))
    return StatementLine(
        amount_minor=read_minor(f"{entry['amount'].amount:f}", currency, place),
        currency=currency,
        booked_on=_day(entry.get("entry_date") or valued, place),
        value_on=valued,
        ref=named(entry.get("bank_reference")),
        end_to_end_id=named(end_to_end),
        other_refs=(customers,) if customers else (),
        kind=str(entry.get("id") or ""),
        text=masked(details),
        is_reversal=str(entry.get("status") or "").upper() in _REVERSALS,
        file_line=place,
    )


def _controls(
    facts: Mapping[str, Any], lines: list[StatementLine], currency: str, line: int
) -> dict[str, int]:
    """What :90D: and :90C: say, where they are there."""
    checked: dict[str, int] = {}
    for name, sign in (("sum_debit_entries", -1), ("sum_credit_entries", 1)):
        told = facts.get(name)
        if not isinstance(told, SumAmount):
            continue
        amounts = [each.amount_minor for each in lines if each.amount_minor * sign > 0]
        minor = abs(read_minor(f"{told.amount:f}", currency, line))
        check_total(f"{name}, number", told=int(told.number), found=len(amounts), line=line)
        check_total(name, told=minor, found=abs(sum(amounts)), line=line)
        checked |= {name: minor, f"{name}_count": len(amounts)}
    return checked


def _day(told: object, line: int) -> date:
    if not isinstance(told, date):
        raise Unreadable(line, "there is no date")
    return date(told.year, told.month, told.day)
