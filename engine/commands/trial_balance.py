"""`holdfast trial-balance`: all balances by kind, and the two columns of each book."""

import click

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
from kernel.database import snapshot
from kernel.money import format_minor
from ledger import reads
from ledger.reads import TrialRow, TrialTotal


@click.command()
@tenant_option
@json_option
@in_words
def command(tenant_name: str | None, *, as_json: bool) -> None:
    """All balances by kind, and the totals of each book; exit 1 if the columns differ."""
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
