"""`holdfast webhooks`: who is told of our events, what did not arrive, and sending it again."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import click

from engine.api.reads_webhooks import delivery_as_json, endpoint_as_json
from engine.commands.acting import act, key_option, tell
from engine.commands.frame import (
    BAD_NEWS,
    database,
    in_words,
    json_option,
    print_json,
    print_table,
    tenant_of,
    tenant_option,
)
from engine.webhooks import service, store
from engine.webhooks.model import DeliveryState, EndpointState
from kernel.database import snapshot

_MOST_ENDPOINTS = 1_000
_endpoint_option = click.option("--endpoint", "endpoint_id", type=click.UUID, help="To this one.")
_after_option = click.option(
    "--after", type=click.IntRange(min=0), default=0, help="Behind this number."
)
_limit_option = click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most."
)


@click.group()
def command() -> None:
    """Look at receivers and deliveries; have what did not arrive sent again."""


@command.command()
@tenant_option
@json_option
@in_words
def endpoints(*, tenant_name: str | None, as_json: bool) -> None:
    """List receivers, without their secrets; exit 1 if one is disabled or takes nothing."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = store.list_endpoints(connection, after=None, limit=_MOST_ENDPOINTS)
    shown = [endpoint_as_json(each) for each in found]
    if as_json:
        print_json({"tenant": tenant.name, "endpoints": shown})
    elif shown:
        columns = ("id", "url", "state", "planned_to", "failing_since", "reason")
        print_table(columns, [[str(each[name] or "") for name in columns] for each in shown])
    else:
        click.echo("Nobody is told of events.")
    if any(each.state is EndpointState.DISABLED or each.failing_since for each in found):
        raise click.exceptions.Exit(BAD_NEWS)


@command.command()
@_endpoint_option
@click.option("--state", type=click.Choice([state.value for state in DeliveryState]))
@_after_option
@_limit_option
@tenant_option
@json_option
@in_words
def deliveries(
    *,
    endpoint_id: UUID | None,
    state: str | None,
    after: int,
    limit: int,
    tenant_name: str | None,
    as_json: bool,
) -> None:
    """List deliveries in the order of their writing."""
    wanted = DeliveryState(state) if state else None
    shown = _list(tenant_name, endpoint_id, wanted, after=after, limit=limit)
    _tell(shown, "No deliveries.", as_json=as_json)


@command.command()
@_endpoint_option
@_after_option
@_limit_option
@tenant_option
@json_option
@in_words
def dead(
    *, endpoint_id: UUID | None, after: int, limit: int, tenant_name: str | None, as_json: bool
) -> None:
    """List what was given up; exit 1 if there is any."""
    shown = _list(tenant_name, endpoint_id, DeliveryState.DEAD, after=after, limit=limit)
    _tell(shown, "Nothing was given up.", as_json=as_json)
    if shown:
        raise click.exceptions.Exit(BAD_NEWS)


@command.command()
@click.argument("delivery_no", type=click.IntRange(1, 2**63 - 1))
@key_option
@tenant_option
@json_option
@in_words
def redeliver(
    *, delivery_no: int, secret: str | None, tenant_name: str | None, as_json: bool
) -> None:
    """Have a delivery tried anew now that is dead, or waits."""
    outcome = act(
        lambda actor: service.Redeliver(actor=actor, delivery_no=delivery_no),
        service.redeliver,
        tenant_name=tenant_name,
        secret=secret,
    )
    tell(outcome, f"Delivery {delivery_no} is tried anew.", as_json=as_json)


@command.command()
@click.argument("endpoint_id", type=click.UUID)
@click.option("--from", "first", type=click.IntRange(1, 2**63 - 1), required=True, metavar="N")
@key_option
@tenant_option
@json_option
@in_words
def replay(
    *, endpoint_id: UUID, first: int, secret: str | None, tenant_name: str | None, as_json: bool
) -> None:
    """Send a receiver all events from number N of the journal on once more."""
    outcome = act(
        lambda actor: service.Replay(actor=actor, endpoint_id=endpoint_id, from_journal_no=first),
        service.replay,
        tenant_name=tenant_name,
        secret=secret,
    )
    tell(outcome, f"{outcome.facts.get('events')} events are sent once more.", as_json=as_json)


def _list(
    tenant_name: str | None,
    endpoint_id: UUID | None,
    state: DeliveryState | None,
    *,
    after: int,
    limit: int,
) -> list[dict[str, Any]]:
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = store.list_deliveries(
                connection, after=after, limit=limit, endpoint_id=endpoint_id, state=state
            )
    return [delivery_as_json(each) for each in found]


def _tell(shown: Sequence[dict[str, Any]], nothing: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"deliveries": shown})
    elif shown:
        columns = ("delivery_no", "endpoint_id", "journal_no", "state", "tries", "status")
        rows = [[str(each[name] or "") for name in (*columns, "trouble")] for each in shown]
        print_table((*columns, "trouble"), rows)
    else:
        click.echo(nothing)
