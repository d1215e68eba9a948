"""`holdfast tax`: the tax owed on our fees, and who supplies."""

from datetime import UTC, datetime
from typing import Any

import click

from engine.commands.frame import (
    BAD_NEWS,
    database,
    in_words,
    json_option,
    print_json,
    print_table,
    tenant_of,
    tenant_option,
)
from kernel.database import snapshot
from tax import service_report, store_profile
from tax.pdf import money
from tax.service_profile import supplier_facts

_Day = click.DateTime(formats=["%Y-%m-%d"])


@click.group()
def command() -> None:
    """The tax on our fees."""


@command.command()
@click.option("--since", type=_Day, default="1970-01-01", help="From this day on, UTC.")
@click.option("--until", type=_Day, default="2200-01-01", help="Before this day, UTC.")
@tenant_option
@json_option
@in_words
def vat(*, since: datetime, until: datetime, tenant_name: str | None, as_json: bool) -> None:
    """The tax owed per country: fees, documents and ledger side by side; exit 1 if they differ."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = service_report.vat(
                connection, since=since.replace(tzinfo=UTC), until=until.replace(tzinfo=UTC)
            )
    if as_json:
        print_json({"tenant": tenant.name, **found})
    elif found["rows"]:
        _print(found["rows"])
    else:
        click.echo("No fee of that time was taxed.", err=True)
    if not found["ties"]:
        raise click.exceptions.Exit(BAD_NEWS)


@command.command()
@tenant_option
@json_option
@in_words
def supplier(tenant_name: str | None, *, as_json: bool) -> None:
    """All versions of the supplier's profile, in order."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = [supplier_facts(each) for each in store_profile.list_suppliers(connection)]
    if as_json:
        print_json(found)
    elif not found:
        click.echo("No supplier is set: fees are not taxed.", err=True)
    else:
        print_table(
            ("version", "from", "country", "name", "service", "unsure"),
            [
                (
                    str(each["version"]),
                    each["in_force_from"][:10],
                    each["country"],
                    each["name"],
                    each["service"],
                    each["when_unsure"],
                )
                for each in found
            ],
            right=("version",),
        )


def _print(rows: list[dict[str, Any]]) -> None:
    amounts = ("net", "fees", "documents", "posted", "other", "owed")
    print_table(
        ("country", "currency", *amounts, "waiting", "ties"),
        [
            (
                row["country"],
                row["currency"],
                *(money(row[name]) for name in amounts),
                str(row["waiting"]),
                "yes" if row["ties"] else "NO",
            )
            for row in rows
        ],
        right=(*amounts, "waiting"),
    )
