"""`holdfast verify`: whether an export, or the books of the database, were altered."""

from pathlib import Path

import click

from engine.commands.frame import database, in_words, json_option, tenant_of, tenant_option
from ledger import verify

_FILE = click.Path(path_type=Path, exists=True)


@click.command()
@click.argument("export", required=False, type=_FILE)
@tenant_option
@click.option("--dsn", help="Another database; the settings' own, if left out without EXPORT.")
@click.option(
    "--checkpoint",
    "checkpoints",
    type=_FILE,
    multiple=True,
    help="Signed notes that were kept elsewhere; may be given more than once.",
)
@click.option(
    "--public-key",
    "keys",
    multiple=True,
    help="Check signatures with this key, or the key in this file; may be given more than once.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Processes; as many as there are cores.")
@json_option
@in_words
def command(
    *,
    export: Path | None,
    tenant_name: str | None,
    dsn: str | None,
    checkpoints: tuple[Path, ...],
    keys: tuple[str, ...],
    jobs: int | None,
    as_json: bool,
) -> None:
    """Reckon every hash, balance and number again; exit 1 and the first altered number if any.

    EXPORT is a folder or zip that `holdfast export` wrote, or a proof of one event. Without it the
    books of the database are checked, in one snapshot. The same check is the one file
    `ledger/verify.py`, which needs nothing else.
    """
    arguments = [f"--checkpoint={path}" for path in checkpoints]
    arguments += [f"--public-key={key}" for key in keys]
    arguments += [f"--jobs={jobs}"] if jobs else []
    arguments += ["--json"] if as_json else []
    if export is not None:
        raise click.exceptions.Exit(verify.main([*arguments, "--", str(export)]))
    if dsn is not None:
        arguments += [f"--dsn={dsn}", f"--tenant={tenant_name or ''}"]
        raise click.exceptions.Exit(verify.main(arguments))
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        arguments += [f"--dsn={opened.app_url}", f"--tenant={tenant.name}"]
        raise click.exceptions.Exit(verify.main(arguments))
