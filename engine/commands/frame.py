"""What all commands share: the open database, the tenant, JSON or a table, and trouble in words."""

import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, ParamSpec, TypeVar

import click
import orjson
import psycopg
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError

from engine.refusals import REFUSALS, sentence
from engine.startup import Database, open_database, tell_trouble
from kernel.database import Tenant
from kernel.errors import Broken, Refusal
from kernel.money import format_minor
from kernel.settings import CannotStart, read_settings
from migrations import runner

BAD_NEWS: Final = 1
COULD_NOT_TELL: Final = 2
INTERRUPTED: Final = 130

P = ParamSpec("P")
R = TypeVar("R")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON with stable keys.")
tenant_option = click.option(
    "--tenant",
    "tenant_name",
    envvar="HOLDFAST_TENANT",
    metavar="NAME",
    help="Whose books; may be left out where there is only one tenant.",
)


class CouldNotTell(click.ClickException):
    """One sentence on standard error, and exit code 2."""

    exit_code = COULD_NOT_TELL


def in_words(command: Callable[P, R]) -> Callable[P, R]:
    """A command whose trouble is told in one sentence instead of a traceback."""

    @functools.wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except Refusal as refusal:
            raise CouldNotTell(refused_in_words(refusal.code, refusal.facts)) from refusal
        except CannotStart as trouble:
            raise CouldNotTell(str(trouble)) from trouble
        except Broken as trouble:
            raise CouldNotTell(f"A promise of ours failed: {trouble}") from trouble
        except (SQLAlchemyError, psycopg.Error) as trouble:
            raise CouldNotTell(tell_trouble(trouble, read_settings())) from trouble
        except BrokenPipeError:
            # Whoever read our output has seen enough; nothing more can be said to him.
            sys.stderr.close()
            raise click.exceptions.Exit(0) from None
        except OSError as trouble:
            where = trouble.filename or "A file"
            raise CouldNotTell(f"{where} cannot be used: {trouble.strerror}.") from trouble
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None

    return told


@contextmanager
def database(*, pool_size: int = 5) -> Iterator[Database]:
    """The database of this process's settings, checked and open."""
    with open_database(read_settings(), pool_size=pool_size) as opened:
        yield opened


def tenant_of(opened: Database, name: str | None) -> Tenant:
    """The tenant that was named, or the only one; refuses `tenant.unknown`."""
    with opened.engine.begin() as connection:
        known = runner.list_tenants(connection)
    if name is not None:
        tenant = Tenant(name)
        if name not in known:
            raise runner.UnknownTenant(tenant=name)
        return tenant
    if len(known) == 1:
        return Tenant(known[0])
    if not known:
        raise CouldNotTell("There is no tenant yet: make one with `holdfast tenant create NAME`.")
    some = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
    raise CouldNotTell(f"There are {len(known)} tenants: name one with --tenant ({some}).")


def print_json(value: Any) -> None:  # noqa: ANN401  any JSON value
    """One JSON document on standard output."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()
) -> None:
    """A table for people, every cell as it is; the columns named in `right` hold numbers."""
    table = Table()
    for column in columns:
        # Folded where the screen is narrow: an id cut short is no id.
        side: JustifyMethod = "right" if column in right else "left"
        table.add_column(Text(column), justify=side, overflow="fold")
    for row in rows:
        # As text: `custody.escrow[...]` would be taken for markup, and vanish.
        table.add_row(*map(Text, row))
    console().print(table)


def grouped(amount_minor: int, currency: str) -> str:
    """An amount for people, its thousands apart: 63,985.71."""
    whole, point, cents = format_minor(amount_minor, currency).partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}{point}{cents}"


def refused_in_words(code: str, facts: Mapping[str, Any]) -> str:
    """A refusal as a sentence, with the facts that it names."""
    said = sentence(code, facts) if code in REFUSALS else f"Refused: {code}."
    if "why" in facts and str(facts["why"]) not in said:
        said = f"{said.rstrip('.')}: {facts['why']}."
    named = ", ".join(f"{name} {value}" for name, value in facts.items() if value and name != "why")
    return f"{said} ({named})" if named else said


def written(at: datetime) -> str:
    """An instant in UTC for people, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def console() -> Console:
    """Standard output; as wide as it takes where it is no terminal, so that no row is cut."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=160)


def errors() -> Console:
    """Standard error, for progress and hints: it stays out of what is piped."""
    return Console(stderr=True, highlight=False)
