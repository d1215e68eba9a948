"""`holdfast signer`: the process that signs checkpoints, or its public key."""

import threading
from pathlib import Path

import click

from engine import signer, worker
from engine.api.logs import configure_logs
from engine.commands.frame import in_words, tenant_option
from engine.run import stop_on_signals
from kernel.settings import read_settings
from ledger import notes


@click.command()
@click.option("--public-key", is_flag=True, help="Print the verifier key of a tenant, and end.")
@tenant_option
@click.option("--parent", type=int, hidden=True, help="End when this process ends.")
@click.option(
    "--dir",
    "directory",
    envvar="HOLDFAST_SIGNER_DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where key and memory lie; signer/ of the data directory unless told.",
)
@in_words
def command(
    directory: Path | None, tenant_name: str | None, parent: int | None, *, public_key: bool
) -> None:
    """Sign checkpoints that go on from the last one; Ctrl-C ends it.

    Best run as a user of its own: whoever reads its key can sign anything.
    """
    place = directory or read_settings().data_dir / "signer"
    if public_key:
        if tenant_name is None:
            raise click.UsageError("Name the --tenant: each tenant's log has a name of its own.")
        key = signer.open_signer(place).key.public_key()
        click.echo(notes.verifier_key(notes.origin_of(tenant_name), key))
        return
    if parent is not None:
        worker.end_with_parent(parent)
    configure_logs()
    stop = threading.Event()
    with stop_on_signals(stop):
        signer.serve(place, stop, path=signer.socket_path(read_settings().data_dir))
