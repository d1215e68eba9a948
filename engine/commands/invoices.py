"""`holdfast invoices`: issue what is due, list documents, show one, write it as a PDF."""

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from engine.commands.frame import (
    BAD_NEWS,
    CouldNotTell,
    database,
    in_words,
    json_option,
    print_json,
    print_table,
    tenant_of,
    tenant_option,
)
from engine.invoicing import ecb_rates, issue_all
from kernel.database import snapshot
from tax import service_invoice, store_invoice
from tax.model_invoice import DocumentKind
from tax.pdf import draw, money

_Day = click.DateTime(formats=["%Y-%m-%d"])


@click.group()
def command() -> None:
    """Invoices, receipts and credit notes for our fees."""


@command.command()
@tenant_option
@json_option
@in_words
def issue(tenant_name: str | None, *, as_json: bool) -> None:
    """Issue documents for all fees that have none yet; exit 1 if a credit finds no original.

    The worker does the same by itself.
    """
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        issued = issue_all(opened.engine, tenant, rates=ecb_rates())
    if as_json:
        print_json({"issued": list(issued.numbers), "waiting": issued.waiting})
    else:
        click.echo(f"{len(issued.numbers)} documents issued.")
        if issued.waiting:
            click.echo(f"{issued.waiting} fees that came back find no original document.")
    if issued.waiting:
        raise click.exceptions.Exit(BAD_NEWS)


@command.command(name="list")
@click.option("--party", "party_id", type=click.UUID, help="Whose documents.")
@click.option("--series", metavar="CODE", help="One series, as INV2026.")
@click.option("--kind", type=click.Choice([kind.value for kind in DocumentKind]))
@click.option("--since", type=_Day, help="Issued from this day on, UTC.")
@click.option("--until", type=_Day, help="Issued before this day, UTC.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@tenant_option
@json_option
@in_words
def list_(
    *,
    party_id: UUID | None,
    series: str | None,
    kind: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    tenant_name: str | None,
    as_json: bool,
) -> None:
    """List documents in the order that they were issued in."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = store_invoice.list_invoices(
                connection,
                after=None,
                limit=limit,
                party_id=party_id,
                series=series,
                kind=DocumentKind(kind) if kind else None,
                since=_in_utc(since),
                until=_in_utc(until),
            )
            shown = service_invoice.as_json(connection, found)
    if as_json:
        print_json(shown)
    elif not shown:
        click.echo("No document.", err=True)
    else:
        print_table(
            ("number", "issued", "kind", "party", "net", "tax", "total", "currency"),
            [_cells(each) for each in shown],
            right=("net", "tax", "total"),
        )


@command.command()
@click.argument("number")
@click.option("--pdf", "pdf", type=click.Path(dir_okay=False, path_type=Path), help="Write it.")
@tenant_option
@json_option
@in_words
def show(number: str, *, pdf: Path | None, tenant_name: str | None, as_json: bool) -> None:
    """Show the document of a number; --pdf FILE writes it as it is sent."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = store_invoice.find_invoice(connection, number)
            if found is None:
                raise CouldNotTell(f"Tenant {tenant.name} has no document {number}.")
            shown = service_invoice.as_json(connection, [found])[0]
    if pdf is not None:
        pdf.write_bytes(draw(shown))
        click.echo(f"Written to {pdf}.", err=True)
    if as_json:
        print_json(shown)
    elif pdf is None:
        _tell(shown)


def _cells(shown: dict[str, Any]) -> tuple[str, ...]:
    return (
        shown["number"],
        shown["issued_at"][:10],
        shown["kind"],
        shown["party_id"],
        *(money(shown[name]) for name in ("net", "tax", "total")),
        shown["total"]["currency"],
    )


def _tell(shown: dict[str, Any]) -> None:
    buyer = shown["buyer"]
    name = "erased" if buyer is None else buyer["name"] or "not known"
    click.echo(f"{shown['kind']} {shown['number']} of {shown['issued_at'][:10]}, to {name}")
    for tax in shown["taxes"]:
        rate = f"{tax['treatment']}, {tax['country']}, {tax['rate_bps']} basis points"
        click.echo(f"net {money(tax['net'])}, tax {money(tax['tax'])} ({rate})")
    click.echo(f"total {money(shown['total'], with_currency=True)}")
    for number in shown["originals"]:
        click.echo(f"corrects {number}")


def _in_utc(day: datetime | None) -> datetime | None:
    return None if day is None else datetime.fromisoformat(f"{day.date().isoformat()}T00:00:00Z")
