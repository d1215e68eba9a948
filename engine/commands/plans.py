"""`holdfast plans`: what is sold besides fees, who has it, and the two people behind it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from sqlalchemy import Connection

from commissions import store_plans
from commissions.model_plans import (
    OfferingState,
    offering_json,
    purchase_json,
    subscription_json,
)
from engine.api.writes_plans import OfferingBody, prepare_command
from engine.commands.acting import actor_of, body_of, key_option, tell
from engine.commands.frame import (
    database,
    in_words,
    json_option,
    print_json,
    print_table,
    tenant_of,
    tenant_option,
    written,
)
from escrow import service_offerings
from escrow.commands_plans import DecideOffering
from kernel import clock
from kernel.database import snapshot, transaction
from kernel.money import format_minor

_PAGE = 500


@click.group()
def command() -> None:
    """Plans and products: one person prepares a version, another approves it."""


@command.command(name="list")
@click.option("--state", type=click.Choice([each.value for each in OfferingState]))
@tenant_option
@json_option
@in_words
def list_(*, state: str | None, tenant_name: str | None, as_json: bool) -> None:
    """Versions of plans and products, oldest first."""
    wanted = OfferingState(state) if state else None
    found = _all(
        tenant_name,
        lambda connection, after: store_plans.list_offerings(
            connection, after=after, limit=_PAGE, state=wanted
        ),
    )
    if as_json:
        print_json([offering_json(each) for each in found])
        return
    rows = [
        (
            str(each.id),
            f"{each.kind.value} {each.name} {each.version}",
            each.state.value,
            written(each.valid_from) if each.valid_from else "-",
            ", ".join(
                f"{format_minor(one.amount_minor, one.currency)} {one.currency} {one.every.value}"
                for one in each.prices
            ),
        )
        for each in found
    ]
    print_table(("offering", "what", "state", "sold from, UTC", "prices"), rows)


@command.command()
@click.option("--party", "party_id", type=click.UUID, help="Of this party alone.")
@tenant_option
@json_option
@in_words
def subscriptions(*, party_id: UUID | None, tenant_name: str | None, as_json: bool) -> None:
    """Who has which plan, or had, oldest first."""
    found = _all(
        tenant_name,
        lambda connection, after: store_plans.list_subscriptions(
            connection, party_id=party_id, after=after, limit=_PAGE
        ),
    )
    if as_json:
        print_json([subscription_json(each) for each in found])
        return
    rows = [
        (
            str(each.id),
            str(each.party_id),
            each.plan,
            each.state.value,
            written(each.period_to),
            f"{format_minor(each.price_minor, each.currency)} {each.currency}",
        )
        for each in found
    ]
    print_table(("subscription", "party", "plan", "state", "paid until, UTC", "price"), rows)


@command.command()
@click.option("--party", "party_id", type=click.UUID, help="Of this party alone.")
@tenant_option
@json_option
@in_words
def purchases(*, party_id: UUID | None, tenant_name: str | None, as_json: bool) -> None:
    """What was paid for plans and products, and how much of it is earned."""
    found = _all(
        tenant_name,
        lambda connection, after: store_plans.list_purchases(
            connection, party_id=party_id, after=after, limit=_PAGE
        ),
    )
    if as_json:
        print_json([dict(purchase_json(each)) for each in found])
        return
    rows = [
        (
            str(each.id),
            str(each.party_id),
            f"{each.name} {each.about}".strip(),
            each.state.value,
            format_minor(each.net_minor, each.currency),
            format_minor(each.tax_minor, each.currency),
            format_minor(each.earned_minor, each.currency),
            each.currency,
        )
        for each in found
    ]
    head = ("purchase", "party", "what", "state", "price", "tax", "earned", "currency")
    print_table(head, rows)


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@key_option
@tenant_option
@json_option
@in_words
def prepare(*, file: Path, secret: str | None, tenant_name: str | None, as_json: bool) -> None:
    """Prepare the version of a JSON file, which is as the body of POST /v1/offerings."""
    body = body_of(file, OfferingBody, what="plan or product")
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        asked = prepare_command(body, actor_of(opened, tenant, secret))
        with transaction(opened.engine, tenant) as connection:
            at = clock.now(connection)
            (outcome,) = service_offerings.prepare_offering(connection, [asked], at=at)
    tell(outcome, f"Prepared: another person approves {asked.offering_id}.", as_json=as_json)


@command.command()
@click.argument("offering_id", type=click.UUID)
@key_option
@tenant_option
@json_option
@in_words
def approve(
    *, offering_id: UUID, secret: str | None, tenant_name: str | None, as_json: bool
) -> None:
    """Sell a version that another person prepared."""
    _decide(offering_id, secret, tenant_name, approves=True, as_json=as_json)


@command.command()
@click.argument("offering_id", type=click.UUID)
@key_option
@tenant_option
@json_option
@in_words
def reject(
    *, offering_id: UUID, secret: str | None, tenant_name: str | None, as_json: bool
) -> None:
    """Give a version up before it is sold."""
    _decide(offering_id, secret, tenant_name, approves=False, as_json=as_json)


def _decide(
    offering_id: UUID, secret: str | None, tenant_name: str | None, *, approves: bool, as_json: bool
) -> None:
    service = service_offerings.approve_offering if approves else service_offerings.reject_offering
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        actor = actor_of(opened, tenant, secret)
        asked = DecideOffering(actor=actor, offering_id=offering_id)
        with transaction(opened.engine, tenant) as connection:
            (outcome,) = service(connection, [asked], at=clock.now(connection))
    done = "approved" if approves else "rejected"
    tell(outcome, f"Version {offering_id} is {done}.", as_json=as_json)


def _all(
    tenant_name: str | None, fetch: Callable[[Connection, UUID | None], Sequence[Any]]
) -> list[Any]:
    """All rows of a list, page by page, in one snapshot."""
    found: list[Any] = []
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            while page := fetch(connection, found[-1].id if found else None):
                found += page
    return found
