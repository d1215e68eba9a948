"""`holdfast prove`: recount one tenant's books and say what does not agree."""

from types import MappingProxyType
from typing import Final

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
from engine.commands.progress import count_bar
from kernel.database import snapshot
from ledger.proof import prove
from ledger.store_proof import count_rows

_PLURALS: Final = MappingProxyType(
    {"account": "accounts", "event": "events", "entry": "entries", "line": "lines"}
)

_LINES_WITH_LEAVES: Final = 1_000_000
"""Books up to this size have their hashes reckoned again unless told otherwise."""


@click.command()
@tenant_option
@click.option(
    "--leaves/--no-leaves",
    default=None,
    help="Reckon every leaf hash and the roots of the log again; up to a million lines, if left"
    " out.",
)
@json_option
@in_words
def command(tenant_name: str | None, *, leaves: bool | None, as_json: bool) -> None:
    """Recount one tenant's books; exit 1 if a promise does not hold."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection, count_bar() as bar:
            if leaves is None:
                leaves = count_rows(connection)["line"] <= _LINES_WITH_LEAVES
            proof = prove(connection, leaves=leaves, progress=bar)
    if as_json:
        print_json({"tenant": tenant.name, **proof.as_json()})
    else:
        counted = ", ".join(
            f"{number:,} {_PLURALS.get(name, name)}" for name, number in proof.counts.items()
        )
        click.echo(f"{tenant.name}: {counted}.")
        for finding in proof.findings:
            click.echo(f"BROKEN {finding.promise}: {finding.count} rows")
            for example in finding.examples:
                click.echo(f"  {example}")
        if proof.is_clean:
            click.echo(f"All {len(proof.promises)} promises hold.")
    if not proof.is_clean:
        raise click.exceptions.Exit(BAD_NEWS)
