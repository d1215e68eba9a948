"""`holdfast treasury`, `sanctions` and `unclaimed`: what finance looks at, and brings by file."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from engine.__main__ import main
from kernel import keys
from kernel.database import Tenant, transaction
from tests.fixtures.databases import TestDatabase
from tests.payouts.builders import give, new_payee


def holdfast(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


@pytest.fixture
def _open(
    own_database: TestDatabase, own_engine: Engine, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands find the database, and an operator's key."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    monkeypatch.setenv("HOLDFAST_OWNER_URL", own_database.owner_url)
    with own_engine.begin() as plain:
        made = keys.create(plain, tenant, scopes=["payouts:write"], is_operator=True)
    monkeypatch.setenv("HOLDFAST_KEY", made.secret)


@pytest.mark.usefixtures("_open")
def test_a_list_that_changed_is_brought_and_reported(
    own_engine: Engine, tenant: Tenant, tmp_path: Path
) -> None:
    """Nothing is blocked; a file names a party; its money is in the report; nobody unknown."""
    with transaction(own_engine, tenant) as connection:
        party_id = new_payee(connection)
        give(connection, party_id, 12_345)
    named, unknown = tmp_path / "named", tmp_path / "unknown"
    named.write_text(f"{party_id}\n")
    unknown.write_text("nobody\n")
    dated = ("--list", "SDN", "--dated", "2026-03-01")

    before, no = (
        holdfast("sanctions", "report"),
        holdfast("sanctions", "rescreen", *dated, str(unknown)),
    )
    done, after = (
        holdfast("sanctions", "rescreen", *dated, str(named)),
        holdfast("sanctions", "report", "--json"),
    )

    assert (before.exit_code, before.stdout) == (0, "Nothing is blocked.\n")
    assert (no.exit_code, done.exit_code, after.exit_code) == (1, 0, 0)
    (block,) = json.loads(after.stdout)["blocked"]
    assert block["amount"] == {"amount": "123.45", "currency": "EUR"}
    assert block["party_id"] == str(party_id)


@pytest.mark.usefixtures("_open")
def test_the_treasury_is_told_in_a_table_and_in_json(own_engine: Engine, tenant: Tenant) -> None:
    """What lies in the bank stands in both; all is well, so exit 0."""
    with transaction(own_engine, tenant) as connection:
        give(connection, new_payee(connection), 50_000)

    table, told = holdfast("treasury"), holdfast("treasury", "--json")

    assert (table.exit_code, told.exit_code) == (0, 0)
    assert "500.00" in table.stdout
    assert json.loads(told.stdout)["currencies"][0]["bank"]["amount"] == "500.00"


@pytest.mark.usefixtures("_open")
def test_rules_are_brought_whole_or_not_at_all(tmp_path: Path) -> None:
    """A bad line refuses the file by its number; the good file is listed afterwards."""
    head = "jurisdiction,owner,valid_from,years,notice_days,source\n"
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(head + "US-TX,payee,2020-01-01,3,60,a law\n")
    bad.write_text(good.read_text() + "US-TX,client,2020-01-01,99,60,a law\n")

    none, refused = holdfast("unclaimed", "rules"), holdfast("unclaimed", "take", str(bad))
    still, taken = holdfast("unclaimed", "rules"), holdfast("unclaimed", "take", str(good))
    listed, unclaimed = holdfast("unclaimed", "rules", "--json"), holdfast("unclaimed", "list")

    assert (none.exit_code, refused.exit_code, still.exit_code) == (1, 2, 1)
    assert "line 3" in refused.stderr
    assert (taken.exit_code, listed.exit_code, unclaimed.exit_code) == (0, 0, 0)
    assert [each["years"] for each in json.loads(listed.stdout)["rules"]] == [3]
