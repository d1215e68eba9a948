"""What all commands share: trouble in one sentence, and tables that show what they are given."""

from collections.abc import Callable

import click
import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.errors import DiskFull
from sqlalchemy import Engine

from engine.commands.frame import in_words, print_table, refused_in_words
from kernel.database import Tenant, driver, transaction


def run(body: Callable[[], None]) -> Result:
    return CliRunner().invoke(click.command()(in_words(body)), [], catch_exceptions=False)


@pytest.mark.parametrize(
    "code",
    [
        "custody.escrow[0190a0b0-0000-7000-8000-000000000001] EUR",
        "custody.wallet[reserved] EUR",
        "custody.wallet[red]",
        "[/]",
        "[bold]\\[x]",
        ":smile:",
    ],
)
def test_a_cell_is_shown_as_it_is(code: str) -> None:
    """An account's code keeps its brackets; nothing in a cell or a heading is markup."""
    result = run(
        lambda: print_table(("account", "in [EUR]"), [(code, "1.00")], right=("in [EUR]",))
    )

    assert result.exit_code == 0
    assert code in result.stdout
    assert "in [EUR]" in result.stdout


def test_trouble_of_the_driver_is_one_sentence(engine: Engine, tenant: Tenant) -> None:
    """What psycopg raises by itself is told like what SQLAlchemy hands on."""

    def of_the_way() -> None:
        psycopg.connect("host=127.0.0.1 port=1 dbname=none connect_timeout=1")

    def of_a_statement() -> None:
        with transaction(engine, tenant) as connection:
            driver(connection).execute("SELECT 1 / 0 AS nothing")

    for body, words in ((of_the_way, "refused"), (of_a_statement, "division by zero")):
        result = run(body)

        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith("Error: The database refused: ")
        assert words in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_a_full_disk_is_told_whoever_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's own word for a full disk leads to what can be done about it."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://someone@db.example/books")

    def fill() -> None:
        raise DiskFull("could not extend file")

    result = run(fill)

    assert result.exit_code == 2
    assert "disk is full" in result.stderr
    assert "could not extend file" in result.stderr


@pytest.mark.parametrize("code", ["fees.bad_quote", "replay.no_such_column"])
def test_why_is_said_once(code: str) -> None:
    """Whether the sentence of a refusal names its reason itself, or leaves it to the frame."""
    said = refused_in_words(code, {"why": "two amounts"})

    assert said.count("two amounts") == 1
