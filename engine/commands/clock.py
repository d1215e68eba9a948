"""`holdfast clock`: what time it is for a tenant, and moving a sandbox's clock on."""

from datetime import UTC, datetime, timedelta

import click
from sqlalchemy import Connection

from engine.commands.frame import (
    CouldNotTell,
    database,
    in_words,
    json_option,
    print_json,
    tenant_of,
    tenant_option,
    written,
)
from kernel import clock, timers
from kernel.database import Tenant, transaction
from kernel.principals import SYSTEM
from ledger.model import Draft
from ledger.service import post


@click.group()
def command() -> None:
    """Show a tenant's time, or move a sandbox's on."""


@command.command()
@tenant_option
@json_option
@in_words
def show(tenant_name: str | None, *, as_json: bool) -> None:
    """The tenant's time, whether it is a sandbox, and when the next timer is due."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with transaction(opened.engine, tenant) as connection:
            _tell(connection, tenant, as_json=as_json)


@command.command()
@tenant_option
@click.option("--to", "to_text", metavar="TIME", help="An instant, as 2026-03-01T12:00:00Z.")
@click.option("--days", type=click.IntRange(min=0), default=0)
@click.option("--hours", type=click.IntRange(min=0), default=0)
@json_option
@in_words
def advance(
    *, tenant_name: str | None, to_text: str | None, days: int, hours: int, as_json: bool
) -> None:
    """Move a sandbox's clock on; what becomes due is fired by the worker."""
    if to_text is None and not days and not hours:
        raise CouldNotTell("Say how far: --to TIME, --days N or --hours N.")
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with transaction(opened.engine, tenant) as connection:
            to = _instant(to_text) if to_text else clock.now(connection)
            to += timedelta(days=days, hours=hours)
            now = clock.advance(connection, to=to)
            post(connection, [Draft("clock.advanced", "", SYSTEM, now)])
            _tell(connection, tenant, as_json=as_json)


def _tell(connection: Connection, tenant: Tenant, *, as_json: bool) -> None:
    now = clock.now(connection)
    due_at = timers.find_next_due_at(connection)
    mode = clock.get_mode(connection).value
    if as_json:
        next_due = due_at.isoformat() if due_at else None
        print_json(
            {"tenant": tenant.name, "mode": mode, "now": now.isoformat(), "next_timer": next_due}
        )
        return
    click.echo(f"{tenant.name}: {written(now)} UTC ({mode})")
    if due_at is not None:
        click.echo(f"The next timer is due at {written(due_at)} UTC.")


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CouldNotTell(f"{text!r} is no time: write 2026-03-01T12:00:00Z.") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
