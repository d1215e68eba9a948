"""`holdfast fx`: rates of exchange, what stands open on the bridge, and month's end."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection

from commissions import store_fx_quotes
from commissions.commands_fx import TakeRates
from commissions.service_fx import policy_of, rates_of_day, take_rates
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
from escrow.service_fx import Exposure, exposure
from kernel import clock
from kernel.commands import Outcome
from kernel.database import snapshot, transaction
from kernel.errors import RailTrouble
from kernel.money import EXPONENTS
from kernel.principals import SYSTEM
from payouts.service_revaluation import Revalue, ReverseRevaluation, revalue, reverse_revaluation
from rails.rates import ecb, fixed
from rails.rates.fetch import fetch
from rails.rates.model import Rate, Source, show_rate

_DAY = click.DateTime(["%Y-%m-%d"])
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def command() -> None:
    """Rates of exchange, conversions that wait for their fill, and revaluations."""


@command.command()
@tenant_option
@click.option("--on", type=_DAY, help="By which day; the tenant's today if left out.")
@json_option
@in_words
def rates(tenant_name: str | None, *, on: datetime | None, as_json: bool) -> None:
    """The newest mid rates of the policy's source; exit 1 if there are none."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            day = on.date() if on else clock.now(connection).astimezone(UTC).date()
            source = policy_of(connection).source
            found = store_fx_quotes.list_rates(connection, source, on=day)
    if as_json:
        print_json({"source": source, "on": day.isoformat(), "rates": [_shown(r) for r in found]})
    elif found:
        rows = [(r.sold, r.bought, show_rate(r.rate), r.as_of.isoformat()) for r in found]
        print_table(("sold", "bought", "rate", "as of"), rows, right=("rate",))
    else:
        click.echo(f"No rates of {source} were taken by {day}: see `holdfast fx take`.", err=True)
    if not found:
        raise click.exceptions.Exit(BAD_NEWS)


@command.command()
@tenant_option
@click.option("--on", type=_DAY, help="The day of the rates; the tenant's today if left out.")
@click.option("--since", type=_DAY, help="Every day from this one on, too.")
@click.option("--file", "bank_file", type=_FILE, help="A newer file of the ECB, CSV or zip.")
@click.option("--url", help="Where the bank's daily file or history lies: HTTPS.")
@click.option("--table", type=_FILE, help="A table of your own: CSV with as_of,sold,bought,rate.")
@json_option
@in_words
def take(
    tenant_name: str | None,
    *,
    on: datetime | None,
    since: datetime | None,
    bank_file: Path | None,
    url: str | None,
    table: Path | None,
    as_json: bool,
) -> None:
    """Write down the rates of a day; without a file, those of the history that is installed.

    Rates that stand already stay, and nothing is written where the source gave another before.
    """
    if sum(each is not None for each in (bank_file, url, table)) > 1:
        raise click.UsageError("Name --file, --url or --table, one of them.")
    source, origin = _source(bank_file, url, table)
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with transaction(opened.engine, tenant) as connection:
            at = clock.now(connection)
            day = on.date() if on else at.astimezone(UTC).date()
            given = _rates_of(source, since.date() if since else day, day)
            kept = tuple(r for r in given if r.sold in EXPONENTS and r.bought in EXPONENTS)
            asked = TakeRates(actor=SYSTEM, rates=kept, origin=origin)
            outcome = take_rates(connection, [asked], at=at)[0] if kept else None
    if outcome is None:
        click.echo(f"{origin} has no rates by {day}.", err=True)
        raise click.exceptions.Exit(BAD_NEWS)
    newest = max(r.as_of for r in kept)
    facts = outcome.facts
    done = f"{facts.get('taken')} rates taken, {facts.get('known')} known; the newest of {newest}."
    tell(outcome, done, as_json=as_json)


