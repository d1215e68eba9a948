"""`holdfast certificate`: every cent between ledger, processors and bank, for a day."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import click

from engine.commands.acting import actor_of, key_option
from engine.commands.certificate_page import show
from engine.commands.frame import (
    BAD_NEWS,
    COULD_NOT_TELL,
    CouldNotTell,
    console,
    database,
    in_words,
    json_option,
    print_json,
    tenant_of,
    tenant_option,
)
from engine.rails import RailHouse
from engine.reconciling import list_logs, match_places, take_rails
from engine.startup import Database
from kernel import clock
from kernel.database import Tenant, transaction
from kernel.money import exponent
from kernel.principals import SYSTEM, Actor
from reconciliation import service_breaks, service_certificates, store_matches
from reconciliation.commands_breaks import MakeCertificate
from reconciliation.store_certificates import list_currencies


@click.command()
@tenant_option
@click.option(
    "--on",
    "day",
    metavar="DATE",
    help="The end of which day (UTC); the day before today if left out.",
)
@click.option("--currency", metavar="CODE", help="One currency; all that money is in if left out.")
@click.option("--as-is", is_flag=True, help="Take nothing in and match nothing first.")
@key_option
@json_option
@in_words
def command(
    *,
    tenant_name: str | None,
    day: str | None,
    currency: str | None,
    as_is: bool,
    secret: str | None,
    as_json: bool,
) -> None:
    """Take in what rails list, match it, and certify ledger, processors and bank against another.

    Exit 0 if all certificates are clean, 1 if there are breaks, 2 if a place has no statement.
    """
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        actor = actor_of(opened, tenant, secret) if secret else SYSTEM
        found = _make(opened, tenant, actor, day, currency, as_is=as_is)
    if as_json:
        print_json({"tenant": tenant.name, "certificates": found})
    else:
        for each in found:
            show(console(), each)
        if not found:
            click.echo("There is no money yet.")
    states = {each["certificate"]["state"] for each in found}
    if "breaks" in states:
        raise click.exceptions.Exit(BAD_NEWS)
    if "untold" in states:
        raise click.exceptions.Exit(COULD_NOT_TELL)


def _make(
    opened: Database,
    tenant: Tenant,
    actor: Actor,
    day: str | None,
    currency: str | None,
    *,
    as_is: bool,
) -> list[Mapping[str, Any]]:
    rails = [] if as_is else RailHouse(opened.engine).every(tenant)
    logs = list_logs(opened.engine, tenant, rails)
    with transaction(opened.engine, tenant) as connection:
        at = clock.now(connection)
        on = _day(day, at)
        if not as_is:
            take_rails(connection, rails, logs, at)
            match_places(connection, actor, at)
            places = store_matches.list_places(connection)
            service_breaks.take_breaks(connection, places, actor=actor, at=at)
        if currency is not None:
            exponent(currency)
        codes = [currency] if currency else list_currencies(connection)
        outcomes = service_certificates.make(
            connection,
            [MakeCertificate(actor=actor, currency=code, on=on) for code in codes],
            at=at,
        )
    wrong = [outcome for outcome in outcomes if not outcome.is_done]
    if wrong:
        raise CouldNotTell(f"{on} is not over yet.")
    return [outcome.facts for outcome in outcomes]


def _day(told: str | None, at: datetime) -> date:
    if told is None:
        return at.date() - timedelta(days=1)
    try:
        return date.fromisoformat(told)
    except ValueError:
        raise CouldNotTell(f"{told} is no day: YYYY-MM-DD.") from None
