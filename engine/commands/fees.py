"""`holdfast fees`: which fee schedules there are, what one charges, and why a contract has its."""

from uuid import UUID

import click
from sqlalchemy import Connection

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
from engine.commands.progress import count_bar
from engine.startup import Database
from escrow import service_fee_move, store_fee_move
from escrow.model_fee_move import FeeMove, MoveState, Verdict, verdict_json
from escrow.model_fee_move import as_json as move_json
from kernel import clock
from kernel.database import Tenant, snapshot, transaction


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


@command.command()
@click.argument("move_id", type=click.UUID)
@click.option("--dry-run", "only_looks", is_flag=True, help="Say who would move; write nothing.")
@tenant_option
@json_option
@in_words
def move(*, move_id: UUID, only_looks: bool, tenant_name: str | None, as_json: bool) -> None:
    """Run an approved move of running contracts to its end, or look at what it would do.

    It goes on where it was: what was moved stays moved, and a worker runs it as well.
    """
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = store_fee_move.find_moves(connection, [move_id]).get(move_id)
            if found is not None and only_looks:
                _tell_dry(connection, found, as_json=as_json)
                return
        if found is None:
            click.echo(f"Tenant {tenant.name} has no move {move_id}.", err=True)
            raise click.exceptions.Exit(BAD_NEWS)
        found = _run(opened, tenant, found)
    if as_json:
        print_json(move_json(found))
    else:
        counts = f"{found.moved_count} contracts moved, {found.skipped_count} stayed"
        click.echo(f"The move is {found.state.value}: {counts}.")
    if found.state is not MoveState.DONE:
        raise click.exceptions.Exit(BAD_NEWS)


def _run(opened: Database, tenant: Tenant, found: FeeMove) -> FeeMove:
    with transaction(opened.engine, tenant) as connection:
        total = store_fee_move.count_left(connection, found)
    done = 0
    with count_bar() as tell:
        while found.state is MoveState.APPROVED:
            with transaction(opened.engine, tenant) as connection:
                at = clock.now(connection)
                found = service_fee_move.run_step(connection, found.id, at=at) or found
            done = min(done + service_fee_move.STEP, total)
            tell("looking at contracts", done, total)
    return found


def _tell_dry(connection: Connection, found: FeeMove, *, as_json: bool) -> None:
    at, after = clock.now(connection), found.looked_to
    verdicts: list[Verdict] = []
    while True:
        some, after = service_fee_move.look(
            connection, found, at, after=after, limit=service_fee_move.STEP
        )
        verdicts += some
        if after is None:
            break
    if as_json:
        print_json([verdict_json(each) for each in verdicts])
        return
    if verdicts:
        print_table(
            ("contract", "pinned now", "moves"),
            [
                (
                    str(each.contract_id),
                    str(each.from_schedule_id or "rates of its terms"),
                    "yes" if each.why_not is None else f"no: {each.why_not}",
                )
                for each in verdicts
            ],
        )
    going = sum(each.why_not is None for each in verdicts)
    click.echo(f"{going} contracts would move, {len(verdicts) - going} would stay.")


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
