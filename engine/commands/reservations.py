"""`holdfast reservations`: what is set aside, of which account, what for and since when."""

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
    written,
)
from kernel.database import snapshot
from ledger import reservations
from ledger.model_reservations import Reservation, ReservationState


@click.command()
@tenant_option
@click.option("--kind", metavar="KIND", help="A kind of the chart, as custody.wallet.")
@click.option("--subject", metavar="ID", help="A party, authority, ... the account is kept for.")
@click.option("--all", "shows_ended", is_flag=True, help="Also those that have ended.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True)
@json_option
@in_words
def command(
    *,
    tenant_name: str | None,
    kind: str | None,
    subject: str | None,
    shows_ended: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Open reservations, oldest first: what remains, of which account, until when."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = reservations.list_page(
                connection,
                after=None,
                limit=limit,
                state=None if shows_ended else ReservationState.OPEN.value,
                kind=kind,
                subject=subject,
            )
    if as_json:
        print_json([dict(reservations.as_json(each)) for each in found])
        return
    if not found:
        click.echo(f"Tenant {tenant.name} has nothing set aside.", err=True)
        return
    print_table(
        ("reservation", "kind", "subject", "state", "remaining", "posted", "made, UTC", "expires"),
        [_cells(each) for each in found],
        right=("remaining", "posted"),
    )
    if len(found) == limit:
        click.echo(f"The first {limit} reservations; --limit shows more.", err=True)


def _cells(row: Reservation) -> tuple[str, ...]:
    currency = row.account.currency
    return (
        str(row.id),
        row.account.kind,
        row.account.subject,
        row.state.value,
        f"{grouped(row.remaining_minor, currency)} {currency}",
        grouped(row.posted_minor, currency),
        written(row.made_at),
        "never" if row.expires_at is None else written(row.expires_at),
    )
