"""`holdfast auditor`: let an auditor in, see who is in, and end it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, make_url

from engine.commands.frame import (
    CouldNotTell,
    database,
    in_words,
    json_option,
    print_json,
    print_table,
    tenant_of,
    tenant_option,
    written,
)
from engine.startup import Database
from kernel.database import connect
from ledger import auditors
from ledger.auditors import Auditor, NewAuditor


@click.group()
def command() -> None:
    """Let auditors in, list them, and end their logins; docs/audit.md is their page."""


@command.command()
@click.argument("name")
@tenant_option
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="The last day, UTC, on which it can log in; until it is revoked, if left out.",
)
@json_option
@in_words
def grant(name: str, tenant_name: str | None, until: datetime | None, *, as_json: bool) -> None:
    """Make a read-only login for an engagement; its password is shown this once."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        last_day = None if until is None else until.date()
        with _as_owner(opened) as connection:
            today = datetime.now(UTC).date()
            new = auditors.grant(connection, tenant, name, last_day=last_day, today=today)
        way_in = _way_in(opened, new.auditor)
    if as_json:
        print_json(
            {
                **new.auditor.as_json(),
                "conninfo": way_in,
                "password": new.password,
                "missing": list(new.missing),
            }
        )
    else:
        _tell_new(new, way_in)


@command.command()
@click.argument("name")
@tenant_option
@json_option
@in_words
def revoke(name: str, tenant_name: str | None, *, as_json: bool) -> None:
    """End an auditor's login now, with the sessions that are open."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with _as_owner(opened) as connection:
            ended = auditors.revoke(connection, tenant, name)
    if as_json:
        print_json({"name": name, "sessions_ended": ended})
    else:
        sessions = f"{ended} open session{'' if ended == 1 else 's'}"
        click.echo(f"Auditor {name} is out; {sessions} ended.")


@command.command(name="list")
@tenant_option
@json_option
@in_words
def list_(tenant_name: str | None, *, as_json: bool) -> None:
    """The tenant's auditors, by name."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with opened.engine.begin() as connection:
            found = auditors.list_auditors(connection, tenant)
    if as_json:
        print_json([each.as_json() for each in found])
    elif found:
        now = datetime.now(UTC)
        print_table(
            ("name", "login", "until, UTC", "connected", "every statement logged"),
            [_row(each, now) for each in found],
            right=("connected",),
        )
    else:
        hint = f"holdfast auditor grant NAME --tenant {tenant.name}"
        click.echo(f"Tenant {tenant.name} has no auditor: {hint}", err=True)


@contextmanager
def _as_owner(opened: Database) -> Iterator[Connection]:
    """One transaction of the owner of the tables."""
    if opened.owner_url is None:
        raise CouldNotTell(
            "HOLDFAST_OWNER_URL is not set: a login is made and ended by the role that owns the"
            " tables."
        )
    engine = connect(opened.owner_url, pool_size=1)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _way_in(opened: Database, auditor: Auditor) -> str:
    """How to reach the server as libpq writes it, without the password."""
    url = make_url(opened.app_url)
    host = url.query.get("host") or url.host or "localhost"
    assert isinstance(host, str)
    return make_conninfo(host=host, port=url.port, dbname=url.database, user=auditor.login)


def _tell_new(new: NewAuditor, way_in: str) -> None:
    auditor = new.auditor
    until = f" until {written(auditor.until)} UTC" if auditor.until else ""
    click.echo(f"Auditor {auditor.name} may read{until}. The password, shown this once:")
    click.echo(new.password)
    click.echo(f'The way in: psql "{way_in}"')
    if new.missing:
        click.echo("Only a superuser of the server may still say:", err=True)
        for statement in new.missing:
            click.echo(f"  {statement};", err=True)


def _row(auditor: Auditor, now: datetime) -> tuple[str, str, str, str, str]:
    until = written(auditor.until) if auditor.until else "revoked"
    return (
        auditor.name,
        auditor.login,
        f"{until} (over)" if auditor.is_over(now) else until,
        str(auditor.connected),
        "yes" if auditor.is_logged else "no",
    )
