"""`holdfast tenant`: make tenants, and list them."""

from datetime import UTC, datetime

import click

from engine.commands.frame import (
    CouldNotTell,
    database,
    in_words,
    json_option,
    print_json,
)
from kernel import clock
from kernel.database import Tenant, transaction
from migrations import runner


@click.group()
def command() -> None:
    """Make tenants, or list them."""


@command.command()
@click.argument("name")
@click.option("--sandbox", is_flag=True, help="Give it a clock that stands until it is moved.")
@json_option
@in_words
def create(name: str, *, sandbox: bool, as_json: bool) -> None:
    """Make a tenant: a schema and a role of its own."""
    tenant = Tenant(name)
    with database() as opened:
        if opened.owner_url is None:
            raise CouldNotTell(
                "HOLDFAST_OWNER_URL is not set: a new tenant is made by the login that owns the"
                " tables."
            )
        runner.create_tenant(opened.owner_url, tenant)
        if sandbox:
            with transaction(opened.engine, tenant) as connection:
                clock.make_sandbox(connection, at=datetime.now(UTC))
    if as_json:
        print_json({"tenant": name, "sandbox": sandbox})
    else:
        click.echo(f"Tenant {name} is made. Next: holdfast keys create --tenant {name}")


@command.command(name="list")
@json_option
@in_words
def list_(*, as_json: bool) -> None:
    """All tenants, by name."""
    with database() as opened, opened.engine.begin() as connection:
        names = runner.list_tenants(connection)
    if as_json:
        print_json(names)
    elif names:
        click.echo("\n".join(names))
    else:
        click.echo("There is no tenant yet: holdfast tenant create NAME", err=True)
