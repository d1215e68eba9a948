"""`holdfast tax`: the tax owed on our fees, and who supplies."""

import os
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click

from engine.commands.acting import actor_of, key_option, tell
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
from engine.tax_checks import check_number
from kernel import clock
from kernel.database import snapshot
from tax import service_report, store_profile
from tax.pdf import money
from tax.registers import configured
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
    if since >= until:
        raise click.UsageError("--until names a day behind --since.")
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


@command.command()
@click.option("--party", "party_id", type=click.UUID, required=True, help="Whose number.")
@key_option
@tenant_option
@json_option
@in_words
def check(party_id: UUID, *, secret: str | None, tenant_name: str | None, as_json: bool) -> None:
    """Ask the register for a party's tax number, and store what it says; exit 1 if not valid.

    HOLDFAST_TAX_REGISTERS says which registers are asked (vies, hmrc); none by default.
    """
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        actor = actor_of(opened, tenant, secret)
        with snapshot(opened.engine, tenant) as connection:
            supplier = store_profile.find_supplier(connection, at=clock.now(connection))
        numbers = supplier.tax_numbers if supplier else {}
        registers = configured(os.environ, numbers=numbers)
        outcome = check_number(opened.engine, tenant, party_id, registers, actor)
    is_valid = outcome.facts.get("is_valid") is True
    tell(outcome, "Valid." if is_valid else "Not valid.", as_json=as_json)
    if not is_valid:
        raise click.exceptions.Exit(BAD_NEWS)


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
