"""`holdfast replay`: job postings played through the engine in a tenant of their own."""

from pathlib import Path

import click

from engine.commands.frame import (
    BAD_NEWS,
    INTERRUPTED,
    console,
    database,
    in_words,
    json_option,
    print_json,
)
from engine.commands.progress import day_bar, stop_on_interrupt
from engine.replay.report import show
from engine.replay.service import Options, play, take_in
from engine.replay.tenants import free_name, open_tenant


@click.command()
@click.option(
    "--jobs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Job postings, as .csv or .csv.gz; made up from the seed if left out.",
)
@click.option("--days", type=click.IntRange(1, 3_650), help="How many days are lived through.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True)
@click.option("--contracts", type=click.IntRange(1, 100_000), help="At most so many contracts.")
@click.option(
    "--share",
    type=click.FloatRange(0, 100, min_open=True),
    default=100.0,
    show_default=True,
    help="Percent of the usable postings, drawn by the seed.",
)
@click.option("--in-dollars", is_flag=True, help="All contracts in USD, wherever the client is.")
@click.option(
    "--tenant",
    "tenant_name",
    metavar="NAME",
    help="A new tenant of this name, or an empty one; replay, replay_2, ... if left out.",
)
@json_option
@in_words
def command(
    *,
    jobs: Path | None,
    days: int | None,
    seed: int,
    contracts: int | None,
    share: float,
    tenant_name: str | None,
    in_dollars: bool,
    as_json: bool,
) -> None:
    """Turn job postings into contracts, live through their days, and prove the books.

    Fixed budgets become milestones, rates become hours, retainers, or either beside milestones.
    Clients pay in their country's currency, at the central bank's rate of the posting's day. A
    file is lived through for six months, or for thirty days after its last posting if that is
    longer; a made-up month has thirty days. Balances and client money are checked at every
    midnight. The same postings and seed give the same figures. Exit 1 if the books or the client
    money are not clean.
    """
    options = Options(
        jobs=jobs,
        seed=seed,
        days=days,
        contracts=contracts,
        share_bps=round(share * 100),
        in_dollars=in_dollars,
    )
    intake = take_in(options)
    with database() as opened, stop_on_interrupt() as stop:
        name = tenant_name or free_name(opened, "replay")
        tenant = open_tenant(opened, name)
        with day_bar() as bar:
            report = play(
                opened.engine,
                tenant,
                intake,
                options,
                on_day=bar.on_day,
                on_start=bar.start,
                stop=stop,
            )
    if as_json:
        print_json(report.as_json())
    else:
        show(report, console())
    if not report.is_good:
        raise click.exceptions.Exit(BAD_NEWS)
    if not report.is_complete:
        raise click.exceptions.Exit(INTERRUPTED)
