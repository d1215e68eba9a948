"""`holdfast sanctions`: what is blocked and when it is reported, and a list that changed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click

from engine.care import rescreen
from engine.commands.acting import actor_of, key_option, tell
from engine.commands.frame import (
    BAD_NEWS,
    CouldNotTell,
    database,
    grouped,
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
from payouts import store_blocked
from payouts.model_blocked import Rescreen, SanctionBlock, block_facts
from payouts.service_blocked import annual_report_due, held_on_30_june

_MOST = 1_000_000


@click.group()
def command() -> None:
    """Blocked money, its reports, and screening against a list that changed."""


@command.command()
@tenant_option
@click.option("--year", type=click.IntRange(2000, 2199), help="What was held on 30 June of it.")
@json_option
@in_words
def report(tenant_name: str | None, *, year: int | None, as_json: bool) -> None:
    """What is blocked and by when that is reported; with --year, the annual report.

    Exit 1 where a report is late.
    """
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            today = clock.now(connection).astimezone(UTC).date()
            if year is None:
                blocks = store_blocked.list_blocks(connection, standing=True, limit=_MOST)
            else:
                blocks = held_on_30_june(connection, year)
    late = [each for each in blocks if year is None and each.is_late(today)]
    due = annual_report_due(year).isoformat() if year is not None else None
    if as_json:
        shown = [{**block_facts(each), "late": each in late} for each in blocks]
        print_json({"tenant": tenant.name, "year": year, "due_on": due, "blocked": shown})
    elif blocks:
        _tell(blocks, late)
        if due:
            click.echo(f"This is what was held on 30 June {year}; it is reported by {due}.")
    else:
        click.echo("Nothing is blocked.")
    if late:
        raise click.exceptions.Exit(BAD_NEWS)


@command.command("rescreen")
@tenant_option
@key_option
@click.option("--list", "list_name", required=True, help="The list, as its publisher names it.")
@click.option("--dated", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Of which day.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@in_words
def rescreened(
    tenant_name: str | None,
    *,
    secret: str | None,
    list_name: str,
    dated: datetime,
    file: Path,
    as_json: bool,
) -> None:
    """Block what the parties have that FILE names: an id or a reference on each line."""
    ids, references = _named(file)
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        wish = Rescreen(
            actor=actor_of(opened, tenant, secret),
            list_name=list_name,
            list_date=dated.date(),
            party_ids=ids,
            references=references,
        )
        with transaction(opened.engine, tenant) as connection:
            (outcome,) = rescreen(connection, [wish], at=clock.now(connection))
    facts = outcome.facts
    done = f"{facts.get('matches')} parties are named, {facts.get('new')} of them anew."
    tell(outcome, done, as_json=as_json)


def _named(file: Path) -> tuple[tuple[UUID, ...], tuple[str, ...]]:
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    ids: list[UUID] = []
    references: list[str] = []
    for line in filter(None, lines):
        try:
            ids.append(UUID(line))
        except ValueError:
            references.append(line)
    if not ids and not references:
        raise CouldNotTell(f"{file} names nobody.")
    return tuple(ids), tuple(references)


def _tell(blocks: Sequence[SanctionBlock], late: Sequence[SanctionBlock]) -> None:
    print_table(
        ("party", "from", "amount", "currency", "list", "blocked, UTC", "report due", "reported"),
        [
            (
                str(each.party_id),
                each.kind.partition(".")[2],
                grouped(each.amount_minor, each.currency),
                each.currency,
                each.list_name,
                written(each.blocked_at),
                each.report_due_on.isoformat(),
                each.reported_on.isoformat() if each.reported_on else "late" * (each in late),
            )
            for each in blocks
        ],
        right=("amount",),
    )
