"""`holdfast balance`: what stands on accounts, by kind, subject or currency."""

import click

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
from ledger import reads
from ledger.reads import AccountView


@click.command()
@tenant_option
@click.option("--kind", metavar="KIND", help="A kind of the chart, as custody.escrow.")
@click.option("--subject", metavar="ID", help="A slot, party, payout, ... the account is kept for.")
@click.option("--currency", metavar="CODE")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True)
@json_option
@in_words
def command(
    *,
    tenant_name: str | None,
    kind: str | None,
    subject: str | None,
    currency: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Balances of accounts, signed: debit positive."""
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
    if as_json:
        print_json([_as_json(each) for each in found])
        return
    if not found:
        click.echo(f"Tenant {tenant.name} has no such account.", err=True)
        return
    print_table(
        ("account", "kind", "subject", "balance", "lines"),
        [
            (
                str(each.id),
                each.kind,
                each.subject,
                f"{grouped(each.balance_minor, each.currency)} {each.currency}",
                f"{each.line_count:,}",
            )
            for each in found
        ],
        right=("account", "balance", "lines"),
    )
    if len(found) == limit:
        click.echo(f"The first {limit} accounts; --limit shows more.", err=True)


def _as_json(account: AccountView) -> dict[str, object]:
    return {
        "account_id": account.id,
        "kind": account.kind,
        "subject": account.subject,
        "currency": account.currency,
        "state": account.state,
        "balance": format_minor(account.balance_minor, account.currency),
        "lines": account.line_count,
    }
