"""`holdfast adopt`: take over another system's books from a file, by two people."""

from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine

from engine.commands.frame import (
    BAD_NEWS,
    CouldNotTell,
    database,
    in_words,
    json_option,
    print_json,
    refused_in_words,
    tenant_of,
    tenant_option,
)
from escrow import adoption
from escrow.adoption import AdoptionCommand
from kernel import clock, keys
from kernel.commands import Outcome
from kernel.database import Tenant, snapshot, transaction
from kernel.principals import Actor
from ledger.adoption_file import read_sheet
from ledger.store_adoption import Adoption, find_adoption


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@tenant_option
@click.option("--dry-run", "step", flag_value="dry-run", help="Say what would be posted.")
@click.option("--prepare", "step", flag_value="prepare", help="Check it, and sign as preparer.")
@click.option("--approve", "step", flag_value="approve", help="Post it, and sign as approver.")
@click.option(
    "--key",
    "secret",
    envvar="HOLDFAST_KEY",
    metavar="SECRET",
    help="The API key of the person who signs, better in HOLDFAST_KEY; asked for if left out.",
)
@json_option
@in_words
def command(
    *, file: Path, tenant_name: str | None, step: str | None, secret: str | None, as_json: bool
) -> None:
    """Take over another system's books: parties, balances and running contracts.

    First --dry-run, then --prepare by one person and --approve by another, each with the key of a
    person who is an operator. docs/adoption.md describes the file. Exit 1 if the file has faults.
    """
    if step is None:
        raise CouldNotTell("Say what to do: --dry-run, --prepare or --approve.")
    sheet = read_sheet(file)
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            known = find_adoption(connection, sheet.file_hash)
            taken = adoption.take(connection, sheet, at=clock.now(connection))
        is_over = known is not None and known.event_id is not None
        # Its own parties would stand in its way: that it came in before says it better.
        faults = () if is_over else taken.faults
        found = {
            "tenant": tenant.name,
            "step": step,
            "file_hash": sheet.file_hash.hex(),
            "faults": [{"line": f.line, "field": f.field, "why": f.why} for f in faults],
            **taken.summary(),
        }
        if is_over:
            assert known is not None
            found |= {"refused": adoption.ApprovedAlready.code, "facts": _event_of(known)}
        elif not faults and step != "dry-run":
            actor = _signed_in(opened.engine, tenant, secret)
            found |= _act(opened.engine, tenant, step, AdoptionCommand(actor=actor, sheet=sheet))
    if as_json:
        print_json(found)
    else:
        _tell(found)
    if faults or found.get("refused"):
        raise click.exceptions.Exit(BAD_NEWS)


def _signed_in(engine: Engine, tenant: Tenant, secret: str | None) -> Actor:
    """The person whose live key of this tenant this is."""
    given = secret or click.prompt("API key of the person who signs", hide_input=True, err=True)
    key = keys.KeyRing(engine).find(given)
    if key is None or key.tenant != tenant:
        raise CouldNotTell(f"That is no live key of tenant {tenant.name}.")
    return key.actor


def _act(engine: Engine, tenant: Tenant, step: str, command: AdoptionCommand) -> dict[str, Any]:
    verb = adoption.prepare if step == "prepare" else adoption.approve
    with transaction(engine, tenant) as connection:
        (outcome,) = verb(connection, [command], at=clock.now(connection))
        if not outcome.is_done:
            connection.rollback()
    return _said(outcome)


def _event_of(known: Adoption) -> dict[str, Any]:
    return {"event_id": str(known.event_id)}


def _said(outcome: Outcome) -> dict[str, Any]:
    if outcome.is_done:
        return dict(outcome.facts)
    return {"refused": outcome.code, "facts": dict(outcome.facts)}


def _tell(found: dict[str, Any]) -> None:
    for fault in found["faults"]:
        where = f"line {fault['line']}" if fault["line"] else "the file"
        click.echo(f"{where}, {fault['field']}: {fault['why']}")
    if found["faults"]:
        click.echo(f"{len(found['faults'])} faults; nothing is posted.")
        return
    click.echo(
        f"{found['source']} as of {found['as_of']}: {found['parties']} parties,"
        f" {found['contracts']} contracts with {found['milestones']} milestones."
    )
    for total in found["totals"]:
        debit, credit = total["debit"], total["credit"]
        click.echo(
            f"  {total['book']}: debit {debit['amount']}, credit {credit['amount']}"
            f" {debit['currency']}"
        )
    if "refused" in found:
        said = refused_in_words(found["refused"], found["facts"])
        click.echo(f"Refused: {said} [{found['refused']}]")
    elif found["step"] == "dry-run":
        click.echo("Nothing is posted: this was a dry run. Next: --prepare.")
    elif found["step"] == "prepare":
        click.echo("Prepared. Next: --approve, with the key of another person.")
    else:
        click.echo(f"Taken over, by event {found['event_id']}. Next: holdfast prove")
