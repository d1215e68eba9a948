"""`holdfast reconcile`: statements in, matched with the books, and what stays open."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection

from engine.commands.acting import actor_of, key_option
from engine.commands.frame import (
    BAD_NEWS,
    COULD_NOT_TELL,
    CouldNotTell,
    database,
    in_words,
    json_option,
    print_json,
    print_table,
    tenant_of,
    tenant_option,
)
from engine.commands.progress import count_bar
from engine.rails import RailHouse
from engine.reconciling import list_logs, match_places, take_rails
from engine.refusals import sentence
from kernel import clock
from kernel.commands import Outcome
from kernel.database import transaction
from kernel.principals import SYSTEM, Actor
from rails.statements.model import LARGEST_BYTES
from reconciliation import service
from reconciliation.commands import OpenAccount, TakeFile
from reconciliation.service import PLACES

Bar = Callable[[str, int, int], None]


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@tenant_option
@click.option(
    "--account",
    metavar="PLACE",
    help="What accounts that nobody knows yet stand for: custody_bank, platform_bank or"
    " processor:RAIL_ACCOUNT.",
)
@click.option("--rails", "of_rails", is_flag=True, help="Take what the rails themselves list, too.")
@click.option("--dry-run", is_flag=True, help="Say what would come of it, and write nothing.")
@key_option
@json_option
@in_words
def command(
    *,
    files: Sequence[Path],
    tenant_name: str | None,
    account: str | None,
    of_rails: bool,
    dry_run: bool,
    secret: str | None,
    as_json: bool,
) -> None:
    """Take statements in (camt, MT940, BAI2, Stripe's reports) and match them with the books.

    A file is taken whole or not at all; the same file twice adds nothing. Exit 0 if all is matched,
    1 if lines or items stay open, 2 if a file could not be taken in.
    """
    place = _place_of(account)
    with database() as opened, count_bar() as bar:
        tenant = tenant_of(opened, tenant_name)
        actor = actor_of(opened, tenant, secret) if secret else SYSTEM
        rails = RailHouse(opened.engine).every(tenant) if of_rails else []
        logs = list_logs(opened.engine, tenant, rails)
        with transaction(opened.engine, tenant) as connection:
            at = clock.now(connection)
            told = [_take(connection, file, place, actor, at) for file in files]
            listed = take_rails(connection, rails, logs, at)
            places = _match(connection, actor, at, bar)
            if dry_run:
                connection.rollback()
    found = {
        "tenant": tenant.name,
        "dry_run": dry_run,
        "files": told,
        "rail_lines": listed,
        "places": places,
    }
    if as_json:
        print_json(found)
    else:
        _tell(found)
    if any("refused" in each for each in told):
        raise click.exceptions.Exit(COULD_NOT_TELL)
    if any(each["open_lines"] or each["open_items"] for each in places):
        raise click.exceptions.Exit(BAD_NEWS)


def _place_of(account: str | None) -> tuple[str, str] | None:
    if account is None:
        return None
    place, _, rail_account = account.partition(":")
    if place not in PLACES or (place == "processor") != bool(rail_account):
        raise CouldNotTell(f"{account} is no place: {', '.join(PLACES[1:])}, processor:ACCOUNT.")
    return place, rail_account


def _take(
    connection: Connection, file: Path, place: tuple[str, str] | None, actor: Actor, at: datetime
) -> dict[str, Any]:
    """What became of a file; unknown accounts are opened for the place, if one is said."""
    if file.stat().st_size > LARGEST_BYTES:
        return _refused(file, "statement.unreadable", {"line": 0, "reason": "it is too large"})
    data = file.read_bytes()
    savepoint = connection.begin_nested()
    outcome = _taken(connection, file, data, actor, at)
    if outcome.code == "statement.unknown_account" and place is not None:
        outcome = _opened_for(connection, file, data, place, actor, at)
    if not outcome.is_done:
        savepoint.rollback()
        return _refused(file, outcome.code, outcome.facts)
    savepoint.commit()
    return {"file": str(file), **outcome.facts}


def _opened_for(
    connection: Connection,
    file: Path,
    data: bytes,
    place: tuple[str, str],
    actor: Actor,
    at: datetime,
) -> Outcome:
    for reference, currency in service.unknown_accounts(connection, file.name, data):
        opening = OpenAccount(
            actor=actor,
            reference=reference,
            currency=currency,
            place=place[0],
            rail_account=place[1],
        )
        (opened,) = service.open_accounts(connection, [opening], at=at)
        if not opened.is_done:
            return opened
    return _taken(connection, file, data, actor, at)


def _taken(connection: Connection, file: Path, data: bytes, actor: Actor, at: datetime) -> Outcome:
    wish = TakeFile(actor=actor, name=file.name, data=data)
    (outcome,) = service.take_files(connection, [wish], at=at)
    return outcome


def _refused(file: Path, code: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"file": str(file), "refused": code, "facts": dict(facts)}


def _match(connection: Connection, actor: Actor, at: datetime, bar: Bar) -> list[dict[str, Any]]:
    return match_places(
        connection,
        actor,
        at,
        progress=lambda place: partial(
            _count, bar, f"{place.rail_account or place.place} {place.currency}"
        ),
    )


def _count(bar: Bar, name: str, done: int) -> None:
    bar(name, done, done)


def _tell(found: Mapping[str, Any]) -> None:
    for each in found["files"]:
        if "refused" in each:
            line = each["facts"].get("line")
            where = f"{each['file']}:{line}" if line else each["file"]
            # The place in the file stands in front already.
            said = sentence(each["refused"], each["facts"]).removeprefix(f"Line {line}: ")
            click.echo(f"{where}: {said} ({each['refused']})", err=True)
        elif each["known_since"]:
            click.echo(f"{each['file']}: known since {each['known_since'][:10]}, nothing new.")
        else:
            some = each["statements"]
            known = sum(told["known_lines"] for told in some)
            left = sum(told["left_out"] for told in some)
            click.echo(
                f"{each['file']}: {each['format']}, {len(some)} statements, {each['new_lines']}"
                f" new lines, {known} known before, {left} not booked yet or without money."
            )
    if found["rail_lines"]:
        click.echo(f"{found['rail_lines']} lines of the rails' own lists.")
    if found["places"]:
        _tell_places(found["places"])
    elif not found["files"]:
        click.echo(
            "No statement is known yet: holdfast reconcile FILE --account PLACE, or --rails."
        )
    if found["dry_run"]:
        click.echo("Nothing is written: this was a dry run.")


def _tell_places(places: Sequence[Mapping[str, Any]]) -> None:
    rules = sorted({rule for each in places for rule in each["counts"]})
    columns = ("place", "currency", "lines", "items", *rules, "open lines", "open items")
    print_table(
        columns,
        [
            [
                f"{each['place']} {each['rail_account']}".strip(),
                each["currency"],
                f"{each['lines']:,}",
                f"{each['items']:,}",
                *(f"{each['counts'].get(rule, 0):,}" for rule in rules),
                f"{each['open_lines']:,}",
                f"{each['open_items']:,}",
            ]
            for each in places
        ],
        right=columns[2:],
    )
