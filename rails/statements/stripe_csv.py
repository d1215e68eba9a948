"""Stripe's reports as CSV, known by their columns: balance change, payouts, payout reconciliation.

Amounts of reports are major units with the currency's decimals; tables of API objects (minor units,
columns `amount` or `amount`, `fee`, `net`) are read too. Columns that we do not know are passed
over, and a report without a column that we need is refused. A payout takes from the balance.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from rails.statements.model import (
    MOST_LINES,
    Statement,
    StatementLine,
    Unreadable,
    known_currency,
    masked,
    named,
    read_day,
    read_minor,
    read_whole,
    text_of,
)

PLATFORM: Final = "stripe"
"""The account of lines that name no payee's account; else `stripe:acct_...`."""

Row = Mapping[str, str]
Amounts = Callable[[str, str, int], int]

_OUT: Final = frozenset({"payout", "transfer", "refund"})


@dataclass(frozen=True, slots=True)
class _Report:
    """One kind of report: the columns that name it, and where each thing stands in it."""

    source: str
    needs: frozenset[str]
    read: Amounts
    ref: str
    day: str
    kind: str
    source_ref: str
    group: str = ""
    fixed_kind: str = ""
    parts: tuple[str, ...] = ("gross", "fee", "net")
    takes: bool = False


_NEEDS: Final = frozenset({"currency", "gross", "fee", "net", "reporting_category"})

_REPORTS: Final = (
    _Report(
        source="stripe.payouts",
        needs=_NEEDS | {"payout_id", "balance_transaction_id"},
        read=read_minor,
        ref="balance_transaction_id",
        day="effective_at_utc|effective_at",
        kind="reporting_category",
        source_ref="payout_id",
        group="payout_id",
        takes=True,
    ),
    _Report(
        source="stripe.balance",
        needs=_NEEDS | {"balance_transaction_id"},
        read=read_minor,
        ref="balance_transaction_id",
        day="created_utc|created",
        kind="reporting_category",
        source_ref="source_id",
        group="automatic_payout_id",
    ),
    _Report(
        source="stripe.api.balance_transactions",
        needs=frozenset({"id", "amount", "fee", "net", "currency", "created", "type", "source"}),
        read=read_whole,
        ref="id",
        day="created",
        kind="type",
        source_ref="source",
        group="payout_id",
        parts=("amount", "fee", "net"),
    ),
    _Report(
        source="stripe.api.payouts",
        needs=frozenset({"id", "amount", "arrival_date", "balance_transaction_id", "currency"}),
        read=read_whole,
        ref="balance_transaction_id",
        day="created",
        kind="",
        fixed_kind="payout",
        source_ref="id",
        group="id",
        parts=("amount",),
    ),
    _Report(
        source="stripe.api.transfers",
        needs=frozenset({"id", "amount", "amount_reversed", "balance_transaction_id", "currency"}),
        read=read_whole,
        ref="balance_transaction_id",
        day="created",
        kind="",
        fixed_kind="transfer",
        source_ref="id",
        group="transfer_group",
        parts=("amount",),
    ),
    _Report(
        source="stripe.api.refunds",
        needs=frozenset({"id", "amount", "balance_transaction_id", "charge_id", "receipt_number"}),
        read=read_whole,
        ref="balance_transaction_id",
        day="created",
        kind="",
        fixed_kind="refund",
        source_ref="id",
        group="",
        parts=("amount",),
    ),
)
"""The first whose columns are all there is the report."""


def read(data: bytes) -> list[Statement]:
    """One statement per account and currency; `statement.unreadable` if a row is not sound."""
    rows = _rows(text_of(data))
    header = next(rows, (1, {}))[1]
    report = next((each for each in _REPORTS if each.needs <= header.keys()), None)
    if report is None:
        lacking = min((sorted(each.needs - header.keys()) for each in _REPORTS), key=len)
        raise Unreadable(1, f"no report that moves a balance: it lacks {', '.join(lacking)}")
    seen: dict[str, int] = {}
    found: list[tuple[str, str, StatementLine]] = []
    for number, row in rows:
        if len(found) >= MOST_LINES:
            raise Unreadable(number, f"there are more than {MOST_LINES} lines")
        line = _line(report, row, number)
        first = seen.setdefault(line.ref, number)
        if first != number:
            raise Unreadable(number, f"{line.ref} stands in line {first} already")
        connected = row.get("connected_account_id") or row.get("connected_account") or ""
        account = f"{PLATFORM}:{connected}" if connected else PLATFORM
        found.append((account, line.currency, line))
    return list(_statements(report, found))


def _statements(
    report: _Report, found: list[tuple[str, str, StatementLine]]
) -> Iterator[Statement]:
    found.sort(key=lambda each: each[:2])
    for (account, currency), each in groupby(found, key=lambda each: each[:2]):
        lines = tuple(line for *_, line in each)
        days = [line.booked_on for line in lines]
        yield Statement(
            source=report.source,
            account=account,
            currency=currency,
            from_on=min(days),
            to_on=max(days),
            lines=lines,
            controls={"rows": len(lines)},
            file_line=1,
        )


def _rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The header as a row of itself, then each row by the names of its columns."""
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        doubled = next((name for name in header if name and header.count(name) > 1), None)
        if doubled is not None:
            raise Unreadable(1, f"the column {doubled[:40]} stands there twice")
        yield 1, {name: name for name in header}
        for row in reader:
            if not any(row):
                continue
            if len(row) != len(header):
                raise Unreadable(reader.line_num, f"{len(row)} fields under {len(header)} columns")
            yield reader.line_num, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise Unreadable(reader.line_num, f"no sound CSV: {error}") from None


def _line(report: _Report, row: Row, number: int) -> StatementLine:
    currency = known_currency(row.get("currency", "").upper(), number)
    ref = named(row[report.ref])
    if not ref:
        raise Unreadable(number, f"{report.ref} is empty")
    net, fee = _net(report, row, currency, number)
    kind = report.fixed_kind or row[report.kind].strip()
    if report.fixed_kind in _OUT:
        net = -net
    if report.takes:
        net = abs(net) if kind == "payout_reversal" else -abs(net)
    day = next((told for name in report.day.split("|") if (told := row.get(name, ""))), "")
    booked = read_day(day, number)
    available = row.get("available_on_utc") or row.get("available_on") or day
    source_ref = named(row.get(report.source_ref))
    others = (source_ref, named(row.get("charge_id")), named(row.get("payment_intent_id")))
    return StatementLine(
        amount_minor=net,
        currency=currency,
        booked_on=booked,
        value_on=read_day(available, number),
        ref=ref,
        own_id=ref,
        group_ref=named(row.get(report.group)) if report.group else "",
        trace_ref=named(row.get("trace_id")),
        other_refs=tuple(dict.fromkeys(other for other in others if other)),
        kind=kind,
        text=masked(row.get("description", "")),
        fee_minor=fee,
        file_line=number,
    )


def _net(report: _Report, row: Row, currency: str, number: int) -> tuple[int, int]:
    """What the balance changes by, and what was kept; a row's own three figures must agree."""
    figures = [report.read(row[name].strip(), currency, number) for name in report.parts]
    if len(figures) == 1:
        return figures[0], 0
    gross, fee, net = figures
    if gross - fee != net:
        raise Unreadable(number, f"gross {gross} less fee {fee} is not net {net}")
    return net, fee
