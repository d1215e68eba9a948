"""`holdfast run`: the database, a replayed month, the API and a worker, in one process tree."""

import os
import threading
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from engine.api.access import Scope
from engine.commands.frame import (
    BAD_NEWS,
    console,
    errors,
    in_words,
    json_option,
    print_json,
)
from engine.commands.progress import day_bar
from engine.ports import check_free
from engine.proofs import check_books
from engine.replay.report import Report, show
from engine.replay.service import Options, find_report, play, take_in
from engine.replay.tenants import free_name, list_names, open_tenant
from engine.run import Child, Supervisor, reachable, stop_on_signals
from engine.startup import Database, open_database
from kernel import keys
from kernel.database import Tenant
from kernel.settings import Settings, read_settings

DEMO: Final = "demo"
_LABEL: Final = "holdfast run"
_KEY_DAYS: Final = 30


@click.command()
@click.option("--once", is_flag=True, help="End after the report.")
@click.option("--contracts", type=click.IntRange(1, 100_000), help="Contracts of the month.")
@json_option
@in_words
def command(contracts: int | None, *, once: bool, as_json: bool) -> None:
    """Start everything and keep it running; Ctrl-C stops it in order, the data survive.

    The first start replays a made-up month in a tenant of its own; later ones print its report
    again and prove its books again.
    """
    settings = read_settings()
    if not once:
        check_free(settings.host, settings.port)
    stop = threading.Event()
    with stop_on_signals(stop):
        _say(once=once, text="Opening the database ...")
        with open_database(settings, migrate=True) as database:
            tenant, report, is_clean = _month(database, contracts, stop)
            if report is not None and as_json:
                print_json(report.as_json())
            elif report is not None:
                show(report, console())
            if once or stop.is_set():
                raise click.exceptions.Exit(0 if is_clean else BAD_NEWS)
            _keep_up(settings, database, tenant, stop)


def _month(
    database: Database, contracts: int | None, stop: threading.Event
) -> tuple[Tenant | None, Report | None, bool]:
    """The replayed month: its tenant, its report, and whether its books are clean now.

    One that was stopped before its end is left as it is, and a new one begins.
    """
    names = list_names(database)
    for name in reversed([each for each in names if each.split("_")[0] == DEMO]):
        report = find_report(database.engine, Tenant(name))
        if report is not None and report.is_complete:
            checked = check_books(database.engine, Tenant(name))
            for finding in checked.findings:
                click.echo(finding, err=True)
            return Tenant(name), report, checked.is_clean
    if database.owner_url is None:
        errors().print("No month is replayed: that makes a tenant, and needs HOLDFAST_OWNER_URL.")
        return (Tenant(names[0]) if names else None), None, True
    options = Options(contracts=contracts)
    intake = take_in(options)
    tenant = open_tenant(database, free_name(database, DEMO))
    with day_bar() as bar:
        report = play(
            database.engine,
            tenant,
            intake,
            options,
            on_day=bar.on_day,
            on_start=bar.start,
            stop=stop,
        )
    return tenant, report, report.is_good


def _keep_up(
    settings: Settings, database: Database, tenant: Tenant | None, stop: threading.Event
) -> None:
    parent = ["--parent", str(os.getpid())]
    logs = settings.data_dir / "log"
    children = (
        Child("The API", ["serve", *parent], logs / "serve.log"),
        Child("The worker", ["worker", *parent], logs / "worker.log"),
        Child("The sealer", ["sealer", *parent], logs / "sealer.log"),
        Child("The signer", ["signer", *parent], logs / "signer.log"),
    )
    supervisor = Supervisor(children, database.server, _tell, stop)
    try:
        supervisor.start()
        supervisor.wait_until_ready(settings.host, settings.port)
        if not stop.is_set():
            _welcome(settings, database, tenant)
        supervisor.keep()
        _tell("Stopping ...")
    finally:
        supervisor.end()


def _welcome(settings: Settings, database: Database, tenant: Tenant | None) -> None:
    where = reachable(settings.host)
    address = f"http://{f'[{where}]' if ':' in where else where}:{settings.port}"
    lines = [
        "",
        f"The API   {address}/v1",
        f"its calls {address}/v1/openapi.json",
        f"health    {address}/readyz",
        f"database  {database.where}",
        f"logs      {settings.data_dir / 'log'}",
        f"journal   sealed within seconds, signed with the key in {settings.data_dir / 'signer'}",
        "",
    ]
    if tenant is not None:
        lines += [
            f"An API key for tenant {tenant.name}, until the next start; in a second terminal:",
            f"  export KEY={_fresh_key(database, tenant)}",
            f'  curl -H "Authorization: Bearer $KEY" {address}/v1/clock',
            "",
        ]
    elif database.owner_url is None:
        lines += ["There is no tenant yet: holdfast tenant create NAME", ""]
    click.echo("\n".join([*lines, "README.md leads through a deal. Ctrl-C stops everything."]))


def _fresh_key(database: Database, tenant: Tenant) -> str:
    """A new key for whoever started us; the one of the start before ends now."""
    now = datetime.now(UTC)
    with database.engine.begin() as connection:
        for key in keys.list_keys(connection, tenant, limit=1_000):
            if key.label == _LABEL and key.is_live(now):
                keys.revoke(connection, tenant, key.id)
        new = keys.create(
            connection,
            tenant,
            scopes=[scope.value for scope in Scope],
            is_operator=True,
            label=_LABEL,
            expires_at=now + timedelta(days=_KEY_DAYS),
        )
    return new.secret


def _say(*, once: bool, text: str) -> None:
    screen = errors()
    if screen.is_terminal or not once:
        screen.print(text)


def _tell(text: str) -> None:
    click.echo(text, err=True)
