"""`holdfast fees`: which fee schedules there are, what one charges, and why a contract has its."""

from uuid import UUID

import click

from commissions import store
from commissions.explaining import for_whom, prices
from commissions.model_schedule import ScheduleState, Version, as_json, ending_json
from engine.api.reads_fees import contract_fees
from engine.commands.frame import (
    BAD_NEWS,
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
from kernel.database import snapshot


@click.group()
def command() -> None:
    """Fee schedules, what they charge, and which of them a contract pinned."""


@command.command("list")
@click.option(
    "--state",
    type=click.Choice([each.value for each in ScheduleState]),
    help="Only those of a state.",
)
@click.option("--in-force", "is_in_force", is_flag=True, help="Only those that hold now.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True)
@tenant_option
@json_option
@in_words
def list_(
    *,
    state: str | None,
    is_in_force: bool,
    limit: int,
    tenant_name: str | None,
    as_json: bool,
) -> None:
    """Fee schedules in the order of their preparing."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = store.list_versions(
                connection,
                limit=limit,
                state=ScheduleState(state) if state else None,
                in_force_at=clock.now(connection) if is_in_force else None,
            )
    if as_json:
        print_json([_json(each) for each in found])
    elif not found:
        click.echo(f"Tenant {tenant.name} has no such fee schedule.", err=True)
    else:
        print_table(
            ("schedule", "name", "v", "side", "level", "for whom", "state", "from, UTC", "until"),
            [_cells(each) for each in found],
            right=("v",),
        )
        if len(found) == limit:
            click.echo(f"The first {limit} schedules; --limit shows more.", err=True)


@command.command()
@click.argument("schedule_id", type=click.UUID)
@tenant_option
@json_option
@in_words
def show(*, schedule_id: UUID, tenant_name: str | None, as_json: bool) -> None:
    """One schedule: for whom, from when until when, and its prices in each currency."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = store.find_versions(connection, [schedule_id]).get(schedule_id)
            endings = store.list_endings(connection, schedule_id)
    if found is None:
        click.echo(f"Tenant {tenant.name} has no fee schedule {schedule_id}.", err=True)
        raise click.exceptions.Exit(BAD_NEWS)
    if as_json:
        print_json({**_json(found), "endings": [ending_json(each) for each in endings]})
        return
    _tell(found)
    for each in endings:
        click.echo(f"An end at {written(each.ends_at)} is {each.state.value}.")


@command.command()
@click.argument("contract_id", type=click.UUID)
@tenant_option
@json_option
@in_words
def explain(*, contract_id: UUID, tenant_name: str | None, as_json: bool) -> None:
    """What a contract pinned, and why: every schedule that fitted, strongest first."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = contract_fees(connection, contract_id)
    if found is None:
        click.echo(f"Tenant {tenant.name} has no contract {contract_id}.", err=True)
        raise click.exceptions.Exit(BAD_NEWS)
    if as_json:
        print_json(found)
        return
    for part, rate in (("payee", "commission_bps"), ("client", "client_fee_bps")):
        if found[f"{part}_schedule_id"] is None:
            click.echo(f"No schedule for the {part}: the terms' {found[rate]} basis points hold.")
    for choice in found["choices"]:
        click.echo("")
        for line in [*choice["words"], *(f"  {each}" for each in choice["prices"])]:
            click.echo(line)


def _tell(version: Version) -> None:
    schedule = version.schedule
    until = "further notice" if schedule.valid_to is None else written(schedule.valid_to)
    since = "its approval" if version.begins_when_approved else written(schedule.valid_from)
    click.echo(f"{schedule.name} version {schedule.version}, {version.state.value}")
    click.echo(f"For {for_whom(schedule.scope)}; the {schedule.side.value}'s fee.")
    click.echo(f"From {since} until {until}; priority {schedule.priority}.")
    if version.promotion is not None:
        whose = "all in scope" if version.promotion.is_open else "deals that name it"
        click.echo(f"A promotion for {whose}.")
    for tariff in schedule.tariffs:
        click.echo(f"{tariff.currency}:")
        for line in prices(tariff):
            click.echo(f"  {line}")


def _cells(version: Version) -> tuple[str, ...]:
    schedule = version.schedule
    return (
        str(schedule.id),
        schedule.name,
        str(schedule.version),
        schedule.side.value,
        schedule.scope.level.value,
        for_whom(schedule.scope),
        version.state.value,
        "approval" if version.begins_when_approved else written(schedule.valid_from),
        "-" if schedule.valid_to is None else written(schedule.valid_to),
    )


def _json(version: Version) -> dict[str, object]:
    return as_json(version)
