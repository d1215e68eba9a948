"""`holdfast balance`: what stands on accounts, by kind, subject or currency."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import click

from engine.commands.axes import as_of_option, effective_at_option, told
from engine.commands.frame import (
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
from ledger import asof, reads
from ledger.chart import account
from ledger.known import resolve
from ledger.reads import AccountView


@click.command()
@tenant_option
@click.option("--kind", metavar="KIND", help="A kind of the chart, as custody.escrow.")
@click.option("--subject", metavar="ID", help="A slot, party, payout, ... the account is kept for.")
@click.option("--currency", metavar="CODE")
@effective_at_option
@as_of_option
@click.option("--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True)
@json_option
@in_words
def command(
    *,
    tenant_name: str | None,
    kind: str | None,
    subject: str | None,
    currency: str | None,
    effective_at: datetime | None,
    as_of: datetime | int | None,
    limit: int,
    as_json: bool,
) -> None:
    """Balances of accounts, signed: debit positive; now, or as of a date as it was known."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = reads.list_accounts(
                connection,
                kind=kind,
                subjects=[subject] if subject else None,
                currency=currency,
                limit=limit,
            )
            known = resolve(connection, as_of)
            balances = asof.balances(
                connection, [_code(each) for each in found], effective_at=effective_at, known=known
            )
    if as_json:
        print_json([_as_json(each, balances) for each in found])
        return
    if not found:
        click.echo(f"Tenant {tenant.name} has no such account.", err=True)
        return
    _show(found, balances)
    if as_of is not None or effective_at is not None:
        click.echo(told(known.journal_no, provisional=known.provisional), err=True)
    if len(found) == limit:
        click.echo(f"The first {limit} accounts; --limit shows more.", err=True)


def _show(found: Sequence[AccountView], balances: Mapping[str, int]) -> None:
    print_table(
        ("account", "kind", "subject", "balance", "lines"),
        [
            (
                str(each.id),
                each.kind,
                each.subject,
                f"{grouped(balances[_code(each)], each.currency)} {each.currency}",
                f"{each.line_count:,}",
            )
            for each in found
        ],
        right=("account", "balance", "lines"),
    )


def _code(row: AccountView) -> str:
    return account(row.kind, row.currency, row.subject).code


def _as_json(row: AccountView, balances: Mapping[str, int]) -> dict[str, object]:
    return {
        "account_id": row.id,
        "kind": row.kind,
        "subject": row.subject,
        "currency": row.currency,
        "state": row.state,
        "balance": format_minor(balances[_code(row)], row.currency),
        "lines": row.line_count,
    }
