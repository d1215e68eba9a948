"""`holdfast checkpoint`: seal, have the log signed now, and print the note."""

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
from engine.sealer import seal_all, sign_newest, signer_at
from engine.signer import SignerAway, socket_path
from kernel.settings import read_settings


@click.command()
@tenant_option
@json_option
@in_words
def command(tenant_name: str | None, *, as_json: bool) -> None:
    """Seal what is committed and have the log signed; needs a running signer.

    The sealer hands the note to the anchors.
    """
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        seal_all(opened.engine, tenant)
        ask = signer_at(socket_path(read_settings().data_dir))
        try:
            stored = sign_newest(opened.engine, tenant, ask)
        except SignerAway as trouble:
            raise CouldNotTell("The signer does not answer: holdfast signer") from trouble
    if as_json:
        print_json(
            {
                "size": stored.size,
                "root": stored.root.hex(),
                "note": stored.note,
                "signed_at": stored.signed_at.isoformat(),
            }
        )
    else:
        click.echo(stored.note, nl=False)
