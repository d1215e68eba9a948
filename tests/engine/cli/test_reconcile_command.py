"""`holdfast reconcile`: files in, lines matched, what stays open is bad news."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from engine.__main__ import main
from kernel.database import Tenant, transaction
from tests.fixtures.databases import TestDatabase
from tests.reconciliation.desk import book, camt, entry, rows


def holdfast(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_statements_are_taken_in_and_matched(
    own_database: TestDatabase,
    own_engine: Engine,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """An unknown account, a dry run, the run itself, the same again, and a file that is broken."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    monkeypatch.setenv("HOLDFAST_OWNER_URL", own_database.owner_url)
    with transaction(own_engine, tenant) as connection:
        book(connection, 1_000, name="txn_AA")
    sound, broken = tmp_path / "sound.xml", tmp_path / "broken.xml"
    sound.write_bytes(camt(0, 1_000, [entry(1_000, ref="txn_AA")]))
    broken.write_bytes(camt(0, 1_001, [entry(1_000, ref="txn_BB")], statement="S2"))

    unknown = holdfast("reconcile", str(sound))
    nowhere = holdfast("reconcile", str(sound), "--account", "vault")
    empty = holdfast("reconcile")
    arguments = ("reconcile", str(sound), "--account", "custody_bank")
    dry = holdfast(*arguments, "--dry-run", "--json")
    with transaction(own_engine, tenant) as connection:
        after_dry = rows(connection, "statement_file"), rows(connection, "match")
    real = holdfast(*arguments, "--json")
    again = holdfast("reconcile", str(sound))
    wrong = holdfast("reconcile", str(broken), "--json")
    spoken = holdfast("reconcile", str(broken))

    assert (unknown.exit_code, nowhere.exit_code) == (2, 2)
    assert "...2051" in unknown.stderr
    assert (empty.exit_code, "--account PLACE" in empty.stdout) == (0, True)
    assert (dry.exit_code, real.exit_code, again.exit_code) == (0, 0, 0)
    assert after_dry == (0, 0)
    (dry_place,), (place,) = (json.loads(each.stdout)["places"] for each in (dry, real))
    assert dry_place["digest"] == place["digest"]
    assert place["counts"] == {"R0": 1}
    assert "nothing new" in again.stdout
    assert wrong.exit_code == 2
    (told,) = json.loads(wrong.stdout)["files"]
    assert told["refused"] == "statement.unreadable"
    assert told["facts"]["line"] > 1
    assert f"{broken}:{told['facts']['line']}: " in spoken.stderr
    assert "Line" not in spoken.stderr
    with transaction(own_engine, tenant) as connection:
        assert rows(connection, "statement_file") == 1


def test_what_stays_open_is_bad_news(
    own_database: TestDatabase,
    own_engine: Engine,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A line without an item: exit code 1, and the count of it."""
    monkeypatch.setenv("DATABASE_URL", own_database.app_url)
    monkeypatch.setenv("HOLDFAST_OWNER_URL", own_database.owner_url)
    with transaction(own_engine, tenant) as connection:
        book(connection, 5, name="txn_ZZ")
    file = tmp_path / "a.xml"
    file.write_bytes(camt(0, 1_000, [entry(1_000, ref="txn_AA")]))

    found = holdfast("reconcile", str(file), "--account", "custody_bank", "--json")
    by_rails = holdfast("reconcile", "--rails", "--json")

    assert (found.exit_code, by_rails.exit_code) == (1, 1)
    (place,) = json.loads(found.stdout)["places"]
    assert (place["open_lines"], place["open_items"]) == (1, 1)
    assert json.loads(by_rails.stdout)["rail_lines"] == 0
