"""`holdfast invariants`: the books and the client money of every tenant, proven."""

from typing import Any

import click

from engine.commands.frame import (
    BAD_NEWS,
    database,
    in_words,
    json_option,
    print_json,
    tenant_of,
    tenant_option,
)
from engine.proofs import check_books
from kernel.database import Tenant
from migrations import runner


@click.command()
@tenant_option
@json_option
@in_words
def command(tenant_name: str | None, *, as_json: bool) -> None:
    """Prove the books and the client money of one tenant, or of all; exit 1 if one is not clean.

    Money that is under way between the books and the rail shows as a difference: let the worker
    come to rest first.
    """
    with database() as opened:
        if tenant_name is not None:
            tenants = [tenant_of(opened, tenant_name)]
        else:
            with opened.engine.begin() as connection:
                tenants = [Tenant(name) for name in runner.list_tenants(connection)]
        found: list[dict[str, Any]] = []
        for tenant in tenants:
            checked = check_books(opened.engine, tenant)
            found.append(
                {
                    "tenant": tenant.name,
                    "proven": checked.is_proven,
                    "safeguarding": checked.is_safe,
                    "findings": list(checked.findings),
                    "notes": list(checked.notes),
                }
            )
            if not as_json:
                _tell(found[-1])
    if not found and not as_json:
        click.echo("There is no tenant yet, and nothing to prove.", err=True)
    is_good = all(each["proven"] and each["safeguarding"] for each in found)
    if as_json:
        print_json({"clean": is_good, "tenants": found})
    if not is_good:
        raise click.exceptions.Exit(BAD_NEWS)


def _tell(found: dict[str, Any]) -> None:
    proven = "proven" if found["proven"] else "NOT PROVEN"
    safe = "client money safe" if found["safeguarding"] else "client money NOT SAFE"
    click.echo(f"{found['tenant']}: {proven}, {safe}")
    for finding in found["findings"]:
        click.echo(f"  {finding}")
    for note in found["notes"]:
        click.echo(f"  Note: {note}.")
