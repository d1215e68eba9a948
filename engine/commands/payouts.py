"""`holdfast payouts`: who is paid when, and runs that two people prepare, approve and execute."""

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from sqlalchemy import Connection, Engine

from engine.api.calls import Given
from engine.api.writes_runs import PayoutScheduleBody, schedule_command
from engine.commands import payout_desk
from engine.commands.acting import act, actor_of, body_of, key_option, tell
from engine.commands.frame import (
    BAD_NEWS,
    CouldNotTell,
    database,
    grouped,
    in_words,
    json_option,
    print_json,
    print_table,
    refused_in_words,
    tenant_of,
    tenant_option,
)
from engine.commands.progress import count_bar, stop_on_interrupt
from engine.payout_runs import step
from kernel import clock
from kernel.database import Tenant, snapshot, transaction
from kernel.ids import new_id
from kernel.principals import Actor
from payouts import service_runs, service_schedules, store_runs
from payouts.commands_runs import ApproveRun, PrepareRun, RunCommand
from payouts.model_runs import Item, ItemState, Run, RunKind, RunState, item_json, run_json
from payouts.model_runs import progress_of as counted

_PAGE = 500
_day = click.DateTime(formats=["%Y-%m-%d"])
_run_argument = click.argument("run_id", type=click.UUID)


@click.group()
def command() -> None:
    """Payout schedules, and runs: prepared by one person, approved by another, then paid."""


command.add_command(payout_desk.methods)
command.add_command(payout_desk.policy)
command.add_command(payout_desk.accounts)


@command.command()
@click.argument("party_id", type=click.UUID)
@tenant_option
@json_option
@in_words
def schedule(*, party_id: UUID, tenant_name: str | None, as_json: bool) -> None:
    """When a payee is next paid in each currency, and what that comes to."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            shown = service_schedules.show(connection, party_id, at=clock.now(connection))
    if as_json:
        print_json(shown)
        return
    for each in shown:
        click.echo(each["consequence"])
    if not shown:
        click.echo("Nothing is paid out by itself: the payee asks for it.")


@command.command(name="set-schedule")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@key_option
@tenant_option
@json_option
@in_words
def set_schedule(*, file: Path, secret: str | None, tenant_name: str | None, as_json: bool) -> None:
    """Set what a JSON file says, which is as the body of POST /v1/payout_schedules."""
    body = body_of(file, PayoutScheduleBody, what="payout schedule")
    outcome = act(
        lambda actor: schedule_command(Given(actor, body, {})),
        service_schedules.set_schedules,
        tenant_name=tenant_name,
        secret=secret,
    )
    tell(outcome, "Set.", as_json=as_json)


@command.group()
def run() -> None:
    """Payout runs."""


_wanted = (
    click.option("--currency", required=True, metavar="CODE"),
    click.option("--everyone", is_flag=True, help="Not only whose schedule is due."),
    click.option("--since", type=_day, help="The first day of schedules; the cut-off if left out."),
    click.option("--cut-off", "cut_off", type=_day, help="A day of UTC; today if left out."),
)


def _with_wanted(function: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_wanted):
        function = option(function)
    return function


@run.command()
@_with_wanted
@key_option
@tenant_option
@json_option
@in_words
def preview(*, secret: str | None, tenant_name: str | None, as_json: bool, **wanted: Any) -> None:  # noqa: ANN401  the options above
    """Whom a run would pay now, and whom not and why; nothing is written."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        actor = actor_of(opened, tenant, secret)
        with snapshot(opened.engine, tenant) as connection:
            at = clock.now(connection)
            asked = _asked(actor, at, **wanted)
            outcome, found, items = service_runs.preview(connection, asked, at=at)
    if as_json:
        shown = run_json(found, counted(items)) if found else None
        listed = [item_json(item, asked.currency) for item in items]
        print_json({"code": outcome.code, "run": shown, "items": listed})
    elif found is not None:
        _print(found, items)
    if not outcome.is_done:
        click.echo(refused_in_words(outcome.code, outcome.facts), err=True)
        raise click.exceptions.Exit(BAD_NEWS)


