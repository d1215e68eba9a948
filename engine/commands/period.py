"""`holdfast period`: list accounting periods, close and reopen them, check their closings."""

from collections.abc import Callable
from typing import Any, Final

import click

from engine import closing
from engine.commands.acting import actor_of, key_option, tell
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
from kernel.database import snapshot
from ledger import periods, store_periods
from ledger.model_periods import Period, as_json, closing_as_json
from ledger.periods import PeriodCommand


class PeriodNumber(click.IntRange):
    """The number of a period: periods are numbered, and not named by their months."""

    def convert(
        self,
        value: Any,  # noqa: ANN401  whatever was typed
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """The number; `holdfast period list` shows them all."""
        try:
            return int(super().convert(value, param, ctx))
        except click.BadParameter:
            told = f"{value!r} is no period's number: see `holdfast period list`."
            self.fail(told, param, ctx)


_STEP_TAKES: Final = (
    click.argument("period_id", type=PeriodNumber(min=1)),
    click.option("--reason", default="", help="Why, in your own words."),
    key_option,
    tenant_option,
    json_option,
    in_words,
)


def step_of_a_period(verb: Callable[..., None]) -> Callable[..., None]:
    """What every step of a period takes: its number, why, whose key, and how to answer."""
    for each in reversed(_STEP_TAKES):
        verb = each(verb)
    return verb


@click.group()
def command() -> None:
    """Close accounting periods, reopen them, and check their closings."""


@command.command(name="list")
@tenant_option
@json_option
@in_words
def list_(tenant_name: str | None, *, as_json: bool) -> None:
    """All periods with their states, in the order in which they were opened."""
    found: list[Period] = []
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            while page := store_periods.list_periods(
                connection, after=found[-1].id if found else 0
            ):
                found += page
    if as_json:
        print_json([_as_json(each) for each in found])
        return
    if not found:
        click.echo(
            f"Tenant {tenant.name} has no period yet: the first posting opens one.", err=True
        )
        return
    rows = [
        (str(each.id), written(each.start), written(each.end), each.state.value, str(each.version))
        for each in found
    ]
    print_table(("period", "from, UTC", "to, UTC", "state", "closings"), rows, right=("period",))


@command.command(name="soft-close")
@step_of_a_period
def soft_close(
    *, period_id: int, reason: str, secret: str | None, tenant_name: str | None, as_json: bool
) -> None:
    """Let finance people alone post into a period that is over."""
    told = f"Period {period_id} is softly closed: it takes manual journals alone."
    _take("soft-close", period_id, reason, secret, tenant_name, told, as_json=as_json)


@command.command()
@step_of_a_period
def close(
    *, period_id: int, reason: str, secret: str | None, tenant_name: str | None, as_json: bool
) -> None:
    """Prove the books, seal what waits, and close a period with its trial balance."""
    told = f"Period {period_id} is closed."
    _take("close", period_id, reason, secret, tenant_name, told, as_json=as_json)


@command.command(name="ask-reopen")
@step_of_a_period
def ask_reopen(
    *, period_id: int, reason: str, secret: str | None, tenant_name: str | None, as_json: bool
) -> None:
    """Ask for a period to be reopened; another person agrees within 72 hours."""
    told = f"Asked: another person reopens period {period_id} with `holdfast period reopen`."
    _take("ask-reopen", period_id, reason, secret, tenant_name, told, as_json=as_json)


@command.command()
@step_of_a_period
def reopen(
    *, period_id: int, reason: str, secret: str | None, tenant_name: str | None, as_json: bool
) -> None:
    """Agree that a period is reopened, for manual journals alone; its closings stay."""
    told = f"Period {period_id} is open again for manual journals."
    _take("reopen", period_id, reason, secret, tenant_name, told, as_json=as_json)


@command.command()
@click.argument("period_id", type=PeriodNumber(min=1))
@tenant_option
@json_option
@in_words
def closings(period_id: int, tenant_name: str | None, *, as_json: bool) -> None:
    """The closings of a period; with --json also their trial balances."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = store_periods.list_closings(connection, period_id)
    if as_json:
        print_json([{**closing_as_json(c), "trial_balance": c.trial_balance} for c in found])
        return
    rows = [
        (str(c.version), written(c.closed_at), str(c.last_journal_no), c.trial_balance_sha256.hex())
        for c in found
    ]
    print_table(("version", "closed at, UTC", "journal up to", "SHA-256 of trial balance"), rows)


@command.command()
@tenant_option
@json_option
@in_words
def check(tenant_name: str | None, *, as_json: bool) -> None:
    """Recount every closing from the journal up to its number; exit 1 if one does not tie."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            broken = periods.check_closings(connection)
    if as_json:
        print_json({"tied": not broken, "findings": broken})
    else:
        click.echo("\n".join(broken) or "Every closing ties with its recount.")
    if broken:
        raise click.exceptions.Exit(BAD_NEWS)


def _take(
    verb: str,
    period_id: int,
    reason: str,
    secret: str | None,
    tenant_name: str | None,
    told: str,
    *,
    as_json: bool,
) -> None:
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        actor = actor_of(opened, tenant, secret)
        asked = PeriodCommand(actor=actor, period_id=period_id, reason=reason)
        if verb == "close":
            outcome = closing.close(opened.engine, tenant, asked, None)
        else:
            outcome = closing.take(opened.engine, tenant, verb, asked, None)
    tell(outcome, told, as_json=as_json)


def _as_json(period: Period) -> dict[str, object]:
    return as_json(period)
