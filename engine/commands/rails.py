"""`holdfast rails`: the rails in use, the events that they sent, and what needs people."""

from typing import Any

import click

from engine.api.reads_rails import event_as_json, notice_exceptions, shown
from engine.commands.acting import actor_of, key_option, tell
from engine.commands.frame import (
    BAD_NEWS,
    CouldNotTell,
    database,
    in_words,
    json_option,
    print_json,
    print_table,
    tenant_of,
    tenant_option,
)
from engine.rail_desk import RetryEvent, retry_events
from engine.rails import RailHouse
from kernel import clock
from kernel.database import snapshot, transaction
from kernel.errors import RailTrouble
from rails import events
from rails.model_kept import EventState
from rails.port import PreparedRail
from rails.store_events import list_events

limit_option = click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most."
)


@click.group()
def command() -> None:
    """Look at rails and at what they sent; have what failed tried again."""


@command.command("list")
@tenant_option
@json_option
@in_words
def list_(tenant_name: str | None, *, as_json: bool) -> None:
    """List the rails in use with what each can do."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        found = [shown(rail) for rail in RailHouse(opened.engine).every(tenant)]
    if as_json:
        print_json({"tenant": tenant.name, "rails": found})
        return
    columns = ["name", "statement", "event_replay", "payee_accounts", "webhook_auth", "resolve_by"]
    print_table(columns, [[_word(rail[column]) for column in columns] for rail in found])


@command.command("events")
@tenant_option
@click.option("--rail", help="Of this rail only.")
@click.option("--state", type=click.Choice([state.value for state in EventState]))
@click.option("--after", type=click.IntRange(min=0), default=0, help="Behind this number.")
@limit_option
@json_option
@in_words
def events_(
    tenant_name: str | None,
    *,
    rail: str | None,
    state: str | None,
    after: int,
    limit: int,
    as_json: bool,
) -> None:
    """List events in the order in which they came."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            kept = list_events(
                connection,
                after=after,
                limit=limit,
                rail=rail,
                state=EventState(state) if state else None,
            )
    _tell_events([event_as_json(each) for each in kept], tenant.name, as_json=as_json)


@command.command()
@tenant_option
@limit_option
@json_option
@in_words
def exceptions(tenant_name: str | None, limit: int, *, as_json: bool) -> None:
    """List what nobody could do anything with; exit 1 if there is any."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            kept = list_events(connection, limit=limit, state=EventState.EXCEPTION)
            words = notice_exceptions(connection, limit=limit)
    shown_events = [event_as_json(each) for each in kept]
    if as_json:
        print_json({"tenant": tenant.name, "events": shown_events, "notices": words})
    elif not (kept or words):
        click.echo("Nothing waits for people.")
    else:
        rows = [
            [e["event_no"], e["rail"], e["kind"], e["object"], e["trouble"]] for e in shown_events
        ]
        rows += [["-", w["rail"], w["kind"], w["object"], w["trouble"]] for w in words]
        print_table(["event", "rail", "kind", "object", "trouble"], rows)
    if kept or words:
        raise click.exceptions.Exit(BAD_NEWS)


@command.command()
@click.argument("event_no", type=click.IntRange(min=1))
@tenant_option
@key_option
@json_option
@in_words
def retry(event_no: int, *, tenant_name: str | None, secret: str | None, as_json: bool) -> None:
    """Have an event tried again now (operator)."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        wish = RetryEvent(actor=actor_of(opened, tenant, secret), event_no=event_no)
        with transaction(opened.engine, tenant) as connection:
            (outcome,) = retry_events(connection, [wish], at=clock.now(connection))
    tell(outcome, f"Event {event_no} is tried again by the worker.", as_json=as_json)


@command.command("fill-gaps")
@tenant_option
@json_option
@in_words
def fill_gaps(tenant_name: str | None, *, as_json: bool) -> None:
    """Ask the rails now for events that no webhook brought, and for their statements."""
    found: list[dict[str, Any]] = []
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            at = clock.now(connection)
        for rail in RailHouse(opened.engine).every(tenant):
            counts = events.fill_gaps(opened.engine, tenant, rail, at, at_once=True)
            found.append(
                {"rail": rail.name, "events": counts.filled, "transactions": counts.transactions}
            )
    if as_json:
        print_json({"tenant": tenant.name, "rails": found})
        return
    rows = [[each["rail"], str(each["events"]), str(each["transactions"])] for each in found]
    print_table(["rail", "new events", "new lines"], rows, right=["new events", "new lines"])


@command.command()
@tenant_option
@json_option
@in_words
def prepare(tenant_name: str | None, *, as_json: bool) -> None:
    """See that our accounts at rails are set up (no automatic payouts); before going live.

    Exit 2 where a rail could not be asked.
    """
    found: list[dict[str, Any]] = []
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        for rail in RailHouse(opened.engine).every(tenant):
            if isinstance(rail, PreparedRail):
                try:
                    found.append({"rail": rail.name, "was_set_now": rail.prepare()})
                except RailTrouble as trouble:
                    raise CouldNotTell(str(trouble)) from None
    if as_json:
        print_json({"tenant": tenant.name, "rails": found})
    elif not found:
        click.echo("No rail in use needs to be set up.")
    else:
        rows = [[each["rail"], _word(each["was_set_now"])] for each in found]
        print_table(["rail", "was set now"], rows)


def _tell_events(found: list[dict[str, Any]], tenant: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"tenant": tenant, "events": found})
        return
    columns = ["event_no", "rail", "account", "kind", "object", "state", "received_at", "trouble"]
    print_table(columns, [[str(each[column]) for column in columns] for each in found])


def _word(flag: object) -> str:
    return {True: "yes", False: "no"}[flag] if isinstance(flag, bool) else str(flag)
