"""`holdfast statement`: the extract of one account, line by line."""

from datetime import datetime

import click

from engine.commands.axes import as_of_option, effective_at_option, effective_from_option
from engine.commands.frame import (
    CouldNotTell,
    database,
    grouped,
    in_words,
    json_option,
    print_json,
    print_table,
    tenant_of,
    tenant_option,
    written,
)
from engine.commands.report import Chosen, print_report
from kernel.database import snapshot
from kernel.money import format_minor
from ledger import reads
from ledger.reads import AccountView, ExtractLine
from ledger.reports import Span


@click.command()
@click.argument("account_id", type=click.IntRange(min=1))
@tenant_option
@click.option("--after", type=click.IntRange(min=0), default=0, help="Begin behind this line.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True)
@effective_from_option
@effective_at_option
@as_of_option
@json_option
@in_words
def command(
    *,
    account_id: int,
    tenant_name: str | None,
    after: int,
    limit: int,
    effective_from: datetime | None,
    effective_at: datetime | None,
    as_of: datetime | int | None,
    as_json: bool,
) -> None:
    """The extract of the account with this number (`holdfast balance` lists the numbers).

    With a date or a journal number it is the report of that name, whole, with header and hashes.
    """
    if any(each is not None for each in (effective_from, effective_at, as_of)):
        chosen = Chosen(as_of, Span(effective_from, effective_at), account_id)
        print_report("statement", tenant_name, chosen, as_json=as_json)
        return
    _print_extract(account_id, tenant_name, after=after, limit=limit, as_json=as_json)


def _print_extract(
    account_id: int, tenant_name: str | None, *, after: int, limit: int, as_json: bool
) -> None:
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            account = reads.find_account(connection, account_id)
            if account is None:
                raise CouldNotTell(f"Tenant {tenant.name} has no account with number {account_id}.")
            lines = reads.list_lines(connection, account_id, after=after, limit=limit)
    if as_json:
        print_json(_as_json(account, lines))
        return
    click.echo(f"{account.kind} {account.subject}".rstrip() + f", {account.currency}")
    print_table(
        ("line", "counts at, UTC", "event", "subject", "amount", "balance"),
        [
            (
                str(line.account_seq),
                written(line.effective_at),
                line.event_kind,
                line.event_subject,
                grouped(line.amount_minor, account.currency),
                grouped(line.balance_after_minor, account.currency),
            )
            for line in lines
        ],
        right=("line", "amount", "balance"),
    )
    if len(lines) == limit and lines[-1].account_seq < account.line_count:
        last = lines[-1].account_seq
        click.echo(
            f"{limit} of {account.line_count:,} lines; --after {last} goes on, --limit shows more.",
            err=True,
        )


def _as_json(account: AccountView, lines: list[ExtractLine]) -> dict[str, object]:
    return {
        "account_id": account.id,
        "kind": account.kind,
        "subject": account.subject,
        "currency": account.currency,
        "balance": format_minor(account.balance_minor, account.currency),
        "lines": [
            {
                "account_seq": line.account_seq,
                "event_id": line.event_id,
                "entry_no": line.entry_no,
                "line_no": line.line_no,
                "amount": format_minor(line.amount_minor, account.currency),
                "balance_after": format_minor(line.balance_after_minor, account.currency),
                "effective_at": line.effective_at.isoformat(),
                "recorded_at": line.recorded_at.isoformat(),
                "event_kind": line.event_kind,
                "event_subject": line.event_subject,
            }
            for line in lines
        ],
    }
