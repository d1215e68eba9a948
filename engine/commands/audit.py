"""`holdfast audit`: the journal-entry tests of an auditor, run over one tenant's books."""

from datetime import UTC, datetime

import click

from engine.commands.frame import (
    BAD_NEWS,
    database,
    in_words,
    json_option,
    print_json,
    tenant_of,
    tenant_option,
)
from engine.commands.progress import count_bar
from kernel.database import snapshot
from ledger import entry_tests
from ledger.entry_tests import Result

_DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])


@click.group()
def command() -> None:
    """What an auditor asks of the books; docs/audit.md is the page for it."""


@command.command()
@tenant_option
@click.option("--from", "since", type=_DAY, help="Entries that count from this day on (UTC).")
@click.option("--to", "until", type=_DAY, help="Entries that count before this day (UTC).")
@click.option(
    "--whose",
    type=click.Choice(["staff", "all"]),
    help="Whose habits are looked at: the platform's own people and programs, or everybody's.",
)
@click.option(
    "--value",
    "values",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another threshold, for example zone=Europe/Paris; --values lists them.",
)
@click.option("--values", "list_values", is_flag=True, help="List the thresholds and end.")
@click.option("--sql", "as_sql", is_flag=True, help="Print the tests for psql and end.")
@click.option("--examples", type=click.IntRange(0, 10_000), default=5, show_default=True)
@json_option
@in_words
def tests(
    *,
    tenant_name: str | None,
    since: datetime | None,
    until: datetime | None,
    whose: str | None,
    values: tuple[str, ...],
    list_values: bool,
    as_sql: bool,
    examples: int,
    as_json: bool,
) -> None:
    """Run the journal-entry tests; exit 1 if something was found that can never be.

    Most tests find what is allowed and unusual, for a person to look at: that is no bad news.
    """
    given = _given(values, since=since, until=until, whose=whose)
    if as_sql:
        click.echo(entry_tests.as_sql(), nl=False)
        return
    if list_values:
        _show_values({**entry_tests.default_values(), **given}, as_json=as_json)
        return
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection, count_bar() as bar:
            results = entry_tests.run(connection, given, examples=examples, progress=bar)
    is_clean = not any(each.is_broken for each in results)
    if as_json:
        print_json(
            {
                "tenant": tenant.name,
                "clean": is_clean,
                "values": {**entry_tests.default_values(), **given},
                "tests": [each.as_json() for each in results],
            }
        )
    else:
        _show(results, is_clean=is_clean)
    if not is_clean:
        raise click.exceptions.Exit(BAD_NEWS)


def _given(
    values: tuple[str, ...],
    *,
    since: datetime | None,
    until: datetime | None,
    whose: str | None,
) -> dict[str, str]:
    given = {}
    for value in values:
        name, sign, text = value.partition("=")
        if not sign:
            raise click.BadParameter(f"{value!r} is not NAME=VALUE", param_hint="--value")
        given[name] = text
    for name, at in (("since", since), ("until", until)):
        if at is not None:
            given[name] = at.replace(tzinfo=UTC).isoformat()
    if whose is not None:
        given["whose"] = whose
    return given


def _show_values(values: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        print_json(values)
        return
    for name, value in values.items():
        click.echo(f"{name}={value}")


def _show(results: list[Result], *, is_clean: bool) -> None:
    for each in results:
        if each.count == 0:
            continue
        word = "BROKEN" if each.test.is_impossible else "LOOK AT"
        click.echo(f"{word} {each.test.name}: {each.count:,}. {each.test.means}")
        for row in each.examples:
            where = "" if row.journal_no is None else f" (journal number {row.journal_no})"
            click.echo(f"  {row.finding}{where}")
        if each.count > len(each.examples):
            click.echo(f"  and {each.count - len(each.examples):,} more; --examples shows more")
    empty = [each.test.name for each in results if each.count == 0]
    click.echo(f"Nothing found by {len(empty)} of {len(results)}: {', '.join(empty)}.")
    verdict = "Nothing that cannot be." if is_clean else "Something was found that cannot be."
    click.echo(verdict)
