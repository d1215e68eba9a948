"""`holdfast migrate`: roles, the shared schema and every tenant's, brought to this version."""

import click

from engine.commands.frame import (
    BAD_NEWS,
    CouldNotTell,
    database,
    in_words,
    json_option,
    print_json,
)
from engine.startup import describe_revisions, open_unchecked
from kernel.settings import read_settings
from migrations import runner


@click.command()
@click.option(
    "--admin-url",
    envvar="HOLDFAST_ADMIN_URL",
    metavar="URL",
    help="Once, for a new database: a login that may create roles.",
)
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit 1 if behind.")
@json_option
@in_words
def command(admin_url: str | None, *, only_check: bool, as_json: bool) -> None:
    """Bring the database's schema up to date.

    A server of your own needs HOLDFAST_OWNER_URL, the login that owns the tables; a new database
    needs --admin-url once, to create the roles holdfast_owner and holdfast_app with the passwords
    that HOLDFAST_OWNER_URL and DATABASE_URL name.
    """
    settings = read_settings()
    if settings.database_url is None and not only_check:
        with database() as opened:
            _tell(describe_revisions(opened), as_json=as_json)
        return
    with open_unchecked(settings) as opened:
        if only_check:
            revisions = describe_revisions(opened)
            _tell(revisions, as_json=as_json)
            if revisions["behind"]:
                raise click.exceptions.Exit(BAD_NEWS)
            return
        if opened.owner_url is None:
            raise CouldNotTell(
                "HOLDFAST_OWNER_URL is not set: name the login that owns the tables,"
                " postgresql://holdfast_owner:password@host/database."
            )
        if admin_url is not None:
            logins = [url for url in (settings.database_url, opened.owner_url) if url]
            runner.prepare_roles(admin_url, logins=logins)
        runner.upgrade_shared(opened.owner_url)
        runner.upgrade_tenants(opened.owner_url)
        _tell(describe_revisions(opened), as_json=as_json)


def _tell(revisions: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(revisions)
        return
    behind = revisions["behind"]
    assert isinstance(behind, list)
    if behind:
        click.echo(f"Behind: {', '.join(map(str, behind))}.")
    else:
        click.echo(
            f"Up to date: shared schema at {revisions['shared']}, tenants at"
            f" {revisions['tenant']} ({revisions['tenants']} of them)."
        )
