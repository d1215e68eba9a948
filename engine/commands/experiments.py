"""`holdfast experiments`: prepare, start, stop and decide experiments, and read them out."""

from pathlib import Path
from typing import Any
from uuid import UUID

import click

from commissions import service_experiments_desk as desk
from commissions import store_experiments
from commissions.model_experiments import State, Study, readout_as_json
from commissions.model_experiments import as_json as shown
from commissions.service_experiments_desk import MoveExperiment
from engine.api.writes_experiments import ExperimentBody, command_of
from engine.commands.acting import actor_of, body_of, key_option, tell
from engine.commands.frame import (
    CouldNotTell,
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

_PAGE = 500
_DONE = {
    "withdraw": "given up",
    "start": "running",
    "stop": "stopped",
    "decide": "decided",
}


@click.group()
def command() -> None:
    """Experiments on fees: one person prepares, another starts, and both see what comes of it."""


@command.command(name="list")
@click.option("--state", type=click.Choice([each.value for each in State]))
@tenant_option
@json_option
@in_words
def list_(*, state: str | None, tenant_name: str | None, as_json: bool) -> None:
    """Experiments, oldest first."""
    found: list[Study] = []
    wanted = State(state) if state else None
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            while page := store_experiments.list_studies(
                connection, after=found[-1].id if found else None, limit=_PAGE, state=wanted
            ):
                found += page
    if as_json:
        print_json([shown(each) for each in found])
        return
    rows = [
        (
            str(each.id),
            each.experiment.name,
            each.state.value,
            ", ".join(f"{name} {share_bps / 100:g} %" for name, share_bps in each.arms),
            "" if each.started_at is None else written(each.started_at),
        )
        for each in found
    ]
    print_table(("experiment", "name", "state", "arms", "started, UTC"), rows)


@command.command()
@click.argument("experiment_id", type=click.UUID)
@tenant_option
@json_option
@in_words
def readout(*, experiment_id: UUID, tenant_name: str | None, as_json: bool) -> None:
    """What each arm came to, beside the control, with 95 % intervals."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = desk.readout(connection, experiment_id, at=clock.now(connection))
    if found is None:
        raise CouldNotTell(f"There is no experiment {experiment_id}.")
    told = readout_as_json(*found)
    if as_json:
        print_json(told)
        return
    rows = [row for arm in told["arms"] for row in _rows(arm)]
    print_table(("arm", "units", "what", "value", "95 %", "above control", "95 %"), rows)
    why = told["would_stop"]
    click.echo(f"It is {told['state']}; its rule asks for {'no stop' if why is None else why}.")


def _rows(arm: dict[str, Any]) -> list[tuple[str, ...]]:
    figures = [
        ("repeat share", arm["repeat_share"]),
        ("dispute share", arm["dispute_share"]),
        ("quiet share", arm["quiet_share"]),
        *((f"net {each['currency']} per unit", each) for each in arm["net_revenue_per_unit"]),
    ]
    return [
        (
            arm["arm"],
            str(arm["units"]),
            what,
            *_cells(each["figure"]),
            *_cells(each["above_control"]),
        )
        for what, each in figures
    ]


def _cells(interval: dict[str, str] | None) -> tuple[str, str]:
    if interval is None:
        return "-", "-"
    return interval["value"], f"{interval['low']} to {interval['high']}"


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@key_option
@tenant_option
@json_option
@in_words
def prepare(*, file: Path, secret: str | None, tenant_name: str | None, as_json: bool) -> None:
    """Prepare the experiment of a JSON file, which is as the body of POST /v1/experiments."""
    body = body_of(file, ExperimentBody, what="experiment")
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        asked = command_of(body, actor_of(opened, tenant, secret))
        with transaction(opened.engine, tenant) as connection:
            (outcome,) = desk.prepare(connection, [asked], at=clock.now(connection))
    tell(outcome, f"Prepared: another person starts {asked.experiment_id}.", as_json=as_json)


def _verb(name: str, told: str, *, decides: bool = False) -> None:
    """A command that moves an experiment on."""

    @command.command(name=name, help=told)
    @click.argument("experiment_id", type=click.UUID)
    @click.option("--reason", default="", help="Why, in your own words.")
    @key_option
    @tenant_option
    @json_option
    @in_words
    def moved(
        *,
        experiment_id: UUID,
        reason: str,
        secret: str | None,
        tenant_name: str | None,
        as_json: bool,
        arm: str | None = None,
    ) -> None:
        with database() as opened:
            tenant = tenant_of(opened, tenant_name)
            asked = MoveExperiment(
                actor=actor_of(opened, tenant, secret),
                experiment_id=experiment_id,
                reason=reason,
                arm=arm,
            )
            with transaction(opened.engine, tenant) as connection:
                (outcome,) = getattr(desk, name)(connection, [asked], at=clock.now(connection))
        tell(outcome, f"Experiment {experiment_id} is {_DONE[name]}.", as_json=as_json)

    if decides:
        option = click.Option(["--arm"], help="The arm that it is for, if it is for one.")
        moved.params.append(option)


_verb("withdraw", "Give an experiment up before it starts.")
_verb("start", "Start an experiment that another person prepared.")
_verb("stop", "Take nobody new on; whoever is in an arm stays in it.")
_verb("decide", "Say what a stopped experiment found; its arms count no more.", decides=True)
