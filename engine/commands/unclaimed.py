"""`holdfast unclaimed`: money whose owners are silent, the rules, and a state's report."""

import csv
import sys
from datetime import date
from pathlib import Path
from uuid import UUID

import click

from engine.commands.acting import actor_of, key_option
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
from engine.refusals import sentence
from kernel import clock
from kernel.database import snapshot, transaction
from payouts import store_dormant
from payouts.model_dormant import DormancyRule, Owner, SetDormancyRule, rule_facts, unclaimed_facts
from payouts.service_dormancy_rules import set_rules
from payouts.service_remittance import report_of

_MOST = 1_000_000
_COLUMNS = ("jurisdiction", "owner", "valid_from", "years", "notice_days", "source")


@click.group()
def command() -> None:
    """Money whose owners are silent, the rules of states, and reports to them."""


@command.command("list")
@tenant_option
@json_option
@in_words
def listed(tenant_name: str | None, *, as_json: bool) -> None:
    """All that became unclaimed, and where it is now."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = store_dormant.list_unclaimed(connection, limit=_MOST)
    if as_json:
        shown = [unclaimed_facts(each) for each in found]
        print_json({"tenant": tenant.name, "unclaimed": shown})
    elif found:
        print_table(
            ("party", "amount", "currency", "state", "silent since, UTC", "it is"),
            [
                (
                    str(each.party_id),
                    grouped(each.amount_minor, each.currency),
                    each.currency,
                    each.jurisdiction,
                    written(each.last_contact_at),
                    each.state.value,
                )
                for each in found
            ],
            right=("amount",),
        )
    else:
        click.echo("Nothing is unclaimed.")


@command.command()
@tenant_option
@json_option
@in_words
def rules(tenant_name: str | None, *, as_json: bool) -> None:
    """The rules of dormancy that are known; exit 1 if there are none."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = store_dormant.list_rules(connection)
    if as_json:
        print_json({"tenant": tenant.name, "rules": [rule_facts(each) for each in found]})
    elif found:
        rows = [[str(rule_facts(each)[name]) for name in _COLUMNS] for each in found]
        print_table(_COLUMNS, rows, right=("years", "notice_days"))
    else:
        click.echo("No rule is known, so nothing becomes unclaimed: see `holdfast unclaimed take`.")
    if not found:
        raise click.exceptions.Exit(BAD_NEWS)


@command.command()
@tenant_option
@key_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@in_words
def take(tenant_name: str | None, *, secret: str | None, file: Path) -> None:
    """Write the rules of FILE, all or none: CSV with the columns that `rules` shows."""
    given = _read(file)
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        actor = actor_of(opened, tenant, secret)
        with transaction(opened.engine, tenant) as connection:
            wishes = [SetDormancyRule(actor=actor, rule=each) for each in given]
            outcomes = set_rules(connection, wishes, at=clock.now(connection))
            for number, outcome in enumerate(outcomes, start=2):
                if not outcome.is_done:
                    why = sentence(outcome.code, outcome.facts)
                    raise CouldNotTell(f"{file}, line {number}: {why}")
    click.echo(f"{len(given)} rules are written.")


@command.command()
@tenant_option
@click.argument("remittance_id", type=click.UUID)
@click.option("--names", is_flag=True, help="With names and addresses, opened from what is sealed.")
@json_option
@in_words
def report(tenant_name: str | None, remittance_id: UUID, *, names: bool, as_json: bool) -> None:
    """What a state is told with a remittance: who, what, and since when; CSV."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with transaction(opened.engine, tenant) as connection:
            found = store_dormant.lock_remittances(connection, [remittance_id])
            if remittance_id not in found:
                raise CouldNotTell(f"There is no remittance {remittance_id}.")
            at = clock.now(connection)
            rows = report_of(connection, found[remittance_id], at=at, with_names=names)
    if as_json:
        print_json({"tenant": tenant.name, "remittance_id": str(remittance_id), "rows": rows})
        return
    out = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]) if rows else ["party_id"])
    out.writeheader()
    out.writerows(rows)


def _read(file: Path) -> list[DormancyRule]:
    with file.open(encoding="utf-8", newline="") as opened:
        rows = csv.DictReader(opened)
        if tuple(rows.fieldnames or ()) != _COLUMNS:
            raise CouldNotTell(f"{file} does not have the columns {','.join(_COLUMNS)}.")
        found: list[DormancyRule] = []
        for row in rows:
            try:
                rule = DormancyRule(
                    jurisdiction=row["jurisdiction"],
                    owner=Owner(row["owner"]),
                    valid_from=date.fromisoformat(row["valid_from"]),
                    years=int(row["years"]),
                    notice_days=int(row["notice_days"]),
                    source=row["source"] or "",
                )
            except (ValueError, TypeError) as error:
                where = f"{file}, line {rows.line_num}"
                raise CouldNotTell(f"{where} cannot be read: {error}.") from None
            found.append(rule)
        return found
