"""`holdfast export`: the sealed journal as files, for accountants' tools or as evidence."""

from datetime import date, datetime
from pathlib import Path

import click

from engine.commands.frame import (
    CouldNotTell,
    database,
    in_words,
    json_option,
    print_json,
    tenant_of,
    tenant_option,
)
from engine.commands.progress import count_bar
from kernel.database import snapshot
from ledger.bundle import write_bundle
from ledger.export_folder import Asked, write_export
from ledger.exports.formats import FORMATS
from ledger.log_file import Manifest

_PATH = click.Path(path_type=Path)


def _known(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> datetime | int | None:
    """A journal number, or a time with its offset."""
    if value is None:
        return None
    if value.isascii() and value.isdecimal():
        return int(value)
    try:
        return datetime.fromisoformat(value)
    except ValueError as trouble:
        said = f"{value} is neither a journal number nor a time as 2026-03-31T00:00:00Z"
        raise click.BadParameter(said) from trouble


@click.command()
@tenant_option
@click.option("--to", "folder", type=_PATH, metavar="DIR", help="A new or empty folder.")
@click.option("--bundle", type=_PATH, metavar="FILE", help="A zip with proofs and the verifier.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(sorted(FORMATS)),
    help="Also in this format; may be given more than once.",
)
@click.option(
    "--as-of",
    callback=_known,
    metavar="NUMBER|TIME",
    help="Only what was known then; all that is sealed, if left out.",
)
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="First day, formats only.")
@click.option("--until", "last", type=click.DateTime(["%Y-%m-%d"]), help="Last day, with --from.")
@click.option("--gz", is_flag=True, help="Pack the log: log.jsonl.gz.")
@click.option(
    "--proof",
    "proofs",
    type=click.IntRange(min=1),
    multiple=True,
    help="With --bundle: prove the event of this journal number; may be given more than once.",
)
@json_option
@in_words
def command(
    *,
    tenant_name: str | None,
    folder: Path | None,
    bundle: Path | None,
    formats: tuple[str, ...],
    as_of: datetime | int | None,
    first: datetime | None,
    last: datetime | None,
    gz: bool,
    proofs: tuple[int, ...],
    as_json: bool,
) -> None:
    """Write the sealed journal with accounts, periods, blocks and checkpoints; it is whole or not.

    `holdfast verify` checks what was written, and so does the one file `verify.py` anywhere else.
    """
    _check_options(folder, bundle, proofs)
    asked = Asked(formats=formats, as_of=as_of, period=_period(first, last), is_packed=gz)
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection, count_bar() as bar:

            def tell(what: str, done: int, of: int | None) -> None:
                bar(what, done, done if of is None else of)

            if bundle is not None:
                manifest = write_bundle(
                    connection,
                    tenant=tenant,
                    asked=asked,
                    proofs=proofs,
                    target=bundle,
                    progress=tell,
                )
            else:
                assert folder is not None
                manifest = write_export(
                    connection, tenant=tenant, asked=asked, folder=folder, progress=tell
                )
    _show(manifest, bundle or folder, as_json=as_json)


def _check_options(folder: Path | None, bundle: Path | None, proofs: tuple[int, ...]) -> None:
    if (folder is None) == (bundle is None):
        raise click.UsageError("Give either --to DIR or --bundle FILE.")
    if proofs and bundle is None:
        raise click.UsageError("--proof goes with --bundle.")


def _period(first: datetime | None, last: datetime | None) -> tuple[date, date] | None:
    if first is None and last is None:
        return None
    if first is None or last is None or first > last:
        raise CouldNotTell("Give --from and --until together, the earlier day first.")
    return first.date(), last.date()


def _show(manifest: Manifest, place: Path | None, *, as_json: bool) -> None:
    if as_json:
        files = [each.as_json() for each in manifest.files]
        print_json(
            {
                "tenant": manifest.tenant,
                "written": str(place),
                "size": manifest.size,
                "root": manifest.root.hex(),
                "arguments": dict(manifest.arguments),
                "files": files,
            }
        )
        return
    click.echo(f"{manifest.tenant}: {manifest.size:,} events written to {place}.")
    click.echo(f"Root: {manifest.root.hex()}")
    for each in manifest.files:
        click.echo(f"  {each.name}: {each.rows:,} rows" if each.rows else f"  {each.name}")
    click.echo(f"Check it with: holdfast verify {place}")
