"""`holdfast import`: bring the books of an export into an empty tenant of the same name."""

from pathlib import Path
from typing import Any

import click

from engine.commands.frame import (
    INTERRUPTED,
    database,
    in_words,
    json_option,
    print_json,
    tenant_of,
    tenant_option,
)
from engine.commands.progress import count_bar, stop_on_interrupt
from engine.imports import Imported, bring_in


@click.command()
@click.argument("export", type=click.Path(exists=True, path_type=Path))
@tenant_option
@click.option("--dry-run", is_flag=True, help="Check the export, and write nothing.")
@json_option
@in_words
def command(*, export: Path, tenant_name: str | None, dry_run: bool, as_json: bool) -> None:
    """Check an export (a folder or a zip) and post its books into an empty tenant of its name.

    Numbers, times, leaf hashes and blocks are kept, so balances and roots are the same. A run that
    was broken off goes on where it was. Contracts and reservations are no part of an export.
    """
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with count_bar() as bar, stop_on_interrupt() as stop:
            imported = bring_in(
                opened.engine, tenant, export, dry_run=dry_run, progress=bar, stop=stop
            )
    found = _as_json(imported, tenant.name, dry_run=dry_run)
    if as_json:
        print_json(found)
    else:
        _tell(found)
    if not imported.is_complete and not dry_run:
        raise click.exceptions.Exit(INTERRUPTED)


def _as_json(imported: Imported, tenant: str, *, dry_run: bool) -> dict[str, Any]:
    checked = imported.checked
    return {
        "tenant": tenant,
        "dry_run": dry_run,
        "complete": imported.is_complete,
        "size": checked.manifest.size,
        "root": checked.manifest.root.hex(),
        "imported": imported.size,
        "went_on_from": imported.began_at,
        "counts": {"event": checked.events, "entry": checked.entries, "line": checked.lines},
        "periods_not_open": list(imported.not_open),
    }


def _tell(found: dict[str, Any]) -> None:
    counts = found["counts"]
    click.echo(
        f"The export is sound: {counts['event']:,} events, {counts['entry']:,} entries,"
        f" {counts['line']:,} lines."
    )
    if found["dry_run"]:
        click.echo("Nothing is written: this was a dry run.")
        return
    if found["went_on_from"]:
        click.echo(f"{found['went_on_from']:,} events were there already.")
    click.echo(
        f"{found['imported']:,} of {found['size']:,} events are in tenant {found['tenant']}."
    )
    for each in found["periods_not_open"]:
        click.echo(f"Period {each} in the export; it came in open. Close it again.")
    if found["complete"]:
        click.echo(f"Root {found['root']}, as in the export. Next: holdfast prove --leaves")
    else:
        click.echo("Stopped; the same command goes on where it was.")
