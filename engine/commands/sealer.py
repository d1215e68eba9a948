"""`holdfast sealer`: seals each second, has checkpoints signed and anchored, until it is ended."""

import os
import threading

import click

from engine import worker
from engine.anchors import anchors_of
from engine.api.logs import configure_logs
from engine.commands.frame import database, in_words
from engine.run import stop_on_signals
from engine.sealer import CHECKPOINT_S, INTERVAL_S, Sealer, signer_at
from engine.signer import socket_path
from kernel.due import DueTenants
from kernel.settings import read_settings

_ALL_TENANTS = 1_000_000


@click.command()
@click.option("--interval", type=click.FloatRange(0.05, 60), default=INTERVAL_S, show_default=True)
@click.option(
    "--checkpoint-every",
    type=click.FloatRange(1, 86_400),
    default=CHECKPOINT_S,
    show_default=True,
    envvar="HOLDFAST_CHECKPOINT_S",
    help="Seconds between checkpoints.",
)
@click.option("--parent", type=int, hidden=True, help="End when this process ends.")
@in_words
def command(*, interval: float, checkpoint_every: float, parent: int | None) -> None:
    """Seal what is committed, and hand signed checkpoints to the anchors; Ctrl-C ends it."""
    if parent is not None:
        worker.end_with_parent(parent)
    configure_logs()
    settings = read_settings()
    stop = threading.Event()
    with stop_on_signals(stop), database(pool_size=4) as opened:
        Sealer(
            opened.engine,
            DueTenants(opened.engine, few=_ALL_TENANTS, rescan_s=10.0),
            signer_at(socket_path(settings.data_dir)),
            anchors_of(settings, os.environ),
            interval_s=interval,
            checkpoint_s=checkpoint_every,
        ).run_forever(stop)
