"""`holdfast rails`: what rails can do, what they sent, and what waits for people."""

import json

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from engine.__main__ import main
from kernel import keys
from kernel.database import Tenant, transaction
from rails import events
from rails.store_events import list_events, save_exception
from tests.fixtures.databases import TestDatabase
from tests.rails.builders import NOON
from tests.rails.hinting import event


def holdfast(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["rails", *arguments], catch_exceptions=False)


def test_events_are_listed_and_an_exception_is_bad_news_until_it_is_retried(
    own_database: TestDatabase, own_engine: Engine, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None: exit 0. One: exit 1 with its trouble. Retried by an operator: none again."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    monkeypatch.setenv("HOLDFAST_OWNER_URL", own_database.owner_url)
    with own_engine.begin() as plain:
        made = keys.create(plain, tenant, scopes=["rails:write"], is_operator=True)
    monkeypatch.setenv("HOLDFAST_KEY", made.secret)

    none = holdfast("exceptions")
    with transaction(own_engine, tenant) as connection:
        events.take_in(connection, [event("evt_1", "pi_odd")], NOON)
        (kept,) = list_events(connection, limit=2)
        save_exception(connection, kept.event_no, "deaf, to the end")
    some, listed = holdfast("exceptions", "--json"), holdfast("events")
    retried = holdfast("retry", str(kept.event_no))
    none_again, twice = holdfast("exceptions"), holdfast("retry", "999")

    assert (none.exit_code, none.stdout) == (0, "Nothing waits for people.\n")
    assert some.exit_code == 1
    assert json.loads(some.stdout)["events"][0]["trouble"] == "deaf, to the end"
    assert "pi_odd" in listed.stdout
    assert (retried.exit_code, none_again.exit_code, twice.exit_code) == (0, 0, 1)


def test_the_rails_in_use_are_listed_and_their_gaps_filled(
    own_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any key the simulated rail serves, which has no gaps."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    monkeypatch.setenv("HOLDFAST_OWNER_URL", own_database.owner_url)

    listed, filled = holdfast("list", "--json"), holdfast("fill-gaps", "--json")

    assert "simulated" in [each["name"] for each in json.loads(listed.stdout)["rails"]]
    gaps = {each["rail"]: each for each in json.loads(filled.stdout)["rails"]}
    assert gaps["simulated"] == {"rail": "simulated", "events": 0, "transactions": 0}
    assert "simulated" in holdfast("list").stdout
