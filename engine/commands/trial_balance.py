"""`holdfast trial-balance`: all balances by kind, and the two columns of each book."""

from datetime import datetime

import click

from engine.commands.axes import as_of_option, effective_at_option, effective_from_option
from engine.commands.frame import (
    BAD_NEWS,
    database,
    grouped,
    in_words,
    json_option,
    print_json,
    print_table,
    tenant_of,
    tenant_option,
)
from engine.commands.report import Chosen, print_report
from kernel.database import snapshot
from kernel.money import format_minor
from ledger import reads
from ledger.reads import TrialRow, TrialTotal
from ledger.reports import Span


@click.command()
@tenant_option
@effective_from_option
@effective_at_option
@as_of_option
@json_option
@in_words
def command(
    tenant_name: str | None,
    *,
    effective_from: datetime | None,
    effective_at: datetime | None,
    as_of: datetime | int | None,
    as_json: bool,
) -> None:
    """All balances by kind, and the totals of each book; exit 1 if the columns differ.

    With a date or a journal number it is the report of that name, with its header and hash.
    """
    if any(each is not None for each in (effective_from, effective_at, as_of)):
        span = Span(effective_from, effective_at)
        print_report("trial-balance", tenant_name, Chosen(as_of, span), as_json=as_json)
        return
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            rows, totals = reads.trial_balance(connection)
    is_balanced = all(each.debit_minor == each.credit_minor for each in totals)
    if as_json:
        print_json(
            {
                "balanced": is_balanced,
                "rows": [_row_json(each) for each in rows],
                "totals": [_total_json(each) for each in totals],
            }
        )
    else:
        _show(rows, totals)
    if not is_balanced:
        raise click.exceptions.Exit(BAD_NEWS)


def _row_json(row: TrialRow) -> dict[str, object]:
    return {
        "book": row.book,
        "kind": row.kind,
        "nature": row.nature,
        "currency": row.currency,
        "accounts": row.accounts,
        "debit": format_minor(row.debit_minor, row.currency),
        "credit": format_minor(row.credit_minor, row.currency),
    }


def _total_json(total: TrialTotal) -> dict[str, object]:
    return {
        "book": total.book,
        "currency": total.currency,
        "debit": format_minor(total.debit_minor, total.currency),
        "credit": format_minor(total.credit_minor, total.currency),
    }


def _show(rows: list[TrialRow], totals: list[TrialTotal]) -> None:
    shown = [
        (
            each.kind,
            each.currency,
            f"{each.accounts:,}",
            grouped(each.debit_minor, each.currency),
            grouped(each.credit_minor, each.currency),
        )
        for each in rows
    ]
    shown += [
        (
            f"total of {each.book}",
            each.currency,
            "",
            grouped(each.debit_minor, each.currency),
            grouped(each.credit_minor, each.currency),
        )
        for each in totals
    ]
    columns = ("account kind", "currency", "accounts", "debit", "credit")
    print_table(columns, shown, right=("accounts", "debit", "credit"))
