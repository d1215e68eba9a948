"""`holdfast seal`: seal what waits now, or say how far the sealer is behind."""

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
    written,
)
from engine.sealer import seal_round
from engine.startup import Database
from kernel.database import Tenant, transaction
from ledger import store_seal
from ledger.seal import Sealed

LATE_MS: Final = 10_000
"""What waits longer is bad news: the sealer is gone or far behind."""


@click.command()
@click.option("--once", is_flag=True, help="Seal until nothing waits; so it does if left out.")
@click.option("--status", is_flag=True, help="Say what waits, and for how long.")
@tenant_option
@json_option
@in_words
def command(tenant_name: str | None, *, once: bool, status: bool, as_json: bool) -> None:
    """Seal what is committed, or show how far the sealer is behind; exit 1 if over ten seconds."""
    if once and status:
        raise click.UsageError("Say --once or --status, not both.")
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        if not status:
            _seal(opened, tenant, as_json=as_json)
        elif not _show(opened, tenant, as_json=as_json):
            raise click.exceptions.Exit(BAD_NEWS)


def _seal(opened: Database, tenant: Tenant, *, as_json: bool) -> None:
    rounds = [seal_round(opened.engine, tenant)]
    while rounds[-1].is_full:
        rounds.append(seal_round(opened.engine, tenant))
    events = sum(each.event_count for each in rounds)
    last: Sealed = rounds[-1]
    if as_json:
        print_json({"sealed": events, "size": last.size, "root": last.root.hex()})
    else:
        click.echo(f"{events:,} events sealed; the log has {last.size:,}, root {last.root.hex()}.")


def _show(opened: Database, tenant: Tenant, *, as_json: bool) -> bool:
    with transaction(opened.engine, tenant) as connection:
        lag = store_seal.find_lag(connection)
        head = store_seal.find_head(connection)
        checkpoint = store_seal.find_checkpoint(connection)
    is_late = (lag.lag_ms or 0) > LATE_MS
    signed = 0 if checkpoint is None else checkpoint.size
    if as_json:
        print_json(
            {
                "size": head.size,
                "sealed_at": head.sealed_at and head.sealed_at.isoformat(),
                "signed_size": signed,
                "waiting_batches": lag.batches,
                "waiting_events": lag.events,
                "oldest_at": lag.oldest_at and lag.oldest_at.isoformat(),
                "lag_ms": lag.lag_ms or 0,
                "late": is_late,
            }
        )
        return not is_late
    when = "" if head.sealed_at is None else f", the last at {written(head.sealed_at)}"
    click.echo(f"{head.size:,} events sealed{when}; {signed:,} of them signed.")
    if lag.oldest_at is None:
        click.echo("Nothing waits.")
    else:
        waits = f"{lag.events:,} events wait, the oldest since {written(lag.oldest_at)}"
        click.echo(f"{waits} ({lag.lag_ms:,} ms).")
    return not is_late