@run.command()
@_with_wanted
@key_option
@tenant_option
@json_option
@in_words
def prepare(*, secret: str | None, tenant_name: str | None, as_json: bool, **wanted: Any) -> None:  # noqa: ANN401  the options above
    """Write down whom a run pays; another person approves it."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        actor = actor_of(opened, tenant, secret)
        with transaction(opened.engine, tenant) as connection:
            at = clock.now(connection)
            asked = _asked(actor, at, **wanted)
            (outcome,) = service_runs.prepare(connection, [asked], at=at)
    tell(outcome, f"Prepared: another person approves {asked.run_id}.", as_json=as_json)


@run.command()
@_run_argument
@click.option("--content", required=True, metavar="HASH", help="As `run show` told it.")
@key_option
@tenant_option
@json_option
@in_words
def approve(
    *, run_id: UUID, content: str, secret: str | None, tenant_name: str | None, as_json: bool
) -> None:
    """Approve exactly the items that you have seen."""
    outcome = act(
        lambda actor: ApproveRun(actor=actor, run_id=run_id, content=content),
        service_runs.approve,
        tenant_name=tenant_name,
        secret=secret,
    )
    tell(outcome, f"Run {run_id} is approved.", as_json=as_json)


@run.command()
@_run_argument
@key_option
@tenant_option
@json_option
@in_words
def execute(*, run_id: UUID, secret: str | None, tenant_name: str | None, as_json: bool) -> None:
    """Start an approved run, or go on with a stopped one, and pay it here; Ctrl-C stops it."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        actor = actor_of(opened, tenant, secret)
        order = RunCommand(actor=actor, run_id=run_id)
        with transaction(opened.engine, tenant) as connection:
            found = store_runs.find_runs(connection, [run_id]).get(run_id)
            at = clock.now(connection)
            if found is None or found.state is not RunState.EXECUTING:
                (outcome,) = service_runs.start(connection, [order], at=at)
                if not outcome.is_done:
                    raise CouldNotTell(refused_in_words(outcome.code, outcome.facts))
        with count_bar() as bar, stop_on_interrupt() as stop:
            while not stop.is_set() and not step(opened.engine, tenant, run_id).is_over:
                with snapshot(opened.engine, tenant) as connection:
                    progress = store_runs.count_items(connection, run_id)
                left_out = progress.counts.get(ItemState.LEFT_OUT, 0)
                total = sum(progress.counts.values()) - left_out
                bar("paying", total - progress.to_do, total)
        if stop.is_set():
            with transaction(opened.engine, tenant) as connection:
                service_runs.stop(connection, [order], at=clock.now(connection))
        _show(opened.engine, tenant, run_id, as_json=as_json)


@run.command()
@_run_argument
@key_option
@tenant_option
@json_option
@in_words
def stop(*, run_id: UUID, secret: str | None, tenant_name: str | None, as_json: bool) -> None:
    """Stop a run after the chunk at hand."""
    outcome = act(
        lambda actor: RunCommand(actor=actor, run_id=run_id),
        service_runs.stop,
        tenant_name=tenant_name,
        secret=secret,
    )
    tell(outcome, f"Run {run_id} is stopped.", as_json=as_json)


@run.command()
@_run_argument
@key_option
@tenant_option
@json_option
@in_words
def withdraw(*, run_id: UUID, secret: str | None, tenant_name: str | None, as_json: bool) -> None:
    """Give up a run that has not started."""
    outcome = act(
        lambda actor: RunCommand(actor=actor, run_id=run_id),
        service_runs.withdraw,
        tenant_name=tenant_name,
        secret=secret,
    )
    tell(outcome, f"Run {run_id} is withdrawn.", as_json=as_json)


@run.command()
@_run_argument
@tenant_option
@json_option
@in_words
def show(*, run_id: UUID, tenant_name: str | None, as_json: bool) -> None:
    """A run with its payees, its sums and the hash that an approval names."""
    with database() as opened:
        _show(opened.engine, tenant_of(opened, tenant_name), run_id, as_json=as_json)


@run.command(name="list")
@tenant_option
@json_option
@in_words
def list_(*, tenant_name: str | None, as_json: bool) -> None:
    """The newest five hundred runs."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = store_runs.list_runs(connection, after=None, limit=_PAGE)
    if as_json:
        print_json([run_json(each) for each in found])
        return
    rows = [
        (
            str(each.id),
            each.kind.value,
            each.cut_off_on.isoformat(),
            each.state.value,
            f"{each.planned_count} of {each.item_count}",
            grouped(each.planned_minor, each.currency),
            each.currency,
        )
        for each in found
    ]
    print_table(("run", "of", "cut-off", "state", "payees", "sum", "currency"), rows)


def _asked(
    actor: Actor,
    at: datetime,
    *,
    currency: str,
    everyone: bool,
    since: datetime | None,
    cut_off: datetime | None,
) -> PrepareRun:
    day: date = (cut_off or at).date()
    return PrepareRun(
        actor=actor,
        run_id=new_id(),
        currency=currency,
        kind=RunKind.EVERYONE if everyone else RunKind.SCHEDULED,
        due_from_on=since.date() if since else day,
        cut_off_on=day,
    )


def _show(engine: Engine, tenant: Tenant, run_id: UUID, *, as_json: bool) -> None:
    with snapshot(engine, tenant) as connection:
        found = store_runs.find_runs(connection, [run_id]).get(run_id)
        if found is None:
            raise CouldNotTell("There is no payout run with this id.")
        items = _items(connection, run_id)
        told = service_runs.totals(connection, found)
    if as_json:
        print_json({**told, "items": [item_json(item, found.currency) for item in items]})
    else:
        _print(found, items)


def _items(connection: Connection, run_id: UUID) -> list[Item]:
    found: list[Item] = []
    while page := store_runs.list_items(
        connection, run_id, after=found[-1].payee_id if found else None, limit=_PAGE
    ):
        found += page
    return found


def _print(run_: Run, items: list[Item]) -> None:
    rows = [
        (
            str(item.payee_id),
            item.state.value,
            grouped(item.amount_minor, run_.currency),
            grouped(item.fee_minor, run_.currency),
            item.reason or item.code,
        )
        for item in items
    ]
    print_table(("payee", "state", "amount", "fee", "why not"), rows, right=("amount", "fee"))
    total = f"{grouped(run_.planned_minor, run_.currency)} {run_.currency}"
    click.echo(
        f"{run_.state.value}, cut-off {run_.cut_off_on}: {run_.planned_count} of"
        f" {run_.item_count} payees, {total}"
    )
    click.echo(f"content {run_.content_sha256.hex()}")
