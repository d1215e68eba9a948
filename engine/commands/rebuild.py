"""`holdfast rebuild`: everything derived, reckoned again from the lines."""

from typing import Any

import click

from engine.commands.frame import (
    BAD_NEWS,
    CouldNotTell,
    database,
    in_words,
    json_option,
    print_json,
    print_table,
    tenant_of,
    tenant_option,
)
from engine.commands.progress import count_bar
from kernel.database import connect, snapshot
from ledger import rebuild


@click.command()
@tenant_option
@click.option("--check", is_flag=True, help="Only say whether all is the same; write nothing.")
@json_option
@in_words
def command(*, tenant_name: str | None, check: bool, as_json: bool) -> None:
    """Drop what is derived and write it anew from the lines; exit 1 if a byte was another.

    Needs HOLDFAST_OWNER_URL, since the program's own login may not delete. Sealing waits meanwhile;
    postings and readers do not.
    """
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        if opened.owner_url is None:
            raise CouldNotTell("HOLDFAST_OWNER_URL is not set: the owner of the tables rebuilds.")
        owner = connect(opened.owner_url, pool_size=1)
        try:
            with count_bar() as bar:
                with snapshot(opened.engine, tenant) as connection:
                    derived = rebuild.compare(connection, bar)
                with owner.begin() as connection:
                    derived += rebuild.rebuild(connection, tenant, bar)
                    if check:
                        connection.rollback()
        finally:
            owner.dispose()
    found = [each.as_json() for each in derived]
    if check:
        found = [each | {"written": False} for each in found]
    is_same = all(each.is_identical for each in derived)
    if as_json:
        print_json({"tenant": tenant.name, "identical": is_same, "tables": found})
    else:
        _tell(found, is_same=is_same)
    if not is_same:
        raise click.exceptions.Exit(BAD_NEWS)


def _tell(found: list[dict[str, Any]], *, is_same: bool) -> None:
    rows = [
        (
            each["table"],
            f"{each['rows']:,}",
            "the same" if each["identical"] else "DIFFERS",
            "written anew" if each["written"] else "-",
            each["sha256"][:16],
        )
        for each in found
    ]
    print_table(("table", "rows", "byte for byte", "done", "sha256 begins"), rows, right=("rows",))
    click.echo("All derived tables are byte-identical." if is_same else "NOT IDENTICAL.")