@command.command("exposure")
@tenant_option
@json_option
@in_words
def exposed(tenant_name: str | None, *, as_json: bool) -> None:
    """What was promised in each currency and not yet filled; exit 1 if a limit is passed.

    Exit 1 also where the bridge holds other than what conversions wait for.
    """
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            at = clock.now(connection)
            found = exposure(connection)
    if as_json:
        print_json({"at": at.isoformat(), "currencies": [each.as_json(at) for each in found]})
    elif found:
        print_table(
            ("currency", "open", "conversions", "oldest, UTC", "limit", ""),
            [_row(each) for each in found],
            right=("open", "conversions", "limit"),
        )
    else:
        click.echo("Nothing waits for a fill.")
    if any(each.is_over_limit or not each.is_explained for each in found):
        raise click.exceptions.Exit(BAD_NEWS)


@command.command("revalue")
@tenant_option
@key_option
@click.option("--on", type=_DAY, required=True, help="The day at whose end balances stand.")
@click.option("--reverse", is_flag=True, help="Take the revaluation of that day back.")
@click.option("--reason", default="", help="Why it is taken back.")
@json_option
@in_words
def revalued(
    tenant_name: str | None,
    *,
    secret: str | None,
    on: datetime,
    reverse: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Book what the platform's own foreign balances gained or lost; never client money."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        actor = actor_of(opened, tenant, secret)
        day = on.date()

        def act(connection: Connection, at: datetime) -> Outcome:
            if reverse:
                back = ReverseRevaluation(actor=actor, on=day, reason=reason)
                return reverse_revaluation(connection, [back], at=at)[0]
            return revalue(connection, [Revalue(actor=actor, on=day)], at=at)[0]

        with transaction(opened.engine, tenant) as connection:
            outcome = act(connection, clock.now(connection))
    rows = [*outcome.facts.get("revalued", ()), *outcome.facts.get("reversed", ())]
    if rows and not as_json:
        columns = ("currency", "balance", "rate", "worth", "carried", "gain")
        print_table(columns, [_told(row) for row in rows], right=columns[1:])
    done = "Taken back." if reverse else f"Revalued {len(rows)} currencies at the end of {day}."
    tell(outcome, done, as_json=as_json)


def _source(bank_file: Path | None, url: str | None, table: Path | None) -> tuple[Source, str]:
    if url is not None:
        try:
            return ecb.parse(fetch(url)), url
        except RailTrouble as trouble:
            raise CouldNotTell(f"{str(trouble).capitalize()}.") from trouble
    if table is not None:
        return fixed.read(table), table.name
    if bank_file is not None:
        return ecb.read(bank_file), bank_file.name
    return ecb.packaged(), "the installed history of the ECB"


def _rates_of(source: Source, first: date, last: date) -> list[Rate]:
    """Each rate once; a day without one of its own has none."""
    found: dict[tuple[str, str, date], Rate] = {}
    for number in range(first.toordinal(), last.toordinal() + 1):
        for each in rates_of_day(source, date.fromordinal(number)):
            found[each.sold, each.bought, each.as_of] = each
    return list(found.values())


def _shown(rate: Rate) -> dict[str, str]:
    return {
        "source": rate.source,
        "sold": rate.sold,
        "bought": rate.bought,
        "rate": show_rate(rate.rate),
        "as_of": rate.as_of.isoformat(),
    }


def _row(each: Exposure) -> tuple[str, ...]:
    remarks = ["over its limit"] if each.is_over_limit else []
    remarks += [] if each.is_explained else ["not what conversions say"]
    return (
        each.currency,
        grouped(each.open_minor, each.currency),
        f"{each.conversions:,}",
        written(each.oldest_at) if each.oldest_at else "",
        grouped(each.limit_minor, each.currency) if each.limit_minor is not None else "",
        ", ".join(remarks),
    )


def _told(row: dict[str, Any]) -> Sequence[str]:
    amounts: Callable[[str], str] = lambda name: str(row[name]["amount"])  # noqa: E731
    return (
        row["currency"],
        amounts("balance"),
        row["rate"],
        amounts("worth"),
        amounts("carried"),
        amounts("gain"),
    )
