"""`holdfast journal`: prepare, approve and reject manual journals, and list them."""

from pathlib import Path
from uuid import UUID

import click

from engine.api.writes_journals import JournalBody, command_of
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
from kernel import clock
from kernel.database import snapshot, transaction
from ledger import journals, store_journals
from ledger.journals import DecideJournal
from ledger.model_journals import Journal, State, as_json

_PAGE = 500


@click.group()
def command() -> None:
    """Prepare, approve and reject manual journals: one person prepares, another approves."""


@command.command(name="list")
@click.option("--state", type=click.Choice([each.value for each in State]))
@tenant_option
@json_option
@in_words
def list_(*, state: str | None, tenant_name: str | None, as_json: bool) -> None:
    """Manual journals, oldest first."""
    found: list[Journal] = []
    wanted = State(state) if state else None
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            while page := store_journals.list_journals(
                connection, after=found[-1].id if found else None, limit=_PAGE, state=wanted
            ):
                found += page
    if as_json:
        print_json([_as_json(each) for each in found])
        return
    rows = [
        (str(each.id), each.state.value, written(each.effective_at), each.reason) for each in found
    ]
    print_table(("journal", "state", "counts at, UTC", "reason"), rows)


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@key_option
@tenant_option
@json_option
@in_words
def prepare(*, file: Path, secret: str | None, tenant_name: str | None, as_json: bool) -> None:
    """Prepare the journal of a JSON file, which is as the body of POST /v1/journals."""
    body = body_of(file, JournalBody, what="journal")
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        asked = command_of(body, actor_of(opened, tenant, secret))
        with transaction(opened.engine, tenant) as connection:
            (outcome,) = journals.prepare(connection, [asked], at=clock.now(connection))
    tell(outcome, f"Prepared: another person approves {asked.journal_id}.", as_json=as_json)


@command.command()
@click.argument("journal_id", type=click.UUID)
@click.option("--reason", default="", help="What you looked at, in your own words.")
@key_option
@tenant_option
@json_option
@in_words
def approve(
    *, journal_id: UUID, reason: str, secret: str | None, tenant_name: str | None, as_json: bool
) -> None:
    """Post a journal that another person prepared."""
    _decide(journal_id, reason, secret, tenant_name, approves=True, as_json=as_json)


@command.command()
@click.argument("journal_id", type=click.UUID)
@click.option("--reason", default="", help="Why it shall not be posted.")
@key_option
@tenant_option
@json_option
@in_words
def reject(
    *, journal_id: UUID, reason: str, secret: str | None, tenant_name: str | None, as_json: bool
) -> None:
    """Give a journal up before it is posted."""
    _decide(journal_id, reason, secret, tenant_name, approves=False, as_json=as_json)


def _decide(
    journal_id: UUID,
    reason: str,
    secret: str | None,
    tenant_name: str | None,
    *,
    approves: bool,
    as_json: bool,
) -> None:
    service = journals.approve if approves else journals.reject
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        actor = actor_of(opened, tenant, secret)
        asked = DecideJournal(actor=actor, journal_id=journal_id, reason=reason)
        with transaction(opened.engine, tenant) as connection:
            (outcome,) = service(connection, [asked], at=clock.now(connection))
    done = "posted" if approves else "rejected"
    tell(outcome, f"Journal {journal_id} is {done}.", as_json=as_json)


def _as_json(journal: Journal) -> dict[str, object]:
    return as_json(journal)
