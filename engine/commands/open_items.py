"""`holdfast open-items`: what should be over and is not, for finance to look at."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import click

from engine.commands.frame import (
    BAD_NEWS,
    database,
    grouped,
    in_words,
    print_json,
    print_table,
    tenant_of,
    tenant_option,
    written,
)
from kernel import clock
from kernel.database import snapshot
from reconciliation.model import SORTS, OpenItem
from reconciliation.open_items import as_json, open_items

_MOST_SHOWN: Final = 1_000


@click.command()
@tenant_option
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON with stable keys.")
@in_words
def command(tenant_name: str | None, *, json_wanted: bool) -> None:
    """List what does not hold zero though it is over, and what waits too long; exit 1 if any.

    A table shows the first thousand and counts the rest; --json has them all.
    """
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            at = clock.now(connection)
            counts: Counter[str] = Counter()
            kept: list[OpenItem] = []
            for item in open_items(connection, at=at):
                counts[item.sort] += 1
                if json_wanted or len(kept) < _MOST_SHOWN:
                    kept.append(item)
    if json_wanted:
        shown = [as_json(item, at) for item in kept]
        print_json({"tenant": tenant.name, "at": at.isoformat(), "open_items": shown})
    elif kept:
        _tell(kept, counts, at)
    else:
        click.echo("Nothing is open.")
    if counts:
        raise click.exceptions.Exit(BAD_NEWS)


def _tell(kept: Sequence[OpenItem], counts: Counter[str], at: datetime) -> None:
    print_table(
        ["what", "subject", "amount", "currency", "state", "since", "days"],
        [
            [
                each.sort,
                each.subject,
                grouped(each.amount_minor, each.currency),
                each.currency,
                each.state,
                written(each.since),
                str(each.days(at)),
            ]
            for each in kept
        ],
        right=["amount", "days"],
    )
    for sort, number in sorted(counts.items()):
        click.echo(f"{number} {sort}: {SORTS[sort]}")
