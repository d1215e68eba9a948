"""Who acts on the command line: the person behind an API key, shown by its secret."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click
from pydantic import BaseModel, ValidationError

from engine.api.edge import invalid
from engine.commands.frame import BAD_NEWS, CouldNotTell, database, print_json, tenant_of
from engine.refusals import sentence
from engine.startup import Database
from kernel import clock, keys
from kernel.commands import Command, Outcome
from kernel.database import Tenant, transaction
from kernel.principals import Actor
from kernel.rehearsal import Service

Body = TypeVar("Body", bound=BaseModel)

key_option = click.option(
    "--key",
    "secret",
    envvar="HOLDFAST_KEY",
    metavar="SECRET",
    help="Your own key, which says who acts; better in the variable HOLDFAST_KEY.",
)


def actor_of(opened: Database, tenant: Tenant, secret: str | None) -> Actor:
    """The principal behind a live key of this tenant."""
    if not secret:
        raise CouldNotTell("Say who acts: put your own key into HOLDFAST_KEY.")
    with opened.engine.begin() as connection:
        key = keys.find(connection, secret)
    if key is None or key.tenant != tenant or not key.is_live(datetime.now(UTC)):
        raise CouldNotTell(f"That is no live key of tenant {tenant.name}.")
    return key.actor


def act(
    make: Callable[[Actor], Command],
    service: Service,
    *,
    tenant_name: str | None,
    secret: str | None,
) -> Outcome:
    """One command of whoever the key names, in a transaction of its own."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        asked = make(actor_of(opened, tenant, secret))
        with transaction(opened.engine, tenant) as connection:
            (outcome,) = service(connection, [asked], at=clock.now(connection))
    return outcome


def body_of(file: Path, kind: type[Body], *, what: str) -> Body:
    """A JSON file that is as the body of a call; one sentence for all that is wrong with it."""
    try:
        return kind.model_validate_json(file.read_bytes())
    except ValidationError as error:
        wrong = "; ".join(f"{e['field']}: {e['why']}" for e in invalid(error).facts["errors"])
        raise CouldNotTell(f"{file} is no {what}: {wrong}.") from None


def tell(outcome: Outcome, done: str, *, as_json: bool) -> None:
    """The outcome in JSON or words; exit 1 where the rules say no."""
    if as_json:
        print_json({"code": outcome.code, **outcome.facts})
    elif outcome.is_done:
        click.echo(done)
    else:
        click.echo(f"Refused: {sentence(outcome.code, outcome.facts)} ({outcome.code})")
        for name, value in outcome.facts.items():
            for each in value if isinstance(value, list) else [value]:
                click.echo(f"  {name}: {each}")
    if not outcome.is_done:
        raise click.exceptions.Exit(BAD_NEWS)
